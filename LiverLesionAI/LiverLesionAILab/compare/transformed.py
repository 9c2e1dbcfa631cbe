"""`liverlesionai compare transformed CT ...`: one patient in another array, grid or file, the same findings?

Each CT is analysed as it is and then once for each change that leaves the patient as he was: axes in another
order and direction, other file formats, other voxels, less of the surroundings. Findings are compared in
patient space. What only stores the same voxels otherwise has to give the same findings; other voxels are
another picture of the same patient, and lesions of 10 mm and more have to be found again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.progress import Progress, part, silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient, resample, resample_labels
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.volume.overlap import dice


@dataclass(frozen=True)
class Tolerance:
    """How much findings may change.

    Attributes:
        liver_dice, lesion_dice: at least.
        smallest_mm: lesions of this diameter and more have to be found in both.
        shift_mm: of a lesion's centre, at most.
        volume_share: of a lesion's volume, at most.
    """

    liver_dice: float
    lesion_dice: float
    smallest_mm: float
    shift_mm: float
    volume_share: float


STORED_OTHERWISE = Tolerance(0.999, 0.999, 0.0, 0.5, 0.01)
OTHER_VOXELS = Tolerance(0.95, 0.8, 10.0, 3.0, 0.35)

Change = Callable[[CtVolume, CaseResult], CtVolume]


def stored(volume: CtVolume, order: tuple[int, int, int], flips: tuple[int, ...]) -> CtVolume:
    """The same patient with the array's axes in another order, then some of them in the other direction."""
    old = volume.geometry
    array = np.flip(volume.hu_zyx.transpose(order), flips)
    columns = np.stack([old.directions_lps[:, 2 - axis] for axis in order])
    corner = np.zeros(3)
    for axis in flips:
        columns[axis] *= -1
        corner[order[axis]] = old.shape_zyx[order[axis]] - 1
    geometry = Geometry.make(
        array.shape,
        tuple(old.spacing_zyx_mm[axis] for axis in order),
        tuple(old.index_to_lps(corner)),
        columns[::-1].T,
    )
    return replace(volume, hu_zyx=np.ascontiguousarray(array), geometry=geometry)


def saved(volume: CtVolume, suffix: str, dtype: type = np.int16) -> CtVolume:
    """Written by SimpleITK in the format of a suffix, and read by the product."""
    grid = volume.geometry
    image = sitk.GetImageFromArray(volume.hu_zyx.astype(dtype))
    image.SetSpacing(grid.spacing_zyx_mm[::-1])
    image.SetOrigin(grid.origin_lps)
    image.SetDirection(np.asarray(grid.directions_lps, float).ravel().tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"saved{suffix}"
        sitk.WriteImage(image, str(path))
        return read_ct(path)


def on_voxels(volume: CtVolume, factors_zyx: tuple[float, float, float]) -> CtVolume:
    """Resampled to voxels larger by these factors."""
    upright = reorient(volume)
    sizes = zip(upright.geometry.spacing_zyx_mm, factors_zyx, strict=True)
    grid = upright.geometry.with_spacing([size * factor for size, factor in sizes])
    hu = resample(upright.hu_zyx, upright.geometry, grid, dtype=np.int16)
    return replace(upright, hu_zyx=hu, geometry=grid)


def cropped(volume: CtVolume, result: CaseResult, margin_mm: float) -> CtVolume:
    """The slices of the liver and a margin."""
    upright, liver = reorient(volume), result.liver_zyx
    found = resample_labels(liver.astype(np.uint8), result.geometry, upright.geometry)
    box = bounding_box(found)
    assert box is not None
    margin = int(np.ceil(margin_mm / upright.geometry.spacing_zyx_mm[0]))
    depth, height, width = upright.geometry.shape_zyx
    first, last = max(0, box[0].start - margin), min(depth, box[0].stop + margin)
    grid = upright.geometry.cropped((first, 0, 0), (last, height, width))
    return replace(upright, hu_zyx=np.ascontiguousarray(upright.hu_zyx[first:last]), geometry=grid)


CHANGES: Mapping[str, tuple[Change, Tolerance]] = {
    "feet first": (lambda v, _: stored(v, (0, 1, 2), (0,)), STORED_OTHERWISE),
    "mirrored array": (lambda v, _: stored(v, (0, 1, 2), (2,)), STORED_OTHERWISE),
    "coronal array": (lambda v, _: stored(v, (1, 0, 2), (0, 2)), STORED_OTHERWISE),
    "sagittal array": (lambda v, _: stored(v, (2, 0, 1), (0, 1)), STORED_OTHERWISE),
    "NIfTI": (lambda v, _: saved(v, ".nii.gz"), STORED_OTHERWISE),
    "NIfTI, float": (lambda v, _: saved(v, ".nii", np.float32), STORED_OTHERWISE),
    "MetaImage": (lambda v, _: saved(v, ".mha"), STORED_OTHERWISE),
    "NRRD": (lambda v, _: saved(v, ".nrrd"), STORED_OTHERWISE),
    "pixels x 0.8": (lambda v, _: on_voxels(v, (1.0, 0.8, 0.8)), OTHER_VOXELS),
    "slices x 1.25": (lambda v, _: on_voxels(v, (1.25, 1.0, 1.0)), OTHER_VOXELS),
    "liver + 30 mm": (lambda v, r: cropped(v, r, 30.0), OTHER_VOXELS),
}
"""Name -> what is done to the CT, and what of its findings may change."""


@dataclass(frozen=True)
class Agreement:
    """Findings of a changed CT beside those of the CT.

    Attributes:
        name: of the change.
        liver_dice, lesion_dice: on the CT's grid.
        lesions: how many there are in the CT, in the changed one, and in both.
        shift_mm, volume_share: largest of those in both that count, 0 without any.
        missed: diameters, mm, of lesions in only one of them that count.
    """

    name: str
    liver_dice: float
    lesion_dice: float
    lesions: tuple[int, int, int]
    shift_mm: float
    volume_share: float
    missed: tuple[float, ...]

    def within(self, tolerance: Tolerance) -> bool:
        """Whether it is as it should be."""
        return (
            self.liver_dice >= tolerance.liver_dice
            and self.lesion_dice >= tolerance.lesion_dice
            and self.shift_mm <= tolerance.shift_mm
            and self.volume_share <= tolerance.volume_share
            and not self.missed
        )


def agreement(name: str, one: CaseResult, other: CaseResult, smallest_mm: float) -> Agreement:
    """Compare in patient space; lesions that share voxels are one."""
    labels = resample_labels(other.lesion_labels_zyx, other.geometry, one.geometry)
    liver = resample_labels(other.liver_zyx.astype(np.uint8), other.geometry, one.geometry) > 0
    mine = {lesion.number: lesion for lesion in one.lesions}
    theirs = {lesion.number: lesion for lesion in other.lesions}
    both = (one.lesion_labels_zyx > 0) & (labels > 0)
    pairs, counts = np.unique(
        np.stack([one.lesion_labels_zyx[both], labels[both]]), axis=1, return_counts=True
    )
    partner: dict[int, int] = {}
    for at in np.argsort(-counts, kind="stable"):
        a, b = (int(n) for n in pairs[:, at])
        if a not in partner and b not in partner.values():
            partner[a] = b
    alone = [mine[n] for n in mine if n not in partner]
    alone += [theirs[n] for n in theirs if n not in partner.values()]
    missed = tuple(
        round(lesion.measurement.long_axis_mm, 1)
        for lesion in alone
        if lesion.measurement.long_axis_mm >= smallest_mm
    )
    shifts, changes = [0.0], [0.0]
    for a, b in partner.items():
        before, after = mine[a], theirs[b]
        if before.measurement.long_axis_mm >= smallest_mm:
            shifts.append(float(np.linalg.norm(np.subtract(before.centre_lps, after.centre_lps))))
            changes.append(abs(after.measurement.volume_ml / before.measurement.volume_ml - 1))
    return Agreement(
        name,
        dice(one.liver_zyx, liver),
        dice(one.lesion_labels_zyx > 0, labels > 0),
        (len(mine), len(theirs), len(partner)),
        max(shifts),
        max(changes),
        missed,
    )


HEADER = f"{'':<16} {'liver':>7} {'lesions':>8}  {'number':>9}  {'shift':>8} {'volume':>8}"


def line(found: Agreement, tolerance: Tolerance) -> str:
    """A line of the printed table."""
    before, after, common = found.lesions
    text = (
        f"{found.name:<16} {found.liver_dice:7.4f} {found.lesion_dice:8.4f}  {before:>2} {after:>2} "
        f"({common:>2})  {found.shift_mm:5.2f} mm {100 * found.volume_share:6.1f} %"
    )
    if found.within(tolerance):
        return text
    alone = ", ".join(f"{size:g}" for size in found.missed)
    return f"{text}  NOT WITHIN TOLERANCE" + (f" (in one only: {alone} mm)" if alone else "")


def compare_changes(
    volume: CtVolume,
    settings: Settings,
    models: ModelStore,
    names: tuple[str, ...] = tuple(CHANGES),
    progress: Progress = silent,
) -> list[tuple[Agreement, Tolerance]]:
    """Analyse a CT as it is and changed; one agreement for each change."""
    share = 1 / (len(names) + 1)
    first = analyze(volume, settings, models, part(progress, 0.0, share))
    found = []
    for at, name in enumerate(names, 1):
        change, tolerance = CHANGES[name]
        changed = change(volume, first)
        after = analyze(changed, settings, models, part(progress, at * share, (at + 1) * share))
        found.append((agreement(name, first, after, tolerance.smallest_mm), tolerance))
    return found


def add_transformed_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare transformed`."""
    parser.add_argument("cts", type=Path, nargs="+", metavar="CT")
    parser.add_argument("--only", action="append", default=[], choices=list(CHANGES), help="may be repeated")
    parser.add_argument("--masks-only", action="store_true", help="without detector and classes: quicker")
    parser.add_argument("--device", default="auto")


def run_transformed(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Print a table for each CT.

    Returns:
        0 where all is within the tolerances, else 1.

    Raises:
        LiverLesionAIError: a CT cannot be read or analysed.
    """
    settings = Settings(device=args.device, attention=False)
    if args.masks_only:
        settings = replace(settings, detector="none", classifier=None)
    models, good = ModelStore.bundled(), True
    for at, path in enumerate(args.cts):
        rows = compare_changes(
            read_ct(path),
            settings,
            models,
            tuple(args.only) or tuple(CHANGES),
            part(progress, at / len(args.cts), (at + 1) / len(args.cts)),
        )
        say(f"{path.name}\n{HEADER}")
        for found, tolerance in rows:
            say(line(found, tolerance))
            good &= found.within(tolerance)
    return 0 if good else 1
