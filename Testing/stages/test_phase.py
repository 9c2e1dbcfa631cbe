"""The contrast phase: the aorta is found without labels, and phases told apart, on synthetic and real CTs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.synthesis.body import BodySettings, make_body
from LiverLesionAILab.synthesis.organs import Organ, Phase
from LiverLesionAILib.stages.phase.aorta import find_aorta
from LiverLesionAILib.stages.phase.cava import measure_cava
from LiverLesionAILib.stages.phase.estimate import (
    PHASES,
    PhaseMeasures,
    PhaseSettings,
    between,
    estimate,
    measure_phase,
    phase_probabilities,
)
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient, resample, resample_labels
from support.rules import of_page

DATA = Path(os.environ.get("LIVERLESIONAI_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
PHASE = of_page(PhaseSettings)
NAMES = dict(zip(("unenhanced", "arterial", "portal venous", "delayed"), PHASES, strict=True))


def measured(volume: CtVolume, liver_zyx: np.ndarray) -> PhaseMeasures:
    geometry = volume.geometry
    slices = np.flatnonzero(liver_zyx.any(axis=(1, 2)))
    heights = [float(geometry.index_to_lps((z, 0, 0))[2]) for z in (slices[0], slices[-1])]
    working = geometry.with_spacing((3.0, 2.0, 2.0))
    liver = resample_labels(liver_zyx.astype(np.uint8), geometry, working) > 0
    hu = resample(volume.hu_zyx, geometry, working)
    return measure_phase(volume, hu, liver, np.zeros_like(liver), working.spacing_zyx_mm, *heights, PHASE)


@pytest.mark.parametrize("phase", list(Phase), ids=lambda p: p.value)
def test_synthetic_phases(phase: Phase) -> None:
    for seed in (22,):
        body = make_body(
            np.random.default_rng(seed),
            BodySettings(
                spacing_zyx_mm=(4.0, 2.0, 2.0), phase=phase, top_mm=15.0, bottom_mm=-190.0, coarse_mm=4.0
            ),
        )
        measures = measured(body.volume(), body.liver_zyx)
        assert measures.aorta_hu == pytest.approx(body.hu[Organ.AORTA], abs=8)
        assert measures.cava_hu == pytest.approx(body.hu[Organ.IVC], abs=12)
        assert estimate(measures, False, PHASE).name == NAMES[phase.value]


@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "lits").is_dir(), reason="the real CTs are not here")
@pytest.mark.parametrize("case", range(6))
def test_real_livers_are_none_of_them_arterial(case: int) -> None:
    """The public liver tumour scans are portal venous, some late; the aorta is found in each."""
    from LiverLesionAILab.data.cases import read_unchecked

    volume = read_unchecked(DATA / "lits" / f"lits{case:03d}_ct.nii.gz")
    mask = read_unchecked(DATA / "lits" / f"lits{case:03d}_mask.nii.gz")
    liver = reorient(CtVolume(mask.hu_zyx, volume.geometry)).hu_zyx > 0
    measures = measured(reorient(volume), liver)
    assert 95 < measures.aorta_hu < 185
    assert estimate(measures, True, PHASE).name in ("portal venous", "delayed")


def test_no_aorta_in_a_block_of_water() -> None:
    volume = CtVolume(np.zeros((40, 100, 100), np.int16), Geometry.make((40, 100, 100), (4.0, 3.0, 3.0)))
    assert find_aorta(volume, 0.0, 160.0, PHASE.aorta) is None
    assert np.isnan(measure_cava(volume, None))


@pytest.mark.parametrize("aorta_hu", [330.0, 150.0, 42.0])
def test_the_aorta_goes_on_where_a_bowel_ends(aorta_hu: float) -> None:
    """A lean patient's aorta on the vertebra, in the middle; a full loop of bowel where it lies in most."""
    geometry = Geometry.make((30, 100, 100), (4.0, 2.0, 2.0), (-100.0, -100.0, 0.0))
    z, y, x = np.indices(geometry.shape_zyx)
    hu = np.where(((y - 50) / 40) ** 2 + ((x - 50) / 46) ** 2 <= 1, -90.0, -1000.0)
    hu[np.hypot(y - 70, x - 50) < 8] = 220
    hu[np.hypot(y - 58, x - 50 - 0.05 * (z - 15)) < 5] = aorta_hu
    hu[(np.hypot(y - 50, x - 57) < 4.5) & (z > 9) & (z < 26)] = 75
    hu += np.random.default_rng(0).normal(0, 8, hu.shape)
    found = find_aorta(CtVolume(hu.astype(np.float32), geometry), 0.0, 116.0, PHASE.aorta)
    assert found.hu == pytest.approx(aorta_hu, abs=10)
    assert found.length_mm > 100
    assert all(abs(left) < 5 and abs(back - 16) < 5 for left, back, _ in found.centres_lps)


@pytest.mark.parametrize(
    ("aorta", "vessels", "liver", "name"),
    [
        (40, 58, 55, "unenhanced"),
        (45, 46, 8, "unenhanced"),
        (300, 110, 72, "arterial"),
        (420, 75, 62, "arterial"),
        (150, 150, 110, "portal venous"),
        (100, 106, 92, "delayed"),
        (float("nan"), 150, 105, "portal venous"),
    ],
)
def test_phases_by_density(aorta: float, vessels: float, liver: float, name: str) -> None:
    shares = phase_probabilities(PhaseMeasures(aorta, vessels, liver), PHASE)
    assert shares.sum() == pytest.approx(1)
    assert PHASES[int(shares.argmax())] == name


def test_a_bright_liver_is_not_surely_arterial() -> None:
    """The aorta runs ahead of the veins, and the liver is as bright as in the portal venous phase."""
    dark, bright = (phase_probabilities(PhaseMeasures(210.0, 133.0, liver), PHASE) for liver in (79.0, 111.0))
    alike = phase_probabilities(PhaseMeasures(210.0, 133.0 - 111.0 + 79.0, 79.0), PHASE)
    assert dark[1] > 0.95 and alike[1] > 0.95
    assert 0.5 < bright[1] < 0.9 and bright[2] > 0.1, "between the two"
    early = phase_probabilities(PhaseMeasures(350.0, 120.0, 102.0), PHASE)
    assert early[1] > 0.98, "a bright liver alone makes no portal venous phase"
    assert phase_probabilities(PhaseMeasures(300.0, 60.0, 25.0), PHASE)[1] > 0.98, "nor does fat"


def test_a_dark_vena_cava_is_no_delayed_phase() -> None:
    """An early scan with a small bolus: the aorta is as dark as a delayed one, but the blood is not mixed."""

    def shares(cava: float, aorta: float = 103.0) -> np.ndarray:
        return phase_probabilities(PhaseMeasures(aorta, 106.0, 85.0, cava), PHASE)

    unseen, mixed, early = shares(np.nan), shares(101.0), shares(65.0)
    assert unseen[3] > 0.8
    assert mixed == pytest.approx(unseen), "as dense as the aorta: nothing speaks against it"
    assert shares(130.0) == pytest.approx(unseen), "a brighter one says nothing"
    assert early[2] > early[3]
    assert early[3] > 0.1, "it may be another disc that was taken for it"
    assert shares(65.0) == pytest.approx(shares(20.0)), "and counts as no farther away"
    plain = phase_probabilities(PhaseMeasures(42.0, 59.0, 47.0, 39.0), PHASE)
    assert plain[0] > 0.99
    arterial, without = (
        phase_probabilities(PhaseMeasures(290.0, 110.0, 72.0, c), PHASE) for c in (85, np.nan)
    )
    assert arterial[1] >= without[1] > 0.98


def test_what_the_reader_is_told() -> None:
    portal = PhaseMeasures(150.0, 150.0, 110.0)
    assert "arterial" in estimate(portal, True, PHASE).warning
    assert estimate(portal, False, PHASE).warning == "", "without classes the phase has no consequence"
    assert estimate(PhaseMeasures(300.0, 110.0, 72.0), True, PHASE).warning == ""
    assert estimate(PhaseMeasures(float("nan"), float("nan"), 80.0), True, PHASE) is None


def test_a_scan_between_two_phases_is_told_with_both() -> None:
    said = between(PhaseMeasures(119.0, 108.0, 85.0), PHASE)
    shares = phase_probabilities(PhaseMeasures(119.0, 108.0, 85.0), PHASE)
    assert 0.5 < shares[2] < 0.7, "between the portal venous and the delayed phase"
    assert said == (
        f"The scan lies between two phases: portal venous ({shares[2]:.2f}) and delayed ({shares[3]:.2f}). "
        "Name its phase where you know it."
    )
    assert between(PhaseMeasures(150.0, 150.0, 120.0), PHASE) == ""
    assert between(PhaseMeasures(float("nan"), float("nan"), 85.0), PHASE) == ""
