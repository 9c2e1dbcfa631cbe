"""What `compare segmenters` compares: the rows of the papers' tables, and of what the training data are
worth."""

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
    """

    name: str
    recipe: str
    config: tuple[str, ...] = ()
    pyramid: tuple[float, ...] | None = None
    published: float | None = None
    without: tuple[str, ...] = ()
    shares: str = ""

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
            Variant("U-Net", "unet"),
            Variant("SFAN", "sfan", published=71.0),
            Variant("SFAN without SAT", "sfan", ("sat=false",)),
            Variant("SFAN without GCA", "sfan", ("gca=false",)),
            Variant("SFAN without both", "sfan", ("sat=false", "gca=false")),
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
            Variant("U-Net", "unet", published=73.62),
            Variant("Attention U-Net", "attention_unet", published=78.70),
            Variant("SE U-Net", "se_unet", published=77.88),
            Variant("DANet head", "danet_unet", published=79.97),
            Variant("MSCD", "mscd", published=82.16),
            Variant("MSCD, spatial only", "mscd", ("channel=false",)),
            Variant("MSCD, channel only", "mscd", ("spatial=false",)),
        ),
    ),
    "va": Family(
        "tumour Dice per case, LiTS validation",
        (
            Variant("Mask R-CNN", "va_mask_rcnn", ("channel=false", "spatial=false"), published=56.7),
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
