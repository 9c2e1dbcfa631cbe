"""Classes of liver lesions and contrast phases: one list of each, with what they are called and coded as.

A lesion carries the name that its model or its reader gave it, since a model may bring classes of its own;
what a name means is looked up here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Code:
    """A coded concept: scheme, value, meaning; `text` as Slicer's terminology entries write it."""

    value: str
    meaning: str
    scheme: str = "SCT"

    @property
    def text(self) -> str:
        """ "SCT^4147007^Mass"."""
        return f"{self.scheme}^{self.value}^{self.meaning}"


_LESION_OF_LIVER = Code("300331000", "Lesion of liver")
_LESION, _MASS = Code("52988006", "Lesion"), Code("4147007", "Mass")
_CYST, _NEOPLASM = Code("367643001", "Cyst"), Code("108369006", "Neoplasm")
_PRIMARY, _SECONDARY = Code("86049000", "Primary"), Code("14799000", "Secondary")


@dataclass(frozen=True)
class _Meaning:
    code: str
    title: str
    concept: Code
    kind: Code
    modifier: Code | None = None
    others: tuple[str, ...] = ()


class LesionClass(Enum):
    """What a lesion can be.

    Attributes (by property):
        code: short and stable, for files and programs.
        title: for the reader.
        concept: what it is in SNOMED CT.
        kind, modifier: type and modifier among the codes that Slicer and DICOM SEG know for segments.
    """

    CYST = _Meaning("cyst", "cyst", _CYST, _CYST)
    HAEMANGIOMA = _Meaning(
        "haemangioma",
        "haemangioma",
        Code("93469006", "Hemangioma of liver"),
        _MASS,
        None,
        ("hem", "hemangioma"),
    )
    FNH = _Meaning(
        "FNH",
        "FNH",
        Code("278527001", "Focal nodular hyperplasia of liver"),
        _MASS,
        None,
        ("focal nodular hyperplasia",),
    )
    HCC = _Meaning(
        "HCC",
        "HCC",
        Code("109841003", "Liver cell carcinoma"),
        _NEOPLASM,
        _PRIMARY,
        ("hepatocellular carcinoma",),
    )
    METASTASIS = _Meaning(
        "metastasis",
        "metastasis / other malignant",
        Code("94381002", "Secondary malignant neoplasm of liver"),
        _NEOPLASM,
        _SECONDARY,
        ("met", "metastases", "metastatic", "malignant", "hypovascular"),
    )
    BENIGN = _Meaning("benign", "benign other", _LESION_OF_LIVER, _LESION, None, ("focal fat", "perfusion"))
    INDETERMINATE = _Meaning("indeterminate", "indeterminate", _LESION_OF_LIVER, _LESION)
    ABSCESS = _Meaning("abscess", "abscess", Code("27916005", "Abscess of liver"), _LESION)
    TREATED = _Meaning("treated", "treated", _LESION_OF_LIVER, _LESION, None, ("ablation", "lipiodol"))

    @property
    def code(self) -> str:
        """Short and stable, for files and programs."""
        return self.value.code

    @property
    def title(self) -> str:
        """For the reader."""
        return self.value.title

    @property
    def short(self) -> str:
        """For the reader, where there is little room; the code where that is short itself."""
        shorter = {
            "metastasis": "met.",
            "haemangioma": "haem.",
            "indeterminate": "indet.",
            "abscess": "absc.",
            "treated": "treat.",
        }
        return shorter.get(self.code, self.code)

    @property
    def concept(self) -> Code:
        """What it is in SNOMED CT."""
        return self.value.concept

    @property
    def kind(self) -> Code:
        """Type of its segment, among the codes that Slicer ships."""
        return self.value.kind

    @property
    def modifier(self) -> Code | None:
        """Modifier of that type."""
        return self.value.modifier

    @classmethod
    def of(cls, name: str | None) -> LesionClass | None:
        """The class that a model or a reader calls so ("HEM", "Haemangioma"); None for others."""
        for known in cls:
            words = "|".join((known.code, *known.value.others))
            if re.match(rf"\s*(?:{words})\b", name or "", re.IGNORECASE):
                return known
        return None


FORMER_UNENHANCED = "non-contrast"
"""What cases of earlier versions call the unenhanced phase."""


class Phase(Enum):
    """Contrast phase of a CT; the value is for files and programs, the title for the reader."""

    UNENHANCED = "unenhanced"
    ARTERIAL = "arterial"
    PORTAL = "portal"
    DELAYED = "delayed"

    @property
    def title(self) -> str:
        """For the reader."""
        return "portal venous" if self is Phase.PORTAL else self.value

    @classmethod
    def of(cls, name: str | None) -> Phase | None:
        """The phase of this value or title; None for another."""
        if name == FORMER_UNENHANCED:
            return cls.UNENHANCED
        return next((phase for phase in cls if name in (phase.value, phase.title)), None)

    @classmethod
    def title_of(cls, name: str) -> str:
        """The title of a phase that a kept case calls so; what is no phase stays as it is."""
        phase = cls.of(name)
        return name if phase is None else phase.title
