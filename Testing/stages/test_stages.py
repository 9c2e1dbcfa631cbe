"""Locate, inference and segment on made-up probabilities; the liver's level; results on the CT's grid."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.device import Device, DeviceError, with_fallback
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.stages.locate.coarse import LocateSettings, liver_from_coarse, locate
from LiverLesionAILib.stages.place.grid import on_ct_grid
from LiverLesionAILib.stages.segment.inference import class_probabilities, liver_and_tumour
from LiverLesionAILib.stages.segment.masks import (
    Masks,
    SegmentSettings,
    closed_liver,
    masks_from_probabilities,
)
from LiverLesionAILib.stages.segment.region import FinerSettings
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.volume import resampling
from LiverLesionAILib.volume.ct import CtVolume, Geometry, resample, resample_labels
from LiverLesionAILib.volume.masks import drop_islands
from support.rules import of_page

SPEC = InputSpec((3.0, 3.0, 3.0), (-100.0, 100.0), 3)
LOCATE, SEGMENT = of_page(LocateSettings), of_page(SegmentSettings)


def ball(shape: tuple[int, int, int], centre: tuple[float, ...], radius_mm: float, spacing=(1.0, 1.0, 1.0)):
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    square = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True))
    return square <= radius_mm**2


class TestLocate:
    def volume(self) -> CtVolume:
        shape = (60, 80, 80)
        return CtVolume(np.zeros(shape, np.int16), Geometry.make(shape, (3, 3, 3), (-120, -120, 0)), "ct")

    def test_box_holds_the_liver_and_its_margin(self) -> None:
        liver = ball((60, 80, 80), (30, 40, 25), 60, (3, 3, 3))
        found = locate(
            self.volume(),
            lambda hu: liver.astype(np.uint8) * 255,
            SPEC,
            replace(LOCATE, margin_mm=15.0),
        )
        index = np.argwhere(liver)
        for axis in range(3):
            assert found.start_zyx[axis] == pytest.approx(max(0, index[:, axis].min() - 5), abs=1.5)
            assert found.stop_zyx[axis] == pytest.approx(min(80, index[:, axis].max() + 6), abs=1.5)
        assert found.volume_ml == pytest.approx(liver.sum() * 0.027, rel=0.05)
        assert not found.cut_off

    def test_too_little_is_no_liver(self) -> None:
        speck = ball((60, 80, 80), (30, 40, 25), 25, (3, 3, 3))
        assert locate(self.volume(), lambda hu: speck.astype(np.uint8) * 255, SPEC, LOCATE) is None

    def test_a_liver_at_the_scans_end_is_cut_off(self) -> None:
        liver = ball((60, 80, 80), (2, 40, 25), 70, (3, 3, 3))
        assert locate(self.volume(), lambda hu: liver.astype(np.uint8) * 255, SPEC, LOCATE).cut_off

    def test_a_thin_bridge_does_not_make_the_spleen_liver(self) -> None:
        liver = ball((40, 60, 90), (20, 30, 25), 17)
        spleen = ball((40, 60, 90), (20, 30, 65), 12)
        both = liver | spleen
        both[20, 30, 25:65] = True
        mask = liver_from_coarse(both.astype(np.uint8) * 255)
        assert not mask[spleen].any()
        assert np.count_nonzero(mask & liver) > 0.95 * liver.sum()


def segmented(
    masks: Masks, liver: np.ndarray, tumour: np.ndarray, working: Geometry, fine: Geometry
) -> Segmented:
    """What the segmenter leaves, without a CT."""
    return Segmented(fine, np.zeros(fine.shape_zyx), working, 100.0, liver, tumour, masks)


def test_hu_on_the_segmenters_grid_are_not_resampled_again() -> None:
    fine = Geometry.make((8, 20, 20), (2.0, 0.8, 0.8))
    working = fine.with_spacing((2.5, 1.25, 1.25))
    hu = np.random.default_rng(0).normal(40, 60, fine.shape_zyx).astype(np.float32)
    kept = resample(hu, fine, working)
    none = np.zeros(working.shape_zyx, np.uint8)
    masks = Masks(none > 0, none.astype(np.uint16), {}, 0, none > 0)
    found = replace(segmented(masks, none, none, working, fine), hu_zyx=hu, working_hu_zyx=kept)
    assert found.hu_on(fine.with_spacing((2.5, 1.25, 1.25))) is kept
    assert np.array_equal(replace(found, working_hu_zyx=None).hu_on(working), kept)
    coarse = fine.with_spacing((4.0, 2.0, 2.0))
    assert np.array_equal(found.hu_on(coarse), resample(hu, fine, coarse))


class Echo(torch.nn.Module):
    """Logits of class 1 are the middle slice; class 2 the mean of all slices."""

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> SimpleNamespace:
        middle, mean = x[:, x.shape[1] // 2], x.mean(dim=1)
        logits = torch.stack([torch.zeros_like(middle), 3 * middle, 3 * mean], dim=1) * self.weight
        assert x.shape[-1] % 16 == 0
        assert x.shape[-2] % 16 == 0
        return SimpleNamespace(logits=logits, attention=None)


class TestInference:
    hu = np.random.default_rng(0).normal(0, 60, (7, 21, 37)).astype(np.float32)

    def expected(self) -> np.ndarray:
        scaled = np.clip(self.hu / 100, -1, 1)
        out = np.zeros((2, *self.hu.shape))
        for z in range(7):
            stack = [scaled[min(max(z + d, 0), 6)] for d in (-1, 0, 1)]
            logits = np.stack([np.zeros_like(stack[1]), 3 * stack[1], 3 * np.mean(stack, axis=0)])
            share = np.exp(logits) / np.exp(logits).sum(axis=0)
            out[:, z] = share[1:]
        return out

    @pytest.mark.parametrize("batch", [1, 3, 16])
    def test_slabs_of_any_size_give_the_softmax_by_hand(self, batch: int) -> None:
        found = class_probabilities(Echo(), SPEC, self.hu, classes=3, batch=batch)
        assert np.abs(found / 255.0 - self.expected()).max() < 0.6 / 255

    def test_pyramid_is_the_mean_of_its_scales(self) -> None:
        scales = (0.5, 1.0, 1.5)
        single = [
            class_probabilities(Echo(), SPEC, self.hu, classes=3, pyramid=(s,)).astype(float) for s in scales
        ]
        together = class_probabilities(Echo(), SPEC, self.hu, classes=3, pyramid=scales)
        assert np.abs(together - np.mean(single, axis=0)).max() <= 1.0

    def test_magnification_is_a_scale_of_the_input(self) -> None:
        magnified = class_probabilities(Echo(), replace(SPEC, magnify=1.5), self.hu, classes=3)
        scaled = class_probabilities(Echo(), SPEC, self.hu, classes=3, pyramid=(1.5,))
        assert np.array_equal(magnified, scaled)
        assert not np.array_equal(magnified, class_probabilities(Echo(), SPEC, self.hu, classes=3))


class TestLiverAndTumour:
    """Echo sees class 1 where the slice is bright, so a bright block is the "liver"."""

    def hu(self) -> np.ndarray:
        hu = np.full((12, 64, 80), -150.0, np.float32)
        hu[3:9, 20:40, 24:50] = 90.0
        return hu

    def test_equal_scales_are_one_pass(self) -> None:
        liver, tumour = liver_and_tumour(Echo(), SPEC, self.hu())
        both = class_probabilities(Echo(), SPEC, self.hu(), classes=3)
        assert np.array_equal(tumour, both[1])
        assert np.array_equal(liver, np.minimum(both.sum(axis=0, dtype=np.uint16), 255))

    def test_each_is_seen_at_its_own_scales(self) -> None:
        hu = self.hu()
        liver, tumour = liver_and_tumour(Echo(), SPEC, hu, liver_scales=(0.5,), lesion_scales=(1.0, 1.5))
        low = class_probabilities(Echo(), SPEC, hu, classes=3, pyramid=(0.5,))
        high = class_probabilities(Echo(), SPEC, hu, classes=3, pyramid=(1.0, 1.5))[1]
        assert np.array_equal(liver, np.minimum(low.sum(axis=0, dtype=np.uint16), 255))
        # Well inside the box around the liver the crop makes no difference but for resampling.
        assert np.abs(tumour[4:8, 22:38, 26:48].astype(int) - high[4:8, 22:38, 26:48]).max() <= 12

    def test_lesions_are_looked_for_only_about_the_liver(self) -> None:
        hu = self.hu()
        hu[:, :4, :] = 90.0
        near = np.zeros(hu.shape, bool)
        near[2:10, 15:45, 20:55] = True
        _, tumour = liver_and_tumour(
            Echo(), SPEC, hu, lesion_scales=(1.5,), near_zyx=near, margin_mm=2 * SPEC.spacing_zyx_mm[1]
        )
        assert tumour[5, 30, 30] > 100
        assert not tumour[:, :4].any()

    def test_the_finest_scale_is_looked_at_where_others_suspect_something(self) -> None:
        hu = np.concatenate([self.hu(), self.hu()])
        hu[:, 20:40, 24:50] = -20.0
        hu[4:7, 28:34, 32:40] = 90.0
        seen: list[tuple[float, int]] = []

        class Watched(Echo):
            def forward(self, x: torch.Tensor, return_attention: bool = False) -> SimpleNamespace:
                seen.append((x.shape[-1], len(x)))
                return super().forward(x, return_attention)

        def run(finer: FinerSettings | None) -> tuple[np.ndarray, np.ndarray, int]:
            seen.clear()
            near = np.zeros(hu.shape, bool)
            near[2:22, 18:42, 24:50] = True
            at = {"near_zyx": near, "margin_mm": SPEC.spacing_zyx_mm[1]}
            scales = {"liver_scales": (0.8,), "lesion_scales": (1.0, 1.5)}
            liver, tumour = liver_and_tumour(Watched(), SPEC, hu, finer=finer, **at, **scales)
            return liver, tumour, sum(count for _, count in seen)

        liver, tumour, looks = run(FinerSettings(0.4, SPEC.spacing_zyx_mm[0]))
        whole_liver, whole_tumour, whole_looks = run(None)
        assert np.array_equal(liver, whole_liver)
        assert looks < whole_looks
        # Where something is suspected, and one slice beside, both scales are looked at: up to rounding.
        assert np.abs(tumour[4:7].astype(int) - whole_tumour[4:7]).max() <= 1
        # Nothing at all is too little for any doubt.
        everywhere = run(FinerSettings(1e-9, 0.0))[1]
        assert np.abs(everywhere.astype(int) - whole_tumour).max() <= 1

    def test_a_gap_in_the_liver_is_passed_over(self) -> None:
        hu = np.concatenate([self.hu(), np.full((30, 64, 80), -150.0, np.float32), self.hu()])
        _, tumour = liver_and_tumour(Echo(), SPEC, hu, lesion_scales=(1.5,))
        assert tumour[5, 30, 30] > 100
        assert tumour[-6, 30, 30] > 100
        assert not tumour[24:28].any()

    def test_without_a_liver_there_is_no_tumour(self) -> None:
        near = np.zeros((12, 64, 80), bool)
        _, tumour = liver_and_tumour(Echo(), SPEC, self.hu(), lesion_scales=(1.5,), near_zyx=near)
        assert not tumour.any()

    def test_progress_never_falls(self) -> None:
        told: list[float] = []
        liver_and_tumour(
            Echo(), SPEC, self.hu(), lesion_scales=(1.5,), progress=lambda stage, share: told.append(share)
        )
        assert told == sorted(told)
        assert told[-1] == pytest.approx(1.0)


class TestSegment:
    spacing = (2.5, 1.25, 1.25)
    shape = (40, 100, 100)

    def probabilities(self) -> tuple[np.ndarray, np.ndarray]:
        self.liver = ball(self.shape, (20, 50, 50), 45, self.spacing)
        self.inner = ball(self.shape, (20, 50, 60), 9, self.spacing)
        self.rim = ball(self.shape, (20, 50, 14), 6, self.spacing)
        self.far = ball(self.shape, (20, 90, 92), 6, self.spacing)
        liver = np.where(self.liver, 240, 5).astype(np.uint8)
        tumour = np.where(self.inner | self.rim | self.far, 250, 2).astype(np.uint8)
        return liver, tumour

    def test_lesions_at_the_capsule_stay_and_far_ones_go(self) -> None:
        masks = masks_from_probabilities(*self.probabilities(), self.spacing, SEGMENT)
        assert sorted(masks.scores) == [1, 2]
        assert bool((masks.labels_zyx[self.inner] == 1).all()), "the largest is number one"
        assert np.mean(masks.labels_zyx[self.rim] == 2) > 0.5
        assert not masks.labels_zyx[self.far].any()
        assert bool(masks.liver_zyx[masks.labels_zyx > 0].all()), "the liver includes its lesions"

    def test_what_lies_wholly_beside_the_liver_goes_though_it_is_near(self) -> None:
        liver, tumour = self.probabilities()
        beside = ball(self.shape, (20, 50, 14), 6, self.spacing) & ~ball(
            self.shape, (20, 50, 50), 47, self.spacing
        )
        tumour = np.where(beside | self.inner, 250, 2).astype(np.uint8)
        assert sorted(masks_from_probabilities(liver, tumour, self.spacing, SEGMENT).scores) == [1]
        anywhere = replace(SEGMENT, inside_share=0.0, surrounded_share=0.0)
        kept = masks_from_probabilities(liver, tumour, self.spacing, anywhere)
        assert sorted(kept.scores) == [1, 2]

    def test_holes_where_the_network_saw_no_liver_are_filled(self) -> None:
        liver, tumour = self.probabilities()
        liver[self.inner] = 0
        masks = masks_from_probabilities(liver, tumour, self.spacing, SEGMENT)
        assert bool((masks.labels_zyx[self.inner] == 1).all())

    def test_score_threshold_and_smallest_size(self) -> None:
        liver, tumour = self.probabilities()
        tumour[self.rim] = 140
        assert sorted(masks_from_probabilities(liver, tumour, self.spacing, SEGMENT).scores) == [1]
        weak = masks_from_probabilities(liver, tumour, self.spacing, replace(SEGMENT, score_threshold=0.5))
        assert weak.scores[2] == pytest.approx(140 / 255, abs=1e-3)
        big = replace(SEGMENT, score_threshold=0.5, smallest_mm=15.0)
        only = masks_from_probabilities(liver, tumour, self.spacing, big)
        assert sorted(only.scores) == [1]
        assert only.dropped == 1

    def test_the_liver_is_one_piece_near_the_coarse_one(self) -> None:
        liver, tumour = self.probabilities()
        liver[2:6, 2:12, 2:12] = 250
        masks = masks_from_probabilities(liver, tumour, self.spacing, SEGMENT)
        assert not masks.liver_zyx[2:6, 2:12, 2:12].any()
        nowhere = np.zeros(self.shape, bool)
        assert not masks_from_probabilities(
            liver, tumour, self.spacing, SEGMENT, near_zyx=nowhere
        ).liver_zyx.any()

    def test_on_a_finer_grid_volumes_stay_and_every_lesion_keeps_a_voxel(self) -> None:
        liver, tumour = self.probabilities()
        tumour[10, 50, 60] = 255
        settings = replace(SEGMENT, smallest_mm=0.5)
        masks = masks_from_probabilities(liver, tumour, self.spacing, settings)
        working = Geometry.make(self.shape, self.spacing)
        fine = working.with_spacing((1.0, 0.7, 0.7))
        fine_liver, fine_labels = on_ct_grid(segmented(masks, liver, tumour, working, fine), settings)
        assert set(np.unique(fine_labels)) == {0, *masks.scores}
        for number in (1, 2):
            before = np.count_nonzero(masks.labels_zyx == number) * working.voxel_volume_mm3
            after = np.count_nonzero(fine_labels == number) * fine.voxel_volume_mm3
            assert after == pytest.approx(before, rel=0.1)
        liver_ml = np.count_nonzero(masks.liver_zyx) * working.voxel_volume_mm3
        assert np.count_nonzero(fine_liver) * fine.voxel_volume_mm3 == pytest.approx(liver_ml, rel=0.02)

    @pytest.mark.parametrize("slab", [1, 3, 1000])
    def test_slabs_of_any_size_give_what_one_piece_gives(self, monkeypatch, slab: int) -> None:
        shape, spacing = (14, 24, 26), (2.5, 1.25, 1.25)
        noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=shape), 2.0)
        liver = noise > np.quantile(noise, 0.6)
        liver[:, :3] = False

        def distance(mask: np.ndarray) -> np.ndarray:
            return ndimage.distance_transform_edt(~mask, sampling=spacing)

        near = np.pad(distance(liver) <= 5.0, 1, mode="edge")
        closed = ~(distance(~near) <= 5.0)[1:-1, 1:-1, 1:-1] | liver
        for plane in closed:
            ndimage.binary_fill_holes(plane, output=plane)
        assert np.array_equal(closed_liver(liver, spacing, 5.0, 4.0), distance(closed) <= 4.0)
        assert not closed_liver(np.zeros(shape, bool), spacing, 5.0, 4.0).any()

        tumour = (255 * np.clip(noise / noise.max(), 0, 1)).astype(np.uint8)
        working = Geometry.make(shape, spacing, (3.0, 4.0, 5.0))
        fine = working.with_spacing((1.0, 0.7, 0.7))
        settings = replace(SEGMENT, score_threshold=0.2, smallest_mm=2.0)
        sure = (255 * ndimage.gaussian_filter(liver.astype(float), 0.6)).astype(np.uint8)
        masks = masks_from_probabilities(sure, tumour, spacing, settings)
        assert masks.scores
        found = segmented(masks, sure, tumour, working, fine)
        monkeypatch.setattr(resampling, "SLAB_BYTES", 4 * slab * fine.shape_zyx[1] * fine.shape_zyx[2])
        fine_liver, labels = on_ct_grid(found, settings)
        near = resample_labels(ndimage.binary_dilation(masks.liver_zyx).astype(np.uint8), working, fine) > 0
        whole = (resample(found.liver_zyx, working, fine) >= settings.liver_threshold * 255) & near
        whole |= labels > 0
        for plane in whole:
            ndimage.binary_fill_holes(plane, output=plane)
        assert np.array_equal(fine_liver, whole)
        above = resample(tumour, working, fine) >= settings.tumour_threshold * 255
        assert np.array_equal((labels > 0) & ~above, np.zeros(fine.shape_zyx, bool))
        assert set(np.unique(labels)) == {0, *masks.scores}

    def test_a_spot_that_a_corner_joined_is_no_lesion_of_its_own_on_a_finer_grid(self) -> None:
        liver, tumour = self.probabilities()
        tumour[:] = 0
        tumour[18:22, 40:48, 50:58] = 255
        tumour[22, 48, 58] = 255
        masks = masks_from_probabilities(liver, tumour, self.spacing, SEGMENT)
        assert masks.labels_zyx[22, 48, 58] == 1
        working = Geometry.make(self.shape, self.spacing)
        fine = working.with_spacing((0.6, 0.6, 0.6))
        pieces = {}
        for smallest_mm in (0.0, 4.0):
            settings = replace(SEGMENT, smallest_mm=smallest_mm)
            labels = on_ct_grid(segmented(masks, liver, tumour, working, fine), settings)[1]
            pieces[smallest_mm] = ndimage.label(labels, np.ones((3, 3, 3)))[1]
        assert pieces == {0.0: 2, 4.0: 1}

    def test_islands_go_but_for_large_ones_and_the_largest(self) -> None:
        labels = np.zeros((6, 20, 20), np.uint16)
        labels[1:5, 1:7, 1:7] = 1
        labels[1:4, 10:13, 1:4] = 1
        labels[2, 15, 1] = 1
        labels[5, 7, 7] = 1
        labels[0, 18, 18] = labels[3, 18, 15] = labels[3, 18, 14] = 2
        labels[2, 1, 12] = 3
        kept = labels.copy()
        kept[2, 15, 1] = kept[0, 18, 18] = 0
        drop_islands(labels, 20)
        np.testing.assert_array_equal(labels, kept)


class TestLiverLevel:
    def test_lesions_and_vessels_do_not_move_it(self) -> None:
        rng = np.random.default_rng(0)
        liver = rng.normal(105, 20, 60_000)
        lesions, vessels = rng.normal(45, 20, 30_000), rng.normal(170, 15, 6_000)
        assert liver_level_hu(np.concatenate([liver, lesions, vessels])) == pytest.approx(105, abs=5)

    def test_too_little_is_nothing_and_shifts_nothing(self) -> None:
        spec = InputSpec((1, 1, 1), (-75, 175), 5, liver_hu=100.0)
        assert np.isnan(liver_level_hu(np.full(20, 90.0)))
        assert spec.shift_hu(float("nan")) == 0.0
        assert spec.shift_hu(60.0) == 40.0
        assert spec.shift_hu(-60.0) == 60.0


class TestMemory:
    device = Device("cpu", "float32", "CPU", batch=8)

    def test_runs_again_with_fewer_slices_and_says_so(self) -> None:
        seen: list[int] = []
        said: list[str] = []

        def compute(device: Device) -> str:
            seen.append(device.batch)
            if device.batch > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return "done"

        result, used = with_fallback(compute, self.device, said.append, lambda: None)
        assert (result, used.batch, seen) == ("done", 2, [8, 2])
        assert "Memory ran out" in said[0]
        assert "2 slices" in said[0]

    def test_gives_up_with_advice(self) -> None:
        def compute(device: Device) -> None:
            raise MemoryError

        with pytest.raises(DeviceError, match="not enough memory"):
            with_fallback(compute, self.device, lambda text: None, lambda: None)
