"""Results saved and loaded: nothing lost, nothing half-written, damage reported."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from LiverLesionAILib.case.findings import AttentionMap, CaseResult, ProbabilityMap
from LiverLesionAILib.case.store import CASE_FILE, load_result, save_result
from LiverLesionAILib.case.tracking import with_tracking
from LiverLesionAILib.support import files
from LiverLesionAILib.support.errors import InputError, OutputError
from LiverLesionAILib.support.files import sha256_of
from LiverLesionAILib.volume.ct import Geometry
from support.results import empty_result, measured_result, results


def assert_same(first, second, where: str = "result") -> None:
    """Equal in every field, numbers to the rounding of the schema, maps to half precision of their range."""
    assert type(first) is type(second), where
    if isinstance(first, AttentionMap):
        finite = first.values_zyx[np.isfinite(first.values_zyx)]
        spread = np.ptp(finite) if finite.size else 0.0
        assert second.values_zyx.dtype == np.float32, where
        np.testing.assert_allclose(
            first.values_zyx, second.values_zyx, rtol=2e-6, atol=spread / 2000 + 1e-12, err_msg=where
        )
    if is_dataclass(first):
        for field in fields(first):
            if not (isinstance(first, AttentionMap) and field.name == "values_zyx"):
                assert_same(getattr(first, field.name), getattr(second, field.name), f"{where}.{field.name}")
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype, where
        np.testing.assert_array_equal(first, second, err_msg=where)
    elif isinstance(first, dict):
        assert list(first) == list(second), where
        for key in first:
            assert_same(first[key], second[key], f"{where}[{key!r}]")
    elif isinstance(first, tuple):
        assert len(first) == len(second), where
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    elif isinstance(first, float):
        # Grids are exact: the arrays above would not lie where they did.
        tolerance = 0.0 if "geometry" in where else 0.00051 if "hu_" in where else 0.000051
        assert (math.isnan(first) and math.isnan(second)) or abs(first - second) <= tolerance, where
    else:
        assert first == second, where
        assert not isinstance(first, Enum) or first is second, where


class TestRoundTrip:
    @settings(max_examples=60, deadline=None)
    @given(results())
    def test_any_result(self, result: CaseResult):
        with tempfile.TemporaryDirectory() as folder:
            save_result(result, Path(folder))
            assert_same(with_tracking(result), load_result(Path(folder)))

    def test_measured_result(self, tmp_path):
        result = measured_result()
        path = save_result(result, tmp_path / "new" / "folder")
        assert path.name == CASE_FILE
        assert_same(with_tracking(result), load_result(path.parent))

    def test_empty_result(self, tmp_path):
        save_result(empty_result(), tmp_path)
        loaded = load_result(tmp_path)
        assert_same(empty_result(), loaded)
        assert math.isnan(loaded.liver_hu_mean)

    def test_attention_with_gaps_and_extremes(self, tmp_path):
        grid = Geometry.make((2, 3, 4))
        values = np.full(grid.shape_zyx, 3e5, np.float32)
        values[0] = -1e6
        values[1, 1, 1] = np.nan
        shown = AttentionMap("CAM", "Where it looked.", values, grid, (-1e6, 1e6), "", 2)
        constant = AttentionMap("flat", "", np.full(grid.shape_zyx, 0.1, np.float32), grid)
        save_result(empty_result(attention=(shown, constant)), tmp_path)
        loaded = load_result(tmp_path).attention
        assert_same((shown, constant), loaded)
        assert np.isnan(loaded[0].values_zyx[1, 1, 1])

    def test_views_and_other_integer_types(self, tmp_path):
        """Masks that are transposed views, uint8 or int64 are saved all the same."""
        result = measured_result()
        as_views = measured_result(
            liver_zyx=np.ascontiguousarray(result.liver_zyx.T).T.astype(np.uint8),
            lesion_labels_zyx=np.ascontiguousarray(result.lesion_labels_zyx.T).T.astype(np.int64),
        )
        save_result(as_views, tmp_path)
        assert_same(with_tracking(result), load_result(tmp_path))


class TestFolder:
    def test_plain_json_without_nan(self, tmp_path):
        path = save_result(empty_result(), tmp_path)
        described = json.loads(path.read_text("utf-8"), parse_constant=lambda name: pytest.fail(name))
        assert described["liver"]["hu_mean"] is None
        assert (described["schema"], described["schema_version"]) == ("LiverLesionAI case", 2)

    def test_saving_again_replaces(self, tmp_path):
        (tmp_path / "case-notes.npz").write_text("the reader's own")
        save_result(empty_result(), tmp_path)
        save_result(measured_result(), tmp_path)
        assert_same(with_tracking(measured_result()), load_result(tmp_path))
        names = sorted(os.listdir(tmp_path))
        assert len(names) == 3
        assert {CASE_FILE, "case-notes.npz"} < set(names)

    @pytest.mark.parametrize("failing", ["arrays", "json", "rename"])
    def test_full_disk_keeps_the_old_result(self, tmp_path, monkeypatch, failing):
        save_result(empty_result(), tmp_path)
        before = sorted(os.listdir(tmp_path))

        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        if failing == "arrays":
            monkeypatch.setattr(np.lib.format, "write_array", full)
        elif failing == "json":
            monkeypatch.setattr(Path, "write_bytes", full)
        else:
            replace = os.replace
            monkeypatch.setattr(
                files.os, "replace", lambda a, b: full() if Path(b).name == CASE_FILE else replace(a, b)
            )
        with pytest.raises(OutputError, match="disk is full"):
            save_result(measured_result(), tmp_path)
        monkeypatch.undo()
        assert sorted(os.listdir(tmp_path)) == before
        assert_same(empty_result(), load_result(tmp_path))

    def test_small_and_quick_for_a_whole_scan(self, tmp_path):
        """512 x 512 x 164: the liver's bits and cropped labels, not 130 MB of arrays."""
        geometry = Geometry.make((164, 512, 512), (1.0, 0.7, 0.7))
        liver, labels = np.zeros(geometry.shape_zyx, bool), np.zeros(geometry.shape_zyx, np.uint16)
        liver[10:150, 100:400, 50:350] = True
        labels[50:90, 200:250, 200:260] = 1
        result = empty_result(geometry=geometry, liver_zyx=liver, lesion_labels_zyx=labels)
        save_result(result, tmp_path)
        assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 200_000
        loaded = load_result(tmp_path)
        assert np.array_equal(loaded.liver_zyx, liver)
        assert np.array_equal(loaded.lesion_labels_zyx, labels)


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        grid = Geometry.make((3, 4, 5))
        probability = ProbabilityMap(np.zeros(grid.shape_zyx, np.uint8), grid)
        save_result(measured_result(probabilities={"liver": probability}), tmp_path)
        return tmp_path

    def edit(self, folder: Path, change) -> None:
        described = json.loads((folder / CASE_FILE).read_text("utf-8"))
        change(described)
        (folder / CASE_FILE).write_text(json.dumps(described), encoding="utf-8")

    def test_no_result(self, tmp_path):
        for folder, said in ((tmp_path, "no saved result"), (tmp_path / "missing", "no such case folder")):
            with pytest.raises(InputError, match=said):
                load_result(folder)

    @pytest.mark.parametrize("keep", [0, 1, 100, 2000])
    def test_truncated_json(self, folder, keep):
        content = (folder / CASE_FILE).read_bytes()
        (folder / CASE_FILE).write_bytes(content[:keep])
        with pytest.raises(InputError, match="Analyse the CT again"):
            load_result(folder)

    def test_binary_instead_of_json(self, folder):
        (folder / CASE_FILE).write_bytes(bytes(range(256)))
        with pytest.raises(InputError, match="cannot be read"):
            load_result(folder)

    def test_missing_array_file(self, folder):
        next(folder.glob("case-*.npz")).unlink()
        with pytest.raises(InputError, match=r"array file .* is missing"):
            load_result(folder)

    @pytest.mark.parametrize("position", [0, 200, -30])
    def test_flipped_byte_in_the_arrays(self, folder, position):
        path = next(folder.glob("case-*.npz"))
        content = bytearray(path.read_bytes())
        content[position] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(InputError, match="is damaged"):
            load_result(folder)

    def test_newer_version(self, folder):
        self.edit(folder, lambda d: d.update(schema_version=3))
        with pytest.raises(InputError, match="newer"):
            load_result(folder)

    @pytest.mark.parametrize("name", ["../secret.npz", "/etc/passwd", "case-0123456789ab.npz/../x", 5])
    def test_other_file_names_are_not_opened(self, folder, name):
        self.edit(folder, lambda d: d["arrays"].update(file=name))
        with pytest.raises(InputError):
            load_result(folder)

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.pop("liver"),
            lambda d: d.update(schema="something else"),
            lambda d: d.update(lesions={"a": 1}),
            lambda d: d.update(geometry=None),
            lambda d: d["geometry"].update(shape_zyx=[3, 4]),
            lambda d: d["geometry"].update(shape_zyx=[1, 1, 1]),
            lambda d: d["geometry"].update(spacing_zyx_mm=[1, 1]),
            lambda d: d["liver_mask"].update(shape_zyx=[1, 1, 1]),
            lambda d: d["liver_mask"].update(start_zyx=[-1, 0, 0]),
            lambda d: d["liver_mask"].update(start_zyx=[1000, 0, 0]),
            lambda d: d["liver_mask"].update(array="nothing"),
            lambda d: d["lesion_labels"].update(shape_zyx=[1, 1, 1]),
            lambda d: d["lesions"][0].update(status="unheard of"),
            lambda d: d["lesions"][0]["measurement"].update(long_axis_lps=[[0, 0, 0]]),
            lambda d: d["lesions"][0]["measurement"].pop("hu_sd"),
            lambda d: d["lesions"][0].update(centre_lps=[1, 2]),
            lambda d: d["probabilities"]["liver"]["geometry"].update(shape_zyx=[5, 4, 3]),
        ],
    )
    def test_inconsistent_content(self, folder, change):
        self.edit(folder, change)
        with pytest.raises(InputError, match="Analyse the CT again"):
            load_result(folder)

    def test_pickles_are_not_opened(self, folder):
        """An array of Python objects could run code when loaded."""
        path = next(folder.glob("case-*.npz"))
        with np.load(path) as archive:
            arrays = dict(archive)
        arrays["liver"] = np.array([print], object)
        np.savez(path, **arrays)
        self.edit(folder, lambda d: d["arrays"].update(sha256=sha256_of(path)))
        with pytest.raises(InputError, match="no plain numbers"):
            load_result(folder)


def test_the_same_result_is_the_same_files(tmp_path):
    result = with_tracking(measured_result())
    for name in ("one", "two"):
        save_result(result, tmp_path / name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
    save_result(result, tmp_path / "two")
    assert {p.name: p.read_bytes() for p in (tmp_path / "two").iterdir()} == files[0]
