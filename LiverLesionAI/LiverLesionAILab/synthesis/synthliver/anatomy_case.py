"""One patient of SynthLiver-anatomy: CT, liver, lesions, vessels branch by branch, segments, landmarks.

anatomy/NAME/ct.nii.gz          int16 HU
anatomy/NAME/labels.nii.gz      0, 1 liver, 1 + k lesion number k
anatomy/NAME/segments.nii.gz    codes of `known_trees.habit.SEGMENTS`; with the lesions they are the liver
anatomy/NAME/vessels.nii.gz     `known_trees.habit.Branch`, 100 more where thinner than `LEAST_RADIUS_MM`
anatomy/NAME/truth.json         variant, landmarks (LPS, mm), and what is known of every lesion
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

from ..body import Plan, SyntheticBody, acquire, make_plan, paint_anatomy
from ..known_trees.habit import SEGMENTS, Branch
from ..known_trees.paint import KnownTrees
from ..known_trees.sectors import ivc_course
from ..known_trees.territory import nearest_branch, territories
from ..lesions import LesionSettings, add_lesions
from ..organs import HuTable, Organ
from .anatomy_plan import PART, VERSION, AnatomyPlan
from .case import digest
from .images import write_nifti

LEAST_RADIUS_MM = 1.0
"""Thinner branches are drawn, as in patients, and nobody is asked to find them."""
TRUTH_FILE = "truth.json"
FILES = ("ct.nii.gz", "labels.nii.gz", "segments.nii.gz", "vessels.nii.gz", TRUTH_FILE)
IVC_REACH_MM = 15.0
"""Half width of what is the vena cava round its course; the rest are veins that enter it."""


@dataclass(frozen=True, eq=False)
class AnatomyCase:
    """A synthetic patient whose anatomy is known; arrays on one grid.

    Attributes:
        hu_zyx: int16; labels_zyx, segments_zyx, branches_zyx: uint8, see the module.
        geometry: grid, axes L, P, S.
        facts: variant, landmarks (LPS), lesions.
    """

    hu_zyx: NDArray[np.int16]
    labels_zyx: NDArray[np.uint8]
    segments_zyx: NDArray[np.uint8]
    branches_zyx: NDArray[np.uint8]
    geometry: Geometry
    facts: dict[str, Any]

    @property
    def liver_zyx(self) -> NDArray[np.bool_]:
        """The liver with its vessels and lesions."""
        return self.labels_zyx > 0


def draw_anatomy(plan: AnatomyPlan) -> AnatomyCase:
    """Draw the patient of a plan; the same for the same plan."""
    rng = np.random.default_rng(plan.seed)
    drawn = make_plan(rng, plan.body)
    drawn = replace(drawn, patient=replace(drawn.patient, riedel_mm=plan.riedel_mm))
    if plan.isodense:
        drawn = replace(drawn, hu=_isodense(drawn.hu, rng))
    trees = KnownTrees(plan.habit)
    body = acquire(rng, paint_anatomy(rng, drawn, trees))
    spacing, origin = body.geometry.spacing_zyx_mm, _origin(drawn)
    branches = _branches(body, trees, origin)
    count = int(rng.integers(3, 7))
    settings = LesionSettings(
        count=count,
        diameter_mm=(7.0, 45.0),
        median_mm=15.0,
        large_share=0.0,
        mass_effect_share=0.0,
        phase=body.phase,
        psf_mm=body.scanner.psf_mm / 2.355,
    )
    made = add_lesions(body.hu_zyx, body.liver_zyx, spacing, rng, settings, vessels_zyx=branches > 0)
    liver = made.liver_zyx | (made.labels_zyx > 0)
    assert trees.portal is not None
    segments = territories(liver, trees.portal, spacing, origin)
    branches[made.labels_zyx > 0] = 0
    labels = liver.astype(np.uint8)
    labels[made.labels_zyx > 0] = (made.labels_zyx[made.labels_zyx > 0] + 1).astype(np.uint8)
    hu = np.clip(np.rint(made.hu_zyx), -1024, 3071).astype(np.int16)
    shift = np.array(body.geometry.origin_lps) - np.array(origin)[::-1]
    landmarks = {name: np.array(p)[::-1] + shift for name, p in trees.landmarks.items()}
    if plan.mirrored:
        hu, labels, segments, branches = (
            np.ascontiguousarray(a[:, :, ::-1]) for a in (hu, labels, segments, branches)
        )
        width = (hu.shape[2] - 1) * spacing[2]
        for point in landmarks.values():
            point[0] = 2 * body.geometry.origin_lps[0] + width - point[0]
    facts = {
        "name": plan.name,
        "version": VERSION,
        "split": plan.split,
        "variant": plan.variant,
        "portal": plan.habit.portal.value,
        "right_inferior": plan.habit.right_inferior,
        "phase": "isodense" if plan.isodense else body.phase.value,
        "liver": body.patient.liver_kind.value,
        "noise_hu": round(body.scanner.noise_hu, 1),
        "landmarks_lps": {n: [round(float(v), 2) for v in p] for n, p in landmarks.items()},
        "lesions": [_lesion(k + 1, labels, segments, body.geometry) for k in range(len(made.lesions))],
    }
    return AnatomyCase(hu, labels, segments, branches, body.geometry, facts)


def _isodense(table: HuTable, rng: np.random.Generator) -> HuTable:
    """Vessels within 6 HU of the liver: a scan between the phases, or steatosis."""
    hu = dict(table.hu)
    for organ in (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN):
        hu[organ] = hu[Organ.LIVER] + float(rng.uniform(-6, 6))
    hu[Organ.IVC] = hu[Organ.LIVER] + float(rng.uniform(-10, 10))
    return replace(table, hu=hu)


def _origin(plan: Plan) -> tuple[float, float, float]:
    """Body coordinates of the result's first voxel: the middle slice of every `step` is kept."""
    fine = plan.fine
    z, y, x = fine.origin_zyx_mm
    return (z + (plan.step // 2) * fine.spacing_zyx_mm[0], y, x)


def _branches(
    body: SyntheticBody, trees: KnownTrees, origin: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Branch of every voxel of a vessel, the IVC near the liver among them."""
    assert trees.portal is not None and trees.frame is not None
    spacing, labels = body.geometry.spacing_zyx_mm, body.labels_zyx
    out = nearest_branch(labels == Organ.PORTAL_VEIN, [trees.portal], spacing, origin, LEAST_RADIUS_MM)
    hepatic = labels == Organ.HEPATIC_VEIN
    out += nearest_branch(hepatic, trees.hepatic, spacing, origin, LEAST_RADIUS_MM)
    z, y, x = (o + s * np.arange(n) for o, s, n in zip(origin, spacing, labels.shape, strict=True))
    ivc_y, ivc_x = ivc_course(trees.frame, z[:, None, None])
    near = (y[None, :, None] - ivc_y) ** 2 + (x - ivc_x) ** 2 < IVC_REACH_MM**2
    slices = np.flatnonzero(body.liver_zyx.any(axis=(1, 2)))
    near[: max(0, slices[0])] = False
    out[(labels == Organ.IVC) & near] = Branch.IVC
    return out


def _lesion(
    number: int, labels: NDArray[np.uint8], segments: NDArray[np.uint8], geometry: Geometry
) -> dict[str, Any]:
    """Where a lesion lies: volume, middle (LPS), share of each segment."""
    mask = labels == number + 1
    where = np.argwhere(mask)
    middle = where.mean(0)[::-1] * np.array(geometry.spacing_zyx_mm)[::-1] + np.array(geometry.origin_lps)
    counts = np.bincount(segments[mask], minlength=10)
    order = np.argsort(-counts)
    return {
        "number": number,
        "volume_ml": round(len(where) * geometry.voxel_volume_mm3 / 1000, 3),
        "middle_lps": [round(float(v), 2) for v in middle],
        "segments": {
            SEGMENTS[int(c)]: round(float(counts[c] / len(where)), 3) for c in order if counts[c] and c
        },
    }


def make_anatomy_patient(plan: AnatomyPlan, folder: Path) -> dict[str, Any]:
    """Draw a patient and write it under the set's `folder`.

    Returns:
        Its record: digest, fingerprint and files.

    Raises:
        OutputError: no space or no permission.
    """
    case = draw_anatomy(plan)
    where = folder / PART / plan.name
    shutil.rmtree(where, ignore_errors=True)
    arrays = (case.hu_zyx, case.labels_zyx, case.segments_zyx, case.branches_zyx)
    for array, name in zip(arrays, FILES, strict=False):
        write_nifti(array, case.geometry, where / name)
    # The last of the files: a patient with it is whole.
    write_text(where / TRUTH_FILE, json.dumps(case.facts, indent=1) + "\n")
    return {
        "digest": digest(*arrays),
        "fingerprint": fingerprint(case),
        "files": [f"{PART}/{plan.name}/{name}" for name in FILES],
    }


def fingerprint(case: AnatomyCase) -> list[float]:
    """[lesions, liver mL, vessels mL, mean HU of the liver, of the vessels]."""
    ml = case.geometry.voxel_volume_mm3 / 1000
    liver, vessels = case.labels_zyx == 1, case.branches_zyx > 0
    return [
        len(case.facts["lesions"]),
        round(float(liver.sum()) * ml, 2),
        round(float(vessels.sum()) * ml, 3),
        round(float(case.hu_zyx[liver].mean(dtype=np.float64)), 2),
        round(float(case.hu_zyx[vessels].mean(dtype=np.float64)), 2),
    ]
