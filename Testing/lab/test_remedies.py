"""Remedies for spatial attentions: they start as the bundled network, learn alone, are judged and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.evaluation_scans import write_two_livers

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare import remedies
from LiverLesionAILab.compare.asked_slices import AskedScan, asked_scans
from LiverLesionAILab.compare.remedies import STEPS, family_of, learn
from LiverLesionAILab.compare.spoilt import noisy, spoilt_each_way
from LiverLesionAILab.data.folders import find_scans, layout_of
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.support.progress import silent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients with dark balls in the liver."""
    return write_two_livers(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module", params=sorted(STEPS))
def asked(request: pytest.FixtureRequest, data: Path) -> tuple[Any, AskedScan, Any]:
    """A family, a scan with two slices, and what it asks, with spoilt versions of their targets."""
    store = ModelStore.bundled()
    entry = store.manifest.find(request.param)
    family = family_of(store.network(entry.name, "cpu", "float32").eval(), entry)
    one = next(asked_scans(find_scans(data, layout_of(data)), entry, 2))
    return family, one, family.asked(one, family.versions(one.hu_zyx, np.random.default_rng(0)))


def loss_of(family: Any, branch: Any, asked: Any, spoilt: bool = False) -> float:
    with torch.inference_mode(), family.using(branch):
        return float(family.loss(branch or [], asked, 0, spoilt))


def test_a_remedy_starts_as_the_bundled_network(asked: tuple[Any, AskedScan, Any]) -> None:
    family, _, given = asked
    plain = loss_of(family, None, given)
    for name in family.remedies:
        assert loss_of(family, family.branch(name, [given]), given) == pytest.approx(plain, rel=1e-4), name
    for name in family.constants:
        assert loss_of(family, family.branch(name, [given]), given) != pytest.approx(plain, rel=1e-6), name
    assert loss_of(family, None, given) == plain, "nothing stays changed"


def test_a_remedy_learns_alone(asked: tuple[Any, AskedScan, Any]) -> None:
    family, _, given = asked
    trunk = {name: value.clone() for name, value in family.asked_of.state_dict().items()}
    for name in (*family.constants, *family.remedies):
        branch = family.branch(name, [given])
        before = loss_of(family, branch, given)
        losses = learn(family, name, branch, [given], 3, silent)
        assert len(losses) == 2 and all(np.isfinite(losses))
        assert loss_of(family, branch, given) != before, f"{name} learns"
    for name, value in family.asked_of.state_dict().items():
        assert torch.equal(value, trunk[name]), f"{name} is frozen"


def test_the_target_alone_is_spoilt(asked: tuple[Any, AskedScan, Any]) -> None:
    family, _, given = asked
    if hasattr(given, "keys"):
        for key in given.keys:
            clean, spoilt = key.with_key(None), key.with_key(0)
            changed = [not torch.equal(a, b) for a, b in zip(clean, spoilt, strict=True)]
            assert changed == [k == len(clean) // 2 for k in range(len(clean))]
        return
    clean, spoilt = given.with_targets(None), given.with_targets(0)
    middle = clean.shape[1] // 2
    assert [k for k in range(clean.shape[1]) if not torch.equal(clean[:, k], spoilt[:, k])] == [middle]
    level = given.levels[0].float()
    assert (level[spoilt[:, middle]] - level[clean[:, middle]]).abs().mean() > 0.01
    assert loss_of(family, None, given, spoilt=True) != loss_of(family, None, given)


def test_rows_are_judged_kept_and_printed_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedies, "find_synthliver", lambda *_: find_scans(data, layout_of(data)))
    options = ["--model", "va_mask_rcnn", "--slices", "2", "--steps", "1", "--out", str(tmp_path)]
    assert main(["compare", "remedies", str(data), *options]) == 0
    said = capsys.readouterr().out
    assert said.count("against one number") == 6 and "as it is, under noise" in said
    assert main(["compare", "attention", "--rows", str(tmp_path / "rows.json.gz")]) == 0
    assert capsys.readouterr().out == said


def test_noise_is_as_strong_as_asked_and_has_a_grain() -> None:
    still = np.full((6, 64, 64), 100, np.float32)
    made = noisy(still, 12.0, np.random.default_rng(0)) - still
    assert made.std() == pytest.approx(12.0, rel=0.01) and abs(made.mean()) < 1
    along, across = (
        np.corrcoef(made[:, 1:].ravel(), made[:, :-1].ravel())[0, 1],
        np.corrcoef(made[1:].ravel(), made[:-1].ravel())[0, 1],
    )
    assert along > 0.3 and abs(across) < 0.05, "neighbouring pixels hang together, slices do not"
    ramp = np.tile(np.arange(64, dtype=np.float32), (8, 64, 1))
    ramp[4] += 50
    _, moved, thick = spoilt_each_way(ramp, np.random.default_rng(0))
    np.testing.assert_allclose(moved, ramp, atol=1e-3)
    np.testing.assert_allclose(thick[4] - ramp[4], -40, atol=1e-3)
