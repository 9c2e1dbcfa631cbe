"""Scans that share a series are told apart by whatever tells, and one scan is never taken apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from LiverLesionAILib.reading.dicom_acquisitions import split_acquisitions
from LiverLesionAILib.reading.dicom_frames import CATEGORIES, MOMENTS, Frame, StoredFormat

NOON = 12 * 3600.0
MIDNIGHT = 24 * 3600.0
FORMAT = StoredFormat("1.2.840.10008.1.2.1", 1, 16, 16, 15, True, "MONOCHROME2")


def frame(k: int, z_mm: float, instance: int, moments: dict[str, float], **categories: str) -> Frame:
    named = {name: moments.get(name) for name in MOMENTS}
    named["instance number"] = float(instance)
    thickness = categories.get("SliceThickness")
    return Frame(
        path=Path(f"{k:05d}.dcm"), index=0, frames=1, sop_class="1.2.840.10008.5.1.4.1.1.2",
        sop_instance=f"1.{k}", format=FORMAT, modality="CT", series_uid="1.2", study_uid="1.1",
        frame_of_reference="1.3", number=3, description="", body="", patient="P", instance=instance,
        image_type=(), shape_yx=(64, 64), position_lps=(-90.0, -80.0, z_mm),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0), spacing_yx_mm=(3.0, 3.0), slope=1.0, intercept=0.0,
        rescale="", rescale_type="HU", padding=None, thickness_mm=float(thickness) if thickness else None,
        location_mm=None, categories=tuple(categories.get(key, "") for key in CATEGORIES),
        moments=tuple(named[name] for name in MOMENTS), kernel="",
    )  # fmt: skip


def parts_of(frames: list[Frame]) -> list[set[str]]:
    """File names of each scan found."""
    found = split_acquisitions(frames)
    for part, _ in found:
        heights = [f.position_lps[2] for f in part]
        assert heights == sorted(heights)
    assert sorted(f.path.name for part, _ in found for f in part) == sorted(f.path.name for f in frames)
    return [{f.path.name for f in part} for part, _ in found]


@st.composite
def instance_numbers(draw: st.DrawFn, n: int) -> list[int]:
    kind = draw(st.sampled_from(["rising", "falling", "shuffled", "absent"]))
    numbers = list(range(1, n + 1))
    if kind == "falling":
        return numbers[::-1]
    if kind == "shuffled":
        return draw(st.permutations(numbers))
    return [0] * n if kind == "absent" else numbers


@st.composite
def moments_of_one_scan(draw: st.DrawFn, n: int, kinds: list[str]) -> list[float]:
    """Times along one scan: rising slice by slice or block by block, one for all, or in no order."""
    kind = draw(st.sampled_from(kinds))
    start = draw(st.sampled_from([NOON, MIDNIGHT - 2.0]))
    if kind == "constant":
        return [start] * n
    if kind == "blocks":
        block = draw(st.integers(2, 8))
        return [(start + 0.5 * (k // block)) % MIDNIGHT for k in range(n)]
    times = [(start + 0.21 * k) % MIDNIGHT for k in range(n)]
    if kind == "falling":
        return times[::-1]
    if kind == "shuffled":
        return draw(st.permutations(times))
    if kind == "jitter":
        for k in draw(st.lists(st.integers(0, n - 2), max_size=n // 4)):
            times[k], times[k + 1] = times[k + 1], times[k]
    return times


@st.composite
def one_scan(draw: st.DrawFn) -> list[Frame]:
    n = draw(st.integers(8, 60))
    step = draw(st.sampled_from([0.5, 0.625, 1.0, 1.25, 2.5, 3.0, 5.0, 8.0]))
    heights = np.round(draw(st.sampled_from([0.0, -317.3])) + step * np.arange(n), 2)
    instances = draw(instance_numbers(n))
    orders = ["constant", "blocks", "rising", "falling", "jitter"]
    moments = {"content time": draw(moments_of_one_scan(n, [*orders, "shuffled"]))}
    for name in draw(st.lists(st.sampled_from(MOMENTS[:3]), unique=True)):
        moments[name] = draw(moments_of_one_scan(n, orders))
    rotation = draw(st.sampled_from([1, 4, 16, 1000]))
    image_types = draw(st.sampled_from([["AXIAL"], ["AXIAL", "AXIAL\\HELIX"]]))
    typo = draw(st.integers(-n, n - 1))
    frames = [
        frame(
            k, z, instances[k], {name: values[k] for name, values in moments.items()},
            AcquisitionNumber=str(1 + k // rotation), KVP="120", ConvolutionKernel="B30f",
            ImageType=image_types[k * len(image_types) // n],
            SliceThickness="5" if k != typo else "4.99", IrradiationEventUID="" if k != typo else "1.2",
        )
        for k, z in enumerate(heights)
    ]  # fmt: skip
    gone = draw(st.sets(st.integers(1, n - 2), max_size=n // 6))
    return draw(st.permutations([f for k, f in enumerate(frames) if k not in gone]))


FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(one_scan())
def test_one_scan_stays_whole(frames: list[Frame]) -> None:
    assert len(parts_of(frames)) == 1


LABELS = [
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "IrradiationEventUID",
    "NominalPercentageOfCardiacPhase", "ConvolutionKernel", "KVP", "ImageType", "ContrastBolusAgent",
    "SeriesDescription", "SliceThickness",
]  # fmt: skip
TELLING = [*LABELS, "rotations", *(f"{name}, {how}" for name in MOMENTS[:4] for how in ("one", "each"))]


@st.composite
def several_scans(draw: st.DrawFn) -> tuple[list[Frame], list[set[str]]]:
    telling = draw(st.sampled_from([*TELLING, "instance number"]))
    count = draw(st.integers(2, 4))
    step = draw(st.sampled_from([1.25, 3.0, 5.0]))
    shift = draw(st.sampled_from([0.0, 0.3, 1.0, step / 2, step / count]))
    shift = min(shift, step / count)
    lengths = [draw(st.integers(12, 30)) for _ in range(count)]
    late = draw(st.sampled_from([0, 0, 0.5, 0.7]))
    order = draw(st.sampled_from([1, -1]))
    frames, expected = [], []
    for n, length in enumerate(lengths):
        start = n * shift + (int(late * lengths[0]) * step if n else 0.0)
        heights = start + step * np.arange(length)[::order]
        own = []
        for k, z in enumerate(heights):
            number = len(frames) + 1 + k
            categories = {"AcquisitionNumber": "1", "KVP": "120"}
            moments = {"content time": NOON}
            if telling in LABELS:
                value = {"KVP": 80 + 20 * n, "SliceThickness": n + 1}.get(telling, n + 1)
                categories[telling] = f"{value:g}"
            elif telling == "rotations":
                categories["AcquisitionNumber"] = str(1 + n * 20 + k // 4)
            elif "," in telling:
                name, how = telling.split(", ")
                moments[name] = NOON + 40 * n + (0.3 * k if how == "each" else 0.0)
            instance = number if telling == "instance number" else k + 1
            own.append(frame(len(frames) + k, float(z), instance, moments, **categories))
        frames += own
        expected.append({f.path.name for f in own})
    return draw(st.permutations(frames)), expected


@FEW
@given(several_scans())
def test_several_scans_are_told_apart(case: tuple[list[Frame], list[set[str]]]) -> None:
    frames, expected = case
    found = parts_of(frames)
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def stack(first: int, n: int, start_mm: float, step_mm: float, **labels: str) -> list[Frame]:
    return [frame(first + k, start_mm + step_mm * k, first + k + 1, {}, **labels) for k in range(n)]


class TestWords:
    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            ({"AcquisitionNumber": ("2", "3")}, ["acquisition 2", "acquisition 3"]),
            ({"ConvolutionKernel": ("B30f", "B70f")}, ["kernel B30f", "kernel B70f"]),
            ({"KVP": ("80", "140")}, ["80 kV", "140 kV"]),
            ({}, ["images 1 to 20", "images 21 to 40"]),
        ],
    )
    def test_what_tells(self, labels: dict[str, tuple[str, str]], words: list[str]) -> None:
        frames = []
        for n in range(2):
            frames += stack(20 * n, 20, n * 1.0, 3.0, **{key: values[n] for key, values in labels.items()})
        assert [text for _, text in split_acquisitions(frames)] == words

    def test_times_across_midnight(self) -> None:
        frames = []
        for n, start in enumerate([MIDNIGHT - 30, 10.0]):
            frames += [
                frame(20 * n + k, n * 1.0 + 3 * k, k + 1, {"acquisition time": start + 0.1 * k})
                for k in range(20)
            ]
        assert [text for _, text in split_acquisitions(frames)] == ["23:59:30", "00:00:10"]


class TestOneScan:
    def test_scan_in_rotations_one_above_the_other(self) -> None:
        frames = [
            replace(f, categories=frame(0, 0, 0, {}, AcquisitionNumber=str(k // 8)).categories)
            for k, f in enumerate(stack(0, 40, 0.0, 2.5))
        ]
        assert len(parts_of(frames)) == 1

    def test_two_scans_in_rotations(self) -> None:
        frames = []
        for n in range(2):
            for k in range(40):
                z = 2.5 * k + 1.0 * n
                frames.append(frame(40 * n + k, z, 1, {}, AcquisitionNumber=str(5 * n + k // 8)))
        assert [len(part) for part in parts_of(frames)] == [40, 40]

    def test_bolus_tracking_in_the_series(self) -> None:
        helix = stack(0, 40, 0.0, 3.0, AcquisitionNumber="2")
        watched = [frame(100 + k, 61.0, 1 + k, {}, AcquisitionNumber="1") for k in range(12)]
        assert sorted(len(part) for part in parts_of(helix + watched)) == [12, 40]

    def test_single_planning_slice_in_the_middle(self) -> None:
        helix = stack(1, 40, 0.0, 3.0, AcquisitionNumber="2")
        plan = [frame(0, 61.0, 1, {}, AcquisitionNumber="1")]
        assert sorted(len(part) for part in parts_of(helix + plan)) == [1, 40]

    def test_two_reconstructions_of_two_phases(self) -> None:
        """Four scans; no label alone tells them."""
        frames = []
        for phase in range(2):
            for kernel in range(2):
                labels = {"AcquisitionNumber": str(phase), "ConvolutionKernel": "BI"[kernel]}
                frames += stack(len(frames), 30, 0.7 * phase + 1.6 * kernel, 3.0, **labels)
        assert [len(part) for part in parts_of(frames)] == [30, 30, 30, 30]

    def test_reconstructions_one_above_the_other(self) -> None:
        frames = stack(0, 20, 0.0, 3.0, ConvolutionKernel="B30f")
        frames += stack(20, 20, 60.0, 3.0, ConvolutionKernel="B70f")
        assert [len(part) for part in parts_of(frames)] == [20, 20]

    def test_irregular_gaps(self) -> None:
        gaps = [8, 8, 8, 16, 16, 8, 8, 8, 6, 8, 8, 16, 8, 8, 24, 8, 8]
        frames = [frame(k, float(z), k + 1, {}) for k, z in enumerate(np.cumsum(gaps))]
        assert len(parts_of(frames)) == 1

    def test_thin_slices_within_thick_ones(self) -> None:
        heights = np.concatenate([np.arange(0, 50, 5.0), np.arange(50, 80, 2.5), np.arange(80, 120, 5.0)])
        assert len(parts_of([frame(k, float(z), k + 1, {}) for k, z in enumerate(heights)])) == 1


class TestNothingTells:
    """No labels, no times, no numbers: only where the slices lie."""

    def bare(self, heights: np.ndarray) -> list[Frame]:
        return [frame(k, float(z), 0, {}) for k, z in enumerate(heights)]

    @pytest.mark.parametrize("shift_mm", [0.3, 1.0])
    def test_interleaved(self, shift_mm: float) -> None:
        heights = 3.0 * np.arange(20)
        found = parts_of(self.bare(np.concatenate([heights, heights + shift_mm])))
        assert [len(part) for part in found] == [20, 20]

    def test_partly_overlapping(self) -> None:
        found = parts_of(self.bare(np.concatenate([3.0 * np.arange(20), 37.0 + 3.0 * np.arange(20)])))
        assert [len(part) for part in found] == [20, 20]

    def test_same_places(self) -> None:
        heights = 3.0 * np.arange(20)
        assert [len(part) for part in parts_of(self.bare(np.concatenate([heights, heights])))] == [20, 20]
