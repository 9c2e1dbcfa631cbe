"""The gallbladder in the row of stages: out of liver and lesions, kept in the case, shown as a segment."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from dataclasses import replace

from LiverLesionAILib.analysis.choice import Choice
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.description import GALLBLADDER_ID, CaseScene
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.job import settings_of
from LiverLesionAILib.cli.main import build_parser
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.writing.mask_file import write_masks
from support.threshold_models import LESION_HU, LIVER_HU, WINDOW_HU, ThresholdModels, phantom
from torch import Tensor, nn

SETTINGS = Settings(device="cpu", precision="float32", attention=False)
DENSE_HU = 200
"""Here the gallbladder: dense as no lesion of the phantom is, and tumour for the stand-in all the same."""


class DenseIsGallbladder(nn.Module):
    """Gallbladder from 186 HU."""

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, return_attention: bool = False) -> SimpleNamespace:
        hu = x[:, x.shape[1] // 2].float() * 200
        logits = torch.stack([torch.zeros_like(hu), torch.full_like(hu, -9), (hu - 186) / 2], dim=1)
        return SimpleNamespace(logits=logits.clamp(-12, 12), attention=None)


class WithGallbladder(ThresholdModels):
    """The stand-ins and one for the gallbladder."""

    def __init__(self) -> None:
        super().__init__()
        spec = InputSpec((4.0, 4.0, 4.0), WINDOW_HU, 3)
        found = ModelEntry("gallbladder", "neighbour", "unet", {}, spec, "", "c" * 64)
        self.manifest = Manifest(self.manifest.folder, (*self.manifest.entries, found))

    def network(self, name: str, device: str, precision: str) -> nn.Module:
        if name == "gallbladder":
            return DenseIsGallbladder().to(device=device, dtype=getattr(torch, precision)).eval()
        return super().network(name, device, precision)


@pytest.fixture(scope="module")
def scan() -> tuple[CtVolume, np.ndarray]:
    """The phantom with a gallbladder under the liver in place of its larger lesion, and where that is."""
    volume, labels = phantom()
    hu, labels = volume.hu_zyx.copy(), labels.copy()
    hu[labels == 1] += LIVER_HU - LESION_HU
    labels[labels == 1] = 0
    axes = np.meshgrid(
        *[np.arange(n) * s for n, s in zip(hu.shape, volume.geometry.spacing_zyx_mm, strict=True)],
        indexing="ij",
    )
    organ = sum((a - c) ** 2 for a, c in zip(axes, (58, 180, 160), strict=True)) < 20**2
    hu[organ] = DENSE_HU
    labels[organ] = 1
    return replace(volume, hu_zyx=hu), labels


@pytest.fixture(scope="module")
def result(scan) -> CaseResult:
    return analyze(scan[0], SETTINGS, WithGallbladder())


def test_without_a_network_for_it_it_is_a_lesion(scan) -> None:
    found = analyze(scan[0], SETTINGS, ThresholdModels())
    assert len(found.lesions) == 2 and found.gallbladder_zyx is None and found.gallbladder_ml == 0


def test_it_is_neither_lesion_nor_liver(scan, result: CaseResult) -> None:
    _, labels = scan
    organ, lesion = labels == 1, labels == 2
    (listed,) = result.lesions
    assert listed.number == 1
    overlap = (result.lesion_labels_zyx == 1) & lesion
    assert 2 * overlap.sum() / ((result.lesion_labels_zyx == 1).sum() + lesion.sum()) > 0.8
    seen = result.gallbladder_zyx
    assert 2 * (seen & organ).sum() / (seen.sum() + organ.sum()) > 0.85
    assert not (result.liver_zyx & seen).any()
    assert result.gallbladder_ml == pytest.approx(organ.sum() * 36 / 1000, rel=0.25)


def test_the_reader_is_told(result: CaseResult) -> None:
    assert any("taken for the gallbladder" in said for said in result.messages)
    assert "gallbladder" in result.models and result.run.rules["gallbladder_lesion_share"] == 0.5


def test_a_lower_threshold_does_not_list_it_again(scan, result: CaseResult) -> None:
    tumour = result.probabilities["tumour"]
    inside = tumour.geometry.lps_to_index(result.geometry.index_to_lps(np.argwhere(scan[1] == 1)[::7]))
    at = tuple(np.rint(inside).astype(int).T)
    assert tumour.values_zyx[at].max() == 0
    other = tumour.geometry.lps_to_index(result.geometry.index_to_lps(np.argwhere(scan[1] == 2)[::7]))
    assert tumour.values_zyx[tuple(np.rint(other).astype(int).T)].max() > 200


def test_it_is_a_segment_of_its_own_that_3d_leaves_out(result: CaseResult) -> None:
    described = CaseScene.of(result).segments
    assert [one.name for one in described][:2] == ["Liver", "Gallbladder"]
    organ = next(one for one in described if one.segment_id == GALLBLADDER_ID)
    assert not organ.in_3d and organ.lesion is None
    assert "SCT^28231008^Gallbladder" in organ.tags["TerminologyEntry"]
    assert organ.mask.count == result.gallbladder_zyx.sum()


def test_it_is_kept_with_the_case_and_in_the_masks_file(result: CaseResult, tmp_path) -> None:
    save_result(result, tmp_path)
    again = load_result(tmp_path)
    assert (again.gallbladder_zyx == result.gallbladder_zyx).all()
    write_masks(tmp_path / "masks.seg.nrrd", result)
    header = (tmp_path / "masks.seg.nrrd").read_bytes()[:6000]
    assert b"Gallbladder" in header and b"28231008" in header


def test_a_case_without_it_stays_as_it_was(tmp_path) -> None:
    volume, _ = phantom()
    plain = analyze(volume, SETTINGS, WithGallbladder())
    before = analyze(volume, SETTINGS, ThresholdModels())
    assert plain.gallbladder_zyx is None
    assert (plain.liver_zyx == before.liver_zyx).all()
    assert (plain.lesion_labels_zyx == before.lesion_labels_zyx).all()
    assert plain.lesions == before.lesions
    save_result(plain, tmp_path)
    assert load_result(tmp_path).gallbladder_zyx is None


def test_it_is_looked_for_unless_the_user_says_no() -> None:
    manifest = Manifest.read()
    assert Choice.of(manifest, Settings()).gallbladder is not None
    without = Choice.of(manifest, Settings(gallbladder=False))
    assert without.gallbladder is None
    assert all(entry.task != "neighbour" for entry in without.computing)
    args = build_parser().parse_args(["analyze", "ct.nii", "--no-gallbladder"])
    assert settings_of(args).gallbladder is False
