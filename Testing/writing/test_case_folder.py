"""The case folder: what is in it, that Slicer reads it, and that it is there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.case import store as case_files
from LiverLesionAILib.support.errors import Cancelled, OutputError
from LiverLesionAILib.support.threads import LOADING
from LiverLesionAILib.writing import case_folder
from LiverLesionAILib.writing.case_folder import MARKER, is_case_folder, write_case_folder
from support.case_factory import oblique_geometry, small_case

FILES = {"masks", "boxes", "case", "table", "findings", "scene"}


def test_the_scene_keeps_the_readers_class_and_the_contrast_phase(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from LiverLesionAILib.case.attributes import read_phase
    from LiverLesionAILib.case.findings import PhaseEstimate
    from LiverLesionAILib.scene import show as scene
    from LiverLesionAILib.scene.offline import case_scene, write_bundle
    from support.scene_bundles import read_bundle

    volume, result = small_case(lesions=2)
    first, second = result.lesions
    phase = PhaseEstimate("delayed", 0.75, "Washout; look at the arterial phase: too.")
    result = replace(
        result, lesions=(replace(first, reader_class="Cyst", note="old; stable"), second), phase=phase
    )
    write_bundle(case_scene(result, volume)[0], tmp_path / "scene.mrb")
    loaded = read_bundle(tmp_path / "scene.mrb", tmp_path / "unpacked")
    ct = loaded.GetFirstNodeByName(volume.name)
    found = scene.find_nodes(loaded, ct)
    table = found["table"][0].GetTable()
    listed = [
        [table.GetValueByName(k, name).ToString() for name in ("Name", "Class", "Reader class")]
        for k in range(2)
    ]
    assert listed == [["Lesion 1 (Cyst)", "HCC", "Cyst"], ["Lesion 2 (CYST 0.82)", "CYST", ""]]
    assert read_phase(found["table"][0].GetAttribute) == phase
    assert found["table"][0].GetDescription() == phase.text
    back = scene.read_back(found["segmentation"][0]).lesions[0]
    assert (back.model_class, back.reader_class, back.note) == ("HCC", "Cyst", "old; stable")
    # The reader has said something of the first: a new run leaves it alone.
    again = scene.apply_result(loaded, replace(result, lesions=(first, second)), ct)
    assert again.kept_segment_ids == ("lesion_1",)


class TestFolder:
    def test_all_of_it(self, case, tmp_path):
        volume, result = case
        steps: list[tuple[str, float]] = []
        target = tmp_path / "new" / "case"
        written = write_case_folder(
            result, volume, target, pictures=False, progress=lambda *step: steps.append(step)
        )
        assert set(written) == FILES
        assert all(path.is_file() and path.parent == target for path in written.values())
        assert is_case_folder(target)
        assert [fraction for _, fraction in steps] == sorted(fraction for _, fraction in steps)
        assert steps[-1][1] == 1.0
        assert len(json.loads(written["boxes"].read_text())["markups"]) == len(result.lesions)
        assert zipfile.is_zipfile(written["scene"])
        assert np.array_equal(case_files.load_result(target).lesion_labels_zyx, result.lesion_labels_zyx)
        assert [p.name for p in (tmp_path / "new").iterdir()] == ["case"]

    def test_a_scene_is_left_out_where_nobody_wants_one(self, tmp_path):
        volume, result = small_case()
        said: list[str] = []
        folder = tmp_path / "case"
        written = write_case_folder(result, volume, folder, pictures=False, scene=False, say=said.append)
        assert set(written) == FILES - {"scene"}
        assert not list(folder.glob("*.mrb"))
        assert said == []

    def test_slicers_library_is_loaded_ahead_and_its_lack_is_no_error(self, monkeypatch):
        from LiverLesionAILib.scene.loading import begin_loading

        monkeypatch.delitem(sys.modules, "slicer", raising=False)
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.setattr(sys, "meta_path", [finder for finder in sys.meta_path if finder is None])
        begin_loading()
        for thread in threading.enumerate():
            if thread.name == LOADING:
                thread.join()
        assert "slicer" not in sys.modules

    @pytest.mark.parametrize("class_box", [False, True])
    def test_without_slicers_library_all_but_the_scene_is_there(self, case, tmp_path, monkeypatch, class_box):
        volume, result = case
        if class_box:
            first, *rest = result.lesions
            result = replace(result, lesions=(replace(first, class_box=first.box), *rest))
        for name in [m for m in sys.modules if m.startswith("LiverLesionAILib.scene")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "slicer", None)
        said: list[str] = []
        written = write_case_folder(result, volume, tmp_path / "case", pictures=False, say=said.append)
        assert set(written) == FILES - {"scene"}
        assert not (tmp_path / "case" / "scene.mrb").exists()
        assert len(said) == 1
        assert 'pip install "liverlesionai[scene]"' in said[0]
        assert "\n" not in said[0]
        boxes = json.loads(written["boxes"].read_text())["markups"]
        assert len(boxes) == len(result.lesions) + class_box

    def test_a_second_run_replaces_ours_and_keeps_the_rest(self, tmp_path):
        volume, result = small_case(lesions=4)
        target = tmp_path / "case"
        write_case_folder(result, volume, target, pictures=False)
        old_arrays = set(target.glob("case-*.npz"))
        (target / "my notes.txt").write_text("mine")
        _, fewer = small_case(lesions=1)
        write_case_folder(fewer, volume, target, pictures=False)
        assert len(case_files.load_result(target).lesions) == len(fewer.lesions)
        assert (target / "my notes.txt").read_text() == "mine"
        assert not old_arrays & set(target.iterdir())
        assert [p.name for p in tmp_path.iterdir()] == ["case"]

    def test_a_folder_that_is_not_ours_is_refused(self, tmp_path):
        volume, result = small_case()
        target = tmp_path / "home"
        target.mkdir()
        (target / "thesis.tex").write_text("years")
        with pytest.raises(OutputError, match="not a LiverLesionAI case"):
            write_case_folder(result, volume, target, pictures=False)
        assert [p.name for p in target.iterdir()] == ["thesis.tex"]
        assert [p.name for p in tmp_path.iterdir()] == ["home"]

    def test_an_empty_folder_is_used_and_a_file_refused(self, tmp_path):
        volume, result = small_case()
        (tmp_path / "empty").mkdir()
        write_case_folder(result, volume, tmp_path / "empty", pictures=False)
        assert is_case_folder(tmp_path / "empty")
        (tmp_path / "file").write_text("x")
        with pytest.raises(OutputError, match="is a file"):
            write_case_folder(result, volume, tmp_path / "file", pictures=False)
        assert (tmp_path / "file").read_text() == "x"

    @pytest.mark.parametrize("exists", [False, True])
    def test_cancelling_leaves_what_was(self, tmp_path, exists):
        volume, result = small_case()
        target = tmp_path / "deep" / "case"
        if exists:
            write_case_folder(result, volume, target, pictures=False)
        before = sorted(p.name for p in tmp_path.rglob("*"))

        def cancel(stage: str, fraction: float) -> None:
            if fraction > 0.2:
                raise Cancelled("Cancelled; nothing was kept.")

        with pytest.raises(Cancelled):
            write_case_folder(result, volume, target, pictures=False, progress=cancel)
        assert sorted(p.name for p in tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("step", ["write_masks", "_scene", "_into_place"])
    @pytest.mark.parametrize("exists", [False, True])
    def test_a_full_disk_at_any_step_leaves_what_was(self, tmp_path, monkeypatch, step, exists):
        volume, result = small_case()
        target = tmp_path / "case"
        if exists:
            write_case_folder(result, volume, target, pictures=False)
        before = sorted(p.name for p in tmp_path.rglob("*"))
        real = getattr(case_folder, step)

        def full(*args: object) -> None:
            if step != "_into_place":
                real(*args)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(case_folder, step, full)
        with pytest.raises(OutputError, match="disk is full") as caught:
            write_case_folder(result, volume, target, pictures=False)
        assert str(target) in str(caught.value)
        assert ".part-" not in str(caught.value)
        assert sorted(p.name for p in tmp_path.rglob("*")) == before

    def test_a_swap_that_fails_puts_the_old_folder_back(self, tmp_path, monkeypatch):
        volume, result = small_case()
        target = tmp_path / "case"
        write_case_folder(result, volume, target, pictures=False)
        real, calls = os.replace, []

        def second_fails(source: Path, place: Path) -> None:
            if Path(place) == target and not calls:
                calls.append(source)
                raise PermissionError(errno.EACCES, "Permission denied")
            real(source, place)

        monkeypatch.setattr(case_folder.os, "replace", second_fails)
        with pytest.raises(OutputError, match="no permission"):
            write_case_folder(result, volume, target, pictures=False)
        assert calls
        assert is_case_folder(target)
        assert [p.name for p in tmp_path.iterdir()] == ["case"]

    def test_a_file_size_limit_is_a_clear_error(self, tmp_path):
        """A real write error from the operating system, in every writer on the way (Slicer's library too)."""
        pytest.importorskip("resource", reason="no file size limits on this system")
        said = _run_child(
            tmp_path / "case", "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))"
        )
        assert said.startswith("OutputError"), said
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("free_kb", [8, 24, 60, 100, 140])
    def test_a_full_tmpfs(self, tmp_path, free_kb):
        """A disk of `free_kb` that fills up while one or another file is being written."""
        mount = tmp_path / "disk"
        mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={free_kb}k", "tmpfs", str(mount)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except FileNotFoundError:
            pytest.skip("no mount command")
        if done.returncode != 0:
            pytest.skip("a tmpfs may not be mounted here")
        try:
            said = _run_child(mount / "case", "")
            if said.startswith("written"):
                pytest.skip(f"the case fits into {free_kb} kB here")
            assert said.startswith("OutputError"), said
            assert "full" in said
            assert list(mount.iterdir()) == []
        finally:
            subprocess.run(["umount", str(mount)], check=True)

    def test_no_permission_is_a_clear_error(self, tmp_path):
        if not hasattr(os, "geteuid") or os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        volume, result = small_case()
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="no permission"):
            write_case_folder(result, volume, tmp_path / "locked" / "case", pictures=False)


def _run_child(target: Path, before: str) -> str:
    """Write a case in a process of its own; its last line says how that ended."""
    here = Path(__file__).resolve().parents[1]
    program = f"""
import signal, sys
sys.path[:0] = [{str(here)!r}, {str(here.parent / "LiverLesionAI")!r}]
from pathlib import Path
from support.case_factory import small_case
from LiverLesionAILib.writing.case_folder import write_case_folder
volume, result = small_case()
if hasattr(signal, "SIGXFSZ"):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{before}
try:
    write_case_folder(result, volume, Path({str(target)!r}), pictures=False)
    print("written")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or [done.stderr[-2000:]])[-1]


def test_the_marker_names_what_is_ours(tmp_path):
    volume, result = small_case()
    written = write_case_folder(result, volume, tmp_path / "case", pictures=False)
    named = set(json.loads((tmp_path / "case" / MARKER).read_text())["files"])
    assert {path.name for path in written.values()} <= named
    assert named == {p.name for p in (tmp_path / "case").iterdir()} - {MARKER}


def test_a_damaged_case_says_nothing_of_its_lesions(tmp_path):
    volume, result = small_case()
    write_case_folder(result, volume, tmp_path / "case", pictures=False, scene=False)
    again = case_folder.with_earlier_tracking(result, tmp_path / "case")
    assert [lesion.tracking_uid for lesion in again.lesions] != [""] * len(result.lesions)
    (tmp_path / "case" / "case.json").write_text("{")
    assert case_folder.with_earlier_tracking(result, tmp_path / "case") is result
    assert case_folder.with_earlier_tracking(result, tmp_path / "nowhere") is result


def test_a_failure_names_the_folder_that_was_asked_for(tmp_path, monkeypatch):
    """Not the hidden one that is being filled, which is gone by then."""

    def full(result, volume, part, *_):
        raise OutputError(f"{part / 'masks.seg.nrrd'} could not be written: the disk is full.")

    monkeypatch.setattr(case_folder, "_write_all", full)
    volume, result = small_case()
    with pytest.raises(OutputError) as caught:
        write_case_folder(result, volume, tmp_path / "deep" / "case", pictures=False)
    named = tmp_path / "deep" / "case" / "masks.seg.nrrd"
    assert str(caught.value) == f"{named} could not be written: the disk is full."
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_files_is_found_out_before_the_work(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(case_folder.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(OutputError, match=r"case could not be written: no permission\. Choose a folder"):
        case_folder.check_target(tmp_path / "case")


@pytest.mark.parametrize("large", [False, True])
def test_of_a_large_ct_each_part_waits_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Side by side they need the memory of all of them at once."""
    volume, result = small_case(oblique_geometry(), lesions=1)
    running: list[str] = []
    together = threading.Barrier(3)
    order: list[str] = []

    def part_of(name: str, gives: object):
        def work(*_: object) -> object:
            running.append(name)
            if not large:
                together.wait(timeout=60)
            assert len(running) == 1 or not large
            running.remove(name)
            order.append(name)
            return gives

        return work

    monkeypatch.setattr(case_folder, "_write_files", part_of("files", {}))
    monkeypatch.setattr(case_folder, "_draw", part_of("pictures", {}))
    monkeypatch.setattr(case_folder, "_scene", part_of("scene", False))
    if large:
        monkeypatch.setattr(case_folder, "ONE_BY_ONE_VOXELS", volume.hu_zyx.size)
    write_case_folder(result, volume, tmp_path / "case")
    assert sorted(order) == ["files", "pictures", "scene"]
    if large:
        assert order == ["files", "pictures", "scene"]
