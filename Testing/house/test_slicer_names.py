"""Every name that the module, its form and the stand-in use exists in the real application (Slicer 5.8.1)."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest
from support import slicer_names
from support.desk import Desk, add_volume

KNOWN = json.loads(slicer_names.EXTRACT.read_text(encoding="utf-8"))


def test_the_extract_is_what_the_application_says():
    if not slicer_names.API.is_file():
        pytest.skip("the names read off a running Slicer are not here; the extract is used")
    api = json.loads(slicer_names.API.read_text(encoding="utf-8"))
    assert slicer_names.extract(api) == KNOWN, "run: python Testing/slicer_names.py --write"


@pytest.mark.parametrize("module", [*slicer_names.MODULES, *slicer_names.PYTHON_MODULES[:3]])
def test_names_of_modules_exist(module):
    used = slicer_names.dotted_names(slicer_names.product_files())[module]
    if module == "slicer":
        used -= {"modules", "util", "app", "mrmlScene"}
    missing = {
        name
        for name in used - set(KNOWN["modules"][module])
        if (module, name) not in slicer_names.GUARDED and not name.startswith("__")
    }
    assert not missing


def test_names_of_classes_exist():
    missing = []
    for owner, names in slicer_names.dotted_names(slicer_names.product_files()).items():
        if owner in KNOWN["classes"]:
            real = {*KNOWN["classes"][owner]["properties"], *KNOWN["classes"][owner]["callables"]}
            missing += [f"{owner}.{name}" for name in sorted(names - real)]
    assert not missing


def test_the_form_uses_classes_of_the_application():
    unknown = {name for name in slicer_names.form_classes() if name not in KNOWN["classes"]}
    # Not looked at one by one in the application, but in its list of names.
    assert unknown <= {"slicer.qMRMLWidget"}


def test_the_stand_in_invents_nothing():
    invented = []
    # Overridden virtual functions of QWidget, and what only tests call.
    own = {
        "paintEvent",
        "mousePressEvent",
        "childEvent",
        "eventFilter",
        "make_room",
        "alive",
        "EFFECTS",
        "answers",
        "exec_",
    }
    for name, members in slicer_names.stand_in_members().items():
        if name not in KNOWN["classes"]:
            continue
        real = {*KNOWN["classes"][name]["properties"], *KNOWN["classes"][name]["callables"]}
        invented += [f"{name}.{member}" for member in sorted(members - real - own)]
    assert not invented


def test_what_the_panel_asks_of_widgets_exists_and_is_asked_rightly():
    """Runs the panel and looks at every name it asked of every widget."""
    from support.slicer_desktop import pythonqt

    desk = Desk()
    try:
        add_volume()
        desk.turn()
        desk.analyze()
        desk.ui.nextButton.click()
        desk.turn()
    finally:
        desk.close()
    assert len(pythonqt.asked) > 50
    missing = []
    # PySide6 itself looks for overridden virtual functions; only what stands in the source counts.
    written = slicer_names.attribute_names(slicer_names.product_files())
    for name, attribute in sorted(pair for pair in pythonqt.asked if pair[1] in written):
        owner = slicer_names._owner(name)
        if owner not in KNOWN["classes"]:
            continue
        entry = KNOWN["classes"][owner]
        if attribute not in entry["properties"] and attribute not in entry["callables"]:
            missing.append(f"{owner}.{attribute}")
    assert not missing


def test_what_a_subclass_has_of_its_own_is_not_asked_of_qt(tmp_path, monkeypatch):
    """Set in a method, defined in the class, or Qt's: only the last is noted, also where it is not there."""
    from support.slicer_desktop import install, pythonqt

    install()
    monkeypatch.setattr(pythonqt, "PRODUCT", tmp_path)
    monkeypatch.setattr(pythonqt, "asked", set())
    source = tmp_path / "made_for_this_test.py"
    source.write_text(
        "import qt\n"
        "class Mine(qt.QObject):\n"
        "    there = 1\n"
        "    def fill(self):\n"
        "        self.later = 2\n"
        "def ask(mine):\n"
        "    return [getattr(mine, name, None) for name in ('there', 'later', 'objectName', 'nothing')]\n"
    )
    spec = importlib.util.spec_from_file_location("made_for_this_test", source)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert module.ask(module.Mine()) == [1, None, "", None]
    assert pythonqt.asked == {("QObject", "objectName"), ("QObject", "nothing")}
