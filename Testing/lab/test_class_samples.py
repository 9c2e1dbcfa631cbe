"""Slices of known class, what a sampler makes of them, and the calibration of a classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import TrainingCase, decode_hu, encode_hu
from LiverLesionAILab.synthesis.appearance import LesionType, Phase
from LiverLesionAILab.training import class_bank as banks
from LiverLesionAILab.training.class_bank import class_bank
from LiverLesionAILab.training.class_calibration import (
    Answers,
    fit_temperature,
    fit_threshold,
    lesion_answers,
    lesion_unlike,
    named_outliers,
    report,
    softmax,
)
from LiverLesionAILab.training.class_looks import benign_look, metastasis_look
from LiverLesionAILab.training.class_sampling import (
    PHASED_SHARES,
    ClassSampler,
    class_loss,
    phase_shares,
    plain_inputs,
)
from LiverLesionAILab.training.classes import (
    LESION_BIT,
    LIVER_BIT,
    OUTLIER,
    ClassSettings,
    ClassSlices,
    arterialised,
)
from LiverLesionAILab.training.classify import bank_settings, class_sources, fit_classifier, more_classes
from LiverLesionAILab.training.loop import LoopSettings
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.networks.dadrn import SIZES, Dadrn
from LiverLesionAILib.support.errors import InputError

SPEC = InputSpec((6.0, 3.0, 3.0), (-40.0, 220.0), 3)
SETTINGS = ClassSettings(SPEC, canvas=96, bodies=1, per_type=1, slices=2, seed=3)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> list[ClassSlices]:
    return class_bank(SETTINGS, tmp_path_factory.mktemp("bank"), None)


class TestBank:
    def test_every_class_and_outliers(self, bank: list[ClassSlices]) -> None:
        (source,) = bank
        assert set(source.labels.tolist()) >= {0, 1, 3, 4, OUTLIER}
        assert source.data.shape == (len(source.labels), 4, 96, 96)

    def test_masks_say_what_the_labels_say(self, bank: list[ClassSlices]) -> None:
        (source,) = bank
        for label, stored in zip(source.labels, source.data, strict=True):
            liver, lesion = (stored[3] & LIVER_BIT) > 0, (stored[3] & LESION_BIT) > 0
            assert liver.sum() * 9 > 1500
            assert lesion.any() == (label > 0)
            assert not (lesion & ~liver).any()
            ys, xs = np.nonzero(liver)
            assert abs((ys.min() + ys.max()) / 2 - 48) <= 1 and abs((xs.min() + xs.max()) / 2 - 48) <= 1

    def test_cysts_are_water_in_every_phase(self, bank: list[ClassSlices]) -> None:
        (source,) = bank
        for stored in source.data[source.labels == 1]:
            inner = (stored[3] & LESION_BIT) > 0
            assert np.median(decode_hu(stored[1])[inner]) < 40

    def test_a_bank_that_is_there_is_not_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = replace(SETTINGS, bodies=0)
        case = TrainingCase("liver", "P", *liver_case(), SPEC.spacing_zyx_mm)
        first = class_bank(small, tmp_path, None, real=[case])
        monkeypatch.setattr(banks, "_make", None)
        again = class_bank(small, tmp_path, None, real=[case])
        assert np.array_equal(first[0].data, again[0].data)
        assert (first[0].kind, first[0].patient) == ("real", "P")
        # Slices with or beside the liver's own lesion are of no class.
        as_it_is = first[0].data[first[0].groups == 0]
        assert 5 < len(as_it_is) < 16
        inside = (as_it_is[:, 3] & LIVER_BIT) > 0
        # Not at the rim, where the noise of what lies outside begins.
        inside[:, :, :34] = inside[:, :, 62:] = False
        assert not ((decode_hu(as_it_is[:, 1]) < -20) & inside).any()


def liver_case() -> tuple[np.ndarray, np.ndarray]:
    """A portal venous liver with a vessel and, in slice 3, a lesion of its own."""
    z, y, x = np.indices((16, 60, 60))
    liver = ((z - 8) / 7.5) ** 2 + ((y - 30) / 24) ** 2 + ((x - 30) / 24) ** 2 <= 1
    hu = np.where(liver, 110.0, -80.0) + np.random.default_rng(1).normal(0, 6, liver.shape)
    hu[liver & (np.hypot(y - 30, x - 40) < 2)] += 60
    labels = liver.astype(np.uint8)
    own = liver & (np.abs(z - 3) <= 0) & (np.hypot(y - 30, x - 25) < 4)
    hu[own] = -60
    labels[own] = 2
    return encode_hu(hu), labels


def test_an_arterial_liver_is_darker_and_its_veins_are_not_bright() -> None:
    grey, labels = liver_case()
    hu, liver = decode_hu(grey), labels > 0
    z, y, x = np.indices(liver.shape)
    vessel = liver & (np.hypot(y - 30, x - 40) < 1.5) & (np.abs(z - 8) < 4)
    for seed in range(4):
        turned = arterialised(hu, liver, SPEC.spacing_zyx_mm, np.random.default_rng(seed))
        level = liver_level_hu(turned[liver])
        assert 55 < level < 93
        assert turned[vessel].mean() - level < 0.75 * (hu[vessel].mean() - 110)
        assert np.array_equal(turned[~liver], hu[~liver])


class TestSampler:
    def test_the_same_number_gives_the_same_sample(self, bank: list[ClassSlices]) -> None:
        one, other = (ClassSampler(bank, SPEC, 5, edge=64) for _ in range(2))
        image, label = one.sample(17)
        again, same = other.sample(17)
        assert torch.equal(image, again) and label == same
        assert image.shape == (3, 64, 64) and -1 <= image.min() <= image.max() <= 1
        assert not torch.equal(image, one.sample(18)[0])

    def test_shares(self, bank: list[ClassSlices]) -> None:
        sampler = ClassSampler(bank, SPEC, 5, shares={0: 0.5, 3: 0.5}, edge=32)
        labels = sampler.batch(0, 60)[1]
        assert set(labels.tolist()) == {0, 3}
        assert 18 <= int((labels == 0).sum()) <= 42
        with pytest.raises(ValueError, match="share"):
            ClassSampler(bank, SPEC, 5, shares={})

    def test_lesions_stay_in_the_picture(self, bank: list[ClassSlices]) -> None:
        """The middle of a cyst is dark in the sample, whatever was done to it."""
        sampler = ClassSampler(bank, SPEC, 2, shares={1: 1.0}, edge=64)
        images, _ = sampler.batch(0, 8)
        levels = images[:, 1].flatten(1).median(dim=1).values
        assert (images[:, 1].flatten(1).min(dim=1).values < levels - 0.25).all()


def test_metastases_of_all_habits_and_benign_changes_by_phase() -> None:
    rng = np.random.default_rng(0)

    def bodies(look: object, phase: Phase, subtype: str = "") -> list[float]:
        made = [look(LesionType.METASTASIS, phase, 20.0, 110.0, rng) for _ in range(80)]
        return [one.body_hu for one in made if subtype in one.subtype]

    assert min(bodies(metastasis_look, Phase.ARTERIAL, "hypervascular")) > 10
    assert max(bodies(metastasis_look, Phase.PORTAL_VENOUS, "hypervascular")) < 10
    assert max(bodies(metastasis_look, Phase.PORTAL_VENOUS, "cystic")) < -70
    assert bodies(metastasis_look, Phase.PORTAL_VENOUS, "target")
    assert not bodies(benign_look, Phase.DELAYED, "perfusion")
    assert min(bodies(benign_look, Phase.ARTERIAL, "perfusion")) > 10
    assert max(abs(b) for b in bodies(benign_look, Phase.PORTAL_VENOUS)) < 40


def test_samples_tell_the_phase_and_sometimes_none(bank: list[ClassSlices]) -> None:
    sampler = ClassSampler(bank, SPEC, 0, shares=PHASED_SHARES, edge=64, phases=True)
    told = [sampler.sample(n)[0][3:, 0, 0] for n in range(40)]
    wanted = phase_shares(bank[0].phases[0])
    assert {tuple(one.tolist()) for one in told} == {wanted, (0.0,) * 4}
    plain = plain_inputs(bank[0], SPEC, 64, phases=True)
    assert plain.shape[1] == 7
    assert plain[0, 3:, 5, 7].tolist() == list(wanted)


def test_more_classes_start_with_those_there_were() -> None:
    few, more = Dadrn(SIZES["compact"]), Dadrn(SIZES["phased"])
    state = more_classes(few.state_dict(), more)
    assert torch.equal(state["classify.weight"][:5], few.state_dict()["classify.weight"])
    assert torch.equal(state["classify.weight"][5:], more.state_dict()["classify.weight"][5:])


class TestLoss:
    def test_outliers_pull_towards_all_lesion_classes_alike(self) -> None:
        settings = LoopSettings()
        outlier = torch.tensor([OUTLIER])
        even = torch.tensor([[-20.0, 0, 0, 0, 0]])
        sure = torch.tensor([[-20.0, 0, 9, 0, 0]])
        normal = torch.tensor([[9.0, 0, 0, 0, 0]])
        loss = [float(class_loss(x, outlier, settings)) for x in (even, sure, normal)]
        assert loss[0] == pytest.approx(np.log(4), abs=1e-4)
        assert loss[0] < loss[1] and loss[0] < loss[2]

    def test_classes_are_cross_entropy(self) -> None:
        logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
        labels = torch.tensor([0, 1, 2, 3, 4, 0])
        expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.02)
        assert float(class_loss(logits, labels, LoopSettings())) == pytest.approx(float(expected), abs=1e-6)


def easy_slices() -> ClassSlices:
    """Even livers; half of them with a large dark lesion."""
    y, x = np.indices((96, 96))
    liver = np.hypot(y - 48, x - 48) < 30
    lesion = np.hypot(y - 50, x - 40) < 14
    data = np.zeros((8, 4, 96, 96), np.uint8)
    for number, stored in enumerate(data):
        hu = np.where(liver, 80, -100) + np.random.default_rng(number).normal(0, 3, liver.shape)
        stored[3] = liver * LIVER_BIT
        if number % 2:
            hu[lesion] = 10
            stored[3] |= (lesion * LESION_BIT).astype(np.uint8)
        stored[:3] = encode_hu(hu)
    return ClassSlices(data, np.arange(8) % 2, np.arange(8), ("arterial",) * 8, "easy", "body")


def test_training_on_slices_learns_and_leaves_out_livers(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    small = replace(SIZES["compact"].backbone, stem=8, widths=(8, 8, 12, 16))
    chosen = replace(
        recipe("dadrn"),
        config=replace(SIZES["compact"], backbone=small),
        spec=SPEC,
        crop=48,
        loop=LoopSettings(steps=16, batch=8, learning_rate=3e-3, warmup=2, log_every=4, checkpoint_every=8),
        bodies=0,
    )
    network = fit_classifier(chosen, [easy_slices()], tmp_path, "cpu")
    losses = [float(row.split(",")[1]) for row in (tmp_path / "curve.csv").read_text().split()[1:]]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]
    assert isinstance(network, Dadrn) and not network.training
    with pytest.raises(InputError, match="no liver X"):
        class_sources(chosen, "AX", tmp_path, 1)


def test_two_banks_of_other_bodies_the_second_with_more_that_is_no_lesion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = replace(recipe("dadrn"), bodies=2)
    first, second = bank_settings(chosen)
    assert (first.bodies, second.bodies, first.spec) == (2, 2, chosen.spec)
    assert first.seed != second.seed and first.key() != second.key()
    assert second.distractors.fissure > first.distractors.fissure
    made_of: list[ClassSettings] = []

    def bank(settings: ClassSettings, cache: Path, *_: object, **__: object) -> list[ClassSlices]:
        made_of.append(settings)
        return [replace(easy_slices(), source=settings.key())]

    monkeypatch.setattr("LiverLesionAILab.training.classify.class_bank", bank)
    monkeypatch.setenv("LIVERLESIONAI_DATA", str(tmp_path / "none"))
    sources = class_sources(chosen, "", tmp_path, 1)
    assert made_of == [first, second]
    assert [source.source for source in sources] == [first.key(), second.key()]


def test_a_run_goes_on_from_what_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a plain network a run with attention takes the trunk, and says what it does not take."""
    torch.set_num_threads(1)
    small = replace(SIZES["compact"].backbone, stem=8, widths=(8, 8, 12, 16))
    config = replace(SIZES["compact"], backbone=small)
    trunk = Dadrn(replace(config, spatial=False, channel=False))
    torch.save(trunk.state_dict(), tmp_path / "weights.pt")
    chosen = replace(
        recipe("dadrn"),
        config=config,
        spec=SPEC,
        crop=48,
        loop=LoopSettings(steps=3, batch=2, learning_rate=1e-9, weight_decay=0.0, ema=0.0),
    )
    network = fit_classifier(chosen, [easy_slices()], tmp_path, "cpu", start=tmp_path / "weights.pt")
    said = capsys.readouterr().out
    assert "spatial.beta" in said and "backbone" not in said
    own, known = network.backbone.stem[0].weight, trunk.backbone.stem[0].weight
    assert torch.allclose(own, known, atol=1e-6)


def test_plain_inputs_are_what_an_analysis_sees(bank: list[ClassSlices]) -> None:
    images = plain_inputs(bank[0], SPEC, 128)
    assert images.shape == (len(bank[0].labels), 3, 128, 128)
    # One level around the liver: its own.
    assert all(float(image[1, 0].std()) < 1e-5 for image in images)


class TestCalibration:
    def answers(self, sharpness: float) -> Answers:
        """Logits that are right as often as a softmax of `sharpness` 1 says, then sharpened."""
        rng = np.random.default_rng(0)
        logits = rng.normal(0, 1.5, (4000, 5))
        labels = np.array([rng.choice(5, p=p) for p in softmax(logits)])
        return Answers(logits * sharpness, labels, np.arange(4000), np.ones(4000, bool))

    def test_the_temperature_undoes_overconfidence(self) -> None:
        found = self.answers(2.5)
        temperature = fit_temperature(found.logits, found.labels)
        assert temperature == pytest.approx(2.5, rel=0.08)
        calibration = {"temperature": temperature, "outlier_threshold": 0.5}
        assert report(found, calibration)["all"]["calibration_error"] < 0.03
        worse = {"temperature": 1.0, "outlier_threshold": 0.5}
        assert report(found, worse)["all"]["calibration_error"] > 0.1

    def test_the_threshold_keeps_the_wanted_share(self) -> None:
        rng = np.random.default_rng(1)
        probabilities = softmax(rng.normal(0, 2, (500, 5)))
        labels = np.where(np.arange(500) % 4 == 0, OUTLIER, 1)
        threshold = fit_threshold(probabilities, labels, 0.8)
        from LiverLesionAILib.stages.classify.lesions import outlier_score

        assert np.mean(outlier_score(probabilities)[labels == 1] <= threshold) == pytest.approx(0.8, abs=0.01)

    def test_the_layer_for_outliers_decides_with_the_answer(self) -> None:
        """Both sorts answered alike; only the layer tells them apart, in the score and in the report."""
        labels = np.array([1, OUTLIER] * 20)
        logits = np.tile([0.0, 4.0, 1.0, 1.0, 1.0], (40, 1))
        said = np.where(labels == OUTLIER, 3.0, -3.0)
        plain = Answers(logits, labels, np.arange(40), np.ones(40, bool))
        found = replace(plain, unlike=said)
        means, kinds = lesion_answers(found, 1.0)
        assert named_outliers(means, kinds, 0.8) == 1.0
        assert named_outliers(means, kinds, 0.8, lesion_unlike(found)) == 0.0
        threshold = fit_threshold(means, kinds, 1.0, lesion_unlike(found))
        calibration = {"temperature": 1.0, "outlier_threshold": threshold + 1e-6}
        lesions = report(found, calibration)["lesions"]
        assert lesions["named"] == 1 and lesions["indeterminate_of_none"] == 1
        assert lesion_unlike(plain) is None
        normal = np.tile([0.9, 0.1, 0, 0, 0], (40, 1))
        assert named_outliers(normal, kinds, 0.8) is None, "no threshold names what looks normal"

    def test_slices_of_a_lesion_are_averaged(self) -> None:
        logits = np.log(np.array([[0.2, 0.8, 0, 0, 0], [0.4, 0.6, 0, 0, 0], [1, 0, 0, 0, 0]]) + 1e-9)
        found = Answers(logits, np.array([1, 1, 0]), np.array([4, 4, 5]), np.ones(3, bool))
        means, labels = lesion_answers(found, 1.0)
        assert labels.tolist() == [1]
        assert means[0].tolist() == pytest.approx([0.3, 0.7, 0, 0, 0], abs=1e-6)
