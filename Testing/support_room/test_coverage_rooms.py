"""The table of coverage by room: sums, files that moved, and what counts as less."""

from __future__ import annotations

import json
from pathlib import Path

from support.coverage_rooms import by_room, comparison, main


def report(**files: tuple[int, int]) -> dict:
    """Coverage's JSON: path, with __ for /, -> (lines covered, lines)."""
    return {
        "files": {
            f"LiverLesionAI/{name.replace('__', '/')}.py": {
                "summary": {"covered_lines": covered, "num_statements": lines}
            }
            for name, (covered, lines) in files.items()
        }
    }


def test_files_that_moved_count_where_they_are_now() -> None:
    old = report(LiverLesionAILib__masks=(8, 10), LiverLesionAILib__training__loop=(5, 10))
    moved = {
        "LiverLesionAILib/masks.py": "LiverLesionAILib/volume/masks.py",
        "LiverLesionAILib/training/loop.py": "LiverLesionAILab/training/loop.py",
    }
    rooms = by_room(old, moved)
    assert rooms == {"LiverLesionAILib/volume": (8, 10), "LiverLesionAILab/training": (5, 10)}


def test_less_is_said_and_new_rooms_are_held_against_the_whole() -> None:
    before = by_room(report(LiverLesionAILib__volume__ct=(90, 100), LiverLesionAILib__case__tags=(50, 100)))
    now = report(
        LiverLesionAILib__volume__ct=(88, 100),
        LiverLesionAILib__case__tags=(60, 100),
        LiverLesionAILib__writing__new=(69, 100),
        LiverLesionAILib__cli__main=(71, 100),
    )
    text, worse = comparison(before, by_room(now))
    assert worse == ["LiverLesionAILib/volume", "LiverLesionAILib/writing"]
    assert "90.0%   88.0%    -2.0" in text


def test_two_files_are_compared(tmp_path: Path, capsys) -> None:
    for name, covered in (("a.json", 90), ("b.json", 80)):
        rooms = report(LiverLesionAILib__volume__new_file_of_the_test=(covered, 100))
        (tmp_path / name).write_text(json.dumps(rooms))
    names = [str(tmp_path / name) for name in ("a.json", "b.json")]
    assert main(["--json", names[0]]) == 0
    assert main(["--json", names[0], names[0]]) == 0
    assert main(["--json", *names]) == 1
    assert "covered less than before: LiverLesionAILib, LiverLesionAILib/volume" in capsys.readouterr().out
