"""Part folders: a dead run's are cleared, a living run's never, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from LiverLesionAILib.support import files, part_folders
from LiverLesionAILib.support.part_folders import OWNER, PartFolder, clear_dead_parts, hidden_name

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"
COMPLETE = "complete.json"

FILL = (
    "import sys\n"
    "from pathlib import Path\n"
    "from LiverLesionAILib.support.part_folders import PartFolder\n"
    "part = PartFolder(Path(sys.argv[1]))\n"
    "(part.path / 'half').write_text('half')\n"
    "print(part.path, flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def filling(tmp_path: Path):
    """A part folder that another process fills; kill it and it is a dead run's."""
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, str(tmp_path / "case")],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    path = Path(process.stdout.readline().strip())
    yield process, path
    process.kill()
    process.communicate()


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as old enough."""
    monkeypatch.setattr(part_folders, "YOUNG_S", -1.0)


@pytest.mark.usefixtures("old")
def test_a_living_runs_folder_stays_and_a_dead_ones_goes(filling, tmp_path: Path) -> None:
    process, path = filling
    assert (path / "half").is_file()
    assert clear_dead_parts(tmp_path, COMPLETE) == 0
    assert (path / "half").is_file()
    process.kill()
    process.wait(600)
    assert clear_dead_parts(tmp_path, COMPLETE) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_young_folder_stays(filling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be made and not yet locked."""
    monkeypatch.setattr(part_folders, "YOUNG_S", 3600.0)
    process, path = filling
    process.kill()
    process.wait(600)
    assert clear_dead_parts(tmp_path, COMPLETE) == 0
    past_s = time.time() - 2 * part_folders.YOUNG_S
    assert not part_folders.is_old(path / OWNER)
    os.utime(path / OWNER, (past_s, past_s))
    # On Linux the change of its times is itself a change.
    assert part_folders.is_old(path / OWNER) is (os.name == "nt")


@pytest.mark.usefixtures("old")
def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    for name in (".case.part-0123abcd", ".other.part-1", "case.part-0123abcd", ".part-0123abcd"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.docx").write_text("years of work")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / OWNER).touch()
    if os.name != "nt":
        (tmp_path / ".link.part-0123abcd").symlink_to(tmp_path / "elsewhere")
    before = sorted(path for path in tmp_path.rglob("*"))
    assert clear_dead_parts(tmp_path, COMPLETE) == 0
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("old")
def test_killed_on_the_last_steps(tmp_path: Path) -> None:
    """Empty: killed before it was locked. Complete without an owner: killed before it was renamed."""
    (tmp_path / ".a.part-0123abcd").mkdir()
    (tmp_path / ".b.part-0123abcd").mkdir()
    (tmp_path / ".b.part-0123abcd" / COMPLETE).touch()
    assert clear_dead_parts(tmp_path, COMPLETE) == 2
    assert list(tmp_path.iterdir()) == []


def test_released_and_renamed_it_holds_what_was_written(tmp_path: Path) -> None:
    part = PartFolder(tmp_path / "deep" / "case")
    (part.path / "masks").write_text("all")
    assert part_folders.names_of(part.path) == ["masks"]
    part.release()
    part.path.rename(tmp_path / "deep" / "case")
    assert [path.name for path in (tmp_path / "deep" / "case").iterdir()] == ["masks"]


@pytest.mark.parametrize("name", ["x" * 255, "ö" * 120, "病" * 85])
def test_long_names_have_a_hidden_name_that_fits(name: str, tmp_path: Path) -> None:
    part = PartFolder(tmp_path / name)
    assert part.path.is_dir()
    assert hidden_name(tmp_path / name) != hidden_name(tmp_path / (name[:-1] + "y"))
    part.discard()
    assert list(tmp_path.iterdir()) == []


def test_windows_may_refuse_a_rename_for_an_instant(tmp_path: Path, monkeypatch) -> None:
    """A virus scanner has the file open: tried again there, at once an error elsewhere."""
    refusals = [PermissionError(13, "in use"), PermissionError(13, "in use")]
    replace = Path.replace

    def refusing(self: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refusing)
    (tmp_path / "a").write_text("new")
    monkeypatch.setattr(files.sys, "platform", "linux")
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setattr(files, "_PATIENCE_S", 60.0)
    files.rename(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"
    refusals.extend(PermissionError(13, "in use") for _ in range(1000))
    monkeypatch.setattr(files, "_PATIENCE_S", 0.2)
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "b", tmp_path / "c")
    assert (tmp_path / "b").read_text() == "new"


def test_windows_locks_by_its_own_call(tmp_path: Path, monkeypatch) -> None:
    """msvcrt stands in: the same answers as from flock."""
    import types

    held: set[tuple[int, int]] = set()

    def locking(descriptor: int, mode: int, count: int) -> None:
        key = (os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino)
        if key in held:
            raise OSError(36, "locked")
        held.add(key)

    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(part_folders.sys, "platform", "win32")
    monkeypatch.setattr(part_folders, "YOUNG_S", -1.0)
    part = PartFolder(tmp_path / "case")
    assert clear_dead_parts(tmp_path, COMPLETE) == 0
    held.clear()
    assert clear_dead_parts(tmp_path, COMPLETE) == 1
    part.discard()
