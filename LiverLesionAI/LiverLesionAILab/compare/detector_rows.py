"""The rows of `liverlesionai compare detectors`, with what was published for them on DeepLesion.

They are those of tables 1 and 3 of the CS-Att paper, and of tables 3 and 4 of the VA paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """One row of the comparison.

    Attributes:
        images: three-slice images that are seen, the key slice's in the middle.
        contextual, spatial: the attentions; contextual means volumetric channel attention for Faster R-CNN.
        published: sensitivity in per cent at 0.5, 1, 2, 4, 8, 16 false positives per image on DeepLesion, NaN
            where the paper has none.
        against: the row whose published difference is shown beside ours.
        family: "cs_att" (R-FCN, 3DCE, CS-Att), "va_faster_rcnn" (Faster R-CNN, with and without VA) or
            "va_deformable" (the same with deformable convolution, and so with a trunk of its own).
        published_ap50: in per cent.
        beside: another row that it is compared with.
        reading: of CS-Att's equation 5, what the spatial attention embeds: "refined" features or the "input".
    """

    name: str
    images: int
    contextual: bool
    spatial: bool
    published: tuple[float, ...]
    against: str = ""
    family: str = "cs_att"
    published_ap50: float = nan
    reading: Literal["refined", "input"] = "refined"
    beside: str = ""

    @property
    def slug(self) -> str:
        """Name of its folders."""
        return "".join(c if c.isalnum() else "-" for c in self.name.lower()).replace("--", "-")


_R_FCN, _FASTER = "R-FCN, 3 slices", "Faster R-CNN, 3 slices"
AS_WRITTEN = "CS-Att, 9, equation 5 as written"
_DEFORMABLE = "Deformable Faster R-CNN, 3"


def _va(
    name: str,
    gates: tuple[bool, bool],
    published: tuple[float, float, float],
    ap50: float,
    family: str = "va_faster_rcnn",
) -> Variant:
    """A row of the VA paper: gates of channels and places; published at 0.5, 1 and 2."""
    plain = _FASTER if family == "va_faster_rcnn" else _DEFORMABLE
    images, against = (3, plain) if any(gates) else (1, "")
    return Variant(name, images, *gates, (*published, nan, nan, nan), against, family, ap50)


VARIANTS = (
    Variant(_R_FCN, 1, False, False, (56.5, 67.7, 76.9, 82.8, 87.0, 89.8)),
    Variant("3DCE, 9", 3, False, False, (61.7, 71.9, 79.2, 84.3, 87.8, 89.7), _R_FCN),
    Variant("3DCE, 15", 5, False, False, (63.0, 73.1, 80.2, 85.2, 87.8, 89.7), _R_FCN),
    Variant("3DCE, 21", 7, False, False, (63.2, 73.4, 80.9, 85.6, 88.4, 90.2), _R_FCN),
    Variant("CS-Att, 9", 3, True, True, (67.8, 76.3, 82.9, 86.6, 89.3, 90.7), "3DCE, 9"),
    Variant("CS-Att, 15", 5, True, True, (70.8, 78.6, 83.9, 87.5, 89.9, 91.4), "3DCE, 15"),
    Variant("CS-Att, 21", 7, True, True, (71.4, 78.5, 84.0, 87.6, 90.2, 91.4), "3DCE, 21"),
    Variant(AS_WRITTEN, 3, True, True, (nan,) * 6, "3DCE, 9", reading="input", beside="CS-Att, 9"),
    Variant("contextual only, 15", 5, True, False, (64.0, 74.0, 81.4, 86.0, 88.6, 90.5), "3DCE, 15"),
    Variant("spatial only, 15", 5, False, True, (69.0, 77.4, 83.1, 86.7, 89.1, 90.8), "3DCE, 15"),
    _va(_FASTER, (False, False), (nan, 73.4, nan), 60.0),
    _va("VA Faster R-CNN, 9", (True, True), (67.6, 75.6, 82.5), 63.0),
    _va(_DEFORMABLE, (False, False), (nan, 76.3, nan), 62.4, "va_deformable"),
    _va("Deformable, channel only, 9", (True, False), (nan, 76.8, nan), 63.8, "va_deformable"),
    _va("Deformable, spatial only, 9", (False, True), (nan, 76.9, nan), 64.1, "va_deformable"),
    _va("Deformable VA Faster R-CNN, 9", (True, True), (69.1, 77.9, 83.8), 65.0, "va_deformable"),
)
