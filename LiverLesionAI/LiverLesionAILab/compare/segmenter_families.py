"""What `compare segmenters` compares: rows of the papers' tables, and parts of the training data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One row of a comparison.

    Attributes:
        name: in the table; recipe: what is trained; config: settings of the network that differ.
        without: parts of the training data that it goes without; shares: of the kinds of data, where they
            differ from the recipe's, as `train` takes them.
        pyramid: scales of inference for liver and lesions; None takes the recipe's own.
        published: the paper's figure for it, in the family's unit; None where the paper has none.
        published_slices: the MSCD paper's row: Dice, Hausdorff distance in px, Jaccard, precision, recall,
            specificity, F1; the others in per cent.
    """

    name: str
    recipe: str
    config: tuple[str, ...] = ()
    pyramid: tuple[float, ...] | None = None
    published: float | None = None
    without: tuple[str, ...] = ()
    shares: str = ""
    published_slices: tuple[float, ...] = ()

    @property
    def run(self) -> str:
        """Name of its training runs: variants that differ in inference only share one."""
        parts = [self.recipe, *(item.replace("=", "_") for item in self.config)]
        parts += [f"no_{part}" for part in self.without]
        if self.shares:
            parts.append(self.shares.replace("=", "_").replace(",", "_"))
        return "-".join(parts)


@dataclass(frozen=True)
class Family:
    """A comparison of one paper.

    Attributes:
        unit: what `published` is; "" where nobody has published such a comparison.
        variants: the first is what the others are compared with.
    """

    unit: str
    variants: tuple[Variant, ...]


_PLAIN_SFAN = Variant("SFAN without both", "sfan", ("sat=false", "gca=false"))
_PLAIN_VA = Variant("Mask R-CNN", "va_mask_rcnn", ("channel=false", "spatial=false"), published=56.7)
_UNET = Variant("U-Net", "unet")

_TRUNKS = {
    "sfan": _PLAIN_SFAN,
    "va_mask_rcnn": _PLAIN_VA,
    **dict.fromkeys(("unet", "attention_unet", "se_unet", "danet_unet", "mscd"), _UNET),
}


def _of_slices(name: str, recipe: str, row: tuple[float, ...]) -> Variant:
    """A row of the MSCD paper's table 1."""
    return Variant(name, recipe, published=row[0], published_slices=row)


def trunk_of(variant: Variant) -> Variant:
    """The same network without what its paper adds: every weight of it has its place in the variant."""
    return _TRUNKS[variant.recipe]


FAMILIES: dict[str, Family] = {
    "data": Family(
        "",
        (
            Variant("everything", "sfan"),
            Variant("no gallbladders, fissures, vessels", "sfan", without=("distractors",)),
            Variant("no lesions over 45 mm, no necrosis", "sfan", without=("large",)),
            Variant("no lesions at the capsule", "sfan", without=("capsule",)),
            Variant("no livers without a lesion", "sfan", without=("healthy",)),
            Variant(
                "four fifths synthetic instead of half",
                "sfan",
                shares="real=0.12,variant=0.6,body=0.21,healthy=0.07",
            ),
            Variant("no synthetic bodies", "sfan", without=("bodies",)),
            Variant("no phantom bodies", "sfan", without=("phantoms",)),
            Variant("nothing synthetic", "sfan", without=("synthetic",)),
        ),
    ),
    "sfan": Family(
        "tumour Dice per case, LiTS test",
        (
            _UNET,
            Variant("SFAN", "sfan", published=71.0),
            Variant("SFAN without SAT", "sfan", ("sat=false",)),
            Variant("SFAN without GCA", "sfan", ("gca=false",)),
            _PLAIN_SFAN,
        ),
    ),
    "pyramid": Family(
        "the paper gives no figure without it",
        (
            Variant("SFAN, {1.0}", "sfan", pyramid=(1.0,)),
            Variant("SFAN, {0.5, 1.0, 1.5}", "sfan", pyramid=(0.5, 1.0, 1.5)),
            Variant("SFAN, its own scales", "sfan"),
        ),
    ),
    "mscd": Family(
        "Dice of 7190 LiTS slices with tumour",
        (
            _of_slices("U-Net", "unet", (73.62, 52.65, 63.67, 67.46, 86.7, 99.76, 75.88)),
            _of_slices("Attention U-Net", "attention_unet", (78.7, 37.13, 69.32, 72.93, 89.65, 99.83, 80.43)),
            _of_slices("SE U-Net", "se_unet", (77.88, 39.09, 68.55, 72.39, 89.16, 99.82, 79.9)),
            _of_slices("DANet head", "danet_unet", (79.97, 30.94, 71.0, 74.5, 90.38, 99.84, 81.67)),
            _of_slices("MSCD", "mscd", (82.16, 30.01, 73.46, 76.96, 91.18, 99.86, 83.37)),
            Variant("MSCD, spatial only", "mscd", ("channel=false",)),
            Variant("MSCD, channel only", "mscd", ("spatial=false",)),
        ),
    ),
    "va": Family(
        "tumour Dice per case, LiTS validation",
        (
            _PLAIN_VA,
            Variant("VA, channel only", "va_mask_rcnn", ("spatial=false",), published=61.5),
            Variant("VA, spatial only", "va_mask_rcnn", ("channel=false",)),
            Variant("VA, both, before the RPN", "va_mask_rcnn", published=63.3),
            Variant("VA, both, before the head", "va_mask_rcnn", ("attend_before=head",), published=61.3),
            Variant("VA, bag of 3", "va_mask_rcnn", ("bag=3",), published=61.7),
            Variant("VA, bag of 7", "va_mask_rcnn", ("bag=7",), published=62.5),
            Variant("VA, bag of 9", "va_mask_rcnn", ("bag=9",), published=63.3),
            Variant("VA, bag of 11", "va_mask_rcnn", ("bag=11",), published=63.1),
        ),
    ),
}
