"""What the user can choose for one analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..support.errors import LiverLesionAIError
from .class_priors import SETTINGS

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
        liver_threshold: 0..1 instead of the model's calibrated one.
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
        class_priors: how often a lesion is of each class, all classes of the page; see
            :func:`parse_class_priors`.
        gallbladder: whether to look for it, and to take it out of liver and lesions.
        faint_aside: whether who asks keeps fainter lesions aside and lists by a slider, as the panel does;
            `score_threshold` is how faint then, and the model's own score says what is listed at first.
    """

    segmenter: str = ""
    classifier: str | None = ""
    detector: str | None = ""
    device: str = "auto"
    precision: str = "auto"
    liver_threshold: float | None = None
    tumour_threshold: float | None = None
    score_threshold: float | None = None
    temperature: float | None = None
    detector_threshold: float | None = None
    smallest_mm: float | None = None
    pyramid: tuple[float, ...] | None = None
    margin_mm: float | None = None
    attention: bool = True
    classes: str | None = None
    class_priors: tuple[tuple[str, float], ...] | None = None
    gallbladder: bool = True
    operating_point: str = "default"
    faint_aside: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Settings from plain types; unknown keys raise TypeError."""
        values = dict(data)
        if values.get("pyramid") is not None:
            values["pyramid"] = tuple(values["pyramid"])
        if values.get("class_priors") is not None:
            values["class_priors"] = tuple(
                (str(name), float(share)) for name, share in values["class_priors"]
            )
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain types; the way back is :meth:`from_json`."""
        values = asdict(self)
        if self.pyramid is not None:
            values["pyramid"] = list(self.pyramid)
        if self.class_priors is not None:
            values["class_priors"] = [list(one) for one in self.class_priors]
        return values


def parse_class_priors(
    text: str | None, stated: tuple[tuple[str, float], ...]
) -> tuple[tuple[str, float], ...] | None:
    """ "HCC=0.3,cyst=0.2", or a setting ("staging", "at risk"), as priors. None for None.

    Classes that are left out share the rest as stated.

    Args:
        stated: of the page of rules.

    Raises:
        LiverLesionAIError: no such class, no share from 0 to 1, or more than 1 in all.
    """
    if text is None:
        return None
    if (setting := text.strip().lower().replace("-", " ")) in SETTINGS:
        return SETTINGS[setting].shares
    known, given = dict(stated), {}
    for word in text.split(","):
        name, _, value = (part.strip() for part in word.partition("="))
        name = next((one for one in known if one.lower() == name.lower()), name)
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if name not in known or name in given or not 0 <= share <= 1:
            names = ", ".join(known)
            raise LiverLesionAIError(
                f"--class-priors {word.strip()}: give CLASS=SHARE, 0 to 1, each class once: {names}; or a "
                f"setting: {', '.join(SETTINGS)}."
            )
        given[name] = share
    left, rest = 1.0 - sum(given.values()), sum(v for name, v in known.items() if name not in given)
    if left < -1e-9 or (rest == 0 and left > 1e-9):
        raise LiverLesionAIError(
            f"--class-priors {text}: the shares have to sum to 1, or less with the rest."
        )
    return tuple(
        (name, given[name] if name in given else max(0.0, left) * share / rest)
        for name, share in known.items()
    )
