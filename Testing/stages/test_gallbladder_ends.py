"""The end of a gallbladder that goes on beyond it is no lesion; what only touches it stays one."""

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.neighbours.ends import Meeting, is_end, meeting
from LiverLesionAILib.stages.neighbours.gallbladder import GallbladderSettings, enclosed, separate_gallbladder
from LiverLesionAILib.volume.masks import label_boxes

SETTINGS = Rules().part(GallbladderSettings)
SPACING = (3.0, 1.5, 1.5)
SHAPE = (30, 60, 60)
LIVER, BILE, FAT = 110.0, 10.0, -100.0


def column(radius_mm: float, first: int, last: int, x_mm: float = 45.0) -> np.ndarray:
    """An upright column on the test's grid, in the slices `first` to `last`."""
    z, y, x = np.indices(SHAPE)
    inside = (y * 1.5 - 45.0) ** 2 + (x * 1.5 - x_mm) ** 2 <= radius_mm**2
    return inside & (z >= first) & (z <= last)


class Deep:
    """A gallbladder whose upper half is sunk into the liver, and the core of its end, taken for a lesion."""

    def __init__(self) -> None:
        self.organ = column(12.0, 3, 22)
        self.liver = np.zeros(SHAPE, bool)
        self.liver[12:, 4:56, 4:56] = True
        self.end = column(10.5, 17, 22)
        self.hu = np.full(SHAPE, FAT, np.float32)
        self.hu[self.liver] = LIVER
        self.hu[self.organ] = BILE

    @property
    def labels(self) -> np.ndarray:
        """The candidate is the only one."""
        return self.end.astype(np.uint16)

    def met(self) -> Meeting:
        """How the candidate and the rest are to each other."""
        bare = self.liver & ~self.organ & ~self.end
        found = meeting(self.end, self.organ, bare, self.hu, SPACING)
        assert found is not None
        return found

    def apart(self, settings: GallbladderSettings = SETTINGS):
        """Without the gallbladder; the candidate is one that liver surrounds and half of it gallbladder."""
        whole = self.liver | self.end
        share = enclosed(whole, self.labels, self.organ, 1, label_boxes(self.labels)[1], SPACING)
        assert share > SETTINGS.enclosed and self.organ[self.end].mean() >= SETTINGS.lesion_share
        return separate_gallbladder(whole, self.labels, self.organ, self.hu, SPACING, settings)


def others_pass(met: Meeting, failing: str) -> bool:
    """Whether all but one of the four say that it is an end: that one decides."""
    limits = {
        "part": met.part <= SETTINGS.end_part,
        "contact": met.contact >= SETTINGS.end_contact,
        "hu": met.hu <= SETTINGS.end_hu,
        "wall": met.wall <= SETTINGS.end_wall,
    }
    assert [name for name, passed in limits.items() if not passed] == [failing], met
    return True


def test_the_end_of_a_deep_gallbladder_is_no_lesion() -> None:
    scene = Deep()
    met = scene.met()
    assert met.hu == 0 and met.wall < 0.3 and is_end(met, SETTINGS)
    apart = scene.apart()
    assert apart.removed == (1,) and apart.doubtful == () and not apart.labels_zyx.any()
    assert (apart.gallbladder_zyx == scene.organ).all() and not apart.liver_zyx[scene.end].any()
    # Without the rule it stays, whole, out of the gallbladder.
    kept = scene.apart(replace(SETTINGS, end_part=0.0))
    assert kept.removed == () and kept.doubtful == (1,) and kept.liver_zyx[scene.end].all()


def test_what_is_a_large_part_of_it_stays() -> None:
    """A necrotic mass with a little more beside it is no end of that."""
    scene = Deep()
    scene.organ &= np.indices(SHAPE)[0] >= 16
    assert others_pass(scene.met(), "part") and scene.apart().removed == ()


def test_what_meets_it_with_little_of_its_border_stays() -> None:
    """A cyst of bile's density above the gallbladder, both in one mask."""
    scene = Deep()
    scene.organ = column(9.0, 3, 16)
    scene.end = column(9.0, 18, 23)
    bridge = column(3.0, 17, 17)
    scene.hu[scene.liver] = LIVER
    scene.organ |= scene.end | bridge
    scene.hu[scene.organ] = BILE
    assert others_pass(scene.met(), "contact") and scene.apart().removed == ()


@pytest.mark.parametrize("hu", [45.0, -15.0], ids=["denser", "less dense"])
def test_what_is_of_another_density_stays(hu: float) -> None:
    scene = Deep()
    scene.hu[scene.end] = hu
    assert others_pass(scene.met(), "hu") and scene.apart().removed == ()


def test_what_a_wall_parts_from_it_stays() -> None:
    """A cyst that bulges into the gallbladder: bile's density on both sides of a wall of 3 mm."""
    scene = Deep()
    scene.hu[column(12.0, 16, 24) & ~column(10.5, 17, 24) & scene.organ] = 90.0
    assert others_pass(scene.met(), "wall") and scene.apart().removed == ()


def test_where_nothing_lies_beyond_or_little_is_known_it_is_no_end() -> None:
    scene = Deep()
    bare = scene.liver & ~scene.organ
    assert meeting(scene.end, scene.end, bare, scene.hu, SPACING) is None
    assert meeting(scene.end, scene.organ, np.zeros(SHAPE, bool), scene.hu, SPACING) is None
    apart = column(9.0, 17, 22, x_mm=18.0)
    assert meeting(apart, scene.organ | apart, bare & ~apart, scene.hu, SPACING) is None
    assert not is_end(None, SETTINGS)
