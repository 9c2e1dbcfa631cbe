"""What the user can choose for one analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

OPERATING_POINTS = ("strict", "default", "sensitive")

NO_DETECTOR = "none"
"""Name of a detector in the settings that says: masks only."""


@dataclass(frozen=True)
class Settings:
    """What the user can choose. None takes what the page of rules (:mod:`.rules`) or the model says.

    Attributes:
        segmenter: name of a "segment" model of the manifest; "" takes its first one.
        classifier: name of a "classify" model; "" takes the first one, where there is any; None gives lesions
            no class.
        detector: name of a "detect" model; "" takes the first one where there is one, "none" or None runs
            none.
        device: "auto", "cpu", "cuda", "cuda:1".
        precision: "auto", "float32", "bfloat16", "float16".
        tumour_threshold: 0..1 instead of the model's calibrated one.
        score_threshold: 0..1 instead of the model's calibrated one; lesions below are dropped.
        operating_point: "strict", "default" or "sensitive": which point of the model's measured curve the
            score is taken from, where `score_threshold` is not given.
        temperature: of the tumour's probability instead of the model's calibrated one.
        detector_threshold: 0..1 instead of the detector's calibrated one, for lesions that only it finds.
        smallest_mm: lesions of a smaller equivalent diameter are dropped.
        pyramid: scales of the image pyramid for liver and lesions alike; (0.5, 1.0, 1.5) is the SFAN paper's.
            None takes the model's own.
        margin_mm: around the liver's box.
        attention: whether to deliver attention maps.
        classes: "clinical" or "paper"; see the page of rules.
        gallbladder: whether to look for it, and to take it out of liver and lesions.
    """

    segmenter: str = ""
    classifier: str | None = ""
    detector: str | None = ""
    device: str = "auto"
    precision: str = "auto"
    tumour_threshold: float | None = None
    score_threshold: float | None = None
    temperature: float | None = None
    detector_threshold: float | None = None
    smallest_mm: float | None = None
    pyramid: tuple[float, ...] | None = None
    margin_mm: float | None = None
    attention: bool = True
    classes: str | None = None
    gallbladder: bool = True
    operating_point: str = "default"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Settings from plain types; unknown keys raise TypeError."""
        values = dict(data)
        if values.get("pyramid") is not None:
            values["pyramid"] = tuple(values["pyramid"])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain types; the way back is :meth:`from_json`."""
        values = asdict(self)
        if self.pyramid is not None:
            values["pyramid"] = list(self.pyramid)
        return values
