"""SynthLiver-1: its plan, patients, files, readers, going on after a kill, and its checksums."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.deeplesion import load_slices
from LiverLesionAILab.data.folders import find_scans, layout_of
from LiverLesionAILab.data.images import read_image
from LiverLesionAILab.data.scan import Scan
from LiverLesionAILab.data.synthliver import (
    find_synthliver,
    read_class_slices,
    read_lesions,
    read_synth_slices,
)
from LiverLesionAILab.synthesis.appearance import LesionType, Phase
from LiverLesionAILab.synthesis.patient import LiverKind
from LiverLesionAILab.synthesis.synthliver import build as building
from LiverLesionAILab.synthesis.synthliver import checksums, classes, command, slices
from LiverLesionAILab.synthesis.synthliver.case import Case, digest
from LiverLesionAILab.synthesis.synthliver.images import write_nifti
from LiverLesionAILab.synthesis.synthliver.plan import CLASS_SLICES, CLASSES, SPLITS, deck, plan
from LiverLesionAILib.support.errors import Cancelled, InputError
from LiverLesionAILib.volume.ct import Geometry


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """One scan, two series and one patient of three classes, as the whole set has them."""
    folder = tmp_path_factory.mktemp("synthliver")
    chosen = {
        "volumes": plan("volumes", 1)[:1],
        "slices": [min(plan("slices")[:60], key=lambda p: (p.more["key_slices"] < 2, p.body.field_mm or 0))],
        "classes": [
            next(p for p in plan("classes") if p.more["class"] == name) for name in ("Normal", "HEM")
        ],
    }
    chosen["slices"].append(plan("slices")[-1])
    records = {part: {p.name: building.make_one(part, p, folder) for p in chosen[part]} for part in chosen}
    slices.write_table(list(records["slices"].values()), folder)
    classes.write_table(list(records["classes"].values()), folder)
    return folder, records


class TestPlan:
    def test_counts_are_the_issues_and_the_studys(self) -> None:
        volumes = plan("volumes")
        assert Counter(p.split for p in volumes) == {"train": 60, "validation": 20, "test": 40}
        assert sum(p.main_type is None for p in volumes) == 10
        counted = Counter()
        for p in plan("classes"):
            counted[p.more["class"]] += p.more["slices"]
        assert counted == CLASS_SLICES
        assert sum(counted.values()) == 1091

    def test_every_part_of_the_split_holds_every_type_phase_and_liver(self) -> None:
        for split in SPLITS:
            own = [p for p in plan("volumes") if p.split == split]
            assert {p.body.phase for p in own} == set(Phase)
            assert {p.body.liver_kind for p in own} == set(LiverKind)
            assert {p.main_type for p in own} >= set(LesionType)
            assert len({p.body.spacing_zyx_mm[0] for p in own}) == 5
            assert any(p.large for p in own)

    def test_names_and_seeds_are_unique_and_do_not_depend_on_the_limit(self) -> None:
        everyone = [p for part in building.PARTS for p in plan(part)]
        assert len({p.seed for p in everyone}) == len(everyone)
        for part in building.PARTS:
            whole = {p.name: p for p in plan(part)}
            few = plan(part, 2)
            assert len(whole) == len(plan(part))
            assert all(whole[p.name] == p for p in few)
        assert Counter(p.split for p in plan("volumes", 2)) == dict.fromkeys(SPLITS, 2)

    def test_both_divisions_of_the_classes_hold_every_class(self) -> None:
        for where in (lambda p: p.split, lambda p: p.more["split_2"]):
            found = {(where(p), p.more["class"]) for p in plan("classes")}
            assert found == {(split, name) for split in SPLITS for name in CLASSES}
        assert any(p.split != p.more["split_2"] for p in plan("classes"))

    def test_a_deck_holds_its_shares(self) -> None:
        dealt = deck({"a": 0.5, "b": 0.3, "c": 0.2}, 11, np.random.default_rng(0))
        assert len(dealt) == 11
        assert Counter(dealt)["a"] in (5, 6)
        assert Counter(dealt)["c"] in (2, 3)


def lesion_numbers(scan: Scan) -> np.ndarray:
    """Label file of a scan as 0 none, k lesion number k."""
    values, _ = read_image(scan.label_path)
    return np.where(values > 1, values - 1, 0)


class TestVolumes:
    def test_files_say_the_same(self, small: tuple[Path, dict]) -> None:
        (scan,) = find_scans(small[0])
        assert layout_of(small[0]) == "synthliver"
        read, numbers, facts = scan.read(), lesion_numbers(scan), read_lesions(scan)
        assert np.array_equal(read.labels_zyx == 2, numbers > 0)
        assert (read.labels_zyx == 1).sum() > 10 * (numbers > 0).sum()
        assert [one["number"] for one in facts["lesions"]] == sorted(set(np.unique(numbers)) - {0})
        voxel_ml = read.ct.geometry.voxel_volume_mm3 / 1000
        for lesion in facts["lesions"]:
            where = np.argwhere(numbers == lesion["number"])
            assert lesion["box_zyx"] == [where.min(0).tolist(), (where.max(0) + 1).tolist()]
            assert lesion["volume_ml"] == pytest.approx(len(where) * voxel_ml, rel=1e-3)
            assert lesion["long_axis_mm"] >= lesion["short_axis_mm"] > 0
            for z, y0, x0, y1, x1 in lesion["boxes_zyxyx"]:
                ys, xs = np.nonzero(numbers[z] == lesion["number"])
                assert (y0, x0, y1, x1) == (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1)
        assert facts["liver_ml"] == pytest.approx((read.labels_zyx > 0).sum() * voxel_ml, rel=1e-3)
        liver = read.ct.hu_zyx[read.labels_zyx == 1]
        assert 30 < np.median(liver) < 160

    def test_training_sees_them_on_its_grid(self, small: tuple[Path, dict], tmp_path: Path) -> None:
        pytest.importorskip("torch", reason="PyTorch is not installed")
        from LiverLesionAILab.training.synthliver_cases import synthliver_cases

        (case,) = synthliver_cases(small[0], "train", tmp_path, (5.0, 3.0, 3.0), 20.0)
        facts = read_lesions(find_synthliver(small[0], "train")[0])
        assert (case.name, case.patient, case.kind) == ("synth001", "synth001", "real")
        voxel_ml = np.prod(case.spacing_zyx_mm) / 1000
        assert (case.labels_zyx > 0).sum() * voxel_ml == pytest.approx(facts["liver_ml"], rel=0.03)
        lesions_ml = sum(one["volume_ml"] for one in facts["lesions"])
        assert (case.labels_zyx == 2).sum() * voxel_ml == pytest.approx(lesions_ml, rel=0.2)
        (again,) = synthliver_cases(small[0], "train", tmp_path, (5.0, 3.0, 3.0), 20.0)
        assert np.array_equal(again.grey_zyx, case.grey_zyx)
        assert len(list(tmp_path.iterdir())) == 1

    def test_splits_and_wrong_folders(self, small: tuple[Path, dict], tmp_path: Path) -> None:
        assert [s.name for s in find_synthliver(small[0], "train")] == ["synth001"]
        assert [s.name for s in find_synthliver(small[0] / "volumes" / "train")] == ["synth001"]
        with pytest.raises(InputError, match="no test volumes of SynthLiver-1"):
            find_synthliver(small[0], "test")
        with pytest.raises(InputError, match="There is no split dev"):
            find_synthliver(small[0], "dev")
        with pytest.raises(InputError, match="no volumes of SynthLiver-1"):
            find_synthliver(tmp_path)

    def test_a_missing_file_is_named(self, small: tuple[Path, dict], tmp_path: Path) -> None:
        where = tmp_path / "volumes" / "test" / "synth099"
        where.mkdir(parents=True)
        (where / "lesions.json").write_text("{}")
        with pytest.raises(InputError, match=r"synth099/ct.nii.gz is missing"):
            find_scans(tmp_path)


class TestSlices:
    def test_deeplesions_reader_reads_them(self, small: tuple[Path, dict]) -> None:
        folder, records = small
        rows = [row for record in records["slices"].values() for row in record["rows"]]
        keys = [key for split in SPLITS for key in read_synth_slices(folder, split)]
        assert sum(len(k.boxes_xyxy_px) for k in keys) == len(rows) > 0
        for key in keys:
            plans = {p.name: p for p in plan("slices")}
            own = plans[key.patient.removeprefix("deeplesion-")]
            assert (key.split, key.slice_interval_mm) == (own.split, own.body.spacing_zyx_mm[0])
            assert key.pixel_mm == pytest.approx(own.body.spacing_zyx_mm[2], abs=1e-3)
            image = load_slices(key, (-1, 0, 1))
            assert image.shape[0] == 3
            assert image.min() < -900
            for box, diameter in zip(key.boxes_xyxy_px, key.diameters_mm, strict=True):
                # Tight boxes: the long axis fits into the diagonal, and is no shorter than the longer side.
                sides = (box[2:] - box[:2]) * key.pixel_mm
                assert sides.max() - 2 * key.pixel_mm <= diameter <= np.hypot(*sides) + key.pixel_mm
                x0, y0, x1, y1 = box.astype(int)
                assert 0 <= x0 < x1 <= image.shape[2]
                assert 0 <= y0 < y1 <= image.shape[1]

    def test_boxes_and_slices_lie_where_the_lesions_are(self, tmp_path: Path, monkeypatch) -> None:
        case = made_up_case()
        monkeypatch.setattr(slices, "draw_case", lambda own: case)
        own = replace(plan("slices")[0], more={"key_slices": 2})
        record = slices.make_series(own, tmp_path)
        slices.write_table([record], tmp_path)
        keys = read_synth_slices(tmp_path, "train")
        assert [k.slice_index for k in keys] == [6, 16], "numbers in the table start at 1"
        assert keys[0].boxes_xyxy_px.tolist() == [[10, 8, 18, 14]]
        assert keys[1].boxes_xyxy_px.tolist() == [[30, 30, 34, 34]]
        assert np.array_equal(load_slices(keys[0], (0,))[0], case.hu_zyx[5])
        assert np.array_equal(load_slices(keys[1], (-1,))[0], case.hu_zyx[14])
        assert keys[0].diameters_mm[0] == pytest.approx(2 * np.hypot(8, 6), rel=0.2)


class TestClasses:
    def test_examples_show_their_class(self, small: tuple[Path, dict]) -> None:
        found = [s for split in SPLITS for s in read_class_slices(small[0], split)]
        again = [s for split in SPLITS for s in read_class_slices(small[0], split, 2)]
        assert {s.name for s in found} == {s.name for s in again}
        quotas = {p.name: p.more["slices"] for p in plan("classes")}
        assert Counter(s.patient for s in found) == {s.patient: quotas[s.patient] for s in found}
        assert {s.kind for s in found} == {"Normal", "HEM"}
        for one in found:
            image = one.load()
            assert image.hu.shape == image.labels.shape
            assert image.hu.dtype == np.int16
            area = (image.labels[1] == 2).sum() * np.prod(image.spacing_zyx_mm[1:])
            assert area == pytest.approx(one.lesion_mm2, abs=0.1)
            assert (area > 25) == (one.kind != "Normal")
            assert (image.labels[1] > 0).sum() * np.prod(image.spacing_zyx_mm[1:]) > 2900

    def test_a_damaged_table_is_named(self, small: tuple[Path, dict], tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"classes.csv is missing"):
            read_class_slices(tmp_path, "test")
        text = (small[0] / "classes" / "classes.csv").read_text()
        (tmp_path / "classes.csv").write_text(text.replace("HEM", "HEN"))
        with pytest.raises(InputError, match="no class HEN"):
            [read_class_slices(tmp_path, split) for split in SPLITS]
        (tmp_path / "classes.csv").write_text(text.replace("split_2", "part"))
        with pytest.raises(InputError, match="column split_2 is missing"):
            read_class_slices(tmp_path, "test")
        with pytest.raises(InputError, match="no division 3"):
            read_class_slices(small[0], "test", 3)


class TestChecksums:
    def test_the_patients_are_those_recorded(self, small: tuple[Path, dict]) -> None:
        for check in checksums.compare(small[1], checksums.recorded()):
            assert not check.other, check.text()
            assert not check.unknown, check.text()

    def test_every_patient_is_recorded_and_the_total_fits(self) -> None:
        known = checksums.recorded()
        for part in building.PARTS:
            assert list(known[part]) == sorted(p.name for p in plan(part))
        stated = json.loads(checksums.RECORDED.read_text())["digest"]
        assert checksums.set_digest(known) == stated

    def test_rounding_is_told_from_another_patient(self) -> None:
        known = {"volumes": {"a": ["0" * 16, [3, 1500.0, 12.0, 110.0, 60.0]]}}

        def one(digest: str, *fingerprint: float) -> checksums.PartCheck:
            records = {"volumes": {"a": {"digest": digest, "fingerprint": list(fingerprint)}}}
            return checksums.compare(records, known)[0]

        assert one("0" * 16, 1, 1, 1, 1, 1).same == ("a",)
        assert one("f" * 16, 3, 1500.4, 12.02, 110.01, 60.1).rounded == ("a",)
        assert one("f" * 16, 4, 1500.4, 12.02, 110.01, 60.1).other == ("a",)
        assert one("f" * 16, 3, 1600.0, 12.0, 110.0, 60.0).other == ("a",)
        assert "DIFFER (a)" in one("f" * 16, 3, 1500.0, 12.0, 112.0, 60.0).text()
        unknown = checksums.compare({"volumes": {"b": {"digest": "", "fingerprint": []}}}, known)[0]
        assert unknown.unknown == ("b",)

    def test_digests_see_every_voxel_shape_and_type(self) -> None:
        array = np.arange(12, dtype=np.int16).reshape(3, 4)
        others = [
            array.T.copy().reshape(4, 3),
            array.astype(np.int32),
            array + np.int16(1),
            array.reshape(4, 3),
        ]
        assert len({digest(a) for a in [array, *others]}) == 5
        assert digest(array) == digest(np.asfortranarray(array)) == digest(array.astype(">i2"))

    def test_recorded_files_come_back(self, tmp_path: Path) -> None:
        records = {"slices": {"b": {"digest": "1" * 16, "fingerprint": [1, 2.5]}}}
        total = checksums.write_recorded(records, tmp_path / "x.json")
        assert checksums.recorded(tmp_path / "x.json") == {"slices": {"b": ["1" * 16, [1, 2.5]]}}
        assert json.loads((tmp_path / "x.json").read_text())["digest"] == total
        (tmp_path / "x.json").write_text("{")
        with pytest.raises(InputError, match="missing or damaged"):
            checksums.recorded(tmp_path / "x.json")


class TestBuild:
    @pytest.fixture
    def made(self, monkeypatch) -> list[str]:
        """Patients made, in order; making is only a small file."""
        names: list[str] = []

        def make(own, folder: Path) -> dict:
            names.append(own.name)
            (folder / f"{own.name}.bin").write_bytes(b"x")
            return {"digest": "d" * 16, "fingerprint": [1.0], "files": [f"{own.name}.bin"], "rows": []}

        monkeypatch.setattr(building, "_MAKERS", dict.fromkeys(building.PARTS, make))
        return names

    def test_a_killed_run_goes_on_and_damage_is_mended(self, made: list[str], tmp_path: Path) -> None:
        def stop(stage: str, fraction: float) -> None:
            if len(made) == 4:
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            building.build(tmp_path, ["slices"], limit=2, progress=stop)
        building.build(tmp_path, ["slices"], limit=2)
        assert len(made) == len(set(made)) == 6, "none is made twice"
        (tmp_path / f"{made[0]}.bin").unlink()
        (tmp_path / ".records" / "slices" / f"{made[1]}.json").write_text("{")
        records = building.build(tmp_path, ["slices"], limit=2)
        assert sorted(made[6:]) == sorted(made[:2])
        assert list(records["slices"]) == sorted(records["slices"])
        assert json.loads((tmp_path / "set.json").read_text())["parts"]["slices"]["patients"] == 6

    def test_progress_ends_at_the_whole(self, made: list[str], tmp_path: Path) -> None:
        told: list[float] = []
        building.build(tmp_path, ["classes"], limit=1, progress=lambda stage, fraction: told.append(fraction))
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert (tmp_path / "classes" / "classes.csv").read_text().startswith("name,patient,class")

    def test_command_says_what_differs(self, made: list[str], tmp_path: Path) -> None:
        parser = argparse.ArgumentParser()
        command.add_synthesize_arguments(parser)
        said: list[str] = []
        words = ["SynthLiver-1", "--out", str(tmp_path), "--limit", "1", "--jobs", "1", "--part", "volumes"]
        assert command.run_synthesize(parser.parse_args(words), say=said.append) == 1
        assert "3 DIFFER (synth001, synth061, synth081)" in "\n".join(said)
        with pytest.raises(InputError, match="whole numbers"):
            command.run_synthesize(parser.parse_args([*words, "--jobs", "0"]))
        with pytest.raises(InputError, match="takes the whole set"):
            command.run_synthesize(parser.parse_args([*words, "--record", "x.json"]))


def made_up_case() -> Case:
    """Two lesions in 24 slices of 2.5 x 2 x 2 mm: one of slices 4 to 6, one of slice 15."""
    geometry = Geometry.make((24, 40, 44), (2.5, 2.0, 2.0))
    labels = np.zeros(geometry.shape_zyx, np.uint8)
    labels[2:22, 2:38, 2:42] = 1
    labels[4:7, 9:13, 11:17] = 2
    labels[5, 8:14, 10:18] = 2
    labels[15, 30:34, 30:34] = 3
    hu = np.random.default_rng(0).integers(-1024, 3071, geometry.shape_zyx).astype(np.int16)
    facts = [
        {"number": 1, "label": 2, "volume_ml": 1.0, "box_zyx": [[4, 8, 10], [7, 14, 18]]},
        {"number": 2, "label": 3, "volume_ml": 0.2, "box_zyx": [[15, 30, 30], [16, 34, 34]]},
    ]
    return Case(hu, labels, geometry, tuple(facts), {"sex": "F"})


def test_nifti_files_keep_their_grid(tmp_path: Path) -> None:
    geometry = Geometry.make((3, 4, 5), (2.5, 1.25, 1.5), (10.0, -20.0, 30.0))
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    write_nifti(array, geometry, tmp_path / "a.nii.gz")
    values, grid = read_image(tmp_path / "a.nii.gz")
    assert np.array_equal(values, array)
    assert grid.matches(geometry)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]
