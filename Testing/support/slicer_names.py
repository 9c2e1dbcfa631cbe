"""Which names of the Slicer application module, form and stand-in use, and which of those are real.

``python Testing/slicer_names.py --write`` extracts what was read off a running Slicer
(``../shared/slicer_api/api.json``
or the file that the environment variable SLICER_API names) for exactly the names in use into
``slicer_names.json``, so that the check runs without that file too.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
ROOT = TESTING.parent
MODULE = ROOT / "LiverLesionAI"
LIBRARY = MODULE / "LiverLesionAILib"
API = Path(os.environ.get("SLICER_API", ROOT.parent / "shared" / "slicer_api" / "api.json"))
EXTRACT = TESTING / "support" / "slicer_names.json"
FORM = MODULE / "Resources" / "UI" / "LiverLesionAI.ui"
MODULES = ("qt", "ctk", "slicer", "slicer.app", "slicer.util", "slicer.modules")
PYTHON_MODULES = (
    "slicer.parameterNodeWrapper",
    "slicer.ScriptedLoadableModule",
    "slicer.i18n",
    "slicer.util",
)
# Objects of these classes come from calls, not from a name in the source.
REACHED = {"qt.QItemSelectionModel", "qt.QHeaderView", "qt.QAction", "qt.QObject", "qt.QWidget", "qt.QMenu"}
# Looked for at run time, with a way on where they are missing.
GUARDED = {("slicer.modules", "colors")}


def product_files() -> list[Path]:
    """Files of the product that know Slicer."""
    return [
        MODULE / "LiverLesionAI.py",
        *sorted(path for room in ("scene", "review", "panel") for path in (LIBRARY / room).rglob("*.py")),
    ]


def dotted_names(files: list[Path]) -> dict[str, set[str]]:
    """Module or class ("qt", "slicer.util", "qt.QTimer") -> names asked of it, as written in the source."""
    found: dict[str, set[str]] = {name: set() for name in (*MODULES, *PYTHON_MODULES)}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value)
                if owner in found or owner.split(".")[0] in ("qt", "ctk", "slicer"):
                    if "(" not in owner and "[" not in owner:
                        found.setdefault(owner, set()).add(node.attr)
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "slicer":
                found.setdefault(node.module, set()).update(alias.name for alias in node.names)
    return found


def attribute_names(files: list[Path]) -> set[str]:
    """Every name that stands after a dot, and the signals named in texts."""
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(")"):
                names.add(node.value.split("(")[0])
    return names


def form_classes() -> set[str]:
    """Widget classes of the form, as "qt.QLabel", "ctk.ctkSliderWidget", "slicer.qMRMLNodeComboBox"."""
    classes = {widget.get("class", "") for widget in ElementTree.parse(FORM).getroot().iter("widget")}
    return {_owner(name) for name in classes} | {"slicer.qMRMLWidget"}


def _owner(name: str) -> str:
    prefix = "ctk" if name.startswith("ctk") else "slicer" if name.startswith(("qMRML", "qSlicer")) else "qt"
    return f"{prefix}.{name}"


def stand_in_members() -> dict[str, set[str]]:
    """Class -> public names that the stand-in defines for it."""
    found = {}
    for path in (
        (TESTING / "support" / "slicer_desktop" / "ctk_widgets.py"),
        (TESTING / "support" / "slicer_desktop" / "mrml_widgets.py"),
    ):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.startswith(("ctk", "qMRML")):
                names = set()
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        names.add(item.name)
                    elif isinstance(item, ast.Assign):
                        names.update(t.id for t in item.targets if isinstance(t, ast.Name))
                found[_owner(node.name)] = {n for n in names if not n.startswith("_")}
    return found


def extract(api: dict) -> dict:
    """The part of the application's names that is in use, in the layout of slicer_names.json."""
    used = dotted_names(product_files())
    attributes = attribute_names(product_files())
    vtk_names = set(api["names"]["slicer.vtk*"])
    known = {name: set(api["names"].get(name, ())) for name in MODULES}
    known["slicer"] |= vtk_names
    for name in PYTHON_MODULES:
        known[name] = known.get(name, set()) | set(api["python_api"][name])
    modules = {name: sorted(used.get(name, set()) & real) for name, real in known.items()}
    wanted = form_classes() | REACHED | {f"{m}.{n}" for m in ("qt", "ctk", "slicer") for n in modules[m]}
    wanted |= set(stand_in_members())
    classes = {}
    for name in sorted(wanted):
        entry = api["classes"].get(name)
        if not isinstance(entry, dict):
            continue
        asked = attributes | stand_in_members().get(name, set()) | used.get(name, set())
        classes[name] = {
            "properties": sorted(asked & set(entry["properties"])),
            "callables": sorted(asked & set(entry["callables"])),
        }
    return {"version": api["version"], "modules": modules, "classes": classes}


def main() -> int:
    if "--write" not in sys.argv[1:]:
        print(__doc__)
        return 2
    content = extract(json.loads(API.read_text(encoding="utf-8")))
    EXTRACT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
