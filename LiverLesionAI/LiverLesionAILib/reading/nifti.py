"""Headers of NIfTI-1 and NIfTI-2 files, read and held against themselves."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..support.text import printable
from .decoding import Contents, open_regular, read_start
from .image_header import ImageHeader, axis_sizes, damaged, wrong_header
from .nifti_grid import NiftiPlace, nifti_grid

LONGEST_EXTENSIONS = 2**24
# Code of the type: numpy's name, or what it is instead of one real number.
TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
COMPLEX, COLOURS = (32, 1792, 2048), {128: 3, 2304: 4}
UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True)
class _Layout:
    """Where a version of NIfTI keeps its fields: (struct format, offset) by name."""

    name: str
    size: int
    magic_at: int
    single: bytes
    pair: bytes
    fields: dict[str, tuple[str, int]]


_LAYOUTS = (
    _Layout("NIfTI-1", 348, 344, b"n+1\0", b"ni1\0", {
        "dim": ("8h", 40), "datatype": ("h", 70), "bitpix": ("h", 72), "pixdim": ("8f", 76),
        "vox_offset": ("f", 108), "scl_slope": ("f", 112), "scl_inter": ("f", 116), "xyzt_units": ("B", 123),
        "qform_code": ("h", 252), "sform_code": ("h", 254), "quatern": ("3f", 256), "qoffset": ("3f", 268),
        "srow": ("12f", 280), "intent_code": ("h", 68),
    }),
    _Layout("NIfTI-2", 540, 4, b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n", {
        "datatype": ("h", 12), "bitpix": ("h", 14), "dim": ("8q", 16), "pixdim": ("8d", 104),
        "vox_offset": ("q", 168), "scl_slope": ("d", 176), "scl_inter": ("d", 184), "qform_code": ("i", 344),
        "sform_code": ("i", 348), "quatern": ("3d", 352), "qoffset": ("3d", 376), "srow": ("12d", 400),
        "xyzt_units": ("i", 500), "intent_code": ("i", 504),
    }),
)  # fmt: skip


def read_nifti_header(path: Path, grid: str = "") -> ImageHeader:
    """Read and judge a header; the voxels are not looked at.

    Args:
        path: the file, compressed by gzip or not, whatever its name says.
        grid: "sform" or "qform" where the reader decided between them.

    Raises:
        InputError: no NIfTI, damaged, in two files, or contradicting itself.
    """
    raw, compressed = read_start(path, 544)
    found = _layout(raw)
    if found is None:
        raise damaged(path, f"it is not a NIfTI file{_what_instead(raw)}")
    layout, order = found
    if len(raw) < layout.size:
        raise damaged(path, f"it is shorter than a {layout.name} header")
    magic = raw[layout.magic_at : layout.magic_at + len(layout.single)]
    if magic[: len(layout.pair)] == layout.pair:
        raise wrong_header(
            path,
            "its header says that its voxels are in another file (a pair .hdr and .img)",
            "Convert both to one .nii file.",
        )
    if magic != layout.single:
        raise damaged(path, f"it has no {layout.name} mark ('{printable(magic, 40)}')")
    fields = {key: _unpack(raw, order + form, at) for key, (form, at) in layout.fields.items()}
    warnings: list[str] = []
    sizes = _sizes(path, fields)
    dtype, type_name, components = _type(path, fields, order, warnings)
    data_bytes = math.prod(sizes) * (dtype.itemsize if dtype is not None else 1)
    offset = _offset(path, layout, fields, order, data_bytes, compressed, warnings)
    slope, intercept = _scale(path, fields, warnings)
    value_axis = 4 if len(sizes) > 4 and sizes[4] > 1 else None
    if components > 1:
        sizes, value_axis = (*sizes, components), len(sizes)
    place = _place(fields, sizes, warnings)
    taken = nifti_grid(path, place, grid)
    said = path.name.lower()
    if compressed and not said.endswith(".gz"):
        warnings.append("The file is compressed, though its name is that of an uncompressed one.")
    if not compressed and said.endswith(".gz"):
        warnings.append("The file is not compressed, though its name says so.")
    return ImageHeader(
        path, layout.name, sizes, tuple(range(min(3, len(sizes)))), dtype,
        Contents((path,), "gzip", 0, offset) if compressed else Contents((path,), "raw", offset),
        taken.ijk_to_lps, value_axis, type_name, False, slope, intercept, (), (*warnings, *taken.warnings),
    )  # fmt: skip


def _layout(raw: bytes) -> tuple[_Layout, str] | None:
    if len(raw) < 4:
        return None
    for order in "<>":
        size = struct.unpack_from(order + "i", raw)[0]
        for layout in _LAYOUTS:
            if size == layout.size:
                return layout, order
    return None


def _what_instead(raw: bytes) -> str:
    for magic, name in (
        (b"\x1f\x8b", "compressed twice"),
        (b"NRRD", "it holds NRRD: give it the ending .nrrd"),
        (b"ObjectType", "it holds MetaImage: give it the ending .mha"),
        (b"NDims", "it holds MetaImage: give it the ending .mha"),
    ):
        if raw.startswith(magic):
            return f" ({name})"
    return ""


def _unpack(raw: bytes, form: str, at: int) -> Any:
    values = struct.unpack_from(form, raw, at)
    return values if len(values) > 1 else values[0]


def _sizes(path: Path, fields: dict[str, Any]) -> tuple[int, ...]:
    dim = fields["dim"]
    if not 1 <= dim[0] <= 7:
        raise damaged(path, f"its header makes no sense: it has {dim[0]} dimensions")
    sizes = axis_sizes(path, "dim", tuple(int(n) for n in dim[1 : dim[0] + 1]))
    # Trailing axes of one value are none.
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    return sizes


def _type(
    path: Path, fields: dict[str, Any], order: str, warnings: list[str]
) -> tuple[np.dtype | None, str, int]:
    """(numpy type or None, name, values of a voxel)."""
    code, bits = fields["datatype"], fields["bitpix"]
    if code in COLOURS:
        return np.dtype("u1"), "a colour", COLOURS[code]
    if code in COMPLEX:
        return None, "complex", 1
    if code not in TYPES:
        raise damaged(path, f"its type of values (code {code}) is none that NIfTI has for images")
    dtype = np.dtype(order + TYPES[code])
    if bits != 8 * dtype.itemsize:
        warnings.append(
            f"The header gives {bits} bits for a voxel, but its type ({dtype.name}) has "
            f"{8 * dtype.itemsize}; the "
            "type fits the file's length and was taken."
        )
    return dtype, dtype.name, 1


def _offset(
    path: Path,
    layout: _Layout,
    fields: dict[str, Any],
    order: str,
    data_bytes: int,
    compressed: bool,
    warnings: list[str],
) -> int:
    """Where the voxels begin in the (decoded) file."""
    least = layout.size + 4
    offset = fields["vox_offset"]
    if not math.isfinite(offset) or offset != int(offset) or offset < 0 or offset > LONGEST_EXTENSIONS:
        raise damaged(path, f"its header says that its voxels begin at byte {offset:g}, which cannot be")
    offset = int(offset)
    if offset < least:
        # Some writers leave 0. Where the file's length shows that nothing else stands before the voxels:
        length = None if compressed else _length(path)
        if offset != 0 or (length is not None and length != least + data_bytes):
            raise damaged(
                path, f"its header says that its voxels begin at byte {offset}, inside the header itself"
            )
        warnings.append(
            f"The header says that the voxels begin at byte 0; they were read from byte {least}, "
            "which fits the "
            "file's length."
        )
        return least
    end = _extensions_end(path, least, offset, order)
    if end > offset:
        raise damaged(path, f"its header says that its voxels begin at byte {offset}, inside its extensions")
    return offset


def _length(path: Path) -> int:
    with open_regular(path) as file:
        return file.seek(0, 2)


def _extensions_end(path: Path, at: int, offset: int, order: str) -> int:
    """Where the header's extensions end; each says its own length."""
    raw, _ = read_start(path, offset)
    if len(raw) < at or raw[at - 4] == 0:
        return at
    while at + 8 <= offset and at + 8 <= len(raw):
        size = struct.unpack_from(order + "i", raw, at)[0]
        if size < 8 or size % 16:
            raise damaged(path, f"its header has an extension of {size} bytes, which cannot be")
        at += size
    return at


def _scale(path: Path, fields: dict[str, Any], warnings: list[str]) -> tuple[float, float]:
    slope, intercept = fields["scl_slope"], fields["scl_inter"]
    if math.isnan(slope) and math.isnan(intercept):
        return 1.0, 0.0
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise damaged(path, f"its header scales its values by {slope:g} and {intercept:g}, which cannot be")
    if slope == 0:
        if intercept != 0:
            warnings.append(
                f"The header scales the values by 0 and adds {intercept:g}; by the standard a scale "
                "of 0 means "
                "neither, so they were read as they are stored."
            )
        return 1.0, 0.0
    if slope < 0:
        warnings.append(f"The header scales the values by {slope:g}, which inverts them.")
    return float(slope), float(intercept)


def _place(fields: dict[str, Any], sizes: tuple[int, ...], warnings: list[str]) -> NiftiPlace:
    unit = int(fields["xyzt_units"]) & 7
    if unit not in UNITS_MM:
        warnings.append(f"The header's unit of length (code {unit}) is none that NIfTI has; mm was taken.")
    if UNITS_MM.get(unit, 1.0) != 1.0:
        warnings.append(f"The header's unit of length is {'metres' if unit == 1 else 'micrometres'}.")
    qfac, dx, dy, dz = (float(v) for v in fields["pixdim"][:4])
    if fields["qform_code"] > 0 and qfac not in (-1.0, 0.0, 1.0):
        warnings.append(f"The header's qfac is {qfac:g} instead of 1 or -1; its sign alone was used.")
    nx, ny, nz = (*sizes, 1, 1, 1)[:3]
    return NiftiPlace(
        (nx, ny, nz),
        (qfac, dx, dy, dz),
        int(fields["qform_code"]),
        int(fields["sform_code"]),
        tuple(fields["quatern"]),
        tuple(fields["qoffset"]),
        np.reshape(fields["srow"], (3, 4)).astype(float),
        UNITS_MM.get(unit, 1.0),
    )
