"""A 3D picture of liver and lesions by offscreen VTK, in a process of its own.

OpenGL may be missing, and VTK then ends the process (exit 139) instead of raising: nothing here that needs it
runs in the caller's process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..case.colours import LIVER, Colour, lesion_colour
from ..case.findings import CaseResult
from ..volume.ct import Geometry
from ..volume.masks import bounding_box, label_boxes

TIMEOUT_S = 60.0
LOOK_S = 0.2
CHILD = ("-m", "LiverLesionAILib.pictures.view_3d_child")
GRID_MM = 2.0
FINE_GRID_MM = 1.0
LIVER_OPACITY = 0.3
HINT = (
    "The 3D picture needs OpenGL, which this computer lacks or cannot use without a display; everything else "
    "was written. On Debian and Ubuntu: sudo apt-get install libegl1 libgl1-mesa-dri"
)


@dataclass(frozen=True, eq=False)
class Rendered:
    """A 3D picture.

    Attributes:
        rgb: uint8, (height, width, 3).
        places: lesion number -> (x, y) pixel of its centre.
    """

    rgb: NDArray[np.uint8]
    places: dict[int, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Part:
    """A surface of the picture.

    Attributes:
        inside_zyx: bool, its mask in `where` of the case's grid.
        opacity: 0..1; None for one that hides what is behind it.
        grid_mm: that it is drawn on.
    """

    inside_zyx: NDArray[np.bool_]
    where: tuple[slice, ...]
    colour: Colour
    opacity: float | None = None
    grid_mm: float = GRID_MM


Writer = Callable[[CaseResult, Path, int, int], None]
"""(case, file, width, height): writes the job that the child draws."""


class RenderJob:
    """A picture being rendered by another process; closing it leaves neither process nor files.

    Args:
        write: what is drawn; liver and lesions where none is given.
        check: called now and then while somebody waits; may raise Cancelled.
    """

    def __init__(
        self,
        result: CaseResult,
        width: int,
        height: int,
        write: Writer | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self._folder = tempfile.TemporaryDirectory(prefix="liverlesionai-3d-")
        self._process: subprocess.Popen[bytes] | None = None
        self._failure = ""
        self._picture = Path(self._folder.name) / "picture.npz"
        if not result.liver_zyx.any() and not result.lesion_labels_zyx.any():
            return
        try:
            job = Path(self._folder.name) / "job.npz"
            (write or _write_case)(result, job, width, height)
            root = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
            self._process = subprocess.Popen(
                [sys.executable, *CHILD, str(job), str(self._picture)],
                env={**os.environ, "PYTHONPATH": path},
                # Never written to: its end tells the child that this process is gone.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self._failure = f"The 3D picture could not be made ({error.strerror}); the rest was written."

    def wait(self, timeout_s: float = TIMEOUT_S) -> tuple[Rendered | None, str]:
        """The picture and "", or None and what to tell the reader ("" where there was nothing to draw)."""
        if self._process is None:
            return None, self._failure
        until = time.monotonic() + timeout_s
        while (code := self._process.poll()) is None:
            self._check()
            if time.monotonic() > until:
                return None, f"The 3D picture was given up after {timeout_s:.0f} s; the rest was written."
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(min(timeout_s, LOOK_S))
        if code != 0 or not self._picture.is_file():
            return None, HINT
        with np.load(self._picture) as arrays:
            numbers, points = arrays["numbers"], arrays["points"]
            places = {int(n): (float(x), float(y)) for n, (x, y) in zip(numbers, points, strict=True)}
            return Rendered(arrays["rgb"], places), ""

    def __enter__(self) -> RenderJob:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._folder.cleanup()


def _write_case(result: CaseResult, path: Path, width: int, height: int) -> None:
    """The job of liver, lesions and their boxes."""
    liver_at = bounding_box(result.liver_zyx)
    parts = []
    if liver_at is not None:
        parts.append(Part(result.liver_zyx[liver_at], liver_at, LIVER, LIVER_OPACITY))
    boxes = label_boxes(result.lesion_labels_zyx)
    for lesion in result.lesions:
        if (where := boxes.get(lesion.number)) is not None:
            inside = result.lesion_labels_zyx[where] == lesion.number
            parts.append(Part(inside, where, lesion_colour(lesion.number), None, FINE_GRID_MM))
    write_job(result, parts, path, width, height)


def write_job(
    result: CaseResult, parts: Sequence[Part], path: Path, width: int, height: int, *, boxes: bool = True
) -> None:
    """All that the child needs, cropped to the parts and on a coarser grid: a few MB.

    Args:
        boxes: whether the lesions' boxes are drawn.
    """
    arrays: dict[str, NDArray] = {}
    described_parts: list[dict] = []
    for part in parts:
        start = tuple(s.start - 3 for s in part.where)
        stop = tuple(s.stop + 3 for s in part.where)
        field, geometry = _field(part.inside_zyx, result.geometry.cropped(start, stop), part.grid_mm)
        arrays[f"field{len(described_parts)}"] = field
        described_parts.append(
            {"colour": part.colour, "opacity": part.opacity, "ijk_to_lps": geometry.ijk_to_lps.tolist()}
        )
    lesions = [
        {
            "number": lesion.number,
            "colour": lesion_colour(lesion.number),
            "centre_lps": lesion.box.centre_lps,
            "size_mm": lesion.box.size_xyz_mm,
            "directions": lesion.box.directions_lps,
        }
        for lesion in result.lesions
        if boxes
    ]
    described = json.dumps({"parts": described_parts, "boxes": lesions, "width": width, "height": height})
    np.savez(path, described=np.frombuffer(described.encode(), np.uint8), **arrays)


def _field(inner: NDArray[np.bool_], geometry: Geometry, grid_mm: float) -> tuple[NDArray, Geometry]:
    """A smooth field (0..255, surface at 127.5) of a mask with 3 voxels of air, on `grid_mm` or coarser."""
    from ..volume.ct import resample

    mask = np.pad(inner, 3).astype(np.float32)
    finest = [max(grid_mm, s / 2) for s in geometry.spacing_zyx_mm]
    target = geometry.with_spacing(tuple(finest))  # type: ignore[arg-type]
    field = resample(mask, geometry, target)
    # A little smoothing takes the steps off; small lesions keep their size because it is below their radius.
    volume_mm3 = float(inner.sum()) * geometry.voxel_volume_mm3
    sigma_mm = min(1.5 * grid_mm, 0.15 * volume_mm3 ** (1 / 3))
    field = ndi.gaussian_filter(field, [sigma_mm / s for s in target.spacing_zyx_mm])
    return np.round(field * 255).astype(np.uint8), target
