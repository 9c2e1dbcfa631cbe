"""Synthetic bodies: organs of the right size, place and HU, noise of the right kind, the same from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILab.synthesis.body import BodySettings, SyntheticBody, acquire, make_anatomy, make_body
from LiverLesionAILab.synthesis.organs import Organ, Phase
from LiverLesionAILab.synthesis.patient import LiverKind, draw_patient
from LiverLesionAILab.synthesis.spectra import noise_spectrum
from scipy import ndimage

QUICK = BodySettings(spacing_zyx_mm=(5.0, 2.5, 2.5), coarse_mm=4.0, top_mm=40, bottom_mm=-270)
# Median HU inside the organ over patients: unenhanced and portal venous ranges of AJR 2014;203:1013 and
# Radiology 2010;256:32 with the spread between patients; arterial and delayed by the same reviews.
RANGES = {
    Phase.UNENHANCED: {
        Organ.LIVER: (40, 72),
        Organ.SPLEEN: (36, 60),
        Organ.AORTA: (28, 58),
        Organ.KIDNEY_CORTEX: (18, 45),
        Organ.MUSCLE: (30, 68),
        Organ.FAT: (-125, -85),
        Organ.LUNG: (-950, -740),
    },
    Phase.ARTERIAL: {
        Organ.LIVER: (50, 105),
        Organ.SPLEEN: (75, 170),
        Organ.AORTA: (170, 420),
        Organ.KIDNEY_CORTEX: (95, 250),
        Organ.FAT: (-125, -85),
    },
    Phase.PORTAL_VENOUS: {
        Organ.LIVER: (75, 150),
        Organ.SPLEEN: (80, 165),
        Organ.AORTA: (100, 215),
        Organ.KIDNEY_CORTEX: (115, 275),
        Organ.PANCREAS: (45, 130),
        Organ.GALLBLADDER: (-15, 75),
        Organ.MUSCLE: (35, 80),
        Organ.FAT: (-125, -85),
    },
    Phase.DELAYED: {
        Organ.LIVER: (60, 130),
        Organ.SPLEEN: (65, 140),
        Organ.AORTA: (70, 150),
        Organ.KIDNEY_PELVIS: (150, 700),
    },
}


def volume_ml(body: SyntheticBody, *organs: Organ) -> float:
    return float(np.isin(body.labels_zyx, organs).sum()) * body.geometry.voxel_volume_mm3 / 1000


@pytest.fixture(scope="module")
def patients() -> list[SyntheticBody]:
    """Anatomies (before the scanner) of normal livers in all phases."""
    out = []
    for seed in range(4):
        settings = BodySettings(
            **{**QUICK.__dict__, "phase": list(Phase)[seed % 4], "liver_kind": LiverKind.NORMAL}
        )
        out.append(make_anatomy(np.random.default_rng(100 + seed), settings))
    return out


def test_same_seed_same_body_other_seed_other() -> None:
    one, two, other = (make_body(np.random.default_rng(s), QUICK) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.hu_zyx, two.hu_zyx)
    np.testing.assert_array_equal(one.labels_zyx, two.labels_zyx)
    assert one.geometry.matches(two.geometry)
    assert one.hu_zyx.shape != other.hu_zyx.shape or (one.hu_zyx != other.hu_zyx).mean() > 0.3


def test_global_random_state_is_not_used() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    make_body(np.random.default_rng(0), QUICK)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_volumes_are_human(patients: list[SyntheticBody]) -> None:
    for body in patients:
        liver = body.liver_zyx.sum() * body.geometry.voxel_volume_mm3 / 1000
        assert 850 < liver < 2550
        assert liver == pytest.approx(body.patient.liver_ml, rel=0.15)
        assert 60 < volume_ml(body, Organ.SPLEEN) < 700
        assert 150 < volume_ml(body, Organ.KIDNEY_CORTEX, Organ.KIDNEY_MEDULLA, Organ.KIDNEY_PELVIS) < 560
        assert 25 < volume_ml(body, Organ.PANCREAS) < 200
        assert volume_ml(body, Organ.GALLBLADDER) < 150
        assert 200 < volume_ml(body, Organ.BONE_CORTICAL, Organ.BONE_MARROW) < 3000
    assert sum(volume_ml(body, Organ.GALLBLADDER) > 3 for body in patients) > len(patients) / 2


def test_median_hu_inside_published_ranges(patients: list[SyntheticBody]) -> None:
    for body in patients:
        for organ, (low, high) in RANGES[body.phase].items():
            inside = ndimage.binary_erosion(body.labels_zyx == organ)
            if inside.sum() < 40:  # too thin to have voxels without partial volume
                continue
            assert low < np.median(body.hu_zyx[inside]) < high, (organ.name, body.phase)


def test_liver_lies_where_livers_lie(patients: list[SyntheticBody]) -> None:
    for body in patients:
        labels, n = ndimage.label(body.liver_zyx)
        sizes = np.bincount(labels.ravel())[1:]
        assert n == 1 or sizes.max() / sizes.sum() > 0.985
        points = body.geometry.index_to_lps(np.argwhere(body.liver_zyx))
        spine = body.geometry.index_to_lps(np.argwhere(body.labels_zyx == Organ.SPINAL_CANAL)).mean(0)
        spleen = body.geometry.index_to_lps(np.argwhere(body.labels_zyx == Organ.SPLEEN)).mean(0)
        heart = body.geometry.index_to_lps(np.argwhere(body.labels_zyx == Organ.HEART)).mean(0)
        centre = points.mean(0)
        assert centre[0] < spine[0] - 25, "liver right of the spine"
        assert spleen[0] > spine[0] + 40, "spleen left of it"
        assert centre[1] < spine[1], "liver in front of the canal"
        assert heart[2] > centre[2], "heart above"
        assert 0.01 < (points[:, 0] > spine[0]).mean() < 0.5, "left lobe reaches across the midline"
        height = np.ptp(points[:, 2])
        assert 100 < height < 260


def test_liver_is_hollow_below_and_full_of_vessels(patients: list[SyntheticBody]) -> None:
    """Its convex hull is clearly larger (visceral surface), and both trees run inside it."""
    from scipy.spatial import ConvexHull

    for body in patients[:4]:
        points = np.argwhere(body.liver_zyx)[::5] * np.array(body.geometry.spacing_zyx_mm)
        own = body.liver_zyx.sum() * body.geometry.voxel_volume_mm3
        assert 1.12 < ConvexHull(points).volume / own < 1.6, "real livers: 1.24 to 1.33"
        for organ in (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN):
            share = ((body.labels_zyx == organ) & body.liver_zyx).sum() / body.liver_zyx.sum()
            assert 0.003 < share < 0.1


def test_phases_differ_as_they_should() -> None:
    medians = {}
    for phase in Phase:
        settings = BodySettings(**{**QUICK.__dict__, "phase": phase, "liver_kind": LiverKind.NORMAL})
        body = make_anatomy(np.random.default_rng(5), settings)
        medians[phase] = {
            o: float(np.median(body.hu_zyx[body.labels_zyx == o])) for o in (Organ.LIVER, Organ.AORTA)
        }
    liver = {phase: m[Organ.LIVER] for phase, m in medians.items()}
    aorta = {phase: m[Organ.AORTA] for phase, m in medians.items()}
    assert liver[Phase.PORTAL_VENOUS] > liver[Phase.DELAYED] > liver[Phase.UNENHANCED]
    assert liver[Phase.PORTAL_VENOUS] > liver[Phase.ARTERIAL] > liver[Phase.UNENHANCED]
    assert aorta[Phase.ARTERIAL] > aorta[Phase.PORTAL_VENOUS] > aorta[Phase.DELAYED] > aorta[Phase.UNENHANCED]


def test_fatty_cirrhotic_resected() -> None:
    bodies = {}
    for kind in LiverKind:
        settings = BodySettings(**{**QUICK.__dict__, "phase": Phase.UNENHANCED, "liver_kind": kind})
        bodies[kind] = [make_anatomy(np.random.default_rng(s), settings) for s in (1, 2)]

    def hu(kind: LiverKind) -> float:
        return float(np.mean([np.median(b.hu_zyx[b.labels_zyx == Organ.LIVER]) for b in bodies[kind]]))

    def roughness(kind: LiverKind) -> float:
        out = []
        for body in bodies[kind]:
            solid = ndimage.binary_fill_holes(body.liver_zyx)
            smooth = ndimage.gaussian_filter(solid.astype(np.float32), 2.0) > 0.5
            out.append((solid ^ smooth).sum() / solid.sum())
        return float(np.mean(out))

    def size(kind: LiverKind) -> float:
        return float(np.mean([b.liver_zyx.sum() * b.geometry.voxel_volume_mm3 for b in bodies[kind]]))

    assert hu(LiverKind.FATTY) < hu(LiverKind.NORMAL) - 8
    assert roughness(LiverKind.CIRRHOTIC) > 1.15 * roughness(LiverKind.NORMAL)
    assert size(LiverKind.RESECTED) < 0.92 * size(LiverKind.NORMAL)


def test_patients_vary() -> None:
    drawn = [draw_patient(np.random.default_rng(s)) for s in range(300)]
    fat = np.array([p.subcutaneous_mm for p in drawn])
    liver = np.array([p.liver_ml for p in drawn if p.liver_kind is not LiverKind.RESECTED])
    assert 0.35 < np.mean([p.female for p in drawn]) < 0.55
    assert fat.min() < 9
    assert fat.max() > 32
    assert liver.min() >= 900
    assert liver.max() <= 2500
    assert 1300 < np.median(liver) < 1800
    assert {p.liver_kind for p in drawn} == set(LiverKind)
    assert 0.02 < np.mean([p.arms_down for p in drawn]) < 0.3


@pytest.mark.parametrize("spacing", [(10.0, 2.5, 2.5), (5.0, 2.0, 2.0), (1.0, 1.7, 1.7)])
def test_grid_is_as_asked(spacing: tuple[float, float, float]) -> None:
    settings = BodySettings(spacing_zyx_mm=spacing, field_mm=340, top_mm=10, bottom_mm=-60, coarse_mm=3.5)
    body = make_body(np.random.default_rng(2), settings)
    assert body.geometry.spacing_zyx_mm == spacing
    assert body.hu_zyx.shape == body.labels_zyx.shape == body.liver_zyx.shape == body.geometry.shape_zyx
    assert body.hu_zyx.shape == (round(70 / spacing[0]), round(340 / spacing[1]), round(340 / spacing[2]))
    assert body.hu_zyx.dtype == np.int16
    assert body.hu_zyx.min() >= -1024
    assert body.hu_zyx.max() <= 3071
    assert np.median(body.hu_zyx[:, :4, :4]) < -900, "air in the corner"


def test_coverage_from_chest_to_pelvis() -> None:
    settings = BodySettings(
        spacing_zyx_mm=(6.0, 3.0, 3.0), coarse_mm=4, top_mm=150, bottom_mm=-400, arms_down=True
    )
    body = make_body(np.random.default_rng(6), settings)
    lung = (body.labels_zyx == Organ.LUNG).sum(axis=(1, 2))
    marrow = (body.labels_zyx == Organ.BONE_MARROW).sum(axis=(1, 2))
    liver = body.liver_zyx.any(axis=(1, 2))
    assert lung[-1] > 100
    assert lung[: len(lung) // 3].sum() == 0
    assert marrow[:10].mean() > 15, "pelvis below"
    assert not liver[:20].any()
    assert not liver[-20:].any()
    assert liver.any()


def test_no_organ_leaves_the_body() -> None:
    for seed in range(3):
        body = make_anatomy(np.random.default_rng(40 + seed), QUICK)
        soft = np.isin(body.labels_zyx, (Organ.AIR, Organ.TABLE))
        # Every abdominal organ is covered: nowhere next to outside air.
        gut = np.isin(
            body.labels_zyx,
            (Organ.LIVER, Organ.COLON_WALL, Organ.STOMACH_WALL, Organ.BOWEL_WALL, Organ.SPLEEN),
        )
        assert not (ndimage.binary_dilation(soft) & gut).any()


def test_noise_has_the_scanners_spectrum() -> None:
    settings = BodySettings(
        spacing_zyx_mm=(2.5, 0.9, 0.9),
        field_mm=330,
        top_mm=0,
        bottom_mm=-90,
        noise_hu=16.0,
        coarse_mm=3.5,
        liver_kind=LiverKind.NORMAL,
    )
    anatomy = make_anatomy(np.random.default_rng(9), settings)
    scanner = anatomy.scanner.__class__(
        noise_hu=16.0, peak_per_mm=0.22, low_share=0.1, psf_mm=1.0, thickness_mm=2.5, streaks_hu=0.0
    )
    anatomy = SyntheticBody(**{**anatomy.__dict__, "scanner": scanner})
    scan = acquire(np.random.default_rng(1), anatomy)
    noise = noise_spectrum(
        scan.hu_zyx - anatomy.hu_zyx, scan.labels_zyx == Organ.LIVER, scan.geometry.spacing_zyx_mm, 27.0
    )
    power = noise.power / np.nanmax(noise.power)
    peak = noise.frequency_per_mm[np.nanargmax(power)]
    assert 0.15 < peak < 0.29, (
        "the ramp peaks where the scanner says, not at zero as smoothed white noise would"
    )
    f = noise.frequency_per_mm / 0.22
    # Ramp times apodisation, as the scanner is defined; bins at the ends of the range are few samples.
    expected = (0.1**2 + f) * np.exp(-0.5 * f * f)
    expected /= expected.max()
    known = np.isfinite(power)
    assert np.abs(power - expected)[known].max() < 0.22
    assert np.corrcoef(power[known], expected[known])[0, 1] > 0.95
    assert 10 < noise.sd_hu < 19


def test_noise_is_less_at_the_skin_and_overlapping_slices_correlate() -> None:
    settings = BodySettings(
        spacing_zyx_mm=(1.0, 2.0, 2.0),
        thickness_mm=3.0,
        top_mm=-40,
        bottom_mm=-90,
        coarse_mm=3.5,
        noise_hu=20.0,
    )
    anatomy = make_anatomy(np.random.default_rng(3), settings)
    scan = acquire(np.random.default_rng(3), anatomy)
    blurred = ndimage.gaussian_filter(anatomy.hu_zyx, (0, *(anatomy.scanner.psf_mm / 2.355 / 2.0,) * 2))
    noise = scan.hu_zyx - blurred
    liver = scan.liver_zyx
    skin = scan.labels_zyx == Organ.SKIN
    assert noise[skin].std() < 0.85 * noise[liver].std()
    both = liver[1:] & liver[:-1]
    assert np.corrcoef(noise[1:][both], noise[:-1][both])[0, 1] > 0.5
    apart = liver[5:] & liver[:-5]
    assert abs(np.corrcoef(noise[5:][apart], noise[:-5][apart])[0, 1]) < 0.15


def test_thick_slices_blur_more() -> None:
    """Borders to lung and air that slant through the slice are wider in thick ones."""

    def edge_share(thickness: float) -> float:
        settings = BodySettings(
            spacing_zyx_mm=(5.0, 2.5, 2.5), thickness_mm=thickness, coarse_mm=3.5, top_mm=20, bottom_mm=-60
        )
        hu = make_anatomy(np.random.default_rng(8), settings).hu_zyx
        return float(((hu > -600) & (hu < -200)).mean())

    assert edge_share(10.0) > 1.15 * edge_share(5.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_full_stomach_can_be_as_bright_as_the_liver_and_lie_against_it(seed: int) -> None:
    settings = replace(QUICK, phase=Phase.PORTAL_VENOUS, liver_kind=LiverKind.NORMAL)
    bodies = [
        make_anatomy(np.random.default_rng(seed), replace(settings, isodense_stomach=chance))
        for chance in (0.0, 1.0)
    ]
    away_hu, volume, gap_mm = [], [], []
    for body in bodies:
        content = body.labels_zyx == Organ.STOMACH_CONTENT
        stomach = content | (body.labels_zyx == Organ.STOMACH_WALL)
        liver_hu = np.median(body.hu_zyx[body.labels_zyx == Organ.LIVER])
        away_hu.append(abs(np.median(body.hu_zyx[content & (body.hu_zyx > -300)]) - liver_hu))
        volume.append(content.sum())
        distance = ndimage.distance_transform_edt(~body.liver_zyx, sampling=body.geometry.spacing_zyx_mm)
        gap_mm.append(distance[stomach].min())
    assert away_hu[0] > 40 > away_hu[1]
    assert volume[1] > 1.1 * volume[0]
    assert 0 < gap_mm[1] <= min(gap_mm[0], 6.0)
