"""Results that can hardly be true: a mirrored body, a liver of a size that no body has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.sample import load_sample
from LiverLesionAILib.stages.measure.plausible import (
    BodyMeasures,
    PlausibleSettings,
    implausible,
    measure_body,
)
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient

RULES = Rules().part(PlausibleSettings)


def body(*, mirrored: bool = False, spacing=(5.0, 3.0, 3.0)) -> tuple[CtVolume, np.ndarray]:
    """A trunk with spine and a liver on the right."""
    shape = (30, 90, 120)
    z, y, x = np.indices(shape)
    hu = np.where(((y - 45) / 38) ** 2 + ((x - 60) / 52) ** 2 <= 1, 30.0, -1000.0)
    hu[np.hypot(y - 70, x - 60) < 6] = 400
    liver = ((z - 15) / 11) ** 2 + ((y - 42) / 24) ** 2 + ((x - 36) / 22) ** 2 <= 1
    hu[liver] = 110
    if mirrored:
        hu, liver = hu[:, :, ::-1], liver[:, :, ::-1]
    return CtVolume(hu.astype(np.int16), Geometry.make(shape, spacing), "trunk"), liver


def said(volume: CtVolume, liver: np.ndarray, *, cut_off: bool = False) -> tuple[str, ...]:
    ml = liver.sum() * volume.geometry.voxel_volume_mm3 / 1000
    measured = measure_body(volume, liver, volume.geometry)
    return implausible(measured, ml, cut_off=cut_off, settings=RULES)


def test_an_ordinary_body_says_nothing():
    assert said(*body()) == ()


def test_a_mirrored_body_leads_the_findings():
    [sentence] = said(*body(mirrored=True))
    assert "mirrored" in sentence
    assert "situs inversus" in sentence


def test_the_sample_is_plausible_and_its_mirror_is_not():
    sample = load_sample()
    volume = reorient(sample.volume)
    assert volume.geometry.shape_zyx == sample.liver_zyx.shape
    assert said(volume, sample.liver_zyx) == ()
    mirror = CtVolume(volume.hu_zyx[:, :, ::-1], volume.geometry, "mirror")
    assert "situs inversus" in said(mirror, sample.liver_zyx[:, :, ::-1])[0]


def test_a_size_that_no_body_has():
    volume, liver = body(spacing=(14.0, 3.0, 3.0))
    assert "too large a liver" in said(volume, liver)[0]
    flat, liver = body(spacing=(1.0, 3.0, 3.0))
    assert "too small a liver" in said(flat, liver)[0]
    assert "the scan cuts it" in said(flat, liver, cut_off=True)[0]


@pytest.mark.parametrize(("hu", "told"), [(-18.0, True), (1.0, False), (120.0, False), (231.0, True)])
def test_a_density_that_hardly_a_liver_has(hu: float, told: bool):
    for body_seen in (None, BodyMeasures(-0.2, 712.0, True)):
        sentences = implausible(body_seen, 1048.0, cut_off=True, settings=RULES, liver_hu=hu)
        assert len(sentences) == told
        assert all(one.startswith(f"Check the density: {hu:.0f} HU") for one in sentences)
    assert implausible(None, 0.0, cut_off=True, settings=RULES, liver_hu=hu) == ()
    assert implausible(None, 900.0, cut_off=True, settings=RULES) == (), "nothing measured"


def test_a_small_liver_at_the_scans_end_may_be_all_or_another_organ():
    """The spleen of a mirrored body lies where the liver should: nothing else gives it away."""
    spleen = BodyMeasures(-0.3, 712.0, True)
    [sentence] = implausible(spleen, 208.0, cut_off=True, settings=RULES)
    assert "only 208 mL of liver" in sentence and "spleen" in sentence
    assert "too small a liver" in implausible(spleen, 208.0, cut_off=False, settings=RULES)[0]
    assert implausible(BodyMeasures(-0.2, 712.0, True), 1048.0, cut_off=True, settings=RULES) == ()


def test_a_part_of_a_body_says_nothing_of_a_small_liver():
    volume, liver = body(spacing=(1.0, 3.0, 3.0))
    part = CtVolume(volume.hu_zyx[:, :, 20:100], volume.geometry.cropped((0, 0, 20), (30, 90, 100)), "part")
    measured = measure_body(part, liver[:, :, 20:100], part.geometry)
    assert measured is not None and not measured.whole
    assert implausible(measured, 60.0, cut_off=False, settings=RULES) == ()


def test_nothing_to_measure():
    volume, liver = body()
    assert measure_body(volume, np.zeros_like(liver), volume.geometry) is None
    assert implausible(None, 1500.0, cut_off=False, settings=RULES) == ()


@given(st.floats(0.7, 4.4), st.floats(100, 1400), st.floats(-0.4, 0.02))
def test_no_warning_within_the_limits(ratio, section, side):
    made = BodyMeasures(side, section, True)
    assert implausible(made, ratio * section, cut_off=False, settings=RULES) == ()


@pytest.mark.parametrize("side", [0.04, 0.2, 0.4])
def test_the_side_counts_whatever_the_size(side):
    assert len(implausible(BodyMeasures(side, 600.0, True), 1400.0, cut_off=True, settings=RULES)) == 1
