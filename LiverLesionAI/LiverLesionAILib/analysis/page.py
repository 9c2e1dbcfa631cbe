"""What a page of rules can do.

Lines with unit, reason and evidence, overrides with their source, parts for stages, plain types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, TypeVar, get_type_hints

from ..models.weights import ModelEntry
from ..support.errors import InputError
from .settings import Settings

Part = TypeVar("Part")
Self = TypeVar("Self", bound="Page")


def rule(
    value: Any,
    unit: str,
    why: str,
    evidence: str,
    *,
    calibrated: str = "",
    setting: str = "",
    fixed: bool = False,
) -> Any:
    """A line of the page.

    Args:
        unit: of the value; what a share is a share of.
        evidence: "FILE::TEST", a command, or a page with figures; several parted by "; "; or "none: " and
            what is known.
        calibrated: "TASK KEY" of a model's calibration that overrides it.
        setting: name in :class:`~.settings.Settings` that overrides it.
        fixed: nobody may change it: networks were trained with it, or CTs are checked by it before there are
            rules.
    """
    about = {"unit": unit, "why": why, "evidence": evidence}
    return field(
        default=value, metadata={**about, "calibrated": calibrated, "setting": setting, "fixed": fixed}
    )


@dataclass(frozen=True)
class Line:
    """A line of the page as it is printed.

    Attributes:
        set_by: a model's calibration or the user; "" for the page itself.
        heading: of the lines that begin here, "" where none does.
    """

    name: str
    value: Any
    unit: str
    why: str
    evidence: str
    set_by: str
    heading: str = ""


@dataclass(frozen=True)
class Page:
    """Rules; those who derive from it write the lines.

    Attributes:
        HEADINGS: first rule of a group -> its heading.
        set_by: rule -> who changed it.
    """

    HEADINGS: ClassVar[Mapping[str, str]] = {}

    set_by: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @classmethod
    def known(cls) -> dict[str, Field[Any]]:
        """The page's lines by name, in its order."""
        return {line.name: line for line in fields(cls) if "unit" in line.metadata}

    @property
    def lines(self) -> tuple[Line, ...]:
        """The page as it stands."""
        return tuple(
            Line(
                name,
                getattr(self, name),
                line.metadata["unit"],
                line.metadata["why"],
                line.metadata["evidence"],
                self.set_by.get(name, ""),
                self.HEADINGS.get(name, ""),
            )
            for name, line in self.known().items()
        )

    def changed(self: Self, values: Mapping[str, Any], by: str) -> Self:
        """The rules with other values, and who set them.

        Raises:
            InputError: there is no rule of that name, or nobody may change it.
        """
        known = self.known()
        for name, value in values.items():
            if name not in known:
                raise InputError(f"There is no rule {name!r}. `liverlesionai rules` prints those there are.")
            if known[name].metadata["fixed"] and value != getattr(self, name):
                raise InputError(
                    f"The rule {name} cannot be changed: networks were trained with it, or it was "
                    "obeyed before there are rules."
                )
        return replace(self, **values, set_by={**self.set_by, **dict.fromkeys(values, by)})

    def calibrated(self: Self, entry: ModelEntry) -> Self:
        """The rules with what was fitted for a model."""
        found = {}
        for name, line in self.known().items():
            task, _, key = line.metadata["calibrated"].partition(" ")
            if task == entry.task and key in entry.calibration:
                found[name] = float(entry.calibration[key])
        return self.changed(found, f"calibration of {entry.name}")

    def fitted(self: Self, calibration: Mapping[str, float], cls: type[Any]) -> Self:
        """The rules of one part with what was fitted for a model; see :meth:`part`."""
        prefix, found = getattr(cls, "PREFIX", ""), {}
        for line in fields(cls):
            known = self.known().get(prefix + line.name)
            key = "" if known is None else known.metadata["calibrated"].partition(" ")[2]
            if key in calibration:
                found[prefix + line.name] = float(calibration[key])
        return self.changed(found, "calibration")

    def chosen(self: Self, settings: Settings) -> Self:
        """The rules with what the user set."""
        wanted = {
            name: getattr(settings, line.metadata["setting"])
            for name, line in self.known().items()
            if line.metadata["setting"]
        }
        # The panel hands over what it shows, also where that is the page's own value.
        other = {k: value for k, value in wanted.items() if value not in (None, getattr(self, k))}
        return self.changed(other, "the user")

    def part(self, cls: type[Part]) -> Part:
        """A stage's lines: a dataclass whose fields are called as the rules are, after its `PREFIX`.

        Fields that are such dataclasses themselves are filled alike.
        """
        prefix, kinds = getattr(cls, "PREFIX", ""), get_type_hints(cls)
        return cls(
            **{
                line.name: self.part(kinds[line.name])
                if is_dataclass(kinds[line.name])
                else getattr(self, prefix + line.name)
                for line in fields(cls)  # type: ignore[arg-type]
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Rule -> value, plain types."""
        return {name: _plain(getattr(self, name)) for name in self.known()}

    @classmethod
    def from_json(cls: type[Self], values: Mapping[str, Any], by: str) -> Self:
        """The way back from :meth:`to_json`; `by`: whose rules they are.

        Raises:
            InputError: a rule is missing, or one is unknown.
        """
        missing = [name for name in cls.known() if name not in values]
        if missing:
            raise InputError(f"{by} lacks the rules {', '.join(missing)}: another version wrote it.")
        return cls().changed({name: _frozen(value) for name, value in values.items()}, by)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
