"""What goes to the worker beside a CT: a second scan, and contrast phases that the reader names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import slicer

from ...analysis.handover import SECOND_FOLDER, name_phases, write_volume
from ...case.classes import Phase
from ...volume.ct import Geometry
from .volumes import checked_geometry, header_contrast


@dataclass(frozen=True, eq=False)
class ChosenPhases:
    """Contrast phases of a CT's patient, as nodes.

    Attributes:
        own: phase of the CT itself; None leaves it to the estimate.
        others: each phase at most once.
    """

    own: Phase | None = None
    others: tuple[tuple[Phase, slicer.vtkMRMLScalarVolumeNode], ...] = ()

    def those(self, present: Callable[[Any], bool]) -> ChosenPhases:
        """Without phases whose volume is gone: fewer make an analysis all the same."""
        return replace(self, others=tuple(one for one in self.others if present(one[1])))


NO_PHASES = ChosenPhases()

Scan = tuple[Phase | None, slicer.vtkMRMLScalarVolumeNode, Geometry]


def with_geometry(second: slicer.vtkMRMLScalarVolumeNode | None, phases: ChosenPhases) -> list[Scan]:
    """The scans that go along, each with its grid.

    Raises:
        InputError: one has no voxels, several values per voxel, or a sheared grid.
    """
    scans = [] if second is None else [(None, second)]
    return [(phase, node, checked_geometry(node)) for phase, node in (*scans, *phases.others)]


def hand_over_others(folder: Path, scans: list[Scan], own: Phase | None) -> Iterator[Any]:
    """Write them beside the CT, slab by slab; yields the image, which is held so while it is written.

    Args:
        own: phase of the CT itself, where the reader has named it.

    Raises:
        OSError: no space or no permission.
    """
    named = [phase for phase, _, _ in scans if phase is not None]
    places = iter(name_phases(folder, own, named) if named or own is not None else ())
    for phase, node, geometry in scans:
        place = folder / SECOND_FOLDER if phase is None else next(places)
        place.mkdir(exist_ok=True)
        image = node.GetImageData()
        array = slicer.util.arrayFromVolume(node)
        for _ in write_volume(place, array, geometry, node.GetName(), contrast=header_contrast(node)):
            yield image
