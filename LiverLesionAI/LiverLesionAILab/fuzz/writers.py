"""Image files written field by field, so that any field can be wrong.

Not for data: those are written by SimpleITK.
"""

from __future__ import annotations

import bz2
import gzip
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Field: (struct format, offset) in NIfTI-1 and NIfTI-2, from the standard's tables.
NIFTI1 = {
    "sizeof_hdr": ("i", 0), "dim": ("8h", 40), "intent_code": ("h", 68), "datatype": ("h", 70),
    "bitpix": ("h", 72),
    "pixdim": ("8f", 76), "vox_offset": ("f", 108), "scl_slope": ("f", 112), "scl_inter": ("f", 116),
    "xyzt_units": ("B", 123), "qform_code": ("h", 252), "sform_code": ("h", 254), "quatern": ("3f", 256),
    "qoffset": ("3f", 268), "srow": ("12f", 280), "magic": ("4s", 344), "extension": ("4s", 348),
}  # fmt: skip
NIFTI2 = {
    "sizeof_hdr": ("i", 0), "magic": ("8s", 4), "datatype": ("h", 12), "bitpix": ("h", 14), "dim": ("8q", 16),
    "pixdim": ("8d", 104), "vox_offset": ("q", 168), "scl_slope": ("d", 176), "scl_inter": ("d", 184),
    "qform_code": ("i", 344), "sform_code": ("i", 348), "quatern": ("3d", 352), "qoffset": ("3d", 376),
    "srow": ("12d", 400), "xyzt_units": ("i", 500), "intent_code": ("i", 504), "extension": ("4s", 540),
}  # fmt: skip
_CODES = {"i2": 4, "i4": 8, "f4": 16, "f8": 64, "u1": 2, "i1": 256, "u2": 512, "u4": 768, "i8": 1024}


@dataclass(frozen=True)
class AxialGrid:
    """An axial grid in LPS: array axes run towards left, posterior, superior.

    Attributes:
        spacing_xyz_mm: voxel size.
        origin_lps: first voxel, mm.
    """

    spacing_xyz_mm: tuple[float, float, float] = (3.0, 3.0, 5.0)
    origin_lps: tuple[float, float, float] = (-90.0, -80.0, 20.0)

    @property
    def sform_ras(self) -> NDArray[np.float64]:
        """(3, 4), index x, y, z to RAS mm."""
        signs = np.array([-1.0, -1.0, 1.0])
        return np.column_stack([np.diag(signs * self.spacing_xyz_mm), signs * self.origin_lps])


def nifti(
    values: NDArray,
    grid: AxialGrid | None = None,
    version: int = 1,
    order: str = "<",
    **fields: Any,
) -> bytes:
    """A single-file NIfTI whose header is right but for `fields`.

    Args:
        values: (z, y, x), or (t, z, y, x).
        grid: written as sform and as qform, both with code 1.
        version: 1 or 2.
        order: "<" or ">".
        fields: values of NIFTI1's or NIFTI2's fields instead of the right ones; 3 x 4 matrices as they are.
    """
    grid = grid or AxialGrid()
    layout, size = (NIFTI1, 348) if version == 1 else (NIFTI2, 540)
    code = values.dtype.str[1:]
    said: dict[str, Any] = {
        "sizeof_hdr": size,
        "dim": (values.ndim, *values.shape[::-1], *[1] * (7 - values.ndim)),
        "datatype": _CODES[code],
        "bitpix": 8 * values.dtype.itemsize,
        "pixdim": (1.0, *grid.spacing_xyz_mm, 0, 0, 0, 0),
        "vox_offset": size + 4,
        "scl_slope": 1.0,
        "scl_inter": 0.0,
        "xyzt_units": 2,
        "qform_code": 1,
        "sform_code": 1,
        "quatern": (0.0, 0.0, 1.0),  # half a turn about z: axes towards left and posterior
        "qoffset": tuple(grid.sform_ras[:, 3]),
        "srow": grid.sform_ras,
        "magic": b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n",
        "intent_code": 0,
        "extension": bytes(4),
    }
    said.update(fields)
    raw = bytearray(size + 4)
    for name, value in said.items():
        form, at = layout[name]
        numbers = np.ravel(value).tolist() if isinstance(value, (np.ndarray, tuple, list)) else [value]
        struct.pack_into(order + form, raw, at, *numbers)
    return bytes(raw) + values.astype(values.dtype.newbyteorder(order)).tobytes()


def numbers(values: Any) -> str:
    """Numbers as text headers have them."""
    return " ".join(f"{float(v):g}" for v in np.ravel(values))


def nrrd_fields(values: NDArray, grid: AxialGrid | None = None, encoding: str = "raw") -> dict[str, str]:
    """The right fields of an NRRD header."""
    grid = grid or AxialGrid()
    names = {
        "i2": "int16", "u2": "uint16", "i4": "int32", "f4": "float", "f8": "double", "u1": "uint8",
        "i1": "int8",
    }  # fmt: skip
    steps = grid.spacing_xyz_mm
    return {
        "type": names[values.dtype.str[1:]],
        "dimension": str(values.ndim),
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, values.shape[::-1])),
        "space directions": f"({steps[0]:g},0,0) (0,{steps[1]:g},0) (0,0,{steps[2]:g})",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": encoding,
        "space origin": "({:g},{:g},{:g})".format(*grid.origin_lps),
    }


def packed(raw: bytes, encoding: str) -> bytes:
    """Bytes in an encoding of NRRD's or MetaImage's."""
    if encoding in ("gzip", "gz"):
        return gzip.compress(raw, 1, mtime=0)
    if encoding in ("bzip2", "bz2"):
        return bz2.compress(raw, 1)
    if encoding == "zlib":
        return zlib.compress(raw, 1)
    if encoding == "hex":
        return raw.hex().encode()
    return raw


def text_values(values: NDArray) -> bytes:
    """Voxels as decimal numbers, a row a line."""
    rows = values.reshape(-1, values.shape[-1]).tolist()
    return b"\n".join(b" ".join(str(v).encode() for v in row) for row in rows)


def nrrd(fields: Mapping[str, str | None], data: bytes, magic: str = "NRRD0005") -> bytes:
    """An NRRD file of any fields; those that are None are left out. Without data, a detached header."""
    lines = [magic, *(f"{name}: {value}" for name, value in fields.items() if value is not None), "", ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape") + data


def metaimage_fields(values: NDArray, grid: AxialGrid | None = None, compressed: int = 0) -> dict[str, str]:
    """The right fields of a MetaImage header; `compressed` is the length of the zlib data."""
    grid = grid or AxialGrid()
    names = {
        "i2": "MET_SHORT", "u2": "MET_USHORT", "i4": "MET_INT", "f4": "MET_FLOAT", "f8": "MET_DOUBLE",
        "u1": "MET_UCHAR", "i1": "MET_CHAR",
    }  # fmt: skip
    fields = {
        "ObjectType": "Image",
        "NDims": str(values.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(bool(compressed)),
    }
    if compressed:
        fields["CompressedDataSize"] = str(compressed)
    extra = values.ndim - 3
    return {
        **fields,
        "TransformMatrix": numbers(np.eye(values.ndim)),
        "Offset": numbers((*grid.origin_lps, *[0] * extra)),
        "CenterOfRotation": numbers([0] * values.ndim),
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": numbers((*grid.spacing_xyz_mm, *[1] * extra)),
        "DimSize": " ".join(map(str, values.shape[::-1])),
        "ElementType": names[values.dtype.str[1:]],
        "ElementDataFile": "LOCAL",
    }


def metaimage(fields: Mapping[str, str | None], data: bytes) -> bytes:
    """A MetaImage file of any fields; those that are None are left out."""
    lines = [*(f"{name} = {value}" for name, value in fields.items() if value is not None), ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape") + data
