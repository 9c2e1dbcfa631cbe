"""`liverlesionai clicks`: what one click gives for lesions that the default line does not list.

On the scans of a SynthLiver-1 split, which no bundled network has seen. The click is put where a lesion is
deepest; its outline comes from the segmenter's own probability, from density, and as the panel does it:
by probability where there is any, else by density.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.stages.detect.contrast import ContrastSettings
from LiverLesionAILib.stages.detect.point import PointSettings, grow_by_density, grow_by_probability
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.crops import bounding_box
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.overlap import dice
from LiverLesionAILib.volume.resampling import resample
from numpy.typing import NDArray
from scipy import ndimage

from ..synthesis.synthliver.volumes import CT_FILE, LABEL_FILE

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
        seconds: for what the panel proposes, without reading.
    """

    scan: str
    lesion: int
    diameter_mm: float
    listed: bool
    suspicion: float
    by_network: float
    by_density: float
    by_panel: float
    seconds: float


def add_click_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `clicks`."""
    parser.add_argument("synthliver", type=Path, help="folder of SynthLiver-1")
    parser.add_argument("--split", default="validation", help="which scans (default: validation)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N scans")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every click, as JSON")
    parser.add_argument("--device", default="auto")


def run_clicks(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Analyse the scans, click on every lesion, print the table.

    Raises:
        InputError: there are no such scans.
    """
    folders = sorted(p.parent for p in (args.synthliver / "volumes" / args.split).glob(f"*/{LABEL_FILE}"))
    if not folders:
        raise InputError(f"{args.synthliver}: no scans in volumes/{args.split}. Make them: synthesize.")
    settings = Settings(device=args.device, attention=False, classifier=None)
    models, clicks = ModelStore.bundled(), []
    for number, folder in enumerate(folders[: args.limit]):
        progress(f"analysing {folder.name}", number / len(folders[: args.limit]))
        volume = read_ct(folder / CT_FILE)
        # Labels are no HU: read as they are, on the same grid.
        labels = np.rint(read_labels(folder / LABEL_FILE, volume)).astype(np.uint16)
        clicks += clicks_on(folder.name, volume, labels, analyze(volume, settings, models))
    say(table(clicks))
    if args.out is not None:
        write_text(args.out, dumps([asdict(click) for click in clicks], indent=1) + "\n")
    return 0


def read_labels(path: Path, volume: CtVolume) -> NDArray:
    """The labels of a scan, in the order of its voxels."""
    import SimpleITK as sitk

    values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    if values.shape != volume.geometry.shape_zyx:
        raise InputError(f"{path}: not the grid of its CT.")
    return values


def clicks_on(name: str, volume: CtVolume, labels_zyx: NDArray, result: CaseResult) -> list[Click]:
    """A click on every lesion of a scan; labels: 1 liver, 1 + k lesion k."""
    tumour = result.probabilities["tumour"]
    found, clicks = result.lesion_labels_zyx > 0, []
    point, contrast = Rules().part(PointSettings), Rules().part(ContrastSettings)
    reach = np.ceil(point.point_reach_mm / np.array(volume.geometry.spacing_zyx_mm)).astype(int)
    for label in range(2, int(labels_zyx.max()) + 1):
        lesion = labels_zyx == label
        if not lesion.any():
            continue
        seed = deepest(lesion, volume.geometry.spacing_zyx_mm)
        low = np.maximum(seed - reach, 0)
        high = np.minimum(seed + reach + 1, volume.geometry.shape_zyx)
        frame = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        at = tuple(int(i) for i in seed - low)
        own = volume.geometry.cropped(tuple(map(int, low)), tuple(map(int, high)))  # type: ignore[arg-type]
        probability = resample(tumour.values_zyx, tumour.geometry, own, 0.0) / 255.0
        inside = ndimage.binary_dilation(result.liver_zyx[frame])
        truth, spacing = lesion[frame], own.spacing_zyx_mm
        started = time.perf_counter()
        network = grow_by_probability(probability, at, spacing, inside, point)  # type: ignore[arg-type]
        hu = volume.hu_zyx[frame]
        density = grow_by_density(hu, at, spacing, inside, inside, point, contrast)  # type: ignore[arg-type]
        panel = density if network is None else network
        seconds = time.perf_counter() - started
        volume_mm3 = lesion.sum() * volume.geometry.voxel_volume_mm3
        clicks.append(
            Click(
                name,
                label - 1,
                float(2 * (3 * volume_mm3 / (4 * np.pi)) ** (1 / 3)),
                bool((found & lesion).sum() >= FOUND_SHARE * lesion.sum()),
                float(probability[at]),
                0.0 if network is None else dice(network, truth),
                dice(density, truth),
                # Outside the liver that was found the panel proposes nothing.
                dice(panel, truth) if inside[at] else 0.0,
                seconds,
            )
        )
    return clicks


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
        "| lesions | n | by the network | by density | as the panel does | s, median |",
        "|---|---|---|---|---|---|",
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
                for kind in ("by_network", "by_density", "by_panel")
            )
            seconds = np.median([c.seconds for c in group])
            lines.append(f"| {title} | {len(group)} | {' | '.join(shares)} | {seconds:.2f} |")
    return "\n".join(lines)
