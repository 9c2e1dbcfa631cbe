"""What all tests share: threads and display, markers, the sample case and what is found in it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from LiverLesionAILib.support.threads import let_threads_sleep

# Before torch, numpy and Qt are loaded. One thread a process: on small arrays more wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
let_threads_sleep()
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if TYPE_CHECKING:
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.case.sample import SampleCase
    from LiverLesionAILib.models.weights import ModelStore

TESTING = Path(__file__).parent

# The same examples every time, so that a red run means a changed line; others are tried with
# `--hypothesis-profile explore`. How long an example takes is no test's matter.
untimed = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **untimed)
settings.register_profile("explore", max_examples=500, print_blob=True, **untimed)
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Panel tests need the desktop, and what runs the bundled networks is slow.

    A file's tests run in one process, those on the analysed sample case too, so that it is analysed once
    (`--dist loadgroup`); files with slow tests come first, so that no process ends long after the other.
    """
    for item in items:
        room = item.path.relative_to(TESTING).parts[0] if item.path.is_relative_to(TESTING) else ""
        if room == "panel":
            item.add_marker(pytest.mark.desktop)
        if {"sample_result", "models"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        # A worker has no plugin of the name xdist, but its number.
        if "PYTEST_XDIST_WORKER" in os.environ and item.get_closest_marker("xdist_group") is None:
            on_sample = "sample_result" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("sample" if on_sample else f"{room}/{item.path.stem}"))
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_configure(config: pytest.Config) -> None:
    """Groups start in the order of the tests: their number of tests says little of their time."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_finish(session: pytest.Session) -> None:
    """A pytest that loses the groups would make every fixture once a process."""
    if getattr(session.config.option, "loadgroup", False) and session.items:
        assert all("@" in item.nodeid for item in session.items), "xdist's groups are lost with this pytest"


@pytest.fixture(scope="session")
def sample() -> SampleCase:
    """The shipped sample case; tests leave its arrays as they are."""
    from LiverLesionAILib.case.sample import load_sample

    case = load_sample()
    for array in (case.volume.hu_zyx, case.liver_zyx, case.lesion_labels_zyx):
        array.setflags(write=False)
    return case


@pytest.fixture(scope="session")
def slab(sample: SampleCase) -> SampleCase:
    """45 mm through the sample's liver with three of its lesions: for what does not ask for a whole one."""
    from LiverLesionAILib.volume.ct import crop

    first, last = 58, 76
    shape = sample.volume.geometry.shape_zyx
    volume = crop(sample.volume, (first, 0, 0), (last, *shape[1:]))
    volume.hu_zyx.setflags(write=False)
    liver, lesions = sample.liver_zyx[first:last], sample.lesion_labels_zyx[first:last]
    return replace(sample, volume=volume, liver_zyx=liver, lesion_labels_zyx=lesions)


@pytest.fixture(scope="session")
def models() -> ModelStore:
    """The bundled weights, kept warm."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from LiverLesionAILib.models.weights import ModelStore

    return ModelStore.bundled()


@pytest.fixture(scope="session")
def sample_result(sample: SampleCase, models: ModelStore) -> CaseResult:
    """What the product finds in the sample case with its default settings."""
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings

    return analyze(sample.volume, Settings(device="cpu"), models)


@pytest.fixture(scope="session")
def slab_result(slab: SampleCase, models: ModelStore) -> CaseResult:
    """What the product finds in `slab` with its default settings."""
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings

    return analyze(slab.volume, Settings(device="cpu"), models)
