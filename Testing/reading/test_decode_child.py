"""What the decoding process answers, asked in this one: values, and a reason for what it refuses."""

from __future__ import annotations

import struct
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from LiverLesionAILib.reading import codestreams
from LiverLesionAILib.reading.codestreams import decode_rle, require_whole_items, stream_header
from LiverLesionAILib.reading.dicom_decode_child import handle
from LiverLesionAILib.reading.dicom_frames import StoredFormat
from support.ct_phantom import phantom_hu
from support.dicom_compress import LOSSLESS, RLE, compress, compressed_frame, replace_streams
from support.dicom_writer import axial_positions, write_enhanced

SHAPE = (3, 48, 40)


@pytest.fixture(autouse=True)
def _nothing_read_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test asks a new process, so to speak; folders of finished tests are used again."""
    monkeypatch.setattr("LiverLesionAILib.reading.dicom_decode_child._last", [])


def _file(folder: Path, syntax: str) -> tuple[Path, np.ndarray]:
    """An enhanced file of three slices, and its stored values."""
    path = folder / "e.dcm"
    write_enhanced(path, phantom_hu(SHAPE), axial_positions(SHAPE[0]), intercepts=[-1024.0] * SHAPE[0])
    values = pydicom.dcmread(path).pixel_array
    compress(path, syntax, folder / "scratch")
    return path, values


def _request(path: Path, index: int = 0, **changes: Any) -> dict[str, Any]:
    item = pydicom.dcmread(path)
    stored = StoredFormat(
        str(item.file_meta.TransferSyntaxUID),
        1,
        item.BitsAllocated,
        item.BitsStored,
        item.HighBit,
        bool(item.PixelRepresentation),
        "MONOCHROME2",
    )
    asked = {
        "path": str(path),
        "index": index,
        "frames": SHAPE[0],
        "folder": str(path.parent),
        "format": asdict(replace(stored, **changes.pop("format", {}))),
        "shape_yx": SHAPE[1:],
    }
    return {**asked, **changes}


@pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
def test_every_frame_has_its_stored_values(tmp_path: Path, syntax: str) -> None:
    path, values = _file(tmp_path, syntax)
    for index in (2, 0, 1):
        answer, data = handle(_request(path, index))
        found = np.frombuffer(data, answer["dtype"]).reshape(SHAPE[1:])
        np.testing.assert_array_equal(found, values[index])
    assert not (tmp_path / "frame.dcm").exists()


@pytest.mark.parametrize("syntax", [s for s in LOSSLESS.values() if s != RLE])
def test_a_stream_that_is_not_what_the_header_says_is_refused(tmp_path: Path, syntax: str) -> None:
    path, values = _file(tmp_path, syntax)
    with pytest.raises(ValueError, match=r"has 40 x 48 pixels, its header says 39 x 48"):
        handle(_request(path, shape_yx=(48, 39)))
    with pytest.raises(ValueError, match="it has 2 images and holds 3"):
        handle(_request(path, folder="another", frames=2))
    (tmp_path / "scratch").mkdir(exist_ok=True)
    wide = np.pad(values[0], ((0, 0), (0, 8)))
    other = compressed_frame(np.ascontiguousarray(wide), syntax, tmp_path / "scratch")
    replace_streams(path, [other] * SHAPE[0], syntax)
    with pytest.raises(ValueError, match=r"has 48 x 48 pixels"):
        handle(_request(path, folder=str(tmp_path / "again")))


def test_the_file_is_read_once_for_one_reading(tmp_path: Path, monkeypatch) -> None:
    from LiverLesionAILib.reading import dicom_decode_child as child

    path, _ = _file(tmp_path, RLE)
    read, opened = child.pydicom.dcmread, []
    monkeypatch.setattr(child.pydicom, "dcmread", lambda *a, **k: (opened.append(a[0]), read(*a, **k))[1])
    requests = [_request(path, index) for index in range(3)] + [_request(path, folder="another")]
    opened.clear()
    for asked in requests:
        handle(asked)
    assert len(opened) == 2


def test_a_file_without_pixels_is_refused(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, RLE)
    asked = _request(path, folder="empty")
    item = pydicom.dcmread(path)
    del item.PixelData
    item.save_as(path)
    with pytest.raises(ValueError, match="no pixel data"):
        handle(asked)


def test_items_have_the_lengths_they_say() -> None:
    item = b"\xfe\xff\x00\xe0"
    whole = item + struct.pack("<I", 0) + item + struct.pack("<I", 4) + b"abcd"
    end = b"\xfe\xff\xdd\xe0" + bytes(4)
    require_whole_items(whole + end)
    require_whole_items(whole)
    with pytest.raises(ValueError, match="lengths they say"):
        require_whole_items(whole + b"zzzz" + bytes(8))
    with pytest.raises(ValueError, match="shorter than it says"):
        require_whole_items(item + struct.pack("<I", 0) + item + struct.pack("<I", 40) + b"abcd")


def test_run_lengths_are_exactly_the_pixels() -> None:
    def stream(*segments: bytes) -> bytes:
        starts = np.cumsum([64, *(len(s) for s in segments[:-1])])
        offsets = [*starts.tolist(), *[0] * (15 - len(segments))]
        return struct.pack("<16I", len(segments), *offsets) + b"".join(segments)

    high, low = bytes([256 - 3, 1]), bytes([1, 7, 8, 256 - 1, 9])
    values = np.frombuffer(decode_rle(stream(high, low), 4, 2), "<u2")
    assert values.tolist() == [0x107, 0x108, 0x109, 0x109]
    for bad, words in (
        (stream(high), "1 segments where 2"),
        (stream(high, low)[:30], "cut short"),
        (stream(high, low[:2]), "."),
    ):
        with pytest.raises(ValueError, match=words):
            decode_rle(bad, 4, 2)
    damaged = bytearray(stream(high, low))
    damaged[8:12] = struct.pack("<I", 9999)
    with pytest.raises(ValueError, match="header of its run-length encoded data is damaged"):
        decode_rle(bytes(damaged), 4, 2)


@pytest.mark.parametrize("name", [n for n in LOSSLESS if n.startswith("JPEG")])
def test_headers_of_streams_cut_anywhere_are_told_or_right(tmp_path: Path, name: str) -> None:
    values = np.arange(48 * 40, dtype=np.uint16).reshape(48, 40)
    stream = compressed_frame(values, LOSSLESS[name], tmp_path)
    said = stream_header(stream)
    assert (said.rows, said.columns, said.components) == (48, 40, 1)
    assert codestreams.is_ended(stream) and codestreams.is_ended(stream + b"\0\0")
    for length in range(0, min(len(stream), 120), 7):
        said, reason = None, "damaged"
        try:
            said = stream_header(stream[:length])
        except ValueError as error:
            reason = str(error)
        assert said is None or (said.rows, said.columns) == (48, 40)
        assert "damaged" in reason or "cut short" in reason
