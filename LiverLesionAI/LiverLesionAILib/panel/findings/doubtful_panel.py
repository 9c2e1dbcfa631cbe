"""Places that look somewhat like a lesion and are not listed: one click goes there, or adds a lesion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import slicer

from ...case.findings import DoubtfulPlace
from ...case.wording import axial_slice
from ...review.case_view import CaseView
from ...scene.ras import to_world, volume_geometry
from ...volume.geometry import Geometry
from ..links import link
from ..show.views import jump_to

GO, ADD = "go", "add"


class DoubtfulHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView


def doubtful_html(places: tuple[DoubtfulPlace, ...], geometry: Geometry) -> str:
    """A line of links, the likeliest place first; "" without any."""
    shown = []
    for index, place in enumerate(places):
        where = f"slice {axial_slice(place.centre_lps, geometry)[0]}, {place.diameter_mm:.0f} mm"
        add = link(f"{ADD}:{index}", "add")
        shown.append(f"{link(f'{GO}:{index}', where)} (score {place.score:.2f}, {add})")
    return f"Look here, not listed: {'; '.join(shown)}" if shown else ""


class DoubtfulPanel:
    """The line below the table; its question marks in the views are drawn with the lesions' numbers."""

    def __init__(self, host: DoubtfulHost, add_at: Callable[[tuple[float, float, float]], None]) -> None:
        """`add_at` makes a lesion at a point of the world, RAS mm."""
        self._host, self._add_at = host, add_at
        host.ui.doubtfulLabel.connect("linkActivated(QString)", self.clicked)

    def show(self) -> None:
        """Show the places of the case in which no lesion is listed yet."""
        host, label = self._host, self._host.ui.doubtfulLabel
        volume = host.case.volume
        text = "" if volume is None else doubtful_html(host.case.doubtful, volume_geometry(volume))
        label.text = text
        label.setVisible(bool(text) and not host.ui.findingsSection.collapsed)

    def clicked(self, link: str) -> None:
        """Go to a place, or add a lesion there."""
        what, _, number = str(link).partition(":")
        places = self._host.case.doubtful
        if not number.isdecimal() or int(number) >= len(places):
            return
        point_ras = to_world(self._host.case.volume, places[int(number)].centre_lps)
        jump_to(slicer.mrmlScene, point_ras, centred=False)
        if what == ADD:
            self._add_at(point_ras)
