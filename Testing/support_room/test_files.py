"""Files written whole or not at all, and what the reader is told when they cannot be."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from LiverLesionAILib.support.errors import OutputError
from LiverLesionAILib.support.files import replacing, sha256_of, write_text


def write_and_fail(path: Path, error: Exception) -> None:
    with replacing(path) as part:
        part.write_text("half")
        raise error


def write_to_full_device(path: Path) -> None:
    with replacing(path) as part:
        part.symlink_to("/dev/full")
        part.write_text("too much")


def test_new_file_in_a_new_folder(tmp_path):
    path = tmp_path / "a" / "b" / "findings.csv"
    write_text(path, "1\r\n2\n", "utf-8-sig")
    assert path.read_bytes() == b"\xef\xbb\xbf1\r\n2\n"
    assert [p.name for p in path.parent.iterdir()] == ["findings.csv"]


def test_checksum_of_a_file(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(bytes(3 << 20))
    assert sha256_of(path) == hashlib.sha256(bytes(3 << 20)).hexdigest()


def test_part_has_the_same_suffix_and_folder(tmp_path):
    with replacing(tmp_path / "liver.seg.nrrd") as part:
        assert part.parent == tmp_path
        assert part.name.endswith("liver.seg.nrrd")
        part.write_bytes(b"x")


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "case.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path, ZeroDivisionError())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["case.json"]


@pytest.mark.parametrize("durable", [True, False])
def test_old_file_stays_until_the_end(tmp_path, durable):
    path = tmp_path / "case.json"
    path.write_text("old")
    with replacing(path, durable) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "permission"),
        (errno.EIO, "another folder"),
    ],
)
def test_errors_name_the_file_and_the_cause(tmp_path, number, words):
    path = tmp_path / "case.json"
    with pytest.raises(OutputError, match=words) as caught:
        write_and_fail(path, OSError(number, os.strerror(number)))
    assert str(path) in str(caught.value)
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_really_full_device(tmp_path):
    path = tmp_path / "case.json"
    with pytest.raises(OutputError, match="disk is full"):
        write_to_full_device(path)
    assert not os.listdir(tmp_path)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(OutputError, match="out"):
        write_text(tmp_path / "out" / "case.json", "{}")
    assert (tmp_path / "out").read_text() == "not a folder"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission"):
            write_text(folder / "case.json", "{}")
    finally:
        folder.chmod(0o700)
