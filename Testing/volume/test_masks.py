"""Boxes and pieces of masks against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from LiverLesionAILib.volume.masks import (
    bounding_box,
    components,
    copied,
    fill_holes,
    label_boxes,
    largest_component,
    with_numbers,
    within_mm,
)
from scipy import ndimage
from skimage.measure import label

shapes = st.tuples(*[st.integers(1, 7)] * 3)
masks = shapes.flatmap(lambda shape: arrays(bool, shape, elements=st.sampled_from([False, False, True])))
QUICK = settings(max_examples=80, deadline=None)


@QUICK
@given(masks, st.integers(0, 3))
def test_bounding_box_holds_everything_tightly(mask, margin):
    box = bounding_box(mask, margin)
    points = np.argwhere(mask)
    if not len(points):
        assert box is None
        return
    assert [s.start for s in box] == np.maximum(points.min(axis=0) - margin, 0).tolist()
    assert [s.stop for s in box] == np.minimum(points.max(axis=0) + 1 + margin, mask.shape).tolist()


@QUICK
@given(shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 4))))
def test_boxes_of_labels_are_the_boxes_of_each(labels):
    boxes = {int(n): bounding_box(labels == n) for n in np.unique(labels) if n}
    assert label_boxes(labels) == boxes


@QUICK
@given(
    shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 4))),
    st.sets(st.integers(1, 5)),
)
def test_some_labels_are_where_numpy_finds_them(labels, numbers):
    assert np.array_equal(with_numbers(labels, numbers), np.isin(labels, list(numbers)))


@QUICK
@given(shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 4))), st.booleans())
def test_a_copy_is_one_and_shares_nothing(labels, turned):
    labels = labels.transpose(2, 0, 1)[:, ::-1] if turned else labels
    copy = copied(labels)
    assert np.array_equal(copy, labels) and copy.dtype == labels.dtype and not np.shares_memory(copy, labels)


@QUICK
@given(masks, st.sampled_from([(6, 1), (18, 2), (26, 3)]))
def test_components_as_scikit_image_finds_them(mask, neighbours):
    labels, count = components(mask, neighbours[0])
    others, n = label(mask, connectivity=neighbours[1], return_num=True)
    assert (count, labels.dtype) == (n, np.int32)
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), others.ravel(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@QUICK
@given(masks, st.sampled_from([6, 18, 26]))
def test_the_largest_component_is_one_piece_and_none_is_larger(mask, neighbours):
    largest = largest_component(mask, neighbours)
    labels, count = components(mask, neighbours)
    sizes = [np.count_nonzero(labels == k) for k in range(1, count + 1)]
    assert largest.dtype == bool
    assert not (largest & ~mask).any()
    assert np.count_nonzero(largest) == max(sizes, default=0)
    assert components(largest, neighbours)[1] == min(count, 1)


def test_other_neighbours_are_refused():
    with pytest.raises(ValueError, match="not 8"):
        components(np.ones((2, 2, 2)), 8)


@QUICK
@given(
    mask=masks,
    spacing=st.tuples(*[st.sampled_from([0.7, 1.25, 1.6, 2.5, 5.0])] * 3),
    reach=st.sampled_from([0.0, 1.25, 2.5, 4.0, 8.0]),
)
def test_a_ball_reaches_what_a_distance_transform_says(mask, spacing, reach):
    expected = np.zeros(mask.shape, bool)
    if mask.any():
        expected = ndimage.distance_transform_edt(~mask, sampling=spacing) <= reach
    assert np.array_equal(within_mm(mask, spacing, reach), expected)


@QUICK
@given(
    mask=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)).flatmap(
        lambda shape: arrays(bool, shape, elements=st.booleans())
    ),
    turned=st.booleans(),
)
def test_holes_are_filled_as_plane_by_plane(mask, turned):
    if turned:
        mask = mask.transpose(0, 2, 1)
    expected = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    fill_holes(mask)
    assert np.array_equal(mask, expected)


def test_a_ring_in_a_ring_is_filled_to_its_rim():
    mask = np.zeros((1, 30, 30), bool)
    mask[0, 3:27, 5:25] = True
    mask[0, 6:20, 8:20] = False
    mask[0, 9:12, 10:13] = True
    fill_holes(mask)
    assert mask.sum() == 24 * 20 and mask[0, 3:27, 5:25].all()
