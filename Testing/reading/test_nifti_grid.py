"""sform, qform and pixdim that contradict each other: the policy of Resources/decisions/nifti-grid.md."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.reading import load_ct, read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy.spatial.transform import Rotation
from support.ct_grids import steady
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))
GRID = writers.AxialGrid()
SFORM = GRID.sform_ras
STRAIGHT = Geometry.make(HU.shape, (5, 3, 3), (-90, -80, 20))
SPACING = (1.0, 3.0, 3.0, 5.0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grid") / "scan.nii"


def read(path: Path, grid: str = "", **fields: object) -> CtVolume:
    path.write_bytes(writers.nifti(HU, **fields))
    return load_ct(path, grid=grid)


def refused(path: Path, *words: str, grid: str = "", **fields: object) -> None:
    with pytest.raises(InputError) as caught:
        read(path, grid, **fields)
    for word in ("scan.nii", *words):
        assert word in str(caught.value)


def same(volume: CtVolume, grid: Geometry = STRAIGHT, tolerance: float = 1e-3) -> None:
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    assert volume.geometry.matches(grid, tolerance)


def moved(change: np.ndarray) -> np.ndarray:
    """The sform with columns changed."""
    return np.column_stack([SFORM[:, :3] @ change, SFORM[:, 3]])


class TestSformDecides:
    @pytest.mark.parametrize("codes", [(0, 1), (1, 1), (1, 0), (2, 4), (0, 5)])
    def test_valid_forms_without_a_word(self, path: Path, codes: tuple[int, int]) -> None:
        volume = read(path, qform_code=codes[0], sform_code=codes[1])
        same(volume)
        assert volume.warnings == () and volume.notes == ()

    @given(sizes=st.tuples(*[st.floats(0.05, 20)] * 3))
    @steady
    def test_over_pixdim_and_says_so(self, path: Path, sizes: tuple[float, float, float]) -> None:
        volume = read(path, qform_code=0, pixdim=(1, *sizes, 0, 0, 0, 0))
        same(volume)
        differs = any(abs(a - b) > 0.0101 * max(a, b) for a, b in zip(sizes, (3, 3, 5), strict=True))
        assert not differs or any("two voxel sizes" in w and "5 mm" in w for w in volume.warnings)

    @pytest.mark.parametrize("sizes", [(-3, 3, 5), (3, 3, -5), (0, 3, 5), (3, 3, 0), (float("nan"), 3, 5)])
    @pytest.mark.parametrize("qform_code", [0, 1])
    def test_over_sizes_that_cannot_be(self, path: Path, sizes: tuple, qform_code: int) -> None:
        """Never mirrored, never stretched."""
        volume = read(path, qform_code=qform_code, pixdim=(1, *sizes, 0, 0, 0, 0))
        same(volume)
        assert volume.warnings

    @pytest.mark.parametrize("code", [-1, 6, 300])
    def test_codes_that_nifti_does_not_know_are_said(self, path: Path, code: int) -> None:
        volume = read(path, sform_code=code)
        same(volume)
        assert any(str(code) in w for w in volume.warnings)


class TestQformAlone:
    @given(degrees=st.tuples(*[st.floats(-180, 180)] * 3), qfac=st.sampled_from((1.0, -1.0, 0.0)))
    @steady
    def test_any_rotation(self, path: Path, degrees: tuple[float, float, float], qfac: float) -> None:
        turn = Rotation.from_euler("xyz", degrees, degrees=True)
        x, y, z, w = turn.as_quat()
        quatern = np.array((x, y, z)) * (1 if w >= 0 else -1)
        volume = read(path, sform_code=0, quatern=tuple(quatern), pixdim=(qfac, 3, 3, 5, 0, 0, 0, 0))
        ras = turn.as_matrix() * [3, 3, -5 if qfac < 0 else 5]
        expected = np.eye(4)
        expected[:3] = np.column_stack([ras, SFORM[:, 3]])
        # Near half a turn single precision leaves 3e-4 radians.
        same(volume, Geometry.from_ijk_to_ras(HU.shape, expected), 0.05)

    @pytest.mark.parametrize(
        "fields",
        [
            {"pixdim": (1, -3, 3, 5, 0, 0, 0, 0)}, {"pixdim": (1, 3, 3, 0, 0, 0, 0, 0)},
            {"pixdim": (1, 3, float("inf"), 5, 0, 0, 0, 0)}, {"quatern": (1.0, 1.0, 0.0)},
            {"quatern": (float("nan"), 0.0, 0.0)}, {"qoffset": (float("inf"), 0.0, 0.0)},
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused(self, path: Path, fields: dict) -> None:
        refused(path, "position in the patient is damaged", sform_code=0, **fields)

    def test_a_damaged_sform_beside_it_is_said(self, path: Path) -> None:
        volume = read(path, srow=np.zeros((3, 4)))
        same(volume)
        assert any("sform is not valid" in w for w in volume.warnings)


class TestNeither:
    def test_sizes_alone_are_read_with_a_warning(self, path: Path) -> None:
        volume = read(path, qform_code=0, sform_code=0)
        same(volume, Geometry.make(HU.shape, (5, 3, 3)))
        assert any("left and right may be swapped" in w for w in volume.warnings)

    @pytest.mark.parametrize("sizes", [(0, 0, 0), (-3, 3, 5), (3, 3, float("nan"))])
    def test_no_sizes_are_refused(self, path: Path, sizes: tuple) -> None:
        refused(path, "no sform or qform", qform_code=0, sform_code=0, pixdim=(1, *sizes, 0, 0, 0, 0))

    @pytest.mark.parametrize("row", [0, 1, 2])
    def test_a_damaged_sform_is_refused(self, path: Path, row: int) -> None:
        wrong = SFORM.copy()
        wrong[:, row] = 0
        refused(path, "damaged", qform_code=0, srow=wrong)


class TestContradiction:
    @given(
        st.one_of(
            st.sampled_from([np.diag(d) for d in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1))]),
            st.tuples(*[st.floats(1.05, 3)] * 3).map(np.diag),
            st.floats(12, 180).map(lambda a: np.diag([1 / 3, 1 / 3, 1 / 5])
            @ Rotation.from_euler("z", a, degrees=True).as_matrix() @ np.diag([3.0, 3.0, 5.0])),
        )
    )  # fmt: skip
    @steady
    def test_mirrored_stretched_turned(self, path: Path, change: np.ndarray) -> None:
        """Both readings are named, and either can be chosen."""
        other = moved(change)
        refused(path, "By the sform", "by the qform", "--grid sform or --grid qform", srow=other)
        by_qform = read(path, "qform", srow=other)
        same(by_qform)
        assert any("as you chose" in w for w in by_qform.warnings)
        by_sform = read(path, "sform", srow=other)
        expected = np.eye(4)
        expected[:3] = other
        same(by_sform, Geometry.from_ijk_to_ras(HU.shape, expected))
        assert any("as you chose" in w for w in by_sform.warnings)

    @given(axis=st.integers(0, 2), voxels=st.floats(1.1, 500), sign=st.sampled_from((-1, 1)))
    @steady
    def test_shifted(self, path: Path, axis: int, voxels: float, sign: int) -> None:
        other = SFORM.copy()
        other[axis, 3] += sign * voxels * (3, 3, 5)[axis]
        refused(path, "voxels apart", "--grid", srow=other)

    @given(axis=st.integers(0, 2), voxels=st.floats(0.06, 0.9))
    @steady
    def test_less_than_a_voxel_is_said(self, path: Path, axis: int, voxels: float) -> None:
        other = SFORM.copy()
        other[axis, 3] += voxels * (3, 3, 5)[axis]
        assert any("differ by" in w for w in read(path, srow=other).warnings)

    def test_rounding_is_not(self, path: Path) -> None:
        assert read(path, srow=SFORM + 0.001).warnings == ()
        # Axes that are rounded in every direction are straightened, not refused.
        assert any("differ by" in w for w in read(path, srow=SFORM + 0.01).warnings)

    @pytest.mark.parametrize(("grid", "fields"), [("sform", {"sform_code": 0}), ("qform", {"qform_code": 0})])
    def test_a_choice_that_is_not_there(self, path: Path, grid: str, fields: dict) -> None:
        refused(path, f"no {grid}", grid=grid, **fields)

    def test_a_choice_where_nothing_contradicts(self, path: Path) -> None:
        for grid in ("sform", "qform"):
            volume = read(path, grid)
            same(volume)
            assert volume.warnings == ()


class TestTilt:
    # Told to a tenth: the header's single precision decides to which side these are rounded.
    @example(degrees=3.25, sign=1, qform_code=0)
    @example(degrees=12.75, sign=-1, qform_code=1)
    @given(degrees=st.floats(3, 25), sign=st.sampled_from((-1, 1)), qform_code=st.integers(0, 1))
    @steady
    def test_is_straightened_by_the_sform(
        self, path: Path, degrees: float, sign: int, qform_code: int
    ) -> None:
        """As common converters write it: the tilt in the sform, lost in the qform."""
        tilted = SFORM.copy()
        tilted[1, 2] = sign * 5 * np.tan(np.radians(degrees))
        volume = read(path, srow=tilted, qform_code=qform_code)
        said = re.search(r"tilted by ([\d.]+) degrees", " ".join(volume.warnings))
        assert said and float(said[1]) == pytest.approx(degrees, abs=0.051)
        assert qform_code == 0 or any("sform was taken" in w for w in volume.warnings)
        # A bright voxel lies where the sform puts it.
        k, j, i = 7, 20, 30
        lps = np.diag([-1, -1, 1]) @ (tilted[:, :3] @ [i, j, k] + tilted[:, 3])
        place = volume.geometry.lps_to_index(lps)
        assert place[0] == pytest.approx(k, abs=1e-3) and place[2] == pytest.approx(i, abs=1e-3)
        line = volume.hu_zyx[k, :, i].astype(float)
        value = np.interp(place[1], np.arange(len(line)), line)
        near = HU[k, j - 1 : j + 2, i]
        assert near.min() - 1 <= value <= near.max() + 1

    def test_the_qform_can_be_chosen(self, path: Path) -> None:
        tilted = SFORM.copy()
        tilted[1, 2] = -0.9
        volume = read(path, "qform", srow=tilted)
        same(volume)
        assert any("leaves out" in w for w in volume.warnings)

    def test_of_a_volume_stored_in_another_order(self, path: Path) -> None:
        """Slices along the first stored axis."""
        tilted = SFORM.copy()
        tilted[1, 2] = -0.9
        path.write_bytes(writers.nifti(HU, srow=tilted, qform_code=0))
        expected = read_ct(path)
        turned = np.ascontiguousarray(HU.transpose(1, 2, 0))
        columns = tilted[:, [2, 0, 1, 3]]
        path.write_bytes(writers.nifti(turned, srow=columns, qform_code=0, pixdim=(1, 5, 3, 3, 0, 0, 0, 0)))
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu_zyx, expected.hu_zyx)
        assert volume.geometry.matches(expected.geometry)


@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (2, 1.0), (1, 1e-3), (3, 1e3)])
def test_units(path: Path, unit: int, factor: float) -> None:
    scaled = writers.AxialGrid(
        tuple(s * factor for s in (3, 3, 5)), tuple(s * factor for s in (-90, -80, 20))
    )
    path.write_bytes(writers.nifti(HU, scaled, xyzt_units=unit))
    same(read_ct(path))


def test_the_wrong_unit_is_refused(path: Path) -> None:
    path.write_bytes(writers.nifti(HU, xyzt_units=1))
    with pytest.raises(InputError, match="3000 mm wide"):
        read_ct(path)


def test_only_nifti_has_a_choice(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(writers.nrrd(writers.nrrd_fields(HU), HU.tobytes()))
    with pytest.raises(InputError, match="--grid"):
        read_ct(tmp_path / "scan.nrrd", grid="sform")
