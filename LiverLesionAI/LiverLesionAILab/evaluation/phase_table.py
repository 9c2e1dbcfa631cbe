"""`liverlesionai compare phases`: the contrast phase of scans with an outlined liver, and its figures."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.reading import load_ct
from LiverLesionAILib.stages.classify.differential import (
    CYST,
    INDETERMINATE,
    METASTASIS,
    NEED_ARTERIAL,
    DifferentialSettings,
)
from LiverLesionAILib.stages.classify.liver_box import liver_box
from LiverLesionAILib.stages.classify.second_voice import PhaseView, differentials, measured_phases
from LiverLesionAILib.stages.classify.stage import measured
from LiverLesionAILib.stages.phase.estimate import PHASES, PhaseSettings, phase_probabilities
from LiverLesionAILib.stages.phase.hints import hints_of
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray

from ..data.cases import read_unchecked

BETWEEN = 0.25
"""A second phase of at least this probability is named beside the first: the scan lies between the two."""
CHARACTERISED_MM = 8.0
"""Lesions of at least this diameter are counted apart: what is smaller is a few voxels."""


@dataclass(frozen=True)
class NamedLesion:
    """What measurements alone call a lesion.

    Attributes:
        name: its class's code, or "indeterminate"; metastasis: its probability.
        diameter_mm: of the ball with its volume; dark: whether its core is darker than the liver and
            denser than water.
    """

    name: str
    metastasis: float
    diameter_mm: float
    dark: bool


@dataclass(frozen=True)
class PhaseRow:
    """A scan in the table.

    Attributes:
        text: its row, Markdown; looks: the most probable phase.
        lesions: of its liver.
    """

    text: str
    looks: str
    lesions: tuple[NamedLesion, ...]


def add_phase_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare phases`."""
    parser.add_argument(
        "data",
        type=Path,
        help="folder with NAME_ct.nii.gz and NAME_mask.nii.gz: 1 liver, 2 lesion; with --cases no masks are "
        "needed, and folders in it are searched too, for DICOM as well",
    )
    parser.add_argument(
        "--cases",
        type=Path,
        metavar="DIR",
        help="case folders named as their CTs: liver and lesions as they were found, not the true masks",
    )


def run_phase_table(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Measure every scan and print the table, and what its lesions are named by phase.

    Raises:
        InputError: no scan with a mask or a case, or a damaged one.
    """
    scans = _outlined(args.data) if args.cases is None else _analysed(args.data, args.cases)
    lines = [
        "| scan | aorta | vena cava | vessels in it | liver | phase | probability | name and header "
        "| lesions by density |",
        "|---|" + "---|" * 8,
    ]
    rows = []
    for place, (ct, mask) in enumerate(scans):
        progress(f"phase of {ct.name}", place / len(scans))
        rows.append(phase_row(ct, found_masks(args.cases, ct) if mask is None else true_masks(mask)))
    print("\n".join([*lines, *(row.text for row in rows)]))
    if any(row.lesions for row in rows):
        print(f"\n{names_table(rows)}")
    return 0


def names_table(rows: Sequence[PhaseRow]) -> str:
    """How lesions are named in all scans that look like one phase, Markdown.

    "Dark and solid" are those that differ from the liver as metastases do: darker than it, denser than water.
    """
    head = [
        *("scans that look", "lesions", "named metastasis", "least probability", "FNH or HCC", "cyst"),
        *("left open", "dark and solid", "of these metastasis", f"of {CHARACTERISED_MM:.0f} mm and more"),
        "of these metastasis",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for phase in PHASES:
        own = [lesion for row in rows if row.looks == phase for lesion in row.lesions]
        if not own:
            continue
        named = [one for one in own if one.name == METASTASIS]
        parts = [one for one in own if one.dark], [one for one in own if one.diameter_mm >= CHARACTERISED_MM]
        counts = [
            *(len(own), len(named), f"{min((o.metastasis for o in named), default=np.nan):.2f}"),
            sum(one.name in NEED_ARTERIAL for one in own),
            *(sum(one.name == name for one in own) for name in (CYST, INDETERMINATE)),
        ]
        for part in parts:
            counts += [len(part), sum(one.name == METASTASIS for one in part)]
        lines.append(f"| {phase} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def _outlined(data: Path) -> list[tuple[Path, Path | None]]:
    """CTs with their true masks.

    Raises:
        InputError: none.
    """
    pairs: list[tuple[Path, Path | None]] = [
        (ct, mask)
        for ct in sorted(data.glob("*_ct.nii.gz"))
        if (mask := ct.with_name(ct.name.replace("_ct.", "_mask."))).is_file()
    ]
    if not pairs:
        raise InputError(f"{data} holds no NAME_ct.nii.gz with NAME_mask.nii.gz beside it.")
    return pairs


def _analysed(data: Path, cases: Path) -> list[tuple[Path, Path | None]]:
    """CTs that have a case folder, anywhere in `data`: image files, and folders with DICOM.

    Raises:
        InputError: none.
    """
    series = {one.parent for one in data.rglob("*.dcm")} - {data}
    known = [*data.rglob("*_ct.nii.gz"), *series]
    scans: list[tuple[Path, Path | None]] = [
        (ct, None) for ct in sorted(known) if (cases / _name(ct)).is_dir()
    ]
    if not scans:
        raise InputError(f"{cases} holds no case folder that is named as a CT in {data}.")
    return scans


def _name(ct: Path) -> str:
    return ct.name.removesuffix(".nii.gz")


Masks = tuple[NDArray[np.bool_], NDArray[np.uint16]]


def true_masks(mask: Path) -> Masks:
    """Liver with its lesions, and the lesions numbered."""
    outlined = np.asarray(read_unchecked(mask).hu_zyx)
    return outlined > 0, components(outlined == 2, 6)[0].astype(np.uint16)


def found_masks(cases: Path, ct: Path) -> Masks:
    """As an analysis has found them.

    Raises:
        InputError: there is no whole case folder of the CT's name.
    """
    found = load_result(cases / _name(ct))
    return np.asarray(found.liver_zyx), np.asarray(found.lesion_labels_zyx)


def phase_row(ct: Path, masks: Masks) -> PhaseRow:
    """One scan's densities in HU, its phase, and what measurements alone call its outlined lesions."""
    volume, (liver, labels) = load_ct(ct) if ct.is_dir() else read_unchecked(ct), masks
    if liver.shape != volume.hu_zyx.shape:
        raise InputError(
            f"{ct.name}: the masks are of another CT ({liver.shape}, not {volume.hu_zyx.shape})."
        )
    box = liver_box(CaseResult(volume.name, volume.geometry, liver, labels), volume)
    settings = Rules().part(PhaseSettings)
    seen, hints = measured(box, settings), hints_of(volume, settings.hints)
    shares = phase_probabilities(seen, settings, hints)
    order = np.argsort(-shares)
    name = PHASES[order[0]]
    if shares[order[1]] >= BETWEEN:
        name += f", or {PHASES[order[1]]} ({shares[order[1]]:.2f})"
    phase = Phase.of(PHASES[order[0]])
    assert phase is not None
    view = PhaseView(phase, box, seen, 0.0, {})
    lesions = _named(view) if labels.any() else ()
    classes = ", ".join(f"{name} {n}" for name, n in Counter(one.name for one in lesions).most_common())
    beside = "; ".join(hint.what for hint in hints) or "say nothing"
    figures = (seen.aorta_hu, seen.cava_hu, seen.vessels_hu, seen.liver_hu)
    cells = " | ".join("not seen" if np.isnan(v) else f"{v:.0f}" for v in figures)
    row = (_name(ct).removesuffix("_ct"), cells, name, f"{shares[order[0]]:.2f}", beside, classes)
    return PhaseRow(f"| {' | '.join(row)} |", PHASES[order[0]], lesions)


def _named(view: PhaseView) -> tuple[NamedLesion, ...]:
    """What measurements alone call the lesions of a scan, the largest first."""
    settings = Rules().part(DifferentialSettings)
    seen = measured_phases([view])
    features = seen[0].features
    return tuple(
        NamedLesion(
            said.name,
            said.probabilities.get(METASTASIS, 0.0),
            features[number].diameter_mm,
            bool(settings.water_hu < features[number].core_hu < features[number].liver_hu),
        )
        for number, said in differentials(seen, settings).items()
    )
