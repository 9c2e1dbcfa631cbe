"""Scenes outside the Slicer application, and a case as a .mrb bundle, by Slicer's own MRML classes."""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path

import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..case.description import CT_LEVEL_HU, CT_WINDOW_HU, case_views
from ..case.findings import CaseResult
from ..case.interval import keeping_half_widths
from ..support.errors import OutputError
from ..support.files import replacing
from ..support.packing import PackedAhead, blocks_of, packed
from ..support.text import printable
from ..volume.ct import CtVolume
from .apply import SceneNodes
from .ras import point_ras, set_volume
from .segments import CLOSED_SURFACE

_LOGICS = (
    "vtkSlicerSegmentationsModuleLogic",
    "vtkSlicerSubjectHierarchyModuleLogic",
    "vtkSlicerMarkupsLogic",
    "vtkSlicerTablesLogic",
    "vtkSlicerUnitsLogic",
    "vtkMRMLColorLogic",
)
# Slicer's three slice views: name, orientation, the colour of its bar.
_VIEWS = (
    ("Red", "Axial", (0.952941, 0.290196, 0.2)),
    ("Yellow", "Sagittal", (0.929412, 0.835294, 0.298039)),
    ("Green", "Coronal", (0.431373, 0.690196, 0.294118)),
)
# Class -> the subject hierarchy plugin that shows it; Slicer's own choice, which only its application makes.
_OWNERS = (
    ("vtkMRMLSegmentationNode", "Segmentations"),
    ("vtkMRMLMarkupsNode", "Markups"),
    ("vtkMRMLTableNode", "Tables"),
    ("vtkMRMLScalarVolumeNode", "Volumes"),
)


def new_scene() -> slicer.vtkMRMLScene:
    """An empty scene outside the application that knows every class a case uses."""
    scene = slicer.vtkMRMLScene()
    # The logics look for the selection node as soon as they see the scene.
    scene.AddNode(slicer.vtkMRMLSelectionNode())
    logics = [getattr(slicer, name)() for name in _LOGICS]
    for logic in logics:
        logic.SetMRMLScene(scene)
    # A logic takes its nodes (the colours) along when it goes: it lives as long as the scene.
    scene.logics = logics
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    return scene


def add_ct(scene: slicer.vtkMRMLScene, volume: CtVolume) -> slicer.vtkMRMLScalarVolumeNode:
    """A volume node with this CT in an abdominal window (W400 L40); it reads the array in place."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", printable(volume.name))
    # Before it has voxels: a display node looks for a window in all of them.
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(CT_WINDOW_HU, CT_LEVEL_HU)
    set_volume(node, volume.hu_zyx, volume.geometry, copy=False)
    return node


def aim_views(scene: slicer.vtkMRMLScene, ct: slicer.vtkMRMLScalarVolumeNode, result: CaseResult) -> None:
    """Make slice views open on the CT, at the largest lesion (or the CT's middle)."""
    described = case_views(result)
    for name, orientation, colour in _VIEWS:
        view = scene.CreateNodeByClass("vtkMRMLSliceNode")
        view.UnRegister(None)
        view.SetName(name)
        view.SetLayoutName(name)
        view.SetLayoutLabel(name[0])
        view.SetLayoutColor(*colour)
        view.SetSingletonTag(name)
        view = scene.AddNode(view)
        view.SetOrientation(orientation)
        view.SetFieldOfView(described.extent_mm, described.extent_mm, 1.0)
        view.JumpSliceByCentering(*point_ras(described.centre_lps))
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetName(name)
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        composite = scene.AddNode(composite)
        composite.SetBackgroundVolumeID(ct.GetID())
    scene.GetFirstNodeByClass("vtkMRMLSelectionNode").SetActiveVolumeID(ct.GetID())


def case_scene(result: CaseResult, volume: CtVolume) -> tuple[slicer.vtkMRMLScene, SceneNodes]:
    """A fresh scene with the CT, everything that was found on it, and views that look at it.

    Closed surfaces are empty: no file keeps them, Slicer makes them when it opens one that names them.
    """
    from .show import apply_result

    scene = new_scene()
    ct = add_ct(scene, volume)
    made = apply_result(scene, keeping_half_widths(result), ct)
    for node in (made.segmentation, made.anatomy and made.anatomy.segmentation):
        if node:
            name_surfaces(node.GetSegmentation())
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for index in range(scene.GetNumberOfNodes()):
        item = tree.GetItemByDataNode(scene.GetNthNode(index))
        for class_name, owner in _OWNERS:
            if item and scene.GetNthNode(index).IsA(class_name):
                tree.SetItemOwnerPluginName(item, owner)
    aim_views(scene, ct, result)
    return scene, made


def name_surfaces(segmentation: slicer.vtkSegmentation) -> None:
    """Say that segments have closed surfaces, which whoever reads the file makes then."""
    for index in range(segmentation.GetNumberOfSegments()):
        segmentation.GetNthSegment(index).AddRepresentation(CLOSED_SURFACE, vtkPolyData())


def write_bundle(scene: slicer.vtkMRMLScene, path: Path, ahead: PackedAhead | None = None) -> None:
    """Write a scene as .mrb, beside and then renamed.

    MRML writes images as they are, and they are compressed on their way into the bundle: its own library
    takes twice as long for it, on one core.

    Args:
        ahead: the CT's voxels, compressed before.

    Raises:
        OutputError: it could not be written.
    """
    plain = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLStorableNode")
        segmentation = node.IsA("vtkMRMLSegmentationNode")
        if node.GetSaveWithScene() and (segmentation or node.IsA("vtkMRMLVolumeNode")):
            node.AddDefaultStorageNode()
            storage = node.GetStorageNode()
            storage.SetCompressionParameter("gzip_fastest")
            if storage.GetUseCompression() and (storage.GetFileName() or ".nrrd").endswith(".nrrd"):
                plain.append(storage)
            if segmentation and not _is_one_voxel(node):
                # Else every layer is padded to the whole CT, several times over in memory. (A file of a
                # single voxel crashes the library when it is read.)
                storage.SetCropToMinimumExtent(True)
    with replacing(path) as part, tempfile.TemporaryDirectory(prefix=".scene-", dir=_plain(path)) as folder:
        inside = Path(folder) / path.stem
        inside.mkdir()
        try:
            for storage in plain:
                storage.SetUseCompression(False)
            saved = scene.SaveSceneToSlicerDataBundleDirectory(str(inside))
        finally:
            for storage in plain:
                storage.SetUseCompression(True)
        if not saved:
            raise OutputError(
                f"{path} could not be written by Slicer's MRML library: "
                "is the disk full, is the folder writable?"
            )
        for file in inside.glob("*.mrml"):
            text = _compressing(file.read_text(encoding="utf-8"), {storage.GetID() for storage in plain})
            file.write_text(_escaped(text), encoding="utf-8")
        zip_folder(inside, part, ahead)


def _compressing(mrml: str, storages: set[str]) -> str:
    """A scene's XML in which these storage nodes compress again what is saved later."""

    def on(element: re.Match[str]) -> str:
        name = re.search(r'\bid="([^"]*)"', element[0])
        off = name is not None and name[1] in storages
        return element[0].replace('useCompression="0"', 'useCompression="1"') if off else element[0]

    return re.sub(r'<[^<>]*useCompression="0"[^<>]*>', on, mrml)


def _is_one_voxel(node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether all that its segments cover is a single voxel."""
    segmentation = node.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    covered = set()
    for layer in range(segmentation.GetNumberOfLayers(name)):
        extent = [0] * 6
        image = segmentation.GetLayerDataObject(layer, name)
        if slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(image, extent):
            covered.add(tuple(extent))
    # Two layers of a voxel each at different places are more than one.
    return len(covered) == 1 and all(extent[k] == extent[k + 1] for extent in covered for k in (0, 2, 4))


def _plain(path: Path) -> Path | None:
    """The folder of `path` where MRML can write; None (the system's) where its name is no text to MRML."""
    try:
        str(path.parent).encode()
    except UnicodeEncodeError:
        return None
    return path.parent


def _escaped(mrml: str) -> str:
    """A scene's XML that every reader takes.

    Slicer leaves an "&" in files' names as it is, and characters that XML has no place for.
    """
    possible = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", mrml)
    return re.sub(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)", "&amp;", possible)


def zip_folder(folder: Path, path: Path, ahead: PackedAhead | None = None) -> None:
    """Zip a folder under its own name; NRRD files are compressed in themselves, and only stored.

    Args:
        ahead: data that were compressed before.
    """
    with zipfile.ZipFile(path, "w") as bundle:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            kind = zipfile.ZIP_STORED if file.suffix == ".nrrd" else zipfile.ZIP_DEFLATED
            name = Path(folder.name) / file.relative_to(folder)
            voxels_at = _plain_voxels(file) if file.suffix == ".nrrd" else 0
            if not voxels_at:
                bundle.write(file, name, kind)
                continue
            entry = zipfile.ZipInfo.from_file(file, name)
            entry.compress_type = kind
            with file.open("rb") as source, bundle.open(entry, "w") as packed_file:
                head = source.read(voxels_at)
                packed_file.write(head.replace(RAW, b"\nencoding: gzip\n"))
                if ahead is None or not ahead.copy(file, voxels_at, packed_file):
                    for block in packed(blocks_of(source)):
                        packed_file.write(block)


RAW = b"\nencoding: raw\n"


def _plain_voxels(file: Path) -> int:
    """Where the voxels of an NRRD file begin that are not compressed; 0 where they are, or lie elsewhere."""
    with file.open("rb") as opened:
        head = opened.read(1 << 20)
    end = head.find(b"\n\n")
    return end + 2 if end > 0 and RAW in head[: end + 1] and b"\ndata file:" not in head[:end] else 0
