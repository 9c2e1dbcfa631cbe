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
        (("cyst", -0.3), ("metastasis", 0.93), ("benign", 1.14), ("sparing", 0.53), ("perfusion", 1.0)),
    ),
    (
        "rim_arterial_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.98),
            ("FNH", -0.5),
            ("HCC", -0.57),
            ("metastasis", 1.36),
            ("benign", -0.8),
            ("sparing", -0.41),
            ("perfusion", -0.62),
        ),
    ),
    ("rim_arterial_hu", 20.0, 60.0, (("haemangioma", 0.94), ("metastasis", -1.38))),
    (
        "rim_late_hu",
        6.0,
        18.0,
        (
            ("cyst", -0.17),
            ("haemangioma", 0.1),
            ("FNH", -0.33),
            ("HCC", 0.7),
            ("metastasis", 0.11),
            ("benign", -0.17),
            ("sparing", -0.17),
            ("perfusion", -0.31),
        ),
    ),
    (
        "uneven",
        1.2,
        2.0,
        (
            ("cyst", -0.17),
            ("FNH", -0.1),
            ("HCC", 0.07),
            ("benign", -0.11),
            ("sparing", -0.07),
            ("perfusion", -0.07),
        ),
    ),
    ("mosaic", 1.0, 3.0, (("cyst", -0.93), ("haemangioma", 0.21), ("FNH", -0.63), ("metastasis", 0.1))),
    (
        "centre_hu",
        -30.0,
        -6.0,
        (("FNH", -0.68), ("metastasis", -0.35), ("benign", 0.06), ("perfusion", 0.63)),
    ),
    ("scar_hu", -30.0, -10.0, (("FNH", -0.64), ("HCC", -0.18))),
    ("scar_fills", 0.2, 0.6, (("FNH", 0.41), ("HCC", -0.11), ("metastasis", -0.08))),
    ("vessels_through", 0.4, 0.9, (("cyst", -1.17), ("FNH", -0.69), ("HCC", -0.27), ("metastasis", -0.18))),
    ("surface", 0.15, 0.5, (("benign", -1.0), ("perfusion", -2.0))),
    ("liver_level_hu", -25.0, -5.0, (("sparing", -0.79),)),
    ("blood", -0.1, 0.03, (("haemangioma", 2.0), ("HCC", 0.29), ("metastasis", -0.21))),
    ("blood", 0.03, 0.15, (("FNH", 0.41), ("benign", -0.64), ("perfusion", 0.27))),
    (
        "blood",
        0.15,
        0.35,
        (
            ("haemangioma", 0.4),
            ("HCC", -0.62),
            ("metastasis", 0.74),
            ("benign", -0.44),
            ("sparing", -0.26),
            ("perfusion", -0.59),
        ),
    ),
    (
        "blood",
        0.35,
        0.6,
        (("cyst", -1.5), ("haemangioma", 2.0), ("metastasis", -2.0), ("benign", -0.38), ("perfusion", -0.24)),
    ),
    (
        "lumps",
        0.15,
        0.45,
        (("cyst", -0.5), ("haemangioma", 1.6), ("FNH", -0.41), ("benign", -0.37), ("perfusion", -0.23)),
    ),
    ("lumps", 1.3, 1.9, (("haemangioma", -0.99), ("metastasis", 0.12))),
    (
        "brightest",
        -0.1,
        0.1,
        (
            ("cyst", -0.52),
            ("haemangioma", 0.55),
            ("FNH", 0.66),
            ("HCC", 0.14),
            ("metastasis", 0.16),
            ("benign", -0.98),
        ),
    ),
    (
        "brightest",
        0.1,
        0.35,
        (
            ("haemangioma", 1.05),
            ("FNH", 0.23),
            ("metastasis", 0.12),
            ("sparing", -0.34),
            ("perfusion", -0.28),
        ),
    ),
    (
        "brightest",
        0.4,
        0.8,
        (("haemangioma", 0.59), ("HCC", -0.35), ("metastasis", -0.58), ("benign", -0.22), ("sparing", -0.12)),
    ),
    (
        "brightest_portal",
        -0.1,
        0.1,
        (("HCC", 0.21), ("metastasis", 0.52), ("sparing", 0.1), ("perfusion", 0.46)),
    ),
    ("brightest_portal", 0.1, 0.35, (("FNH", 0.45),)),
    (
        "brightest_portal",
        0.3,
        0.9,
        (("haemangioma", 0.68), ("HCC", -1.32), ("metastasis", -1.32), ("benign", -0.14)),
    ),
    ("dense_part_hu", 25.0, 55.0, (("cyst", -1.5),)),
    (
        "change_hu",
        4.0,
        20.0,
        (
            ("haemangioma", 2.0),
            ("FNH", 0.26),
            ("HCC", 0.26),
            ("metastasis", 0.97),
            ("benign", -1.78),
            ("sparing", -1.43),
        ),
    ),
    ("late_hu", -60.0, -30.0, (("benign", 0.16),)),
    ("late_hu", -30.0, -5.0, (("HCC", -0.91), ("metastasis", -0.22), ("perfusion", 0.46))),
    ("late_hu", -5.0, 20.0, (("haemangioma", 0.3),)),
    ("fall_hu", 5.0, 45.0, (("HCC", 0.89), ("benign", -0.5), ("sparing", -0.59))),
    ("fill_hu", 5.0, 30.0, (("haemangioma", 0.16),)),
    (
        "calcium_hu",
        0.0,
        20.0,
        (("cyst", -0.54), ("haemangioma", -0.6), ("FNH", -0.14), ("metastasis", 1.0), ("benign", -0.11)),
    ),
)
"""(sign, from, to, (class, points)...): log odds that a sign speaks for a class beside the density.

Which way each sign may speak is fixed, as a reader expects it; by how much was fitted on bodies
of SynthLiver-2-other (`python -m LiverLesionAILab.evaluation.class_points`), never on SynthLiver-2.
"""

PHASES_WEIGHT = (0.85, 0.7, 0.55, 0.56)
"""Exponent of the tables above with one to four phases at hand, fitted with the points."""
