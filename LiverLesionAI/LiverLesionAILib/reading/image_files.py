"""Volumes in one file: NIfTI, NRRD and MetaImage, decoded and judged here, by no other library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.errors import GeometryError, InputError
from ..support.progress import Progress, silent
from ..support.text import path_text, printable
from ..volume.checking import FEWEST_SLICES, whole_hu
from ..volume.ct import CtVolume, Geometry
from ..volume.geometry import PARALLEL_TOLERANCE
from .decoding import open_regular, read_contents
from .image_header import ImageHeader, damaged
from .metaimage import read_metaimage_header
from .nifti import read_nifti_header
from .nrrd import read_nrrd_header
from .slices import SHIFT_PIXELS, SliceStack, regular, slice_axis

FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd)"
# No scanner puts a patient further from its centre; some have a position of some metres on the table.
FURTHEST_MM = 1e5
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def volume_name(path: Path) -> str:
    """The file's name without what marks its format, printable."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return printable(path.name[: -len(suffix)])
    return printable(path.stem)


def is_image_file(path: Path) -> bool:
    """Whether the file's name is one of the supported volume formats'."""
    return path.name.lower().endswith(SUFFIXES)


def read_header(path: Path, grid: str = "") -> ImageHeader:
    """What a volume file's header says, judged; the voxels are not looked at.

    Args:
        path: a file with one of `SUFFIXES`.
        grid: "sform" or "qform" where a NIfTI file contradicts itself and the reader decided.

    Raises:
        InputError: as the format's reader.
    """
    with open_regular(path) as file:
        if not file.read(1):
            raise InputError(f"{path_text(path)}: the file is empty. Copy or export it again.")
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return read_nifti_header(path, grid)
    if grid:
        raise InputError(
            f"{path_text(path)}: only NIfTI files have a sform and a qform. Leave out --grid {grid}."
        )
    return read_nrrd_header(path) if name.endswith((".nrrd", ".nhdr")) else read_metaimage_header(path)


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """One volume of a file, its values as they are meant, not yet taken for Hounsfield units.

    Attributes:
        values_zyx: real numbers, scaled as the header says.
        geometry: their grid.
        warnings, notes: sentences, as of :class:`CtVolume`.
    """

    values_zyx: NDArray[Any]
    geometry: Geometry
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def load_image_file(
    path: Path, series: str | None = None, grid: str = "", progress: Progress = silent
) -> CtVolume:
    """Read a volume file as int16 HU (see :func:`whole_hu`) with its geometry.

    Args:
        path: NIfTI, NRRD or MetaImage.
        series: of a file with several volumes (phases, time points) the one to take: its number from 1, or
        a part
            of its name.
        grid: "sform" or "qform" for a NIfTI file whose two contradict each other.
        progress: told of 0..1; may cancel.

    Raises:
        InputError: unreadable, damaged or contradicting itself; two-dimensional, several volumes of which
        none was
            chosen, colour or vector valued.
    """
    stored = read_stored(path, series, grid, progress, whole=True)
    return CtVolume(stored.values_zyx, stored.geometry, volume_name(path), stored.warnings, stored.notes)


def read_stored(
    path: Path,
    series: str | None = None,
    grid: str = "",
    progress: Progress = silent,
    whole: bool = False,
) -> StoredVolume:
    """Read one volume of a file, see :func:`load_image_file`.

    Args:
        whole: round to int16 where the values allow it.
    """
    header = read_header(path, grid)
    _refuse_other_than_volumes(header)
    number, notes = _choose_volume(header, series)
    furthest = float(np.abs(header.ijk_to_lps[:3, 3]).max())
    if furthest > FURTHEST_MM:
        raise damaged(
            path, f"its first voxel would lie {furthest / 1000:.3g} m away from the scanner's centre"
        )
    values, remarks = _values(header, number, progress)
    values = _scaled(values, header)
    if whole:
        values = whole_hu(values)
    try:
        values, geometry, changes = straightened(values, header.ijk_to_lps)
    except GeometryError as error:
        raise InputError(
            f"{path_text(path)}: its grid is sheared. Convert it from DICOM again, or resample it. ({error})"
        ) from error
    return StoredVolume(values, geometry, (*header.warnings, *remarks, *changes), (*header.notes, *notes))


def _refuse_other_than_volumes(header: ImageHeader) -> None:
    name = path_text(header.path)
    sizes = [n for a, n in enumerate(header.sizes) if a != header.value_axis]
    if header.type_name == "complex":
        raise InputError(f"{name}: its values are complex numbers, not Hounsfield units. Give the CT itself.")
    if header.components > 1:
        raise InputError(
            f"{name}: each voxel has {header.components} values (a colour or vector image), a CT has "
            "one. Give "
            "the CT itself."
        )
    shape = [header.sizes[a] for a in header.domain]
    if len(shape) < 3 or min(shape) == 1:
        raise InputError(
            f"{name}: this is a two-dimensional image ({' x '.join(map(str, sizes))}). A CT volume "
            "with at least "
            f"{FEWEST_SLICES} slices is needed."
        )


def _choose_volume(header: ImageHeader, series: str | None) -> tuple[int, list[str]]:
    """(index of the volume, sentences)."""
    count, name = header.volumes, path_text(header.path)
    names = header.volume_names if len(header.volume_names) == count else ()
    if count == 1:
        if series is None:
            return 0, []
        return 0, [
            f"{printable(header.path.name)} is a single volume; the choice of series "
            f"'{printable(series)}' does not "
            "apply to it."
        ]
    listed = f" ({', '.join(f'{k + 1}: {text}' for k, text in enumerate(names[:20]))})" if names else ""
    if series is None:
        sizes = " x ".join(map(str, header.sizes))
        raise InputError(
            f"{name}: this is a time series or a set of {count} volumes ({sizes}){listed}. Choose the "
            "one phase to be "
            f"analysed by --series 1 to --series {count}, or save it as a volume of its own."
        )
    chosen = [k for k, text in enumerate(names) if series.strip().lower() in text.lower()]
    if series.strip().isdecimal() and 1 <= int(series) <= count:
        chosen = [int(series) - 1]
    if len(chosen) != 1:
        what = "more than one volume" if chosen else "none of its volumes"
        raise InputError(
            f"{name}: '{printable(series)}' is {what}. Choose --series 1 to --series {count}{listed}."
        )
    called = f" ({names[chosen[0]]})" if names else ""
    return chosen[0], [f"Of the {count} volumes of the file, number {chosen[0] + 1}{called} was taken."]


def _values(header: ImageHeader, number: int, progress: Progress) -> tuple[NDArray[Any], list[str]]:
    """(stored values of the chosen volume as z, y, x, sentences)."""
    assert header.dtype is not None
    total = math.prod(header.sizes)
    if header.text_values:
        values, remarks = _text_values(header, total, progress)
        window = False
    else:
        size = header.dtype.itemsize
        count = total // header.volumes
        # Volumes that lie one after the other: one is kept.
        window = header.volumes > 1 and header.domain == (0, 1, 2)
        part = (number * count * size, count * size) if window else None
        raw, remarks = read_contents(header.path, header.contents, total * size, part, progress)
        values = raw.view(header.dtype)
    if window:
        shape_zyx = tuple(header.sizes[a] for a in header.domain)[::-1]
        return values.reshape(shape_zyx), remarks
    array = values.reshape(header.sizes[::-1])
    # numpy's axes run the other way; volumes first, then z, y, x.
    dimension = len(header.sizes)
    others = [a for a in range(dimension) if a not in header.domain]
    order = [dimension - 1 - a for a in [*others[::-1], *header.domain[::-1]]]
    array = array.transpose(order)
    shape_zyx = array.shape[-3:]
    return array.reshape(-1, *shape_zyx)[number], remarks


def _text_values(header: ImageHeader, total: int, progress: Progress) -> tuple[NDArray[Any], list[str]]:
    """Voxels that are written as decimal numbers."""
    path = header.path
    if len(header.contents.parts) > 1:
        raise damaged(path, "its voxels are text in several files, which is not read")
    start = header.contents.file_skip + max(0, header.contents.skip)
    with open_regular(header.contents.parts[0]) as file:
        length = file.seek(0, 2) - start
        if not total <= length <= 64 * total + 64:
            raise damaged(path, f"its {total} voxels would be text of {length} bytes: voxels are missing")
        file.seek(start)
        words = file.read(length).split()
    if len(words) != total:
        raise damaged(path, f"it holds {len(words)} numbers where its header says {total}: it is incomplete")
    try:
        values = np.array(words).astype(np.float64)
    except ValueError as error:
        raise damaged(path, "its voxels are not all numbers") from error
    assert header.dtype is not None
    if header.dtype.kind in "iu":
        limits = np.iinfo(header.dtype)
        if (values != np.rint(values)).any() or values.min() < limits.min or values.max() > limits.max:
            raise damaged(path, f"its voxels are not all numbers of its type ({header.type_name})")
    progress("Reading", 1.0)
    return values.astype(header.dtype), []


def _scaled(values: NDArray[Any], header: ImageHeader) -> NDArray[Any]:
    if not values.dtype.isnative:
        values = values.byteswap(inplace=values.flags.writeable).view(values.dtype.newbyteorder("="))
    if (header.slope, header.intercept) == (1.0, 0.0):
        return values
    return values * np.float32(header.slope) + np.float32(header.intercept)


def straightened(
    values_zyx: NDArray[Any], ijk_to_lps: NDArray[np.float64]
) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Values of a grid that may be sheared (a tilted gantry) on a straight one.

    Args:
        values_zyx: z, y, x.
        ijk_to_lps: 4 x 4, index x, y, z to LPS mm; not singular.

    Returns:
        (values, geometry, sentences): unchanged where the axes are perpendicular.

    Raises:
        GeometryError: sheared in more ways than a gantry can be tilted.
    """
    spacing_xyz = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    axes = ijk_to_lps[:3, :3] / spacing_xyz
    skew = np.abs(axes.T @ axes - np.eye(3))
    if skew.max() <= PARALLEL_TOLERANCE:
        return values_zyx, Geometry.from_ijk_to_lps(values_zyx.shape, ijk_to_lps), ()

    if (rounded := _nearest_straight(values_zyx.shape[::-1], ijk_to_lps)) is not None:
        return values_zyx, Geometry.from_ijk_to_lps(values_zyx.shape, rounded), ()

    along = slice_axis(axes, spacing_xyz)
    if along is None:
        raise GeometryError("No two of its axes are perpendicular.")
    row, column = (a for a in range(3) if a != along)
    positions = ijk_to_lps[:3, 3] + np.arange(values_zyx.shape[2 - along])[:, None] * ijk_to_lps[:3, along]
    stack = SliceStack(
        positions, axes[:, row], axes[:, column], (float(spacing_xyz[column]), float(spacing_xyz[row]))
    )
    slices = values_zyx.transpose([2 - along, 2 - column, 2 - row])
    return regular(slices, stack)


def _nearest_straight(shape_xyz: tuple[int, ...], matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The perpendicular grid about the same centre; None where it would move a corner by half a voxel."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    left, _, right = np.linalg.svd(matrix[:3, :3] / spacing)
    straight = matrix.copy()
    straight[:3, :3] = left @ right * spacing
    half = (np.array(shape_xyz) - 1) / 2
    straight[:3, 3] += (matrix[:3, :3] - straight[:3, :3]) @ half
    corners = half * np.array(list(product((-1, 1), repeat=3)))
    moved = corners @ (straight[:3, :3] - matrix[:3, :3]).T @ np.linalg.inv(straight[:3, :3]).T
    return straight if np.abs(moved).max() <= SHIFT_PIXELS / 2 else None
