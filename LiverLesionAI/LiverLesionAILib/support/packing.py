"""Large data as one gzip member, its blocks compressed side by side, ahead of when it is needed or not."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

BLOCK_BYTES = 1 << 22
"""Compressed apart. The bytes that are written depend on it, and on no number of threads."""

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_END = b"\x03\x00"


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def packed(blocks: Iterable[bytes | memoryview], level: int = 1) -> Iterator[bytes]:
    """One gzip member of blocks that are compressed in several threads, a few at a time.

    Args:
        blocks: best of `BLOCK_BYTES` each; held until they are compressed.
        level: of compression, 1 (fast) to 9 (small).
    """
    yield _HEAD
    checksum, size = 0, 0
    threads = min(4, cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="packing")
    waiting: deque[Future[bytes]] = deque()
    try:
        for block in blocks:
            checksum, size = zlib.crc32(block, checksum), size + len(block)
            waiting.append(pool.submit(_deflated, block, level))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
    yield _END + checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")


def _deflated(block: bytes | memoryview, level: int) -> bytes:
    """A part of a deflate stream that another part may follow."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(block) + packer.flush(zlib.Z_SYNC_FLUSH)


def in_blocks(data: memoryview) -> Iterator[memoryview]:
    """Contiguous data cut into blocks."""
    view = data.cast("B")
    for start in range(0, len(view), BLOCK_BYTES):
        yield view[start : start + BLOCK_BYTES]


def blocks_of(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of a file in blocks."""
    while block := file.read(BLOCK_BYTES):
        yield block


class PackedAhead:
    """Data that a thread compresses into a file without a name while others work; close it in any case.

    Only whoever shows the same data gets what was made of it: see :meth:`copy`. Where the file cannot be
    written there is nothing to get, and the data are compressed when they are needed.
    """

    def __init__(self, data: memoryview) -> None:
        """Begin.

        Args:
            data: contiguous; must not change while this is open.
        """
        self._stopped = threading.Event()
        self._file: IO[bytes] | None = None
        self._checksum, self._size = 0, 0
        self._thread = threading.Thread(target=self._run, args=(data,), name="packing ahead")
        self._thread.start()

    def _run(self, data: memoryview) -> None:
        try:
            file = tempfile.TemporaryFile(prefix="liverlesionai-")  # noqa: SIM115 (closed by close)
        except OSError:
            return
        try:
            checksum, size = 0, 0
            file.write(_HEAD)
            for block in in_blocks(data):
                if self._stopped.is_set():
                    file.close()
                    return
                checksum, size = zlib.crc32(block, checksum), size + len(block)
                file.write(_deflated(block, 1))
            file.write(_END + checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little"))
            file.flush()
        except OSError:
            file.close()
            return
        self._file, self._checksum, self._size = file, checksum, size

    def copy(self, path: Path, start: int, into: IO[bytes]) -> bool:
        """Write what was compressed where a file holds the same data from `start` on; whether it does.

        Raises:
            OSError: the file cannot be read, or `into` not be written.
        """
        self._thread.join()
        if self._file is None or path.stat().st_size - start != self._size:
            return False
        checksum = 0
        with path.open("rb") as file:
            file.seek(start)
            for block in blocks_of(file):
                checksum = zlib.crc32(block, checksum)
        if checksum != self._checksum:
            return False
        self._file.seek(0)
        shutil.copyfileobj(self._file, into, BLOCK_BYTES)
        return True

    def __enter__(self) -> PackedAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it, wait until it has stopped, and let go of the file."""
        self._stopped.set()
        self._thread.join()
        if self._file is not None:
            self._file.close()
            self._file = None
