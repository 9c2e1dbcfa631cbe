"""What a DICOM header says twice in different words is told where the two contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from LiverLesionAILib.reading import load_ct, read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from pydicom.sequence import Sequence
from support.ct_phantom import phantom_hu
from support.dicom_writer import axial_positions, write_enhanced, write_series

HU = phantom_hu((12, 64, 64))


def series(folder: Path, **tags: object) -> CtVolume:
    write_series(folder, HU, axial_positions(12, 9.0), **tags)
    volume = load_ct(folder)
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    return volume


def enhanced(folder: Path, change: Callable[[pydicom.Dataset], None]) -> CtVolume:
    folder.mkdir()
    write_enhanced(folder / "ct.dcm", HU, axial_positions(12, 9.0))
    item = pydicom.dcmread(folder / "ct.dcm")
    change(item)
    item.save_as(folder / "ct.dcm")
    return load_ct(folder)


def group(**tags: object) -> Sequence:
    item = pydicom.Dataset()
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return Sequence([item])


CONTRADICTIONS = {
    "identifier": (
        {"SOPInstanceUID": ["2.25.7"] * 3 + [f"2.25.{k}" for k in range(30, 39)]},
        "3 of 12 slices share their identifier",
    ),
    "distance": ({"SpacingBetweenSlices": 2.0}, "9.00 mm apart by their positions"),
    "field of view": ({"ReconstructionDiameter": 400.0}, "192 mm wide by their pixel size"),
    "gantry": ({"GantryDetectorTilt": -12.0}, "tilted by 12.0 degrees"),
    "lookup table": ({"ModalityLUTSequence": [group(LUTExplanation="HU")] * 12}, "lookup table"),
    "patient": ({"PatientPosition": ["HFS"] * 9 + ["FFS"] * 3}, "9 HFS, 3 FFS"),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_contradicts_is_told(tmp_path: Path, kind: str) -> None:
    tags, words = CONTRADICTIONS[kind]
    (warning,) = series(tmp_path / "ct", **tags).warnings
    assert words in warning


def test_what_fits_is_not(tmp_path: Path) -> None:
    tags = {
        "SpacingBetweenSlices": -9.0,
        "ReconstructionDiameter": 192.5,
        "GantryDetectorTilt": 0.5,
        "PatientPosition": "FFS",
        "LossyImageCompression": "00",
    }
    volume = series(tmp_path / "ct", **tags)
    assert volume.warnings == () and volume.notes == ()


def test_computed_images_may_keep_what_the_scanner_said(tmp_path: Path) -> None:
    tags = {"ReconstructionDiameter": 400.0, "GantryDetectorTilt": 12.0}
    kind = ("DERIVED", "PRIMARY", "AXIAL")
    assert not any("header" in w for w in series(tmp_path / "ct", image_type=kind, **tags).warnings)


@pytest.mark.parametrize("leaning", [True, False])
def test_a_tilt_that_places_show_is_none(tmp_path: Path, leaning: bool) -> None:
    """In the slices' orientation, or in places that move to the front from slice to slice."""
    angle = np.radians(12)
    positions = axial_positions(12, 9.0)
    orientation = (1, 0, 0, 0, np.cos(angle), np.sin(angle)) if leaning else (1, 0, 0, 0, 1, 0)
    if not leaning:
        positions[:, 1] += np.arange(12) * 9 * np.tan(angle)
    write_series(tmp_path / "ct", HU, positions, orientation=orientation, GantryDetectorTilt=12.0)
    assert not any("header says" in w for w in load_ct(tmp_path / "ct").warnings)


def test_loss_is_noted(tmp_path: Path) -> None:
    volume = series(
        tmp_path / "ct", LossyImageCompression="01", LossyImageCompressionRatio=[["4", "30"]] * 12
    )
    assert volume.warnings == ()
    assert volume.notes == (
        "12 of 12 slices were compressed with loss (ratio 30): small differences of density may be gone.",
    )


def test_frames_out_of_their_stack_are_told(tmp_path: Path) -> None:
    def change(item: pydicom.Dataset) -> None:
        numbers = [*range(1, 13)]
        numbers[3], numbers[8] = numbers[8], numbers[3]
        for frame, number in zip(item.PerFrameFunctionalGroupsSequence, numbers, strict=True):
            frame.FrameContentSequence = group(StackID="1", InStackPositionNumber=number)

    volume = enhanced(tmp_path / "ct", change)
    assert any("contradict their places in the stack" in w for w in volume.warnings)


def test_a_part_of_a_concatenation_is_told(tmp_path: Path) -> None:
    def change(item: pydicom.Dataset) -> None:
        item.ConcatenationUID, item.InConcatenationNumber, item.InConcatenationTotalNumber = "1.2.3", 1, 2

    assert any("only part 1 is here" in w for w in enhanced(tmp_path / "ct", change).warnings)


def test_some_frames_of_another_unit_are_refused(tmp_path: Path) -> None:
    def change(item: pydicom.Dataset) -> None:
        for frame in list(item.PerFrameFunctionalGroupsSequence)[8:]:
            frame.PixelValueTransformationSequence[0].RescaleType = "MGML"

    with pytest.raises(InputError, match="MGML in 4 of 12 images"):
        enhanced(tmp_path / "ct", change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: hu.__setitem__(5, -1024), "1 slice (number 6) hold no image (all voxels are -1024 HU)"),
        (lambda hu: hu.__setitem__(slice(5, 7), hu[4]), "2 slices (number 6, 7) repeat the image"),
        (lambda hu: hu.__setitem__(slice(6, None), hu[6:, :, ::-1].copy()), "turned over (left and right)"),
        (lambda hu: hu.__setitem__(slice(0, 4), hu[:4, ::-1].copy()), "turned over (front and back)"),
    ],
    ids=["empty", "repeated", "mirrored", "upside down"],
)
def test_slices_that_do_not_fit_the_others(tmp_path: Path, change: Callable, words: str) -> None:
    """No header says anything: the images themselves do."""
    hu = HU.copy()
    change(hu)
    write_series(tmp_path / "ct", hu, axial_positions(12, 9.0))
    assert any(words in w for w in read_ct(tmp_path / "ct").warnings)


def test_slices_filled_up_at_the_ends_are_sound(tmp_path: Path) -> None:
    hu = HU.copy()
    hu[:2] = hu[-1:] = -1024
    write_series(tmp_path / "ct", hu, axial_positions(12, 9.0))
    assert not any("no image" in w or "repeat" in w for w in read_ct(tmp_path / "ct").warnings)
