"""Which way each sign may speak for or against a class, as a reader expects it, and by how much at least.

Which signs there are was found on SynthLiver-2-other as well, where points are fitted (:mod:`.class_points`);
no fit turns one round.
"""

from __future__ import annotations

from collections.abc import Mapping

from LiverLesionAILib.stages.classify.differential import (
    BENIGN,
    CLASSES,
    CYST,
    FNH,
    HAEMANGIOMA,
    HCC,
    LOOKS_OF_BENIGN,
    METASTASIS,
    NO_MASS,
    PERFUSION,
    SPARING,
)

LOOKS = (*CLASSES, *LOOKS_OF_BENIGN)
LOOK_OF_HABIT = {"focal sparing": SPARING, "perfusion difference": PERFUSION}
SOLID = (METASTASIS, HCC, FNH)
MASSES = (*SOLID, CYST, HAEMANGIOMA)

INSIDE = (
    "uneven",
    "mosaic",
    "centre_hu",
    "scar_hu",
    "scar_fills",
    "dark_part_hu",
    "vessels_through",
    "lumps",
    "brightest",
    "brightest_portal",
    "dense_part_hu",
)
"""Signs that small lesions do not show."""


Ends = Mapping[str, int]
Points = Mapping[str, float]


def _all(direction: int, *classes: str) -> dict[str, int]:
    return dict.fromkeys(classes, direction)


def _points(*rows: tuple[float, tuple[str, ...]]) -> dict[str, float]:
    return {look: points for points, looks in rows for look in looks}


DIRECTIONS: tuple[tuple[str, float, float, Ends, Points], ...] = (
    (
        "edge_mm",
        1.0,
        4.0,
        _all(-1, CYST) | _all(1, METASTASIS, *NO_MASS),
        _points((-0.25, (CYST,)), (0.17, (METASTASIS, *NO_MASS))),
    ),
    (
        "rim_arterial_hu",
        6.0,
        18.0,
        _all(1, METASTASIS, HAEMANGIOMA) | _all(-1, CYST, FNH, HCC, *NO_MASS),
        _points((0.1, (METASTASIS, HAEMANGIOMA)), (-0.17, (CYST, *NO_MASS))),
    ),
    # A rim as bright as lumps is one.
    ("rim_arterial_hu", 20.0, 60.0, _all(1, HAEMANGIOMA) | _all(-1, METASTASIS), {}),
    (
        "rim_late_hu",
        6.0,
        18.0,
        _all(1, METASTASIS, HCC, HAEMANGIOMA) | _all(-1, CYST, FNH, *NO_MASS),
        _points((0.1, (METASTASIS, HAEMANGIOMA)), (0.05, (HCC,)), (-0.17, (CYST, *NO_MASS))),
    ),
    (
        "uneven",
        1.2,
        2.0,
        _all(1, METASTASIS, HCC, HAEMANGIOMA) | _all(-1, CYST, FNH, *NO_MASS),
        _points((-0.17, (CYST,)), (-0.1, (FNH,)), (-0.07, NO_MASS), (0.07, (HCC,))),
    ),
    ("mosaic", 1.0, 3.0, _all(1, METASTASIS, HCC, HAEMANGIOMA) | _all(-1, CYST, FNH), {}),
    # Up to the first figure there is a dark centre, from the second on none.
    ("centre_hu", -30.0, -6.0, _all(-1, FNH, HCC, METASTASIS, HAEMANGIOMA) | _all(1, CYST, *NO_MASS), {}),
    # The same in an outline of any shape.
    ("scar_hu", -30.0, -10.0, _all(-1, FNH, HCC, METASTASIS, HAEMANGIOMA) | _all(1, CYST, *NO_MASS), {}),
    # A scar takes contrast medium up late, dead tissue never.
    ("scar_fills", 0.2, 0.6, _all(1, FNH, HAEMANGIOMA) | _all(-1, HCC, METASTASIS), {}),
    ("dark_part_hu", 15.0, 45.0, _all(1, FNH, HCC, METASTASIS) | _all(-1, CYST, *NO_MASS), {}),
    ("vessels_through", 0.4, 0.9, _all(1, *NO_MASS) | _all(-1, *MASSES), {}),
    # Perfusion differences lie under the capsule, fat beside fissures and gallbladder; masses anywhere.
    ("surface", 0.15, 0.5, _all(-1, PERFUSION, BENIGN), {}),
    # Fat spares parts of a fatty liver; in one that is pale already there is little to see of more.
    ("liver_level_hu", -25.0, -5.0, _all(-1, SPARING) | _all(1, BENIGN), {}),
    (
        "blood",
        -0.1,
        0.03,
        _all(1, FNH, HCC, HAEMANGIOMA, SPARING, PERFUSION) | _all(-1, CYST, METASTASIS),
        {},
    ),
    ("blood", 0.03, 0.15, _all(1, FNH, HCC, PERFUSION) | _all(-1, CYST, BENIGN), {}),
    # Some metastases live on arterial blood.
    (
        "blood",
        0.15,
        0.35,
        _all(1, FNH, HAEMANGIOMA, METASTASIS) | _all(-1, HCC, CYST, *NO_MASS),
        {},
    ),
    (
        "blood",
        0.35,
        0.6,
        _all(1, HAEMANGIOMA) | _all(-1, CYST, METASTASIS, HCC, *NO_MASS),
        _points((1.0, (HAEMANGIOMA,)), (-1.5, (CYST,)), (-0.5, (METASTASIS,))),
    ),
    (
        "lumps",
        0.15,
        0.45,
        _all(1, HAEMANGIOMA) | _all(-1, CYST, *SOLID, *NO_MASS),
        _points((1.6, (HAEMANGIOMA,)), (-0.5, (CYST,))),
    ),
    (
        "lumps",
        1.3,
        1.9,
        _all(1, METASTASIS) | _all(-1, HAEMANGIOMA),
        _points((0.12, (METASTASIS,)), (-0.6, (HAEMANGIOMA,))),
    ),
    # Fat leaves nothing brighter than the liver is.
    (
        "brightest",
        -0.1,
        0.1,
        _all(1, *SOLID, HAEMANGIOMA, SPARING, PERFUSION) | _all(-1, CYST, BENIGN),
        {},
    ),
    ("brightest", 0.1, 0.35, _all(1, *SOLID, HAEMANGIOMA) | _all(-1, CYST, *NO_MASS), {}),
    ("brightest", 0.4, 0.8, _all(1, HAEMANGIOMA) | _all(-1, CYST, METASTASIS, HCC, *NO_MASS), {}),
    (
        "brightest_portal",
        -0.1,
        0.1,
        _all(1, *SOLID, HAEMANGIOMA, SPARING, PERFUSION) | _all(-1, CYST, BENIGN),
        {},
    ),
    ("brightest_portal", 0.1, 0.35, _all(1, *SOLID, HAEMANGIOMA) | _all(-1, CYST, *NO_MASS), {}),
    ("brightest_portal", 0.3, 0.9, _all(1, HAEMANGIOMA) | _all(-1, CYST, METASTASIS, HCC, *NO_MASS), {}),
    # Water with something dense in it is no simple cyst.
    ("dense_part_hu", 25.0, 55.0, _all(-1, CYST), {}),
    # Liver of another kind enhances as liver does; something in its place does not.
    (
        "change_hu",
        4.0,
        20.0,
        _all(-1, BENIGN, SPARING) | _all(1, *SOLID, HAEMANGIOMA),
        _points((-0.6, (BENIGN, SPARING))),
    ),
    ("late_hu", -60.0, -30.0, _all(-1, METASTASIS, CYST) | _all(1, FNH, HCC, *NO_MASS), {}),
    ("late_hu", -30.0, -5.0, _all(-1, METASTASIS, HCC) | _all(1, FNH, PERFUSION, SPARING), {}),
    (
        "late_hu",
        -5.0,
        20.0,
        _all(-1, METASTASIS, HCC) | _all(1, HAEMANGIOMA),
        _points((0.3, (HAEMANGIOMA,))),
    ),
    ("fall_hu", 5.0, 45.0, _all(1, HCC, FNH) | _all(-1, BENIGN, SPARING), {}),
    ("fill_hu", 5.0, 30.0, _all(1, HAEMANGIOMA), {}),
    # Unknown, and silent, of a lesion without calcium.
    (
        "calcium_hu",
        0.0,
        20.0,
        _all(1, METASTASIS) | _all(-1, CYST, HAEMANGIOMA, FNH, *NO_MASS),
        _points((0.12, (METASTASIS,)), (-0.6, (HAEMANGIOMA,))),
    ),
)
"""(sign, from, to, class -> the only direction in which more of the sign may speak, class -> the least
points): the last are what textbooks give the signs that the rules had before, most of it halved. Bodies add
to them and take nothing away: those that were drawn do not show all that patients do."""

AT_MOST: Mapping[tuple[str, str], float] = {("surface", BENIGN): 1.0, ("calcium_hu", METASTASIS): 1.0}
"""(sign, class) -> the most points: drawn fat lies beside gallbladder and fissures alone, that of patients
elsewhere too; of drawn lesions only metastases are calcified, of patients' some HCC and others as well."""
