"""What ITK does not tell of a NIfTI file: whether it is complete and oriented; the data of a sheared one."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..volume.geometry import LPS_TO_RAS

_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """The fields needed from a NIfTI-1 or NIfTI-2 header.

    Attributes:
        shape_xyz: all dimensions, fastest first.
        dtype: numpy type string with byte order, or None for types that hold no single real number.
        offset: of the first voxel, in (uncompressed) bytes.
        data_bytes: size of all voxels.
        slope, intercept: real value = slope * stored + intercept.
        qform_code, sform_code: 0 where the file gives no position.
        sform_ras: 4 x 4, homogeneous index x, y, z to RAS in file units.
        unit_mm: one file unit in mm.
    """

    shape_xyz: tuple[int, ...]
    dtype: str | None
    offset: int
    data_bytes: int
    slope: float
    intercept: float
    qform_code: int
    sform_code: int
    sform_ras: NDArray[np.float64]
    unit_mm: float

    @property
    def oriented(self) -> bool:
        """Whether the file says how the patient lies."""
        return self.qform_code > 0 or self.sform_code > 0


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if _is_gzip(path) else path.open("rb")  # type: ignore[return-value]


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path}: {why}. The file is damaged or incomplete: copy or export it again.")


def read_nifti_header(path: Path) -> NiftiHeader:
    """Parse the header and make sure that all voxels are there.

    Raises:
        InputError: no NIfTI, or truncated (ITK would hand back zeros for what is missing).
    """
    try:
        with _open(path) as file:
            raw = file.read(540)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"its header cannot be read ({error})") from error
    header = _parse(path, raw)
    missing = header.offset + header.data_bytes - _content_bytes(path, header.offset + header.data_bytes)
    if missing > 0:
        raise _damaged(
            path, f"its last {missing / 2**20:.1f} MB of {header.data_bytes / 2**20:.1f} MB are missing"
        )
    return header


def _parse(path: Path, raw: bytes) -> NiftiHeader:
    if len(raw) < 348:
        raise _damaged(path, "it is shorter than a NIfTI header")
    for order in "<>":
        size = struct.unpack_from(order + "i", raw)[0]
        if size == 348:
            dim = struct.unpack_from(order + "8h", raw, 40)
            datatype, bits = struct.unpack_from(order + "2h", raw, 70)
            offset = struct.unpack_from(order + "f", raw, 108)[0]
            slope, intercept = struct.unpack_from(order + "2f", raw, 112)
            units = raw[123]
            codes = struct.unpack_from(order + "2h", raw, 252)
            rows = struct.unpack_from(order + "12f", raw, 280)
            break
        if size == 540 and len(raw) >= 540:
            dim = struct.unpack_from(order + "8q", raw, 16)
            datatype, bits = struct.unpack_from(order + "2h", raw, 12)
            offset = struct.unpack_from(order + "q", raw, 168)[0]
            slope, intercept = struct.unpack_from(order + "2d", raw, 176)
            units = struct.unpack_from(order + "i", raw, 500)[0]
            codes = struct.unpack_from(order + "2i", raw, 344)
            rows = struct.unpack_from(order + "12d", raw, 400)
            break
    else:
        raise _damaged(path, "it is not a NIfTI file")
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1 or not np.isfinite(offset):
        raise _damaged(path, "its header makes no sense")
    shape = tuple(int(n) for n in dim[1 : dim[0] + 1])
    sform = np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]]).astype(float)
    count = 1
    for n in shape:
        count *= n
    return NiftiHeader(
        shape, order + _TYPES[datatype] if datatype in _TYPES else None, int(offset), count * bits // 8,
        slope if np.isfinite(slope) and slope != 0 else 1.0, intercept if np.isfinite(intercept) else 0.0,
        codes[0], codes[1], sform, {1: 1000.0, 3: 0.001}.get(units & 7, 1.0),
    )  # fmt: skip


def _content_bytes(path: Path, expected: int) -> int:
    """Number of uncompressed bytes in the file; counted through only where the gzip trailer leaves doubt."""
    if not _is_gzip(path):
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        trailer = struct.unpack("<I", file.read(4))[0]
    if trailer == expected % 2**32:
        return expected
    total = 0
    try:
        with gzip.open(path, "rb") as file:
            while block := file.read(2**24):
                total += len(block)
    except (OSError, EOFError, zlib.error):
        # At the damage; what came before it counts, but never as complete.
        return min(total, expected - 1)
    return total


def refuse_not_finite(path: Path, header: NiftiHeader) -> None:
    """ITK reads NaN and infinity as 0, which would be water; so they are looked for here.

    Raises:
        InputError: there are some.
    """
    if header.dtype is None or header.dtype[1] != "f":
        return
    bad = 0
    with _open(path) as file:
        file.seek(header.offset)
        left = header.data_bytes
        while left > 0 and (block := file.read(min(2**24, left))):
            left -= len(block)
            bad += int(np.count_nonzero(~np.isfinite(np.frombuffer(block, header.dtype))))
    if bad:
        raise InputError(
            f"{path}: {bad} of its voxels are no numbers (NaN or infinite). Replace them with -1024 (air), "
            "or give the original CT."
        )


def read_sheared_nifti(path: Path, header: NiftiHeader) -> tuple[NDArray, NDArray[np.float64]]:
    """The voxels of a file that ITK refuses because its axes are not perpendicular.

    Returns:
        (values, ijk_to_lps): real values (z, y, x); 4 x 4 matrix from index x, y, z to LPS mm, sheared.

    Raises:
        InputError: not three-dimensional, or no real numbers.
    """
    shape = header.shape_xyz
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if header.dtype is None or len(shape) != 3:
        raise InputError(f"{path}: it does not hold one volume of real numbers. Give the CT itself.")
    with _open(path) as file:
        file.seek(header.offset)
        buffer = file.read(header.data_bytes)
    values = np.frombuffer(buffer, header.dtype).reshape(shape[::-1])
    values = values.astype(values.dtype.newbyteorder("="))
    if (header.slope, header.intercept) != (1.0, 0.0):
        values = values * np.float32(header.slope) + np.float32(header.intercept)
    matrix = LPS_TO_RAS @ header.sform_ras
    matrix[:3] *= header.unit_mm
    return values, matrix
