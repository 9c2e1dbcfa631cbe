"""`liverlesionai clicks`: what one click gives for lesions that the default line does not list.

On the scans of a SynthLiver-1 split, which no bundled network has seen, or on the real lesions of patients
that a run has left out. The click is put where a lesion is deepest. Its outline comes from the segmenter's
own probability where there is any, else from density, and is mended by the network that answers clicks where
there is one, as in the panel. The second click is put in the largest error, in the lesion or beside it, as
with *Correct*, and its answer is taken as it comes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from json import dumps, loads
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult, ProbabilityMap
from LiverLesionAILib.models.device import cpu_precision
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.detect.click_input import near_liver
from LiverLesionAILib.stages.detect.point import (
    PointSettings,
    frame_round,
    grow_by_probability,
)
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings, corrected, outline_star
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Index3, index_triple
from LiverLesionAILib.volume.masks import ball_diameter_mm, bounding_box, components
from LiverLesionAILib.volume.overlap import dice
from LiverLesionAILib.volume.resampling import resample
from numpy.typing import NDArray

from ..data.cases import LITS_PATIENTS, data_folder, read_unchecked, without_specks
from ..data.scan import LIVER, TUMOUR, LabelledScan, Scan
from ..data.synthliver import find_synthliver
from ..training.click_places import deepest, worst
from ..training.recipes import recipe
from ..training.trained_masks import run_network
from .clicked import Clicker

Frame = tuple[slice, slice, slice]

REACH_MM = 60.0
"""Of the CT so much round a click is looked at."""

GOOD_DICE = 0.7
FOUND_SHARE = 0.1
"""A lesion of which so much is in a listed mask is listed."""


@dataclass(frozen=True)
class Click:
    """One lesion, clicked on once.

    Attributes:
        diameter_mm: of the ball of its volume.
        suspicion: highest probability of tumour at the click, 0..1.
        by_network, by_density, by_panel: Dice with the truth by the segmenter, by density, by either; 0 where
            nothing is proposed.
        by_two: by either after the second click.
        seconds: of processor time for the first click, with the network's where there is one.
        one, two: by either, mended by the network that answers clicks, after one and after two clicks.
        second: where its second click went: "missing", "too much", or "" where nothing was wrong.
    """

    scan: str
    lesion: int
    diameter_mm: float
    listed: bool
    suspicion: float
    by_network: float
    by_density: float
    by_panel: float
    by_two: float
    seconds: float
    one: float | None = None
    two: float | None = None
    second: str = ""


def add_click_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `clicks`."""
    parser.add_argument("synthliver", type=Path, nargs="?", help="folder of SynthLiver-1")
    parser.add_argument("--split", default="validation", help="which scans (default: validation)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N scans")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every click, as JSON")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="print the table of clicks that --out wrote; nothing is run"
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="run of `train click_unet` to ask instead of the bundled network",
    )
    parser.add_argument(
        "--left-out",
        metavar="PATIENTS",
        help="click on the real lesions of these patients instead, as letters: AD, with the network of a "
        "--run that has not learnt from them, or without any; nothing is analysed",
    )
    parser.add_argument(
        "--again",
        type=Path,
        metavar="FILE",
        help="ask the network that answers clicks alone, of the lesions that --out wrote; no scan is "
        "analysed: it begins with outlines by density, in the true liver",
    )
    parser.add_argument("--device", default="auto")


def run_clicks(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Analyse the scans, click on every lesion, print the table.

    Raises:
        InputError: there are no such scans, or one is damaged.
    """
    if args.rows is not None:
        say(table(read_clicks(args.rows)))
        return 0
    # A bundled network has learnt from the real lesions.
    clicker = None if args.run is None and args.left_out is not None else asked_clicker(args.run)
    if args.left_out is not None:
        real = left_out_scans(args.run, args.left_out)
        clicks = [
            click for scan in real for click in clicks_on(scan, partial(_nothing_listed, scan), clicker)
        ]
    elif args.synthliver is None:
        raise InputError("Give the folder of SynthLiver-1, or --rows with clicks that --out wrote.")
    elif args.again is not None:
        clicks = asked_again(
            read_clicks(args.again), find_synthliver(args.synthliver, args.split), clicker, progress
        )
    else:
        scans = find_synthliver(args.synthliver, args.split)[: args.limit]
        settings = Settings(device=args.device, attention=False, classifier=None)
        models, clicks = ModelStore.bundled(), []
        for number, scan in enumerate(scans):
            progress(f"analysing {scan.name}", number / len(scans))
            clicks += clicks_on(scan.read(), lambda ct: analyze(ct, settings, models), clicker)
    say(table(clicks))
    if args.out is not None:
        write_text(args.out, dumps([asdict(click) for click in clicks], indent=1) + "\n")
    return 0


def asked_again(
    kept: Sequence[Click], scans: Sequence[Scan], clicker: Clicker | None, progress: Progress = silent
) -> list[Click]:
    """Kept clicks with the network's answers of today; of scans that are missing none are."""
    wanted, found = {(click.scan, click.lesion): click for click in kept}, []
    for number, scan in enumerate(scans):
        if any(click.scan == scan.name for click in kept):
            progress(f"clicking on {scan.name}", number / len(scans))
            read = scan.read()
            for new in clicks_on(read, partial(_nothing_listed, read), clicker):
                if (before := wanted.get((new.scan, new.lesion))) is not None:
                    own = {"one": new.one, "two": new.two, "second": new.second, "seconds": new.seconds}
                    found.append(replace(before, **own))
    return found


def asked_clicker(run: Path | None) -> Clicker | None:
    """The network of a run that answers clicks, or the bundled one; None where none is bundled.

    Raises:
        InputError: the run holds no weights.
    """
    if run is not None:
        own = recipe("click_unet")
        return Clicker(run_network(run, own.network, asdict(own.config)))
    models = ModelStore.bundled()
    entries = models.manifest.of_task("click")
    if not entries:
        return None
    return Clicker(models.network(entries[0].name, "cpu", cpu_precision()))


def left_out_scans(run: Path | None, patients: str) -> Iterator[LabelledScan]:
    """The real scans of patients that a run has not learnt from.

    Raises:
        InputError: it is no run, it has learnt from one of them, or there is no such patient.
    """
    try:
        seen = [] if run is None else loads((run / "run.json").read_text(encoding="utf-8"))["patients"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} is no run of `train click_unet` ({error}).") from error
    if set(patients) & set(seen) or not set(patients) <= set(LITS_PATIENTS.values()):
        raise InputError(
            f"--left-out {patients}: give letters A to E that the --run, if any, has not learnt from."
        )
    for name, patient in LITS_PATIENTS.items():
        if patient in patients:
            ct, mask = (
                read_unchecked(data_folder() / "lits" / f"{name}_{kind}.nii.gz") for kind in ("ct", "mask")
            )
            yield LabelledScan(
                name, patient, ct, without_specks(mask.hu_zyx, TUMOUR, 10.0, ct.geometry.voxel_volume_mm3)
            )


def _nothing_listed(scan: LabelledScan, ct: CtVolume) -> CaseResult:
    """The true liver, and no lesion."""
    nowhere = np.zeros(scan.labels_zyx.shape, np.uint8)
    return CaseResult(
        scan.name,
        ct.geometry,
        (scan.labels_zyx == LIVER) | (scan.labels_zyx == TUMOUR),
        nowhere.astype(np.uint16),
        probabilities={"tumour": ProbabilityMap(nowhere, ct.geometry)},
    )


def read_clicks(path: Path) -> list[Click]:
    """What `--out` wrote.

    Raises:
        InputError: it is no such file.
    """
    try:
        return [Click(**one) for one in loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: no clicks as `clicks --out` writes them ({error}).") from error


def clicks_on(
    scan: LabelledScan, analyse: Callable[[CtVolume], CaseResult], clicker: Clicker | None
) -> list[Click]:
    """Clicks on every lesion, a piece of the true tumour, of a scan."""
    result, spacing = analyse(scan.ct), scan.ct.geometry.spacing_zyx_mm
    near = near_liver(result.liver_zyx, spacing)
    level = LiverLevel.of(scan.ct.hu_zyx, result.liver_zyx, spacing)
    pieces, count = components(scan.labels_zyx == TUMOUR)
    found = []
    for number in range(1, count + 1):
        lesion = pieces == number
        listed = np.count_nonzero((result.lesion_labels_zyx > 0) & lesion) >= FOUND_SHARE * lesion.sum()
        diameter = ball_diameter_mm(float(lesion.sum()) * scan.ct.geometry.voxel_volume_mm3)
        frame, at = _frame(lesion, spacing)
        seen, truth = Surroundings(scan.ct.hu_zyx[frame], spacing, near[frame], level), lesion[frame]
        own = (scan.name, number, diameter, bool(listed))
        if not seen.inside_zyx[at]:
            # The panel says that this is outside the liver.
            nothing = {} if clicker is None else {"one": 0.0, "two": 0.0}
            found.append(Click(*own, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, **nothing))
            continue
        grown, before = _grown(scan, seen, truth, frame, at, result)
        click = Click(*own, *before)
        if clicker is not None:
            z, y, x = (float(n) for n in at)
            answer = clicker.answer(seen, truth, grown, (z, y, x))
            click = replace(click, one=answer.one, two=answer.two, second=answer.second)
            click = replace(click, seconds=click.seconds + answer.seconds)
        found.append(click)
    return found


def _frame(lesion: NDArray[np.bool_], spacing: tuple[float, float, float]) -> tuple[Frame, Index3]:
    """What is looked at, with all of the lesion, and where in it the lesion is deepest."""
    seed, box = deepest(lesion, spacing), bounding_box(lesion)
    assert box is not None
    frame, _ = frame_round(seed, index_triple(lesion.shape), spacing, REACH_MM)
    z, y, x = (slice(min(f.start, b.start), max(f.stop, b.stop)) for f, b in zip(frame, box, strict=True))
    return (z, y, x), index_triple(seed - [z.start, y.start, x.start])


def _grown(
    scan: LabelledScan,
    seen: Surroundings,
    truth: NDArray[np.bool_],
    frame: Frame,
    at: Index3,
    result: CaseResult,
) -> tuple[NDArray[np.bool_], tuple[float, float, float, float, float, float]]:
    """What is outlined without the network that answers clicks, as the panel does it.

    Returns:
        The mask after one click; suspicion, Dice by the segmenter, by density, by either, after a second
        click in the largest error, and seconds of the first click.
    """
    tumour, point, spacing = result.probabilities["tumour"], Rules().part(PointSettings), seen.spacing_zyx_mm
    z, y, x = frame
    own = scan.ct.geometry.cropped((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    probability = resample(tumour.values_zyx, tumour.geometry, own, 0.0) / 255.0
    started = time.process_time()
    network = grow_by_probability(probability, at, spacing, seen.inside_zyx, point)
    density = outline_star(seen, at, point)
    first = density if network is None else network
    seconds = time.process_time() - started
    wrong = worst(first, truth, spacing)
    second = first
    if wrong is not None:
        second = corrected(seen, first, index_triple(np.array(wrong[0], int)), point, probability)
    by_network = 0.0 if network is None else dice(network, truth)
    found = (by_network, dice(density, truth), dice(first, truth), dice(second, truth))
    return first, (float(probability[at]), *found, seconds)


def table(clicks: Sequence[Click]) -> str:
    """Of lesions that are not listed, and of all: how many get a Dice of 0.7 by which outline."""
    columns = {
        "by_density": "by density",
        "by_panel": "suspicion, else density",
        "by_two": "two clicks",
        "one": "mended by the network",
        "two": "two clicks",
    }
    if any(c.one is None or c.two is None for c in clicks):
        # Kept from before there was such a network.
        columns = {kind: title for kind, title in columns.items() if kind.startswith("by_")}
    lines = [
        f"| lesions | n | {' | '.join(columns.values())} | s, median |",
        "|---" * (len(columns) + 3) + "|",
    ]
    missed = [c for c in clicks if not c.listed]
    groups = {
        "not listed": missed,
        "not listed, 10 mm and more": [c for c in missed if c.diameter_mm >= 10],
        "not listed, below 10 mm": [c for c in missed if c.diameter_mm < 10],
        "listed": [c for c in clicks if c.listed],
    }
    for title, group in groups.items():
        if group:
            shares = (
                f"{np.mean([getattr(c, kind) >= GOOD_DICE for c in group]):.2f} "
                f"(median Dice {np.median([getattr(c, kind) for c in group]):.2f})"
                for kind in columns
            )
            seconds = np.median([c.seconds for c in group])
            lines.append(f"| {title} | {len(group)} | {' | '.join(shares)} | {seconds:.2f} |")
    return "\n".join(lines)
