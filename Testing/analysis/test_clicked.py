"""The bundled network for clicks, asked as the panel asks it, on the sample case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from LiverLesionAILab.training.click_places import deepest, worst
from LiverLesionAILib.analysis.clicked import TASK, _begun, outline_clicked, pack_map, part_round
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.detect.click_input import near_liver
from LiverLesionAILib.stages.detect.point import PointSettings
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings, outline_star
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import index_triple
from LiverLesionAILib.volume.overlap import dice
from LiverLesionAILib.volume.packed_mask import pack_mask

pytest.importorskip("torch", reason="PyTorch is not installed")

Voxel = tuple[float, float, float]


class Asked:
    """A part of the sample, and the question of the panel."""

    def __init__(self, slab: SampleCase, models: ModelStore) -> None:
        self.ct, self.liver, self.labels, self.models = (
            slab.volume,
            slab.liver_zyx,
            slab.lesion_labels_zyx,
            models,
        )
        self.spacing = self.ct.geometry.spacing_zyx_mm
        self.level = LiverLevel.of(self.ct.hu_zyx, self.liver, self.spacing)

    def by_density(self, lesion: np.ndarray) -> tuple[np.ndarray, Voxel]:
        at = index_triple(deepest(lesion, self.spacing))
        near = near_liver(self.liver, self.spacing)
        seen = Surroundings(self.ct.hu_zyx, self.spacing, near, self.level)
        z, y, x = (float(n) for n in at)
        return outline_star(seen, at, Rules().part(PointSettings)), (z, y, x)

    def ask(
        self,
        drawn: np.ndarray,
        inside: Sequence[Voxel],
        outside: Sequence[Voxel] = (),
        ct: CtVolume | None = None,
    ) -> np.ndarray:
        geometry = self.ct.geometry
        request: dict[str, Any] = {
            "model": self.models.manifest.of_task(TASK)[0].name,
            "device": "cpu",
            "precision": "auto",
            "inside_lps": [list(geometry.index_to_lps(point)) for point in inside],
            "outside_lps": [list(geometry.index_to_lps(point)) for point in outside],
            "drawn": pack_mask(Mask.of(drawn), geometry),
            "liver": pack_mask(Mask.of(self.liver), geometry),
            "level_hu": self.level.hu,
            "spread_hu": self.level.spread_hu,
        }
        return outline_clicked(ct or self.ct, request, self.models).lesion_labels_zyx > 0


@pytest.fixture(scope="module")
def asked(slab: SampleCase, models: ModelStore) -> Asked:
    return Asked(slab, models)


def test_a_click_outlines_a_lesion_and_a_second_one_mends_it(asked: Asked) -> None:
    overlaps = []
    sizes = np.bincount(asked.labels.ravel())
    # Of one more lesion the part holds two voxels.
    for number in range(1, len(sizes)):
        if sizes[number] < 100:
            continue
        lesion = asked.labels == number
        drawn, at = asked.by_density(lesion)
        one = asked.ask(drawn, [at])
        wrong = worst(one, lesion, asked.spacing)
        assert wrong is not None
        place, missing = wrong
        two = asked.ask(one, [at, place]) if missing else asked.ask(one, [at], [place])
        overlaps.append([dice(mask, lesion) for mask in (drawn, one, two)])
    density, one, two = np.array(overlaps).T
    assert len(two) == 2 and (two > 0.8).all() and (one > 0.75).all()
    assert one.mean() > density.mean() + 0.05


def test_a_poor_outline_is_mended_by_what_the_ct_shows(asked: Asked) -> None:
    sizes = np.bincount(asked.labels.ravel())
    sizes[0] = 0
    lesion = asked.labels == int(sizes.argmax())
    _, at = asked.by_density(lesion)
    z, y, x = np.ogrid[tuple(slice(n) for n in lesion.shape)]
    far = sum(((axis - a) * s) ** 2 for axis, a, s in zip((z, y, x), at, asked.spacing, strict=True))
    radius = float(np.cbrt(0.75 / np.pi * lesion.sum() * np.prod(asked.spacing)))
    small = np.asarray(far) <= (0.6 * radius) ** 2
    mended = asked.ask(small, [at])
    assert dice(mended, lesion) > dice(small, lesion) + 0.2
    # With nothing to be seen it has nothing to go by.
    plain = CtVolume(np.full_like(asked.ct.hu_zyx, round(asked.level.hu)), asked.ct.geometry)
    assert dice(asked.ask(small, [at], ct=plain), lesion) < dice(mended, lesion) - 0.1


def test_a_click_beside_the_lesion_takes_away_what_is_there(asked: Asked) -> None:
    lesion = asked.labels == asked.labels.max()
    drawn, at = asked.by_density(lesion)
    leak = drawn | np.roll(drawn, 6, axis=2)
    place = tuple(float(n) for n in deepest(leak & ~drawn & ~lesion, asked.spacing))
    without, clicked = asked.ask(leak, [at]), asked.ask(leak, [at], [place])  # type: ignore[list-item]
    beside = leak & ~drawn & ~lesion
    assert (clicked & beside).sum() <= (without & beside).sum()
    assert not clicked[tuple(int(n) for n in place)] and clicked[tuple(int(n) for n in at)]


def test_an_outline_begun_by_the_worker_is_the_one_begun_by_the_panel(asked: Asked) -> None:
    """The same answer for a click alone and for what density gives first, with its outline handed over."""
    sizes = np.bincount(asked.labels.ravel())
    sizes[0] = 0
    lesion = asked.labels == int(sizes.argmax())
    drawn, at = asked.by_density(lesion)
    geometry = asked.ct.geometry
    ends = np.array([at, *np.argwhere(drawn)])
    part = part_round(ends, geometry)
    request: dict[str, Any] = {
        "model": asked.models.manifest.of_task(TASK)[0].name,
        "device": "cpu",
        "precision": "auto",
        "inside_lps": [list(geometry.index_to_lps(at))],
        "outside_lps": [],
        "drawn": "",
        "suspected": None,
        "liver": pack_mask(Mask.of(asked.liver), geometry),
        "level_hu": asked.level.hu,
        "spread_hu": asked.level.spread_hu,
    }
    found = outline_clicked(asked.ct, request, asked.models)
    start, stop = [s.start for s in part], [s.stop for s in part]
    cropped = geometry.cropped(start, stop)
    assert found.geometry.matches(cropped) and found.messages == ()
    given = {
        **request,
        "drawn": pack_mask(Mask.of(drawn[part]), cropped),
        "liver": pack_mask(Mask.of(asked.liver[part]), cropped),
    }
    panel = outline_clicked(CtVolume(asked.ct.hu_zyx[part], cropped), given, asked.models)
    assert found.lesion_labels_zyx.any()
    assert np.array_equal(found.lesion_labels_zyx, panel.lesion_labels_zyx)
    # What the segmenter suspected comes before density.
    suspicion = np.zeros(lesion.shape, np.uint8)
    suspicion[lesion] = 200
    begun = _begun(asked.ct, {**request, "suspected": pack_map(suspicion, geometry)}, asked.liver)
    assert dice(begun, lesion) > 0.95 > dice(drawn, lesion)
    damaged = {**pack_map(suspicion, geometry), "values": "torn"}
    with pytest.raises(InputError, match="cannot be read"):
        outline_clicked(asked.ct, {**request, "suspected": damaged}, asked.models)
