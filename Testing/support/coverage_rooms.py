"""How much of each room the tests run through: ``python Testing/support/coverage_rooms.py [OPTIONS]``.

Runs the tests with pytest-cov (all of them, or what pytest's OPTIONS say) and prints the lines covered, room
by room. ``--json FILE`` instead reads what ``pytest --cov-report=json:FILE`` has written.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("LiverLesionAILib", "LiverLesionAILab")


def by_room(report: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Room -> (lines covered, lines there are), from coverage's JSON report."""
    rooms: dict[str, tuple[int, int]] = {}
    for name, file in report["files"].items():
        parts = PurePath(name.replace("\\", "/")).parts
        package = next((p for p in PACKAGES if p in parts), None)
        if package is None:
            continue
        inside = parts[parts.index(package) + 1 :]
        room = f"{package}/{inside[0]}" if len(inside) > 1 else package
        covered, lines = rooms.get(room, (0, 0))
        summary = file["summary"]
        rooms[room] = covered + summary["covered_lines"], lines + summary["num_statements"]
    return rooms


def table(rooms: Mapping[str, tuple[int, int]]) -> str:
    """The table, and the sum of each package."""
    lines = [f"{'room':<34}{'lines':>7}{'covered':>9}"]
    for room, (covered, count) in sorted(rooms.items()):
        lines.append(f"{room:<34}{count:>7}{100 * covered / max(count, 1):>8.1f}%")
    for package in PACKAGES:
        own = [pair for room, pair in rooms.items() if room.split("/")[0] == package]
        covered, count = sum(c for c, _ in own), sum(n for _, n in own)
        lines.append(f"{package + ', all':<34}{count:>7}{100 * covered / max(count, 1):>8.1f}%")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run the tests and print the table; pytest's exit status."""
    if arguments[:1] == ["--json"]:
        print(table(by_room(json.loads(Path(arguments[1]).read_text(encoding="utf-8")))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        packages = [f"--cov={ROOT / 'LiverLesionAI' / name}" for name in PACKAGES]
        options = arguments or ["-q", "-n", "2", "--dist", "loadgroup"]
        command = [sys.executable, "-m", "pytest", *packages, f"--cov-report=json:{report}", *options]
        status = subprocess.run(command, cwd=ROOT).returncode
        if report.is_file():
            print(table(by_room(json.loads(report.read_text(encoding="utf-8")))))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
