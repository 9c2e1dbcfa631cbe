"""`liverlesionai gallbladders` from end to end: drawn slices, small bodies, a network by density."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from LiverLesionAILab.evaluation import gallbladders
from LiverLesionAILab.evaluation.gallbladder_in_cases import case_rows, case_table
from LiverLesionAILab.evaluation.gallbladder_line import NOT_COUNTED, LineRow, line_row, line_table
from LiverLesionAILab.evaluation.gallbladders import read_rows, run_gallbladders, summary, trained_network
from LiverLesionAILab.training import gallbladder_cases as made_cases
from LiverLesionAILab.training.gallbladder_cases import GallbladderBody, GallbladderMix
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.stages.neighbours.gallbladder import GallbladderSettings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from support.slice_files import write_slices
from torch import Tensor, nn

SPEC = InputSpec((3.0, 1.5, 1.5), (-200.0, 200.0), 1)
LIVER_HU, BILE_HU, FAT_HU = 110.0, 8.0, -90.0
BODY_SPACING = (3.0, 1.5, 1.5)


class ByDensity(nn.Module):
    """Water is gallbladder, what is denser than 80 HU is liver; with two classes only liver is asked for."""

    multiple = 4

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.classes = classes

    def forward(self, x: Tensor, return_attention: bool = False) -> SimpleNamespace:
        hu = x[:, x.shape[1] // 2].float() * 200
        # Only where all around is water: edges between fat and tissue have its density too.
        water = -F.max_pool2d(((hu - BILE_HU).abs() - 25)[:, None], 3, 1, 1)[:, 0]
        liver, bile = (hu - 80) / 4, F.max_pool2d(water[:, None], 3, 1, 1)[:, 0] / 3
        parts = [torch.zeros_like(hu), liver, bile][: self.classes]
        return SimpleNamespace(logits=torch.stack(parts, dim=1).clamp(-12, 12), attention=None)


def _store() -> SimpleNamespace:
    entries = (
        ModelEntry("coarse_unet", "locate", "by_density", {}, SPEC, "", "a" * 64),
        ModelEntry("gallbladder_unet", "neighbour", "by_density", {}, SPEC, "", "b" * 64),
    )
    networks = {"coarse_unet": ByDensity(2).eval(), "gallbladder_unet": ByDensity(3).eval()}
    return SimpleNamespace(manifest=Manifest(Path(), entries), network=lambda name, *_: networks[name])


def small_body(number: int, mix: GallbladderMix, shapes: Path | None = None, **_: object) -> GallbladderBody:
    """A block of liver, a gallbladder that hangs out of it below, and a solid lesion near that one."""
    hu = np.full((34, 96, 96), FAT_HU, np.float32)
    liver, bile, lesion = (np.zeros(hu.shape, bool) for _ in range(3))
    liver[6:30, 16:80, 8:88] = True
    bile[1:10, 40:56, 36:48] = True
    lesion[10:15, 44:52, 54:63] = True
    hu[liver], hu[bile], hu[lesion] = LIVER_HU, BILE_HU, 62.0
    hu += np.random.default_rng(number).normal(0, 3, hu.shape).astype(np.float32)
    labels = liver.astype(np.uint8)
    labels[bile] = 2
    return GallbladderBody(hu, labels, lesion.astype(np.uint16), BODY_SPACING, "plain")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with drawn slices; networks by density stand for the bundled ones."""
    folder = tmp_path / "data"
    write_slices(folder / "slices")
    monkeypatch.setattr(gallbladders, "data_folder", lambda: folder)
    monkeypatch.setattr(gallbladders.ModelStore, "bundled", classmethod(lambda _: _store()))
    monkeypatch.setattr(gallbladders, "gallbladder_body", small_body)
    # A drawn slice's fat is one large ball, as lung would be.
    monkeypatch.setattr(gallbladders, "shows_lung", lambda *_: False)
    monkeypatch.setattr(made_cases, "shows_lung", lambda *_: False)
    return folder


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    gallbladders.add_gallbladder_arguments(parser)
    return parser.parse_args(given)


def test_the_command_scores_slices_and_scans_and_prints_its_rows_again(data, tmp_path, capsys) -> None:
    out, told = tmp_path / "rows.csv", []
    arguments = _arguments("--scans", "2", "--paintings", "3", "--out", str(out))
    assert run_gallbladders(arguments, lambda text, share: told.append((text, share))) == 0
    printed = capsys.readouterr().out
    rows = read_rows(out)
    assert told == [("synthetic scans", 0.5), ("synthetic scans", 1.0)]
    # Only the validation patient is scored, and the slice without a gallbladder says so.
    plain = {row.name: row for row in rows if row.part == "slice"}
    assert set(plain) == {"slice000", "slice001"}
    assert plain["slice000"].what == "gallbladder" and plain["slice000"].dice > 0.8
    assert plain["slice001"].what == "none" and plain["slice001"].false_mm2 == 0
    scans = [row for row in rows if row.part == "scan"]
    assert {row.what for row in scans} == {"gallbladder", "lesion"}
    for row in scans:
        if row.what == "gallbladder":
            assert row.dice > 0.8 and row.removed and row.share > 0.8 and row.liver_mm3 < 1000
        else:
            assert not row.removed and row.share < 0.5
    assert any(row.part == "painted" and row.what == "lesion" for row in rows)
    assert summary(rows) in printed
    assert run_gallbladders(_arguments("--rows", str(out))) == 0
    assert capsys.readouterr().out.strip() == summary(rows).strip()


def test_candidates_are_judged_by_the_scans_own_density(data, monkeypatch) -> None:
    """A rule that asks what lies between a candidate and the gallbladder needs the CT."""
    asked, plain = [], gallbladders.separate_gallbladder

    def asking(liver, labels, organ, hu, spacing, settings):
        asked.append(float(np.median(hu[labels > 0])))
        return plain(liver, labels, organ, hu, spacing, settings)

    monkeypatch.setattr(gallbladders, "separate_gallbladder", asking)
    assert run_gallbladders(_arguments("--scans", "1", "--paintings", "0")) == 0
    assert asked[-1] == pytest.approx(BILE_HU, abs=5), "most of a body's candidates is its gallbladder"


def test_the_whole_line_is_judged_and_goes_on_where_it_was(data, tmp_path, monkeypatch, capsys) -> None:
    """The first scan's gallbladder is left out of the list, the second's is half liver and a lesion."""
    from LiverLesionAILab.evaluation import gallbladder_line as line

    asked = []

    def analysed(ct: CtVolume, *_: object) -> SimpleNamespace:
        number = len(asked)
        asked.append(number)
        body = small_body(number, GallbladderMix())
        bile, lesion = body.labels_zyx == 2, body.lesions_zyx > 0
        half = bile & (np.indices(bile.shape)[2] < 42)
        return SimpleNamespace(
            geometry=ct.geometry,
            gallbladder_zyx=bile if number == 0 else (lesion | (bile & ~half)),
            liver_zyx=(body.labels_zyx == 1) if number == 0 else ((body.labels_zyx == 1) | half),
            lesion_labels_zyx=np.where(lesion, 1, 0) if number == 0 else np.where(half, 1, 0),
        )

    monkeypatch.setattr(line, "analyze", analysed)
    out = tmp_path / "line.csv"
    for scans in ("1", "2", "2"):
        assert run_gallbladders(_arguments("--line", "--scans", scans, "--out", str(out))) == 0
    assert len(asked) == 2, "a scan is not analysed twice"
    first, second = line.read_line(out)
    whole = 9 * 16 * 12 * np.prod(BODY_SPACING) / 1000
    assert (first.liver_ml, first.listed, first.found, first.swallowed) == (0, 0, 1, 0)
    assert first.dice == 1 and first.gallbladder_ml == pytest.approx(whole)
    assert second.liver_ml == pytest.approx(whole / 2)
    assert (second.listed, second.lesions, second.found, second.swallowed) == (1, 1, 0, 1)
    assert (first.partly, second.partly) == (0, 1)
    printed = capsys.readouterr().out
    assert "| less than 1 mL counted as liver | 2 | 0.50 |" in printed
    assert "| lesion at the fossa not taken for gallbladder | 2 | 0.50 |" in printed
    assert "| nothing listed is a quarter gallbladder or more | 2 | 0.50 |" in printed
    assert run_gallbladders(_arguments("--line", "--rows", str(out))) == 0
    assert capsys.readouterr().out.strip() == printed[printed.rindex("| whole line") :].strip()


def small_and(listed: np.ndarray, body: GallbladderBody) -> LineRow:
    """What is said of a body with one listed region."""
    found = SimpleNamespace(
        geometry=Geometry.make(body.labels_zyx.shape, BODY_SPACING, (0.0, 0.0, 0.0)),
        gallbladder_zyx=None,
        liver_zyx=body.labels_zyx == 1,
        lesion_labels_zyx=listed.astype(np.uint16),
    )
    return line_row("one", body, found)


@pytest.mark.parametrize(("of_it", "counts"), [(0.2, (0, 0)), (0.3, (0, 1)), (0.6, (1, 1))])
def test_a_listed_region_counts_by_how_much_of_it_is_gallbladder(of_it: float, counts: tuple) -> None:
    body = small_body(0, GallbladderMix())
    inside, outside = (np.flatnonzero(body.labels_zyx.ravel() == label) for label in (2, 1))
    listed = np.zeros(body.labels_zyx.size, bool)
    listed[inside[: round(200 * of_it)]] = listed[outside[: 200 - round(200 * of_it)]] = True
    row = small_and(listed.reshape(body.labels_zyx.shape), body)
    assert (row.listed, row.partly) == counts


def test_rows_kept_before_parts_were_counted_say_nothing_of_them() -> None:
    old = LineRow("a", "plain", 20.0, 0.9, 0.1, 0, 1, 1, 0)
    assert old.partly == NOT_COUNTED and "quarter" not in line_table([old])
    assert "quarter gallbladder or more | 1 | 1.00" in line_table([old, replace(old, partly=0)])


def test_bodies_of_another_seed_have_names_of_their_own(data, tmp_path, monkeypatch) -> None:
    from LiverLesionAILab.evaluation import gallbladder_line as line

    monkeypatch.setattr(line, "analyze", lambda ct, *_: empty_result(ct))
    out = tmp_path / "line.csv"
    assert run_gallbladders(_arguments("--line", "--scans", "1", "--seed", "72", "--out", str(out))) == 0
    assert run_gallbladders(_arguments("--line", "--scans", "1", "--out", str(out))) == 0
    assert [row.name for row in line.read_line(out)] == ["scan72-000", "scan000"]


def empty_result(ct: CtVolume) -> SimpleNamespace:
    """Nothing was found in a CT."""
    nothing = np.zeros(ct.geometry.shape_zyx, bool)
    return SimpleNamespace(
        geometry=ct.geometry, gallbladder_zyx=None, liver_zyx=nothing, lesion_labels_zyx=nothing.astype(int)
    )


def test_what_the_stage_leaves_of_tumour_in_real_slices(data, tmp_path, monkeypatch, capsys) -> None:
    """A mask network takes bile for tumour, and a lesion beside it, which stays."""
    from LiverLesionAILab.evaluation import gallbladder_in_slices as taken
    from LiverLesionAILab.training.trained_masks import TrainedMasks

    images = dict(np.load(data / "slices" / "slices.npz"))
    images["images"][:2, 36:50, 24:40] = BILE_HU
    np.savez(data / "slices" / "slices.npz", **images)
    model = TrainedMasks(ByDensity(3).eval(), SPEC, {}, 0.5)
    monkeypatch.setattr(taken, "bundled_model", lambda _: model)
    out = tmp_path / "taken.csv"
    assert run_gallbladders(_arguments("--tumour", "--out", str(out))) == 0
    first, second = taken.read_taken(out)
    assert first.before_mm2 > 0.8 * first.gallbladder_mm2 > 0 and first.after_mm2 == 0
    assert first.liver_before_mm2 == first.liver_after_mm2 > 0, "one that liver surrounds stays"
    assert second.gallbladder_mm2 == second.before_mm2 == 0
    assert second.liver_before_mm2 == second.liver_after_mm2 > 0
    printed = capsys.readouterr().out
    assert f"| gallbladder outlined | 1 | {first.before_mm2:.0f}, 0 |" in printed
    assert run_gallbladders(_arguments("--tumour", "--rows", str(out))) == 0
    assert capsys.readouterr().out == printed


def test_rows_that_are_none_are_told(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="as `gallbladders --out` writes them"):
        run_gallbladders(_arguments("--rows", str(other)))
    with pytest.raises(InputError, match="as `gallbladders --line --out` writes them"):
        run_gallbladders(_arguments("--line", "--rows", str(other)))
    with pytest.raises(InputError, match="as `gallbladders --tumour --out` writes them"):
        run_gallbladders(_arguments("--tumour", "--rows", str(other)))


def test_a_run_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path.name)):
        trained_network(tmp_path)


def test_a_kept_case_is_judged_without_segmenting_it_again(data, tmp_path, monkeypatch) -> None:
    from LiverLesionAILab.evaluation import gallbladder_in_cases as in_cases

    body = small_body(0, GallbladderMix())
    geometry = Geometry.make(body.hu_zyx.shape, BODY_SPACING, (0.0, 0.0, 0.0))
    ct = CtVolume(np.rint(body.hu_zyx).astype(np.int16), geometry, "one")
    labels = body.lesions_zyx.copy()
    labels[body.labels_zyx == 2] = 2
    result = SimpleNamespace(
        liver_zyx=(body.labels_zyx > 0),
        lesion_labels_zyx=labels,
        lesions=(SimpleNamespace(), SimpleNamespace()),
    )
    truth = CtVolume(
        np.where(body.lesions_zyx > 0, 2, body.labels_zyx == 1).astype(np.int16), geometry, "truth"
    )
    files = {"one_ct.nii.gz": ct, "one_mask.nii.gz": truth}
    monkeypatch.setattr(in_cases, "load_result", lambda _: result)
    monkeypatch.setattr(in_cases, "read_unchecked", lambda path: files[path.name])
    case = tmp_path / "cases" / "one_ct"
    case.mkdir(parents=True)
    (case / "case.json").write_text("{}")
    (tmp_path / "one_mask.nii.gz").touch()
    settings = Rules().part(GallbladderSettings)
    cts = [tmp_path / "one_ct.nii.gz", tmp_path / "not_analysed_ct.nii.gz"]
    (row,) = case_rows(ByDensity(3).eval(), SPEC, cts, tmp_path / "cases", settings)
    assert (row.name, row.listed, row.removed, row.true_removed) == ("one_ct", 2, (2,), 0)
    assert row.gallbladder_ml == pytest.approx(9 * 16 * 12 * np.prod(BODY_SPACING) / 1000, rel=0.3)
    assert row.true_tumour_ml == 0
    table = case_table([row])
    assert "| one_ct | 2 | 2 | 0 |" in table


def test_training_cases_are_made_once_and_leave_the_validation_patient_out(
    data, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(made_cases, "gallbladder_body", small_body)
    # In this process, where the small body is known.
    monkeypatch.setattr(made_cases, "synthesis_pool", lambda workers: ThreadPoolExecutor(workers))
    mix = GallbladderMix(paintings=1, tissue_variants=0, bodies=1, gallbladder=1.0)
    cases = made_cases.gallbladder_cases(data, [], tmp_path / "cache", mix, workers=1)
    kinds = sorted(case.kind for case in cases)
    assert "gallbladder body" in kinds and "painted" in kinds
    assert {case.patient for case in cases if case.patient.startswith("slices:")} == {"slices:1"}
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("data.npy")}
    assert files
    again = made_cases.gallbladder_cases(data, [], tmp_path / "cache", mix, workers=1)
    assert sorted(case.kind for case in again) == kinds
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("data.npy")}


def test_a_body_has_its_gallbladder_and_lesions_apart(monkeypatch) -> None:
    from LiverLesionAILab.synthesis import body as bodies
    from LiverLesionAILab.synthesis.organs import Organ
    from LiverLesionAILib.volume.ct import Geometry

    def drawn(rng: np.random.Generator, settings: object) -> SimpleNamespace:
        one = small_body(0, GallbladderMix())
        organs = np.zeros(one.labels_zyx.shape, np.uint8)
        organs[one.labels_zyx == 2] = Organ.GALLBLADDER
        geometry = Geometry.make(organs.shape, BODY_SPACING, (0.0, 0.0, 0.0))
        return SimpleNamespace(
            geometry=geometry, labels_zyx=organs, hu_zyx=one.hu_zyx, liver_zyx=one.labels_zyx == 1
        )

    monkeypatch.setattr(bodies, "make_body", drawn)
    made = [made_cases.gallbladder_body(n, GallbladderMix(lesions=1.0)) for n in range(3)]
    assert all((one.labels_zyx == 2).any() and one.state for one in made)
    assert any(one.lesions_zyx.any() for one in made)
    for one in made:
        assert not ((one.lesions_zyx > 0) & (one.labels_zyx == 2)).any()
        assert (one.labels_zyx[one.lesions_zyx > 0] == 1).all()
