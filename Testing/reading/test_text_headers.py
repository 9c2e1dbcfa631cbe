"""NRRD and MetaImage headers that leave something out or contradict themselves; files of several volumes."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from support.ct_grids import steady
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))
STRAIGHT = Geometry.make(HU.shape, (5, 3, 3), (-90, -80, 20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headers")


def tilts(volume: CtVolume) -> list[float]:
    """The tilts that warnings name, degrees to a tenth: a half is rounded as the figure's last bit falls."""
    named = (re.search(r"tilted by ([0-9.]+) degrees", warning) for warning in volume.warnings)
    return [float(match[1]) for match in named if match]


def nrrd(folder: Path, **changes: str | None) -> Path:
    said = {**writers.nrrd_fields(HU), **{k.replace("_", " "): v for k, v in changes.items()}}
    (folder / "a.nrrd").write_bytes(writers.nrrd(said, HU.tobytes()))
    return folder / "a.nrrd"


def mha(folder: Path, **changes: str | None) -> Path:
    said = {**writers.metaimage_fields(HU), **changes}
    last = said.pop("ElementDataFile")
    (folder / "a.mha").write_bytes(writers.metaimage({**said, "ElementDataFile": last}, HU.tobytes()))
    return folder / "a.mha"


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_ct(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


def warned(path: Path, *words: str, grid: Geometry = STRAIGHT) -> CtVolume:
    volume = read_ct(path)
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    assert volume.geometry.matches(grid)
    for word in words:
        assert any(word in w for w in volume.warnings), volume.warnings
    return volume


class TestNrrd:
    def test_right(self, folder: Path) -> None:
        assert warned(nrrd(folder)).warnings == ()

    def test_without_voxel_sizes(self, folder: Path) -> None:
        refused(nrrd(folder, space_directions=None), "how large its voxels are", "Export it again")

    def test_sizes_without_directions(self, folder: Path) -> None:
        path = nrrd(folder, space_directions=None, space=None, space_origin=None, spacings="3 3 5")
        warned(path, "left and right may be swapped", grid=Geometry.make(HU.shape, (5, 3, 3)))

    @pytest.mark.parametrize("spacings", ["3 3 0", "3 -3 5", "nan 3 5", "3 3"])
    def test_sizes_that_cannot_be(self, folder: Path, spacings: str) -> None:
        refused(nrrd(folder, space_directions=None, spacings=spacings))

    @pytest.mark.parametrize("space", [None, "scanner-xyz"])
    def test_without_the_patients_directions(self, folder: Path, space: str | None) -> None:
        warned(nrrd(folder, space=space), "left and right may be swapped")

    def test_without_origin(self, folder: Path) -> None:
        path = nrrd(folder, space_origin=None)
        warned(path, "no space origin", grid=Geometry.make(HU.shape, (5, 3, 3)))

    def test_two_voxel_sizes(self, folder: Path) -> None:
        warned(nrrd(folder, spacings="3 3 2"), "two voxel sizes")

    @pytest.mark.parametrize(
        ("space", "signs"),
        [("right-anterior-superior", (-1, -1, 1)), ("RAS", (-1, -1, 1)),
         ("LAS", (1, -1, 1)), ("LPS", (1, 1, 1))],
    )  # fmt: skip
    def test_spaces(self, folder: Path, space: str, signs: tuple[int, int, int]) -> None:
        matrix = np.diag([*(s * n for s, n in zip(signs, (3, 3, 5), strict=True)), 1.0])
        matrix[:3, 3] = np.array(signs) * (-90, -80, 20)
        volume = warned(nrrd(folder, space=space), grid=Geometry.from_ijk_to_lps(HU.shape, matrix))
        assert volume.warnings == ()

    def test_another_unit(self, folder: Path) -> None:
        refused(nrrd(folder, space_units='"cm" "cm" "cm"'), "cm", "millimetres")
        warned(nrrd(folder, space_units='"mm" "mm" "mm"'))

    def test_an_axis_of_time_with_a_direction_in_space(self, folder: Path) -> None:
        warned(nrrd(folder, kinds="domain domain time"), "axis 3 a 'time'")

    def test_values_that_were_scaled(self, folder: Path) -> None:
        warned(nrrd(folder, old_min="-1000"), "old min")

    def test_a_field_that_nrrd_does_not_know(self, folder: Path) -> None:
        volume = warned(nrrd(folder, spbce_directions="x"), "spbce directions")
        assert len(volume.warnings) == 1

    def test_a_field_given_twice(self, folder: Path) -> None:
        path = nrrd(folder)
        path.write_bytes(path.read_bytes().replace(b"type:", b"sizes: 52 24 24\ntype:", 1))
        refused(path, "'sizes' twice")

    @pytest.mark.parametrize("endian", [None, "middle"])
    def test_without_byte_order(self, folder: Path, endian: str | None) -> None:
        refused(nrrd(folder, endian=endian), "order")

    def test_the_other_byte_order(self, folder: Path) -> None:
        refused(nrrd(folder, endian="big"), "CT")

    @pytest.mark.parametrize(
        "changes",
        [
            {"dimension": "4"}, {"dimension": "-1"}, {"sizes": "52 48"}, {"sizes": "52 48 12.5"},
            {"kinds": "domain domain"}, {"type": "int17"}, {"type": "block"}, {"encoding": "zip"},
            {"space": "up-down"},
            {"space_directions": "(3,0,0) (0,3,0)"}, {"space_directions": "(3,0,0) (3,0,0) (0,0,5)"},
            {"space_directions": "(3,0,0) (0,3,0) (0,0,0)"},
            {"space_directions": "(3,0) (0,3) (0,0)"},
            {"space_directions": "(3,0,0) (0,3,0) (0,0,nan)"},
            {"space_origin": "(1,2)"}, {"space_origin": "(0,0,1e30)"}, {"space_origin": "1 2 3"},
            {"byte_skip": "-2"}, {"byte_skip": "10"}, {"line_skip": "100000"}, {"line_skip": "-1"},
            {"space": None, "space_dimension": "2"},
        ],
    )  # fmt: skip
    def test_nonsense(self, folder: Path, changes: dict[str, str | None]) -> None:
        refused(nrrd(folder, **changes))

    def test_skips(self, folder: Path) -> None:
        head = writers.nrrd({**writers.nrrd_fields(HU), "line skip": "2", "byte skip": "5"}, b"")
        (folder / "a.nrrd").write_bytes(head + b"one\ntwo\n12345" + HU.tobytes())
        warned(folder / "a.nrrd")
        head = writers.nrrd({**writers.nrrd_fields(HU), "byte skip": "-1"}, b"")
        (folder / "a.nrrd").write_bytes(head + b"any start" + HU.tobytes())
        warned(folder / "a.nrrd")

    @given(degrees=st.floats(3, 25))
    @steady
    def test_a_sheared_grid_is_straightened(self, folder: Path, degrees: float) -> None:
        tilt = 5 * np.tan(np.radians(degrees))
        volume = read_ct(nrrd(folder, space_directions=f"(3,0,0) (0,3,0) (0,{tilt:.6f},5)"))
        assert tilts(volume) == [pytest.approx(degrees, abs=0.051)]
        assert volume.hu_zyx.shape[0] == HU.shape[0] and volume.hu_zyx.shape[1] > HU.shape[1]

    def test_sheared_every_way(self, folder: Path) -> None:
        refused(nrrd(folder, space_directions="(3,0.5,0) (0,3,0.5) (0.5,0.9,5)"), "sheared")


class TestMetaImage:
    def test_right(self, folder: Path) -> None:
        assert warned(mha(folder)).warnings == ()

    def test_without_voxel_sizes(self, folder: Path) -> None:
        refused(mha(folder, ElementSpacing=None), "how large its voxels are", "Export it again")

    def test_two_voxel_sizes(self, folder: Path) -> None:
        warned(mha(folder, ElementSize="3 3 2"), "two voxel sizes")
        assert warned(mha(folder, ElementSize="3 3 5")).warnings == ()
        assert warned(mha(folder, ElementSpacing=None, ElementSize="3 3 5")).warnings == ()

    def test_without_orientation(self, folder: Path) -> None:
        warned(mha(folder, TransformMatrix=None), "left and right may be swapped")

    def test_without_origin(self, folder: Path) -> None:
        warned(mha(folder, Offset=None), "no Offset", grid=Geometry.make(HU.shape, (5, 3, 3)))

    def test_another_unit(self, folder: Path) -> None:
        refused(mha(folder, DistanceUnits="cm"), "cm", "millimetres")
        assert warned(mha(folder, DistanceUnits="mm")).warnings == ()

    def test_another_modality(self, folder: Path) -> None:
        warned(mha(folder, Modality="MET_MOD_MR"), "MET_MOD_MR")
        assert warned(mha(folder, Modality="MET_MOD_CT")).warnings == ()

    def test_a_scale(self, folder: Path) -> None:
        stored = (HU + 1024) // 2 * 2
        said = {
            "ElementToIntensityFunctionSlope": "2",
            "ElementToIntensityFunctionOffset": "-1024",
            **writers.metaimage_fields(HU),
        }
        (folder / "a.mha").write_bytes(writers.metaimage(said, (stored // 2).tobytes()))
        volume = read_ct(folder / "a.mha")
        np.testing.assert_array_equal(volume.hu_zyx, stored - 1024)
        assert any("scales the values by 2" in w for w in volume.warnings)

    def test_big_endian(self, folder: Path) -> None:
        said = {**writers.metaimage_fields(HU), "BinaryDataByteOrderMSB": "True"}
        (folder / "a.mha").write_bytes(writers.metaimage(said, HU.astype(">i2").tobytes()))
        assert warned(folder / "a.mha").warnings == ()

    def test_lines_that_end_as_on_windows(self, folder: Path) -> None:
        head = writers.metaimage(writers.metaimage_fields(HU), b"").replace(b"\n", b"\r\n")
        (folder / "a.mha").write_bytes(head + HU.tobytes())
        assert warned(folder / "a.mha").warnings == ()
        head = writers.nrrd(writers.nrrd_fields(HU), b"").replace(b"\n", b"\r\n")
        (folder / "a.nrrd").write_bytes(head + HU.tobytes())
        assert warned(folder / "a.nrrd").warnings == ()

    def test_letters_against_matrix(self, folder: Path) -> None:
        warned(mha(folder, AnatomicalOrientation="LAI"), "LAI", "RAI")

    def test_without_byte_order(self, folder: Path) -> None:
        warned(mha(folder, BinaryDataByteOrderMSB=None), "little-endian")

    def test_a_field_given_twice(self, folder: Path) -> None:
        path = mha(folder)
        path.write_bytes(path.read_bytes().replace(b"NDims", b"Origin = 1 2 3\nNDims", 1))
        refused(path, "twice")

    @given(degrees=st.floats(3, 25))
    @steady
    def test_a_sheared_grid_is_straightened(self, folder: Path, degrees: float) -> None:
        angle = np.radians(degrees)
        matrix = f"1 0 0 0 1 0 0 {np.sin(angle):.8f} {np.cos(angle):.8f}"
        volume = read_ct(mha(folder, TransformMatrix=matrix))
        assert tilts(volume) == [pytest.approx(degrees, abs=0.051)]

    @pytest.mark.parametrize(
        "changes",
        [
            {"TransformMatrix": "2 0 0 0 1 0 0 0 1"}, {"TransformMatrix": "1 0 0 0 1 0 0 1 0"},
            {"TransformMatrix": "1 0 0 0 1 0"}, {"ElementSpacing": "3 3 0"}, {"ElementSpacing": "3 -3 5"},
            {"DimSize": "52 48"}, {"DimSize": "0 48 12"}, {"ElementType": "MET_OTHER"}, {"ElementType": None},
            {"BinaryData": "Maybe"}, {"CompressedData": "True"}, {"CompressedDataSize": "77"},
            {"HeaderSize": "-2"}, {"HeaderSize": "9"}, {"NDims": "2.5"},
            {"ObjectType": "Tube"}, {"ElementNumberOfChannels": "-3"},
            {"ElementDataFile": None}, {"NDims": None}, {"Offset": "1 2 inf"}, {"Offset": "1e9 2 3"},
        ],
    )  # fmt: skip
    def test_nonsense(self, folder: Path, changes: dict[str, str | None]) -> None:
        refused(mha(folder, **changes))

    def test_the_compressed_size(self, folder: Path) -> None:
        data = writers.packed(HU.tobytes(), "zlib")
        said = writers.metaimage_fields(HU, compressed=len(data))
        for wrong in (len(data) - 5, len(data) + 5, 0, -1):
            text = writers.metaimage({**said, "CompressedDataSize": str(wrong)}, data)
            (folder / "a.mha").write_bytes(text)
            refused(folder / "a.mha")
        (folder / "a.mha").write_bytes(writers.metaimage({**said, "CompressedDataSize": None}, data))
        warned(folder / "a.mha")

    def test_data_at_the_end(self, folder: Path) -> None:
        head = writers.metaimage({**writers.metaimage_fields(HU), "HeaderSize": "-1"}, b"")
        head = head.replace(b"LOCAL", b"a.raw").replace(b"HeaderSize = -1\n", b"").replace(
            b"ElementDataFile", b"HeaderSize = -1\nElementDataFile")  # fmt: skip
        (folder / "a.mhd").write_bytes(head)
        (folder / "a.raw").write_bytes(b"some header" + HU.tobytes())
        warned(folder / "a.mhd")


def series_nifti(folder: Path, values: np.ndarray) -> Path:
    (folder / "t.nii.gz").write_bytes(gzip.compress(writers.nifti(values), 1))
    return folder / "t.nii.gz"


def series_nrrd(folder: Path, values: np.ndarray) -> Path:
    said = {
        **writers.nrrd_fields(values), "kinds": "domain domain domain list",
        "space directions": "(3,0,0) (0,3,0) (0,0,5) none",
    }  # fmt: skip
    (folder / "t.nrrd").write_bytes(writers.nrrd(said, values.tobytes()))
    return folder / "t.nrrd"


def sequence_nrrd(folder: Path, values: np.ndarray) -> Path:
    """As Slicer writes sequences and multi-volumes: the list is the fastest axis."""
    said = {
        **writers.nrrd_fields(values), "kinds": "list domain domain domain",
        "sizes": " ".join(map(str, (len(values), *values.shape[:0:-1]))),
        "space directions": "none (3,0,0) (0,3,0) (0,0,5)",
    }  # fmt: skip
    text = (
        writers.nrrd(said, b"").rstrip(b"\n") + b"\nMultiVolume.FrameLabels:=arterial,portal venous,late\n\n"
    )
    (folder / "t.nrrd").write_bytes(text + np.ascontiguousarray(np.moveaxis(values, 0, -1)).tobytes())
    return folder / "t.nrrd"


def timed_nrrd(folder: Path, values: np.ndarray) -> Path:
    """Time as a fourth direction of space."""
    said = {
        **writers.nrrd_fields(values), "space": "left-posterior-superior-time",
        "kinds": " ".join(["domain"] * 4),
        "space directions": "(3,0,0,0) (0,3,0,0) (0,0,5,0) (0,0,0,1)", "space origin": "(-90,-80,20,0)",
    }  # fmt: skip
    (folder / "t.nrrd").write_bytes(writers.nrrd(said, values.tobytes()))
    return folder / "t.nrrd"


def series_mha(folder: Path, values: np.ndarray) -> Path:
    (folder / "t.mha").write_bytes(writers.metaimage(writers.metaimage_fields(values), values.tobytes()))
    return folder / "t.mha"


@pytest.mark.parametrize("write", [series_nifti, series_nrrd, sequence_nrrd, timed_nrrd, series_mha])
class TestSeveralVolumes:
    VALUES = np.stack([HU, HU + 20, HU + 40])

    def test_are_offered(self, folder: Path, write: Callable[[Path, np.ndarray], Path]) -> None:
        refused(write(folder, self.VALUES), "3 volumes", "--series 1 to --series 3")

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_one_is_taken(self, folder: Path, write: Callable, number: int) -> None:
        volume = read_ct(write(folder, self.VALUES), str(number))
        np.testing.assert_array_equal(volume.hu_zyx, self.VALUES[number - 1])
        assert volume.geometry.matches(STRAIGHT)
        assert any("3 volumes" in n and f"number {number}" in n for n in volume.notes)
        assert volume.warnings == ()

    @pytest.mark.parametrize("wanted", ["0", "4", "-1", "nothing", ""])
    def test_none_of_them(self, folder: Path, write: Callable, wanted: str) -> None:
        with pytest.raises(InputError, match="--series 1 to --series 3"):
            read_ct(write(folder, self.VALUES), wanted)

    def test_one_alone_is_a_volume(self, folder: Path, write: Callable) -> None:
        volume = read_ct(write(folder, self.VALUES[:1]))
        np.testing.assert_array_equal(volume.hu_zyx, HU)
        assert volume.geometry.matches(STRAIGHT)
        assert volume.warnings == () and volume.notes == ()

    def test_damage_in_another_volume_counts(self, folder: Path, write: Callable) -> None:
        path = write(folder, self.VALUES)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(InputError, match="incomplete"):
            read_ct(path, "1")


def test_a_phase_is_taken_by_its_name(folder: Path) -> None:
    path = sequence_nrrd(folder, TestSeveralVolumes.VALUES)
    volume = read_ct(path, "Portal")
    np.testing.assert_array_equal(volume.hu_zyx, HU + 20)
    assert any("portal venous" in n for n in volume.notes)
    refused(path, "1: arterial, 2: portal venous")
    with pytest.raises(InputError, match="more than one"):
        read_ct(path, "r")
