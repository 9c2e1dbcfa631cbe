"""The architecture's rules about who may import whom, read from the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "LiverLesionAI" / "LiverLesionAILib"
MODULE = LIBRARY.parent / "LiverLesionAI.py"
SOURCES = sorted(LIBRARY.rglob("*.py"))

WITH_TORCH = (
    "stages/inference.py",
    "stages/explain.py",
    "stages/detect.py",
    "stages/explain_boxes.py",
    "stages/volumetric.py",
    "stages/explain_volumetric.py",
    "stages/classify.py",
    "stages/classify_case.py",
    "stages/liver_slices.py",
)
"""Import torch when loaded; imported themselves inside functions only, or by one another."""

CARRIED = {"numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "pydicom", "torch"}
"""What inference may use: torch and what Slicer carries."""

EXTRAS = {"matplotlib", "tensorboard"}
"""What training, evaluation and drawing sheets for people may use besides."""

SHEETS = {"lesion_sheet.py", "contact_sheet.py"}
"""Draw sheets of synthetic cases for people who work on the synthesis; no inference."""

DESKTOP = {"qt", "ctk", "PyTorchUtils"}
"""Parts of the Slicer desktop."""

# From the data up; a room may import from rooms below, or of its own level if they do not import it back.
LEVELS = tuple(
    set(rooms.split())
    for rooms in (
        "__init__ errors progress steps geometry files colours inputs masks raster networks",
        "resampling ct",
        "findings checking handover nrrd terminology mask_crops case_attributes",
        "reading case_json case_files device computer weights synthesis stages",
        "pipeline",
        "mask_file markups mrb picture_slices picture_3d picture_3d_child pictures reports worker "
        "scene scene_apply scene_file scene_geometry scene_nodes scene_prepare scene_read scene_report "
        "scene_segments "
        "scene_tree surfaces",
        "case_folder panel training evaluation",
        "cli",
    )
)
"""Every file or folder of the library in its place."""


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


def rooms_used() -> dict[str, dict[str, str]]:
    """For each room the others that it imports, with one place where it does."""
    used: dict[str, dict[str, str]] = {room_of(path): {} for path in SOURCES}
    for path in SOURCES:
        for name, line in imports(path):
            if name.startswith("LiverLesionAILib."):
                other = name.split(".")[1].replace("__version__", "__init__")
                if other != room_of(path):
                    used[room_of(path)].setdefault(other, f"{path.relative_to(LIBRARY)}:{line}")
    return used


def test_every_room_has_its_level() -> None:
    placed = [room for rooms in LEVELS for room in rooms]
    assert len(placed) == len(set(placed))
    assert {room_of(path) for path in SOURCES} == set(placed), "say in LEVELS where a new room belongs"


def test_rooms_import_downwards() -> None:
    level = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
    wrong = [
        f"{where} imports {other}"
        for room, others in rooms_used().items()
        for other, where in others.items()
        if level[other] > level[room]
    ]
    assert wrong == []


def test_no_rooms_import_each_other_in_a_ring() -> None:
    left = {room: set(others) for room, others in rooms_used().items()}
    while free := {room for room, others in left.items() if not others & set(left)}:
        left = {room: others for room, others in left.items() if room not in free}
    assert left == {}


def test_only_the_command_line_starts_training_and_evaluation() -> None:
    wrong = [
        f"{where} imports {other}"
        for room, others in rooms_used().items()
        for other, where in others.items()
        if (other == "training" and room not in {"cli", "evaluation"})
        or (other == "evaluation" and room != "cli")
    ]
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
            slicer = top == "slicer" or top.startswith(("MRML", "vtkSegmentation", "vtkMRML"))
            if (slicer and not room.startswith("scene") and room != "panel") or (
                top in DESKTOP and room != "panel"
            ):
                wrong.append(f"{path.relative_to(LIBRARY)}:{line} imports {top}")
    assert wrong == []


def test_torch_is_imported_late_where_slicer_loads_the_module() -> None:
    loaded = [MODULE, *(p for p in SOURCES if room_of(p) not in {"networks", "training"})]
    wrong = [
        f"{path.name}:{line}"
        for path in loaded
        for name, line in imports(path, top_level_only=True)
        if name.split(".")[0] == "torch"
        and (path == MODULE or path.relative_to(LIBRARY).as_posix() not in WITH_TORCH)
    ]
    assert wrong == []


@pytest.mark.parametrize("late", WITH_TORCH)
def test_modules_that_need_torch_are_imported_late(late: str) -> None:
    wrong = [
        f"{path.relative_to(LIBRARY)}:{line}"
        for path in SOURCES
        if path.relative_to(LIBRARY).as_posix() not in WITH_TORCH and room_of(path) != "training"
        for name, line in imports(path, top_level_only=True)
        if name == f"LiverLesionAILib.{late[:-3].replace('/', '.')}"
    ]
    assert wrong == []


def test_inference_uses_only_torch_and_what_slicer_carries() -> None:
    wrong = []
    for path in [MODULE, *SOURCES]:
        room = "panel" if path == MODULE else room_of(path)
        allowed = CARRIED | set(sys.stdlib_module_names) | {"LiverLesionAILib", "slicer"}
        if room == "panel":
            allowed |= DESKTOP
        if room in {"training", "evaluation"} or path.name in SHEETS:
            allowed |= EXTRAS
        for name, line in imports(path):
            if name.split(".")[0] not in allowed:
                wrong.append(f"{path.name}:{line} imports {name}")
    assert wrong == []


def test_extras_are_imported_late() -> None:
    """The `train` and `evaluate` commands can then say what is missing instead of a traceback."""
    wrong = [
        f"{path.relative_to(LIBRARY)}:{line} imports {name}"
        for path in SOURCES
        if path.name not in SHEETS
        for name, line in imports(path, top_level_only=True)
        if name.split(".")[0] in EXTRAS
    ]
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
