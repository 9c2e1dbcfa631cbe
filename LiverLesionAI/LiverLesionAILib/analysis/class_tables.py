"""What classes of lesions look like: the tables on the page of rules, in HU at about 120 kV.

Rows are (class, what is compared, mean, SD) of the density of a lesion's core. "hu": HU. "liver": HU above
the liver. "vessels": share of the way from the liver's density to that of the bright vessels. They follow
what textbooks and reviews say of each class (cysts are water in every phase; metastases are dark in the
portal venous phase; haemangiomas follow the blood; FNH and HCC enhance in the arterial phase, HCC washes
out), were written down before a lesion was measured, and were not fitted to any. "benign" is focal fat; rows
of "sparing" and "perfusion" are benign as well, as bright against the liver as fat is dark, and bright in the
arterial phase alone.
"""

from __future__ import annotations

Expected = tuple[tuple[str, str, float, float], ...]

UNENHANCED: Expected = (
    ("cyst", "hu", 8.0, 9.0),
    ("metastasis", "liver", -22.0, 12.0),
    ("haemangioma", "liver", -20.0, 10.0),
    ("HCC", "liver", -12.0, 10.0),
    ("FNH", "liver", -5.0, 8.0),
    ("benign", "liver", -18.0, 12.0),
    ("sparing", "liver", 14.0, 8.0),
    ("perfusion", "liver", 0.0, 6.0),
)

ARTERIAL: Expected = (
    ("cyst", "hu", 8.0, 9.0),
    ("metastasis", "liver", -22.0, 20.0),
    ("haemangioma", "vessels", 0.35, 0.35),
    ("HCC", "liver", 35.0, 25.0),
    ("FNH", "liver", 65.0, 30.0),
    ("benign", "liver", -12.0, 15.0),
    ("sparing", "liver", 14.0, 8.0),
    ("perfusion", "liver", 22.0, 12.0),
)

PORTAL: Expected = (
    ("cyst", "hu", 8.0, 9.0),
    ("metastasis", "liver", -45.0, 20.0),
    ("haemangioma", "vessels", 0.55, 0.45),
    ("HCC", "liver", -15.0, 15.0),
    ("FNH", "liver", 5.0, 15.0),
    ("benign", "liver", -24.0, 10.0),
    ("sparing", "liver", 14.0, 8.0),
    ("perfusion", "liver", 3.0, 7.0),
)

DELAYED: Expected = (
    ("cyst", "hu", 8.0, 9.0),
    ("metastasis", "liver", -25.0, 15.0),
    ("haemangioma", "vessels", 0.9, 0.5),
    ("HCC", "liver", -20.0, 12.0),
    ("FNH", "liver", 2.0, 10.0),
    ("benign", "liver", -16.0, 10.0),
    ("sparing", "liver", 14.0, 8.0),
    ("perfusion", "liver", 0.0, 6.0),
)

SignRows = tuple[tuple[str, float, float, tuple[tuple[str, float], ...]], ...]

SIGNS: SignRows = (
    (
        "edge_mm",
        1.0,
        4.0,
        (("cyst", -0.25), ("metastasis", 0.4), ("benign", 0.99), ("sparing", 0.3), ("perfusion", 1.04)),
    ),
    (
        "rim_arterial_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.84),
            ("FNH", -0.1),
            ("HCC", -0.48),
            ("metastasis", 0.1),
            ("benign", -0.75),
            ("sparing", -0.17),
            ("perfusion", -0.17),
        ),
    ),
    ("rim_arterial_hu", 20.0, 60.0, (("haemangioma", 0.5),)),
    (
        "rim_late_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.1),
            ("FNH", -0.13),
            ("HCC", 0.54),
            ("metastasis", 0.11),
            ("benign", -0.17),
            ("sparing", -0.17),
            ("perfusion", -0.19),
        ),
    ),
    (
        "uneven",
        1.2,
        2.0,
        (
            ("cyst", -0.17),
            ("FNH", -0.31),
            ("HCC", 0.19),
            ("benign", -0.1),
            ("sparing", -0.07),
            ("perfusion", -0.07),
        ),
    ),
    ("mosaic", 1.0, 3.0, (("cyst", -0.93), ("haemangioma", 0.39), ("FNH", -0.69))),
    (
        "centre_hu",
        -30.0,
        -6.0,
        (("FNH", -0.69), ("metastasis", -0.11), ("benign", 0.09), ("sparing", 0.16), ("perfusion", 1.14)),
    ),
    ("vessels_through", 0.4, 0.9, (("perfusion", 0.72),)),
    ("surface", 0.15, 0.5, (("perfusion", -2.0),)),
    ("liver_level_hu", -25.0, -5.0, (("sparing", -0.32),)),
    ("blood", 0.03, 0.15, (("FNH", 0.25), ("benign", -0.83))),
    (
        "blood",
        0.15,
        0.35,
        (("haemangioma", 0.09), ("HCC", -0.67), ("benign", -0.29), ("sparing", -0.47), ("perfusion", -0.7)),
    ),
    (
        "blood",
        0.35,
        0.6,
        (
            ("cyst", -1.5),
            ("haemangioma", 1.48),
            ("metastasis", -1.39),
            ("benign", -0.18),
            ("perfusion", -0.06),
        ),
    ),
    ("lumps", 0.15, 0.45, (("cyst", -0.5), ("haemangioma", 1.75))),
    ("lumps", 1.3, 1.9, (("haemangioma", -1.21), ("metastasis", 0.26))),
    (
        "brightest",
        -0.1,
        0.1,
        (
            ("cyst", -0.83),
            ("haemangioma", 1.47),
            ("FNH", 0.53),
            ("HCC", 0.13),
            ("metastasis", 0.16),
            ("benign", -1.13),
        ),
    ),
    (
        "brightest",
        0.1,
        0.35,
        (("haemangioma", 1.75), ("FNH", 0.28), ("benign", -0.31), ("sparing", -0.14), ("perfusion", -0.23)),
    ),
    (
        "brightest",
        0.4,
        0.8,
        (("haemangioma", 1.15), ("HCC", -0.31), ("metastasis", -0.58), ("benign", -0.34), ("sparing", -0.07)),
    ),
    (
        "brightest_portal",
        0.3,
        0.9,
        (("haemangioma", 0.45), ("HCC", -1.15), ("metastasis", -1.28), ("benign", -0.22)),
    ),
    ("dense_part_hu", 25.0, 55.0, (("cyst", -1.22),)),
    ("change_hu", 4.0, 20.0, (("benign", -2.0), ("sparing", -1.7))),
    ("late_hu", -30.0, -5.0, (("HCC", -0.81), ("metastasis", -0.47), ("perfusion", 0.12))),
    ("fall_hu", 5.0, 45.0, (("HCC", 0.47),)),
)
"""(sign, from, to, (class, points)...): log odds that a sign speaks for a class beside the density.

Which way each sign may speak is fixed, as a reader expects it; by how much was fitted on bodies
of SynthLiver-2-other (`python -m LiverLesionAILab.evaluation.class_points`), never on SynthLiver-2.
"""

PHASES_WEIGHT = (0.85, 0.7, 0.55, 0.56)
"""Exponent of the tables above with one to four phases at hand, fitted with the points."""
