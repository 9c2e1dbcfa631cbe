"""The whole line on the sample case: real inference with the bundled weights, on the CT's own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.transformed import stored
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.models.weights import Manifest, ModelStore
from LiverLesionAILib.stages.segment.region import agreed_liver, near_liver
from LiverLesionAILib.support.errors import Cancelled, InputError, ModelError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.overlap import dice
from scipy import ndimage
from support.rules import of_page

PLAIN = Settings(device="cpu", attention=False)
MASKS = replace(PLAIN, detector="none", classifier=None)
MASKS_AT_ONCE = replace(MASKS, pyramid=(0.6,))


@pytest.fixture(scope="module")
def result(sample_result: CaseResult) -> CaseResult:
    return sample_result


@pytest.fixture(scope="module")
def quick(slab: SampleCase, models: ModelStore) -> CaseResult:
    """Masks at one small scale, a fifth of the work: for what must hold whatever is found."""
    return analyze(slab.volume, MASKS_AT_ONCE, models)


def test_finds_the_samples_liver_and_lesions(sample: SampleCase, result: CaseResult) -> None:
    truth = sample.lesion_labels_zyx
    numbers = [n for n in np.unique(truth) if n]
    found = [n for n in numbers if np.mean(result.lesion_labels_zyx[truth == n] > 0) >= 0.1]
    false = [les for les in result.lesions if not truth[result.lesion_labels_zyx == les.number].any()]
    assert dice(result.liver_zyx, sample.liver_zyx) > 0.93
    assert len(found) >= 4
    assert len(false) <= 1
    assert dice(result.lesion_labels_zyx > 0, truth > 0) > 0.8


def test_lesions_are_numbered_measured_and_inside_the_liver(result: CaseResult) -> None:
    assert [lesion.number for lesion in result.lesions] == list(range(1, len(result.lesions) + 1))
    volumes = [lesion.measurement.volume_ml for lesion in result.lesions]
    assert volumes == sorted(volumes, reverse=True)
    assert bool(result.liver_zyx[result.lesion_labels_zyx > 0].all())
    for lesion in result.lesions:
        voxels = np.count_nonzero(result.lesion_labels_zyx == lesion.number)
        assert lesion.measurement.volume_ml == pytest.approx(voxels * result.geometry.voxel_volume_mm3 / 1000)
        assert lesion.measurement.long_axis_mm >= lesion.measurement.short_axis_mm > 0
        assert 0 < lesion.score <= 1
    share = 100 * sum(volumes) / result.liver_volume_ml
    assert result.tumour_burden_percent == pytest.approx(share, rel=1e-6)


def test_what_is_handed_back(sample: SampleCase, result: CaseResult) -> None:
    assert result.geometry.matches(sample.volume.geometry)
    assert {"coarse_unet", "sfan"} <= set(result.models)
    assert {"liver", "tumour"} == set(result.probabilities)
    assert all(p.values_zyx.shape == p.geometry.shape_zyx for p in result.probabilities.values())
    of_lesions = [a for a in result.attention if a.lesion_number is not None]
    assert len(result.attention) == 5 + len(of_lesions)
    assert {a.lesion_number for a in of_lesions} == {lesion.number for lesion in result.lesions}
    for attention in result.attention:
        assert attention.values_zyx.shape == attention.geometry.shape_zyx
        assert 0 <= attention.values_zyx.min() <= attention.values_zyx.max() <= 1
        assert attention.values_zyx.std() > 0 or attention.lesion_number is not None
    assert {"locate", "segment", "measure"} <= set(result.timings_s)


def test_lesions_have_a_class_and_the_scan_a_phase(result: CaseResult) -> None:
    """The sample is portal venous; its lesions' classes were learnt in the arterial phase, and it says so."""
    from LiverLesionAILib.case.classes import LesionClass

    assert result.phase.name == "portal venous" and "arterial" in result.phase.warning
    assert any("not been validated" in message for message in result.messages)
    assert "dadrn" in result.models
    for lesion in result.lesions:
        assert LesionClass.of(lesion.model_class) is not None, lesion.model_class
        told = lesion.class_probabilities.values()
        assert not told or sum(told) == pytest.approx(1, abs=1e-3)


def test_without_a_classifier_there_are_no_classes(
    slab: SampleCase, models: ModelStore, quick: CaseResult
) -> None:
    assert quick.lesions
    assert [lesion.model_class for lesion in quick.lesions] == [None] * len(quick.lesions)
    found = quick
    assert found.phase.warning == "" and "dadrn" not in found.models
    with pytest.raises(ModelError, match="classify"):
        analyze(slab.volume, replace(PLAIN, classifier="resnet"), models)


@pytest.mark.parametrize(
    ("order", "flips"),
    [
        ((0, 1, 2), (0,)),
        ((0, 1, 2), (1, 2)),
        ((1, 0, 2), (0, 2)),
        ((2, 0, 1), (0, 1)),
        ((2, 1, 0), ()),
    ],
    ids=["feet first", "turned in plane", "coronal", "sagittal", "reversed axes"],
)
def test_storage_order_of_the_ct_does_not_matter(
    slab: SampleCase,
    models: ModelStore,
    quick: CaseResult,
    order: tuple[int, int, int],
    flips: tuple[int, ...],
) -> None:
    volume = stored(slab.volume, order, flips)
    turned = analyze(volume, MASKS_AT_ONCE, models)
    assert turned.geometry.matches(volume.geometry)

    def back(array_zyx: np.ndarray) -> np.ndarray:
        return np.flip(array_zyx, flips).transpose(np.argsort(order))

    labels = back(turned.lesion_labels_zyx)
    assert len(turned.lesions) == len(quick.lesions)
    assert dice(labels > 0, quick.lesion_labels_zyx > 0) > 0.999
    assert dice(back(turned.liver_zyx), quick.liver_zyx) > 0.999
    for one, other in zip(turned.lesions, quick.lesions, strict=True):
        assert one.centre_lps == pytest.approx(other.centre_lps, abs=0.5)
        assert one.measurement.volume_ml == pytest.approx(other.measurement.volume_ml, rel=1e-3)
        assert one.measurement.long_axis_mm == pytest.approx(other.measurement.long_axis_mm, rel=1e-3)


def test_no_liver_is_said_and_marks_nothing(sample: SampleCase, models: ModelStore) -> None:
    below = int(np.flatnonzero(sample.liver_zyx.any(axis=(1, 2)))[0]) - 4
    assert below >= 8, "the sample shows slices below its liver"
    geometry = sample.volume.geometry.cropped((0, 0, 0), (below, *sample.volume.geometry.shape_zyx[1:]))
    pelvis = CtVolume(sample.volume.hu_zyx[:below], geometry, "pelvis")
    found = analyze(pelvis, MASKS, models)
    assert not found.liver_zyx.any()
    assert found.lesions == ()
    assert any("No liver was found in pelvis" in message for message in found.messages)


def test_no_lesion_is_explained(slab: SampleCase, models: ModelStore) -> None:
    found = analyze(slab.volume, replace(MASKS_AT_ONCE, smallest_mm=400.0), models)
    assert found.lesions == ()
    assert any("No lesion reached the threshold" in message for message in found.messages)


def test_a_lower_threshold_never_loses_tumour(
    slab: SampleCase, models: ModelStore, quick: CaseResult
) -> None:
    low = analyze(slab.volume, replace(MASKS_AT_ONCE, tumour_threshold=0.1, score_threshold=0.1), models)
    high = analyze(slab.volume, replace(MASKS_AT_ONCE, tumour_threshold=0.9, score_threshold=0.9), models)
    sizes = [np.count_nonzero(r.lesion_labels_zyx) for r in (low, quick, high)]
    assert sizes[0] > sizes[2]
    assert sizes == sorted(sizes, reverse=True)


def test_the_liver_reaches_as_far_as_its_threshold_says(slab: SampleCase, models: ModelStore) -> None:
    low, high = (
        analyze(slab.volume, replace(MASKS_AT_ONCE, liver_threshold=threshold), models)
        for threshold in (0.1, 0.9)
    )
    assert low.liver_volume_ml > 1.005 * high.liver_volume_ml > 0
    assert (low.liver_zyx | high.liver_zyx == low.liver_zyx).mean() > 0.999


def test_the_image_pyramid_is_an_average_of_scales(
    slab: SampleCase, models: ModelStore, slab_result: CaseResult
) -> None:
    found = analyze(slab.volume, replace(MASKS, pyramid=(0.5, 0.9)), models)
    assert dice(found.liver_zyx, slab.liver_zyx) > 0.85
    same = np.array_equal(
        found.probabilities["tumour"].values_zyx, slab_result.probabilities["tumour"].values_zyx
    )
    assert not same


def test_a_mean_of_two_models_is_the_mean_of_their_probabilities(
    slab: SampleCase, models: ModelStore
) -> None:
    sfan = models.manifest.find("sfan")
    near = replace(sfan, name="near", scales={"liver": (0.5,), "lesions": (1.2,)})
    far = replace(sfan, name="far", scales={"liver": (0.7,), "lesions": (0.8,)})
    both = replace(
        sfan, name="both", network="mean", config={"members": ["near", "far"]}, file="", sha256="", scales={}
    )
    coarse = models.manifest.of_task("locate")
    store = ModelStore(Manifest(models.manifest.folder, (*coarse, near, far, both)))
    one, two, mean = (
        analyze(slab.volume, replace(MASKS, segmenter=name), store) for name in ("near", "far", "both")
    )
    assert set(mean.models) == {"coarse_unet", "near", "far"}
    inside = np.ones(mean.probabilities["liver"].values_zyx.shape, bool)
    for kind in ("liver", "tumour"):
        a, b, c = (r.probabilities[kind].values_zyx.astype(int) for r in (one, two, mean))
        # Far from the coarse liver no model is believed more than its tumour: bounded after the mean; and
        # far from its own liver no model shows a tumour.
        equal = c == (a + b + 1) // 2
        assert equal[inside].all() if kind == "tumour" else equal.mean() > 0.98
        assert not np.array_equal(a, b)
        inside &= (a > 128) & (b > 128) & (c > 128)
    assert inside.any()


def test_a_second_case_is_the_same_again(
    slab: SampleCase, models: ModelStore, slab_result: CaseResult
) -> None:
    again = analyze(slab.volume, Settings(device="cpu"), models)
    assert np.array_equal(again.lesion_labels_zyx, slab_result.lesion_labels_zyx)
    assert again.lesions == slab_result.lesions


@pytest.mark.parametrize("at", [0.0, 0.15, 0.5, 0.85])
def test_cancel(slab: SampleCase, models: ModelStore, at: float) -> None:
    def stop(stage: str, fraction: float) -> None:
        if fraction >= at:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        analyze(slab.volume, replace(PLAIN, pyramid=(0.6,)), models, stop)


def test_other_values_than_hounsfield_units_are_refused(slab: SampleCase, models: ModelStore) -> None:
    wrong = replace(slab.volume, hu_zyx=(slab.volume.hu_zyx.astype(np.float32) / 1000), name="scaled")
    with pytest.raises(InputError, match="scaled"):
        analyze(wrong, PLAIN, models)


def test_progress_only_grows(slab: SampleCase, models: ModelStore) -> None:
    seen: list[float] = []
    analyze(
        slab.volume, replace(PLAIN, pyramid=(0.6,)), models, lambda stage, fraction: seen.append(fraction)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_precisions_agree(slab: SampleCase, models: ModelStore) -> None:
    exact, short = (
        analyze(slab.volume, replace(MASKS, precision=kind, pyramid=(0.6,)), models)
        for kind in ("float32", "bfloat16")
    )
    assert dice(exact.liver_zyx, short.liver_zyx) > 0.99
    assert dice(exact.lesion_labels_zyx > 0, short.lesion_labels_zyx > 0) > 0.95
    for name, probability in exact.probabilities.items():
        other = short.probabilities[name]
        assert probability.geometry.shape_zyx == other.geometry.shape_zyx
        assert np.abs(probability.values_zyx.astype(int) - other.values_zyx).mean() < 2.0


def test_a_water_phantom_is_refused(models: ModelStore) -> None:
    shape, spacing = (60, 160, 160), (3.0, 2.0, 2.0)
    y, x = np.mgrid[: shape[1], : shape[2]] * 2.0 - 160.0
    rng = np.random.default_rng(0)
    plane = ndimage.gaussian_filter(np.where(np.hypot(y, x) < 120, 0.0, -1000.0), 0.5)
    hu = np.rint(plane + rng.normal(0, 15, shape)).astype(np.int16)
    with pytest.raises(InputError, match="water: it holds hardly any fat"):
        analyze(CtVolume(hu, Geometry.make(shape, spacing), "water"), PLAIN, models)


def test_without_attention_there_are_no_maps(
    slab: SampleCase, models: ModelStore, slab_result: CaseResult
) -> None:
    found = analyze(slab.volume, PLAIN, models)
    assert found.attention == ()
    assert np.array_equal(found.lesion_labels_zyx, slab_result.lesion_labels_zyx), "maps change no finding"


def test_kept_probabilities_give_the_masks_again(result: CaseResult) -> None:
    from LiverLesionAILib.stages.segment.masks import SegmentSettings, masks_from_probabilities

    liver, tumour = result.probabilities["liver"], result.probabilities["tumour"]
    assert liver.values_zyx.dtype == tumour.values_zyx.dtype == np.uint8
    assert bool(result.liver_zyx[result.lesion_labels_zyx > 0].all()), "liver includes its tumours"
    spacing = tumour.geometry.spacing_zyx_mm
    masks = masks_from_probabilities(liver.values_zyx, tumour.values_zyx, spacing, of_page(SegmentSettings))
    volume_ml = np.count_nonzero(masks.liver_zyx) * tumour.geometry.voxel_volume_mm3 / 1000
    assert volume_ml == pytest.approx(result.liver_volume_ml, rel=0.03)
    for lesion in result.lesions:
        index = np.rint(tumour.geometry.lps_to_index(lesion.centre_lps)).astype(int)
        box = tuple(slice(max(0, i - 2), i + 3) for i in index)
        assert tumour.values_zyx[box].max() >= 255 * tumour.threshold


def test_far_from_the_coarse_liver_only_a_tumour_is_believed() -> None:
    """Rows: heart taken for liver, a tumour that the coarse network missed, liver near the coarse one."""
    liver = np.array([[250, 250], [240, 240], [230, 230]], np.uint8)
    tumour = np.array([[3, 3], [235, 235], [0, 0]], np.uint8)
    distance_mm = np.array([[0.0, 14.0], [0.0, 14.0], [0.0, 5.0]], np.float32)
    beyond = distance_mm > Rules().liver_reach_mm
    assert agreed_liver(liver, tumour, beyond).tolist() == [
        [250, 3],
        [240, 235],
        [230, 230],
    ]


def test_the_network_sees_the_liver_at_its_reference_level(
    slab: SampleCase, models: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CT that is brighter or darker throughout is shifted back: the network gets the same image."""
    from LiverLesionAILib.models.inputs import liver_level_hu
    from LiverLesionAILib.stages.segment import inference

    levels = []
    real = inference.class_probabilities

    def spy(network, spec, hu_zyx, **options):
        if spec.liver_hu is not None and "slices" not in options:
            centre = tuple(slice(n // 4, -n // 4) for n in hu_zyx.shape)
            levels.append(liver_level_hu(hu_zyx[centre]))
        return real(network, spec, hu_zyx, **options)

    monkeypatch.setattr(inference, "class_probabilities", spy)
    for shift in (-25, 0, 25):
        analyze(replace(slab.volume, hu_zyx=slab.volume.hu_zyx + np.int16(shift)), MASKS_AT_ONCE, models)
    assert levels == pytest.approx([100.0] * 3, abs=6.0)


def test_near_the_liver_means_within_a_box_round_one_of_its_voxels() -> None:
    liver = np.zeros((9, 20, 20), bool)
    liver[4, 10, 10] = True
    near = near_liver(liver, (4.0, 2.0, 2.0), 8.0)
    assert near[2:7, 6:15, 6:15].all() and near.sum() == 5 * 9 * 9
    assert not near_liver(np.zeros_like(liver), (4.0, 2.0, 2.0), 8.0).any()


def test_the_tumour_map_shows_nothing_far_from_the_liver(result: CaseResult) -> None:
    tumour, liver = (result.probabilities[name] for name in ("tumour", "liver"))
    found = liver.values_zyx >= 255 * liver.threshold
    far = ndimage.distance_transform_edt(~found, sampling=liver.geometry.spacing_zyx_mm) > 25
    assert far.any() and not tumour.values_zyx[far].any()
    assert tumour.values_zyx.max() > 250
