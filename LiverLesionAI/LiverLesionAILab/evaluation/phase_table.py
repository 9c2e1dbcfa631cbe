"""`liverlesionai compare phases`: the contrast phase of scans with an outlined liver, and its figures."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.reading import load_ct
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
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
    """Measure every scan and print the table.

    Raises:
        InputError: no scan with a mask or a case, or a damaged one.
    """
    scans = _outlined(args.data) if args.cases is None else _analysed(args.data, args.cases)
    lines = [
        "| scan | aorta | vena cava | vessels in it | liver | phase | probability | name and header "
        "| lesions by density |",
        "|---|" + "---|" * 8,
    ]
    for place, (ct, mask) in enumerate(scans):
        progress(f"phase of {ct.name}", place / len(scans))
        lines.append(phase_row(ct, found_masks(args.cases, ct) if mask is None else true_masks(mask)))
    print("\n".join(lines))
    return 0


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


def phase_row(ct: Path, masks: Masks) -> str:
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
    said = differentials(measured_phases([view]), Rules().part(DifferentialSettings)) if labels.any() else {}
    classes = ", ".join(f"{name} {n}" for name, n in Counter(one.name for one in said.values()).most_common())
    beside = "; ".join(hint.what for hint in hints) or "say nothing"
    figures = (seen.aorta_hu, seen.cava_hu, seen.vessels_hu, seen.liver_hu)
    cells = " | ".join("not seen" if np.isnan(v) else f"{v:.0f}" for v in figures)
    row = (_name(ct).removesuffix("_ct"), cells, name, f"{shares[order[0]]:.2f}", beside, classes)
    return f"| {' | '.join(row)} |"
