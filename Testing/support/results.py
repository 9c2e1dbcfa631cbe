"""Made-up results for tests of what saves, lists and shows them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import (
    AttentionMap,
    Box,
    CaseResult,
    Lesion,
    LesionSource,
    LesionStatus,
    Measurement,
    PhaseEstimate,
    ProbabilityMap,
    ReducedCt,
)
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.masks import number_by_size
from scipy.spatial.transform import Rotation

CLASSES = ("CYST", "FNH", "HCC", "HEM")


def measured_result(**changes) -> CaseResult:
    """A small oblique case whose numbers are really measured: three lesions, two of them classified."""
    geometry = Geometry.make(
        (20, 60, 60), (5.0, 1.5, 1.2), (-40.0, -30.0, 900.0), Rotation.from_euler("z", 10, True).as_matrix()
    )
    z, y, x = np.indices(geometry.shape_zyx)
    liver = ((z - 10) / 9) ** 2 + ((y - 30) / 25) ** 2 + ((x - 30) / 27) ** 2 <= 1
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    for number, (centre, radius) in enumerate([((10, 30, 20), 4), ((12, 20, 40), 9), ((7, 40, 42), 2.5)], 1):
        distance = np.sqrt(
            sum(((a - c) * s) ** 2 for a, c, s in zip((z, y, x), centre, (3, 1, 1), strict=True))
        )
        labels[distance <= radius] = number
    labels, _ = number_by_size(labels)
    hu = np.random.default_rng(0).normal(105, 12, labels.shape).astype(np.int16)
    hu[labels > 0] -= 50
    lesions = []
    for lesion in measure_case(labels, liver, hu, geometry, {1: 0.98, 2: 0.71, 3: 0.4}):
        classes = {} if lesion.number == 3 else {"HCC": 0.625, "FNH": 0.25, "CYST": 0.1, "HEM": 0.025}
        fields = {"model_class": "HCC", "class_probabilities": classes} if classes else {}
        lesions.append(Lesion(**{**vars(lesion), **fields}))
    whole = measure_liver(labels, liver, hu, geometry)
    fields = {
        "case_name": "Patient 7, portal venous",
        "geometry": geometry,
        "liver_zyx": liver,
        "lesion_labels_zyx": labels,
        "lesions": tuple(lesions),
        "liver_volume_ml": whole.volume_ml,
        "liver_hu_mean": whole.hu_mean,
        "tumour_burden_percent": whole.tumour_burden_percent,
        "messages": ("Slices were 2 mm to 5 mm apart and were put onto an even grid.",),
        "device": "cpu",
        "models": {"sfan": "0123456789ab"},
        "timings_s": {"segment": 3.25, "measure": 0.5},
        "version": "0.1.0",
    }
    return CaseResult(**{**fields, **changes})


def empty_result(**changes) -> CaseResult:
    """A case in which nothing was found, not even a liver."""
    geometry = Geometry.make((8, 10, 12), (5.0, 1.0, 1.0))
    fields = {
        "case_name": "chest",
        "geometry": geometry,
        "liver_zyx": np.zeros(geometry.shape_zyx, bool),
        "lesion_labels_zyx": np.zeros(geometry.shape_zyx, np.uint16),
    }
    return CaseResult(**{**fields, **changes})


_numbers = st.floats(-2000, 2000, allow_nan=False) | st.just(float("nan"))
_shares = st.floats(0, 1)
_points = st.tuples(*[st.floats(-3000, 3000)] * 3)
_texts = st.text(max_size=12)
_ends = st.tuples(_points, _points)
_lengths = st.floats(0, 500)
_measurements = st.builds(
    Measurement, st.floats(1e-3, 3000), _lengths, _lengths, _ends, _ends, *[_numbers] * 4
)
_boxes = st.builds(
    Box, _points, st.tuples(*[st.floats(0.1, 500)] * 3), st.tuples(*[st.floats(-1, 1)] * 9), _shares
)


@st.composite
def geometries(draw, shape_zyx=None) -> Geometry:
    shape = shape_zyx or draw(st.tuples(*[st.integers(1, 9)] * 3))
    angles = draw(st.tuples(*[st.floats(-180, 180)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 10)] * 3))
    return Geometry.make(shape, spacing, draw(_points), Rotation.from_euler("xyz", angles, True).as_matrix())


_phases = st.builds(PhaseEstimate, st.sampled_from(Phase).map(lambda phase: phase.title), _shares, _texts)


def any_lesion(number: int = 1) -> st.SearchStrategy[Lesion]:
    """Lesions with or without a mask's measurement, a class, a class's box, the reader's words."""
    return st.builds(
        Lesion,
        number=st.just(number),
        score=_shares,
        centre_lps=_points,
        box=_boxes,
        measurement=st.none() | _measurements,
        source=st.sampled_from(LesionSource),
        status=st.sampled_from(LesionStatus),
        model_class=st.none() | _texts,
        class_probabilities=st.dictionaries(_texts, _shares, max_size=3),
        reader_class=st.none() | st.text(min_size=1, max_size=12),
        note=_texts,
        class_box=st.none() | _boxes,
        edited=st.booleans(),
        at_gallbladder=st.booleans(),
        half_width_mm=st.none() | st.floats(0.01, 50).map(lambda mm: round(mm, 2)),
        tracking_uid=st.just("") | st.integers(1, 2**128 - 1).map("2.25.{}".format),
    )


def _reduced(grid: Geometry) -> ReducedCt:
    values = np.random.default_rng(1).integers(0, 256, grid.shape_zyx, np.uint8)
    return ReducedCt(values, grid)


@st.composite
def results(draw) -> CaseResult:
    """Results of any shape, as full or as empty as they can be."""
    geometry = draw(geometries())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    shape, most = geometry.shape_zyx, draw(st.sampled_from([2, 4, 256, 65536]))
    labels = (rng.random(shape) < density) * rng.integers(1, most, shape)
    liver = rng.random(geometry.shape_zyx) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
    grids = draw(st.lists(geometries(), max_size=2))
    attention = tuple(
        AttentionMap(
            draw(_texts),
            draw(_texts),
            (10.0 ** rng.integers(-6, 6) * rng.normal(size=grid.shape_zyx)).astype(np.float32),
            grid,
            (-1.0, draw(_numbers)),
            draw(_texts),
            draw(st.none() | st.integers(1, 5)),
        )
        for grid in grids
    )
    probabilities = {
        name: ProbabilityMap(rng.integers(0, 256, grid.shape_zyx, np.uint8), grid, draw(_shares))
        for name, grid in zip(("liver", "tumour"), grids, strict=False)
    }
    return CaseResult(
        case_name=draw(_texts),
        geometry=geometry,
        liver_zyx=liver,
        gallbladder_zyx=draw(st.sampled_from([None, (labels == 0) & ~liver])),
        lesion_labels_zyx=labels.astype(np.uint16),
        lesions=tuple(draw(any_lesion(k)) for k in range(1, draw(st.integers(0, 3)) + 1)),
        liver_volume_ml=draw(_numbers),
        liver_hu_mean=draw(_numbers),
        tumour_burden_percent=draw(_numbers),
        probabilities=probabilities,
        attention=attention,
        messages=tuple(draw(st.lists(_texts, max_size=2))),
        device=draw(_texts),
        models=draw(st.dictionaries(_texts, _texts, max_size=2)),
        timings_s=draw(st.dictionaries(_texts, st.floats(0, 100), max_size=2)),
        version=draw(_texts),
        phase=draw(st.none() | _phases),
        reduced_ct=draw(st.sampled_from([None, *map(_reduced, grids)])),
    )
