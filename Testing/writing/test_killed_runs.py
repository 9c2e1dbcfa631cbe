"""What a killed run left beside a case folder, and what the next run makes of it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from LiverLesionAILib.support import part_folders
from LiverLesionAILib.support.interrupts import as_keyboard_interrupt
from LiverLesionAILib.support.part_folders import OWNER, PartFolder
from LiverLesionAILib.writing import case_folder
from LiverLesionAILib.writing.case_folder import MARKER, write_case_folder
from support.case_factory import oblique_geometry, small_case


@pytest.fixture(scope="module")
def case():
    return small_case(oblique_geometry(), lesions=2)


def write(case, folder: Path) -> None:
    volume, result = case
    write_case_folder(result, volume, folder, pictures=False)


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as old enough."""
    monkeypatch.setattr(part_folders, "YOUNG_S", -1.0)


@pytest.mark.usefixtures("old")
def test_the_next_run_clears_what_a_dead_one_left_and_no_other(case, tmp_path: Path) -> None:
    dead = tmp_path / ".other.part-0123abcd"
    dead.mkdir()
    (dead / OWNER).touch()
    (dead / "masks.seg.nrrd").write_text("half")
    living = PartFolder(tmp_path / "third")
    (living.path / "masks.seg.nrrd").write_text("half")
    write(case, tmp_path / "case")
    assert {path.name for path in tmp_path.iterdir()} == {"case", living.path.name}
    assert not (tmp_path / "case" / OWNER).exists()
    living.discard()


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("new_is_there", [False, True], ids=["before the new one came", "after it"])
def test_killed_between_two_renames(case, tmp_path: Path, new_is_there: bool) -> None:
    """The earlier case lay under a hidden name: it comes back, or what somebody put into it does."""
    folder, hidden = tmp_path / "case", tmp_path / ".case.old-0123abcd"
    write(case, folder)
    (folder / "note.txt").write_text("the reader's")
    folder.rename(hidden)
    if new_is_there:
        write(case, tmp_path / "elsewhere")
        (tmp_path / "elsewhere").rename(folder)
    case_folder._finish_renaming(folder)
    assert not hidden.exists()
    assert (folder / MARKER).is_file()
    assert (folder / "note.txt").read_text() == "the reader's"
    write(case, folder)
    assert (folder / "note.txt").read_text() == "the reader's"
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_another_cases_hidden_folder_is_let_be(case, tmp_path: Path) -> None:
    hidden = tmp_path / ".case.old-0123abcd"
    hidden.mkdir()
    (hidden / "thesis.docx").write_text("years of work")
    write(case, tmp_path / "case")
    assert (hidden / "thesis.docx").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_scene_is_written_waits_and_leaves_nothing(
    case, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from LiverLesionAILib.scene import offline

    finished = []

    def bundle(scene: object, path: Path, *ahead: object) -> None:
        signal.raise_signal(number)
        path.write_bytes(b"scene")
        finished.append(path)

    monkeypatch.setattr(offline, "write_bundle", bundle)
    with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt():
        write(case, tmp_path / "case")
    assert finished, "the scene was not cut short"
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_while_tidying_up_waits_too(case, tmp_path: Path, monkeypatch) -> None:
    discard = PartFolder.discard

    def interrupted(self: PartFolder) -> None:
        signal.raise_signal(signal.SIGINT)
        discard(self)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PartFolder, "discard", interrupted)
    monkeypatch.setattr(case_folder, "write_masks", stop)
    with pytest.raises(KeyboardInterrupt), as_keyboard_interrupt():
        write(case, tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


def test_a_very_long_name_has_a_case(case, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 250)
    write(case, folder)
    write(case, folder)
    assert json.loads((folder / MARKER).read_text())["files"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
