"""Text from outside that can be shown anywhere, and names of files made of it."""

from __future__ import annotations

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.support.text import file_name, printable, printable_streams


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"M\xfcller.nii", "M\\xfcller.nii"),
        ("Müller".encode(), "Müller"),
        (b"a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_bytes_of_names_are_shown_escaped(raw: bytes, text: str) -> None:
    assert printable(raw) == text
    assert printable(os.fsdecode(raw)) == text


@given(st.binary(max_size=300))
def test_any_bytes_become_text_that_every_encoding_of_unicode_takes(raw: bytes) -> None:
    for text in (printable(raw), printable(os.fsdecode(raw)), printable(raw, 40)):
        assert text.isprintable()
        text.encode("utf-8")
    assert len(printable(raw, 40)) <= 40


@given(st.text(max_size=400))
@pytest.mark.parametrize("longest", [20, 100])
def test_any_text_becomes_one_safe_name(longest: int, text: str) -> None:
    name = file_name(text, longest)
    assert name and name not in (".", "..") and not name.startswith(".")
    assert not set(name) & set('<>:"/\\|?*\0') and name.isprintable()
    assert len(name.encode(sys.getfilesystemencoding())) <= longest + 1
    assert file_name(text, longest) == name


@pytest.mark.parametrize("text", ["Abd/Pel 5.0 B30f", "..", "", "x" * 240, "CON", "a\0b", "  . "])
def test_descriptions_of_series(text: str, tmp_path) -> None:
    (tmp_path / file_name(text)).mkdir()
    assert [p.parent for p in tmp_path.iterdir()] == [tmp_path]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_stream_takes_any_name(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    printable_streams()
    print("Müller \udcfc 肝 \ud800")
    stream.flush()
