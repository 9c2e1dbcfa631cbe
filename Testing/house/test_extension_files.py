"""What an installed extension holds.

CMake lists, form, icons, and that nothing heavy loads with the module.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from support import cmake_lists

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LiverLesionAI"
FORM = MODULE / "Resources" / "UI" / "LiverLesionAI.ui"

CMAKE_TEXT = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [cmake_lists.SCRIPTS, cmake_lists.RESOURCES])
def test_every_file_is_listed_and_every_listed_file_exists(name):
    listed = cmake_lists.listed(cmake_lists.CMAKE.read_text(encoding="utf-8"))[name]
    assert listed == cmake_lists.wanted()[name], "run: python Testing/support/cmake_lists.py --write"


def test_the_extension_says_what_the_catalogue_needs():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for word in (
        "project(LiverLesionAI)",
        "EXTENSION_HOMEPAGE",
        "EXTENSION_CONTRIBUTORS",
        "EXTENSION_DESCRIPTION",
        "EXTENSION_ICONURL",
        "EXTENSION_SCREENSHOTURLS",
        'EXTENSION_DEPENDS "PyTorch"',
        "find_package(Slicer REQUIRED)",
        "${Slicer_EXTENSION_GENERATE_CONFIG}",
        "${Slicer_EXTENSION_CPACK}",
    ):
        assert word in text, word
    icon = (ROOT / "LiverLesionAI.png").read_bytes()
    assert icon[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(icon[16:20], "big") == int.from_bytes(icon[20:24], "big") == 128


def test_a_prior_is_an_earlier_scan_and_nothing_else():
    """How often a class is met is its pre-test probability: a reader's prior is the scan of last time."""
    root = ElementTree.parse(FORM).getroot()
    shown = [one.text or "" for one in root.iter("string") if " " in (one.text or "").strip()]
    priors = [text for text in shown if re.search(r"\bpriors?\b", text, re.IGNORECASE)]
    assert priors and all(re.search(r"\bscan|YYYY|only the prior", text) for text in priors), priors


def test_every_button_of_the_form_has_a_tooltip_and_no_name_twice():
    root = ElementTree.parse(FORM).getroot()
    names = [widget.get("name") for widget in root.iter("widget")]
    assert len(names) == len(set(names))
    silent = []
    for widget in root.iter("widget"):
        properties = {p.get("name"): (p.findtext("string") or "") for p in widget.findall("property")}
        if widget.get("class") in ("QPushButton", "QToolButton", "QCheckBox", "QComboBox", "ctkSliderWidget"):
            if not properties.get("toolTip"):
                silent.append(widget.get("name"))
    assert not silent


def test_the_form_binds_every_parameter_once():
    pytest.importorskip("PySide6")
    from support import slicer_desktop

    slicer_desktop.install()
    from LiverLesionAILib.panel.parameters import PanelParameters

    root = ElementTree.parse(FORM).getroot()
    bound = [p.findtext("string") for p in root.iter("property") if p.get("name") == "SlicerParameterName"]
    assert len(bound) == len(set(bound))
    # These follow from what is in the scene, so their widgets are filled by hand.
    by_hand = {"classFilter", "mapName", "selectedSegment", "allHidden", "thresholdSet"}
    by_hand |= {"segmenter", "detector", "classifier"}
    assert set(bound) | by_hand == set(PanelParameters.allParameters)
    assert not set(bound) & by_hand


def test_every_icon_that_is_asked_for_exists():
    source = "".join(
        path.read_text(encoding="utf-8") for path in (MODULE / "LiverLesionAILib" / "panel").rglob("*.py")
    )
    icons = {path.stem for path in (MODULE / "Resources" / "Icons").glob("*.png")}
    unused = [
        name for name in icons - {"LiverLesionAI"} if f'"{name.removesuffix("Selected")}"' not in source
    ]
    assert not unused


def test_opening_the_module_imports_no_torch():
    """In a fresh process: module, panel and form, as the application opens them."""
    pytest.importorskip("PySide6")
    script = (
        "import sys\n"
        "from support import desk\n"
        "d = desk.Desk()\n"
        "heavy = [m for m in ('torch', 'monai', 'matplotlib', 'skimage') if m in sys.modules]\n"
        "d.close()\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    path = os.pathsep.join([str(MODULE), str(ROOT / "Testing")])
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


def test_help_links_lead_to_files_of_the_repository():
    text = (ROOT / "LiverLesionAI" / "LiverLesionAI.py").read_text(encoding="utf-8")
    assert 'HOMEPAGE = "' + re.search(r'EXTENSION_HOMEPAGE "([^"]+)"', CMAKE_TEXT).group(1) + '"' in text
    targets = re.findall(r"\{HOMEPAGE\}/blob/main/([^\"]+)\"", text)
    assert "Resources/TUTORIAL.md" in targets
    for target in targets:
        assert (ROOT / target).is_file(), target
    for word in ("cite", "Zhang", "Ronneberger", "CC BY-SA 4.0", "contributors"):
        assert word in text, word


def test_the_papers_of_every_bundled_network_are_named():
    from LiverLesionAILib.models.weights import MEAN, Manifest

    module = (ROOT / "LiverLesionAI" / "LiverLesionAI.py").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z]\w+", " ".join(re.findall(r"<li>([\w, ]+):", module))))
    networks = {entry.network for entry in Manifest.read().entries} - {MEAN}
    assert networks <= named


def test_the_tutorial_shows_pictures_and_names_keys_that_work():
    tutorial = (ROOT / "Resources" / "TUTORIAL.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)", tutorial):
        assert (ROOT / "Resources" / target).exists(), target
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "LiverLesionAI" / "LiverLesionAILib" / "panel").rglob("*.py")
    )
    for row in re.findall(
        r"^\| (?:Accept|Add|Merge|Split|Outline|Undo|Hide|What).*?\| (.*?) \|", tutorial, re.M
    ):
        for key in row.split(", "):
            assert f'"{key}": ' in source, key
