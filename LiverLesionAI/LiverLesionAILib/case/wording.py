"""How findings are put into words, the same in every table and report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from ..volume.ct import Geometry, reoriented_geometry
from .classes import LesionClass
from .findings import CaseResult, Lesion, LesionSource, PointLps
from .messages import leading_first


def summary(result: CaseResult) -> str:
    """What was found, in one sentence for the reader."""
    if not result.liver_volume_ml > 0 and not result.lesions:
        return "no liver found, so no lesions were looked for."
    liver = f"liver {small(result.liver_volume_ml, 0)} mL"
    if math.isfinite(result.liver_hu_mean):
        liver += f", {result.liver_hu_mean:.0f} HU"
    if not result.lesions:
        return f"no lesion found; {liver}."
    volume_ml = sum(x.measurement.volume_ml for x in result.lesions if x.measurement is not None)
    burden = f"{percent_text(result.tumour_burden_percent)} ({millilitres(volume_ml)} mL)"
    return f"{lesions_text(len(result.lesions))}; {liver}; tumour burden {burden}."


def lesions_text(count: int) -> str:
    """How many lesions: "no lesion", "1 lesion", "2 lesions"."""
    return "no lesion" if count == 0 else f"{count} lesion{'s' if count > 1 else ''}"


def notes(result: CaseResult) -> tuple[str, ...]:
    """The messages for the reader, with what follows from the contrast phase; those that lead come first.

    An empty result never goes unexplained.
    """
    warning = (result.phase.warning,) if result.phase is not None and result.phase.warning else ()
    return leading_first(_explained(result) + warning)


def messages(result: CaseResult) -> tuple[str, ...]:
    """What the analysis says of the case, and what follows from the lesions that are listed."""
    # Cases of versions that kept both together say it once.
    told = told_of_listed(result.lesions, result.geometry, result.messages)
    return tuple(dict.fromkeys((*result.messages, *told)))


LIVER_CUT = (
    "The liver reaches the first or last slice: parts of it may lie outside the scan, and its volume is that "
    "of the part that is shown."
)


SEVERAL = 2
"""Metastases from which on a cyst beside them is doubted."""


def told_of_listed(
    lesions: Iterable[Lesion], geometry: Geometry, said: Iterable[str] = ()
) -> tuple[str, ...]:
    """What the reader has to know of the listed lesions that count, by their numbers.

    Args:
        geometry: the CT's grid.
        said: what the analysis says of the case.
    """
    counted = [lesion for lesion in lesions if lesion.status.counts]
    told = []
    which = [lesion.number for lesion in counted if lesion.at_gallbladder]
    if len(which) == 1:
        told.append(
            f"Lesion {which[0]} lies at the gallbladder and cannot be told from it with certainty: it may "
            "be a part or a mass of the gallbladder's wall, or grow from one into the other."
        )
    elif which:
        told.append(
            f"Lesions {', '.join(map(str, which))} lie at the gallbladder and cannot be told from it with "
            "certainty: each may be a part or a mass of the gallbladder's wall, or grow from one into the "
            "other."
        )
    cut = [lesion.number for lesion in counted if reaches_an_end(lesion, geometry)]
    if len(cut) == 1:
        told.append(
            f"Lesion {cut[0]} reaches the first or last slice: what lies beyond is not seen, and it may be "
            "larger than measured."
        )
    elif cut:
        told.append(
            f"Lesions {', '.join(map(str, cut))} reach the first or last slice: what lies beyond is not "
            "seen, and they may be larger than measured."
        )
    if cut and LIVER_CUT not in said:
        # However little of it lies there: it goes on, and so may the lesions.
        numbers = ", ".join(map(str, cut))
        told.append(
            f"The scan ends within the liver, at lesion {numbers}: the liver's volume is that of the part "
            "that is shown, and there may be more lesions beyond."
        )
    told += _cysts_beside(counted)
    boxed = sum(lesion.source is LesionSource.BOX for lesion in counted)
    if boxed == 1:
        told.append(
            "1 lesion was found by the detector only; its outline is a proposal, grown inside the box."
        )
    elif boxed:
        told.append(
            f"{boxed} lesions were found by the detector only; their outlines are a proposal, grown inside "
            "the box."
        )
    return tuple(told)


def _cysts_beside(counted: Sequence[Lesion]) -> list[str]:
    """Of what the model calls a cyst in a liver with metastases: in CT small ones look alike."""
    of = {lesion.number: LesionClass.of(lesion.shown_class) for lesion in counted}
    spread = sum(one is LesionClass.METASTASIS for one in of.values())
    cysts = [x.number for x in counted if of[x.number] is LesionClass.CYST and not x.reader_class]
    if spread < SEVERAL or not cysts:
        return []
    which = f"Lesion {cysts[0]} is" if len(cysts) == 1 else f"Lesions {', '.join(map(str, cysts))} are"
    return [
        f"{which} called a cyst beside {spread} metastases: small or necrotic metastases may look alike. "
        "Compare with earlier scans, or MRI."
    ]


def reaches_an_end(lesion: Lesion, geometry: Geometry) -> bool:
    """Whether a lesion's box reaches through the lowest or the highest axial slice of a CT's grid."""
    box, axial = lesion.box, reoriented_geometry(geometry)
    half = np.reshape(box.directions_lps, (3, 3)) * np.asarray(box.size_xyz_mm) / 2
    corners = [np.asarray(box.centre_lps) + half @ np.array(signs) for signs in product((-1, 1), repeat=3)]
    slices = axial.lps_to_index(np.array(corners))[:, 0]
    inside = 0.5 - BOX_ROUNDING
    return bool(slices.min() <= -inside or slices.max() >= axial.shape_zyx[0] - 1 + inside)


BOX_ROUNDING = 0.01
"""Of a slice: boxes are kept in decimals."""


def fainter_kept(scores: Sequence[float]) -> str:
    """Why no lesion is listed where fainter ones, of these scores, were kept aside."""
    one = len(scores) == 1
    spots, sure = ("1 fainter spot was", "score") if one else (f"{len(scores)} fainter spots were", "best")
    return (
        f"No lesion reached the threshold. {spots} kept aside ({sure} {max(scores):.2f}): a lower threshold "
        f"lists {'it' if one else 'them'}."
    )


def _explained(result: CaseResult) -> tuple[str, ...]:
    if result.messages or result.lesions:
        return messages(result)
    if not result.liver_volume_ml > 0:
        return ("No liver was found. Does the scan cover the upper abdomen, and is it a CT?",)
    tumour = result.probabilities.get("tumour")
    return (nothing_reached(None if tumour is None else tumour.threshold),)


def nothing_reached(threshold: float | None) -> str:
    """Why no lesion is listed; `threshold` of their probability, where it is known."""
    level = "" if threshold is None else f" of {threshold:.2f}"
    return f"Nothing in the liver reached the lesion threshold{level}. A lower one shows fainter candidates."


def slice_number(lesion: Lesion, geometry: Geometry) -> tuple[int, int]:
    """The axial slice to look at, and how many there are; 1 is the lowest (towards the feet).

    It is the slice of the long axis, or of the centre where there is no mask.
    """
    point = lesion.centre_lps if lesion.measurement is None else lesion.measurement.long_axis_lps[0]
    return axial_slice(point, geometry)


def axial_slice(point_lps: PointLps, geometry: Geometry) -> tuple[int, int]:
    """The axial slice that holds a point, and how many there are; 1 is the lowest."""
    axial = reoriented_geometry(geometry)
    index = round(float(axial.lps_to_index(point_lps)[0]))
    return min(max(index, 0), axial.shape_zyx[0] - 1) + 1, axial.shape_zyx[0]


def position_text(point_lps: PointLps, digits: int = 1) -> str:
    """A point in mm with the patient's directions in letters: "R 60.3 P 12.0 S 1034.2"."""
    letters = (("L", "R"), ("P", "A"), ("S", "I"))
    parts = []
    for value, (positive, negative) in zip(point_lps, letters, strict=True):
        parts.append(f"{positive if value >= 0 else negative} {abs(value):.{digits}f}")
    return " ".join(parts)


def look_here(result: CaseResult) -> str:
    """Where doubtful places lie that are not listed; the likeliest first."""
    places = "; ".join(
        f"slice {axial_slice(place.centre_lps, result.geometry)[0]}, {position_text(place.centre_lps, 0)} "
        f"({place.diameter_mm:.0f} mm, score {place.score:.2f})"
        for place in result.doubtful
    )
    return (
        "Look here, not listed as lesions (scores are no probabilities; where one reaches the threshold, "
        f"a rule spoke against a lesion): {places}."
    )


def found_by(lesion: Lesion) -> str:
    """What found a lesion; a mask that was grown inside a detector's box is called a proposal."""
    return "box (outline proposed)" if is_proposed(lesion) else lesion.source.value


def is_proposed(lesion: Lesion) -> bool:
    """Whether its mask was grown inside a detector's box."""
    return lesion.source is LesionSource.BOX and lesion.measurement is not None


def millilitres(volume_ml: float) -> str:
    """A volume for reading: whole millilitres from 100 on."""
    return small(volume_ml, 2 if volume_ml < 100 else 0)


def percent_text(share_percent: float) -> str:
    """The tumour burden for reading, with a decimal: outlines tell no more of it."""
    return f"{small(share_percent, 1)} %"


def small(value: float, digits: int) -> str:
    """A number for reading: "-" when unknown, "<0.01" where rounding would make it nothing."""
    if not math.isfinite(value):
        return "-"
    if 0 < value < 0.5 * 10**-digits and digits:
        return f"<{10**-digits:.{digits}f}"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if not float(text) else text
