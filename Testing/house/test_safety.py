"""The page of hazards names tests that exist, and the entry of the Extensions Index is what it asks for."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "Resources" / "SAFETY.md").read_text(encoding="utf-8")
HAZARDS = PAGE.split("## Hazards")[1].split("\n## ")[0]
ENTRY = ROOT / "Resources" / "ExtensionsIndex" / "LiverLesionAI.json"
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


def hazard_rows() -> list[list[str]]:
    rows = [line.strip("|").split(" | ") for line in HAZARDS.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_control_names_a_test_that_exists() -> None:
    rows = hazard_rows()
    assert len(rows) >= 15
    for row in rows:
        assert len(row) == 5, row
        control, named = row[3], re.findall(r"`(Testing/[\w/]+\.py)::(\w+)`", row[4])
        assert control and row[1] in "123", row
        assert named, f"no test holds: {control}"
        for file, function in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert function in names, f"{file}::{function}"


def test_the_software_of_others_is_what_is_required() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r"^dependencies = \[(.*)\]$", project, re.MULTILINE).group(1)
    asked = dict(re.findall(r'"([A-Za-z]+)([^"]*)"', required))
    rows = re.findall(
        r"^\| (\w+) \| ([^|]*) \| [^|]* \| [^|]* \|$", PAGE.split("## Software")[1], re.MULTILINE
    )
    listed = {name: versions for name, versions in rows if name != "software"}
    assert listed == asked


def field(name: str) -> str:
    return re.search(rf'EXTENSION_{name} "([^"]*)"', CMAKE).group(1)


def test_the_entry_is_what_the_index_asks_for() -> None:
    """The index's rules for an entry: required and known keys, their types, one of three tiers."""
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert ENTRY.stem == re.search(r"project\((\w+)\)", CMAKE).group(1)
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert set(entry) <= {
        "$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies",
        "build_subdirectory", "enabled", "tier",
    }  # fmt: skip
    assert re.search(r"slicer-extension-catalog-entry-schema-v\d+\.\d+\.\d+\.json#?$", entry["$schema"])
    assert entry["tier"] in (1, 3, 5)
    assert entry["scm_url"].removesuffix(".git") == field("HOMEPAGE")
    assert entry["build_dependencies"] == field("DEPENDS").split()
    module = (ROOT / "LiverLesionAI" / "LiverLesionAI.py").read_text(encoding="utf-8")
    assert f'parent.categories = ["{entry["category"]}"]' in module


def test_the_extension_has_what_reviewers_of_the_index_look_for() -> None:
    """Their checklist, as far as files show it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"!\[[^]]*\]\([^)]*\.png\)", readme), "a screenshot in the README"
    assert "licen" in readme.lower()
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert 60 < len(field("DESCRIPTION")) < 400
    assert field("CONTRIBUTORS")
    assert len(field("SCREENSHOTURLS").split()) >= 1
    assert not re.search(r"ExternalProject|find_package\((?!Slicer)|add_library|add_executable", CMAKE), (
        "no build"
    )
    for room in ("LiverLesionAI", "Testing", "Resources"):
        assert not list((ROOT / room).rglob("*.[ch]pp"))
    names = [path.name for path in ROOT.iterdir() if not path.name.startswith(".")]
    assert not any(name.startswith("Slicer") for name in names), "no name begins with Slicer"


@pytest.mark.parametrize("address", re.findall(r"https?://[^\s\")]+", CMAKE))
def test_addresses_are_of_the_repository(address: str) -> None:
    owner = field("HOMEPAGE").removeprefix("https://github.com/")
    assert owner in address
