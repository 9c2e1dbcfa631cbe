"""Training cases of the network that names tubes: patients beyond SynthLiver-anatomy, seen as in an analysis.

Each is drawn, its tubes are found as in an analysis (by the ridge filter and the vessel network, which has
never seen these patients), and every tube voxel learns from the branch that lies nearest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.stages.anatomy.cava import find_cava
from LiverLesionAILib.stages.anatomy.face import VesselFinder
from LiverLesionAILib.stages.anatomy.found_tubes import FoundTubes, find_tubes
from LiverLesionAILib.stages.anatomy.grid import GRID_MM, LiverGrid, liver_grid
from LiverLesionAILib.stages.anatomy.network import vessel_probability
from LiverLesionAILib.stages.anatomy.stage import AnatomySettings
from LiverLesionAILib.stages.anatomy.tree_view import tree_view
from LiverLesionAILib.stages.anatomy.tubes import contrast_hu
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.resampling import resample_labels
from numpy.typing import NDArray
from scipy import ndimage

from ..synthesis.known_trees.habit import Branch
from ..synthesis.known_trees.territory import FINE
from ..synthesis.synthliver.anatomy_case import AnatomyCase, draw_anatomy
from ..synthesis.synthliver.anatomy_plan import further_plans
from .kept_folders import is_whole, write_folder

VERSION = 2
"""2: vessels are looked for at the liver only."""
AWAY_MM = 4.0
"""A tube farther from every branch is nobody's."""
POORER_SEED, POORER_SHARE = 77, 0.35
BLOOD_AND_TISSUE_HU, BESIDE_VOXELS = (-60.0, 200.0), 8
"""Of the liver's level: what a poorer scan changes, and how far about the liver."""


@dataclass(frozen=True, eq=False)
class TreeCase:
    """A patient's view.

    Attributes:
        name: of the patient.
        volumes: float16 (CHANNELS, z, y, x), of `stages.anatomy.tree_view`.
        labels_zyx: uint8: 0 not asked for, else :class:`Vessel`'s hepatic or portal vein, on tubes.
    """

    name: str
    volumes: NDArray[np.float16]
    labels_zyx: NDArray[np.uint8]


def tree_cases(
    cache: Path, count: int, finder: VesselFinder, progress: Progress = silent, passed_over: int = 0
) -> list[TreeCase]:
    """So many patients beyond the set.

    Args:
        cache: what is missing there is drawn and seen.
        finder: the vessel network.
        passed_over: so many are left to an earlier part of the training; of those that follow a third is seen
            in :func:`poorer_scan`.
    """
    cases = []
    for number, plan in enumerate(further_plans(passed_over + count)[passed_over:], passed_over):
        progress("synthesising vessels", (number - passed_over) / count)
        kept = cache / f"trees-{VERSION}" / plan.name
        if not is_whole(kept, load_tree_case):
            case = draw_anatomy(plan)
            rng = np.random.default_rng((POORER_SEED, number))
            if passed_over and rng.random() < POORER_SHARE:
                case = poorer_scan(case, rng)
            grid = liver_grid(case.hu_zyx, case.geometry, case.liver_zyx, case.labels_zyx > 1, None)
            found = seen_tubes(case, grid, finder)
            branches = resample_labels(case.branches_zyx, case.geometry, grid.geometry)
            save_tree_case(tree_case(plan.name, grid, found, branches), kept)
        cases.append(load_tree_case(kept))
    return cases


def poorer_scan(case: AnatomyCase, rng: np.random.Generator) -> AnatomyCase:
    """The patient with vessels of half to nine tenths of their contrast, softer, and with grain of its own.

    Trees are found less surely in it, with gaps and with texture taken for twigs, as in real scans.
    """
    hu = case.hu_zyx.astype(np.float32)
    level = float(np.median(hu[case.liver_zyx]))
    low, high = (level + step for step in BLOOD_AND_TISSUE_HU)
    near = ndimage.binary_dilation(case.liver_zyx, iterations=BESIDE_VOXELS)
    share, blur = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.0, 0.6))
    soft = level + share * (np.clip(hu, low, high) - level)
    if blur > 0.2:
        soft = ndimage.gaussian_filter(soft, (0.4 * blur, blur, blur))
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape).astype(np.float32), (0.3, 0.8, 0.8))
    soft += grain / grain.std() * float(rng.uniform(0.0, 7.0))
    changed = (hu > low) & (hu < high) & near
    return replace(case, hu_zyx=np.where(changed, np.rint(soft), hu).astype(np.int16))


def seen_tubes(case: AnatomyCase, grid: LiverGrid, finder: VesselFinder) -> FoundTubes:
    """The tubes that the product finds in a drawn patient."""
    liver, lesions = case.liver_zyx, case.labels_zyx > 1
    likely = vessel_probability(finder, case.hu_zyx, case.geometry, liver, lesions, silent, grid.geometry)
    own = Rules().part(AnatomySettings)
    cava = find_cava(grid, own.cava_score, own.cava_uneven_hu, likely.get(Vessel.IVC))
    contrast = max(contrast_hu(grid), 1.0)
    return find_tubes(grid, cava, contrast, likely, own.vessel_ml, own.probability)


def tree_case(name: str, grid: LiverGrid, found: FoundTubes, branches_zyx: NDArray[np.uint8]) -> TreeCase:
    """What is learnt from a patient's tubes.

    Args:
        branches_zyx: of the set, on the liver's grid.
    """
    view = tree_view(grid, found)
    branches = branches_zyx[view.box] % FINE
    tree = np.zeros(branches.shape, np.uint8)
    tree[(branches > 0) & (branches < Branch.HEPATIC_RIGHT)] = Vessel.PORTAL
    tree[(branches >= Branch.HEPATIC_RIGHT) & (branches < Branch.IVC)] = Vessel.HEPATIC
    away, nearest = ndimage.distance_transform_edt(tree == 0, return_indices=True)
    asked = found.tubes_zyx[view.box] & (away * GRID_MM <= AWAY_MM)
    labels = np.where(asked, tree[tuple(nearest)], 0).astype(np.uint8)
    return TreeCase(name, view.volumes.astype(np.float16), labels)


def save_tree_case(case: TreeCase, folder: Path) -> None:
    """Write a case, whole or not at all."""

    def write(beside: Path) -> None:
        np.save(beside / "volumes.npy", case.volumes)
        np.save(beside / "labels.npy", case.labels_zyx)
        (beside / "case.json").write_text(json.dumps({"name": case.name}))

    write_folder(folder, write, load_tree_case)


def load_tree_case(folder: Path) -> TreeCase:
    """A case of :func:`save_tree_case`, its volumes memory-mapped.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    meta = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    try:
        volumes = np.load(folder / "volumes.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False)
    except EOFError as error:
        raise ValueError(f"{folder} holds an empty file") from error
    return TreeCase(meta["name"], volumes, labels)
