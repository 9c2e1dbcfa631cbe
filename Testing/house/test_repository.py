"""What may be in the repository: its top level, sizes, no machine's paths, the README's promises."""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from LiverLesionAILib.cli.main import build_parser
from LiverLesionAILib.cli.tools import tools

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).exists()]


def test_top_level_is_fixed() -> None:
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    allowed = {"CMakeLists.txt", "LiverLesionAI", "Resources", "Testing", "README.md", "LiverLesionAI.png"}
    assert {n for n in names if not n.startswith(".")} == allowed | {"LICENSE", "pyproject.toml"}


def test_no_large_files_and_little_weight() -> None:
    sizes = {path: path.stat().st_size for path in tracked()}
    assert sum(size for path, size in sizes.items() if path.suffix == ".pt") < 25e6
    assert max(sizes.values()) < 6e6
    assert sum(sizes.values()) < 40e6


def test_no_machine_paths_or_package_hosts() -> None:
    homes = "|".join(("work", "home", "root", "tmp"))
    paths = rf"(?<![\w.])/(?:{homes})/[A-Za-z]"
    hosts = r"--(extra-)?index-url|--find-links|pythonhosted|pypi\.[a-z]+|download\.pytorch|file:///[a-z]"
    pattern = re.compile(f"{paths}|{hosts}")
    wrong = []
    for path in tracked():
        if path.suffix in {".png", ".pt", ".npz"} or path == Path(__file__):
            continue
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
        ):
            if pattern.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert wrong == []


def test_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text


def test_pictures_of_the_catalogue_exist() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    targets = re.findall(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[^/]+/([^\s\")]+)", text)
    assert len(targets) >= 2
    for target in targets:
        assert (ROOT / target).is_file(), target


DOCUMENTS = ["README.md", *sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "Resources").rglob("*.md"))]


def document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Where links with # may lead, as code forges make them from headings."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    text = document(name)
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target
    assert "<!--" not in text, "no section is left to be filled in"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    for path in re.findall(r"`((?:Testing|Resources|LiverLesionAI)/[\w/.-]+\.\w+)", document(name)):
        assert (ROOT / path).is_file(), path


def test_the_readme_leads_a_newcomer() -> None:
    text = document("README.md")
    assert len(text.splitlines()) <= 150
    assert text.index("overview.png") < text.index("liverlesionai demo") < text.index("### Five clicks")
    evidence = document("Resources/EVIDENCE.md")
    assert re.search(r"^Of 20\d\d-\d\d-\d\d, ", evidence, re.MULTILINE), "it says of which day it is"
    # What the README says of accuracy stands on the page of evidence.
    for figure in ("0.955", "0.676 [0.567, 0.785]", "9 of 13", "9 of 39", "58 of 87"):
        assert figure in text, figure
        assert figure in evidence, figure


def test_ci_runs_the_readmes_test_command() -> None:
    found = re.findall(r"\.venv/bin/(python -m pytest.*)", document("README.md"))
    assert len(found) == 1
    assert found[0] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def laboratory_commands() -> dict[str, str]:
    """Command -> where it is, from pyproject.toml."""
    pattern = r'^(\w+) = "(LiverLesionAILab\.\w+:\w+)"$'
    return dict(re.findall(pattern, document("pyproject.toml"), re.MULTILINE))


def test_the_laboratorys_commands_are_there() -> None:
    assert len(laboratory_commands()) >= 6
    for name, place in laboratory_commands().items():
        module, attribute = place.split(":")
        tool = getattr(importlib.import_module(module), attribute)
        assert tool.help, name
        add, run = tool.load()
        add(argparse.ArgumentParser())
        assert callable(run), name


def test_the_manual_names_every_command_and_no_other_options() -> None:
    manual = document("Resources/MANUAL.md")
    commands = next(a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    used = set(re.findall(r"`liverlesionai ([a-z]+)", manual))
    # Of the laboratory's what pyproject.toml says, whatever was installed when.
    product = set(commands) - set(tools())
    assert used == product | set(laboratory_commands())
    assert set(re.findall(r"`liverlesionai ([a-z]+)", document("README.md"))) <= used
    for row in re.findall(r"^\| (`--.*?) \|", manual, flags=re.MULTILINE):
        for option in re.findall(r"--[a-z-]+", row):
            for name in ("analyze", "batch", "demo"):
                assert option in commands[name]._option_string_actions, f"{name} {option}"


def spoken() -> list[str]:
    """Every text in the library's sources, with a mark where a value is filled in."""
    texts = []
    for path in (ROOT / "LiverLesionAI" / "LiverLesionAILib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "\x00" for v in node.values)
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_the_manual_quotes_messages_as_they_are() -> None:
    troubles = document("Resources/MANUAL.md").split("## When something is wrong")[1].split("\n## ")[0]
    quoted = re.findall(r"^\| `(.*?)` \|", troubles, flags=re.MULTILINE)
    assert len(quoted) > 10
    texts = spoken()
    for message in quoted:
        pattern = re.compile(".*".join(re.escape(part) for part in message.split("...")))
        assert any(pattern.search(text) for text in texts), message
