"""A case's masks and boxes, and NRRD, as ITK and Slicer read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.case import colours
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.writing import boxes_file as markups
from LiverLesionAILib.writing import nrrd
from LiverLesionAILib.writing.mask_file import write_masks
from support.case_factory import box_corners_lps, oblique_geometry, small_case


def same_place(image: sitk.Image, geometry: Geometry) -> bool:
    directions = np.array(image.GetDirection()).reshape(3, 3)
    read = Geometry.make(image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), directions)
    return read.matches(geometry)


class TestMasks:
    def test_read_by_itk(self, case, tmp_path):
        _, result = case
        write_masks(tmp_path / "m.seg.nrrd", result)
        image = sitk.ReadImage(str(tmp_path / "m.seg.nrrd"))
        layers = sitk.GetArrayFromImage(image)
        assert np.array_equal(layers[..., 0] > 0, result.liver_zyx)
        assert np.array_equal(layers[..., 1], result.lesion_labels_zyx)
        assert same_place(image, result.geometry)
        assert image.GetMetaData("Segment1_Name") == "Lesion 1 (HCC 0.82)"
        assert "49755003" in image.GetMetaData("Segment1_Tags")
        assert "DICOM.SegmentAlgorithmType:AUTOMATIC|" in image.GetMetaData("Segment0_Tags")

    def test_read_by_slicer(self, case, tmp_path):
        slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
        from LiverLesionAILib.scene import show as scene
        from LiverLesionAILib.scene.offline import new_scene

        _, result = case
        path = tmp_path / "m.seg.nrrd"
        write_masks(path, result)
        mrml = new_scene()
        node = mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
        storage = slicer.vtkMRMLSegmentationStorageNode()
        mrml.AddNode(storage)
        storage.SetFileName(str(path))
        assert storage.ReadData(node)
        back = scene.read_back(node, geometry=result.geometry)
        assert np.array_equal(back.liver_zyx, result.liver_zyx)
        assert np.array_equal(back.lesion_labels_zyx, result.lesion_labels_zyx)
        assert [le.status_text for le in back.lesions] == ["undecided"] * len(result.lesions)
        assert back.lesions[0].class_probabilities["HCC"] == pytest.approx(0.82)
        first = node.GetSegmentation().GetSegment("lesion_1")
        assert first.GetColor() == pytest.approx(colours.lesion_colour(1), abs=1e-5)

    def test_codes_and_status_are_complete_for_an_import_by_code(self, case, tmp_path):
        """What Slicer-Liver and Slicer's segments table read of the file; codes of Slicer's own lists."""
        _, result = case
        gallbladder = np.zeros_like(result.liver_zyx)
        gallbladder[3:6, 3:9, 4:10] = True
        classes = (("HCC", None), ("cyst", None), ("metastasis", LesionStatus.ACCEPTED), (None, None))
        lesions = tuple(
            replace(lesion, model_class=name, reader_class=None, status=decided or lesion.status)
            for lesion, (name, decided) in zip(result.lesions, classes, strict=False)
        )
        result = replace(result, gallbladder_zyx=gallbladder, lesions=lesions)
        path = tmp_path / "m.seg.nrrd"
        write_masks(path, result)
        image = sitk.ReadImage(str(path))
        said = []
        for index in range(2 + len(lesions)):
            pairs = image.GetMetaData(f"Segment{index}_Tags").rstrip("|").split("|")
            tags = dict(pair.split(":", 1) for pair in pairs)
            entry = tags["TerminologyEntry"]
            context, category, kind, _, regions, _, _ = entry.split("~")
            assert context and regions
            # As Slicer-Liver looks: the first of its structures whose code is anywhere in the entry.
            known = {"10200004": "liver", "32764006": "portal", "8993003": "hepatic", "4147007": "tumour"}
            taken_for = next((name for code, name in known.items() if f"^{code}^" in entry), "other")
            said.append((category, kind, taken_for, tags["Segmentation.Status"]))
        anatomy = "SCT^123037004^Anatomical Structure"
        altered, mass = "SCT^49755003^Morphologically Altered Structure", "SCT^4147007^Mass"
        assert said[:5] == [
            (anatomy, "SCT^10200004^Liver", "liver", "notstarted"),
            (anatomy, "SCT^28231008^Gallbladder", "other", "notstarted"),
            (altered, mass, "tumour", "notstarted"),
            (altered, "SCT^367643001^Cyst", "other", "notstarted"),
            (altered, mass, "tumour", "completed"),
        ]

    def test_without_liver_or_lesions(self, tmp_path):
        _, result = small_case(lesions=0)
        write_masks(tmp_path / "liver.seg.nrrd", result)
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "liver.seg.nrrd"))).ndim == 3
        empty = CaseResult("", result.geometry, np.zeros_like(result.liver_zyx), result.lesion_labels_zyx)
        write_masks(tmp_path / "none.seg.nrrd", empty)
        image = sitk.ReadImage(str(tmp_path / "none.seg.nrrd"))
        assert not sitk.GetArrayFromImage(image).any()
        assert "Segment0_Name" not in image.GetMetaDataKeys()


@pytest.mark.parametrize("most", [4, 300])
def test_labels_are_narrowed_as_they_are_written(most: int, tmp_path: Path) -> None:
    """A copy of all labels of 2000 slices would take half a gigabyte."""
    labels = np.zeros((3, 4, 5), np.uint16)
    labels[1] = most
    kind = np.dtype(np.uint8 if most < 256 else np.uint16)
    nrrd.write_segmentation(tmp_path / "s.seg.nrrd", [labels], Geometry.make(labels.shape), [], dtype=kind)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "s.seg.nrrd")))
    assert written.dtype == kind and np.array_equal(written, labels)


def test_labels_are_handed_to_be_written_as_they_are(
    case: tuple[CtVolume, CaseResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, result = case
    given = []
    monkeypatch.setattr(nrrd, "write_segmentation", lambda path, layers, *_, **how: given.extend(layers))
    write_masks(tmp_path / "m.seg.nrrd", result)
    assert np.shares_memory(given[-1], result.lesion_labels_zyx)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32])
def test_nrrd_images_are_read_by_itk(tmp_path, dtype):
    geometry = oblique_geometry((7, 5, 3))
    array = np.arange(105).reshape(7, 5, 3).astype(dtype)
    nrrd.write_image(tmp_path / "i.nrrd", array[:, ::-1], geometry)
    image = sitk.ReadImage(str(tmp_path / "i.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(image), array[:, ::-1])
    assert sitk.GetArrayFromImage(image).dtype == dtype
    assert same_place(image, geometry)


def test_nrrd_keeps_line_ends_in_values(tmp_path):
    geometry = Geometry.make((2, 2, 2))
    labels = np.ones((2, 2, 2), np.uint8)
    segment = nrrd.FileSegment("a", "two\nlines", (1, 0, 0), {}, 0, 1, (0, 1, 0, 1, 0, 1))
    nrrd.write_segmentation(tmp_path / "s.seg.nrrd", [labels], geometry, [segment])
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "s.seg.nrrd"))).all()


def test_boxes_are_read_by_slicer(case, tmp_path):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    from LiverLesionAILib.scene.offline import new_scene
    from LiverLesionAILib.scene.ras import numpy_matrix

    _, result = case
    markups.write_boxes(tmp_path / "b.mrk.json", result)
    scene = new_scene()
    scene.logics[2].LoadMarkups(str(tmp_path / "b.mrk.json"))
    assert scene.GetNumberOfNodesByClass("vtkMRMLMarkupsROINode") == len(result.lesions)
    for index, lesion in enumerate(result.lesions):
        roi = scene.GetNthNodeByClass(index, "vtkMRMLMarkupsROINode")
        matrix = numpy_matrix(roi.GetObjectToWorldMatrix())
        signs = np.array(np.meshgrid((-1, 1), (-1, 1), (-1, 1))).reshape(3, -1).T
        corners = signs * np.array(roi.GetSize()) / 2 @ matrix[:3, :3].T + matrix[:3, 3]
        expected = box_corners_lps(lesion.box) * (-1, -1, 1)
        assert np.linalg.norm(corners[:, None] - expected[None], axis=2).min(axis=0).max() < 1e-3
        assert roi.GetLocked()
    assert slicer.vtkMRMLMarkupsROINode.ROITypeBox == roi.GetROIType()
