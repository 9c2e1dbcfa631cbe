"""A stage's lines of the page of rules, for tests that run a stage by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from LiverLesionAILib.analysis.rules import Rules

Part = TypeVar("Part")


def of_page(cls: type[Part], **changes: Any) -> Part:
    """The page's lines for a stage, some of them changed."""
    return replace(Rules().part(cls), **changes)  # type: ignore[type-var]
