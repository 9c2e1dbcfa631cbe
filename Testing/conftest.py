"""What several test files share and is slow to make: the sample case and what is found in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is loaded: more threads than cores spend their time waiting for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from LiverLesionAILab.synthesis.sample import Sample
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.models.weights import ModelStore


@pytest.fixture(scope="session")
def sample() -> Sample:
    """The sample case; tests leave its arrays as they are."""
    from LiverLesionAILab.synthesis.sample import load_sample

    made = load_sample()
    for array in (made.volume.hu_zyx, made.liver_zyx, made.lesion_labels_zyx):
        array.setflags(write=False)
    return made


@pytest.fixture(scope="session")
def models() -> ModelStore:
    """The bundled weights, kept warm."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from LiverLesionAILib.models.weights import ModelStore

    return ModelStore.bundled()


@pytest.fixture(scope="session")
def sample_result(sample: Sample, models: ModelStore) -> CaseResult:
    """What the product finds in the sample case with its default settings."""
    from LiverLesionAILib.analysis.pipeline import Settings, analyze

    return analyze(sample.volume, Settings(device="cpu"), models)
