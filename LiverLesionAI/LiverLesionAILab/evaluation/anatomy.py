"""`liverlesionai compare anatomy`: vessels, segments, landmarks and lesions' places on SynthLiver-anatomy.

Truth is what was drawn: the territory of the nearest portal branch, never a plane. Every method gets the true
outlines of liver and lesions, so that nothing but the anatomy is judged.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.anatomy import LIKELIEST, NAMED, POSSIBLE, TREES, Vessel
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.masks import bounding_box
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
from .anatomy_methods import AnatomyAnswer, Method, anatomy_method, namer_of, network_alone, network_of

LEAST_SEGMENT_ML = 10.0
MARGIN_MM = 20.0
ISODENSE = "isodense"
_PHASES = {
    "unenhanced": Phase.UNENHANCED,
    "arterial": Phase.ARTERIAL,
    "portal venous": Phase.PORTAL,
    "delayed": Phase.DELAYED,
}
SURE_SHARE = 0.8
"""A lesion with so much of its volume in a segment is said to lie in it without another one beside."""
CONTACT_MM = 3.0
"""Middles of voxels of a lesion and of a vessel so near each other: they touch."""
KINDS = {vessel: vessel.name.lower() for vessel in NAMED}


@dataclass(frozen=True)
class AnatomyRow:
    """One patient by one method; raw results.

    Attributes:
        lesions: for each "truth", "found" (segments), "right", "beyond" (further than a neighbour) and by
            kind of vessel ("either": the nearer tree) the true and the found distance, mm (None: no such
            vessel); "share" of it in "found", 0..1.
        dice: by segment; cldice: of both trees; label_right, label_all: voxels by their likelier tree;
            sure_right, sure_all: of those whose tree is said without doubt.
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
    sure_right: int = 0
    sure_all: int = 0
    dice: dict[str, float] = field(default_factory=dict)
    lesions: list[dict[str, Any]] = field(default_factory=list)
    landmarks_mm: dict[str, float] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


def true_vessels(branches_zyx: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Kinds of vessel (`case.anatomy.Vessel`) that are asked for, and the twigs that are not."""
    out = np.zeros(branches_zyx.shape, np.uint8)
    out[(branches_zyx > 0) & (branches_zyx < Branch.HEPATIC_RIGHT)] = Vessel.PORTAL
    out[(branches_zyx >= Branch.HEPATIC_RIGHT) & (branches_zyx < Branch.IVC)] = Vessel.HEPATIC
    out[branches_zyx == Branch.IVC] = Vessel.IVC
    return out, branches_zyx >= FINE


def likelier(vessels_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each vessel by the tree that it is likelier of, sure or not."""
    out = vessels_zyx.copy()
    for tree in (Vessel.HEPATIC, Vessel.PORTAL):
        out[np.isin(vessels_zyx, LIKELIEST[tree])] = tree
    return out


def judge(patient: AnatomyPatient, name: str, method: Method) -> AnatomyRow:
    """A method's answer for a patient against the truth."""
    ct, labels = patient.ct(), patient.labels()
    started = time.perf_counter()
    phase = patient.facts["phase"]
    answer = method(ct, labels, Phase.PORTAL if phase == ISODENSE else _PHASES[phase])
    seconds = time.perf_counter() - started
    spacing, facts = ct.geometry.spacing_zyx_mm, patient.facts
    box = bounding_box(labels > 0, [int(np.ceil(MARGIN_MM / s)) for s in spacing])
    if box is None:
        raise InputError(f"{patient.folder}: there is no liver in it.")
    labels, truth = labels[box], couinaud(patient.segments()[box])
    vessels, twigs = true_vessels(patient.branches()[box])
    inside = labels > 0
    answer = answer.cropped(box)
    row: dict[str, Any] = {}
    if answer.vessels_zyx is not None:
        found = answer.vessels_zyx
        tree, true_tree = np.isin(found, TREES) & inside, np.isin(vessels, TREES) & inside
        row["cldice"] = centreline_dice(tree, true_tree, twigs)
        named = np.where(inside, vessels, 0)
        row["label_right"], row["label_all"] = label_right(np.where(inside, likelier(found), 0), named)
        row["sure_right"], row["sure_all"] = label_right(np.where(inside, found, 0), named)
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
        out["share"] = round(float(counts[found]) / max(1, int(counts[1:].sum())), 3)
        out["beyond"] = found != true and (found, true) not in beside
    if answer.vessels_zyx is not None:
        for kind, name in KINDS.items():
            voxels = [np.isin(v, POSSIBLE[kind]) for v in (vessels, answer.vessels_zyx)]
            pair = [distance_mm(lesion, inside, spacing) for inside in voxels]
            out[name] = [round(d, 2) if np.isfinite(d) else None for d in pair]
        pair = [distance_mm(lesion, np.isin(v, TREES), spacing) for v in (vessels, answer.vessels_zyx)]
        out["either"] = [round(d, 2) if np.isfinite(d) else None for d in pair]
    return out


def add_anatomy_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare anatomy`."""
    parser.add_argument("data", type=Path, help="folder of SynthLiver-anatomy")
    parser.add_argument("--split", default="held-out", choices=["held-out", "train"])
    parser.add_argument("--patients", default="", metavar="NAME,...", help="only these")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N patients")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of a vessel network, judged too")
    parser.add_argument("--names", type=Path, metavar="FILE", help="of a network that names what it finds")
    parser.add_argument("--alone", action="store_true", help="the vessel network without the filter as well")
    parser.add_argument("--no-ridge", action="store_true", help="without the product's ridge filter")
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
    patients = find_anatomy(args.data, args.split)
    patients = [p for p in patients if not args.patients or p.name in args.patients.split(",")][: args.limit]
    if not patients:
        raise InputError(f"{args.data} has none of {args.patients} among its {args.split} patients.")
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
    if not args.no_ridge:
        methods["the filter"] = anatomy_method(None)
    if args.weights is not None:
        finder = network_of(args.weights)
        if args.names is None:
            methods["the filter and the network"] = anatomy_method(finder)
        else:
            methods["the filter and both networks"] = anatomy_method(finder, namer_of(args.names))
        if args.alone:
            methods["the network alone"] = network_alone(finder)
    return methods


def anatomy_table(rows: Sequence[AnatomyRow]) -> str:
    """Figures by method and phase in Markdown; a dash where nothing was said.

    Lesions: right of those that a segment was said of (all of them).
    """
    lines = [
        "| method | phase | patients | lesion's segment | with 80 % in it | beyond a neighbour | Dice | "
        "clDice | label | sure label | distance mm | either tree mm | contact | landmarks mm | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
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
    labelled, sure = sum(row.label_all for row in rows), sum(row.sure_all for row in rows)
    pairs = [lesion[k] for lesion in lesions for k in KINDS.values() if k in lesion]
    both = [p for p in pairs if None not in p]
    contact = [(t <= CONTACT_MM) == (f is not None and f <= CONTACT_MM) for t, f in pairs if t is not None]
    landmarks = [e for row in rows for e in row.landmarks_mm.values()]
    clear = [lesion["right"] for lesion in placed if lesion.get("share", 0) >= SURE_SHARE]
    either = [p for p in (lesion.get("either", [None]) for lesion in lesions) if None not in p]
    cells = [
        method,
        phase,
        str(len(rows)),
        f"{sum(x['right'] for x in placed)} of {len(placed)} ({len(lesions)})" if placed else "-",
        f"{sum(clear)} of {len(clear)}" if clear else "-",
        str(sum(x["beyond"] for x in placed)) if placed else "-",
        f"{np.mean(dice):.3f}" if dice else "-",
        f"{np.nanmean(cldice):.3f}" if cldice else "-",
        f"{sum(row.label_right for row in rows) / labelled:.3f}" if labelled else "-",
        f"{sum(row.sure_right for row in rows) / sure:.3f} of {100 * sure / labelled:.0f} %" if sure else "-",
        f"{np.mean([abs(t - f) for t, f in both]):.1f} ({len(both)} of {len(pairs)})" if both else "-",
        f"{np.mean([abs(t - f) for t, f in either]):.1f}" if either else "-",
        f"{np.mean(contact):.2f} of {len(contact)}" if contact and both else "-",
        f"{np.median(landmarks):.1f}" if landmarks else "-",
        f"{np.median([row.seconds for row in rows]):.0f}",
    ]
    return "| " + " | ".join(cells) + " |"
