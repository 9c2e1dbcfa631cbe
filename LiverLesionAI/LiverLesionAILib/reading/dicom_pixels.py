"""Stored pixels of DICOM images as Hounsfield units, the same way for every transfer syntax.

Uncompressed pixels are read here; compressed ones are decoded by a child process with limits, to the stored
values and frame by frame, so that each frame gets its own rescale and padding.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pydicom
import pydicom.uid
from numpy.typing import NDArray

from ..support.limited_child import ChildFailure, LimitedChild
from ..volume.ct import AIR_HU
from .codestreams import RLE, decodable
from .dicom_frames import DEFLATED, UNCOMPRESSED, Frame, StoredFormat

BIG_ENDIAN = "1.2.840.10008.1.2.2"
CHILD = "LiverLesionAILib.reading.dicom_decode_child"
DECODE_S = 8.0
# After so many slices that end the decoder or stop it the series is given up: each costs seconds.
MOST_FAILURES = 2
# Beside a multiple of the file and the frame, for libraries that work in floating point.
DECODE_BYTES = 600_000_000
# A warm decoder is kept with limits of so many steps; larger ones are started when needed, and ended after.
KEPT_STEP_BYTES, MOST_KEPT_STEPS = 2**29, 2
# Padding of at most this many HU, or at least that many, is no tissue and can safely become air.
_PADDING_BELOW_HU, _PADDING_ABOVE_HU = -1000.0, 3000.0


@dataclass(frozen=True, eq=False)
class Decoded:
    """One decoded image.

    Attributes:
        k: its index in the frames asked for.
        hu_yx: int16 HU (rows, columns); None where it cannot be decoded.
        problem: why not, to stand behind the file's name.
        remarks: what is odd about its pixels though it was read.
    """

    k: int
    hu_yx: NDArray[np.int16] | None
    problem: str = ""
    remarks: tuple[str, ...] = ()


def unreadable_syntax(syntax: str) -> str:
    """The name of a transfer syntax that no decoder here reads, or ""."""
    if syntax in UNCOMPRESSED or syntax == RLE or decodable(syntax):
        return ""
    return pydicom.uid.UID(syntax).name


@contextmanager
def kept_decoder() -> Iterator[None]:
    """While many CTs are read: the decoding process of one serves the next, which saves a second for each.

    Its limits hold as ever, and one that failed is never used again.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        for child in _kept.get().values():
            child.close()
        _kept.reset(token)


_kept: ContextVar[dict[int, LimitedChild] | None] = ContextVar("kept", default=None)


def read_hu(frames: Sequence[Frame]) -> Iterator[Decoded]:
    """Decode images, each file opened once; in the order of files, not of `frames`."""
    order = sorted(range(len(frames)), key=lambda k: (str(frames[k].path), frames[k].index))
    with tempfile.TemporaryDirectory(prefix="liverlesionai-") as folder, _Decoder(Path(folder)) as decoder:
        for path, group in groupby(order, key=lambda k: frames[k].path):
            indices = list(group)
            plain = frames[indices[0]].format.syntax in UNCOMPRESSED
            source = _PlainFile(path) if plain else decoder
            for k in indices:
                yield _decoded(source, frames[k], k)


def _decoded(source: _PlainFile | _Decoder, frame: Frame, k: int) -> Decoded:
    try:
        stored, remarks = source.stored(frame)
        values, more = settled(stored, frame.format, frame.padding)
        return Decoded(k, _padded_to_air(_rescaled(values, frame), frame), "", (*remarks, *more))
    except (ChildFailure, ValueError) as error:
        return Decoded(k, None, str(error))
    except Exception:  # pydicom raises what it likes on damaged data
        return Decoded(k, None, "its pixel data are damaged")


class _PlainFile:
    """The pixels of an uncompressed (or deflated) file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pixels: bytes | None = None
        self._trailing = 0

    def stored(self, frame: Frame) -> tuple[NDArray, list[str]]:
        order = ">" if frame.format.syntax == BIG_ENDIAN else "<"
        if self._pixels is None:
            inflate = frame.format.syntax == DEFLATED
            self._pixels, self._trailing = _inflated(self._path) if inflate else _element(self._path, order)
        kind = stored_type(frame.format, order)
        count = frame.shape_yx[0] * frame.shape_yx[1]
        surplus = len(self._pixels) - count * kind.itemsize * frame.frames
        if surplus < 0:
            raise ValueError(f"its pixel data are cut short by {-surplus} bytes")
        values = np.frombuffer(self._pixels, kind, count, frame.index * count * kind.itemsize)
        # A single byte makes the length even.
        odd = [f"has {surplus} bytes more pixel data than its size says"] if surplus > 1 else []
        if self._trailing:
            odd.append(f"has {self._trailing} bytes behind its pixel data that belong to nothing")
        return values.reshape(frame.shape_yx).astype(kind.newbyteorder("=")), odd


def _inflated(path: Path) -> tuple[bytes, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = pydicom.dcmread(path, force=True).get("PixelData")
    if not isinstance(pixels, bytes) or not pixels:
        raise ValueError("it holds no pixel data")
    return pixels, 0


def _element(path: Path, order: str) -> tuple[bytes, int]:
    """(the pixel data's bytes, number of bytes behind them that are no element that may follow)."""
    end = "big" if order == ">" else "little"
    tag = b"".join(n.to_bytes(2, end) for n in (0x7FE0, 0x0010))
    with path.open("rb") as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom.dcmread(file, stop_before_pixels=True, force=True)
        head = file.read(12)
        if head[:4] != tag:
            raise ValueError("it holds no pixel data")
        explicit = head[4:6] in (b"OB", b"OW", b"UN")
        if not explicit:
            file.seek(-4, 1)
        length = int.from_bytes(head[8:12] if explicit else head[4:8], end)
        if length == 0xFFFFFFFF:
            raise ValueError("its pixel data are compressed, though it says that they are not")
        pixels, rest = file.read(length), file.read()
    # Signatures and padding may follow.
    follows = rest[:4] in (b"\xfa\xff\xfa\xff", b"\xfc\xff\xfc\xff", b"\xff\xfa\xff\xfa", b"\xff\xfc\xff\xfc")
    return pixels, 0 if follows else len(rest)


class _Decoder:
    """Decodes compressed frames in a child process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: LimitedChild | None = None
        self._allowed = 0
        self._failures = 0

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is None:
            return
        kept = _kept.get()
        if kept is None or self._failures or self._allowed > KEPT_STEP_BYTES * MOST_KEPT_STEPS:
            self._child.close()
        else:
            kept[self._allowed] = self._child

    def stored(self, frame: Frame) -> tuple[NDArray, list[str]]:
        if self._failures >= MOST_FAILURES:
            raise ValueError("decoding was given up after others had failed")
        kind = stored_type(frame.format, "<")
        frame_bytes = frame.shape_yx[0] * frame.shape_yx[1] * kind.itemsize
        if self._child is None:
            allowed = DECODE_BYTES + 3 * frame.path.stat().st_size + 60 * frame_bytes
            self._allowed = -(-allowed // KEPT_STEP_BYTES) * KEPT_STEP_BYTES
            self._child = (_kept.get() or {}).pop(self._allowed, None) or LimitedChild(CHILD, self._allowed)
        request = {
            "path": str(frame.path),
            "index": frame.index,
            "frames": frame.frames,
            "shape_yx": frame.shape_yx,
            "format": asdict(frame.format),
            "folder": str(self._folder),
        }
        try:
            answer, data = self._child.ask(request, DECODE_S)
        except ChildFailure as error:
            self._failures += error.ended
            raise
        values = np.frombuffer(data, np.dtype(answer["dtype"])).reshape(frame.shape_yx)
        return values, []


def stored_type(stored: StoredFormat, order: str) -> np.dtype:
    """The type of a stored pixel.

    Raises:
        ValueError: none that images of Hounsfield units have.
    """
    if stored.allocated not in (8, 16, 32) or not 1 <= stored.stored <= stored.allocated:
        raise ValueError(f"it says {stored.stored} of {stored.allocated} bits a pixel, which is impossible")
    return np.dtype(f"{order}{'i' if stored.signed else 'u'}{stored.allocated // 8}")


def settled(
    values: NDArray, stored: StoredFormat, padding: tuple[int, int] | None = None
) -> tuple[NDArray[np.int32], list[str]]:
    """Numbers out of words of more bits than they need, whatever the unused bits hold.

    Args:
        values: (rows, columns) as stored, any integer type.
        padding: stored values that may lie beyond the stored bits.

    Returns:
        (values, what is odd about them).

    Raises:
        ValueError: the pixels contradict BitsStored and HighBit.
    """
    wide = values.astype(np.int64)
    bits, low = stored.stored, stored.high + 1 - stored.stored
    ours = np.ones(wide.shape, bool)
    if padding is not None:
        ours = (wide < padding[0]) | (wide > padding[1])
    remarks = []
    if low != 0:
        named = f"BitsStored {bits} and HighBit {stored.high}"
        if _fits(wide[ours], bits, stored.signed):
            remarks.append(f"has {named}, which do not fit together; the values fit BitsStored")
        elif 0 < low <= stored.allocated - bits and not (wide & ((1 << low) - 1)).any():
            remarks.append(f"has its values in the upper bits ({named})")
            wide >>= low
        else:
            raise ValueError(f"its pixels contradict its header ({named})")
    mask = (1 << bits) - 1
    if stored.overlay and bits < stored.allocated:
        wide &= mask
    elif not _fits(wide[ours], bits, stored.signed) and not (
        stored.signed and _fits(wide[ours], bits, signed=False)
    ):
        raise ValueError(f"its pixels need more bits than its header says (BitsStored {bits})")
    if stored.signed:
        half = 1 << (bits - 1)
        extended = ((wide & mask) ^ half) - half
        wide = np.where(ours, extended, wide) if padding is not None else extended
    return wide.astype(np.int32), remarks


def _fits(values: NDArray[np.int64], bits: int, signed: bool) -> bool:
    if not values.size:
        return True
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    return bool(values.min() >= low and values.max() < high)


def _rescaled(stored: NDArray[np.int32], frame: Frame) -> NDArray:
    if frame.slope == 1.0 and frame.intercept == int(frame.intercept):
        return stored + np.int64(frame.intercept)
    return stored.astype(np.float64) * frame.slope + frame.intercept


def _padded_to_air(hu: NDArray, frame: Frame) -> NDArray[np.int16]:
    """Clip to int16, and turn padding into air.

    A padding value that could be tissue is only believed outside the scanner's round field of view.
    """
    result = np.clip(np.rint(hu), -32768, 32767).astype(np.int16)
    if frame.padding is None:
        return result
    low, high = sorted(frame.slope * p + frame.intercept for p in frame.padding)
    padding = (hu >= low - 1e-3) & (hu <= high + 1e-3)
    if not (high <= _PADDING_BELOW_HU or low >= _PADDING_ABOVE_HU):
        rows, columns = frame.shape_yx
        y, x = np.ogrid[:rows, :columns]
        outside = ((2 * y + 1) / rows - 1) ** 2 + ((2 * x + 1) / columns - 1) ** 2 > 1.02
        if not outside.any() or padding[outside].mean() < 0.95:
            return result
        padding &= outside
    result[padding] = AIR_HU
    return result
