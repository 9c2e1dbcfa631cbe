"""A scene's bundle: images compressed on their way into it, or ahead, as any reader of NRRD expects them."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.support.packing import PackedAhead
from support.case_factory import small_case


def images(path: Path) -> dict[str, tuple[bytes, bytes]]:
    """File in the bundle -> its header, and its voxels as they are in memory."""
    found = {}
    with zipfile.ZipFile(path) as bundle:
        for name in bundle.namelist():
            if name.endswith(".nrrd"):
                head, _, voxels = bundle.read(name).partition(b"\n\n")
                assert b"\nencoding: gzip" in head
                found[Path(name).name] = (head, gzip.decompress(voxels))
    return found


def test_the_ct_is_the_same_compressed_ahead_or_not(tmp_path: Path) -> None:
    volume, result = small_case()
    scene, _ = case_scene(result, volume)
    with PackedAhead(np.ascontiguousarray(volume.hu_zyx).data) as ahead:
        write_bundle(scene, tmp_path / "scene.mrb", ahead)
    ahead_images = images(tmp_path / "scene.mrb")
    write_bundle(case_scene(result, volume)[0], tmp_path / "scene.mrb")
    assert ahead_images == images(tmp_path / "scene.mrb")
    assert volume.hu_zyx.tobytes() in [voxels for _, voxels in ahead_images.values()]


def test_another_ct_compressed_ahead_is_not_taken(tmp_path: Path) -> None:
    volume, result = small_case()
    with PackedAhead((np.ascontiguousarray(volume.hu_zyx) + np.int16(1)).data) as ahead:
        write_bundle(case_scene(result, volume)[0], tmp_path / "scene.mrb", ahead)
    assert volume.hu_zyx.tobytes() in [voxels for _, voxels in images(tmp_path / "scene.mrb").values()]


def test_who_saves_the_scene_again_compresses_it_again(tmp_path: Path) -> None:
    volume, result = small_case()
    scene, _ = case_scene(result, volume)
    write_bundle(scene, tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        (name,) = [name for name in bundle.namelist() if name.endswith(".mrml")]
        mrml = bundle.read(name).decode()
    storages = re.findall(r"<(?:VolumeArchetypeStorage|SegmentationStorage)[^<>]*>", mrml)
    assert storages and all('useCompression="1"' in storage for storage in storages)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")):
        assert scene.GetNthNodeByClass(index, "vtkMRMLVolumeNode").GetStorageNode().GetUseCompression()


def test_what_a_user_keeps_uncompressed_stays_so_in_the_scene(tmp_path: Path) -> None:
    volume, _ = small_case()
    scene = new_scene()
    node = add_ct(scene, volume)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetUseCompression(False)
    write_bundle(scene, tmp_path / "scene.mrb")
    assert not node.GetStorageNode().GetUseCompression()
    with zipfile.ZipFile(tmp_path / "scene.mrb") as bundle:
        (name,) = [name for name in bundle.namelist() if name.endswith(".mrml")]
        assert 'useCompression="0"' in bundle.read(name).decode()
