"""One gzip member of blocks: any reader reads it, any number of threads writes it alike."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.support import packing
from LiverLesionAILib.support.packing import PackedAhead, in_blocks, packed

DATA = np.random.default_rng(0).integers(0, 9, 300_000).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=12), st.integers(1, 9))
def test_any_blocks_are_one_member_that_any_reader_reads(blocks: list[bytes], level: int) -> None:
    whole = b"".join(packed(blocks, level))
    reader = zlib.decompressobj(31)
    assert reader.decompress(whole) == b"".join(blocks) == gzip.decompress(whole)
    assert reader.eof and reader.unused_data == b""


def test_the_bytes_depend_on_no_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BLOCK_BYTES", 10_000)
    made = set()
    for cores in (1, 2, 7):
        monkeypatch.setattr(packing, "cores", lambda cores=cores: cores)
        made.add(b"".join(packed(in_blocks(DATA.data))))
    assert len(made) == 1


def test_a_consumer_that_stops_early_leaves_no_thread_behind() -> None:
    before = packing.threading.active_count()
    stream = packed([bytes(1000)] * 50)
    next(stream)
    next(stream)
    stream.close()
    assert packing.threading.active_count() == before


def test_what_was_packed_ahead_is_taken_for_the_same_data_only(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packing, "BLOCK_BYTES", 10_000)
    file, into = tmp_path / "ct.nrrd", io.BytesIO()
    with PackedAhead(DATA.data) as ahead:
        file.write_bytes(b"head" + DATA.tobytes())
        assert ahead.copy(file, 4, into)
        assert gzip.decompress(into.getvalue()) == DATA.tobytes()
        assert into.getvalue() == b"".join(packed(in_blocks(DATA.data)))
        for other in (DATA[::-1].tobytes(), DATA.tobytes()[2:], b"", DATA.tobytes() + b"x"):
            nothing = io.BytesIO()
            file.write_bytes(b"head" + other)
            assert not ahead.copy(file, 4, nothing)
            assert nothing.getvalue() == b""


def test_where_it_cannot_be_packed_ahead_there_is_nothing_to_take(tmp_path: Path, monkeypatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    file = tmp_path / "ct.nrrd"
    file.write_bytes(DATA.tobytes())
    with PackedAhead(DATA.data) as ahead:
        assert not ahead.copy(file, 0, io.BytesIO())


def test_closing_stops_it_in_the_middle(monkeypatch) -> None:
    begun, go = packing.threading.Event(), packing.threading.Event()
    done: list[int] = []

    def slowly(block: bytes, level: int) -> bytes:
        done.append(len(block))
        begun.set()
        assert go.wait(600)
        return b""

    monkeypatch.setattr(packing, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(packing, "_deflated", slowly)
    ahead = PackedAhead(DATA.data)
    assert begun.wait(600)
    ahead._stopped.set()
    go.set()
    ahead.close()
    assert done == [1000]
