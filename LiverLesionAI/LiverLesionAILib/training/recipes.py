"""How each bundled network is trained: one recipe a network, complete, so that a name and a seed decide
everything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InputError
from ..inputs import InputSpec
from ..networks import coarse_unet, dadrn, mscd, sfan, unet
from .bank import BankSettings
from .loop import LoopSettings
from .sampling import AugmentSettings

SEGMENT_INPUT = InputSpec(
    spacing_zyx_mm=(2.5, 1.25, 1.25), window_hu=(-75.0, 175.0), in_slices=5, liver_hu=100.0, magnify=1.4
)
"""SFAN paper, section 3: window [-75, 175]. The grid: fine enough for 5 mm lesions, coarse enough that
thin noisy slices are averaged. The liver's level is brought to 100 HU. Magnified, because held-out patients'
lesions of 6 to 15 mm were missed at 1.25 mm and found when the same network saw the same slices enlarged."""

CLASS_INPUT = InputSpec(spacing_zyx_mm=(3.0, 1.5, 1.5), window_hu=(-40.0, 220.0), in_slices=3)
"""DADRN sees a slice and its two neighbours. The level stays what it was measured as: water is told from
tissue by its HU, and how bright a lesion is by the phase that the liver is in."""

COARSE_INPUT = InputSpec(spacing_zyx_mm=(3.0, 3.0, 3.0), window_hu=(-150.0, 230.0), in_slices=5)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the fold.

    Attributes:
        network: module of `networks/`; config: its settings.
        task: "segment", "locate" or "classify".
        crop: edge of the square training crops, pixels.
        shares: kind of case -> share of the samples.
        tumour_share, liver_share: where crops are centred.
        bodies: number of synthetic bodies.
        healthy_variants: synthetic variants of each unlabelled liver, where those have a share.
        calibration: operating point of the model, read off leave-one-patient-out runs.
        scales: image pyramids of liver and lesions, chosen on leave-one-patient-out runs.
        title: one line for a menu.
        margin_mm: cases are cut to the liver's box with this margin; None keeps whole slices.
    """

    network: str
    task: str
    config: Any
    spec: InputSpec
    crop: int
    loop: LoopSettings
    shares: dict[str, float]
    tumour_share: float = 0.45
    liver_share: float = 0.35
    margin_mm: float | None = 45.0
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    bank: BankSettings = field(default_factory=lambda: BankSettings(seed=1))
    bodies: int = 120
    healthy_variants: int = 0
    calibration: dict[str, float] = field(default_factory=dict)
    scales: dict[str, tuple[float, ...]] = field(default_factory=dict)
    title: str = ""


_SEGMENT = Recipe(
    network="sfan",
    task="segment",
    config=sfan.SIZES["compact"],
    spec=SEGMENT_INPUT,
    crop=176,
    loop=LoopSettings(steps=6000, batch=12, class_weights=(1.0, 1.0, 3.0), dice_per_image=True),
    shares={"real": 0.3, "variant": 0.42, "body": 0.1, "healthy": 0.18},
    healthy_variants=60,
    augment=AugmentSettings(level_hu=15.0, pivot_hu=100.0),
    calibration={"tumour_threshold": 0.25, "score_threshold": 0.6},
    scales={"liver": (0.7, 1.0), "lesions": (1.25, 1.75)},
    title="SFAN: liver and tumours (semantic feature attention)",
)

RECIPES: dict[str, Recipe] = {
    "sfan": _SEGMENT,
    # Second part of the bundled SFAN, from the first one's weights: more magnified, a wider range of scales.
    "sfan_finish": replace(
        _SEGMENT,
        spec=replace(SEGMENT_INPUT, magnify=1.75),
        crop=192,
        augment=AugmentSettings(level_hu=15.0, pivot_hu=100.0, scale=0.6),
        loop=replace(_SEGMENT.loop, steps=2000, learning_rate=6e-4, warmup=30, ema=0.99),
        scales={"liver": (0.56, 0.8), "lesions": (1.2, 1.68)},
    ),
    "unet": replace(
        _SEGMENT, network="unet", config=unet.SIZES["compact"], title="U-Net: liver and tumours (baseline)"
    ),
    "mscd": replace(
        _SEGMENT,
        network="mscd",
        config=mscd.SIZES["compact"],
        title="MSCD: liver and tumours (multi-scale contextual dependencies)",
    ),
    "coarse_unet": Recipe(
        network="coarse_unet",
        task="locate",
        config=coarse_unet.SIZES["compact"],
        spec=COARSE_INPUT,
        crop=128,
        loop=LoopSettings(steps=1200, batch=16, class_weights=(1.0, 1.0)),
        shares={"real": 0.45, "body": 0.4, "background": 0.15},
        tumour_share=0.0,
        liver_share=0.5,
        margin_mm=None,
        augment=AugmentSettings(level_hu=30.0, scale=0.4),
        bank=BankSettings(seed=0),
        bodies=100,
        title="Coarse U-Net: finds the liver",
    ),
    "dadrn": Recipe(
        network="dadrn",
        task="classify",
        config=dadrn.SIZES["compact"],
        spec=CLASS_INPUT,
        crop=160,
        loop=LoopSettings(steps=2200, batch=32, learning_rate=2e-3, warmup=60, checkpoint_every=50),
        shares={"body": 0.7, "real": 0.3},
        bodies=110,
        title="DADRN: class of lesions (dual attention dilated residual network)",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r}. Choose one of: {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
