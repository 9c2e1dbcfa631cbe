"""Single axial slices of more patients as training and validation of the mask networks."""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from LiverLesionAILab.data.axial_slices import AxialSlice, axial_slices
from LiverLesionAILab.data.cases import LIVER_OR_TUMOUR, UNKNOWN, data_folder
from LiverLesionAILab.evaluation.slices import SliceRow, slice_row, summary
from LiverLesionAILab.training.bank import BankSettings
from LiverLesionAILab.training.loop import LoopSettings
from LiverLesionAILab.training.losses import segmentation_loss, weighted_entropy
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.sampling import CaseIndex
from LiverLesionAILab.training.slice_cases import KEPT, segment_case, slice_cases, slice_variant
from LiverLesionAILab.training.switches import without
from LiverLesionAILab.training.trained_masks import TrainedMasks, run_model
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.support.errors import InputError
from support.slice_files import write_slices
from torch import nn

SPACING = (2.5, 1.25, 1.25)


@pytest.fixture
def one() -> AxialSlice:
    """A liver of 110 HU in fat, a gallbladder of 10 HU at its side."""
    rng = np.random.default_rng(0)
    hu = np.full((200, 200), -80.0, np.float32)
    hu[20:180, 20:180] = 40
    labels = np.zeros((200, 200), np.uint8)
    hu[40:140, 30:110], labels[40:140, 30:110] = 110, 1
    hu[90:120, 110:130], labels[90:120, 110:130] = 10, 2
    labels[138:140, 30:110] = UNKNOWN
    return AxialSlice(7, 3, hu + rng.normal(0, 6, hu.shape).astype(np.float32), labels, 1.25, "outlined")


def test_a_gallbladder_is_background_and_a_liver_is_liver_or_tumour(one) -> None:
    labels = segment_case(one, SPACING).labels_zyx
    assert set(np.unique(labels)) == {0, LIVER_OR_TUMOUR, UNKNOWN}
    assert (labels[0][one.labels_yx == 2] == 0).all()
    free = segment_case(replace(one, free=True), SPACING).labels_zyx
    assert set(np.unique(free)) == {0, 1, UNKNOWN}


def test_a_variant_holds_sure_lesions_in_an_unsure_liver(one) -> None:
    plain = segment_case(one, SPACING)
    settings = BankSettings(lesion_free_share=0.0, distractors=None)
    made = slice_variant(plain, 1, settings, None)
    assert made.kind == "slice variant" and made.labels_zyx.shape == (KEPT, 200, 200)
    lesions = made.labels_zyx == 2
    assert lesions.any(axis=(1, 2)).any() and not (made.labels_zyx == 1).any()
    # What is labelled was drawn: it differs from the slice that it lies in.
    changed = np.abs(made.grey_zyx.astype(int) - plain.grey_zyx.astype(int))
    assert changed[lesions].mean() > 2 * changed[made.labels_zyx == 0].mean()
    again = slice_variant(plain, 1, settings, None)
    assert (again.grey_zyx == made.grey_zyx).all() and (again.labels_zyx == made.labels_zyx).all()


def test_crops_are_centred_on_livers_whose_tumours_are_not_known(one) -> None:
    index = CaseIndex(segment_case(one, SPACING))
    assert list(index.liver_slices) == [0] and np.isfinite(index.level_hu)
    _, y, x = index.centre(np.random.default_rng(0), 0.0, 1.0)
    assert 40 <= y < 140 and 30 <= x < 110


def test_liver_or_tumour_asks_only_for_their_sum() -> None:
    weights = torch.tensor([1.0, 1.0, 3.0])
    labels = torch.full((1, 4, 4), LIVER_OR_TUMOUR)
    liver = torch.tensor([-9.0, 9.0, -9.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    tumour, nothing = liver[:, [0, 2, 1]], liver[:, [1, 0, 2]]
    assert weighted_entropy(liver, labels, weights) < 1e-3
    assert weighted_entropy(tumour, labels, weights) < 1e-3
    assert weighted_entropy(nothing, labels, weights) > 5


def test_without_such_labels_the_loss_is_the_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    labels[0, 0] = UNKNOWN
    weights = torch.tensor([1.0, 1.0, 3.0])
    expected = nn.functional.cross_entropy(logits, labels, weight=weights, ignore_index=UNKNOWN)
    assert torch.equal(weighted_entropy(logits, labels, weights), expected)
    # The mean by weight, by hand, where some pixels are liver or tumour.
    labels[1, 0] = LIVER_OR_TUMOUR
    log_p = logits.log_softmax(dim=1)
    total = count = 0.0
    for b, y, x in np.ndindex(2, 5, 5):
        value = int(labels[b, y, x])
        if value == UNKNOWN:
            continue
        own = log_p[b, :, y, x]
        loss = -own[1:].logsumexp(0) if value == LIVER_OR_TUMOUR else -own[value]
        weight = float(weights[1 if value == LIVER_OR_TUMOUR else value])
        total, count = total + weight * float(loss), count + weight
    assert float(weighted_entropy(logits, labels, weights)) == pytest.approx(total / count, rel=1e-5)


def test_a_false_tumour_in_an_unsure_liver_costs_nothing_and_outside_it_does() -> None:
    settings = LoopSettings(class_weights=(1.0, 1.0, 3.0), dice_per_image=True)
    labels = torch.zeros((1, 8, 8), dtype=torch.long)
    labels[0, :4] = LIVER_OR_TUMOUR
    quiet = torch.tensor([9.0, -9.0, -9.0]).view(1, 3, 1, 1).repeat(1, 1, 8, 8)
    quiet[:, :, :4] = torch.tensor([-9.0, 9.0, -9.0]).view(1, 3, 1, 1)
    inside, outside = quiet.clone(), quiet.clone()
    inside[:, :, :2] = torch.tensor([-9.0, -9.0, 9.0]).view(1, 3, 1, 1)
    outside[:, :, 6:] = torch.tensor([-9.0, -9.0, 9.0]).view(1, 3, 1, 1)
    best = segmentation_loss(quiet, labels, settings)
    assert segmentation_loss(inside, labels, settings) == pytest.approx(float(best), abs=1e-4)
    assert segmentation_loss(outside, labels, settings) > best + 1


def test_the_part_can_be_left_out() -> None:
    kinds = {"slice", "slice variant"}
    assert kinds <= set(recipe("sfan").shares)
    assert not kinds & set(without(recipe("sfan"), ["slices"]).shares)
    for other in ("va_mask_rcnn", "cs_att"):
        assert not kinds & set(recipe(other).shares), "detectors need every lesion outlined"


class _Levels(nn.Module):
    """Says liver from 0.2 of the window on, tumour below -0.5 within it."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> object:
        middle = x[:, x.shape[1] // 2]
        liver, fluid = (middle > 0.0).float(), ((middle < -0.2) & (middle > -0.9)).float()
        logits = torch.stack([10 * (1 - liver - fluid), 10 * liver, 10 * fluid], dim=1)
        return type("Output", (), {"logits": logits})()


def test_a_slice_is_scored_against_its_outlines(one) -> None:
    model = TrainedMasks(_Levels().eval(), InputSpec(SPACING, (-75.0, 175.0), 5, liver_hu=110.0), {}, 0.25)
    row = slice_row(model, one)
    assert row.group == "gallbladder seen" and row.liver_dice > 0.9
    # The gallbladder is 30 x 20 pixels of 1.25 mm.
    assert row.gallbladder_mm2 == pytest.approx(600 * 1.25**2, rel=0.2)
    assert row.outside_mm2 >= row.gallbladder_mm2


class _UnsureOfTheLiver(_Levels):
    """Says liver with 0.47 where it is, and nothing else."""

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> object:
        liver = (x[:, x.shape[1] // 2] > 0.0).float()
        shares = torch.stack([1 - 0.47 * liver, 0.47 * liver, torch.zeros_like(liver)], dim=1)
        return type("Output", (), {"logits": shares.clamp_min(1e-6).log()})()


def test_the_liver_begins_at_the_threshold_that_is_asked_for(one) -> None:
    spec = InputSpec(SPACING, (-75.0, 175.0), 5, liver_hu=110.0)
    model = TrainedMasks(_UnsureOfTheLiver().eval(), spec, {}, 0.25)
    assert model.liver_threshold == 0.5 and slice_row(model, one).predicted_mm2 == 0
    assert slice_row(replace(model, liver_threshold=0.45), one).liver_dice > 0.9


def test_the_table_weighs_patients_alike() -> None:
    row = SliceRow("a", 1, "no gallbladder", 1.0, 8.0, 0.0, 5.0, 100.0, 100.0, 100.0)
    # A tip of two pixels that was missed does not halve a patient's Dice.
    tip = replace(
        row, patient=2, liver_dice=0.0, outside_mm2=0.0, liver_mm2=2.0, predicted_mm2=0.0, common_mm2=0.0
    )
    table = summary([row, row, row, replace(row, patient=2, outside_mm2=0.0), tip])
    assert f"| no gallbladder | 5 (2) | {(1 + 200 / 202) / 2:.4f} | 4.0 | 0.0 | - |" in table


def test_a_run_is_read_as_it_was_trained(tmp_path: Path) -> None:
    from LiverLesionAILib.models.weights import build_network, save_weights

    chosen = recipe("sfan")
    with pytest.raises(InputError, match=r"run\.json"):
        run_model(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(asdict(chosen)))
    with pytest.raises(InputError, match="neither weights"):
        run_model(tmp_path)
    save_weights(build_network(chosen.network, asdict(chosen.config)), tmp_path / "weights.pt")
    model = run_model(tmp_path)
    assert model.spec == chosen.spec and model.scales == chosen.scales and model.tumour_threshold == 0.25


def real_slices() -> Path:
    """The folder of real data, where it has single slices."""
    try:
        folder = data_folder()
    except InputError as error:
        pytest.skip(f"real data: {error}")
    if not (folder / "slices" / "slices.npz").is_file():
        pytest.skip("real data: the folder has no slices")
    return folder


def test_no_slice_of_a_validation_patient_is_trained_on(tmp_path: Path) -> None:
    folder = real_slices()
    cases = slice_cases(folder, SPACING, tmp_path, BankSettings(), 0)
    kept = {f"slices:{one.patient}" for one in axial_slices(folder) if one.validation}
    assert len(kept) >= 20 and not kept & {case.patient for case in cases}
    assert sum((case.labels_zyx == 1).any() for case in cases) >= 15, "livers known to be free"


def test_the_command_scores_validation_slices_and_keeps_its_rows(tmp_path: Path, monkeypatch, capsys) -> None:
    from LiverLesionAILab.evaluation import slices as command

    write_slices(tmp_path / "slices")
    monkeypatch.setattr(command, "data_folder", lambda: tmp_path)
    model = TrainedMasks(_Levels().eval(), InputSpec(SPACING, (-75.0, 175.0), 5, liver_hu=110.0), {}, 0.25)
    monkeypatch.setattr(command, "bundled_model", lambda _: model)
    monkeypatch.setattr(command, "run_model", lambda _: model)
    parser = argparse.ArgumentParser()
    command.add_slice_arguments(parser)
    args = parser.parse_args(
        ["--model", "sfan", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "rows.csv")]
    )
    told = []
    assert command.run_slices(args, lambda text, share: told.append(share)) == 0
    printed = capsys.readouterr().out
    assert "sfan\n" in printed and f"{tmp_path / 'run'}\n" in printed
    assert printed.count("| gallbladder seen | 1 (1) |") == printed.count("| all | 2 (1) |") == 2
    assert told == [0.5, 1.0] * 2
    rows = list(csv.DictReader((tmp_path / "rows.csv").open()))
    # One network after itself differs in nothing; its kept rows print the same again.
    assert "| liver Dice | " in printed and "| 0, 0 |" in printed
    again = parser.parse_args(["--rows", str(tmp_path / "rows.csv")])
    assert command.run_slices(again) == 0 and capsys.readouterr().out == printed
    several = parser.parse_args(["--liver-threshold", "0.5", "--liver-threshold", "0.45"])
    assert command.run_slices(several) == 0
    printed = capsys.readouterr().out
    assert "sfan, liver from 0.5, then sfan, liver from 0.45\n" in printed
    (tmp_path / "other.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="as `slices --out` writes them"):
        command.read_rows(tmp_path / "other.csv")
    # The training patient's slices are not scored.
    assert [row["name"] for row in rows] == ["slice000", "slice001"] * 2
    assert {row["network"] for row in rows} == {"sfan", str(tmp_path / "run")}


def test_a_bundled_network_is_scored_as_the_product_runs_it() -> None:
    from LiverLesionAILab.training.trained_masks import bundled_model

    model = bundled_model("sfan")
    assert model.spec.in_slices == 5 and set(model.scales) == {"liver", "lesions"}
    assert 0 < model.tumour_threshold < 1 and not model.network.training
    assert model.liver_threshold == 0.45
