"""`liverlesionai clicks`: what one click gives for lesions that the default line does not list.

On the scans of a SynthLiver-1 split, which no bundled network has seen. The click is put where a lesion is
deepest; its outline comes from the segmenter's own probability, from density, and as the panel does it:
by probability where there is any, else by density. A second click is put where most of the lesion is still
missing, and both outlines are merged, as a reader does with *Add* and *Merge*.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.detect.contrast import ContrastSettings
from LiverLesionAILib.stages.detect.point import (
    PointSettings,
    frame_round,
    grow_by_density,
    grow_by_probability,
)
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Index3, index_triple
from LiverLesionAILib.volume.masks import ball_diameter_mm, bounding_box, components
from LiverLesionAILib.volume.overlap import dice
from LiverLesionAILib.volume.resampling import resample
from numpy.typing import NDArray
from scipy import ndimage

from ..data.scan import TUMOUR, LabelledScan
from ..data.synthliver import find_synthliver

GOOD_DICE = 0.7
FOUND_SHARE = 0.1
"""A lesion of which so much is in a listed mask is listed."""


@dataclass(frozen=True)
class Click:
    """One lesion, clicked on once.

    Attributes:
        diameter_mm: of the ball of its volume.
        suspicion: highest probability of tumour at the click, 0..1.
        by_network, by_density, by_panel: Dice with the truth; 0 where nothing is proposed.
        by_two: as the panel does after the second click, where that is better.
        seconds: for both outlines of the first click, without reading.
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


def add_click_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `clicks`."""
    parser.add_argument("synthliver", type=Path, nargs="?", help="folder of SynthLiver-1")
    parser.add_argument("--split", default="validation", help="which scans (default: validation)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N scans")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every click, as JSON")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="print the table of clicks that --out wrote; nothing is run"
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
    if args.synthliver is None:
        raise InputError("Give the folder of SynthLiver-1, or --rows with clicks that --out wrote.")
    scans = find_synthliver(args.synthliver, args.split)[: args.limit]
    settings = Settings(device=args.device, attention=False, classifier=None)
    models, clicks = ModelStore.bundled(), []
    for number, scan in enumerate(scans):
        progress(f"analysing {scan.name}", number / len(scans))
        clicks += clicks_on(scan.read(), lambda ct: analyze(ct, settings, models))
    say(table(clicks))
    if args.out is not None:
        write_text(args.out, dumps([asdict(click) for click in clicks], indent=1) + "\n")
    return 0


def read_clicks(path: Path) -> list[Click]:
    """What `--out` wrote.

    Raises:
        InputError: it is no such file.
    """
    try:
        return [Click(**one) for one in loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: no clicks as `clicks --out` writes them ({error}).") from error


def clicks_on(scan: LabelledScan, analyse: Callable[[CtVolume], CaseResult]) -> list[Click]:
    """A click on every lesion, a piece of the true tumour, of a scan."""
    result = analyse(scan.ct)
    pieces, count = components(scan.labels_zyx == TUMOUR)
    return [_click(scan, number, pieces == number, result) for number in range(1, count + 1)]


def _click(scan: LabelledScan, number: int, lesion: NDArray[np.bool_], result: CaseResult) -> Click:
    tumour, geometry = result.probabilities["tumour"], scan.ct.geometry
    spacing, reach_mm = geometry.spacing_zyx_mm, Rules().part(PointSettings).point_reach_mm
    frame, at = frame_round(deepest(lesion, spacing), geometry.shape_zyx, spacing, reach_mm)
    z, y, x = frame
    own = geometry.cropped((z.start, y.start, x.start), (z.stop, y.stop, x.stop))
    probability = resample(tumour.values_zyx, tumour.geometry, own, 0.0) / 255.0
    inside = ndimage.binary_dilation(result.liver_zyx[frame])
    here = _Frame(scan.ct.hu_zyx[frame], probability, inside, spacing)
    started = time.perf_counter()
    network, density = here.outlines(at)
    seconds, truth = time.perf_counter() - started, lesion[frame]
    first = here.proposed(at)
    by_panel = dice(first, truth)
    by_two = by_panel
    if (truth & ~first).any():
        again = deepest(truth & ~first, spacing)
        by_two = max(by_panel, dice(first | here.proposed(index_triple(again)), truth))
    listed = np.count_nonzero((result.lesion_labels_zyx > 0) & lesion) >= FOUND_SHARE * lesion.sum()
    return Click(
        scan.name,
        number,
        ball_diameter_mm(float(lesion.sum()) * geometry.voxel_volume_mm3),
        bool(listed),
        float(probability[at]),
        0.0 if network is None else dice(network, truth),
        dice(density, truth),
        by_panel,
        by_two,
        seconds,
    )


@dataclass(frozen=True, eq=False)
class _Frame:
    """The surroundings of a lesion, z, y, x: HU, probability of tumour (0..1), where a lesion may lie."""

    hu: NDArray
    probability: NDArray[np.float32]
    inside: NDArray[np.bool_]
    spacing: tuple[float, float, float]

    def outlines(self, at: Index3) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_]]:
        """From one point: by the network, by density."""
        point, contrast = Rules().part(PointSettings), Rules().part(ContrastSettings)
        network = grow_by_probability(self.probability, at, self.spacing, self.inside, point)
        density = grow_by_density(self.hu, at, self.spacing, self.inside, self.inside, point, contrast)
        return network, density

    def proposed(self, at: Index3) -> NDArray[np.bool_]:
        """What the panel proposes from one point; outside the liver that was found nothing."""
        if not self.inside[at]:
            return np.zeros(self.inside.shape, bool)
        network, density = self.outlines(at)
        return density if network is None else network


def deepest(mask_zyx: NDArray[np.bool_], spacing_zyx_mm: Sequence[float]) -> NDArray[np.int_]:
    """The voxel of a mask that is farthest from its edge."""
    where = bounding_box(mask_zyx)
    assert where is not None
    depth = ndimage.distance_transform_edt(np.pad(mask_zyx[where], 1), sampling=spacing_zyx_mm)
    inner = np.unravel_index(np.argmax(depth), depth.shape)
    return np.array([int(i) - 1 + s.start for i, s in zip(inner, where, strict=True)])


def table(clicks: Sequence[Click]) -> str:
    """Of lesions that are not listed, and of all: how many get a Dice of 0.7 by which outline."""
    lines = [
        "| lesions | n | by the network | by density | as the panel does | two clicks | s, median |",
        "|---|---|---|---|---|---|---|",
    ]
    groups = {
        "not listed": [c for c in clicks if not c.listed],
        "not listed, 10 mm and more": [c for c in clicks if not c.listed and c.diameter_mm >= 10],
        "not listed, below 10 mm": [c for c in clicks if not c.listed and c.diameter_mm < 10],
        "listed": [c for c in clicks if c.listed],
    }
    for title, group in groups.items():
        if group:
            shares = (
                f"{np.mean([getattr(c, kind) >= GOOD_DICE for c in group]):.2f} "
                f"(median Dice {np.median([getattr(c, kind) for c in group]):.2f})"
                for kind in ("by_network", "by_density", "by_panel", "by_two")
            )
            seconds = np.median([c.seconds for c in group])
            lines.append(f"| {title} | {len(group)} | {' | '.join(shares)} | {seconds:.2f} |")
    return "\n".join(lines)
