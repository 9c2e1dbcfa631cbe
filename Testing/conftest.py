"""What all tests share: threads and display, markers, the sample case and what is found in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Panel tests need the desktop, and what runs the bundled networks is slow.

    A file's tests run in one process, those on the analysed sample case too, so that it is analysed once
    (`--dist loadgroup`).
    """
    for item in items:
        room = item.path.relative_to(TESTING).parts[0] if item.path.is_relative_to(TESTING) else ""
        if room == "panel":
            item.add_marker(pytest.mark.desktop)
        if {"sample_result", "models"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if config.pluginmanager.hasplugin("xdist") and item.get_closest_marker("xdist_group") is None:
            on_sample = "sample_result" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("sample" if on_sample else f"{room}/{item.path.stem}"))


@pytest.fixture(scope="session")
def sample() -> SampleCase:
    """The shipped sample case; tests leave its arrays as they are."""
    from LiverLesionAILib.case.sample import load_sample

    case = load_sample()
    for array in (case.volume.hu_zyx, case.liver_zyx, case.lesion_labels_zyx):
        array.setflags(write=False)
    return case


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
