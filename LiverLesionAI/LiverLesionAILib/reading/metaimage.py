"""Headers of MetaImage files (.mha, and .mhd with its data file), read and held against themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..support.text import printable
from .data_files import data_files
from .decoding import Contents, open_regular
from .image_header import (
    LONGEST_FIELD,
    LONGEST_HEADER,
    MOST_AXES,
    ImageHeader,
    axis_sizes,
    damaged,
    numbers,
    same_size,
    whole_numbers,
    wrong_header,
)

TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4",
    "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_SYNONYMS = {
    "Origin": "Offset", "Position": "Offset", "Rotation": "TransformMatrix", "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}  # fmt: skip
# Fields whose absence changes the volume: a name that is nearly one of them is one, damaged.
_LAST = "ElementDataFile"
_AXIS_LETTERS = ("RL", "AP", "IS")
UNIT_TOLERANCE = 0.01


@dataclass
class _Fields:
    path: Path
    values: dict[str, str] = field(default_factory=dict)
    data_at: int = 0
    files: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def need(self, name: str) -> str:
        if name not in self.values:
            raise wrong_header(self.path, f"its header has no field '{name}'", "Export it again.")
        return self.values[name]

    def yes(self, name: str, default: bool) -> bool:
        text = self.values.get(name)
        if text is None:
            return default
        if text.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise damaged(self.path, f"its field '{name}' is neither True nor False: '{printable(text, 40)}'")
        return text.lower() in ("true", "1", "t")


def read_metaimage_header(path: Path) -> ImageHeader:
    """Read and judge a header; the voxels are not looked at.

    Raises:
        InputError: no MetaImage, damaged, contradicting itself, without voxel sizes, or its data file is
        missing.
    """
    fields = _read_fields(path)
    kind = fields.values.get("ObjectType", "Image")
    if kind.lower() != "image":
        raise wrong_header(path, f"it holds a '{printable(kind, 40)}', not an image", "Give the CT itself.")
    axes = whole_numbers(path, "NDims", fields.need("NDims"), 1)[0]
    if not 1 <= axes <= MOST_AXES:
        raise damaged(path, f"its header makes no sense: it has {axes} dimensions")
    sizes = axis_sizes(path, "DimSize", whole_numbers(path, "DimSize", fields.need("DimSize"), axes))
    channels = whole_numbers(
        path, "ElementNumberOfChannels", fields.values.get("ElementNumberOfChannels", "1"), 1
    )[0]
    if not 1 <= channels <= 10_000:
        raise damaged(path, f"its voxels have {channels} values")
    dtype, text_values, contents = _contents(fields)
    slope, intercept = _scale(fields)
    _judge_words(fields)
    matrix = _matrix(fields, axes) if axes >= 3 else np.eye(4)
    value_axis, domain = None, tuple(range(min(3, axes)))
    if channels > 1:
        sizes, value_axis, domain = (channels, *sizes), 0, tuple(a + 1 for a in domain)
    return ImageHeader(
        path, "MetaImage", sizes, domain, dtype, contents, matrix, value_axis, fields.values["ElementType"],
        text_values, slope, intercept, warnings=tuple(fields.warnings),
    )  # fmt: skip


def _read_fields(path: Path) -> _Fields:
    fields = _Fields(path)
    with open_regular(path) as file:
        while _LAST not in fields.values:
            line = file.readline(LONGEST_FIELD + 1)
            if not line:
                raise damaged(path, f"it is not a MetaImage file, or its header breaks off before '{_LAST}'")
            if file.tell() > LONGEST_HEADER or len(line) > LONGEST_FIELD:
                raise damaged(path, "its header does not end, or it is not a MetaImage file")
            text = line.decode("utf-8", "surrogateescape").strip()
            if not text:
                continue
            match = re.match(r"([^=:]*?)\s*[=:]\s?(.*)", text) or re.match(r"([^=:]*?)\s*[=:](.*)", text)
            if match is None or not match.group(1):
                raise damaged(path, f"its header has a line that is no field: '{printable(text, 60)}'")
            name = _SYNONYMS.get(match.group(1), match.group(1))
            value = match.group(2).strip()
            if fields.values.get(name, value) != value:
                raise damaged(path, f"its header gives '{printable(name, 40)}' twice, differently")
            fields.values[name] = value
        fields.data_at = file.tell()
        if fields.values[_LAST].upper() == "LOCAL" and not line.endswith(b"\n"):
            raise damaged(path, "it ends with its header, so its voxels are missing")
        if fields.values[_LAST].split()[:1] == ["LIST"]:
            fields.files = _listed(file.read(LONGEST_HEADER))
    return fields


def _listed(raw: bytes) -> list[str]:
    return [line.strip() for line in raw.decode("utf-8", "surrogateescape").splitlines() if line.strip()]


def _contents(fields: _Fields) -> tuple[np.dtype, bool, Contents]:
    path = fields.path
    type_name = fields.need("ElementType")
    if type_name not in TYPES:
        raise damaged(path, f"its type of values '{printable(type_name, 40)}' is none that is read")
    binary = fields.yes("BinaryData", True)
    compressed = fields.yes("CompressedData", False)
    dtype = np.dtype(TYPES[type_name])
    if binary and dtype.itemsize > 1:
        if "BinaryDataByteOrderMSB" not in fields.values:
            fields.warnings.append(
                "The header does not say in which order the bytes of a value stand; little-endian was taken."
            )
        dtype = dtype.newbyteorder(">" if fields.yes("BinaryDataByteOrderMSB", False) else "<")
    stored = None
    if "CompressedDataSize" in fields.values:
        stored = whole_numbers(path, "CompressedDataSize", fields.values["CompressedDataSize"], 1)[0]
        if not compressed and stored:
            raise damaged(path, "its header says that it is not compressed, but gives a compressed size")
        if stored < 0 or (compressed and stored == 0):
            raise damaged(path, f"its compressed voxels would be {stored} bytes long")
    skip = whole_numbers(path, "HeaderSize", fields.values.get("HeaderSize", "0"), 1)[0]
    if not -1 <= skip < 2**31:
        raise damaged(path, f"its header skips {skip} bytes, which cannot be")
    parts, start = _parts(fields)
    if compressed:
        if not binary:
            raise damaged(path, "its header says that its voxels are compressed and text at once")
        if skip < 0:
            raise damaged(path, "its header places compressed voxels at the end of the file, which cannot be")
        return dtype, False, Contents(parts, "zlib", start + skip, 0, stored)
    if skip < 0:
        return dtype, not binary, Contents(parts, "raw", start, -1)
    return dtype, not binary, Contents(parts, "raw", start + skip)


def _scale(fields: _Fields) -> tuple[float, float]:
    """(slope, intercept) of the real values."""
    path, values = fields.path, fields.values
    slope, intercept = (
        numbers(path, name, values.get(name, default), 1)[0]
        for name, default in (
            ("ElementToIntensityFunctionSlope", "1"),
            ("ElementToIntensityFunctionOffset", "0"),
        )
    )
    if slope == 0:
        raise damaged(path, "its header scales its values by 0")
    if (slope, intercept) != (1.0, 0.0):
        fields.warnings.append(
            f"The header scales the values by {slope:g} and adds {intercept:g}; that was done, though "
            "not every "
            "program does. Check the HU of fat or air."
        )
    return slope, intercept


def _judge_words(fields: _Fields) -> None:
    """Raises: InputError for another unit than mm; a modality other than CT is a warning."""
    unit = fields.values.get("DistanceUnits", "mm")
    if unit.lower() not in ("mm", "?", ""):
        raise wrong_header(
            fields.path,
            f"its space is measured in {printable(unit, 40)}, not in mm",
            "Export it again in millimetres.",
        )
    modality = fields.values.get("Modality", "MET_MOD_CT").upper()
    if modality not in ("MET_MOD_CT", "MET_MOD_UNKNOWN", "MET_MOD_OTHER", "CT"):
        fields.warnings.append(f"The header says {printable(modality, 40)}, not CT. Check that it is a CT.")


def _parts(fields: _Fields) -> tuple[tuple[Path, ...], int]:
    path, value = fields.path, fields.values[_LAST]
    if value.upper() == "LOCAL":
        return (path,), fields.data_at
    if value.split()[:1] == ["LIST"]:
        names = fields.files
    elif "%" in value:
        raise wrong_header(
            path,
            f"its field '{_LAST}' is a pattern for many files, which is not read ('{printable(value, 60)}')",
            "Save the volume as one file.",
        )
    else:
        names = [value]
    return data_files(path, _LAST, names), 0


def _matrix(fields: _Fields, axes: int) -> NDArray[np.float64]:
    path, values = fields.path, fields.values
    spacing = np.array(_spacing(fields, axes)[:3])
    matrix = np.eye(4)
    if "TransformMatrix" in values:
        rows = np.reshape(
            numbers(path, "TransformMatrix", values["TransformMatrix"], axes * axes), (axes, axes)
        )
        if axes > 3 and (rows[:3, 3:].any() or rows[3:, :3].any()):
            raise damaged(path, "its TransformMatrix mixes space with time")
        # Each row is the direction of an axis.
        directions = rows[:3, :3].T
        lengths = np.linalg.norm(directions, axis=0)
        if np.abs(lengths - 1).max() > UNIT_TOLERANCE:
            raise damaged(path, "its TransformMatrix has axes that are not of length 1")
        if abs(np.linalg.det(directions)) < 0.05:
            raise damaged(path, "its TransformMatrix has axes that lie in one plane")
        matrix[:3, :3] = directions / lengths * spacing
        _compare_letters(fields, directions)
    else:
        fields.warnings.append(
            "The file does not say how the patient lies (no TransformMatrix); left and right may be swapped."
        )
        matrix[:3, :3] = np.diag(spacing)
    if "Offset" in values:
        matrix[:3, 3] = numbers(path, "Offset", values["Offset"], axes)[:3]
    else:
        fields.warnings.append("The header has no Offset; the first voxel was placed at 0, 0, 0.")
    center = numbers(path, "CenterOfRotation", values.get("CenterOfRotation", " ".join(["0"] * axes)), axes)
    if any(center):
        fields.warnings.append(
            f"The header turns the volume about {printable(values['CenterOfRotation'], 60)}, which is "
            "not used: the "
            "first voxel lies at Offset."
        )
    return matrix


def _spacing(fields: _Fields, axes: int) -> tuple[float, ...]:
    path, values = fields.path, fields.values
    names = [name for name in ("ElementSpacing", "ElementSize") if name in values]
    if not names:
        raise wrong_header(
            path,
            "its header does not say how large its voxels are (no 'ElementSpacing')",
            "Export it again with its spacing, or convert it from DICOM again.",
        )
    sizes = {name: numbers(path, name, values[name], axes) for name in names}
    for name, size in sizes.items():
        if min(size[:3]) <= 0:
            raise damaged(path, f"its voxels would be {' x '.join(f'{s:g}' for s in size)} mm ('{name}')")
    first = sizes[names[0]]
    if len(names) == 2 and not all(
        same_size(a, b) for a, b in zip(first[:3], sizes["ElementSize"][:3], strict=True)
    ):
        fields.warnings.append(
            f"The header gives two voxel sizes: {printable(values['ElementSpacing'], 40)} mm by "
            "ElementSpacing, "
            f"{printable(values['ElementSize'], 40)} mm by ElementSize. ElementSpacing was taken; "
            "check a known "
            "length before you trust sizes."
        )
    return first


def _compare_letters(fields: _Fields, directions: NDArray[np.float64]) -> None:
    """AnatomicalOrientation says the same as the matrix once more: from which side each axis comes."""
    said = fields.values.get("AnatomicalOrientation", "").upper()
    if not re.fullmatch(r"[RLAPIS]{3}", said):
        return
    letters = ""
    for axis in range(3):
        world = int(np.abs(directions[:, axis]).argmax())
        letters += _AXIS_LETTERS[world][0 if directions[world, axis] > 0 else 1]
    if said != letters:
        fields.warnings.append(
            f"The header says {said} for the axes' orientation, but its TransformMatrix means "
            f"{letters}; the matrix "
            "was taken. Check the side of the liver."
        )
