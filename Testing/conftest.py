"""What several test files share and is slow to make: the sample case and what is found in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is loaded: more threads than cores spend their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.case.sample import SampleCase
    from LiverLesionAILib.models.weights import ModelStore


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
