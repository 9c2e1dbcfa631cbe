"""`compare anatomy`: the truth itself scores full marks, what is swapped or left out does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Geometry
from numpy.typing import NDArray

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")

SHAPE = (20, 30, 40)


@dataclass(frozen=True)
class _Patient:
    """A box of a liver: VIII above V on the right, IV on the left; two tubes, two lesions."""

    name: str = "drawn"
    folder: Path = Path("drawn")
    facts: dict[str, Any] = field(
        default_factory=lambda: {
            "variant": "usual",
            "phase": "portal venous",
            "landmarks_lps": {"portal bifurcation": [1.0, 2.0, 3.0]},
        }
    )

    def ct(self) -> CtVolume:
        return CtVolume(np.zeros(SHAPE, np.int16), Geometry.make(SHAPE, (4.0, 4.0, 4.0)))

    def segments(self) -> NDArray[np.uint8]:
        out = np.zeros(SHAPE, np.uint8)
        out[2:10, 3:27, 3:20], out[10:18, 3:27, 3:20], out[2:18, 3:27, 20:37] = 5, 8, 9
        return out

    def labels(self) -> NDArray[np.uint8]:
        out = (self.segments() > 0).astype(np.uint8)
        out[12:15, 5:8, 6:9], out[4:7, 20:23, 28:31] = 2, 3
        return out

    def branches(self) -> NDArray[np.uint8]:
        out = np.zeros(SHAPE, np.uint8)
        out[12:15, 11:14, 4:36], out[4:7, 11:14, 4:36] = 15, 32
        return out


def _judged(**changes: Any) -> Any:
    from LiverLesionAILab.evaluation.anatomy import judge, true_vessels
    from LiverLesionAILab.evaluation.anatomy_methods import AnatomyAnswer
    from LiverLesionAILab.metrics.anatomy import couinaud

    patient = _Patient()
    said: dict[str, Any] = {
        "vessels_zyx": true_vessels(patient.branches())[0],
        "segments_zyx": couinaud(patient.segments()),
        "landmarks_lps": {"portal bifurcation": (1.0, 2.0, 8.0)},
    }
    answer = AnatomyAnswer(**{**said, **changes})

    def method(_ct: CtVolume, _labels: NDArray[np.uint8], phase: Phase) -> AnatomyAnswer:
        assert phase is Phase.PORTAL
        return answer

    return judge(patient, "told", method)  # type: ignore[arg-type]


def test_the_truth_has_full_marks() -> None:
    from LiverLesionAILab.evaluation.anatomy import anatomy_table

    row = _judged()
    assert row.dice == {"IV": 1.0, "V": 1.0, "VIII": 1.0} and row.cldice == pytest.approx(1.0)
    assert row.label_right == row.label_all > 0 and row.landmarks_mm == {"portal bifurcation": 5.0}
    assert [one["truth"] for one in row.lesions] == ["VIII", "IV"]
    assert all(one["right"] and not one["beyond"] for one in row.lesions)
    assert row.lesions[0]["portal"] == [16.0, 16.0] and row.lesions[0]["ivc"] == [None, None]
    assert row.lesions[0]["share"] == 1.0 and row.lesions[0]["either"][0] == row.lesions[0]["either"][1]
    table = anatomy_table([row])
    assert (
        "| told | all | 1 | 2 of 2 (2) | 2 of 2 | 0 | 1.000 | 1.000 | 1.000 | 0.0 (4 of 6) | 0.0 |" in table
    )


def test_mistakes_are_counted() -> None:
    patient = _Patient()
    swapped = np.where(patient.branches() > 30, Vessel.PORTAL, Vessel.HEPATIC) * (patient.branches() > 0)
    row = _judged(vessels_zyx=swapped.astype(np.uint8))
    assert row.label_right == 0 and row.cldice == pytest.approx(1.0)
    segments = np.where(patient.segments() == 8, 5, np.where(patient.segments() == 5, 8, 4)).astype(np.uint8)
    row = _judged(segments_zyx=segments * (patient.segments() > 0))
    assert [one["right"] for one in row.lesions] == [False, True]
    assert row.lesions[0]["beyond"] is False, "V is VIII's neighbour"


def test_what_is_left_out_is_no_mistake_and_no_success() -> None:
    from LiverLesionAILab.evaluation.anatomy import anatomy_table

    row = _judged(vessels_zyx=None, segments_zyx=None, landmarks_lps={}, messages=("cut off",))
    assert row.cldice is None and not row.dice and "right" not in row.lesions[0]
    assert "| told | all | 1 | - | - | - | - | - | - | - | - | - | - |" in anatomy_table([row])
