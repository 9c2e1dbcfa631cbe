"""CT slices of public data sets in DICOM files, one slice a file, decoded as the product decodes them.

What the product mends in a patient's scan (gaps, doubled slices, a tilted gantry) is refused here: a label
belongs to a slice of the file that it was drawn on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.reading.dicom_frames import Frame
from LiverLesionAILib.reading.dicom_headers import scan_files
from LiverLesionAILib.reading.dicom_pixels import read_hu
from LiverLesionAILib.reading.dicom_places import distances_mm
from LiverLesionAILib.reading.slices import SliceStack, is_even, regular
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SliceFiles:
    """A scan and the files of its slices.

    Attributes:
        paths: file of every slice, in the order of the volume's z.
        ct: the volume.
    """

    paths: tuple[Path, ...]
    ct: CtVolume


def read_stack(paths: Sequence[Path], where: str) -> SliceFiles:
    """Read slices and sort them by position.

    Args:
        paths: DICOM files, one slice each.
        where: folder or name, for messages and the volume's name.

    Raises:
        InputError: unreadable files, different sizes or orientations, missing or doubled slices.
    """
    if len(paths) < 2:
        raise InputError(f"{where}: {'a single' if paths else 'no'} DICOM slice in it is no scan.")
    frames = _frames(paths)
    first = frames[0]
    for frame in frames:
        if not frame.usable:
            raise InputError(f"{frame.path}: the DICOM header lacks position, orientation or pixel spacing.")
        if frame.shape_yx != first.shape_yx:
            height, width = frame.shape_yx
            raise InputError(f"{frame.path}: {width} x {height} pixels, others of its series differ.")
        if not np.allclose(frame.orientation, first.orientation, atol=1e-3):  # type: ignore[arg-type]
            raise InputError(f"{frame.path}: its orientation differs from the others of its series.")
    distances = distances_mm(frames)
    order = np.argsort(distances, kind="stable")
    frames = [frames[k] for k in order]
    _refuse_gaps(frames, distances[order])
    row, column = np.reshape(first.orientation, (2, 3))  # type: ignore[arg-type]
    positions = np.array([frame.position_lps for frame in frames], float)
    stack = SliceStack(positions, row, column, first.spacing_yx_mm)  # type: ignore[arg-type]
    values, geometry, changes = regular(np.stack(_pixels(frames)), stack)
    if changes:
        raise InputError(f"{where}: {' '.join(changes)} Labels would no longer lie on their slices.")
    return SliceFiles(tuple(frame.path for frame in frames), CtVolume(values, geometry, where))


def read_slice(path: Path, shape_yx: tuple[int, int]) -> NDArray[np.int16]:
    """Pixels of one DICOM file of a known size, for masks that repeat no geometry.

    Raises:
        InputError: unreadable, or another size.
    """
    (frame,) = _frames([path])
    if frame.shape_yx != shape_yx:
        height, width = frame.shape_yx
        raise InputError(f"{path}: {width} x {height} pixels, its CT slice {shape_yx[1]} x {shape_yx[0]}.")
    return _pixels([frame])[0]


def _frames(paths: Sequence[Path]) -> list[Frame]:
    """The image of every file, in the files' order."""
    scan = scan_files(list(paths), silent)
    by_path = {frame.path: frame for frame in scan.frames if frame.shape_yx[0] and frame.frames == 1}
    for path in paths:
        if path not in by_path:
            why = scan.unreadable.get(path, "it holds no single image")
            raise InputError(f"{path} cannot be read as a DICOM slice: {why}.")
    return [by_path[path] for path in paths]


def _pixels(frames: Sequence[Frame]) -> list[NDArray[np.int16]]:
    planes: list[NDArray[np.int16] | None] = [None] * len(frames)
    for image in read_hu(frames):
        if image.hu_yx is None:
            raise InputError(f"{frames[image.k].path}: {image.problem}.")
        planes[image.k] = image.hu_yx
    return [plane for plane in planes if plane is not None]


def _refuse_gaps(frames: Sequence[Frame], distances: NDArray[np.float64]) -> None:
    steps = np.diff(distances)
    usual = float(np.median(steps))
    if usual > 0 and is_even(distances):
        return
    k = int(np.abs(steps - usual).argmax())
    raise InputError(
        f"{frames[k + 1].path}: {steps[k]:.2f} mm from its neighbour, other slices {usual:.2f} mm. "
        "A slice is missing or doubled."
    )
