"""How much of each room the tests run through: ``python Testing/support/coverage_rooms.py [OPTIONS]``.

Runs the tests with pytest-cov (all of them, or what pytest's OPTIONS say) and prints the lines covered, room
by room. ``--json FILE`` instead reads what ``pytest --cov-report=json:FILE`` has written, and
``--json BEFORE AFTER`` shows two such files side by side: exit status 1 where a room is covered less than
before. ``--keep FILE``, put first, keeps the file of a run. BEFORE may come from a commit before the rooms
(in its checkout: ``pytest --cov=LiverLesionAI/LiverLesionAILib --cov-report=json:FILE``): its files are
counted under the rooms that they moved to.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

Rooms = dict[str, tuple[int, int]]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("LiverLesionAILib", "LiverLesionAILab")
MOVED_SINCE = "12de617"
"""Last commit before the rooms: files of its report count under the rooms that they moved to."""
LESS = 0.5
"""Percentage points that a room may lose and still count as covered as before: threads and timing differ."""


def by_room(report: Mapping[str, Any], moved: Mapping[str, str] = MappingProxyType({})) -> Rooms:
    """Room -> (lines covered, lines there are), from coverage's JSON report.

    Args:
        moved: path from the package on -> where that file lies now; see :func:`moves`.
    """
    rooms: Rooms = {}
    for name, file in report["files"].items():
        parts = PurePath(name.replace("\\", "/")).parts
        package = next((p for p in PACKAGES if p in parts), None)
        if package is None:
            continue
        start = parts.index(package)
        package, *inside = moved.get("/".join(parts[start:]), "/".join(parts[start:])).split("/")
        room = f"{package}/{inside[0]}" if len(inside) > 1 else package
        covered, lines = rooms.get(room, (0, 0))
        summary = file["summary"]
        rooms[room] = covered + summary["covered_lines"], lines + summary["num_statements"]
    return rooms


def table(rooms: Rooms) -> str:
    """The table, and the sum of each package."""
    lines = [f"{'room':<34}{'lines':>7}{'covered':>9}"]
    for room, (covered, count) in sorted(rooms.items()):
        lines.append(f"{room:<34}{count:>7}{100 * covered / max(count, 1):>8.1f}%")
    for package in PACKAGES:
        own = [pair for room, pair in rooms.items() if room.split("/")[0] == package]
        covered, count = sum(c for c, _ in own), sum(n for _, n in own)
        lines.append(f"{package + ', all':<34}{count:>7}{100 * covered / max(count, 1):>8.1f}%")
    return "\n".join(lines)


def share(rooms: Rooms, package: str) -> float:
    """Per cent of a room's, or a whole package's, lines that are covered; NaN where it has none."""
    own = [rooms[package]] if package in rooms else []
    if package in PACKAGES:
        own = [pair for room, pair in rooms.items() if room.split("/")[0] == package]
    count = sum(lines for _, lines in own)
    return 100 * sum(covered for covered, _ in own) / count if count else float("nan")


def comparison(before: Rooms, now: Rooms) -> tuple[str, list[str]]:
    """The table of two runs, and which rooms are covered less now.

    A room that is new is held against what its package had.
    """
    lines, worse = [f"{'room':<34}{'before':>8}{'now':>8}{'change':>8}"], []
    for room in sorted({*before, *now} | set(PACKAGES)):
        was, is_now = share(before, room), share(now, room)
        lines.append(f"{room:<34}{was:>7.1f}%{is_now:>7.1f}%{is_now - was:>+8.1f}")
        against = share(before, room.split("/")[0]) if math.isnan(was) else was
        if is_now < against - LESS:
            worse.append(room)
    return "\n".join(lines), worse


def moves(commit: str = MOVED_SINCE) -> dict[str, str]:
    """Path of a file at a commit -> its path now, from the package on, as git has followed it.

    Empty where there is no git or no such commit.
    """
    words = [
        "git",
        "log",
        "--reverse",
        "-M40%",
        "--diff-filter=R",
        "--name-status",
        "--format=",
        f"{commit}..HEAD",
    ]
    try:
        listed = subprocess.run(
            [*words, f"{commit}..HEAD"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    now: dict[str, str] = {}
    for line in listed.splitlines():
        _, old, new = (name.removeprefix("LiverLesionAI/") for name in line.split("\t"))
        first = next((one for one, other in now.items() if other == old), old)
        now[first] = new
    return now


def read_rooms(path: Path, *, earlier: bool = False) -> Rooms:
    """:func:`by_room` of a JSON report's file; `earlier`: of a checkout from before the rooms."""
    return by_room(json.loads(path.read_text(encoding="utf-8")), moves() if earlier else {})


def main(arguments: Sequence[str]) -> int:
    """Run the tests and print the table; pytest's exit status."""
    if arguments[:1] == ["--json"]:
        if len(arguments) == 2:
            print(table(read_rooms(Path(arguments[1]))))
            return 0
        text, worse = comparison(*(read_rooms(Path(a), earlier=k == 0) for k, a in enumerate(arguments[1:3])))
        print(text)
        print(f"covered less than before: {', '.join(worse) or 'none'}")
        return 1 if worse else 0
    kept = None
    if arguments[:1] == ["--keep"]:
        kept, arguments = Path(arguments[1]).absolute(), arguments[2:]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        packages = [f"--cov={ROOT / 'LiverLesionAI' / name}" for name in PACKAGES]
        options = arguments or ["-q", "-n", "2", "--dist", "loadgroup"]
        command = [sys.executable, "-m", "pytest", *packages, f"--cov-report=json:{report}", *options]
        status = subprocess.run(command, cwd=ROOT).returncode
        if report.is_file():
            print(table(read_rooms(report)))
            if kept is not None:
                shutil.copyfile(report, kept)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
