"""What the panel lets the reader choose from. Names are saved in scenes: never rename a member."""

from __future__ import annotations

from enum import Enum

from ..analysis.class_priors import SETTINGS, ClassPriors
from ..case.classes import Phase
from ..case.findings import LesionStatus


class Labelled(Enum):
    """An enum whose members are shown with a text of their own."""

    def label(self) -> str:
        """Text in the list."""
        return self.value


class Device(Labelled):
    """Where the networks run."""

    AUTO = "Automatic"
    CPU = "CPU"
    CUDA = "GPU (CUDA)"

    @property
    def setting(self) -> str:
        """Value of the pipeline's `device` setting."""
        return self.name.lower()


class Precision(Labelled):
    """Numbers the networks compute with."""

    AUTO = "Automatic"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @property
    def setting(self) -> str:
        """Value of the pipeline's `precision` setting."""
        return self.name.lower()


class SizeFilter(Labelled):
    """Long axis of the lesions that are listed."""

    ALL = "All sizes"
    FROM_5 = "≥ 5 mm"
    FROM_10 = "≥ 10 mm"
    FROM_20 = "≥ 20 mm"
    BELOW_10 = "< 10 mm"

    def accepts(self, long_axis_mm: float) -> bool:
        """Whether a lesion of this long axis is listed; one without measurement always is."""
        if long_axis_mm != long_axis_mm or self is SizeFilter.ALL:
            return True
        if self is SizeFilter.BELOW_10:
            return long_axis_mm < 10
        return long_axis_mm >= float(self.name.split("_")[1])


class StatusFilter(Labelled):
    """Status of the lesions that are listed."""

    ALL = "All"
    OPEN = "To review"
    KEPT = "Not rejected"
    ACCEPTED = "Accepted"
    EDITED = "Edited"
    REJECTED = "Rejected"
    NOT_LIVER = "Not liver"
    TREATED = "Treated"

    def accepts(self, status: LesionStatus, edited: bool) -> bool:
        """Whether a lesion of which the reader has decided this is listed."""
        return {
            StatusFilter.ALL: True,
            StatusFilter.OPEN: status is LesionStatus.UNDECIDED,
            StatusFilter.KEPT: status.counts,
            StatusFilter.EDITED: edited,
        }.get(self, status.value == self.name.lower())


class CtPhase(Labelled):
    """Contrast phase of the CT itself."""

    ESTIMATED = "as it looks"
    UNENHANCED = "unenhanced"
    ARTERIAL = "arterial"
    PORTAL = "portal venous"
    DELAYED = "delayed"

    @property
    def phase(self) -> Phase | None:
        """As named; None leaves it to the estimate."""
        return None if self is CtPhase.ESTIMATED else Phase[self.name]

    @classmethod
    def of(cls, phase: Phase | None) -> CtPhase:
        """The choice of a phase; as it looks for None."""
        return cls.ESTIMATED if phase is None else cls[phase.name]


class ClassSetting(Labelled):
    """Whose lesions these are: how often each class is met."""

    STAGING = "Known cancer (staging)"
    INCIDENTAL = "No known disease"
    AT_RISK = "At risk of HCC"
    EVEN = "All classes alike"

    @property
    def stated(self) -> ClassPriors:
        """The shares with their sources; see :mod:`~..analysis.class_priors`."""
        return SETTINGS[self.name.lower().replace("_", " ")]

    @property
    def priors(self) -> tuple[tuple[str, float], ...]:
        """Class -> share."""
        return self.stated.shares

    @property
    def text(self) -> str:
        """The shares for the reader, the commonest class first; looks of one class together."""
        shares = dict(self.priors)
        shares["benign other"] = sum(shares.pop(look) for look in ("benign", "sparing", "perfusion"))
        return ", ".join(f"{name} {p:.2f}" for name, p in sorted(shares.items(), key=lambda one: -one[1]))

    @property
    def tip(self) -> str:
        """The series that were counted, and why the rest is assumed."""
        lines = [f"{one.citation} ({one.place}): {one.counted}." for one in self.stated.series]
        lines += [f"Assumed, {name}: {why}." for name, (_, why) in self.stated.assumed.items()]
        return "\n".join(lines)


class MaskStyle(Labelled):
    """How masks are drawn in slice views."""

    BOTH = "Both"
    OUTLINE = "Outline"
    FILL = "Fill"


class MapColours(Labelled):
    """Colour tables for maps; `node_id` exists in every Slicer."""

    IRON = "Iron"
    INFERNO = "Inferno"
    VIRIDIS = "Viridis"
    RAINBOW = "Rainbow"
    GREY = "Grey"

    @property
    def node_ids(self) -> tuple[str, ...]:
        """IDs of the colour node, the best one first; a bare scene has only the last."""
        return {
            MapColours.IRON: ("vtkMRMLColorTableNodeIron",),
            MapColours.INFERNO: ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeIron"),
            MapColours.VIRIDIS: ("vtkMRMLColorTableNodeFileViridis.txt", "vtkMRMLColorTableNodeOcean"),
            MapColours.RAINBOW: ("vtkMRMLColorTableNodeRainbow",),
            MapColours.GREY: ("vtkMRMLColorTableNodeGrey",),
        }[self]
