"""Settings of :mod:`.dadrn`, its sizes and the rows of the paper's tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from .parts.drn import DrnConfig

Normalisation = Literal["sigmoid", "softmax"]
Fusion = Literal["sum", "concat"]
Pooling = Literal["mean", "mean_max"]
Similarity = Literal["product", "cosine", "scaled_cosine"]

CLASSES = ("Normal", "CYST", "FNH", "HCC", "HEM")
"""The paper's five classes, in its order."""

PHASED_CLASSES = (*CLASSES, "MET", "BENIGN")
"""With metastases and other malignant lesions, and with benign changes that are no mass."""


@dataclass(frozen=True)
class DadrnConfig:
    """Settings of :class:`Dadrn`.

    Attributes:
        backbone: see :class:`~.drn.DrnConfig`.
        classes: names in the order of the logits.
        spatial, channel: which attention is applied to the last map; neither is plain DRN.
        normalisation: of the affinities, "sigmoid" (the paper's A of SADR and CADR) or "softmax" (B).
        fusion: of both attentions, "sum" (DADR-A) or "concat" (DADR-B).
        similarity: of embeddings, see the module.
        separate: B_1 and B_2 are two convolutions instead of one.
        mean: divide affinities, and sums of sigmoids, by their number of terms.
        pooling: of the map before the classifier: "mean" as in the paper, or "mean_max", the sum of its mean
            and its largest value.
        dropout: before the classifier, in training.
        phases: contrast phases that the network is told, as shares; 0: none. No part of the paper.
        outlier: a linear layer beside the classifier, from the same pooled map, that says whether a lesion is
            of none of the classes. No part of the paper; fitted when all else is trained.
    """

    backbone: DrnConfig = field(default_factory=DrnConfig)
    classes: tuple[str, ...] = CLASSES
    spatial: bool = True
    channel: bool = True
    normalisation: Normalisation = "sigmoid"
    fusion: Fusion = "concat"
    similarity: Similarity = "product"
    separate: bool = False
    mean: bool = False
    pooling: Pooling = "mean"
    dropout: float = 0.0
    phases: int = 0
    outlier: bool = False

    def __post_init__(self) -> None:
        # The manifest holds plain types.
        if isinstance(self.backbone, dict):
            known = {k: tuple(v) if isinstance(v, list) else v for k, v in self.backbone.items()}
            object.__setattr__(self, "backbone", DrnConfig(**known))
        object.__setattr__(self, "classes", tuple(self.classes))


SIZES = {
    "paper": DadrnConfig(),
    "compact": DadrnConfig(
        backbone=DrnConfig(
            stem=16,
            stem_kernel=5,
            pool=False,
            unit="basic",
            widths=(16, 32, 64, 128),
            depths=(1, 2, 2, 1),
            strides=(1, 2, 2, 1),
            dilations=(1, 1, 1, 2),
        ),
        mean=True,
        pooling="mean_max",
        dropout=0.1,
    ),
}
SIZES["attending"] = replace(SIZES["compact"], similarity="scaled_cosine", separate=True)

SIZES["phased"] = replace(SIZES["attending"], classes=PHASED_CLASSES, phases=4)

SHARPNESS: dict[str, float] = {"sigmoid": 4.0, "softmax": 8.0}
"""Where scaled cosines begin: sigmoids from 0.02 to 0.98, softmax entropies near 0.7 of their range."""

VARIANTS: dict[str, dict[str, object]] = {
    "DRN50": {"spatial": False, "channel": False},
    "SEResnet50": {"spatial": False, "channel": False, "attention": "se"},
    "RAResnet50": {"spatial": False, "channel": False, "attention": "residual"},
    "SADR50-A": {"channel": False, "normalisation": "sigmoid"},
    "SADR50-B": {"channel": False, "normalisation": "softmax"},
    "CADR50-A": {"spatial": False, "normalisation": "sigmoid"},
    "CADR50-B": {"spatial": False, "normalisation": "softmax"},
    "DADR50-A": {"fusion": "sum"},
    "DADR50-B": {"fusion": "concat"},
}
"""The rows of the paper's tables, as changes to DADR50-B."""


def variant(name: str, base: DadrnConfig = SIZES["paper"]) -> DadrnConfig:
    """The configuration of a row of the paper's tables, at the size of `base`.

    Raises:
        KeyError: no such row.
    """
    changes = dict(VARIANTS[name])
    attention = changes.pop("attention", "none")
    backbone = base.backbone
    if attention != "none":
        # These are no dilated networks: strides where the dilations were.
        strides = tuple(
            2 if number and (s > 1 or base.backbone.dilations[number] > 1) else s
            for number, s in enumerate(base.backbone.strides)
        )
        backbone = replace(
            backbone, attention=attention, strides=strides, dilations=(1,) * len(backbone.dilations)
        )
    return replace(base, backbone=backbone, **changes)
