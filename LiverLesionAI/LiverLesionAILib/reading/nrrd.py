"""Headers of NRRD files (.nrrd, and .nhdr with its data files), read and held against themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..support.text import printable
from .data_files import after_lines, data_files, pattern_names
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

_TYPES = {
    "i1": "signed char, int8, int8_t", "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t", "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float", "f8": "double",
}  # fmt: skip
TYPES = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_ENCODINGS = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2", "hex": "hex",
    "txt": "ascii", "text": "ascii", "ascii": "ascii",
}  # fmt: skip
# Signs that turn a space's axes into left, posterior, superior.
_SPACES = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
}  # fmt: skip
_OTHER_SPACES = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
_SPACE_KINDS = ("domain", "space", "???", "none")
_COLOUR_KINDS = (
    "vector", "3-vector", "2-vector", "4-vector", "covariant-vector", "3-gradient", "normal", "3-normal",
    "rgb-color", "rgba-color", "hsv-color", "xyz-color", "3-color", "4-color", "point",
    "quaternion", "complex", "2-complex",
)  # fmt: skip
_KNOWN = {
    "dimension", "type", "block size", "encoding", "endian", "content", "min", "max", "old min", "old max",
    "data file", "line skip", "byte skip", "number", "sample units", "sizes", "spacings", "thicknesses",
    "axis mins", "axis maxs", "centers", "labels", "units", "kinds", "space", "space dimension",
    "space units", "space origin", "space directions", "measurement frame",
}  # fmt: skip
_SYNONYMS = {
    "blocksize": "block size", "oldmin": "old min", "oldmax": "old max", "datafile": "data file",
    "lineskip": "line skip", "byteskip": "byte skip", "sampleunits": "sample units", "axismins": "axis mins",
    "axismaxs": "axis maxs", "centerings": "centers",
}  # fmt: skip


@dataclass
class _Fields:
    """A header's text, by field; keys of writers (``key:=value``) apart."""

    path: Path
    values: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    data_at: int = 0
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def need(self, name: str, remedy: str) -> str:
        if name not in self.values:
            raise wrong_header(self.path, f"its header has no field '{name}'", remedy)
        return self.values[name]


def read_nrrd_header(path: Path) -> ImageHeader:
    """Read and judge a header; the voxels are not looked at.

    Raises:
        InputError: no NRRD, damaged, contradicting itself, without voxel sizes, or its data file is missing.
    """
    fields = _read_fields(path)
    dimension = whole_numbers(path, "dimension", fields.need("dimension", _again()), 1)[0]
    if not 1 <= dimension <= MOST_AXES:
        raise damaged(path, f"its header makes no sense: it has {dimension} dimensions")
    sizes = whole_numbers(path, "sizes", fields.need("sizes", _again()), dimension)
    axis_sizes(path, "sizes", sizes)
    directions, origin = _space(fields, dimension)
    domain, value_axis, directions = _axes(fields, sizes, directions)
    dtype, text_values, contents = _contents(fields)
    if any(name in fields.values for name in ("old min", "old max")):
        fields.warnings.append(
            "The header says that the values were scaled when they were stored (old min, old max); "
            "they were read as "
            "they are. Check the HU of fat or air."
        )
    if len(domain) == 3:
        matrix = _matrix(fields, domain, directions, origin)
    else:
        matrix = np.eye(4)
    return ImageHeader(
        path, "NRRD", sizes, domain, dtype, contents, matrix, value_axis, fields.values["type"], text_values,
        volume_names=_volume_names(fields), warnings=tuple(fields.warnings), notes=tuple(fields.notes),
    )  # fmt: skip


def _again() -> str:
    return "Export it again."


def _read_fields(path: Path) -> _Fields:
    fields = _Fields(path)
    with open_regular(path) as file:
        magic = file.readline(64)
        if not re.fullmatch(rb"NRRD000[1-5]\r?\n", magic):
            raise damaged(path, f"it is not an NRRD file (it starts with '{printable(magic[:16])}')")
        listing = False
        while True:
            line = file.readline(LONGEST_FIELD + 1)
            if file.tell() > LONGEST_HEADER or len(line) > LONGEST_FIELD:
                raise damaged(path, "its header does not end")
            if not line.endswith(b"\n") and "data file" not in fields.values:
                raise damaged(path, "its header does not end with an empty line, so its voxels are missing")
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not text or not line:
                break
            if listing:
                fields.files.append(text.strip())
            elif not text.startswith("#"):
                listing = _read_line(fields, text)
        fields.data_at = file.tell()
    return fields


def _read_line(fields: _Fields, text: str) -> bool:
    """Take a line of the header; True when a list of files follows to its end."""
    path = fields.path
    colon, assign = text.find(": "), text.find(":=")
    if colon < 0 and text.endswith(":"):
        colon = len(text) - 1
    if assign >= 0 and (colon < 0 or assign < colon):
        fields.keys.setdefault(text[:assign].strip(), text[assign + 2 :].strip())
        return False
    if colon < 0:
        raise damaged(path, f"its header has a line that is no field: '{printable(text, 60)}'")
    name, value = text[:colon].strip().lower(), text[colon + 1 :].strip()
    name = _SYNONYMS.get(name, name)
    if name not in _KNOWN:
        fields.warnings.append(
            f"The header has a field '{printable(name, 40)}' that NRRD does not know; it was left aside."
        )
    if fields.values.get(name, value) != value:
        raise damaged(path, f"its header gives '{name}' twice: '{printable(fields.values[name], 40)}' and "
                      f"'{printable(value, 40)}'")  # fmt: skip
    fields.values[name] = value
    return name == "data file" and value.split()[:1] == ["LIST"]


def _vectors(fields: _Fields, name: str, text: str) -> list[NDArray[np.float64] | None]:
    """``(1,0,0) none (0,1,0)`` as vectors."""
    result: list[NDArray[np.float64] | None] = []
    words = re.findall(r"none|\([^()]*\)|[^\s()]+", text)
    for word in words[: MOST_AXES + 1]:
        if word == "none":
            result.append(None)
            continue
        if not word.startswith("("):
            raise damaged(fields.path, f"its field '{name}' is no list of vectors: '{printable(text, 60)}'")
        inner = word[1:-1]
        parts = inner.split(",")
        # (0,7,0,0,0,0): commas part the numbers, so decimal commas double their count.
        if ";" in inner or len(parts) == 6:
            raise wrong_header(
                fields.path,
                f"its field '{name}' has decimal commas ({printable(word, 60)})",
                "Write decimal points in its header, or export it again with English number formats.",
            )
        result.append(np.array(numbers(fields.path, name, " ".join(parts))))
    return result


def _space(
    fields: _Fields, dimension: int
) -> tuple[list[NDArray[np.float64] | None] | None, NDArray[np.float64] | None]:
    """(direction of each axis in LPS mm or None, origin in LPS mm or None)."""
    values, path = fields.values, fields.path
    name = values.get("space", "").lower()
    timed = name.endswith(("-time", "t")) and name.removesuffix("-time").removesuffix("t") in _SPACES
    base = name.removesuffix("-time").removesuffix("t") if timed else name
    if name and base not in _SPACES and base not in _OTHER_SPACES:
        raise damaged(path, f"its space '{printable(name, 40)}' is none that NRRD has")
    if "space directions" not in values:
        return None, None
    if base not in _SPACES:
        fields.warnings.append(
            "The file does not say in which directions of the patient its space runs; left, "
            "posterior, superior "
            "was taken, so left and right may be swapped."
        )
    signs = np.array(_SPACES.get(base, (1, 1, 1)), float)
    units = set(re.findall(r'"([^"]*)"', values.get("space units", ""))[:3])
    if units - {"mm", "", "millimeter", "millimeters", "millimetre", "millimetres", "???"}:
        raise wrong_header(
            path,
            f"its space is measured in {printable(', '.join(sorted(units)), 40)}, not in mm",
            "Export it again in millimetres.",
        )
    directions = _vectors(fields, "space directions", values["space directions"])
    if len(directions) != dimension:
        raise damaged(path, f"its {dimension} axes have {len(directions)} space directions")
    lengths = {len(v) for v in directions if v is not None}
    origins = _vectors(fields, "space origin", values["space origin"]) if "space origin" in values else []
    if len(origins) > 1 or any(o is None for o in origins):
        raise damaged(path, "its field 'space origin' is not one position")
    lengths |= {len(o) for o in origins if o is not None}
    if len(lengths) != 1 or not lengths <= {2, 3, 4}:
        raise damaged(path, "its space directions and origin do not have equally many numbers")
    declared = whole_numbers(path, "space dimension", values["space dimension"], 1) if (
        "space dimension" in values
    ) else (4,) if timed else (3,) if name else tuple(lengths)  # fmt: skip
    if set(declared) != lengths:
        raise damaged(path, f"its space has {declared[0]} dimensions, its directions {lengths.pop()}")
    if lengths == {2}:
        return directions, None
    moved = [None if v is None else np.array([*(v[:3] * signs), *v[3:]]) for v in directions]
    origin = origins[0][:3] * signs if origins and origins[0] is not None else None
    return moved, origin


def _axes(
    fields: _Fields, sizes: tuple[int, ...], directions: list[NDArray[np.float64] | None] | None
) -> tuple[tuple[int, ...], int | None, list[NDArray[np.float64] | None] | None]:
    """(axes in space, a voxel's own axis, directions)."""
    dimension = len(sizes)
    kinds = [k.lower() for k in fields.values.get("kinds", "").split()]
    if kinds and len(kinds) != dimension:
        raise damaged(fields.path, f"its {dimension} axes have {len(kinds)} kinds")
    if directions is not None:
        # Along time in a space of four dimensions.
        flat = [v is not None and len(v) == 4 and not v[:3].any() for v in directions]
        domain = [a for a in range(dimension) if directions[a] is not None and not flat[a]]
        odd = [a for a in domain[:3] if kinds and kinds[a] not in _SPACE_KINDS]
        if odd:
            named = ", ".join(f"axis {a + 1} a '{printable(kinds[a])}'" for a in odd)
            fields.warnings.append(
                f"The header calls {named}, and gives it a direction in space. It was taken for space; look "
                "whether these are slices of one scan."
            )
    elif kinds:
        domain = [a for a in range(dimension) if kinds[a] in _SPACE_KINDS]
    else:
        domain = list(range(dimension))
    if len(domain) > 3:
        domain = domain[:3]
    colour = [a for a in range(dimension) if a not in domain and kinds and kinds[a] in _COLOUR_KINDS]
    colour = [a for a in colour if sizes[a] > 1]
    return tuple(domain), colour[0] if colour else None, directions


def _matrix(
    fields: _Fields,
    domain: tuple[int, ...],
    directions: list[NDArray[np.float64] | None] | None,
    origin: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    spacings = _spacings(fields)
    matrix = np.eye(4)
    if directions is None:
        if spacings is None:
            raise wrong_header(
                fields.path,
                "its header does not say how large its voxels are (no 'space directions' and no 'spacings')",
                "Export it again with its spacing, or convert it from DICOM again.",
            )
        steps = [spacings[a] for a in domain]
        if not all(np.isfinite(steps)) or min(steps) <= 0:
            raise damaged(fields.path, f"its voxels would be {' x '.join(f'{s:g}' for s in steps)} mm")
        fields.warnings.append(
            "The file does not say how the patient lies (no space directions); left and right may be swapped."
        )
        matrix[:3, :3] = np.diag(steps)
        return matrix
    columns = [directions[a] for a in domain]
    matrix[:3, :3] = np.column_stack([v[:3] for v in columns if v is not None])
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if lengths.min() <= 0 or abs(np.linalg.det(matrix[:3, :3] / np.maximum(lengths, 1e-300))) < 0.05:
        raise damaged(fields.path, "its space directions do not span a volume")
    if spacings is not None:
        said = [spacings[a] for a in domain]
        if any(np.isfinite(s) and not same_size(abs(s), n) for s, n in zip(said, lengths, strict=True)):
            fields.warnings.append(
                "The header gives two voxel sizes: "
                f"{' x '.join(f'{n:.4g}' for n in lengths)} mm by its space directions, "
                f"{' x '.join(f'{s:.4g}' for s in said)} by its spacings. The space directions were "
                "taken; check a "
                "known length before you trust sizes."
            )
    if origin is None:
        fields.warnings.append("The header has no space origin; the first voxel was placed at 0, 0, 0.")
    else:
        matrix[:3, 3] = origin
    return matrix


def _spacings(fields: _Fields) -> list[float] | None:
    if "spacings" not in fields.values:
        return None
    words = fields.values["spacings"].split()
    sizes = len(fields.values["sizes"].split())
    if len(words) != sizes:
        raise damaged(fields.path, f"its {sizes} axes have {len(words)} spacings")
    return [
        float("nan")
        if word.lower() in ("nan", "none", "???")
        else numbers(fields.path, "spacings", word, 1)[0]
        for word in words
    ]


def _contents(fields: _Fields) -> tuple[np.dtype, bool, Contents]:
    path, values = fields.path, fields.values
    type_name = fields.need("type", _again()).lower()
    if type_name not in TYPES:
        raise damaged(
            path, f"its type of values '{printable(type_name, 40)}' is none that NRRD has for numbers"
        )
    encoding = _ENCODINGS.get(fields.need("encoding", _again()).lower())
    if encoding is None:
        raise wrong_header(
            path,
            f"its voxels are encoded as '{printable(values['encoding'], 40)}', which is not read",
            "Save it as raw or gzip.",
        )
    dtype = np.dtype(TYPES[type_name])
    endian = values.get("endian", "").lower()
    if endian not in ("", "little", "big"):
        raise damaged(path, f"its byte order '{printable(endian, 40)}' is neither little nor big")
    if dtype.itemsize > 1 and encoding != "ascii":
        if not endian:
            raise wrong_header(
                path,
                "its header does not say in which order the bytes of a value stand (no field 'endian')",
                "Add the line 'endian: little' (most computers) to its header, or export it again.",
            )
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    line_skip, byte_skip = (
        whole_numbers(path, name, values.get(name, "0"), 1)[0] for name in ("line skip", "byte skip")
    )
    if not 0 <= line_skip < 10_000 or not -1 <= byte_skip < 2**31:
        raise damaged(path, f"its header skips {line_skip} lines and {byte_skip} bytes, which cannot be")
    parts, start = _parts(fields)
    if line_skip:
        start = after_lines(path, parts[0], start, line_skip)
    if encoding == "ascii":
        return dtype, True, Contents(parts, "raw", start, max(0, byte_skip))
    if encoding == "raw" and byte_skip >= 0:
        return dtype, False, Contents(parts, "raw", start + byte_skip)
    return dtype, False, Contents(parts, encoding, start, byte_skip)


def _parts(fields: _Fields) -> tuple[tuple[Path, ...], int]:
    """(data files, where their data begin)."""
    path = fields.path
    if "data file" not in fields.values:
        return (path,), fields.data_at
    value = fields.values["data file"]
    words = value.split()
    if words[:1] == ["LIST"]:
        names = fields.files
    elif "%" in value:
        names = pattern_names(path, value)
    else:
        names = [value]
    return data_files(path, "data file", names), 0


def _volume_names(fields: _Fields) -> tuple[str, ...]:
    """Names of the volumes of a series, as Slicer's multi-volume files have them."""
    named = [v for k, v in fields.keys.items() if k.lower() in ("multivolume.framelabels", "framelabels")]
    return tuple(printable(name.strip(), 60) for name in named[0].split(",")) if named else ()
