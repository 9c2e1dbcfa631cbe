"""Colours of organs and lesions, the same in segments, boxes, pictures and reports."""

from __future__ import annotations

Colour = tuple[float, float, float]

LIVER: Colour = (0.85, 0.66, 0.48)
"""Muted, so that lesions stand out before it."""

GALLBLADDER: Colour = (0.55, 0.59, 0.38)
"""Green as bile and as muted as the liver: it is no finding."""

# Okabe and Ito's colour-blind safe set ("Color Universal Design", 2008) without black, its blue made lighter
# to be seen on a dark CT, in an order that sets neighbours apart.
_BASE: tuple[Colour, ...] = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.84, 0.37, 0.00),
    (0.00, 0.70, 0.52),
    (0.94, 0.89, 0.26),
    (0.80, 0.47, 0.65),
    (0.27, 0.53, 0.90),
)


DIFFERENT_COLOURS = 3 * len(_BASE)


def lesion_colour(number: int) -> Colour:
    """RGB in 0..1 for the lesion with this number (1, 2, ...).

    Numbers 1 to 7 have seven hues; the next sevens repeat them lighter, then darker, so 21 differ.
    """
    turn, index = divmod(max(number, 1) - 1, len(_BASE))
    red, green, blue = _BASE[index]
    turn %= 3
    if turn == 1:
        red, green, blue = (c + 0.5 * (1.0 - c) for c in (red, green, blue))
    elif turn == 2:
        red, green, blue = (0.62 * c for c in (red, green, blue))
    return (red, green, blue)


_OF_CLASS = {
    "Normal": LIVER,
    "CYST": _BASE[1],
    "FNH": _BASE[3],
    "HCC": _BASE[2],
    "HEM": _BASE[5],
    "MET": _BASE[4],
    "BENIGN": _BASE[6],
}


def class_colour(name: str) -> Colour:
    """RGB in 0..1 for a classifier's class of a slice; normal ones look like the liver, unknown ones grey."""
    return _OF_CLASS.get(name, (0.6, 0.6, 0.6))
