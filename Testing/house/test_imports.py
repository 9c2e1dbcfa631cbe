"""The architecture's rules about who may import whom, read from the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parents[2] / "LiverLesionAI"
LIBRARY, LABORATORY = PACKAGES / "LiverLesionAILib", PACKAGES / "LiverLesionAILab"
MODULE = PACKAGES / "LiverLesionAI.py"
SOURCES = sorted(LIBRARY.rglob("*.py"))
LAB_SOURCES = sorted(LABORATORY.rglob("*.py"))

WITH_TORCH = (
    "models/one_thread_each.py",
    "stages/segment/inference.py",
    "stages/segment/slice_network.py",
    "stages/explain/sfan.py",
    "stages/explain/cs_att.py",
    "stages/explain/health.py",
    "stages/explain/readings.py",
    "stages/explain/strip.py",
    "stages/explain/va.py",
    "stages/detect/click.py",
    "stages/detect/slice_boxes.py",
    "stages/detect/volumetric.py",
    "stages/classify/lesion_map.py",
    "stages/classify/lesions.py",
    "stages/classify/case.py",
    "stages/classify/families.py",
    "stages/detect/families.py",
    "stages/locate/families.py",
    "stages/anatomy/families.py",
    "stages/neighbours/families.py",
    "stages/segment/families.py",
    "stages/classify/liver_slices.py",
)
"""Import torch when loaded; imported themselves inside functions only, or by one another."""

CARRIED = {"numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "pydicom", "torch"}
"""What inference may use: torch and what Slicer carries."""

EXTRAS = {"matplotlib", "tensorboard"}
"""What the laboratory may use besides, imported late."""

FOR_OTHERS = {"highdicom", "jinja2", "reportlab", "PIL", "pyarrow"}
"""What results for others (DICOM objects, reports, tables) are written with, imported late; extras."""

CLUSTER = {"distributed"}
"""What many machines are reached by, imported late; an extra."""

SHEETS = {"lesion_sheet.py", "contact_sheet.py"}
"""Draw sheets of synthetic cases for people who work on the synthesis."""

DESKTOP = {"qt", "ctk", "PyTorchUtils"}
"""Parts of the Slicer desktop."""

FLOORS = tuple(
    set(rooms.split())
    for rooms in (
        "__init__ support networks",
        "volume models",
        "case reading",
        "stages pictures",
        "analysis scene",
        "review writing",
        "panel cli",
    )
)
"""The rooms of the library, from the ground up; a room imports from floors below, or of its own if that
does not import it back."""

LAB_FLOORS = ("__init__ synthesis metrics fuzz", "data", "training", "evaluation", "compare", "commands")
"""The rooms of the laboratory, from the ground up."""


def room_of(path: Path) -> str:
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return parts[0]


@cache
def parsed(path: Path) -> tuple[tuple[str, int, bool, bool], ...]:
    """(absolute module, line, whether when the file is loaded, whether for types alone) of every import."""
    package = path.relative_to(PACKAGES).parent.parts

    def names(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield ".".join((*base, node.module))
            else:
                yield from (".".join((*base, alias.name)) for alias in node.names)

    def walk(node: ast.AST, top: bool, types: bool) -> Iterator[tuple[str, int, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            yield from ((name, child.lineno, top, types) for name in names(child))
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from walk(child, top and not inside, types or typing)

    return tuple(walk(ast.parse(path.read_text(encoding="utf-8")), True, False))


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[tuple[str, int]]:
    """(absolute module, line) of the imports of a file that run."""
    return (
        (name, line) for name, line, top, types in parsed(path) if not types and (top or not top_level_only)
    )


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


def test_every_room_has_its_floor() -> None:
    placed = [room for rooms in FLOORS for room in rooms]
    assert len(placed) == len(set(placed))
    assert {room_of(path) for path in SOURCES} == set(placed), "say in FLOORS where a new room belongs"
    assert len(FLOORS) <= 7
    assert len(placed) - 1 <= 14


def test_rooms_import_downwards() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = [
        f"{where} imports {other}"
        for room, others in rooms_used().items()
        for other, where in others.items()
        if floor[other] > floor[room]
    ]
    assert wrong == []


def test_the_house_stays_calm() -> None:
    """Few arrows between rooms: a newcomer can hold them in mind."""
    arrows = sum(len(set(others) - {"__init__"}) for room, others in rooms_used().items())
    assert arrows <= 55


def test_no_rooms_import_each_other_in_a_ring() -> None:
    left = {room: set(others) for room, others in rooms_used().items()}
    while free := {room for room, others in left.items() if not others & set(left)}:
        left = {room: others for room, others in left.items() if room not in free}
    assert left == {}


def test_no_files_need_each_other_in_a_ring() -> None:
    """Nor by the types that they name: what two files need is a third's."""
    files = {
        ".".join(path.relative_to(PACKAGES).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (*SOURCES, *LAB_SOURCES)
    }
    needs = {
        module: {name for name, *_ in parsed(path) if name in files and name != module}
        for module, path in files.items()
    }
    TopologicalSorter(needs).prepare()


def test_the_laboratory_imports_downwards() -> None:
    floor = {room: number for number, rooms in enumerate(LAB_FLOORS) for room in rooms.split()}
    wrong = []
    for path in LAB_SOURCES:
        room = path.relative_to(LABORATORY).with_suffix("").parts[0]
        for name, line in imports(path):
            package, _, inside = name.partition(".")
            other = inside.split(".")[0]
            if package == "LiverLesionAILab" and other != room and floor[other] >= floor[room]:
                wrong.append(f"{path.relative_to(LABORATORY)}:{line} imports {other}")
    assert wrong == []


def test_the_product_never_imports_the_laboratory() -> None:
    wrong = [
        f"{path.relative_to(PACKAGES)}:{line}"
        for path in [MODULE, *SOURCES]
        for name, line in imports(path)
        if name.split(".")[0] == "LiverLesionAILab"
    ]
    assert wrong == []


def test_networks_know_tensors_only() -> None:
    allowed = {"networks"}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for path in (LIBRARY / "networks").rglob("*.py")
        for name, line in imports(path)
        if name.startswith("LiverLesionAILib.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_only_scene_review_and_panel_know_slicer_and_only_the_panel_knows_qt() -> None:
    wrong = []
    for path in SOURCES:
        room = room_of(path)
        for name, line in imports(path):
            top = name.split(".")[0]
            slicer = top == "slicer" or top.startswith(("MRML", "vtkSegmentation", "vtkMRML"))
            if (slicer and room not in {"scene", "review", "panel"}) or (top in DESKTOP and room != "panel"):
                wrong.append(f"{path.relative_to(LIBRARY)}:{line} imports {top}")
    assert wrong == []


def test_torch_is_imported_late_where_slicer_loads_the_module() -> None:
    loaded = [MODULE, *(p for p in SOURCES if room_of(p) != "networks")]
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
        if path.relative_to(LIBRARY).as_posix() not in WITH_TORCH
        for name, line in imports(path, top_level_only=True)
        if name == f"LiverLesionAILib.{late[:-3].replace('/', '.')}"
    ]
    assert wrong == []


def test_inference_uses_only_torch_and_what_slicer_carries() -> None:
    wrong = []
    for path in [MODULE, *SOURCES]:
        room = "panel" if path == MODULE else room_of(path)
        allowed = CARRIED | set(sys.stdlib_module_names) | {"LiverLesionAILib", "slicer", "SampleData"}
        if room == "panel":
            allowed |= DESKTOP
        if room == "writing":
            allowed |= FOR_OTHERS
        if path.name == "batch_cluster.py":
            allowed |= CLUSTER
        for name, line in imports(path):
            if name.split(".")[0] not in allowed:
                wrong.append(f"{path.name}:{line} imports {name}")
    assert wrong == []


def test_extras_are_imported_late() -> None:
    """The `train` and `evaluate` commands can then say what is missing instead of a traceback."""
    wrong = [
        f"{path.relative_to(PACKAGES)}:{line} imports {name}"
        for path in (*LAB_SOURCES, *SOURCES)
        if path.name not in SHEETS
        for name, line in imports(path, top_level_only=True)
        if name.split(".")[0] in EXTRAS | FOR_OTHERS | CLUSTER
    ]
    assert wrong == []


def test_the_product_never_imports_the_tests() -> None:
    helpers = {path.name for path in PACKAGES.parent.joinpath("Testing").iterdir() if path.is_dir()}
    helpers = (helpers - {"house"}) | {"Testing"}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for path in [MODULE, *SOURCES]
        for name, line in imports(path)
        if name.split(".")[0] in helpers
    ]
    assert wrong == []
