"""Which layout a folder of labelled CTs has, and its scans."""

from __future__ import annotations

from pathlib import Path

from LiverLesionAILib.support.errors import InputError

from .chaos import find_chaos
from .ircadb import PATIENT, find_ircadb
from .scan import LITS_LABELS, LabelMeaning, Scan
from .synthliver import find_synthliver
from .volumes import find_lits, find_msd, find_plain

LAYOUTS = ("lits", "msd", "ircadb", "chaos", "synthliver", "plain")


def layout_of(folder: Path) -> str:
    """The layout of a folder, by what lies in it.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.")
    if (folder / "dataset.json").is_file() and (folder / "imagesTr").is_dir():
        return "msd"
    if any(next(folder.glob(f"{root}*/lesions.json"), None) for root in ("", "*/", "volumes/*/")):
        return "synthliver"
    if any(PATIENT.fullmatch(p.name) for p in folder.iterdir()):
        return "ircadb"
    if any(next(folder.glob(f"{root}*/DICOM_anon"), None) for root in ("", "CT/", "Train_Sets/CT/")):
        return "chaos"
    if next(folder.rglob("volume-*.nii*"), None) is not None:
        return "lits"
    return "plain"


def find_scans(folder: Path, layout: str = "auto", labels: LabelMeaning = LITS_LABELS) -> list[Scan]:
    """The labelled scans of a folder, in order of name.

    Args:
        folder: of the data set.
        layout: one of :data:`LAYOUTS`, or "auto".
        labels: what the label values of a plain folder mean; the public sets bring their own.

    Raises:
        InputError: nothing of that layout there, or a CT without its mask.
    """
    if layout == "auto":
        layout = layout_of(folder)
    if layout == "plain":
        return find_plain(folder, labels=labels)
    finders = {"lits": find_lits, "msd": find_msd, "ircadb": find_ircadb, "chaos": find_chaos}
    finders["synthliver"] = find_synthliver
    if layout not in finders:
        raise InputError(f"There is no layout {layout}; known are {', '.join(LAYOUTS)}.")
    return finders[layout](folder)
