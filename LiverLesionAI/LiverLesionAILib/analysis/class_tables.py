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

PRIORS: tuple[tuple[str, float], ...] = (
    ("metastasis", 0.48),
    ("cyst", 0.26),
    ("haemangioma", 0.12),
    ("benign", 0.03),
    ("sparing", 0.01),
    ("perfusion", 0.02),
    ("HCC", 0.05),
    ("FNH", 0.03),
)

PRIORS_OF_SETTINGS: dict[str, tuple[tuple[str, float], ...]] = {
    "staging": PRIORS,
    "incidental": (
        ("metastasis", 0.03),
        ("cyst", 0.45),
        ("haemangioma", 0.25),
        ("benign", 0.10),
        ("sparing", 0.04),
        ("perfusion", 0.04),
        ("HCC", 0.01),
        ("FNH", 0.08),
    ),
    "at risk": (
        ("metastasis", 0.06),
        ("cyst", 0.26),
        ("haemangioma", 0.08),
        ("benign", 0.05),
        ("sparing", 0.03),
        ("perfusion", 0.15),
        ("HCC", 0.35),
        ("FNH", 0.02),
    ),
    "even": (
        ("metastasis", 1 / 6),
        ("cyst", 1 / 6),
        ("haemangioma", 1 / 6),
        ("benign", 1 / 12),
        ("sparing", 1 / 36),
        ("perfusion", 1 / 18),
        ("HCC", 1 / 6),
        ("FNH", 1 / 6),
    ),
}
"""How often a lesion is of each class, by setting: a known cancer (as stated), none known, at risk of HCC
(cirrhosis, chronic hepatitis B), every class alike. Assumed orders of magnitude, of no survey: change them
where you know your own patients."""

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
