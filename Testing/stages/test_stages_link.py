"""Boxes linked over slices, matched with masks, and what a detector adds to a list of lesions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import settings_from
from LiverLesionAILib.case.findings import Lesion, LesionSource
from LiverLesionAILib.case.wording import told_of_listed
from LiverLesionAILib.stages.detect.link import LinkedBox, LinkSettings, SliceBoxes, chain_score, link_boxes
from LiverLesionAILib.stages.detect.match import (
    ProposalSettings,
    box_on_grid,
    ellipsoid,
    inside_liver,
    labels_with_proposals,
    match_masks,
    patient_box,
    proposed_mask,
)
from LiverLesionAILib.stages.detect.stage import (
    AloneSettings,
    Detected,
    DetectSettings,
    place_detected,
    stands_alone,
    with_sources,
)
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.stages.segment.masks import Masks
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.masks import number_by_size
from support.rules import of_page

DETECT, GROWN = of_page(DetectSettings), of_page(ProposalSettings)


def linked(*rows: tuple, settings: LinkSettings | None = None) -> list[LinkedBox]:
    """Rows of slice, box, score; in a shuffled order, which must not matter."""
    rows = tuple(rows[i] for i in np.random.default_rng(len(rows)).permutation(len(rows)))
    found = SliceBoxes.make([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    return link_boxes(found, settings or of_page(LinkSettings))


def ball_boxes(
    centre_yx: tuple[float, float], radius: float, middle: int, score: float = 0.8
) -> list[tuple[int, tuple[float, ...], float]]:
    """What a detector gives for a ball on slices of its own spacing."""
    rows = []
    for z in range(int(middle - radius), int(middle + radius) + 1):
        half = math.sqrt(max(0.0, radius**2 - (z - middle) ** 2))
        if half >= 1:
            y, x = centre_yx
            rows.append((z, (y - half, x - half, y + half, x + half), score * half / radius))
    return rows


class TestLinking:
    def test_one_ball_is_one_box(self) -> None:
        (box,) = linked(*ball_boxes((30, 40), 6, 20))
        assert box.start_zyx == (15, 24, 34)
        assert box.stop_zyx == (26, 36, 46)
        assert box.key_slice == 20
        assert box.score == pytest.approx(0.8)
        assert sorted(box.boxes_yx) == list(range(15, 26))

    def test_one_slice(self) -> None:
        (box,) = linked((7, (3, 4, 9, 11), 0.6))
        assert (box.start_zyx, box.stop_zyx) == ((7, 3, 4), (8, 9, 11))
        assert (box.best, box.total) == (0.6, 0.6)

    def test_no_box(self) -> None:
        assert linked() == []
        assert linked((1, (0, 0, 5, 5), 0.05)) == [], "fainter than what is looked at"

    def test_side_by_side_touching_lesions_stay_two(self) -> None:
        found = linked(*ball_boxes((30, 40), 6, 20, 0.9), *ball_boxes((30, 51.5), 6, 21, 0.7))
        assert [round(b.best, 2) for b in found] == [0.9, 0.7]
        assert found[0].stop_zyx[2] == 46
        assert found[1].start_zyx[2] == 45.5

    def test_lesions_touching_one_above_the_other_stay_two(self) -> None:
        # In the slice where one ends and the other begins their boxes overlap by a third of the smaller.
        found = linked(*ball_boxes((30, 40), 6, 20, 0.9), *ball_boxes((38, 47), 6, 30, 0.7))
        assert len(found) == 2
        assert {b.key_slice for b in found} == {20, 30}

    def test_a_branching_lesion_is_one(self) -> None:
        trunk = [(z, (20, 20, 36, 40), 0.9) for z in range(5)]
        left = [(z, (20, 20, 34, 29), 0.8) for z in range(5, 9)]
        right = [(z, (22, 31, 36, 40), 0.6) for z in range(5, 10)]
        (box,) = linked(*trunk, *left, *right)
        assert (box.start_zyx, box.stop_zyx) == ((0, 20, 20), (10, 36, 40))
        assert box.boxes_yx[6] == (20, 20, 36, 40)
        assert box.total == pytest.approx(5 * 0.9 + 4 * 0.8 + 0.6)

    def test_a_missing_slice_is_bridged_two_are_not(self) -> None:
        def rows(gap: int) -> list:
            return [(z, (3, 3, 9, 9), 0.5) for z in (*range(4), *range(4 + gap, 8 + gap))]

        assert len(linked(*rows(1))) == 1
        assert len(linked(*rows(2))) == 2

    def test_the_same_lesion_twice_is_one(self) -> None:
        small = [(z, (10, 10, 20, 20), 0.9) for z in range(3)]
        large = [(z, (6, 6, 26, 26), 0.5) for z in range(4)]
        (box,) = linked(*small, *large)
        assert box.score == pytest.approx(0.9)
        assert box.stop_zyx == (4, 26, 26)
        assert len(linked(*large, *[(z, (9, 9, 19, 19), 0.3) for z in range(3)])) == 1

    def test_far_fainter_boxes_do_not_prolong_a_lesion(self) -> None:
        (box,) = linked((3, (3, 3, 9, 9), 0.9), (4, (3, 3, 9, 9), 0.9), (5, (3, 3, 9, 9), 0.15))
        assert box.stop_zyx[0] == 5

    def test_score_is_calibrated(self) -> None:
        settings = settings_from(
            {"link_bias": -1.0, "link_top": 0.5, "link_support": 2.0, "score_threshold": 0.7},
            LinkSettings,
        )
        (box,) = linked(*[(z, (3, 3, 9, 9), 0.8) for z in range(3)], settings=settings)
        value = -1.0 + 0.5 * math.log(0.8 / 0.2) + 2.0 * math.log(2.4)
        assert box.score == pytest.approx(1 / (1 + math.exp(-value)))
        assert chain_score(1.0, 0.0, settings) < chain_score(1.0, 3.0, settings) <= 1.0

    def test_many_boxes_are_each_used_once(self) -> None:
        rng = np.random.default_rng(4)
        low = rng.uniform(0, 60, (400, 2))
        boxes = np.concatenate([low, low + rng.uniform(3, 20, (400, 2))], axis=1)
        found = link_boxes(
            SliceBoxes.make(rng.integers(0, 30, 400), boxes, rng.uniform(0, 1, 400)), of_page(LinkSettings)
        )
        assert 10 < len(found) < 400
        assert [b.score for b in found] == sorted((b.score for b in found), reverse=True)
        for box in found:
            for z, edges in box.boxes_yx.items():
                assert box.start_zyx[0] <= z < box.stop_zyx[0]
                assert (np.array(edges[:2]) >= np.array(box.start_zyx[1:])).all()
                assert (np.array(edges[2:]) <= np.array(box.stop_zyx[1:])).all()


def box_at(start: tuple[float, ...], stop: tuple[float, ...], score: float = 0.9) -> LinkedBox:
    middle = int((start[0] + stop[0]) / 2)
    return LinkedBox(start, stop, score, score, score, middle, {middle: (*start[1:], *stop[1:])})


class TestMatching:
    def test_ellipsoid_fills_its_box(self) -> None:
        cut, inside = ellipsoid(((2, 3, 4), (8, 13, 12)), (20, 20, 20))
        assert cut == (slice(2, 8), slice(3, 13), slice(4, 12))
        assert inside.sum() == pytest.approx(math.pi / 6 * 6 * 10 * 8, rel=0.1)
        _, tiny = ellipsoid(((2.2, 3.3, 4.4), (2.4, 3.5, 4.6)), (20, 20, 20))
        assert tiny.any()

    def test_only_in_or_at_the_liver(self) -> None:
        liver = np.zeros((20, 40, 40), bool)
        liver[:, 10:30, 10:30] = True
        inner, rim, outside = (box_at((5, y, 15), (10, y + 8, 23)) for y in (15, 7, 1))
        assert inside_liver([inner, rim, outside], liver, DETECT.box_liver_share) == [inner, rim]

    def test_both_mask_only_and_box_only(self) -> None:
        labels = np.zeros((20, 40, 40), np.uint16)
        labels[4:10, 5:15, 5:15] = 1
        labels[4:8, 25:31, 25:31] = 2
        near, elsewhere = box_at((5, 4, 6), (10, 14, 16), 0.7), box_at((12, 20, 5), (16, 28, 12), 0.8)
        matched = match_masks([near, elsewhere], labels, DETECT.match_share)
        assert matched.by_label == {1: near}
        assert matched.alone == [elsewhere]

    def test_several_boxes_in_one_large_mask(self) -> None:
        labels = np.zeros((20, 60, 60), np.uint16)
        labels[2:18, 5:55, 5:55] = 1
        parts = [box_at((5, 10, 10), (9, 22, 22), 0.6), box_at((8, 30, 30), (14, 45, 45), 0.9)]
        matched = match_masks(parts, labels, DETECT.match_share)
        assert matched.by_label == {1: parts[1]}
        assert matched.alone == []

    def test_one_box_round_several_masks(self) -> None:
        labels = np.zeros((10, 30, 30), np.uint16)
        labels[4:6, 5:9, 5:9] = 1
        labels[4:6, 14:18, 14:18] = 2
        box = box_at((3, 4, 4), (7, 19, 19))
        assert match_masks([box], labels, DETECT.match_share).by_label == {1: box, 2: box}

    def test_a_corner_in_common_is_no_match(self) -> None:
        labels = np.zeros((10, 40, 40), np.uint16)
        labels[2:8, 5:20, 5:20] = 1
        box = box_at((2, 18, 18), (8, 30, 30))
        assert match_masks([box], labels, DETECT.match_share).alone == [box]

    def test_boxes_between_grids(self) -> None:
        coarse = Geometry.make((10, 20, 20), (5.0, 2.0, 2.0), (-10.0, 4.0, 7.0))
        fine = coarse.with_spacing((2.5, 1.0, 1.0))
        start, stop = box_on_grid(box_at((2, 4, 6), (5, 9, 8)), coarse, fine)
        assert np.allclose(start, (4, 8, 12))
        assert np.allclose(stop, (10, 18, 16))
        shown = patient_box((start, stop), fine, 0.7)
        assert shown.size_xyz_mm == pytest.approx((4.0, 10.0, 15.0))
        assert shown.centre_lps == pytest.approx(tuple(coarse.index_to_lps((3.0, 6.0, 6.5))))
        assert shown.score == 0.7


class TestStandingAlone:
    RULES = of_page(AloneSettings, box_threshold=0.6, alone_suspicion=0.2, alone_largest_mm=40.0)
    GRID = Geometry.make((20, 40, 40), (2.5, 1.25, 1.25))

    def alone(self, box: LinkedBox, suspicion: float | None, **rules: float) -> bool:
        tumour = None
        if suspicion is not None:
            tumour = np.zeros(self.GRID.shape_zyx, np.uint8)
            tumour[7, 12, 12] = round(255 * suspicion)
        return stands_alone(box, self.GRID, replace(self.RULES, **rules), tumour)

    def test_the_segmenter_has_to_suspect_something_too(self) -> None:
        box = box_at((5, 8, 8), (9, 16, 16), 0.7)
        assert self.alone(box, 0.25)
        assert not self.alone(box, 0.1)
        assert self.alone(box, 0.0, alone_suspicion=0.0)
        assert self.alone(box, None)
        assert not self.alone(box_at((5, 20, 20), (9, 28, 28), 0.9), 0.9), "it suspects another place"

    def test_score_and_size(self) -> None:
        assert not self.alone(box_at((5, 8, 8), (9, 16, 16), 0.5), 0.9)
        assert not self.alone(box_at((5, 11, 8), (9, 14, 16), 0.9), 0.9), "3.75 mm"
        assert not self.alone(box_at((5, 2, 2), (9, 36, 16), 0.9), 0.9), "42.5 mm"


def scene(contrast_hu: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A liver with a ball of 6 mm radius at (12, 30, 30), 1 mm voxels: HU, liver, ball."""
    z, y, x = np.mgrid[:24, :60, :60]
    ball = (z - 12) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 36
    liver = np.ones(ball.shape, bool)
    hu = 100.0 + contrast_hu * ball + np.random.default_rng(1).normal(0, 6, ball.shape)
    return hu.astype(np.float32), liver, ball


def placed(shape: tuple[int, ...], cut: tuple, mask: np.ndarray) -> np.ndarray:
    out = np.zeros(shape, bool)
    out[cut] = mask
    return out


BALL_BOX = ((6.0, 24.0, 24.0), (19.0, 37.0, 37.0))


class TestProposals:
    @pytest.mark.parametrize("contrast_hu", [-40.0, 45.0])
    def test_grown_to_the_lesion(self, contrast_hu: float) -> None:
        hu, liver, ball = scene(contrast_hu)
        wide = ((5.0, 21.0, 22.0), (21.0, 39.0, 41.0))
        cut, mask = proposed_mask(wide, hu, liver, np.zeros(hu.shape, np.uint16), (1.0, 1.0, 1.0), GROWN)
        found = placed(hu.shape, cut, mask)
        assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.85

    def test_without_contrast_the_ellipsoid(self) -> None:
        hu, liver, ball = scene(-2.0)
        cut, mask = proposed_mask(BALL_BOX, hu, liver, np.zeros(hu.shape, np.uint16), (1.0, 1.0, 1.0), GROWN)
        found = placed(hu.shape, cut, mask)
        assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.85

    def test_stays_in_its_box_and_off_other_lesions(self) -> None:
        hu, liver, _ = scene(-40.0)
        hu[12, 30, :] = 60.0
        labels = np.zeros(hu.shape, np.uint16)
        labels[:, :, 33:] = 4
        made, box_of = labels_with_proposals(labels, [BALL_BOX], hu, liver, (1.0, 1.0, 1.0), GROWN)
        assert box_of == {5: 0}
        assert np.array_equal(made == 4, labels == 4)
        zs, ys, xs = np.nonzero(made == 5)
        assert zs.min() >= 6 and ys.min() >= 24 and xs.min() >= 24
        assert zs.max() < 19 and ys.max() < 37 and xs.max() < 33

    def test_where_all_is_taken_there_is_none(self) -> None:
        hu, liver, _ = scene(-40.0)
        labels = np.ones(hu.shape, np.uint16)
        made, box_of = labels_with_proposals(labels, [BALL_BOX], hu, liver, (1.0, 1.0, 1.0), GROWN)
        assert box_of == {}
        assert np.array_equal(made, labels)


class TestLesionList:
    def lesions(self, agreed: bool = False) -> tuple[tuple[Lesion, ...], Detected, Geometry]:
        hu, liver, _ = scene(-40.0)
        geometry = Geometry.make(hu.shape, (1.0, 1.0, 1.0))
        labels = np.zeros(hu.shape, np.uint16)
        labels[2:6, 4:10, 4:10] = 1
        labels[16:18, 44:48, 44:48] = 2
        both, alone = box_at((2, 4, 4), (6, 10, 11), 0.8), box_at(*BALL_BOX, 0.95)
        masks = Masks(liver, labels, {1: 0.6, 2: 0.7}, 0, liver)
        detected = Detected(geometry, masks, {1: both}, [alone], 3, agreed)
        labels, boxed = place_detected(detected, labels, hu, liver, geometry, GROWN)
        labels, numbers = number_by_size(labels)
        scores = {numbers[1]: 0.6, numbers[2]: 0.7}
        measured = measure_case(labels, liver, hu, geometry, scores)
        told, maps = with_sources(measured, detected, numbers, boxed, geometry)
        assert maps == ()
        return told, detected, geometry

    def test_sources_scores_and_boxes(self) -> None:
        told, _, _ = self.lesions()
        assert [lesion.source for lesion in told] == [LesionSource.BOX, LesionSource.BOTH, LesionSource.MASK]
        assert [lesion.number for lesion in told] == [1, 2, 3]
        assert [lesion.score for lesion in told] == [0.95, 0.8, 0.7]
        assert told[0].measurement.volume_ml == pytest.approx(4 / 3 * math.pi * 6**3 / 1000, rel=0.15)
        assert told[0].box.size_xyz_mm == pytest.approx((13.0, 13.0, 13.0))
        assert told[1].box.size_xyz_mm == pytest.approx((6.0, 6.0, 4.0)), "the mask's own box"
        assert told[1].box.score == 0.8

    def test_an_agreed_score_is_not_replaced_by_the_boxs(self) -> None:
        told, _, _ = self.lesions(agreed=True)
        assert [lesion.score for lesion in told] == [0.95, 0.6, 0.7]
        assert told[1].source is LesionSource.BOTH and told[1].box.score == 0.8

    def test_the_reader_is_told_what_the_detector_overruled(self) -> None:
        _, detected, _ = self.lesions()
        (told,) = replace(detected, overruled=2).messages
        assert told.startswith("2 spots that the segmenter alone would have listed were left out")
        (told,) = replace(detected, overruled=1).messages
        assert told.startswith("1 spot that") and told.endswith("shows it.")
        assert detected.messages == ()

    def test_a_slider_shows_what_was_overruled_and_a_list_says_so_whatever_its_threshold(self) -> None:
        from LiverLesionAILib.analysis import row
        from LiverLesionAILib.analysis.draft import Draft

        _, detected, geometry = self.lesions()
        draft = Draft.of(CtVolume(np.zeros(geometry.shape_zyx, np.int16), geometry))
        more = replace(detected, overruled=2)
        assert row._with_detector_notes(draft, more).messages == more.messages
        assert row._with_detector_notes(replace(draft, faint_aside=True), more).messages == ()

    def test_the_reader_is_told(self) -> None:
        told, _, _ = self.lesions()
        grid = Geometry.make((99, 99, 99), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))
        (message,) = told_of_listed(told, grid)
        assert "1 lesion was found by the detector only; its outline is a proposal" in message
        assert told_of_listed(told[1:], grid) == ()

    def test_tables_say_how_each_was_found(self) -> None:
        import csv
        import io

        from LiverLesionAILib.case.findings import CaseResult
        from LiverLesionAILib.writing.tables import findings_csv, findings_json, findings_text

        told, _, geometry = self.lesions()
        shape = geometry.shape_zyx
        result = CaseResult(
            "case", geometry, np.ones(shape, bool), np.zeros(shape, np.uint16), told, liver_volume_ml=80.0
        )
        rows = list(csv.DictReader(io.StringIO(findings_csv(result))))
        assert [r["Found by"] for r in rows] == ["box (outline proposed)", "mask and box", "mask", ""]
        entries = findings_json(result)["lesions"]
        assert [e["found_by"] for e in entries] == ["box", "mask and box", "mask"]
        assert [e["outline_proposed"] for e in entries] == [True, False, False]
        assert "box (outline proposed)" in findings_text(result)
        masks_only = replace(result, lesions=told[2:])
        assert "Found" not in findings_text(masks_only)
