"""Patients of SynthLiver-2: one body with its lesions, scanned in three or four contrast phases.

patients/NAME/{unenhanced,arterial,portal,delayed}.nii.gz   int16 HU; each phase after another breath
                                 (second/NAME of SynthLiver-2-second, others/NAME of SynthLiver-2-other)
patients/NAME/labels.nii.gz      on the grid of the portal venous phase: 0, 1 liver, 1 + k lesion number k
patients/NAME/lesions.json       class, habit, size, densities, APHE and washout of every lesion
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

from ..appearance import Phase
from ..body import acquire, make_plan, paint_anatomy
from ..patient import LiverKind
from .case import digest
from .habits import draw_make
from .images import write_nifti
from .kinetics import FROZEN, draw_bolus, draw_liver, draw_tables
from .multiphase_lesions import Liver, PlacedLesion, kinds_of, lesion_truth, paint, place_lesions
from .multiphase_other import OTHER_BOLUS, draw_other
from .multiphase_plan import MultiphasePlan

FILES = {
    Phase.UNENHANCED: "unenhanced",
    Phase.ARTERIAL: "arterial",
    Phase.PORTAL_VENOUS: "portal",
    Phase.DELAYED: "delayed",
}
"""Phases as the product names them."""
LABEL_FILE, LESION_FILE = "labels.nii.gz", "lesions.json"
BREATH_MM = (4.0, 1.2, 1.2)
"""SD along z, y, x of where the body lies in a phase against the portal venous one."""
ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class MultiphaseCase:
    """A synthetic patient in several phases.

    Attributes:
        hu_zyx: int16 HU by phase, all of one shape: the body is the same voxel by voxel.
        geometry: grid of each phase; they differ in their origins by a breath.
        labels_zyx: uint8; 0 background, 1 liver, 1 + k lesion number k.
        lesions: :func:`~.multiphase_lesions.lesion_truth` of each.
        facts: liver, scanner, when each phase was scanned.
    """

    hu_zyx: Mapping[Phase, NDArray[np.int16]]
    geometry: Mapping[Phase, Geometry]
    labels_zyx: NDArray[np.uint8]
    lesions: tuple[dict[str, Any], ...]
    facts: dict[str, Any]


def draw_patient_phases(plan: MultiphasePlan) -> MultiphaseCase:
    """Draw the patient of a plan; the same for the same plan.

    Raises:
        LiverLesionAIError: no lesion found a place.
    """
    for attempt in range(ATTEMPTS):
        case = _draw(plan, (*plan.seed, attempt))
        if case is not None:
            return case
    raise LiverLesionAIError(f"{plan.name}: no lesion found a place in {ATTEMPTS} livers.")


def _draw(plan: MultiphasePlan, seed: tuple[int, ...]) -> MultiphaseCase | None:
    """One attempt; None where no lesion of the patient's habit found a place."""
    rng = np.random.default_rng(seed)
    body_plan = make_plan(rng, replace(plan.body, phase=Phase.PORTAL_VENOUS))
    patient = body_plan.patient
    other = bool(plan.kinds)
    bolus = draw_bolus(rng, OTHER_BOLUS if other else FROZEN)
    tissue = draw_liver(rng, patient.liver_kind is LiverKind.CIRRHOTIC)
    tables = draw_tables(rng, bolus, tissue, patient.fatty_hu)
    # Seeded alike, phases differ in their densities alone.
    bodies = {
        phase: paint_anatomy(
            np.random.default_rng((*seed, 1)), replace(body_plan, phase=phase, hu=tables[phase])
        )
        for phase in plan.phases
    }
    body = bodies[Phase.PORTAL_VENOUS]
    liver = Liver(body, tissue, bolus)
    kinds = plan.kinds or kinds_of(plan.habit, plan.cyst_beside, rng)
    lesions = place_lesions(liver, kinds, rng, draw_other if other else draw_make)
    if not any(other or one.habit == plan.habit for one in lesions):
        return None
    scans, grids = {}, {}
    for phase, drawn in bodies.items():
        own = np.random.default_rng((*seed, 2, list(Phase).index(phase)))
        paint(drawn.hu_zyx, lesions, liver, tables[phase])
        scans[phase] = acquire(own, drawn).hu_zyx
        grids[phase] = body.geometry if phase is Phase.PORTAL_VENOUS else _breathed(body.geometry, own)
    facts = {
        "name": plan.name,
        "habit": plan.habit,
        "liver": patient.liver_kind.value,
        "noise_hu": round(body.scanner.noise_hu, 1),
        "times_s": {FILES[p]: round(t, 1) for p, t in bolus.times_s.items()},
    }
    truth = tuple(_truth(one, liver, tables, plan.phases) for one in lesions)
    return MultiphaseCase(scans, grids, _labels(body.liver_zyx, lesions), truth, facts)


def _truth(lesion: PlacedLesion, liver: Liver, tables: Mapping, phases: tuple[Phase, ...]) -> dict[str, Any]:
    """The lesion's facts, phases as the files have them."""
    facts = lesion_truth(lesion, liver, tables, phases)
    return {**facts, "contrast_hu": {FILES[Phase(p)]: v for p, v in facts["contrast_hu"].items()}}


def _breathed(geometry: Geometry, rng: np.random.Generator) -> Geometry:
    z, y, x = rng.normal(0, BREATH_MM)
    return replace(geometry, origin_lps=tuple(np.add(geometry.origin_lps, (x, y, z))))


def _labels(liver_zyx: NDArray[np.bool_], lesions: list[PlacedLesion]) -> NDArray[np.uint8]:
    labels = liver_zyx.astype(np.uint8)
    for lesion in lesions:
        labels[lesion.box][lesion.mask] = lesion.number + 1
    return labels


def make_patient(plan: MultiphasePlan, folder: Path) -> dict[str, Any]:
    """Draw a patient and write it under the set's `folder`.

    Returns:
        Its record: digest, fingerprint and files.

    Raises:
        OutputError: no space or no permission.
        LiverLesionAIError: no lesion found a place.
    """
    case = draw_patient_phases(plan)
    part = plan.part
    where = folder / part / plan.name
    shutil.rmtree(where, ignore_errors=True)
    names = [f"{FILES[phase]}.nii.gz" for phase in case.hu_zyx]
    for phase, name in zip(case.hu_zyx, names, strict=True):
        write_nifti(case.hu_zyx[phase], case.geometry[phase], where / name)
    write_nifti(case.labels_zyx, case.geometry[Phase.PORTAL_VENOUS], where / LABEL_FILE)
    text = json.dumps({**case.facts, "lesions": list(case.lesions)})
    # The last of the files: a patient with it is whole.
    write_text(where / LESION_FILE, text.replace('{"number"', '\n {"number"') + "\n")
    return {
        "digest": digest(*case.hu_zyx.values(), case.labels_zyx),
        "fingerprint": fingerprint(case),
        "files": [f"{part}/{plan.name}/{name}" for name in (*names, LABEL_FILE, LESION_FILE)],
    }


def fingerprint(case: MultiphaseCase) -> list[float]:
    """[lesions, liver mL, lesion mL, mean HU of liver and of lesions in the portal venous phase]."""
    hu = case.hu_zyx[Phase.PORTAL_VENOUS]
    liver, lesions = case.labels_zyx == 1, case.labels_zyx > 1
    voxel_ml = case.geometry[Phase.PORTAL_VENOUS].voxel_volume_mm3 / 1000
    return [
        len(case.lesions),
        round(float(liver.sum()) * voxel_ml, 2),
        round(float(lesions.sum()) * voxel_ml, 3),
        round(float(hu[liver].mean(dtype=np.float64)), 2),
        round(float(hu[lesions].mean(dtype=np.float64)), 2),
    ]
