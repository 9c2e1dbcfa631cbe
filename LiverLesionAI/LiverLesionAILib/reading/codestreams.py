"""Compressed images: which can be decoded here, and what a stream says of itself before a library sees it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

RLE = "1.2.840.10008.1.2.5"
# Decoded by SimpleITK: JPEG, JPEG-LS, JPEG 2000.
BY_ITK = {f"1.2.840.10008.1.2.4.{k}" for k in (50, 51, 57, 70, 80, 81, 90, 91)}
# Decoded by pydicom where one of its plugins is installed: high-throughput JPEG 2000, JPEG XL.
BY_PLUGIN = {f"1.2.840.10008.1.2.4.{k}" for k in (110, 111, 112, 201, 202, 203)}
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
# Markers without a length.
_BARE = {0x01, *range(0xD0, 0xDA)}


@dataclass(frozen=True)
class StreamHeader:
    """What a JPEG, JPEG-LS or JPEG 2000 stream says."""

    rows: int
    columns: int
    components: int
    bits: int


def decodable(syntax: str) -> bool:
    """Whether a compressed transfer syntax can be decoded by what is installed here."""
    return syntax in BY_ITK or (syntax in BY_PLUGIN and plugin_available(syntax))


def plugin_available(syntax: str) -> bool:
    """Whether pydicom has a plugin for it."""
    try:
        from pydicom.pixels import get_decoder

        return bool(get_decoder(syntax).is_available)
    except (ImportError, NotImplementedError):
        return False


def stream_header(stream: bytes) -> StreamHeader | None:
    """Size and precision by the stream's own header; None for a stream of another kind.

    Raises:
        ValueError: the header is damaged.
    """
    if stream[:4] == b"\xff\x4f\xff\x51":
        return _jpeg_2000(stream)
    if stream[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            raise ValueError("its compressed data are damaged")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        if marker in _FRAMES:
            if at + 10 > len(stream):
                break
            bits, rows, columns, components = struct.unpack_from(">BHHB", stream, at + 4)
            return StreamHeader(rows, columns, components, bits)
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    raise ValueError("its compressed data are damaged")


def _jpeg_2000(stream: bytes) -> StreamHeader:
    if len(stream) < 43:
        raise ValueError("its compressed data are cut short")
    right, bottom, left, top, tile_x, tile_y, tile_left, tile_top = struct.unpack_from(">8I", stream, 8)
    (components,) = struct.unpack_from(">H", stream, 40)
    columns, rows = right - left, bottom - top
    damaged = min(columns, rows, tile_x, tile_y, components) < 1 or tile_left > left or tile_top > top
    if damaged or -(-(right - tile_left) // tile_x) * -(-(bottom - tile_top) // tile_y) > 65535:
        raise ValueError("the header of its compressed data is damaged")
    return StreamHeader(rows, columns, components, (stream[42] & 0x7F) + 1)


def is_ended(stream: bytes) -> bool:
    """Whether a JPEG-like stream has its end marker, perhaps padded."""
    return stream.rstrip(b"\0")[-2:] == b"\xff\xd9" or b"\xff\xd9" in stream[-18:]


def require_whole_items(pixels: bytes) -> None:
    """Encapsulated pixel data are items one after the other, each of the length it says (PS3.5, A.4).

    Raises:
        ValueError: an item reaches beyond the end, or something else lies between two.
    """
    at = 0
    while at + 8 <= len(pixels):
        tag, length = pixels[at : at + 4], int.from_bytes(pixels[at + 4 : at + 8], "little")
        if tag == b"\xfe\xff\xdd\xe0":
            return
        if tag != b"\xfe\xff\x00\xe0":
            raise ValueError("its compressed data are damaged: their parts do not have the lengths they say")
        at += 8 + length
    if at > len(pixels):
        raise ValueError("its compressed data are cut short: a part is shorter than it says")


def decode_rle(stream: bytes, pixels: int, pixel_bytes: int) -> bytes:
    """A frame of DICOM's run-length encoding as little endian pixels.

    Raises:
        ValueError: it does not hold exactly these pixels.
    """
    if len(stream) < 64:
        raise ValueError("its run-length encoded data are cut short")
    count, *offsets = struct.unpack_from("<16I", stream)
    if count != pixel_bytes:
        raise ValueError(f"its run-length encoding has {count} segments where {pixel_bytes} are needed")
    ends = [*offsets[1:count], len(stream)]
    result = bytearray(pixels * pixel_bytes)
    for k, (start, end) in enumerate(zip(offsets[:count], ends, strict=True)):
        if not 64 <= start <= end <= len(stream):
            raise ValueError("the header of its run-length encoded data is damaged")
        segment = _unpacked(stream[start:end], pixels)
        if len(segment) != pixels:
            raise ValueError(
                f"a run-length encoded segment holds {len(segment)} bytes where {pixels} are needed"
            )
        # The most significant byte comes first.
        result[pixel_bytes - 1 - k :: pixel_bytes] = segment
    return bytes(result)


def _unpacked(segment: bytes, pixels: int) -> bytearray:
    """Runs and literals written out; stops soon after too many."""
    out, at, end = bytearray(), 0, len(segment)
    while at < end and len(out) <= pixels:
        head = segment[at]
        at += 1
        if head < 128:
            if at == end and len(out) == pixels:
                break  # a zero that makes the length even
            out += segment[at : at + head + 1]
            at += head + 1
            if at > end:
                raise ValueError("its run-length encoded data are cut short")
        elif head > 128:
            if at == end:
                raise ValueError("its run-length encoded data are cut short")
            out += segment[at : at + 1] * (257 - head)
            at += 1
    if any(segment[at:]):
        raise ValueError("a run-length encoded segment is longer than the image")
    return out
