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
