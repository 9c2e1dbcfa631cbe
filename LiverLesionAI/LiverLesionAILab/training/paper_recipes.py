"""Every network trained as its paper says: `train MODEL --size paper`; and its repaired compact size.

What a paper says is taken from it: size, input, optimiser, schedule. What it does not say stays as in the
bundled network's recipe, or is a decision, and named here:

- SFAN: Adam 1e-4 and weighted cross entropy alone are the paper's, from scratch; steps are a decision.
- MSCD (slides): 224 x 224 only; optimiser and steps as for SFAN, a decision.
- CS-Att: SGD with momentum 0.9, weight decay 5e-5, 1e-3, a tenth after four and five of six epochs of
  mini-batches of 2; of DeepLesion's some 22 000 training slices, 66 000 steps. VGG-16 of ImageNet.
- VA: masks on 1024 px of 1.5 mm slices, window [-200, 300]; boxes as CS-Att's input. ResNet-50 of ImageNet;
  SGD with steps as Mask R-CNN has it is a decision.
- DADRN (slides): 224 x 224 only; SGD with steps as ResNet has it is a decision, as are ImageNet's weights.
- Augmentation: none is described; turning, scaling and mirroring in plane, no change of grey values.

Training volumes hold HU from -160 to 350 in 8 bits, so wider windows than that show nothing more.
"""

from __future__ import annotations

from dataclasses import replace

from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import network_module
from LiverLesionAILib.support.errors import InputError

from .loop import LoopSettings
from .recipes import RECIPES, Recipe
from .sampling import AugmentSettings

GEOMETRIC = AugmentSettings(
    rotate_degree=10.0,
    scale=0.25,
    shear=0.0,
    level_hu=0.0,
    contrast=0.0,
    noise_hu=0.0,
    blur_px=0.0,
    thick_chance=0.0,
    mirror_chance=0.5,
)

_ADAM = LoopSettings(
    steps=60_000,
    batch=8,
    learning_rate=1e-4,
    weight_decay=0.0,
    warmup=0,
    class_weights=(1.0, 1.0, 3.0),
    dice_weight=0.0,
    ema=0.0,
    optimiser="adam",
    schedule="constant",
    checkpoint_every=500,
)

_SGD = replace(
    _ADAM,
    steps=66_000,
    batch=2,
    learning_rate=1e-3,
    weight_decay=5e-5,
    optimiser="sgd",
    schedule="steps",
    milestones=(4 / 6, 5 / 6),
)

_LESION_INPUT = InputSpec((2.0, 0.8, 0.8), (-1024.0, 3071.0), 15)

_SETTINGS: dict[str, tuple[InputSpec, int, LoopSettings]] = {
    "sfan": (InputSpec((2.5, 0.75, 0.75), (-75.0, 175.0), 3), 512, _ADAM),
    "mscd": (InputSpec((2.5, 1.7, 1.7), (-75.0, 175.0), 3), 224, _ADAM),
    "cs_att": (_LESION_INPUT, 512, _SGD),
    "va_mask_rcnn": (
        InputSpec((1.5, 0.75, 0.75), (-200.0, 300.0), 3, magnify=2.0),
        1024,
        replace(_SGD, steps=90_000, batch=1, weight_decay=1e-4),
    ),
    "va_faster_rcnn": (
        replace(_LESION_INPUT, in_slices=3),
        512,
        replace(_SGD, batch=1, weight_decay=1e-4),
    ),
    "dadrn": (
        InputSpec((3.0, 1.07, 1.07), (-40.0, 220.0), 3),
        224,
        replace(_SGD, steps=20_000, batch=16, learning_rate=1e-2, weight_decay=1e-4),
    ),
}
"""Input, edge of the crops and loop of each network's paper size; pixels of a CT of 0.75 mm."""


def sized_recipe(name: str, size: str) -> Recipe:
    """A recipe in another size.

    "paper" with all that the paper says, "attending" the compact one repaired, "phased" that one told the
    contrast phase, with classes for metastases and benign changes.

    Raises:
        InputError: the network has no such size.
    """
    base = RECIPES[name]
    if size == "compact":
        return base
    sizes = network_module(base.network).SIZES
    if size not in sizes:
        known = sorted(k for k, recipe in RECIPES.items() if size in network_module(recipe.network).SIZES)
        raise InputError(f"{name} has no size {size!r}; {', '.join(known) or 'no model'} has.")
    config = sizes[size]
    if size in ("attending", "phased"):
        return replace(base, config=config)
    if base.network not in _SETTINGS:
        return replace(base, config=config)
    spec, crop, loop = _SETTINGS[base.network]
    slabs = 1 if base.slab_targets else 0
    return replace(
        base, config=config, spec=spec, crop=crop, loop=loop, augment=GEOMETRIC, slab_targets=slabs, scales={}
    )
