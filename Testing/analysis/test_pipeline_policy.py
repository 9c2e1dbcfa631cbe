"""What the pipeline does around its networks: cancel at any moment, memory that runs out, settings, refusals.

The networks are thresholds (threshold_models.py), so that every moment of a run can be tried.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.device import DeviceError
from LiverLesionAILib.support.errors import Cancelled, InputError, ModelError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.writing.case_folder import write_case_folder
from support.threshold_models import ThresholdModels, phantom

PLAIN = Settings(device="cpu", precision="float32", attention=False)


@pytest.fixture(scope="module")
def case() -> tuple[CtVolume, np.ndarray]:
    return phantom()


@pytest.fixture(scope="module")
def result(case: tuple[CtVolume, np.ndarray]) -> CaseResult:
    return analyze(case[0], PLAIN, ThresholdModels())


def same(one: CaseResult, other: CaseResult) -> bool:
    return (
        np.array_equal(one.lesion_labels_zyx, other.lesion_labels_zyx)
        and np.array_equal(one.liver_zyx, other.liver_zyx)
        and one.lesions == other.lesions
    )


def test_two_lesions_of_known_size_are_measured(case, result: CaseResult) -> None:
    volume, truth = case
    assert [lesion.number for lesion in result.lesions] == [1, 2]
    for lesion, radius_mm in zip(result.lesions, (18.0, 12.0), strict=True):
        mask = truth == lesion.number
        true_ml = mask.sum() * volume.geometry.voxel_volume_mm3 / 1000
        assert lesion.measurement.volume_ml == pytest.approx(true_ml, rel=0.2)
        assert lesion.measurement.long_axis_mm == pytest.approx(2 * radius_mm, rel=0.2)
        assert lesion.measurement.hu_mean == pytest.approx(170, abs=6)
        centre_lps = volume.geometry.index_to_lps(np.argwhere(mask).mean(axis=0))
        assert lesion.centre_lps == pytest.approx(tuple(centre_lps), abs=2.0)


def test_cancelled_at_any_progress_call_it_stops_there_and_leaves_nothing(case, result: CaseResult) -> None:
    volume, _ = case
    before = volume.hu_zyx.copy()
    calls: list[str] = []
    analyze(volume, PLAIN, ThresholdModels(), lambda stage, fraction: calls.append(stage))
    assert len(calls) > 10
    assert len(set(calls)) >= 5, "the user sees what is being done"
    for stop_at in range(len(calls)):
        heard: list[str] = []

        def stop(stage: str, fraction: float, heard=heard, stop_at=stop_at) -> None:
            heard.append(stage)
            if len(heard) == stop_at + 1:
                raise Cancelled("Cancelled.")

        models = ThresholdModels()
        with pytest.raises(Cancelled):
            analyze(volume, PLAIN, models, stop)
        assert heard == calls[: stop_at + 1], "nothing goes on after the wish to stop"
        assert models.released == 0, "models stay warm for the next case"
    assert np.array_equal(volume.hu_zyx, before)
    assert same(analyze(volume, PLAIN, ThresholdModels()), result)


def test_the_same_input_gives_the_same_bytes(case, result: CaseResult, tmp_path: Path) -> None:
    """In every file but the pictures; what is said of the run itself (when, how long) aside."""
    volume, _ = case
    again = analyze(volume, PLAIN, ThresholdModels())
    for name, each in (("one", result), ("other", again)):
        # One clock for both.
        timed = replace(each, timings_s=result.timings_s, run=result.run)
        write_case_folder(timed, volume, tmp_path / name, pictures=False, scene=False)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) > 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes(), file


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("fails", [lambda n: n > 4, lambda n: n == 8], ids=["locate", "segment"])
def test_memory_that_runs_out_is_met_with_fewer_slices_and_the_same_findings(
    case, result: CaseResult, error: type[BaseException], fails
) -> None:
    sizes: list[int] = []

    def too_much(x: torch.Tensor) -> None:
        sizes.append(len(x))
        if fails(len(x)):
            raise error("out of memory")

    models = ThresholdModels(too_much)
    found = analyze(case[0], PLAIN, models)
    assert same(found, result)
    assert sizes[-1] < sizes[0]
    assert models.released == 1, "what held memory is let go before the next try"
    told = [message for message in found.messages if message.startswith("Memory ran out on CPU")]
    assert len(told) == 1
    assert "2 slices at a time" in told[0]


def test_memory_that_never_suffices_ends_with_advice(case) -> None:
    def never(x: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(DeviceError, match=r"not enough memory on CPU.*crop the CT"):
        analyze(case[0], PLAIN, ThresholdModels(never))


def test_other_errors_are_not_taken_for_lack_of_memory(case) -> None:
    def broken(x: torch.Tensor) -> None:
        raise RuntimeError("shape mismatch")

    models = ThresholdModels(broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        analyze(case[0], PLAIN, models)
    assert models.released == 0


def test_the_chosen_precision_reaches_the_networks(case) -> None:
    models = ThresholdModels()
    found = analyze(case[0], replace(PLAIN, precision="bfloat16"), models)
    assert {(device, precision) for _, device, precision in models.asked} == {("cpu", "bfloat16")}
    assert "bfloat16" in found.device


def test_an_unknown_segmenter_is_named_before_any_work(case) -> None:
    calls: list[str] = []
    with pytest.raises(ModelError, match=r"no model 'nnunet' to segment.*sfan"):
        analyze(
            case[0],
            replace(PLAIN, segmenter="nnunet"),
            ThresholdModels(),
            lambda stage, fraction: calls.append(stage),
        )
    assert calls == []


def test_a_margin_changes_the_box_not_the_findings(case, result: CaseResult) -> None:
    wide = analyze(case[0], replace(PLAIN, margin_mm=45.0), ThresholdModels())
    assert wide.probabilities["liver"].geometry.shape_zyx > result.probabilities["liver"].geometry.shape_zyx
    assert [lesion.number for lesion in wide.lesions] == [1, 2]
    for one, other in zip(wide.lesions, result.lesions, strict=True):
        assert one.measurement.volume_ml == pytest.approx(other.measurement.volume_ml, rel=0.05)


def test_what_the_check_doubts_is_among_the_messages(case) -> None:
    volume, _ = case
    geometry = Geometry.make((32, 120, 120), (8.0, 3.0, 3.0), volume.geometry.origin_lps)
    thick = CtVolume(volume.hu_zyx[::2], geometry, "thick", warnings=("Slices were uneven.",))
    found = analyze(thick, PLAIN, ThresholdModels())
    assert "Slices were uneven." in found.messages
    assert any("8.0 mm apart" in message for message in found.messages)


def test_values_saved_with_an_offset_give_the_same_findings(case, result: CaseResult) -> None:
    volume, _ = case
    stored = np.clip(volume.hu_zyx.astype(np.int32) + 1024, 0, 4095).astype(np.int16)
    found = analyze(replace(volume, hu_zyx=stored), PLAIN, ThresholdModels())
    assert same(found, result)
    assert any("1024" in message for message in found.messages)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda hu: np.full_like(hu, 40), id="constant"),
        pytest.param(lambda hu: np.where(hu > 100, np.nan, hu.astype(np.float32)), id="NaN"),
        pytest.param(lambda hu: (hu > 100).astype(np.uint8), id="mask"),
        pytest.param(lambda hu: np.abs(hu) // 3 + 20, id="no negative values"),
    ],
)
def test_a_slicer_volume_that_is_no_ct_is_refused_by_name(case, wrong) -> None:
    volume, _ = case
    bad = CtVolume(wrong(volume.hu_zyx), volume.geometry, "Volume 7")
    with pytest.raises(InputError, match=r"^Volume 7: "):
        analyze(bad, PLAIN, ThresholdModels())


def test_a_liver_cut_by_the_scans_end_is_said(case) -> None:
    volume, _ = case
    cut = CtVolume(
        volume.hu_zyx[34:], volume.geometry.cropped((34, 0, 0), volume.geometry.shape_zyx), "dome only"
    )
    found = analyze(cut, PLAIN, ThresholdModels())
    assert any("first or last slice" in message for message in found.messages)


@pytest.mark.parametrize(("cut_ml", "told"), [(12.4, True), (1.0, False)])
def test_what_was_cut_off_the_liver_is_said(case, monkeypatch, cut_ml: float, told: bool) -> None:
    from LiverLesionAILib.analysis import row

    made = row.masks_from_probabilities
    monkeypatch.setattr(row, "masks_from_probabilities", lambda *given: replace(made(*given), cut_ml=cut_ml))
    found = analyze(case[0], PLAIN, ThresholdModels())
    said = [message for message in found.messages if "narrow neck" in message]
    assert len(said) == told and all(message.startswith("12 mL ") for message in said)


def test_what_leans_on_the_liver_is_said(case, monkeypatch) -> None:
    from LiverLesionAILib.analysis import row
    from LiverLesionAILib.writing.report.sentences import sentence
    from LiverLesionAILib.writing.report.strings import Language

    made = row.masks_from_probabilities

    def leaning(*given):
        masks = made(*given)
        return replace(masks, beside_zyx=masks.labels_zyx > 0)

    assert not any("beside the liver" in text for text in analyze(case[0], PLAIN, ThresholdModels()).messages)
    monkeypatch.setattr(row, "masks_from_probabilities", leaning)
    found = analyze(case[0], PLAIN, ThresholdModels())
    said = [message for message in found.messages if "beside the liver look like a lesion" in message]
    volumes = sum(lesion.measurement.volume_ml for lesion in found.lesions)
    assert len(said) == 1 and float(said[0].split(" mL")[0]) == pytest.approx(volumes, rel=0.1)
    assert "neben der Leber" in sentence(said[0], Language("de"))


@pytest.mark.parametrize(("noise_hu", "told"), [(14.0, False), (18.2, True), (float("nan"), False)])
def test_a_noisy_scan_is_said_to_be_noisy(case, monkeypatch, noise_hu: float, told: bool) -> None:
    from LiverLesionAILib.analysis import row
    from LiverLesionAILib.writing.report.sentences import sentence
    from LiverLesionAILib.writing.report.strings import Language

    monkeypatch.setattr(row, "liver_noise_hu", lambda *_: noise_hu)
    said = [text for text in analyze(case[0], PLAIN, ThresholdModels()).messages if "noisy" in text]
    assert len(said) == told and all("18 HU in the liver" in text for text in said)
    assert all("verrauscht: 18 HU" in sentence(text, Language("de")) for text in said)
