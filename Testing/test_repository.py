"""What may be in the repository: its top level, sizes, no machine's paths, the README's promises."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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


def test_no_machine_paths() -> None:
    pattern = re.compile(r"(?<![\w.])/(work|home|root)/[A-Za-z]|/tmp/bash_jobs")
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


def test_readme_links_and_commands_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target
    assert ".venv/bin/python -m pytest -q" in readme
    assert "python -m pytest -q" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "<!--" not in readme, "no section is left to be filled in"
