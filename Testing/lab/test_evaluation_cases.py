"""Rows of cases, where predictions come from, and summaries over patients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.data.scan import LabelMeaning
from LiverLesionAILab.data.volumes import find_plain
from LiverLesionAILab.evaluation.cases import Prediction, prediction_of, score_case
from LiverLesionAILab.evaluation.sources import folder_source, method_source
from LiverLesionAILab.evaluation.summary import compare_methods, pool_slices, summarise
from LiverLesionAILab.metrics.bands import DETECTION_BANDS
from LiverLesionAILab.metrics.lesions import score_lesions
from LiverLesionAILab.metrics.segmentation import score_slices
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion, Measurement
from LiverLesionAILib.support.errors import Cancelled, InputError
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.overlap import dice
from support.evaluation_masks import mask_pairs
from support.evaluation_scans import SPACING, make_ct, make_labels, write_image, write_scan

GEOMETRY = Geometry.make((14, 40, 48), SPACING, (-30.0, 12.0, 400.0))


def worse(labels: np.ndarray, seed: int) -> np.ndarray:
    """Labels as a middling method would give them."""
    moved = np.roll(labels, (0, 1, 1), (0, 1, 2)).copy()
    z, y, x = np.argwhere(moved == 1)[seed * 37]
    moved[z, y : y + 2, x : x + 2] = 2
    return moved


def result_of(labels: np.ndarray, scores: dict[int, float]) -> CaseResult:
    """A pipeline's result with the given score for each lesion number."""
    from LiverLesionAILib.volume.masks import components

    numbers, _ = components(labels == 2)
    point = (0.0, 0.0, 0.0)
    measurement = Measurement(1, 1, 1, (point, point), (point, point), 0, 0, 0, 0)
    lesions = [Lesion(n, s, point, Box(point, (1, 1, 1)), measurement) for n, s in scores.items()]
    return CaseResult(
        "x", GEOMETRY, labels > 0, numbers.astype(np.uint16), tuple(lesions), messages=("note",)
    )


def test_row_holds_what_the_parts_say():
    reference, found = make_labels(1, 3), worse(make_labels(1, 3), 1)
    row = score_case("a", "A", reference, GEOMETRY, Prediction(found, GEOMETRY), hu_zyx=make_ct(reference))
    assert row.liver.dice == pytest.approx(dice(reference > 0, found > 0))
    assert row.tumour.dice == pytest.approx(dice(reference == 2, found == 2))
    alone = score_lesions(reference == 2, found == 2, SPACING)
    assert (row.lesions.n_lesions, row.lesions.n_found) == (alone.n_lesions, alone.n_found)
    assert row.slices == score_slices([(reference == 2, found == 2)])
    assert not row.is_healthy
    largest = row.lesions.reference[0]
    assert largest.long_axis_mm == pytest.approx(largest.diameter_mm, rel=0.35)
    assert 1 <= len(row.pictures) <= 3
    for picture in row.pictures:
        assert picture.grey_yx.shape == picture.reference_yx.shape == picture.predicted_yx.shape


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_axes_may_run_any_way(order, flips):
    """The same prediction stored with permuted and flipped axes scores the same."""
    reference, found = make_labels(2, 3), worse(make_labels(2, 3), 2)
    plain = score_case("a", "A", reference, GEOMETRY, Prediction(found, GEOMETRY, found / 2))
    start = [n - 1 if f else 0 for n, f in zip(found.shape, flips, strict=True)]
    view = found[tuple(slice(None, None, -1 if f else 1) for f in flips)].transpose(order)
    columns = GEOMETRY.directions_lps * np.where(flips[::-1], -1, 1)
    directions = np.stack([columns[:, 2 - order[2 - k]] for k in range(3)], axis=1)
    spacing = [SPACING[a] for a in order]
    geometry = Geometry.make(view.shape, tuple(spacing), tuple(GEOMETRY.index_to_lps(start)), directions)
    stored = Prediction(np.ascontiguousarray(view), geometry, view / 2)
    other = score_case("a", "A", reference, GEOMETRY, stored)
    assert (other.liver, other.tumour, other.lesions) == (plain.liver, plain.tumour, plain.lesions)


def test_another_grid_is_refused():
    labels = make_labels(1, 1)
    shifted = Geometry.make(labels.shape, SPACING, (-30.0, 12.0, 403.0))
    with pytest.raises(InputError, match="case7: the prediction does not lie on the scan's grid"):
        score_case("case7", "A", labels, GEOMETRY, Prediction(labels, shifted))


def test_unknown_voxels_count_for_nothing():
    reference = make_labels(3, 2)
    found = reference.copy()
    region = np.zeros(reference.shape, bool)
    region[:, :15] = True
    found[region] = 2
    with_unknown = np.where(region, 255, reference).astype(np.uint8)
    row = score_case("a", "A", with_unknown, GEOMETRY, Prediction(found, GEOMETRY))
    assert (row.liver.dice, row.tumour.dice, row.lesions.n_false) == (1.0, 1.0, 0)


def test_reference_without_liver_has_no_liver_score():
    reference = np.where(make_labels(1, 2) == 2, 2, 0).astype(np.uint8)
    row = score_case("a", "A", reference, GEOMETRY, Prediction(make_labels(1, 2), GEOMETRY))
    assert row.liver is None
    assert row.tumour.dice == 1.0
    summary = summarise("m", [row], n_draws=50)
    assert "liver_dice" not in {s.key for s in summary.scores}
    with pytest.raises(KeyError):
        summary["liver_dice"]


def test_prediction_of_a_pipeline_result():
    labels = make_labels(4, 2)
    prediction = prediction_of(result_of(labels, {1: 0.9, 2: 0.3}), 1.5)
    assert np.array_equal(prediction.labels_zyx, labels)
    assert set(np.unique(prediction.score_zyx[labels == 2]).round(4)) == {np.float32(0.9), np.float32(0.3)}
    assert (prediction.seconds, prediction.messages[0]) == (1.5, "note")


def test_folder_of_masks(tmp_path):
    labels = make_labels(1, 2)
    write_scan(tmp_path / "data", "one", labels)
    (scan,) = find_plain(tmp_path / "data")
    meaning = LabelMeaning()
    for name in ("one.nii.gz", "one_mask.nrrd", "one_pred.mha", "one/whatever.nii.gz"):
        folder = tmp_path / name.replace("/", "_").replace(".", "_")
        write_image(folder / name, labels)
        prediction = folder_source(folder, meaning)(scan, scan.read_ct)
        assert np.array_equal(prediction.labels_zyx, labels)
        assert prediction.score_zyx is None
    write_image(folder / "one" / "one_score.nii.gz", (labels == 2).astype(np.float32) * 0.7)
    prediction = folder_source(folder, meaning)(scan, scan.read_ct)
    assert prediction.score_zyx.max() == pytest.approx(0.7)
    write_image(folder / "one" / "one_score.nii.gz", np.zeros((3, 4, 5), np.float32))
    with pytest.raises(InputError, match="one_score"):
        folder_source(folder, meaning)(scan, scan.read_ct)


def test_missing_and_ambiguous_predictions_are_named(tmp_path):
    labels = make_labels(1, 1)
    write_scan(tmp_path / "data", "one", labels)
    (scan,) = find_plain(tmp_path / "data")
    folder = tmp_path / "predicted"
    with pytest.raises(InputError, match="is no folder"):
        folder_source(folder, LabelMeaning())
    write_image(folder / "one1.nii.gz", labels)
    with pytest.raises(InputError, match="no predicted mask for one"):
        folder_source(folder, LabelMeaning())(scan, scan.read_ct)
    write_image(folder / "one.nii.gz", labels)
    write_image(folder / "one_mask.nii.gz", labels)
    with pytest.raises(InputError, match=r"several predicted masks for one: one.nii.gz, one_mask.nii.gz"):
        folder_source(folder, LabelMeaning())(scan, scan.read_ct)
    (folder / "one.nii.gz").unlink()
    write_image(folder / "one_mask.nii.gz", labels + 5)
    with pytest.raises(InputError, match=r"one_mask.nii.gz: unknown label 5"):
        folder_source(folder, LabelMeaning())(scan, scan.read_ct)


def test_a_method_that_refuses_a_scan_is_scored_as_empty(tmp_path):
    write_scan(tmp_path, "one", make_labels(1, 2))
    (scan,) = find_plain(tmp_path)

    def refuse(scan, ct):
        raise InputError("No liver found.")

    prediction = method_source(refuse)(scan, scan.read_ct)
    labels, geometry = scan.read_labels()
    row = score_case("one", "A", labels, geometry, prediction)
    assert (row.liver.dice, row.tumour.dice, row.lesions.n_found) == (0.0, 0.0, 0)
    assert row.messages == ("No liver found.",)
    assert row.seconds >= 0

    def cancel(scan, ct):
        raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        method_source(cancel)(scan, scan.read_ct)


def test_a_method_gets_scan_and_ct(tmp_path):
    labels = make_labels(1, 2)
    write_scan(tmp_path, "lits001", labels)
    (scan,) = find_plain(tmp_path)

    def analyse(scan, ct):
        assert scan.patient == "lits-000"
        assert np.array_equal(ct.hu_zyx, make_ct(labels))
        return result_of(labels, {1: 0.5, 2: 0.5})

    prediction = method_source(analyse)(scan, scan.read_ct)
    assert np.array_equal(prediction.labels_zyx, labels)


def rows_of(seeds, method):
    """Rows of a few scans; patients in pairs; the last scan is healthy."""
    rows = []
    for k in seeds:
        reference = make_labels(k, 0 if k == max(seeds) else 1 + k % 3)
        found = method(reference, k)
        score = np.where(found == 2, (np.arange(found.shape[2]) + 1) / 100, 0)
        prediction = Prediction(found, GEOMETRY, score, seconds=float(k))
        rows.append(score_case(f"c{k}", f"p{k // 2}", reference, GEOMETRY, prediction))
    return rows


def test_summary_agrees_with_the_rows():
    rows = rows_of(range(6), worse)
    summary = summarise("m", rows, n_draws=300)
    assert summary["tumour_dice"].value == pytest.approx(np.mean([r.tumour.dice for r in rows]))
    assert summary["tumour_dice"].n_patients == 3
    assert summary["liver_dice"].low <= summary["liver_dice"].value <= summary["liver_dice"].high
    found, there = sum(r.lesions.n_found for r in rows), sum(r.lesions.n_lesions for r in rows)
    assert summary["lesions_found"].value == pytest.approx(found / there)
    assert summary["false_per_scan"].value == pytest.approx(np.mean([r.lesions.n_false for r in rows]))
    assert summary["false_per_healthy"].value == rows[-1].lesions.n_false
    counts = [r.tumour.counts for r in rows]
    tp = sum(c.true_positive for c in counts)
    pooled = 2 * tp / (2 * tp + sum(c.false_positive + c.false_negative for c in counts))
    assert summary["tumour_dice_global"].value == pytest.approx(pooled)
    names = [s.key.removeprefix("lesions_found ") for s in summary.scores]
    bands = {band.name for band in DETECTION_BANDS}
    for groups in (bands, {n for n in names if n.startswith("place ")}):
        # Every lesion is of one size and at one place; without HU none has a density.
        own = [s for s, name in zip(summary.scores, names, strict=True) if name in groups]
        assert sum(int(s.of.split(" of ")[1].split()[0]) for s in own) == there
    assert not any(n.startswith("density ") for n in names)
    assert summary.curve.n_units == 6
    assert summary.curve.sensitivity[-1] == pytest.approx(found / there)
    assert summary["seconds"].value == pytest.approx(2.5)
    # Distances of the healthy scan are undefined and left out, which the line says.
    line = next(s for s in summary.scores if s.key == "tumour_hausdorff95_mm")
    assert line.of == "5 of 6 scans"


def test_no_case_is_refused():
    with pytest.raises(InputError, match="m: no case"):
        summarise("m", [])


def test_comparing_methods():
    good, bad = rows_of(range(6), lambda labels, k: labels), rows_of(range(6), worse)
    paired = compare_methods(bad, good, n_draws=500)
    dices = paired["tumour_dice"]
    assert dices.difference.value == pytest.approx(
        np.mean([g.tumour.dice - b.tumour.dice for g, b in zip(good, bad, strict=True)])
    )
    assert dices.wins == 6
    assert dices.p_value == pytest.approx(2 / 2**3)
    assert paired["false_per_scan"].b == 0
    with pytest.raises(InputError, match="only one has: c5"):
        compare_methods(bad[:5], good)


@given(st.lists(mask_pairs(min_side=2, max_side=5), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_pooled_slices_are_the_slices_of_all_scans(pairs):
    pairs = [(a, b) for a, b, _ in pairs if a.any()]
    if not pairs:
        assert pool_slices([]) is None
        return
    together = score_slices(pairs)
    pooled = pool_slices([score_slices([pair]) for pair in pairs])
    for name in ("n_slices", "n_without_distance"):
        assert getattr(pooled, name) == getattr(together, name)
    for name in ("dice", "jaccard", "precision", "recall", "specificity", "f1"):
        assert getattr(pooled, name) == pytest.approx(getattr(together, name))
    for name in ("hausdorff_px", "hausdorff95_px"):
        assert getattr(pooled, name) == pytest.approx(getattr(together, name), nan_ok=True)
    assert not math.isnan(pooled.dice)


def test_a_references_lesions_are_parted_once(monkeypatch):
    """Labelling a whole scan is what an evaluation spends its time on."""
    from LiverLesionAILab.metrics import components as module

    reference, found = make_labels(1, 3), worse(make_labels(1, 3), 1)
    parted = []
    part = module.components

    def counted(mask, *args):
        parted.append(int(np.count_nonzero(mask)))
        return part(mask, *args)

    monkeypatch.setattr(module, "components", counted)
    row = score_case("a", "A", reference, GEOMETRY, Prediction(found, GEOMETRY))
    assert sorted(parted) == sorted([np.count_nonzero(reference == 2), np.count_nonzero(found == 2)])
    assert all(lesion.place for lesion in row.lesions.reference)
