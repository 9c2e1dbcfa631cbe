"""Samples, loss and calibration of the detectors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import TrainingCase, encode_hu
from LiverLesionAILab.training.calibrate_detector import (
    Candidate,
    HeldOutScan,
    calibrated,
    fit_scores,
    held_out_scan,
    lesion_sensitivity,
    operating_point,
    trained_detector,
    write_held_out,
)
from LiverLesionAILab.training.detection import DetectionSampler, detection_loss, instance_boxes, instances_of
from LiverLesionAILab.training.sampling import AugmentSettings
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt, CsAttConfig
from LiverLesionAILib.stages.detect.link import LinkSettings, chain_score
from support.rules import of_page

SPEC = InputSpec((2.5, 1.25, 1.25), (-75.0, 175.0), 9, magnify=1.5)


def case_with_balls(name: str = "balls", seed: int = 0) -> TrainingCase:
    """A liver with two dark balls, 10 and 7 mm in radius."""
    z, y, x = np.mgrid[:24, :72, :72]
    liver = ((z - 12) / 11) ** 2 + ((y - 36) / 32) ** 2 + ((x - 36) / 32) ** 2 < 1
    one = ((z - 11) * 2) ** 2 + (y - 26) ** 2 + (x - 30) ** 2 <= 8**2
    two = ((z - 14) * 2) ** 2 + (y - 46) ** 2 + (x - 44) ** 2 <= 5.6**2
    hu = np.where(liver, 100.0, -60.0) - 70.0 * (one | two)
    hu = hu + np.random.default_rng(seed).normal(0, 8, hu.shape)
    labels = liver.astype(np.uint8)
    labels[one | two] = 2
    return TrainingCase(name, name, encode_hu(hu), labels, SPEC.spacing_zyx_mm)


class TestInstances:
    def test_pieces_boxes_and_unknown(self) -> None:
        labels = torch.ones(20, 24, dtype=torch.int64)
        labels[2:6, 3:9] = 2
        labels[6:8, 9:13] = 2  # touches the first at a corner
        labels[12:16, 14:20] = 2
        labels[18, 1] = 2  # a pixel alone
        labels[0, 20:] = 255
        instances = instances_of(labels)
        assert instances.max() == 2
        assert instances[2, 3] == instances[7, 12] == 1
        assert instances[18, 1] == -1
        assert instances[0, 22] == -1
        assert instance_boxes(instances).tolist() == [[2, 3, 8, 13], [12, 14, 16, 20]]

    def test_nothing(self) -> None:
        empty = instances_of(torch.zeros(8, 8, dtype=torch.int64))
        assert instance_boxes(empty).shape == (0, 4)

    def test_samples_hold_the_window_and_boxes_lie_on_lesions(self) -> None:
        plain = AugmentSettings(
            rotate_degree=0.0, scale=0.0, shear=0.0, noise_hu=1.0, contrast=0.01, level_hu=1.0
        )
        sampler = DetectionSampler([case_with_balls()], {"real": 1.0}, SPEC, 64, 3, plain, 0.9, 0.1)
        images, instances = sampler.batch(0, 12)
        assert images.shape == (12, 9, 64, 64)
        seen = 0
        for image, found in zip(images, instances, strict=True):
            for number, box in enumerate(instance_boxes(found), start=1):
                y0, x0, y1, x1 = (int(v) for v in box)
                assert bool((found[y0:y1, x0:x1] == number).any(dim=0).all())
                inside = image[4][found == number].mean()
                around = image[4][(found == 0) & (image[4] > -0.5)].mean()
                assert inside < around - 0.3, "lesions are dark in the middle slice"
                seen += 1
        assert seen >= 8

    def test_loss_depends_on_seed_and_step(self) -> None:
        torch.manual_seed(0)
        network = CsAtt(replace(SIZES["compact"], widths=(4, 4, 4, 4))).eval()
        sampler = DetectionSampler([case_with_balls()], {"real": 1.0}, SPEC, 64, 3)
        images, instances = sampler.batch(0, 2)
        loss = detection_loss(network, 1, images, instances, 5)
        assert torch.equal(loss, detection_loss(network, 1, images, instances, 5))
        assert not torch.equal(loss, detection_loss(network, 1, images, instances, 6))
        assert not torch.equal(loss, detection_loss(network, 2, images, instances, 5))


def candidates_like(bias: float, top: float, support: float, count: int = 4000) -> list[Candidate]:
    """Boxes whose truth follows a known logistic law."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        best = float(rng.uniform(0.05, 0.95))
        total = best * float(rng.uniform(1, 6))
        chance = chain_score(best, total, of_page(LinkSettings, bias=bias, top=top, support=support))
        made.append(Candidate("scan", best, total, (1,) if rng.random() < chance else ()))
    return made


class TestCalibration:
    def test_finds_the_law(self) -> None:
        fitted = fit_scores(candidates_like(-1.5, 1.2, 0.8))
        assert fitted["link_bias"] == pytest.approx(-1.5, abs=0.25)
        assert fitted["link_top"] == pytest.approx(1.2, abs=0.15)
        assert fitted["link_support"] == pytest.approx(0.8, abs=0.2)

    def test_scores_are_probabilities(self) -> None:
        candidates = candidates_like(-2.0, 1.0, 1.0)
        scores = calibrated(candidates, fit_scores(candidates))
        truth = np.array([bool(c.lesions) for c in candidates])
        for low in np.arange(0.0, 0.9, 0.2):
            inside = (scores >= low) & (scores < low + 0.2)
            if inside.sum() > 100:
                assert truth[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.06)

    def test_a_better_box_never_scores_less(self) -> None:
        upside_down = [Candidate("s", b, 1.0, (1,) if b < 0.5 else ()) for b in np.linspace(0.05, 0.95, 40)]
        assert fit_scores(upside_down)["link_top"] == 0.0

    def test_perfectly_separated_stays_finite(self) -> None:
        clear = [Candidate("s", b, b, (1,) if b > 0.5 else ()) for b in np.linspace(0.05, 0.95, 20)]
        assert all(abs(value) < 50 for value in fit_scores(clear).values())

    def test_needs_both_kinds(self) -> None:
        with pytest.raises(ValueError, match="both true and false"):
            fit_scores([Candidate("s", 0.5, 0.5, ())])

    def scans(self) -> list[HeldOutScan]:
        def scan(name: str, rows: list[tuple[float, tuple[int, ...]]]) -> HeldOutScan:
            made = tuple(Candidate(name, s, s, lesions) for s, lesions in rows)
            return HeldOutScan(name, {1: 8.0, 2: 20.0}, made)

        return [
            scan("a", [(0.9, (1,)), (0.8, ()), (0.6, (2,)), (0.3, ())]),
            scan("b", [(0.95, (2,)), (0.7, ()), (0.4, ()), (0.2, (1,))]),
        ]

    def test_operating_point_counts_false_boxes(self) -> None:
        same = {"link_bias": 0.0, "link_top": 1.0, "link_support": 0.0}
        scans = self.scans()
        assert 0.8 < operating_point(scans, same, 0.0) < 0.81
        assert 0.7 < operating_point(scans, same, 0.5) < 0.71
        assert 0.4 < operating_point(scans, same, 1.0) < 0.41
        assert operating_point(scans, same, 8.0) < 0.1
        for rate in (0.0, 0.5, 1.0, 2.0):
            threshold = operating_point(scans, same, rate)
            false = [c for s in scans for c in s.candidates if not c.lesions and c.best >= threshold]
            assert len(false) == round(rate * 2)

    def test_sensitivity_by_size(self) -> None:
        same = {"link_bias": 0.0, "link_top": 1.0, "link_support": 0.0}
        assert lesion_sensitivity(self.scans(), same, (0.5, 1.0, 4.0)) == {0.5: 0.5, 1.0: 0.75, 4.0: 1.0}
        assert lesion_sensitivity(self.scans(), same, (1.0,), largest_mm=10.0) == {1.0: 0.5}


def test_learns_balls_and_finds_them_in_a_volume(tmp_path: Path) -> None:
    """The whole way on one phantom: samples, loop, loss, whole-volume boxes, 3D boxes, calibration."""
    from LiverLesionAILab.training.loop import LoopSettings, train

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = CsAtt(
        CsAttConfig(
            images=1,
            widths=(8, 12, 16),
            convolutions=(1, 1, 2),
            pooled=(False, True, True),
            norm="batch",
            proposal_width=16,
            anchor_sizes=(10.0, 18.0, 30.0),
            anchor_ratios=(1.0,),
            roi_bins=3,
            roi_channels=4,
            aligned=True,
            head_width=32,
            anchor_overlap=(0.5, 0.3),
        )
    )
    spec = replace(SPEC, in_slices=3)
    sampler = DetectionSampler([case_with_balls()], {"real": 1.0}, spec, 64, 0, AugmentSettings(level_hu=5.0))
    settings = LoopSettings(steps=110, batch=6, learning_rate=6e-3, warmup=5, ema=0.95, checkpoint_every=50)
    trained = train(
        network,
        sampler.batch,
        settings,
        tmp_path,
        batch_loss=lambda images, instances, step: detection_loss(network, 0, images, instances, step),
        workers=0,
    )
    detector = trained_detector("cs_att", spec, trained.eval())
    scan = held_out_scan(detector, case_with_balls("other", seed=1))
    assert sorted(scan.diameters_mm) == [1, 2]
    best = {n for c in scan.candidates[:3] for n in c.lesions}
    assert best == {1, 2}
    text = write_held_out(detector, [case_with_balls("other", seed=1), case_with_balls("more", 2)], tmp_path)
    if "Not calibrated" in text:
        # It finds the balls and nothing else: there is nothing false to tell them from.
        assert all(c.lesions for c in scan.candidates)
    else:
        saved = json.loads((tmp_path / "calibration.json").read_text())
        assert saved["lesions"]["all"] == 4
        assert saved["sensitivity"]["all"]["1"] >= 0.5
        assert 0 < saved["calibration"]["score_threshold"] < 1
