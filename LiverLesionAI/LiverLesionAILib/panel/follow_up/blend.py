"""The prior scan over the current one: drawn where the registration puts it.

Mixed in by a slider, or left of a divider: the patient's right side in axial and coronal views, where the
current scan is seen right of it. A sagittal view shows one or the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ...review.case_view import CaseView
from ...review.comparing import ComparedCase
from ...scene.nodes import ATTR_ROLE
from ...scene.ras import set_volume, volume_geometry
from ...volume.ct import AIR_HU
from ...volume.geometry import Geometry
from ...volume.parted import between
from ...volume.pulled import blending_grid, pulled_back
from ..show.views import is_prior_view
from .divider import Divider

ROLE_BLEND = "prior in place"
NOTHING_HU = -32768
"""Of voxels that are not drawn: below the display's threshold."""


class Blend(VTKObservationMixin):
    """A volume that comes and goes with the button; views get back what they showed before."""

    def __init__(self, dragged: Callable[[float], None]) -> None:
        """Nothing is shown yet.

        Args:
            dragged: told where a divider was dragged to, as the share of the scan that is left of it.
        """
        super().__init__()
        self._compared: ComparedCase | None = None
        self._volume: Any = None
        self._node: Any = None
        self._before: dict[str, tuple[str | None, float]] = {}
        self._divider = Divider(dragged)
        self._whole: np.ndarray | None = None
        self._grid: Geometry | None = None
        self._share = 0.0

    @property
    def active(self) -> bool:
        """Whether the prior lies over the current scan."""
        return self._node is not None

    def shows(self, case: CaseView, compared: ComparedCase | None) -> bool:
        """Whether it is these two scans, brought into line in this way."""
        shown = self._compared
        if shown is None or compared is None or case.volume is not self._volume:
            return False
        return shown.has_prior_of(compared) and compared.alignment is shown.alignment

    @property
    def swiping(self) -> bool:
        """Whether a divider parts the two."""
        return self.active and self._whole is not None

    def start(self, case: CaseView, compared: ComparedCase, share: float, *, swipe: bool = False) -> None:
        """Lay the prior over the scan's slice views; nothing where the two were not brought into line.

        Args:
            share: 0 is this scan alone, 1 the prior alone.
            swipe: part them by a divider, and do not mix them.
        """
        movement = compared.alignment.movement
        if movement is None or self.active:
            return
        prior, scene = compared.prior.volume, slicer.mrmlScene
        grid = blending_grid(movement, volume_geometry(case.volume))
        values = pulled_back(slicer.util.arrayFromVolume(prior), volume_geometry(prior), movement, grid)
        if swipe:
            self._whole, self._grid, self._share = values, grid, 0.0
            values = np.full_like(values, NOTHING_HU)
        node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetName(f"{prior.GetName()} in place")
        node.SetAttribute(ATTR_ROLE, ROLE_BLEND)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        set_volume(node, values, grid)
        self._node = scene.AddNode(node)
        self._node.SetAndObserveTransformNodeID(case.volume.GetTransformNodeID())
        self._compared, self._volume = compared, case.volume
        self._node.CreateDefaultDisplayNodes()
        if self._node.GetDisplayNode() is not None and case.volume.GetDisplayNode() is not None:
            self._node.GetDisplayNode().SetSaveWithScene(False)
            self.addObserver(case.volume.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, self._grey)
            self._grey(case.volume.GetDisplayNode())
        self._before = {
            c.GetID(): (c.GetForegroundVolumeID(), c.GetForegroundOpacity()) for c in _composites()
        }
        if swipe:
            self._divider.start(grid, case.volume, share)
        self.mix(share)

    def limit(self) -> None:
        """The divider lies in the current scan's views, the new ones too."""
        self._divider.limit()

    def mix(self, share: float) -> None:
        """How much of the prior is seen, 0 to 1: mixed in, or left of the divider."""
        if self._node is None:
            return
        if self.swiping:
            self._part(share)
            share = 1.0
        for composite in _composites():
            was = composite.StartModify()
            composite.SetForegroundVolumeID(self._node.GetID())
            composite.SetForegroundOpacity(share)
            composite.EndModify(was)

    def stop(self) -> None:
        """Take it away again."""
        node, scene = self._node, slicer.mrmlScene
        if node is None:
            return
        for composite in _composites():
            if composite.GetForegroundVolumeID() == node.GetID():
                volume_id, opacity = self._before.get(composite.GetID(), (None, 0.0))
                there = volume_id is not None and scene.GetNodeByID(volume_id) is not None
                composite.SetForegroundVolumeID(volume_id if there else None)
                composite.SetForegroundOpacity(opacity)
        self._divider.stop()
        self.forget()
        for part in (node.GetDisplayNode(), node):
            if part is not None and scene.IsNodePresent(part):
                scene.RemoveNode(part)

    def forget(self) -> None:
        """The scene goes, and the volume with it."""
        self.removeObservers()
        self._divider.forget()
        self._compared = self._volume = self._node = self._whole = self._grid = None
        self._before = {}

    def _part(self, share: float) -> None:
        """The divider goes to a place; only the planes between its old and new one are drawn anew."""
        assert self._whole is not None and self._grid is not None
        changed = between(self._grid, self._share, share)
        drawn = slicer.util.arrayFromVolume(self._node)
        drawn[changed] = self._whole[changed] if share > self._share else NOTHING_HU
        self._share = share
        slicer.util.arrayFromVolumeModified(self._node)
        self._divider.place(share)

    def _grey(self, own: Any, event: Any = None) -> None:
        """In the window that the reader has chosen for this scan."""
        display = self._node.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(own.GetWindow(), own.GetLevel())
        if self.swiping:
            display.SetThreshold(AIR_HU - 1, np.iinfo(np.int16).max)
            display.SetApplyThreshold(True)


def _composites() -> Iterator[Any]:
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        if not is_prior_view(composite):
            yield composite
