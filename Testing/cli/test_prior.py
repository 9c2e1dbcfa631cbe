"""`analyze --prior`: several earlier scans, dates, targets, and what is told of wrong ones."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import pytest
import SimpleITK as sitk
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult, PhaseEstimate
from LiverLesionAILib.case.followup_json import course_of_json
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.prior import add_prior_options, compare_with_priors, read_priors
from LiverLesionAILib.stages.followup.register import LiverTransform
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume
from support.results import measured_result


@pytest.fixture
def result() -> CaseResult:
    return measured_result()


def parsed(*words) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_prior_options(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def in_line(monkeypatch) -> None:
    still = LiverTransform(sitk.Transform(3, sitk.sitkIdentity), 1.0, 0.0, 1.0, 0.0)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", lambda *args: still)


def test_without_a_prior_nothing_is_read():
    assert read_priors(parsed(), silent) is None


@pytest.mark.usefixtures("in_line")
def test_several_priors_with_their_dates(result, tmp_path):
    folders = [tmp_path / name for name in ("spring", "winter")]
    for folder in folders:
        save_result(replace(result, case_name=folder.name), folder)
    numbers = [x.number for x in result.lesions if x.measurement is not None and x.status.counts]
    args = parsed(
        "--prior", folders[0], "--prior", folders[1],
        "--prior-date", "2026-01-05", "--prior-date", "2026-04-05", "--date", "2026-07-05",
        "--targets", numbers[0], "--other-target", "20,15,30",
        "--diagnosis", "gist",
    )  # fmt: skip
    priors = read_priors(args, silent)
    said = []
    volume = CtVolume(result.lesion_labels_zyx.astype("int16"), result.geometry, "now")
    texts = compare_with_priors(priors, result, volume, said.append, silent)
    document = json.loads(texts["followup.json"])
    # The dates say that the folder named second is the younger one.
    assert [p["day"] for p in document["time_points"]] == ["2026-01-05", "2026-04-05", "2026-07-05"]
    assert [p["name"] for p in document["time_points"]][:2] == ["spring", "winter"]
    assert document["targets"] == numbers[:1]
    own = next(x for x in result.lesions if x.number == numbers[0]).measurement.long_axis_mm
    assert document["sums_mm"] == pytest.approx([own + 20, own + 15, own + 30], abs=0.06)
    assert document["recist"]["nadir_mm"] == pytest.approx(own + 15, abs=0.06)
    assert document["choi"]["density_percent"] == 0
    assert document["volume_change_percent"] == 0
    text = "\n".join(said)
    assert "Choi (GIST): stable disease" in text
    assert f"lesion {numbers[0]}" in texts["followup_plot.svg"]
    assert "order of their dates" in text
    assert "2026-04-05" in text and "sum" in text


@pytest.mark.parametrize(("words", "message"), [
    (["--prior-date", "2026-01-05"], "--prior-date belongs to --prior"),
    (["--targets", "1"], "--targets belongs to --prior"),
    (["--prior", "a", "--prior-date", "2026-01-05", "--prior-date", "2026-01-06"], "more --prior-date"),
    (["--prior", "a", "--other-target", "20"], "--other-target has 1 lengths for 2 scans"),
    (["--prior", "a", "--diagnosis", "hcc"], "--enhancing belong together"),
    (["--prior", "a", "--enhancing", "20,9"], "--enhancing belong together"),
    (["--prior", "a", "--diagnosis", "hcc", "--enhancing", "20"], "--enhancing has 1 lengths for 2 scans"),
    (["--prior", "a", "--other-node", "20,9,8"], "--other-node has 3 lengths for 2 scans"),
    (["--other-node", "20,9"], "--other-node belongs to --prior"),
    (["--prior", "nowhere"], "nowhere: there is no such case folder"),
])  # fmt: skip
def test_what_does_not_fit_is_told(words, message):
    with pytest.raises(LiverLesionAIError, match=message):
        read_priors(parsed(*words), silent)


@pytest.mark.parametrize("words", [
    ["--date", "05.01.2026"], ["--targets", "one"], ["--other-target", "20,-1"], ["--other-node", "-,9"],
    ["--non-target", "maybe"],
])  # fmt: skip
def test_what_cannot_be_read_is_refused(words):
    with pytest.raises(argparse.ArgumentError):
        parsed(*words)


@pytest.mark.usefixtures("in_line")
def test_a_target_that_is_not_there_is_told(result, tmp_path):
    save_result(result, tmp_path / "old")
    priors = read_priors(parsed("--prior", tmp_path / "old", "--targets", "99"), silent)
    volume = CtVolume(result.lesion_labels_zyx.astype("int16"), result.geometry, "now")
    with pytest.raises(LiverLesionAIError, match="no lesion 99"):
        compare_with_priors(priors, result, volume, lambda text: None, silent)


@pytest.mark.usefixtures("in_line")
@pytest.mark.parametrize("phase", [Phase.ARTERIAL, Phase.PORTAL])
def test_mrecist_of_an_hcc_where_both_scans_are_arterial(result, tmp_path, phase):
    now = replace(result, phase=PhaseEstimate(Phase.ARTERIAL.title, 1.0))
    save_result(replace(now, case_name="spring", phase=PhaseEstimate(phase.title, 1.0)), tmp_path / "old")
    given = ["--diagnosis", "hcc", "--enhancing", "30,20", "--enhancing", "12,0"]
    priors = read_priors(parsed("--prior", tmp_path / "old", *given), silent)
    said = []
    volume = CtVolume(result.lesion_labels_zyx.astype("int16"), result.geometry, "now")
    texts = compare_with_priors(priors, now, volume, said.append, silent)
    document = json.loads(texts["followup.json"])
    told = any("of spring it is not known" in warning for warning in document["warnings"])
    assert told == (phase is Phase.PORTAL) == (document["mrecist"] is None)
    if not told:
        assert document["mrecist"]["overall"] == "partial response"
        assert (document["mrecist"]["baseline_mm"], document["mrecist"]["now_mm"]) == (42.0, 20.0)
        assert document["mrecist"]["enhancing_mm"] == [[30.0, 12.0], [20.0, 0.0]]
        assert "mRECIST (HCC): partial response; enhancing, mm: 30.0 > 20.0; 12.0 > 0.0." in "\n".join(said)
        back = course_of_json(texts["followup.json"])
        assert back.mrecist is not None and back.mrecist.overall.value == "partial response"
