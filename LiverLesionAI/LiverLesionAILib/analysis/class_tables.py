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
        (("cyst", -0.25), ("metastasis", 0.21), ("benign", 0.75), ("sparing", 0.33), ("perfusion", 0.77)),
    ),
    (
        "rim_arterial_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.65),
            ("FNH", -0.11),
            ("HCC", -0.5),
            ("metastasis", 0.1),
            ("benign", -0.58),
            ("sparing", -0.17),
            ("perfusion", -0.17),
        ),
    ),
    ("rim_arterial_hu", 20.0, 60.0, (("haemangioma", 0.53),)),
    (
        "rim_late_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.1),
            ("FNH", -0.16),
            ("HCC", 0.36),
            ("metastasis", 0.1),
            ("benign", -0.17),
            ("sparing", -0.17),
            ("perfusion", -0.17),
        ),
    ),
    (
        "uneven",
        1.2,
        2.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.12),
            ("FNH", -0.15),
            ("HCC", 0.07),
            ("benign", -0.08),
            ("sparing", -0.07),
            ("perfusion", -0.07),
        ),
    ),
    ("mosaic", 1.0, 3.0, (("cyst", -0.63), ("haemangioma", 0.98), ("FNH", -0.51))),
    (
        "centre_hu",
        -30.0,
        -6.0,
        (("haemangioma", -0.11), ("FNH", -0.59), ("benign", 0.18), ("sparing", 0.08), ("perfusion", 0.8)),
    ),
    ("vessels_through", 0.4, 0.9, (("perfusion", 0.58),)),
    ("surface", 0.15, 0.5, (("perfusion", -1.83),)),
    ("liver_level_hu", -25.0, -5.0, (("sparing", -0.2),)),
    ("blood", 0.03, 0.15, (("FNH", 0.37), ("benign", -0.61))),
    (
        "blood",
        0.15,
        0.35,
        (("haemangioma", 0.17), ("FNH", 0.11), ("benign", -0.18), ("sparing", -0.16), ("perfusion", -0.19)),
    ),
    (
        "blood",
        0.35,
        0.6,
        (("cyst", -1.5), ("haemangioma", 1.19), ("HCC", -0.12), ("metastasis", -1.18), ("benign", -0.08)),
    ),
    ("lumps", 0.15, 0.45, (("cyst", -0.5), ("haemangioma", 1.6))),
    ("lumps", 1.3, 1.9, (("haemangioma", -2.06), ("metastasis", 0.12))),
    ("change_hu", 4.0, 20.0, (("benign", -1.74), ("sparing", -1.14))),
    ("late_hu", -30.0, -5.0, (("FNH", 0.05), ("HCC", -0.72), ("metastasis", -0.56), ("perfusion", 0.07))),
    ("late_hu", -5.0, 20.0, (("HCC", -0.15), ("metastasis", -0.06))),
    ("fall_hu", 5.0, 45.0, (("HCC", 0.3),)),
)
"""(sign, from, to, (class, points)...): log odds that a sign speaks for a class beside the density.

Which way each sign may speak was fixed beforehand, as a reader expects it; by how much was fitted on bodies
of SynthLiver-2-other (`python -m LiverLesionAILab.evaluation.class_points`), never on SynthLiver-2.
"""

PHASES_WEIGHT = (0.85, 0.73, 0.55, 0.75)
"""Exponent of the tables above with one to four phases at hand, fitted with the points."""
