"""`liverlesionai clicks`: a click on every true lesion: the network's outline, by density, as the panel."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILab.data.scan import LabelledScan
from LiverLesionAILab.evaluation import clicks as command
from LiverLesionAILab.evaluation.clicked import Clicker
from LiverLesionAILab.evaluation.clicks import (
    add_click_arguments,
    asked_again,
    clicks_on,
    left_out_scans,
    run_clicks,
    table,
)
from LiverLesionAILab.training.click_places import deepest, worst
from LiverLesionAILib.case.findings import CaseResult, ProbabilityMap
from LiverLesionAILib.stages.detect.click_input import CHANNELS, INSIDE, OUTSIDE
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

GRID = Geometry.make((30, 90, 90), (2.5, 1.5, 1.5))
Z, Y, X = np.ogrid[:30, :90, :90]
LIVER = np.broadcast_to((np.abs(Z - 15) < 13) & (np.abs(Y - 45) < 40) & (np.abs(X - 45) < 40), (30, 90, 90))


def ball(z: int, y: int, x: int, radius_mm: float) -> np.ndarray:
    return ((Z - z) * 2.5) ** 2 + ((Y - y) * 1.5) ** 2 + ((X - x) * 1.5) ** 2 <= radius_mm**2


LISTED, SUSPECTED, SEEN = ball(15, 20, 20, 9), ball(15, 45, 60, 7), ball(10, 70, 30, 8)


@pytest.fixture
def scan() -> LabelledScan:
    """Three lesions: one that is listed, one that only the network suspects, one that only the CT shows."""
    rng = np.random.default_rng(0)
    hu = np.where(LIVER, 110, -100) + rng.normal(0, 6, GRID.shape_zyx)
    hu[LISTED | SEEN] -= 50
    labels = LIVER.astype(np.uint8)
    labels[LISTED | SUSPECTED | SEEN] = 2
    return LabelledScan("one", "A", CtVolume(hu.astype(np.int16), GRID, "one"), labels)


def found(ct: CtVolume) -> CaseResult:
    probability = (230 * LISTED + 190 * SUSPECTED).astype(np.uint8)
    maps = {"tumour": ProbabilityMap(probability, GRID)}
    return CaseResult("one", GRID, LIVER.copy(), LISTED.astype(np.uint16), probabilities=maps)


class Blind(torch.nn.Module):
    """In place of the network: it sees nothing, so that what is grown is proposed."""

    def __init__(self, sees: float = -9.0) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor(sees))

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        volumes = x.reshape(len(x), CHANNELS, -1, *x.shape[2:])
        # 9 pixels round the clicks in the lesion, without 9 round those beside it.
        near = (volumes[:, INSIDE] > np.exp(-9 / 5)) & (volumes[:, OUTSIDE] < np.exp(-9 / 5))
        return SimpleNamespace(logits=torch.where(near, self.bias, torch.tensor(-9.0)))


BLIND, SEES = Clicker(Blind().eval()), Clicker(Blind(9.0).eval())


def test_each_lesion_is_clicked_on_where_it_is_deepest(scan: LabelledScan) -> None:
    assert tuple(deepest(SUSPECTED, GRID.spacing_zyx_mm)) == (15, 45, 60)
    clicks = clicks_on(scan, found, BLIND)
    by_size = {round(click.diameter_mm): click for click in clicks}
    assert sorted(by_size) == [14, 16, 18] and [c.lesion for c in clicks] == [1, 2, 3]
    suspected, seen, listed = by_size[14], by_size[16], by_size[18]
    assert (listed.listed, suspected.listed, seen.listed) == (True, False, False)
    assert suspected.suspicion == pytest.approx(190 / 255, abs=0.01)
    assert suspected.by_network > 0.9 > suspected.by_density
    assert seen.by_network == 0.0 and seen.by_density > 0.7
    assert [c.by_panel for c in (suspected, seen)] == [suspected.by_network, seen.by_density]
    assert [c.one for c in clicks] == [c.by_panel for c in clicks], "the network has no answer"
    assert all(c.one is None for c in clicks_on(scan, found, None))


def test_the_networks_answer_counts_where_it_has_one(scan: LabelledScan) -> None:
    by_size = {round(click.diameter_mm): click for click in clicks_on(scan, found, SEES)}
    assert by_size[18].one > 0.6 and by_size[18].one != by_size[18].by_panel
    assert by_size[18].second == "missing" and by_size[18].two != by_size[18].one
    assert all(click.seconds > 0 for click in by_size.values())


def test_a_lesion_outside_of_what_was_found_gets_nothing(scan: LabelledScan) -> None:
    def elsewhere(ct: CtVolume) -> CaseResult:
        only = np.zeros(GRID.shape_zyx, bool)
        only[13:17, 42:48, 56:64] = True
        found = ProbabilityMap(np.zeros(GRID.shape_zyx, np.uint8), GRID)
        nothing = np.zeros(GRID.shape_zyx, np.uint16)
        return CaseResult("one", GRID, only, nothing, probabilities={"tumour": found})

    by_size = {round(click.diameter_mm): click for click in clicks_on(scan, elsewhere, SEES)}
    assert (by_size[18].by_panel, by_size[18].one, by_size[18].two) == (0, 0, 0) and by_size[14].one > 0


def test_the_second_click_goes_where_most_is_wrong() -> None:
    spacing = GRID.spacing_zyx_mm
    place, missing = worst(LISTED & (Y < 20), LISTED, spacing)
    assert missing and LISTED[tuple(int(n) for n in place)] and place[1] > 20
    place, missing = worst(LISTED | SEEN, LISTED, spacing)
    assert not missing and SEEN[tuple(int(n) for n in place)]
    assert worst(LISTED, LISTED, spacing) is None
    assert worst(LISTED | SEEN, LISTED, spacing, known=~SEEN) is None
    few = LISTED.copy()
    few[15, 20, 20] = False
    assert worst(few, LISTED, spacing) is not None and worst(few, LISTED, spacing, ignored=1) is None
    everywhere = np.ones(GRID.shape_zyx, bool)
    seen = Surroundings(np.zeros(GRID.shape_zyx), spacing, everywhere, LiverLevel(100.0, 10.0))
    answer = BLIND.answer(seen, LISTED, LISTED, (15.0, 20.0, 20.0))
    assert (answer.one, answer.two, answer.second) == (1.0, 1.0, "")


def test_only_what_a_run_has_not_learnt_from_is_clicked_on(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"patients": ["B", "C"]}')
    for run, patients in ((tmp_path, "AB"), (tmp_path, "Z"), (None, "Z")):
        with pytest.raises(InputError, match="has not learnt from"):
            next(left_out_scans(run, patients))
    with pytest.raises(InputError, match="is no run"):
        next(left_out_scans(tmp_path / "none", "A"))


def test_a_second_click_adds_what_the_network_suspects_there(scan: LabelledScan) -> None:
    def half(ct: CtVolume) -> CaseResult:
        """The network suspects two separate parts of one lesion; each click gives one."""
        suspected = SUSPECTED & (np.abs(Y - 45) >= 1)
        return CaseResult(
            "one",
            GRID,
            LIVER.copy(),
            np.zeros(GRID.shape_zyx, np.uint16),
            probabilities={"tumour": ProbabilityMap((180 * suspected).astype(np.uint8), GRID)},
        )

    clicks = {round(click.diameter_mm): click for click in clicks_on(scan, half, BLIND)}
    assert clicks[14].by_two > clicks[14].by_panel + 0.2


def test_the_table_tells_listed_from_missed(scan: LabelledScan) -> None:
    text = table(clicks_on(scan, found, BLIND))
    assert "| not listed | 2 | 0.50" in text and "| listed | 1 |" in text
    assert "10 mm and more | 2 |" in text and "below 10 mm" not in text


def test_the_commands_clicks_are_kept_and_printed_again(
    scan: LabelledScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = argparse.ArgumentParser()
    add_click_arguments(parser)
    listed = [SimpleNamespace(name=name, read=lambda: scan) for name in ("one", "two")]
    monkeypatch.setattr(command, "find_synthliver", lambda folder, split: listed)
    monkeypatch.setattr(command, "analyze", lambda ct, settings, models: found(ct))
    monkeypatch.setattr(command, "ModelStore", SimpleNamespace(bundled=lambda: None))
    monkeypatch.setattr(command, "asked_clicker", lambda run: BLIND)
    said: list[str] = []
    kept = str(tmp_path / "clicks.json")
    given = parser.parse_args([str(tmp_path), "--limit", "1", "--out", kept])
    assert run_clicks(given, say=said.append) == 0
    assert "| not listed | 2 | 0.50" in said[0] and "| listed | 1 |" in said[0]
    monkeypatch.setattr(command, "find_synthliver", None)  # nothing is read or run again
    assert run_clicks(parser.parse_args(["--rows", kept]), say=said.append) == 0
    assert said[1] == said[0]
    with pytest.raises(InputError, match="Give the folder of SynthLiver-1, or --rows"):
        run_clicks(parser.parse_args([]))
    (tmp_path / "clicks.json").write_text('[{"scan": "one"}]')
    with pytest.raises(InputError, match="no clicks as `clicks --out` writes them"):
        run_clicks(parser.parse_args(["--rows", kept]))


def test_kept_clicks_are_asked_of_the_network_again(scan: LabelledScan) -> None:
    kept = clicks_on(scan, found, BLIND)
    listed = [SimpleNamespace(name=name, read=lambda: scan) for name in ("one", "two")]
    again = asked_again(kept, listed, SEES)
    assert [c.by_panel for c in again] == [c.by_panel for c in kept]
    # Without an analysis nothing is suspected: the network begins with what density gives.
    by_density = clicks_on(scan, partial(command._nothing_listed, scan), SEES)
    assert [c.one for c in again] == [c.one for c in by_density] != [c.one for c in kept]
    assert asked_again(kept, listed[1:], SEES) == []
