"""Lesions classified slice by slice: which slices, which weights, what is filled, what is indeterminate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.rules import settings_from
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.networks.dadrn import CLASSES
from LiverLesionAILib.stages.classify.case import both_phases
from LiverLesionAILib.stages.classify.families import SliceClassifier
from LiverLesionAILib.stages.classify.lesions import (
    INDETERMINATE,
    ClassAnswer,
    ClassifySettings,
    classify_lesions,
    classify_slices,
    named,
    outlier_score,
    slices_through,
)
from LiverLesionAILib.stages.classify.liver_box import LiverCrop, labels_on_grid
from LiverLesionAILib.stages.classify.liver_slices import fill_with_liver, place, slice_input
from LiverLesionAILib.volume.ct import Geometry
from scipy import ndimage
from support.rules import of_page
from support.toy_classifier import BrightOrDark

SPEC = InputSpec((3.0, 1.5, 1.5), (-40.0, 220.0), 3)
CLASSIFY = of_page(ClassifySettings)
GEOMETRY = Geometry.make((16, 90, 100), SPEC.spacing_zyx_mm, (-70.0, -60.0, 500.0))


def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A liver at 80 HU with a bright lesion (1) and a dark one (2) that share slices 6 to 9."""
    z, y, x = np.indices(GEOMETRY.shape_zyx)
    liver = ((z - 8) / 7) ** 2 + ((y - 45) / 36) ** 2 + ((x - 50) / 42) ** 2 <= 1
    hu = np.random.default_rng(0).normal(80, 6, liver.shape).astype(np.float32)
    labels = np.zeros(liver.shape, np.uint16)
    labels[(np.abs(z - 7) <= 2) & (np.hypot(y - 40, x - 30) <= 7)] = 1
    labels[(np.abs(z - 8) <= 2) & (np.hypot(y - 50, x - 70) <= 7)] = 2
    hu[labels == 1] += 90
    hu[labels == 2] -= 75
    return hu, liver, labels


class Strange(BrightOrDark):
    """Finds what is bright unlike anything it knows."""

    def unlike(self, features: torch.Tensor) -> torch.Tensor:
        return 600 * features[:, 0].amax(dim=(1, 2)) - 5


class TestLesions:
    def test_a_lesion_unlike_the_classes_is_indeterminate(self) -> None:
        hu, liver, labels = case()
        settings = replace(CLASSIFY, outlier_threshold=0.5)
        found = classify_lesions(Strange(), SPEC, LiverCrop(hu, liver, labels, GEOMETRY), settings)
        assert {n: c.name for n, c in found.items()} == {1: INDETERMINATE, 2: "CYST"}
        assert found[1].unlike > 5 and found[1].outlier > 0.9 and found[1].explained == "HCC"
        assert found[2].unlike < -4 and found[2].outlier < 0.1

    def test_each_lesion_has_its_own_class_also_in_slices_it_shares(self) -> None:
        hu, liver, labels = case()
        network = BrightOrDark()
        found = classify_lesions(network, SPEC, LiverCrop(hu, liver, labels, GEOMETRY), CLASSIFY)
        assert {n: c.name for n, c in found.items()} == {1: "HCC", 2: "CYST"}
        for one in found.values():
            assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-5)
            assert one.probabilities[one.name] > 0.95
        # Nothing of the other lesion is left in what the network saw.
        first, second = network.seen
        assert first.shape[0] == second.shape[0] == 5
        assert not ((first > -0.99) & (first < -0.6)).any(), "the dark lesion is filled"
        assert not (second > 0.6).any(), "the bright lesion is filled"

    def test_maps_lie_on_the_lesion_in_patient_space(self) -> None:
        hu, liver, labels = case()
        found = classify_lesions(BrightOrDark(), SPEC, LiverCrop(hu, liver, labels, GEOMETRY), CLASSIFY)
        for number, one in found.items():
            assert (one.map.name, one.map.lesion_number) == (f"Grad-CAM, lesion {number}", number)
            assert one.map.values_zyx.shape == one.map.geometry.shape_zyx
            assert one.map.values_zyx.min() >= 0 and one.map.values_zyx.max() == 1
            where = np.argwhere(labels == number)
            middle = GEOMETRY.index_to_lps(where.mean(axis=0))
            weights = one.map.values_zyx**2
            centre = [(weights * i).sum() / weights.sum() for i in np.indices(weights.shape)]
            assert np.linalg.norm(one.map.geometry.index_to_lps(centre) - middle) < 6
            assert np.linalg.norm(np.array(one.box.centre_lps) - middle) < 7
            assert all(10 < edge < 50 for edge in one.box.size_xyz_mm)

    def test_without_maps(self) -> None:
        found = classify_lesions(BrightOrDark(), SPEC, LiverCrop(*case(), GEOMETRY), CLASSIFY, maps=False)
        assert all(one.map is None and one.box is None for one in found.values())

    def test_a_lesion_that_looks_normal_is_indeterminate(self) -> None:
        hu, liver, labels = case()
        labels[:] = 0
        labels[6:9, 60:66, 45:52] = 1
        hu = np.where(labels > 0, 80, np.clip(hu, 70, 90)).astype(np.float32)
        found = classify_lesions(BrightOrDark(), SPEC, LiverCrop(hu, liver, labels, GEOMETRY), CLASSIFY)
        assert found[1].name == INDETERMINATE
        assert found[1].probabilities["Normal"] > 0.9
        assert found[1].box is None and not found[1].map.values_zyx.any()

    def test_the_cts_own_grid_and_lesions_smaller_than_a_voxel(self) -> None:
        hu, liver, labels = case()
        fine = GEOMETRY.with_spacing((1.0, 0.75, 0.75))
        from LiverLesionAILib.volume.ct import resample, resample_labels

        small = resample_labels(labels, GEOMETRY, fine)
        centre = np.rint(fine.lps_to_index(GEOMETRY.index_to_lps((11, 30, 40)))).astype(int)
        small[tuple(centre)] = 3
        crop = LiverCrop(
            resample(hu, GEOMETRY, fine),
            resample_labels(liver.astype(np.uint8), GEOMETRY, fine) > 0,
            small,
            fine,
        )
        entry = ModelEntry("dark", "classify", "dark", {}, SPEC, "", "", {"temperature": 2.0})
        settings = settings_from(entry.calibration, ClassifySettings)
        classifier = SliceClassifier(entry, BrightOrDark())
        found = classifier.classes(crop.on_spacing(SPEC.spacing_zyx_mm), settings)
        assert {n: c.name for n, c in found.items()} == {1: "HCC", 2: "CYST", 3: INDETERMINATE}

    def test_every_liver_slice(self) -> None:
        hu, liver, _ = case()
        slices, probabilities = classify_slices(BrightOrDark(), SPEC, hu, liver)
        areas = liver.sum(axis=(1, 2)) * 2.25
        assert slices.tolist() == np.flatnonzero(areas >= 300).tolist()
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        said = dict(zip(slices.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
        assert said[3] == said[12] == 0 and said[5] == 3 and said[10] == 1


class TestSlices:
    def test_weights_are_areas_of_the_slices_that_show_it(self) -> None:
        lesion = np.zeros((9, 10, 10), bool)
        for z, width in ((2, 1), (3, 6), (4, 10), (5, 6), (6, 2)):
            lesion[z, 0, :width] = True
        slices, weights = slices_through(lesion, CLASSIFY)
        assert slices.tolist() == [3, 4, 5]
        assert weights.tolist() == pytest.approx([6 / 22, 10 / 22, 6 / 22])

    def test_of_many_slices_an_even_selection_with_the_largest(self) -> None:
        lesion = np.zeros((60, 4, 4), bool)
        lesion[5:55, 0, :3] = True
        lesion[33, 0] = True
        slices, weights = slices_through(lesion, replace(CLASSIFY, most_slices=6))
        assert len(slices) == 6 and {5, 33, 54} <= set(slices.tolist())
        assert weights.sum() == pytest.approx(1)

    def test_a_label_between_the_voxels_of_a_coarser_grid_is_kept(self) -> None:
        fine = Geometry.make((9, 9, 9), (1.0, 1.0, 1.0))
        labels = np.zeros((9, 9, 9), np.uint16)
        labels[4, 4, 4] = 2
        coarse = labels_on_grid(labels, fine, fine.with_spacing((3.0, 3.0, 3.0)))
        assert np.argwhere(coarse == 2).tolist() == [[1, 1, 1]]


class TestIndeterminate:
    @pytest.mark.parametrize(
        ("probabilities", "name"),
        [
            ((0.05, 0.9, 0.02, 0.02, 0.01), "CYST"),
            ((0.0, 0.0, 0.4, 0.35, 0.25), INDETERMINATE),
            ((0.6, 0.4, 0.0, 0.0, 0.0), INDETERMINATE),
            ((0.3, 0.0, 0.0, 0.0, 0.7), "HEM"),
        ],
    )
    def test_names(self, probabilities: tuple[float, ...], name: str) -> None:
        assert named(np.array(probabilities), CLASSES, replace(CLASSIFY, outlier_threshold=0.4))[0] == name

    def test_score(self) -> None:
        table = np.array([[0, 1, 0, 0, 0], [0, 0.25, 0.25, 0.25, 0.25], [0.9, 0.1, 0, 0, 0]])
        assert outlier_score(table).tolist() == pytest.approx([0, 0.75, 0.9])

    def test_score_with_a_layer_for_outliers(self) -> None:
        """What the layer says counts, and so does how evenly the answer is divided; "normal" does not."""
        even, sure = [0.0, 0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0, 0.0]
        table = np.array([even, sure, [0.5, 0.5, 0.0, 0.0, 0.0]])
        said = outlier_score(table, np.array([0.0, 0.0, 0.0]))
        assert said.tolist() == pytest.approx(
            [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2)), 1 / (1 + np.exp(2))]
        )
        assert outlier_score(table, np.array([1.0, 5.0, 2.0]))[1] == pytest.approx(1 / (1 + np.exp(-3)))
        settings = replace(CLASSIFY, outlier_threshold=0.5)
        assert named(np.array(sure), CLASSES, settings, 1.0)[0] == "CYST"
        assert named(np.array(sure), CLASSES, settings, 3.0)[0] == INDETERMINATE

    def test_settings_come_from_the_models_calibration(self) -> None:
        settings = settings_from({"temperature": 1.3, "outlier_threshold": 0.2, "x": 1}, ClassifySettings)
        assert (settings.temperature, settings.outlier_threshold) == (1.3, 0.2)


class TestTwoPhases:
    def answer(self, **probabilities: float) -> ClassAnswer:
        full = {c: probabilities.get(c, 0.0) for c in CLASSES}
        best = max(full, key=full.get)
        return ClassAnswer(best, full, 0.0, best)

    def test_the_arterial_phase_counts_most(self) -> None:
        first, second = self.answer(HCC=0.2, HEM=0.8), self.answer(HCC=1.0)
        found = both_phases({1: first}, {1: second}, (0.0, 1.0), replace(CLASSIFY, outlier_threshold=0.5))
        assert found[1].name == "HCC"
        assert found[1].probabilities["HEM"] == pytest.approx(0.8 * 0.1 / 1.1)
        found = both_phases({1: first}, {1: second}, (1.0, 0.0), replace(CLASSIFY, outlier_threshold=0.5))
        assert found[1].name == "HEM"

    def test_phases_that_disagree_are_indeterminate(self) -> None:
        first, second = self.answer(HEM=1.0), self.answer(HCC=1.0)
        assert (
            both_phases({1: first}, {1: second}, (1, 1), replace(CLASSIFY, outlier_threshold=0.4))[1].name
            == INDETERMINATE
        )

    def test_what_the_layer_for_outliers_said_is_averaged(self) -> None:
        first, second = (replace(self.answer(HEM=1.0), unlike=said) for said in (6.0, -2.0))
        found = both_phases({1: first}, {1: second}, (1, 1), replace(CLASSIFY, outlier_threshold=0.6))
        assert found[1].unlike == pytest.approx(2.0)
        assert found[1].outlier == pytest.approx(0.5) and found[1].name == "HEM"
        found = both_phases(
            {1: first},
            {1: replace(second, unlike=None)},
            (1, 1),
            replace(CLASSIFY, outlier_threshold=0.6),
        )
        assert found[1].unlike is None and found[1].outlier == 0

    def test_what_only_one_phase_shows_stays(self) -> None:
        first = self.answer(FNH=1.0)
        assert both_phases({1: first}, {}, (0, 1), CLASSIFY) == {1: first}


class TestInput:
    def test_the_liver_lies_in_the_middle_and_nothing_else_is_seen(self) -> None:
        hu, liver, _ = case()
        # The outline lies between pixels: those beside it are seen in part.
        near = ndimage.binary_dilation(liver[8], iterations=2)
        other = np.where(near, hu, np.random.default_rng(1).normal(-80, 90, hu.shape)).astype(np.float32)
        where = place(liver[8])
        image = slice_input(hu[7:10], liver[8], SPEC, where)
        assert image.shape == (3, 160, 160)
        assert torch.equal(image, slice_input(other[7:10], liver[8], SPEC, where)), "only liver is seen"
        rows, columns = ((image[1] - image[1, 0, 0]).abs() > 1e-4).nonzero(as_tuple=True)
        for seen, axis in ((rows, 1), (columns, 0)):
            low, high = np.flatnonzero(liver[8].any(axis=axis))[[0, -1]]
            # Smoothing reaches three pixels; one at the outline is left out.
            assert int(seen.max() - seen.min()) == pytest.approx(high - low + 4, abs=2)
            assert float(seen.max() + seen.min()) / 2 == pytest.approx(79.5, abs=1.5)

    def test_outside_lies_the_livers_own_level(self) -> None:
        hu, liver, _ = case()
        image = slice_input(hu[7:10], liver[8], SPEC, place(liver[8]))
        low, high = SPEC.window_hu
        assert image[:, 0, 0].tolist() == pytest.approx([(2 * 80 - low - high) / (high - low)] * 3, abs=0.02)

    def test_a_large_liver_is_made_smaller_to_fit(self) -> None:
        liver = np.zeros((300, 400), bool)
        liver[20:260, 30:380] = True
        where = place(liver)
        hu = np.full((3, 300, 400), 80.0, np.float32)
        hu[:, 20:260, 30:40] = hu[:, 20:260, 370:380] = hu[:, 20:30] = hu[:, 250:260] = 200
        image = slice_input(hu, liver, SPEC, where)
        assert where.scale == pytest.approx(350 / (0.94 * 160))
        rows, columns = (image[1] > image[1, 0, 0] + 0.3).nonzero(as_tuple=True)
        assert int(rows.max() - rows.min()) == pytest.approx(240 / where.scale, abs=4)
        assert int(columns.max() - columns.min()) == pytest.approx(350 / where.scale, abs=4)

    def test_noise_is_smoothed_and_lesions_stay(self) -> None:
        hu, liver, labels = case()
        low, high = SPEC.window_hu
        image = slice_input(hu[7:10], liver[8], SPEC, place(liver[8])).numpy() * (high - low) / 2
        where = place(liver[8])
        y, x = np.meshgrid(*where.to_slice(np.arange(160), np.arange(160)), indexing="ij")
        calm = np.hypot(y - 60, x - 50) < 8
        assert image[1][calm].std() < 0.45 * 6
        assert image[1][np.hypot(y - 40, x - 30) < 4].mean() - image[1][calm].mean() == pytest.approx(
            90, abs=4
        )

    def test_a_map_goes_back_to_where_it_came_from(self) -> None:
        liver = np.zeros((70, 90), bool)
        liver[10:50, 20:80] = True
        where = place(liver)
        seen = torch.zeros(1, 1, 20, 20)
        seen[0, 0, 12, 7] = 1
        back = torch.nn.functional.grid_sample(
            seen, where.inverse_grid((70, 90))[None], mode="bilinear", align_corners=False
        )[0, 0].numpy()
        y, x = np.indices(back.shape)
        centre = (back * y).sum() / back.sum(), (back * x).sum() / back.sum()
        # Cell 12 of 20 looks at input pixel 96.
        assert centre == pytest.approx(where.to_slice(96, 56), abs=0.2)

    def test_filled_areas_have_the_livers_level_and_noise(self) -> None:
        hu, liver, labels = case()
        area = labels[8] == 1
        filled = fill_with_liver(hu[7:10], area, liver[8], np.random.default_rng(0))
        assert filled[1][area].mean() == pytest.approx(80, abs=2)
        assert filled[1][area].std() == pytest.approx(6, rel=0.3)
        assert np.array_equal(filled[:, ~area], hu[7:10][:, ~area])
