"""Liver and tumour of single slices as a teacher tells them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import LIVER_OR_TUMOUR, UNKNOWN, TrainingCase, decode_hu
from LiverLesionAILab.training import told_slices as module
from LiverLesionAILab.training.command import asked_recipe
from LiverLesionAILab.training.losses import segmentation_loss
from LiverLesionAILab.training.optimisers import LoopSettings
from LiverLesionAILab.training.told_slices import as_told, teacher, teachers_key, told_labels, told_slices
from LiverLesionAILab.training.trained_masks import TrainedMasks
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import build_network, save_weights
from LiverLesionAILib.networks import sfan
from LiverLesionAILib.support.errors import InputError
from support.slice_files import write_slices
from torch import nn

from .test_slice_cases import real_slices
from .test_train_command import _arguments

SPACING = (2.5, 1.25, 1.25)
LIVER_HU = 110.0


def _away(y: int, x: int) -> np.ndarray:
    """Pixels from a place, on the slice's grid."""
    ys, xs = np.mgrid[:120, :120]
    return np.hypot(ys - y, xs - x)[None]


@pytest.fixture
def liver() -> tuple[np.ndarray, np.ndarray]:
    """Labels and HU of a noisy liver of unknown tumours in fat: dark lesion, bright vessel, faint spot."""
    rng = np.random.default_rng(0)
    labels = np.zeros((1, 120, 120), np.uint8)
    labels[:, 10:110, 10:110] = LIVER_OR_TUMOUR
    hu = np.where(labels > 0, LIVER_HU, -80.0)
    hu[_away(40, 40) < 8] = 60.0
    hu[_away(40, 80) < 5] = 170.0
    hu[_away(80, 80) < 6] = LIVER_HU - 9
    return labels, (hu + rng.normal(0, 5, hu.shape)).astype(np.float32)


def _told(liver: tuple[np.ndarray, np.ndarray], *spots: tuple[int, int, float, float]) -> np.ndarray:
    """Labels as told by a teacher that sees tumour in spots (y, x, radius, probability)."""
    labels, hu = liver
    seen = np.full(labels.shape, 0.01, np.float32)
    for y, x, radius, probability in spots:
        seen[_away(y, x) < radius] = probability
    return told_labels(labels, hu, seen, SPACING)


def test_liver_is_told_where_no_tumour_is_seen(liver) -> None:
    told = _told(liver)
    assert set(np.unique(told)) == {0, 1} and ((told == 1) == (liver[0] == LIVER_OR_TUMOUR)).all()


def test_a_lesion_that_the_teacher_draws_too_large_is_told_as_far_as_its_edge(liver) -> None:
    told = _told(liver, (40, 40, 10.0, 0.95))
    true = _away(40, 40) < 8
    lesion = told == 2
    assert 2 * (lesion & true).sum() / (lesion.sum() + true.sum()) > 0.9
    assert (told[(_away(40, 40) > 9.2) & (_away(40, 40) < 15)] == 1).all(), "beyond the edge it is liver"


@pytest.mark.parametrize(
    ("spot", "why"),
    [
        ((40, 40, 9.0, 0.6), "the teacher is unsure"),
        ((40, 80, 5.0, 0.95), "brighter than the liver: a vessel"),
        ((80, 80, 6.0, 0.95), "too faint to be confirmed by the CT"),
        ((40, 40, 1.5, 0.95), "too small for a single slice"),
    ],
)
def test_what_the_ct_does_not_confirm_stays_unknown(liver, spot, why) -> None:
    told = _told(liver, spot)
    own = _away(*spot[:2]) < spot[2]
    assert not (told == 2).any(), why
    assert (told[own] == LIVER_OR_TUMOUR).all(), why


def test_in_noise_of_the_livers_own_density_the_teacher_must_be_surer(liver) -> None:
    told = _told(liver, (80, 35, 6.0, 0.3), (95, 80, 4.0, 0.7))
    assert (told[_away(80, 35) < 5] == 1).mean() > 0.95
    assert (told[_away(95, 80) < 4] == LIVER_OR_TUMOUR).all()


def test_what_is_known_stays(liver) -> None:
    labels, hu = liver
    known = labels.copy()
    known[:, 10:60, 10:60] = 1
    known[:, 60:70, 10:60] = UNKNOWN
    seen = np.full(labels.shape, 0.95, np.float32)
    told = told_labels(known, hu, seen, SPACING)
    assert (told[known != LIVER_OR_TUMOUR] == known[known != LIVER_OR_TUMOUR]).all()


def test_the_loss_of_a_false_tumour_in_such_a_liver_is_no_longer_nothing(liver) -> None:
    settings = LoopSettings(class_weights=(1.0, 1.0, 3.0), dice_per_image=True)
    tumour = torch.tensor([-9.0, -9.0, 9.0]).view(1, 3, 1, 1).repeat(1, 1, 120, 120)
    before = segmentation_loss(tumour, torch.from_numpy(liver[0].astype(np.int64)), settings)
    after = segmentation_loss(tumour, torch.from_numpy(_told(liver).astype(np.int64)), settings)
    assert after > before + 1


def _case(name: str, kind: str) -> TrainingCase:
    labels = np.full((3, 4, 4), LIVER_OR_TUMOUR, np.uint8)
    labels[:, 0], labels[1, 1:3, 1:3] = 0, 2
    return TrainingCase(name, "slices:1", np.zeros_like(labels), labels, SPACING, kind)


def test_what_was_made_of_a_slice_is_told_too_and_synthetic_lesions_stay() -> None:
    own = np.ones((1, 4, 4), np.uint8)
    own[0, 3] = 2
    cases = [_case("slice007-2", "slice variant"), _case("slice007", "arterial slice")]
    others = [_case("slice007", "real"), _case("slice008", "slice")]
    for case in as_told(cases, {"slice007": own}):
        assert (case.labels_zyx[:, 0] == 0).all() and (case.labels_zyx[1, 1:3, 1:3] == 2).all()
        assert (case.labels_zyx[:, 3] == 2).all() and (case.labels_zyx[0, 1:3] == 1).all()
    for before, after in zip(others, as_told(others, {"slice007": own}), strict=True):
        assert (before.labels_zyx == after.labels_zyx).all()


class _NoTumour(nn.Module):
    """Sees liver everywhere."""

    asked = 0

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> object:
        type(self).asked += 1
        logits = torch.zeros(len(x), 3, *x.shape[2:], dtype=x.dtype)
        logits[:, 1] = 9
        return type("Out", (), {"logits": logits})()


def test_training_slices_are_told_once_and_kept(tmp_path: Path, monkeypatch) -> None:
    write_slices(tmp_path / "slices")
    spec = InputSpec(SPACING, (-75.0, 175.0), 5, liver_hu=LIVER_HU)
    model = TrainedMasks(_NoTumour().eval(), spec, {}, 0.25)
    monkeypatch.setattr(module, "teacher", lambda _: model)
    _NoTumour.asked = 0
    told = told_slices(tmp_path, SPACING, ["sfan"], tmp_path / "cache")
    # Of the four one is unsure, and two are a validation patient's.
    assert list(told) == ["slice002"] and _NoTumour.asked
    assert set(np.unique(told["slice002"])) == {0, 1}
    _NoTumour.asked = 0
    again = told_slices(tmp_path, SPACING, ["sfan"], tmp_path / "cache")
    assert not _NoTumour.asked and (again["slice002"] == told["slice002"]).all()


def test_another_teacher_tells_anew(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weights\.pt"):
        teachers_key([str(tmp_path)])
    config = replace(sfan.SIZES["compact"], widths=(8, 16))
    network = build_network("sfan", asdict(config))
    save_weights(network, tmp_path / "weights.pt")
    first = teachers_key([str(tmp_path)])
    with torch.no_grad():
        next(network.parameters()).add_(1.0)
    save_weights(network, tmp_path / "weights.pt")
    assert len({first, teachers_key([str(tmp_path)]), teachers_key(["sfan"]), teachers_key(["mscd"])}) == 4
    assert teacher("mscd").spec.in_slices >= 1


def test_only_networks_that_learn_from_slices_have_a_teacher() -> None:
    assert asked_recipe(_arguments("sfan_finish", "--teacher", "mscd")).teachers == ("mscd",)
    assert asked_recipe(_arguments("sfan_finish")).teachers == ()
    with pytest.raises(InputError, match="single axial slices"):
        asked_recipe(_arguments("cs_att", "--teacher", "mscd"))


def test_of_a_real_slice_most_of_the_liver_is_told(tmp_path: Path) -> None:
    """Real slices, the bundled MSCD as teacher: what it leaves unknown is the lesser part."""
    data = real_slices()
    own = [one for one in module.axial_slices(data) if not one.validation and not one.free][:3]
    for one in own:
        told = module.told_case(one, [teacher("mscd")], SPACING)
        counts = np.bincount(told.labels_zyx.ravel(), minlength=256)
        assert counts[1] + counts[2] > counts[LIVER_OR_TUMOUR] > 0
        dark = decode_hu(told.grey_zyx)[told.labels_zyx == 2]
        assert not len(dark) or np.median(dark) < LIVER_HU
