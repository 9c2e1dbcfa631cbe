"""The voxels' bytes of a file: decoded to the end, with every checksum and length held against the header.

No library of an image format is asked: those hand back zeros or uninitialised memory for what is damaged.
"""

from __future__ import annotations

import bz2
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..support.progress import Progress, silent
from ..support.text import path_text

BLOCK = 2**22
GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
# Deflate makes at most 1032 bytes of one; a header that wants more of a file is wrong.
DEFLATE_MOST = 1032
LARGEST_BYTES = 2**33
# A CT has noise and shrinks to a third; more than a gigabyte that grows so many times is a trap.
BOMB_BYTES, BOMB_GROWTH = 2**30, 200
# Zeros after the voxels up to here are padding to a block of some medium.
PADDING_BYTES = 2**16
AGAIN = "The file is damaged or incomplete: copy or export it again."


class Damaged(Exception):
    """What is damaged, as a clause to stand behind the file's name."""


@dataclass(frozen=True)
class Contents:
    """Where a header says that the voxels are.

    Attributes:
        parts: the files that hold them, equal parts in this order; mostly one.
        encoding: "raw", "gzip", "zlib", "bzip2" or "hex".
        file_skip: bytes before the (encoded) data in each file.
        skip: bytes before the voxels in the decoded data; -1 where the voxels are its last bytes.
        stored_bytes: length of the encoded data where the header says it.
    """

    parts: tuple[Path, ...]
    encoding: str
    file_skip: int = 0
    skip: int = 0
    stored_bytes: int | None = None


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        InputError: missing, a folder, a pipe or device (which would wait for ever), or without permission.
    """
    name = path_text(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
            raise InputError(f"{name}: this is {what}, not a file. Give the path of an image file.")
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{name}: there is no such file or folder. Check the path.") from error
    except PermissionError as error:
        raise InputError(f"{name}: no permission to read it. Change its permissions, or copy it.") from error
    except (OSError, ValueError) as error:  # a name too long, a NUL in it, a medium that fails
        reason = getattr(error, "strerror", None) or "its name is no file's name"
        raise InputError(f"{name}: it cannot be opened ({reason}). Check the path and the disk.") from error


def read_start(path: Path, count: int) -> tuple[bytes, bool]:
    """The first bytes of a file's content, and whether it is compressed by gzip.

    Raises:
        InputError: it cannot be opened, or is compressed and damaged in its first bytes.
    """
    try:
        with open_regular(path) as file:
            start = file.read(count)
            if not start.startswith(GZIP):
                return start, False
            file.seek(0)
            blocks, content = _gzip(file, []), b""
            while len(content) < count and (block := next(blocks, b"")):
                content += block
            return content[:count], True
    except Damaged as error:
        raise InputError(f"{path_text(path)}: {error}. {AGAIN}") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_contents(
    path: Path,
    contents: Contents,
    total_bytes: int,
    window: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode all of a file's voxels, keep a part.

    Args:
        path: named in messages; the file with the header.
        contents: where they are.
        total_bytes: of all voxels, as the header counts them.
        window: (first byte, number of bytes) of the voxels to keep; all by default.
        progress: told of 0..1; may cancel.

    Returns:
        (bytes, sentences): writable; what is odd without being harmful.

    Raises:
        InputError: data file missing, damaged, shorter or longer than the header says, or too large.
    """
    name = path_text(path)
    if len(contents.parts) > 1:
        return _read_parts(path, contents, total_bytes, window, progress)
    if total_bytes > LARGEST_BYTES:
        raise InputError(
            f"{name}: by its header it holds {total_bytes / 1e9:.3g} GB of voxels, more than any CT. {AGAIN}"
        )
    first, count = window or (0, total_bytes)
    remarks: list[str] = []
    try:
        stored = _stored_bytes(contents.parts[0], contents)
        _refuse_bomb(contents.encoding, stored, max(contents.skip, 0) + total_bytes)
        skip = contents.skip
        if skip < 0:
            if contents.encoding != "raw":
                raise Damaged("its header places compressed data at the end of the file, which cannot be")
            skip = stored - total_bytes
            if skip < 0:
                raise Damaged(_missing(stored, total_bytes))
        return _filled(contents, skip, total_bytes, (first, count), remarks, progress), remarks
    except Damaged as error:
        raise InputError(f"{name}: {error}. {AGAIN}") from error
    except MemoryError as error:
        raise InputError(
            f"{name}: its {total_bytes / 1e9:.1f} GB of voxels do not fit into the memory. Close other "
            "programs, or crop the volume."
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _read_parts(
    path: Path, contents: Contents, total: int, window: tuple[int, int] | None, progress: Progress
) -> tuple[NDArray[np.uint8], list[str]]:
    count = len(contents.parts)
    if total % count:
        raise InputError(
            f"{path_text(path)}: its {count} data files cannot hold equal parts of {total} bytes. {AGAIN}"
        )
    kept, remarks = [], []
    for k, part in enumerate(contents.parts):
        progress("Reading", k / count)
        data, said = read_contents(part, replace(contents, parts=(part,)), total // count)
        kept.append(data)
        remarks += [f"{path_text(Path(part.name))}: {sentence}" for sentence in said]
    first, length = window or (0, total)
    return np.concatenate(kept)[first : first + length], remarks


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path_text(path)}: it cannot be read ({error.strerror or error}). Check the disk.")


def _stored_bytes(part: Path, contents: Contents) -> int:
    """Bytes of encoded data that a file has."""
    with open_regular(part) as file:
        file.seek(0, 2)
        there = file.tell() - contents.file_skip
    if there < 0:
        raise Damaged("it ends before its voxels begin")
    if contents.stored_bytes is not None and there < contents.stored_bytes:
        raise Damaged(_missing(there, contents.stored_bytes))
    return there


def _missing(there: int, expected: int) -> str:
    absent = expected - there
    if absent < 10_000:
        return f"its last {absent} of {expected} bytes are missing, or its header gives a wrong size or type"
    return (
        f"its last {absent / 2**20:.2f} MB of {expected / 2**20:.2f} MB are missing, or its header gives a "
        "wrong size or type"
    )


def _refuse_bomb(encoding: str, stored: int, expected: int) -> None:
    most = {"raw": 1, "ascii": 1, "hex": 1, "gzip": DEFLATE_MOST, "zlib": DEFLATE_MOST}.get(encoding)
    if most is not None and expected > most * stored:
        raise Damaged(_missing(most * stored, expected))
    if expected > BOMB_BYTES and expected > BOMB_GROWTH * stored and most != 1:
        raise Damaged(
            f"its compressed voxels would grow {expected / max(stored, 1):.0f}-fold to "
            f"{expected / 1e9:.1f} GB, "
            "which those of a CT do not"
        )


def _filled(
    contents: Contents,
    skip: int,
    total: int,
    window: tuple[int, int],
    remarks: list[str],
    progress: Progress,
) -> NDArray[np.uint8]:
    """The window's bytes; everything else is counted and, after the voxels, judged."""
    kept = np.empty(window[1], np.uint8)
    start, stop = skip + window[0], skip + window[0] + window[1]
    at = 0
    surplus = bytearray()
    tail = b""
    for block in _decoded(contents, remarks):
        lo, hi = max(start, at), min(stop, at + len(block))
        if lo < hi:
            kept[lo - start : hi - start] = np.frombuffer(block, np.uint8)[lo - at : hi - at]
        end = skip + total
        if at < end:
            stop_at = min(len(block), end - at)
            tail = (tail + block[max(0, stop_at - PADDING_BYTES) : stop_at])[-PADDING_BYTES:]
        if at + len(block) > end and len(surplus) <= PADDING_BYTES:
            surplus += block[max(0, end - at) :][: PADDING_BYTES + 1]
        at += len(block)
        if at > end + max(total, 2**26):
            raise Damaged("it holds at least twice as many voxels as its header says")
        progress("Reading", min(1.0, at / max(1, end)))
    if at < skip + total:
        raise Damaged(_missing(max(0, at - skip), total))
    if over := at - skip - total:
        _judge_surplus(over, bytes(surplus), tail, total, remarks)
    return kept


def _judge_surplus(over: int, surplus: bytes, tail: bytes, total: int, remarks: list[str]) -> None:
    """Zeros after the voxels are padding; anything else may as well stand before or between them."""
    padding = over <= PADDING_BYTES and over < total and not any(surplus) and any(tail[-over:])
    if not padding:
        raise Damaged(
            f"it holds {over} bytes more than its header says, so its size or type is wrong there or "
            "something "
            "stands before or between the voxels"
        )
    remarks.append(f"{over} zero bytes follow the voxels; they were ignored.")


def _decoded(contents: Contents, remarks: list[str]) -> Iterator[bytes]:
    decode = {"raw": _raw, "gzip": _gzip, "bzip2": _bzip2, "hex": _hex}
    with open_regular(contents.parts[0]) as file:
        file.seek(contents.file_skip)
        if contents.encoding == "zlib":
            yield from _zlib(file, remarks, contents.stored_bytes)
        else:
            yield from decode[contents.encoding](file, remarks)


def _raw(file: BinaryIO, _remarks: list[str]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _hex(file: BinaryIO, _remarks: list[str]) -> Iterator[bytes]:
    digits = b""
    while block := file.read(BLOCK):
        digits += b"".join(block.split())
        even = len(digits) // 2 * 2
        try:
            yield bytes.fromhex(digits[:even].decode("ascii"))
        except ValueError as error:
            raise Damaged("its voxels are not written in hexadecimal digits as its header says") from error
        digits = digits[even:]
    if digits:
        raise Damaged("its hexadecimal digits break off")


def _zlib(file: BinaryIO, remarks: list[str], stored_bytes: int | None = None) -> Iterator[bytes]:
    """zlib data with its Adler-32."""
    left = _Source(file)
    if stored_bytes is not None:
        left.until = stored_bytes
    yield from _inflated(left, zlib.MAX_WBITS)
    if stored_bytes is not None and left.held():
        raise Damaged("its compressed data end before the length that its header gives")
    left.until = None
    _remark_surplus(left, remarks)


def _gzip(file: BinaryIO, remarks: list[str]) -> Iterator[bytes]:
    """gzip members one after the other, each with its CRC-32 and length."""
    left = _Source(file)
    yield from _inflated(left, zlib.MAX_WBITS | 16)
    while left.peek(2) == GZIP:
        yield from _inflated(left, zlib.MAX_WBITS | 16)
    _remark_surplus(left, remarks)


def _bzip2(file: BinaryIO, remarks: list[str]) -> Iterator[bytes]:
    """bzip2 streams one after the other, each with its checksums."""
    left = _Source(file)
    first = True
    while first or left.peek(3) == BZIP2:
        first = False
        decoder = bz2.BZ2Decompressor()
        while not decoder.eof:
            data = left.take() if decoder.needs_input else b""
            if decoder.needs_input and not data:
                raise Damaged("its compressed data break off")
            try:
                block = decoder.decompress(data, BLOCK)
            except (OSError, ValueError) as error:
                raise Damaged("its compressed data are damaged (a checksum is wrong)") from error
            if block:
                yield block
        left.give_back(decoder.unused_data)
    _remark_surplus(left, remarks)


class _Source:
    """Bytes of a file, some of which can be given back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._held = file, b""
        self.until: int | None = None
        """Bytes that may still be taken, where the header limits them."""

    def take(self) -> bytes:
        """The next bytes; empty at the end."""
        if self._held:
            data, self._held = self._held, b""
            return data
        count = BLOCK if self.until is None else min(BLOCK, self.until)
        data = self._file.read(count)
        if self.until is not None:
            self.until -= len(data)
        return data

    def give_back(self, data: bytes) -> None:
        self._held = data + self._held

    def peek(self, count: int) -> bytes:
        if len(self._held) < count:
            self._held += self._file.read(BLOCK)
        return self._held[:count]

    def held(self) -> int:
        """Bytes within the limit that nobody took."""
        return len(self._held) + (self.until or 0)


def _inflated(source: _Source, bits: int) -> Iterator[bytes]:
    """One zlib stream or gzip member; zlib itself holds checksum and length against its trailer."""
    decoder = zlib.decompressobj(bits)
    data = b""
    while not decoder.eof:
        data = decoder.unconsumed_tail or source.take()
        try:
            block = decoder.decompress(data, BLOCK)
        except zlib.error as error:
            raise Damaged(_zlib_text(str(error))) from error
        if block:
            yield block
        elif not data:
            raise Damaged("its compressed data break off, so the end is missing")
    source.give_back(decoder.unused_data)


def _zlib_text(error: str) -> str:
    if "data check" in error:
        return "its compressed data are damaged (the checksum is wrong)"
    if "length check" in error:
        return "its compressed data are damaged (their length is not the one in the trailer)"
    if "header" in error:
        return "its compressed data do not start as such data do"
    return "its compressed data are damaged"


def _remark_surplus(source: _Source, remarks: list[str]) -> None:
    count = 0
    while data := source.take():
        count += len(data)
    if count:
        remarks.append(
            f"{count} byte{'s' if count > 1 else ''} follow the end of the compressed data, which are "
            "complete; "
            "they were ignored."
        )
