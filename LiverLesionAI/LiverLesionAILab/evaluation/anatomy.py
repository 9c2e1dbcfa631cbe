"""`liverlesionai compare anatomy`: vessels, segments, landmarks and lesions' places on SynthLiver-anatomy.

Truth is what was drawn: the territory of the nearest portal branch, never a plane. Every method gets the true
outlines of liver and lesions, so that nothing but the anatomy is judged.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume
from numpy.typing import NDArray

from ..data.anatomy_set import AnatomyPatient, find_anatomy
from ..metrics.anatomy import (
    ROMAN,
    centreline_dice,
    couinaud,
    distance_mm,
    label_right,
    landmark_errors,
    neighbours,
    segment_dice,
)
from ..synthesis.known_trees.habit import Branch
from ..synthesis.known_trees.territory import FINE
from .anatomy_vessels import OF_UNKNOWN_KIND, network_finder, ridge_finder

LEAST_SEGMENT_ML = 10.0
CONTACT_MM = 3.0
"""Middles of voxels of a lesion and of a vessel so near each other: they touch."""
KINDS = {1: "portal", 2: "hepatic", 3: "ivc"}


@dataclass(frozen=True, eq=False)
class AnatomyAnswer:
    """What a method says of a patient; what it does not say is None or missing.

    Attributes:
        vessels_zyx: 0, 1 portal, 2 hepatic, 3 IVC on the CT's grid.
        segments_zyx: 0, 1 to 8.
        landmarks_lps: by the truth's names.
        messages: what it could not say, and why.
    """

    vessels_zyx: NDArray[np.uint8] | None = None
    segments_zyx: NDArray[np.uint8] | None = None
    landmarks_lps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


Method = Callable[[CtVolume, NDArray[np.uint8]], AnatomyAnswer]
"""(CT with axes L, P, S; labels 0, 1 liver, 1 + k lesion k) -> answer."""


@dataclass(frozen=True)
class AnatomyRow:
    """One patient by one method; raw results.

    Attributes:
        lesions: for each "truth", "found" (segments), "right", "beyond" (further than a neighbour) and by
            kind of vessel the true and the found distance, mm (None: no such vessel).
        dice: by segment; cldice: of both trees; label_right, label_all: voxels.
        landmarks_mm: error by name.
    """

    patient: str
    variant: str
    phase: str
    method: str
    seconds: float
    cldice: float | None = None
    label_right: int = 0
    label_all: int = 0
    dice: dict[str, float] = field(default_factory=dict)
    lesions: list[dict[str, Any]] = field(default_factory=list)
    landmarks_mm: dict[str, float] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


def true_vessels(branches_zyx: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(0, 1 portal, 2 hepatic, 3 IVC) of the branches that are asked for, and the twigs that are not."""
    out = np.zeros(branches_zyx.shape, np.uint8)
    out[(branches_zyx > 0) & (branches_zyx < Branch.HEPATIC_RIGHT)] = 1
    out[(branches_zyx >= Branch.HEPATIC_RIGHT) & (branches_zyx < Branch.IVC)] = 2
    out[branches_zyx == Branch.IVC] = 3
    return out, branches_zyx >= FINE


def judge(patient: AnatomyPatient, name: str, method: Method) -> AnatomyRow:
    """A method's answer for a patient against the truth."""
    ct, labels = patient.ct(), patient.labels()
    started = time.perf_counter()
    answer = method(ct, labels)
    seconds = time.perf_counter() - started
    truth = couinaud(patient.segments())
    vessels, twigs = true_vessels(patient.branches())
    spacing, inside = ct.geometry.spacing_zyx_mm, labels > 0
    facts = patient.facts
    row: dict[str, Any] = {}
    if answer.vessels_zyx is not None:
        found = answer.vessels_zyx
        tree = np.isin(found, (1, 2, OF_UNKNOWN_KIND)) & inside
        true_tree = np.isin(vessels, (1, 2)) & inside
        row["cldice"] = centreline_dice(tree, true_tree, twigs)
        right, count = label_right(np.where(inside, found, 0), np.where(inside, vessels, 0))
        row["label_right"], row["label_all"] = right, count
    if answer.segments_zyx is not None:
        least = int(LEAST_SEGMENT_ML * 1000 / ct.geometry.voxel_volume_mm3)
        row["dice"] = {ROMAN[s]: d for s, d in segment_dice(answer.segments_zyx, truth, least).items()}
    row["landmarks_mm"] = landmark_errors(answer.landmarks_lps, facts["landmarks_lps"])
    beside = neighbours(truth)
    row["lesions"] = [
        _lesion(labels == k + 1, truth, vessels, answer, beside, spacing) for k in range(1, int(labels.max()))
    ]
    return AnatomyRow(
        patient.name,
        facts["variant"],
        facts["phase"],
        name,
        round(seconds, 2),
        messages=answer.messages,
        **row,
    )


def _lesion(
    lesion: NDArray[np.bool_],
    truth: NDArray[np.uint8],
    vessels: NDArray[np.uint8],
    answer: AnatomyAnswer,
    beside: set[tuple[int, int]],
    spacing: tuple[float, float, float],
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if not lesion.any():
        return out
    true = int(np.bincount(truth[lesion], minlength=9)[1:].argmax()) + 1
    out["truth"] = ROMAN[true]
    if answer.segments_zyx is not None:
        counts = np.bincount(answer.segments_zyx[lesion], minlength=9)
        found = int(counts[1:].argmax()) + 1 if counts[1:].any() else 0
        out |= {"found": ROMAN[found], "right": found == true}
        out["beyond"] = found != true and (found, true) not in beside
    if answer.vessels_zyx is not None:
        for kind, name in KINDS.items():
            pair = [distance_mm(lesion, v == kind, spacing) for v in (vessels, answer.vessels_zyx)]
            out[name] = [round(d, 2) if np.isfinite(d) else None for d in pair]
    return out


def add_anatomy_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare anatomy`."""
    parser.add_argument("data", type=Path, help="folder of SynthLiver-anatomy")
    parser.add_argument("--split", default="held-out", choices=["held-out", "train"])
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N patients")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights.pt of a vessel network")
    parser.add_argument("--no-ridge", action="store_true", help="without the filter for bright tubes")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="gets anatomy.json: raw results"
    )


def run_anatomy(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Judge every method on every patient, write raw results, print the table.

    Raises:
        InputError: no patients, or no weights.
    """
    methods = methods_of(args)
    if not methods:
        raise InputError("Nothing to compare: leave out --no-ridge or give --weights FILE.")
    patients = find_anatomy(args.data, args.split)[: args.limit]
    rows: list[AnatomyRow] = []
    for number, patient in enumerate(patients):
        for name, method in methods.items():
            progress(f"{patient.name}: {name}", number / len(patients))
            rows.append(judge(patient, name, method))
        # After every patient: a run that is stopped leaves what it has.
        settings = {"split": args.split, "patients": number + 1}
        text = json.dumps({"settings": settings, "rows": [asdict(row) for row in rows]}, indent=1)
        write_text(args.out / "anatomy.json", text + "\n")
    print(anatomy_table(rows))
    return 0


def methods_of(args: argparse.Namespace) -> dict[str, Method]:
    """The methods that the options ask for, by name."""
    methods: dict[str, Method] = {}
    if args.weights is not None:
        methods["network"] = _vessels_only(network_finder(args.weights))
    if not args.no_ridge:
        methods["ridge filter"] = _vessels_only(ridge_finder())
    return methods


def _vessels_only(finder: Callable[[CtVolume, NDArray[np.bool_]], NDArray[np.uint8]]) -> Method:
    def answer(ct: CtVolume, labels_zyx: NDArray[np.uint8]) -> AnatomyAnswer:
        return AnatomyAnswer(vessels_zyx=finder(ct, labels_zyx > 0))

    return answer


def anatomy_table(rows: Sequence[AnatomyRow]) -> str:
    """Figures by method and phase in Markdown; a dash where nothing was said."""
    lines = [
        "| method | phase | patients | lesion's segment | beyond a neighbour | Dice | clDice | label | "
        "distance mm | contact | landmarks mm | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        for phase in ("all", *sorted({row.phase for row in own})):
            lines.append(_table_row(method, phase, [r for r in own if phase in ("all", r.phase)]))
    return "\n".join(lines)


def _table_row(method: str, phase: str, rows: Sequence[AnatomyRow]) -> str:
    lesions = [lesion for row in rows for lesion in row.lesions]
    placed = [lesion for lesion in lesions if "right" in lesion]
    dice = [d for row in rows for d in row.dice.values()]
    cldice = [row.cldice for row in rows if row.cldice is not None]
    labelled = sum(row.label_all for row in rows)
    pairs = [lesion[k] for lesion in lesions for k in KINDS.values() if k in lesion]
    both = [p for p in pairs if None not in p]
    contact = [(t <= CONTACT_MM) == (f is not None and f <= CONTACT_MM) for t, f in pairs if t is not None]
    landmarks = [e for row in rows for e in row.landmarks_mm.values()]
    cells = [
        method,
        phase,
        str(len(rows)),
        f"{sum(x['right'] for x in placed)} of {len(placed)}" if placed else "-",
        str(sum(x["beyond"] for x in placed)) if placed else "-",
        f"{np.mean(dice):.3f}" if dice else "-",
        f"{np.nanmean(cldice):.3f}" if cldice else "-",
        f"{sum(row.label_right for row in rows) / labelled:.3f}" if labelled else "-",
        f"{np.mean([abs(t - f) for t, f in both]):.1f} ({len(both)} of {len(pairs)})" if both else "-",
        f"{np.mean(contact):.2f} of {len(contact)}" if contact and both else "-",
        f"{np.median(landmarks):.1f}" if landmarks else "-",
        f"{np.median([row.seconds for row in rows]):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"
