"""What a newcomer looks for is written once, in the room where one would look first."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

EXTENSION = Path(__file__).resolve().parents[2] / "LiverLesionAI"
LIB, LAB = "LiverLesionAILib", "LiverLesionAILab"

PLACES = {
    "a mask's bounding box": (
        r"any\(axis=tuple\(|flatnonzero\(\w+\.any\(axis=1\)\), np\.flatnonzero\(|argwhere\(.*\)\.min\(",
        {
            f"{LIB}/volume/masks.py": "the place",
            f"{LIB}/networks/parts/gradients.py": "of a plane, and volume is above networks",
        },
    ),
    "the pieces of a mask": (
        r"\b(?:ndimage|ndi)\.label\(",
        {
            f"{LIB}/volume/masks.py": "the place",
            f"{LIB}/networks/parts/gradients.py": "of a plane, and volume is above networks",
            f"{LIB}/pictures/slice_views.py": "of a plane",
            f"{LAB}/evaluation/set_models.py": "of a plane",
            f"{LAB}/synthesis/lesion_sheet.py": "of a plane",
            f"{LAB}/training/detection.py": "of a plane",
            f"{LAB}/training/gallbladder_cases.py": "of a plane",
            f"{LAB}/training/slabs.py": "of a plane",
        },
    ),
    "Dice of two masks": (
        r"\b2(?:\.0)? ?\* ?[^,]*(?: & |logical_and|true_positive)",
        {f"{LIB}/volume/overlap.py": "the place"},
    ),
    "LPS turned into RAS": (
        r"-1(?:\.0)?, ?-1(?:\.0)?, ?1",
        {
            f"{LIB}/volume/geometry.py": "the place",
            f"{LIB}/reading/nrrd.py": "a table of the words that a file names its space by",
            f"{LAB}/fuzz/writers.py": "files that check the reader are written without its code",
        },
    ),
    "a file replaced as a whole": (
        r"os\.(?:replace|rename)\(|\w\.rename\(|(?:source|temporary|beside|path)\.replace\(\w+\)",
        {f"{LIB}/support/files.py": "the place"},
    ),
}
"""What is looked for -> (how its code looks, files that may hold it and why)."""


@cache
def sources() -> dict[str, str]:
    """File -> its code without comments and docstrings, one statement a line."""
    return {
        path.relative_to(EXTENSION).as_posix(): ast.unparse(
            _bare(ast.parse(path.read_text(encoding="utf-8")))
        )
        for path in sorted(EXTENSION.rglob("*.py"))
    }


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)] or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("what", PLACES)
def test_it_is_written_in_one_place(what: str) -> None:
    pattern, places = PLACES[what]
    found = {file for file, code in sources().items() if re.search(pattern, code)}
    assert found == set(places), "use the place's function, or say why not; a place without it is no place"


def test_one_class_for_one_thing() -> None:
    """The words of the domain are each one class of the product."""
    wanted = {"Lesion", "LesionClass", "Phase", "LesionStatus", "LesionSource", "Mask", "CaseResult", "Rules"}
    homes: dict[str, list[str]] = {name: [] for name in wanted}
    for file, code in sources().items():
        for name in re.findall(r"^class (\w+)", code, re.MULTILINE):
            if file.startswith(LIB) and name in wanted:
                homes[name].append(file)
    assert {name for name, files in homes.items() if len(files) != 1} == set(), homes
