"""A case's anatomy in its files: the store, the tables, the segmentation for Slicer."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import (
    CouinaudSegment,
    Landmark,
    LandmarkName,
    LesionAnatomy,
    LiverAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
)
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.writing.anatomy_file import ANATOMY, write_anatomy
from LiverLesionAILib.writing.schema import findings_schema
from LiverLesionAILib.writing.tables import findings_csv, findings_json, findings_text

GRID = Geometry.make((6, 8, 10), (2.0, 1.0, 1.0), (5.0, 6.0, 7.0), np.diag([-1.0, 1.0, 1.0]))


def case() -> CaseResult:
    segments, vessels = np.zeros((2, *GRID.shape_zyx), np.uint8)
    segments[1:5, 2:7, 2:5], segments[1:5, 2:7, 5:9] = CouinaudSegment.VIII, CouinaudSegment.IVA
    vessels[0:6, 4, 3], vessels[2, 1:7, 6] = Vessel.IVC, Vessel.HEPATIC
    mark = Landmark(LandmarkName.GALLBLADDER, (1.5, 2.25, -3.0), 8.0, "liver shape")
    anatomy = LiverAnatomy(GRID, vessels, segments, {mark.name: mark}, ("The portal vein is not seen.",))
    labels = np.zeros(GRID.shape_zyx, np.uint16)
    labels[2, 3:5, 4:6] = 1
    place = LesionAnatomy(
        (SegmentShare(CouinaudSegment.VIII, 0.82, 1.0), SegmentShare(CouinaudSegment.IVA, 0.18, 0.5)),
        (VesselContact(Vessel.HEPATIC, 0.0, 14.2, 118.0), VesselContact(Vessel.IVC, 31.25)),
        (),
    )
    lesion = Lesion(1, 0.9, (0.0, 0.0, 0.0), Box((0.0, 0.0, 0.0), (5.0, 5.0, 5.0)), None, anatomy=place)
    return CaseResult("case", GRID, segments > 0, labels, (lesion,), 0.3, anatomy=anatomy)


def test_it_comes_back_from_the_store(tmp_path):
    kept = case()
    corrected = replace(
        kept.lesions[0], anatomy=replace(kept.lesions[0].anatomy, reader_segments=(CouinaudSegment.V,))
    )
    save_result(replace(kept, lesions=(corrected,)), tmp_path)
    back = load_result(tmp_path)
    assert back.lesions[0].anatomy == corrected.anatomy
    assert back.anatomy is not None and kept.anatomy is not None
    assert back.anatomy.landmarks == kept.anatomy.landmarks and back.anatomy.messages == kept.anatomy.messages
    for name in ("segments_zyx", "vessels_zyx"):
        np.testing.assert_array_equal(getattr(back.anatomy, name), getattr(kept.anatomy, name))
    save_result(replace(kept, anatomy=None, lesions=()), tmp_path)
    assert load_result(tmp_path).anatomy is None
    assert "anatomy" not in (tmp_path / "case.json").read_text()


def test_tables_have_its_columns_only_where_it_was_computed():
    told, plain = case(), replace(case(), anatomy=None, lesions=(replace(case().lesions[0], anatomy=None),))
    header, row, *_ = findings_csv(told).splitlines()
    assert "Couinaud segment,Hemiliver,Hepatic veins: distance (mm)" in header
    assert '"VIII (82 %), IVa","right, left",0.0,14.2,118,yes,,,,,31.3' in row
    assert "Couinaud" not in findings_csv(plain) and "Couinaud" not in findings_text(plain)
    text = findings_text(told, 200)
    assert "VIII (82 %), IVa" in text and "Anatomy: The portal vein is not seen." in text
    assert "anatomy" not in json.dumps(findings_json(plain))


def test_the_findings_keep_to_their_schema():
    jsonschema = pytest.importorskip("jsonschema")
    found = findings_json(case())
    jsonschema.validate(found, findings_schema())
    assert found["anatomy"]["segment_volumes_ml"]["VIII"] == pytest.approx(0.12)
    assert found["lesions"][0]["anatomy"]["vessels"][0]["contact_degrees"] == 118.0


def test_the_segmentation_opens_with_names_codes_and_colours(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    write_anatomy(tmp_path / ANATOMY, case().anatomy)
    image = sitk.ReadImage(str(tmp_path / ANATOMY))
    array = sitk.GetArrayFromImage(image)
    names = {image.GetMetaData(f"Segment{i}_Name"): i for i in range(4)}
    assert set(names) == {"Segment IVa", "Segment VIII", "Hepatic veins", "Inferior vena cava"}
    eight = names["Segment VIII"]
    assert "SCT^277962002^" in image.GetMetaData(f"Segment{eight}_Tags")
    layer, label = (int(image.GetMetaData(f"Segment{eight}_{key}")) for key in ("Layer", "LabelValue"))
    assert np.count_nonzero(array[..., layer] == label) == np.count_nonzero(case().anatomy.segments_zyx == 8)
    inside = image.TransformIndexToPhysicalPoint((0, 0, 0))
    assert inside == pytest.approx(tuple(GRID.index_to_lps((0, 1, 2))))


def test_nothing_that_can_be_said_is_an_empty_segmentation(tmp_path):
    write_anatomy(tmp_path / ANATOMY, LiverAnatomy.blank(GRID, "The liver is cut."))
    assert b"Segment0_" not in (tmp_path / ANATOMY).read_bytes()
