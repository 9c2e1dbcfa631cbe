"""The architecture's rules about who may import whom, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "LiverLesionAI" / "LiverLesionAILib"
MODULE = LIBRARY.parent / "LiverLesionAI.py"
SOURCES = sorted(LIBRARY.rglob("*.py"))

CARRIED = {"numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "pydicom", "torch", "requests"}
"""What inference may use: torch and what Slicer carries."""

EXTRAS = {
    "matplotlib",
    "monai",
    "skimage",
    "sklearn",
    "highdicom",
    "tensorboard",
    "hypothesis",
    "nrrd",
    "PIL",
}

# From the data up; a room may import from rooms on its own level or below.
LEVELS = (
    {"errors", "progress", "geometry", "files"},
    {"resampling", "masks", "inputs"},
    {"ct", "findings", "checking"},
    {"networks", "reading", "case_json", "case_files", "device", "weights", "synthesis"},
    {"stages"},
    {"pipeline"},
)


def room_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return parts[0]


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[tuple[str, int]]:
    """(absolute or library-relative module, line); names under TYPE_CHECKING do not run and are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("LiverLesionAILib", *path.relative_to(LIBRARY).parent.parts) if LIBRARY in path.parents else ()

    def walk(node: ast.AST, top: bool) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import) and (top or not top_level_only):
                yield from ((alias.name, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and (top or not top_level_only):
                if not child.level:
                    yield child.module or "", child.lineno
                else:
                    base = package[: len(package) - child.level + 1]
                    if child.module:
                        yield ".".join((*base, child.module)), child.lineno
                    else:
                        yield from ((".".join((*base, alias.name)), child.lineno) for alias in child.names)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, top and not inside)

    yield from walk(tree, True)


def test_the_rooms_below_the_pipeline_import_downwards() -> None:
    level = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    wrong = []
    for path in SOURCES:
        room = room_of(path)
        if room not in level:
            continue
        for name, line in imports(path):
            if not name.startswith("LiverLesionAILib."):
                continue
            other = name.split(".")[1]
            if other == "__version__":
                continue
            if level.get(other, 99) > level[room]:
                wrong.append(f"{path.relative_to(LIBRARY)}:{line} imports {other}")
    assert wrong == []


def test_networks_know_tensors_only() -> None:
    allowed = {"networks"}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for path in (LIBRARY / "networks").glob("*.py")
        for name, line in imports(path)
        if name.startswith("LiverLesionAILib.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_only_scene_and_panel_know_slicer_and_only_the_panel_knows_qt() -> None:
    wrong = []
    for path in SOURCES:
        room = room_of(path)
        for name, line in imports(path):
            top = name.split(".")[0]
            if (top == "slicer" and not room.startswith("scene") and room != "panel") or (
                top in {"qt", "ctk", "PySide6"} and (room != "panel" or top == "PySide6")
            ):
                wrong.append(f"{path.relative_to(LIBRARY)}:{line} imports {top}")
    assert wrong == []


def test_torch_is_imported_late_where_slicer_loads_the_module() -> None:
    loaded = [MODULE, *(p for p in SOURCES if room_of(p) not in {"networks", "training"})]
    eager = {"stages/inference.py", "stages/explain.py"}  # themselves imported inside functions only
    wrong = [
        f"{path.name}:{line}"
        for path in loaded
        for name, line in imports(path, top_level_only=True)
        if name.split(".")[0] == "torch"
        and (path == MODULE or path.relative_to(LIBRARY).as_posix() not in eager)
    ]
    assert wrong == []


@pytest.mark.parametrize("late", ["stages.inference", "stages.explain"])
def test_modules_that_need_torch_are_imported_late(late: str) -> None:
    wrong = [
        f"{path.relative_to(LIBRARY)}:{line}"
        for path in SOURCES
        for name, line in imports(path, top_level_only=True)
        if name == f"LiverLesionAILib.{late}"
    ]
    assert wrong == []


def test_inference_uses_only_torch_and_what_slicer_carries() -> None:
    wrong = []
    for path in SOURCES:
        room = room_of(path)
        if room in {"training", "evaluation", "panel"}:
            continue
        # Drawing sheets for people is no inference, and slicer-core is Slicer itself.
        if path.name in {"lesion_sheet.py", "contact_sheet.py"}:
            continue
        for name, line in imports(path):
            if name.split(".")[0] in EXTRAS:
                wrong.append(f"{path.relative_to(LIBRARY)}:{line} imports {name}")
    assert wrong == []


def test_the_product_never_imports_the_tests() -> None:
    helpers = {path.stem for path in Path(__file__).parent.glob("*.py")} | {"slicer_desktop", "Testing"}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for path in [MODULE, *SOURCES]
        for name, line in imports(path)
        if name.split(".")[0] in helpers
    ]
    assert wrong == []
