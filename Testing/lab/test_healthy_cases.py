"""Livers without labels for training: from the real scans where they are there, none where they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import data_folder
from LiverLesionAILab.training.healthy import healthy_cases
from LiverLesionAILib.analysis import pipeline
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.support.errors import InputError


def test_nothing_without_data(tmp_path: Path) -> None:
    assert healthy_cases(tmp_path, (2.5, 1.25, 1.25)) == []


@pytest.mark.real_data
def test_livers_are_plausible_and_hold_no_tumour(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        data = data_folder()
    except InputError as error:
        pytest.skip(f"needs the real CTs: {error}")
    # At one small scale, without boxes: the outlines are coarse, and the test is short.
    monkeypatch.setattr(
        pipeline,
        "analyze",
        lambda ct, settings, models: analyze(ct, replace(settings, pyramid=(0.6,), detector=None), models),
    )
    cases = healthy_cases(data, (5.0, 3.0, 3.0))
    assert [case.kind for case in cases] == ["healthy"] * 3
    for case in cases:
        assert set(np.unique(case.labels_zyx)) <= {0, 1, 255}
        litres = np.count_nonzero(case.labels_zyx == 1) * np.prod(case.spacing_zyx_mm) / 1e6
        assert 0.7 < litres < 2.2
