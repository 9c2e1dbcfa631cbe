"""How each bundled network is trained: a complete recipe each, so that name and seed decide everything."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks import (
    click_unet,
    coarse_unet,
    cs_att,
    dadrn,
    mscd,
    sfan,
    tree_unet,
    unet,
    va_faster_rcnn,
    va_mask_rcnn,
)
from LiverLesionAILib.support.errors import InputError

from .bank import BankSettings
from .baselines import attention_unet, danet_unet, se_unet, second_look
from .bodies import BodyMix
from .gallbladder_cases import GallbladderMix
from .input_specs import (
    CLASS_INPUT,
    CLICK_EDGE,
    CLICK_INPUT,
    COARSE_INPUT,
    DETECT_INPUT,
    GALLBLADDER_INPUT,
    SECOND_LOOK_INPUT,
    SEGMENT_INPUT,
    TREE_INPUT,
    VESSEL_INPUT,
)
from .loop import LoopSettings
from .sampling import AugmentSettings
from .second_look_crops import EDGE
from .shares import ARTERIAL, VOLUMES


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the fold.

    Attributes:
        network: module of `networks/`; config: its settings.
        task: "segment", "locate", "detect", "classify" or "neighbour" (an organ beside the liver)
            or "vessels", "trees", "second look" or "click".
        crop: edge of the square training crops, pixels.
        shares: kind of case -> share of the samples.
        tumour_share, liver_share: where crops are centred.
        bodies: number of synthetic bodies; body_mix: what they are.
        healthy_variants: synthetic variants of each unlabelled liver, where those have a share.
        slice_variants: synthetic variants of each single axial slice, where those have a share.
        teachers: bundled mask networks or folders of runs whose mean tells liver from tumour in the single
            axial slices; without one that is unknown there.
        arterial: variants of each patient turned towards the arterial phase, and bodies of it; 0 for none.
        calibration: operating point of the model, read off leave-one-patient-out runs.
        scales: image pyramids of liver and lesions, chosen on leave-one-patient-out runs.
        title: one line for a menu.
        bundled_as: name in the manifest, where it is not the recipe's.
        margin_mm: cases are cut to the liver's box with this margin; None keeps whole slices.
        gallbladders: the synthetic gallbladders to learn from; None where the network has no such class.
        anatomy: so many training patients of SynthLiver-anatomy are learnt from (to name trees: patients
            beyond it), and nothing else; passed_over: of the latter, those that an earlier part has seen.
        slab_targets: for networks with a bag of images: a sample is a slab with so many target slices and
            their neighbours; 0 for crops of one slice.
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
    body_mix: BodyMix = field(default_factory=BodyMix)
    healthy_variants: int = 0
    slice_variants: int = 0
    arterial: int = 0
    teachers: tuple[str, ...] = ()
    calibration: dict[str, float] = field(default_factory=dict)
    scales: dict[str, tuple[float, ...]] = field(default_factory=dict)
    title: str = ""
    gallbladders: GallbladderMix | None = None
    anatomy: int = 0
    passed_over: int = 0
    slab_targets: int = 0
    bundled_as: str = ""


@dataclass(frozen=True)
class Mean:
    """A model that is the mean of others' probabilities; it joins the manifest when all of them are there."""

    members: tuple[str, ...]
    title: str
    calibration: dict[str, float]


_SEGMENT = Recipe(
    network="sfan",
    task="segment",
    config=sfan.SIZES["compact"],
    spec=SEGMENT_INPUT,
    crop=176,
    loop=LoopSettings(steps=6000, batch=12, class_weights=(1.0, 1.0, 3.0), dice_per_image=True),
    shares={
        "real": 0.24,
        "variant": 0.34,
        "body": 0.08,
        "healthy": 0.14,
        "slice": 0.08,
        "slice variant": 0.12,
    },
    healthy_variants=60,
    slice_variants=3,
    augment=AugmentSettings(level_hu=15.0, pivot_hu=100.0),
    calibration={"tumour_threshold": 0.25, "score_threshold": 0.6},
    scales={"liver": (0.7, 1.0), "lesions": (1.25, 1.75)},
    title="SFAN: liver and tumours (semantic feature attention)",
)


def _baseline(name: str, module: ModuleType, title: str) -> Recipe:
    """Another mask network, trained as SFAN is."""
    title = f"{title}: liver and tumours (baseline)"
    return replace(_SEGMENT, network=name, config=module.SIZES["compact"], title=title)


_VA = replace(
    _SEGMENT,
    shares=VOLUMES,
    network="va_mask_rcnn",
    config=va_mask_rcnn.SIZES["compact"],
    spec=replace(SEGMENT_INPUT, in_slices=3),
    loop=LoopSettings(steps=700, batch=3, learning_rate=1.2e-3, warmup=100, ema=0.996, checkpoint_every=50),
    tumour_share=0.55,
    liver_share=0.3,
    calibration={"tumour_threshold": 0.3, "score_threshold": 0.52},
    scales={"lesions": (1.4,)},
    title="VA Mask R-CNN: liver and tumours (volumetric attention)",
    slab_targets=4,
)
"""Slabs of 4 targets: their bags share images, so each target costs two passes of the encoder, not five."""

_VA_FINISH = replace(
    _VA,
    bundled_as="va_mask_rcnn",
    spec=replace(_VA.spec, magnify=1.75),
    augment=AugmentSettings(level_hu=15.0, pivot_hu=100.0, scale=0.6),
    loop=replace(_VA.loop, steps=1000),
    scales={"lesions": (1.12,)},
)
"""Second part, from the first one's weights: more magnified, a wider range of scales. A held-out patient's
lesions were found best by the first part's network when it saw slices 1.4 times as large as in training."""

_DETECT = replace(
    _SEGMENT,
    shares=VOLUMES,
    network="cs_att",
    task="detect",
    config=cs_att.SIZES["compact"],
    spec=DETECT_INPUT,
    crop=160,
    tumour_share=0.6,
    liver_share=0.3,
    loop=LoopSettings(steps=2000, batch=8, learning_rate=1.2e-3, checkpoint_every=100),
    # Read off two scans that training had not seen; see the model's card.
    calibration={
        "link_bias": -0.384,
        "link_top": 0.871,
        "link_support": 0.867,
        "score_threshold": 0.65,
        "least_suspicion": 0.2,
        "largest_alone_mm": 15.0,
        "agree_without": 0.1,
    },
    scales={},
    title="CS-Att: lesion boxes (3DCE with contextual and spatial attention)",
)

_TREES = Recipe(
    network="tree_unet",
    task="trees",
    config=tree_unet.SIZES["compact"],
    spec=TREE_INPUT,
    crop=112,
    loop=LoopSettings(
        steps=1000, batch=1, learning_rate=1.5e-3, warmup=50, ema=0.99, checkpoint_every=50, log_every=10
    ),
    shares={"anatomy": 1.0},
    anatomy=36,
    title="Tree U-Net: hepatic veins or portal vein, for each tube",
)

RECIPES: dict[str, Recipe] = {
    "sfan": _SEGMENT,
    # Second part of the bundled SFAN, from the first one's weights: more magnified, a wider range of scales.
    "sfan_finish": replace(
        _SEGMENT,
        bundled_as="sfan",
        spec=replace(SEGMENT_INPUT, magnify=1.75),
        crop=192,
        # A fifth is of the arterial phase: lesions brighter than the liver were never seen before.
        arterial=60,
        shares=ARTERIAL,
        augment=AugmentSettings(
            level_hu=15.0,
            pivot_hu=100.0,
            scale=0.6,
            breathing_chance=0.12,
            # A scan's noise is as coarse as its pixels, which the network sees magnified.
            noise_hu=24.0,
            noise_chance=0.55,
            grain_px=3.0,
            slice_grain=0.6,
        ),
        loop=replace(
            _SEGMENT.loop, steps=2000, learning_rate=6e-4, warmup=30, ema=0.99, lesion_dice_weight=0.5
        ),
        scales={"liver": (0.56, 0.8), "lesions": (1.2, 1.68)},
    ),
    "unet": _baseline("unet", unet, "U-Net"),
    "attention_unet": _baseline("attention_unet", attention_unet, "Attention U-Net"),
    "se_unet": _baseline("se_unet", se_unet, "SE U-Net"),
    "danet_unet": _baseline("danet_unet", danet_unet, "DANet head on a U-Net"),
    "mscd": replace(
        _SEGMENT,
        network="mscd",
        config=mscd.SIZES["compact"],
        title="MSCD: liver and tumours (multi-scale contextual dependencies)",
    ),
    "va_mask_rcnn": _VA,
    "va_mask_rcnn_finish": _VA_FINISH,
    # Goes on from the mask network's weights too: encoder, pyramid and proposals are the same.
    "va_faster_rcnn": replace(
        _VA_FINISH,
        bundled_as="",
        network="va_faster_rcnn",
        task="detect",
        config=va_faster_rcnn.SIZES["compact"],
        loop=replace(_VA.loop, steps=300),
        scales={"lesions": (1.12,)},
        # Of a held-out patient's two scans, half a false box each.
        calibration={
            "link_bias": -0.297,
            "link_top": 0.0,
            "link_support": 1.55,
            "score_threshold": 0.605,
        },
        title="VA Faster R-CNN: lesion boxes (volumetric attention)",
    ),
    "cs_att": _DETECT,
    # Second part of the bundled CS-Att, from the first one's weights: all patients, livers without lesions.
    "cs_att_finish": replace(
        _DETECT,
        loop=replace(_DETECT.loop, steps=1300, learning_rate=6e-4, warmup=30, ema=0.995),
        bundled_as="cs_att",
    ),
    "coarse_unet": Recipe(
        network="coarse_unet",
        task="locate",
        config=coarse_unet.SIZES["compact"],
        spec=COARSE_INPUT,
        crop=128,
        loop=LoopSettings(steps=1200, batch=16, class_weights=(1.0, 1.0)),
        shares={"real": 0.35, "body": 0.3, "background": 0.13, "slice": 0.22},
        tumour_share=0.0,
        liver_share=0.5,
        margin_mm=None,
        augment=AugmentSettings(level_hu=30.0, scale=0.4),
        bank=BankSettings(seed=0),
        bodies=100,
        # A left-out patient's stomach, full and as bright as the liver, was taken for liver.
        body_mix=BodyMix(isodense_stomach=0.35),
        title="Coarse U-Net: finds the liver",
    ),
    "gallbladder_unet": Recipe(
        network="unet",
        task="neighbour",
        config=unet.UnetConfig(in_slices=5, classes=3, widths=(16, 32, 64, 96, 64), norm="batch"),
        spec=GALLBLADDER_INPUT,
        crop=80,
        # Goes on from the coarse network's upper levels (--start), which know the organs.
        loop=LoopSettings(
            steps=800,
            batch=8,
            warmup=40,
            ema=0.995,
            class_weights=(1.0, 1.0, 1.5),
            dice_per_image=True,
            checkpoint_every=50,
        ),
        shares={"outlined": 0.25, "none": 0.12, "painted": 0.28, "tissue": 0.17, "gallbladder body": 0.18},
        tumour_share=0.5,
        liver_share=0.35,
        augment=AugmentSettings(level_hu=10.0, contrast=0.2, noise_hu=15.0),
        gallbladders=GallbladderMix(tissue_variants=12, bodies=80),
        title="Gallbladder U-Net: what beside the liver is the gallbladder",
    ),
    "vessel_unet": Recipe(
        network="unet",
        task="vessels",
        config=unet.UnetConfig(in_slices=5, classes=5, widths=(16, 24, 48, 64, 64), norm="batch"),
        spec=VESSEL_INPUT,
        crop=80,
        loop=LoopSettings(
            steps=650,
            batch=8,
            learning_rate=2e-3,
            warmup=40,
            ema=0.995,
            class_weights=(1.0, 1.0, 2.5, 2.5, 1.5),
            checkpoint_every=50,
        ),
        shares={"anatomy": 1.0},
        tumour_share=0.4,
        liver_share=0.5,
        augment=AugmentSettings(level_hu=8.0, contrast=0.2, pivot_hu=100.0, noise_hu=12.0),
        anatomy=20,
        title="Vessel U-Net: portal vein, hepatic veins and IVC at the liver",
    ),
    "tree_unet": _TREES,
    # Second part of the bundled network, from the first one's weights: patients that it has not seen.
    "tree_unet_finish": replace(
        _TREES,
        bundled_as="tree_unet",
        loop=replace(_TREES.loop, steps=900, learning_rate=1.2e-3, ema=0.995),
        anatomy=35,
        passed_over=_TREES.anatomy,
    ),
    "second_look": Recipe(
        network="second_look",
        task="second look",
        config=second_look.SIZES["compact"],
        spec=SECOND_LOOK_INPUT,
        crop=EDGE,
        loop=LoopSettings(
            steps=400, batch=24, learning_rate=2e-3, warmup=30, ema=0.99, checkpoint_every=50, log_every=10
        ),
        shares={"variant": 1.0},
        bank=BankSettings(variants_per_patient=14, seed=1),
        gallbladders=GallbladderMix(),
        title="Second look: is this candidate a lesion",
    ),
    "click_unet": Recipe(
        network="click_unet",
        task="click",
        config=click_unet.SIZES["compact"],
        spec=CLICK_INPUT,
        crop=CLICK_EDGE,
        loop=LoopSettings(
            steps=1500, batch=12, learning_rate=2e-3, warmup=40, ema=0.99, checkpoint_every=50, log_every=10
        ),
        shares={"real": 0.3, "variant": 0.55, "body": 0.15},
        title="Click U-Net: a lesion's outline from clicks in it and beside it",
    ),
    "dadrn": Recipe(
        network="dadrn",
        task="classify",
        config=dadrn.SIZES["compact"],
        spec=CLASS_INPUT,
        crop=160,
        loop=LoopSettings(steps=3000, batch=32, learning_rate=1.5e-3, warmup=60, checkpoint_every=50),
        shares={"body": 0.7, "real": 0.3},
        bodies=110,
        title="DADRN: class of lesions (dual attention dilated residual network)",
    ),
}

MEANS: dict[str, Mean] = {
    "sfan_mscd": Mean(
        ("sfan", "mscd"),
        "SFAN and MSCD together (mean of both)",
        {"tumour_threshold": 0.25, "score_threshold": 0.6},
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    if name not in RECIPES:
        raise InputError(f"There is no recipe {name!r}. Choose one of: {', '.join(sorted(RECIPES))}.")
    return RECIPES[name]
