"""How often a lesion is of each class, by setting: what published series counted, and what is assumed.

A share is of lesions, not of patients. It does not depend on the contrast phase: what a phase can show is in
:mod:`class_tables`. Every figure below is as the series' abstract gives it; nothing is taken from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CLASSES_AND_LOOKS = ("metastasis", "cyst", "haemangioma", "benign", "sparing", "perfusion", "HCC", "FNH")
"""Order of every set. "benign" is focal fat; "sparing" and "perfusion" are benign looks as well."""


@dataclass(frozen=True)
class Series:
    """A published series.

    Attributes:
        short: author and year, as it is named on a line.
        citation: authors, title, journal.
        place: DOI or PMID.
        counted: its figures as published.
    """

    short: str
    citation: str
    place: str
    counted: str


@dataclass(frozen=True)
class ClassPriors:
    """How often a lesion is of each class in one setting.

    Attributes:
        setting: what kind of patients, for a reader.
        counted: class -> lesions counted in `series`, in any common unit.
        assumed: class -> (share, why no series gives it).
        series: what `counted` was taken from; () where nothing was counted.
        checks: further series, which the shares are held against.
    """

    setting: str
    counted: Mapping[str, float]
    assumed: Mapping[str, tuple[float, str]]
    series: tuple[Series, ...] = ()
    checks: tuple[Series, ...] = ()

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """Class -> share, all classes in their order, sum 1: counts share what is not assumed."""
        left = 1.0 - sum(share for share, _ in self.assumed.values())
        whole = sum(self.counted.values())
        found = {name: share for name, (share, _) in self.assumed.items()}
        if not self.counted:
            return tuple((name, found[name]) for name in CLASSES_AND_LOOKS)
        found |= {name: round(left * count / whole, 3) for name, count in self.counted.items()}
        most = max(found, key=lambda name: found[name])
        found[most] = round(1.0 - sum(share for name, share in found.items() if name != most), 3)
        return tuple((name, found[name]) for name in CLASSES_AND_LOOKS)

    @property
    def source(self) -> str:
        """Where the shares are from, in one sentence."""
        names = ", ".join(name for name in CLASSES_AND_LOOKS if name in self.assumed)
        if not self.series:
            return "Assumed, of no series."
        told = " and ".join(one.short for one in self.series)
        return f"Counted by {told}; assumed: {names}."


BRUNETON = Series(
    "Bruneton 1995",
    "Bruneton JN et al. Benign liver lesions: implications of detection in cancer patients. Eur Radiol "
    "1995;5(4):387-390",
    "ISSN 0938-7994, 5:4, 387-390",
    "sonography of cancer patients over 12 years, primary liver cancers left out: 829 benign lesions (427 "
    "cysts, 216 haemangiomas, 79 calcifications, 62 focal fatty infiltrations, 45 others) are 41.8 % of the "
    "focal lesions, metastases 58.2 %",
)
SMALL_IN_CANCER = Series(
    "Small low attenuating lesions, 2002",
    "small low attenuating hepatic lesions on preoperative helical CT in gastric and colorectal cancer",
    "PMID 12439304",
    "881 lesions of at most 15 mm in 268 patients: 693 benign (78.3 %), 188 metastases (21.2 %)",
)
JONES = Series(
    "Jones 1992",
    "Jones EC et al. The frequency and significance of small (<= 15 mm) hepatic lesions detected by CT. AJR "
    "1992;158",
    "doi 10.2214/ajr.158.3.1738990",
    "254 of 1454 patients had lesions of at most 15 mm, 82 % of them a known cancer: benign in 51 %, "
    "malignant in 22 %, not classified in 27 %; malignant in no patient without a known cancer",
)
JUNG = Series(
    "Jung 2023",
    "Jung JH et al. Newly appearing hepatic lesion after curative surgery for colorectal cancer: single-"
    "phase CT findings implying metastasis. Curr Med Imaging 2023;19(9)",
    "doi 10.2174/1573405618666220907162616",
    "267 patients with new lesions on portal venous CT: metastasis 192 (0.72), benign 75",
)
VOELK = Series(
    "Voelk 2001",
    "Voelk M et al. Frequency of benign hepatic lesions incidentally detected with contrast-enhanced "
    "thin-section portal venous phase spiral CT. Acta Radiol 2001;42(2):172-175",
    "doi 10.1034/j.1600-0455.2001.042002172.x",
    "100 patients without malignancy, cirrhosis or known lesions, portal venous CT: 108 lesions in 33 of "
    "them (80 cysts, 18 haemangiomas, 3 focal fatty infiltrations, 2 perfusion defects, 1 calcification, 4 "
    "not classified)",
)
KALTENBACH = Series(
    "Kaltenbach 2016",
    "Kaltenbach TE et al. Prevalence of benign focal liver lesions: ultrasound investigation of 45,319 "
    "hospital patients. Abdom Radiol 2016;41:25-32",
    "doi 10.1007/s00261-015-0605-7",
    "focal fatty sparing in 2839 patients, cysts in 2631, haemangiomas in 1640, FNH in 81, adenoma in 19",
)
FORNER = Series(
    "Forner 2008",
    "Forner A et al. Diagnosis of hepatic nodules 20 mm or smaller in cirrhosis: prospective validation of "
    "the noninvasive diagnostic criteria for hepatocellular carcinoma. Hepatology 2008;47(1):97-104",
    "doi 10.1002/hep.21966",
    "89 solitary nodules found by sonography in cirrhosis: 60 HCC, 1 cholangiocarcinoma, 28 benign",
)
PARK = Series(
    "Park 2010",
    "Park MJ et al. Outcomes of follow-up CT for small (5-10-mm) arterially enhancing nodules in the liver "
    "and risk factors for developing hepatocellular carcinoma in a surveillance population. Eur Radiol "
    "2010;20(10):2397-2404",
    "doi 10.1007/s00330-010-1810-y",
    "175 nodules seen in the arterial phase alone: 101 disappeared, 34 persisted, 40 became HCC",
)
GALVAO = Series(
    "Galvao 2013",
    "Galvao BVT et al. Prevalence of simple liver cysts and hemangiomas in cirrhotic and non-cirrhotic "
    "patients submitted to magnetic resonance imaging. Radiol Bras 2013;46(4):203-208",
    "doi 10.1590/s0100-39842013000400005",
    "MRI of 303 patients: cysts in 14.5 %, haemangiomas in 8.6 %, no difference in cirrhosis",
)

_METASTASES = 829 / 0.418 * 0.582

STAGING = ClassPriors(
    "a known cancer",
    {"metastasis": _METASTASES, "cyst": 427, "haemangioma": 216, "benign": 62},
    {
        "HCC": (0.05, "the series leaves primary liver cancers out"),
        "FNH": (0.02, "at most the 45 others of its 1983 lesions"),
        "sparing": (0.01, "not counted apart from fat"),
        "perfusion": (0.02, "sonography does not show it"),
    },
    (BRUNETON,),
    (SMALL_IN_CANCER, JONES, JUNG),
)
INCIDENTAL = ClassPriors(
    "no known disease",
    {"cyst": 80, "haemangioma": 18, "benign": 3, "perfusion": 2, "FNH": 18 * 81 / 1640},
    {
        "metastasis": (0.03, "malignancy was excluded; a floor, so that one can still be said"),
        "HCC": (0.01, "the same"),
        "sparing": (0.04, "seldom seen on CT; sonography sees it in 6.3 % of patients"),
    },
    (VOELK, KALTENBACH),
    (JONES,),
)
AT_RISK = ClassPriors(
    "at risk of HCC",
    {"HCC": 60 + 40, "perfusion": 101},
    {
        "cyst": (0.19, "how many beside solid ones is assumed; to haemangiomas as 14.5 to 8.6 (Galvao 2013)"),
        "haemangioma": (0.11, "the same"),
        "metastasis": (0.03, "or another malignancy: 1 of the 89 nodules was a cholangiocarcinoma"),
        "benign": (0.04, "not counted"),
        "sparing": (0.03, "not counted"),
        "FNH": (0.02, "among the 28 benign nodules, not counted apart"),
    },
    (FORNER, PARK),
    (GALVAO,),
)
EVEN = ClassPriors(
    "every class alike",
    {},
    {
        "metastasis": (1 / 6, "even"),
        "cyst": (1 / 6, "even"),
        "haemangioma": (1 / 6, "even"),
        "benign": (1 / 12, "half of benign others"),
        "sparing": (1 / 36, "a sixth of benign others"),
        "perfusion": (1 / 18, "a third of benign others"),
        "HCC": (1 / 6, "even"),
        "FNH": (1 / 6, "even"),
    },
)

SETTINGS: dict[str, ClassPriors] = {
    "staging": STAGING,
    "incidental": INCIDENTAL,
    "at risk": AT_RISK,
    "even": EVEN,
}
"""By the name that `--class-priors` knows. Change them where you know your own patients."""


def sources_markdown() -> str:
    """The table of the documentation: each setting's shares and where each is from, then the series."""
    rows = ["| setting | shares | counted by | assumed |", "|---|---|---|---|"]
    named: dict[str, Series] = {}
    for name, priors in SETTINGS.items():
        shares = ", ".join(f"{one} {share:.3f}" for one, share in priors.shares)
        by = ", ".join(one.short for one in priors.series) or "none"
        why = "; ".join(f"{one}: {reason}" for one, (_, reason) in priors.assumed.items())
        if priors.checks:
            by += f" (beside them: {', '.join(one.short for one in priors.checks)})"
        rows.append(f"| {name} | {shares} | {by} | {why} |")
        named |= {one.short: one for one in (*priors.series, *priors.checks)}
    rows += ["", "| series | what it counted |", "|---|---|"]
    rows += [f"| {one.citation} ({one.place}) | {one.counted} |" for one in named.values()]
    return "\n".join(rows)
