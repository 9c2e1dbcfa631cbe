"""Drawing on a numpy picture without OpenGL, a display or matplotlib: lines, outlines, fills, text, PNG."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..case.colours import Colour

Point = tuple[float, float]

PNG_LEVEL = 3
"""Of compression, 1 to 9: 6 takes three times as long for a few percent."""


class Canvas:
    """An RGB picture, drawn with antialiased edges; coordinates are (x, y) pixels from the top left corner.

    Attributes:
        rgb: float32, (height, width, 3), 0..1.
    """

    def __init__(self, width: int, height: int, background: Colour = (0.0, 0.0, 0.0)) -> None:
        self.rgb = np.empty((height, width, 3), np.float32)
        self.rgb[:] = background

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.rgb.shape[1]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.rgb.shape[0]

    def paste(self, picture: NDArray, x: int, y: int) -> None:
        """Copy a grey (h, w) or RGB (h, w, 3) picture with values 0..1 so that its top left is at x, y."""
        grey = picture[..., None] if picture.ndim == 2 else picture
        self.rgb[y : y + picture.shape[0], x : x + picture.shape[1]] = grey

    def blend(self, coverage: NDArray, colour: Colour, x: int = 0, y: int = 0) -> None:
        """Mix a colour in by coverage 0..1, an (h, w) array whose top left is at x, y."""
        height, width = coverage.shape
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, self.width), min(y + height, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        part = coverage[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32)
        target = self.rgb[y0:y1, x0:x1]
        target += part * (np.asarray(colour, np.float32) - target)

    def region(
        self, inside: NDArray, colour: Colour, *, fill: float = 0.0, outline: float = 1.0, width: float = 2.0
    ) -> None:
        """Fill and outline where a smooth field exceeds 0.5.

        Args:
            inside: (height, width) of the picture, 0 outside to 1 inside.
            fill, outline: opacities.
            width: of the outline, pixels.
        """
        # Where it is 0 all round, nothing is drawn.
        rows, columns = (_used(inside.any(axis=axis), 2) for axis in (1, 0))
        inside = inside[rows, columns]
        if min(inside.shape) < 2:
            return
        slope_y, slope_x = np.gradient(inside)
        distance = (inside - 0.5) / np.maximum(np.hypot(slope_x, slope_y), 1e-4)
        x, y = columns.start, rows.start
        if fill:
            self.blend(fill * np.clip(distance + 0.5, 0, 1), colour, x, y)
        if outline:
            self.blend(outline * np.clip(width / 2 + 0.5 - np.abs(distance), 0, 1), colour, x, y)

    def line(
        self,
        start: Point,
        end: Point,
        colour: Colour,
        *,
        width: float = 1.5,
        alpha: float = 1.0,
        dash: float = 0.0,
    ) -> None:
        """A straight line; `dash` above 0 is the length of dashes and gaps, pixels."""
        pad = int(width) + 2
        x0, x1 = int(min(start[0], end[0])) - pad, int(max(start[0], end[0])) + pad + 1
        y0, y1 = int(min(start[1], end[1])) - pad, int(max(start[1], end[1])) + pad + 1
        ys, xs = (
            np.mgrid[y0:y1, x0:x1].astype(np.float32) if (y1 - y0) * (x1 - x0) < 1 << 26 else (None, None)
        )
        if ys is None:
            return
        along = np.subtract(end, start)
        length = float(np.hypot(*along)) or 1e-6
        ux, uy = along / length
        t = (xs - start[0]) * ux + (ys - start[1]) * uy
        beyond = np.maximum(0, np.maximum(-t, t - length))
        across = np.abs((xs - start[0]) * uy - (ys - start[1]) * ux)
        coverage = np.clip(width / 2 + 0.5 - np.hypot(across, beyond), 0, 1) * alpha
        if dash:
            coverage *= np.mod(t, 2 * dash) < dash
        self.blend(coverage, colour, x0, y0)

    def polygon(self, points: list[Point], colour: Colour, **style: float) -> None:
        """The closed outline through these points; style as for `line`."""
        for start, end in zip(points, points[1:] + points[:1], strict=True):
            self.line(start, end, colour, **style)

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: Colour, alpha: float = 1
    ) -> None:
        """A filled rectangle."""
        whole = np.full((max(1, round(height)), max(1, round(width))), alpha, np.float32)
        self.blend(whole, colour, round(x), round(y))

    def text(
        self,
        said: str,
        x: float,
        y: float,
        *,
        size: float = 18,
        colour: Colour = (1.0, 1.0, 1.0),
        anchor: Point = (0.0, 0.0),
        bold: bool = False,
        halo: float = 0.75,
    ) -> None:
        """Write one line of text.

        Args:
            size: height of a line in pixels, about 1.4 times a capital letter.
            anchor: which point of the text lies at x, y: (0, 0) its top left, (1, 1) its bottom right.
            halo: opacity of a dark edge that keeps it readable on bright ground.
        """
        ink = text_coverage(said, size, bold)
        left, top = round(x - anchor[0] * ink.shape[1]), round(y - anchor[1] * ink.shape[0])
        if halo:
            padded = np.pad(ink, 2)
            edge = padded.copy()
            for dy in (-2, -1, 0, 1, 2):
                for dx in (-2, -1, 0, 1, 2):
                    if dy * dy + dx * dx <= 5:
                        edge = np.maximum(edge, np.roll(padded, (dy, dx), (0, 1)))
            self.blend(halo * edge, (0.0, 0.0, 0.0), left - 2, top - 2)
        self.blend(ink, colour, left, top)

    def as_uint8(self) -> NDArray[np.uint8]:
        """The picture as bytes, (height, width, 3)."""
        return np.round(np.clip(self.rgb, 0, 1) * 255).astype(np.uint8)


def _used(line: NDArray[np.bool_], margin: int) -> slice:
    """From the first to the last True of a line, with a margin; empty where there is none."""
    where = np.flatnonzero(line)
    if not len(where):
        return slice(0, 0)
    return slice(max(0, int(where[0]) - margin), min(len(line), int(where[-1]) + 1 + margin))


def text_coverage(said: str, size: float, bold: bool = False) -> NDArray[np.float32]:
    """Coverage 0..1 of one line of text, (height, width), drawn by VTK's FreeType, which needs no OpenGL."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkRenderingCore import vtkTextProperty
    from vtkmodules.vtkRenderingFreeType import vtkFreeTypeTools

    style = vtkTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(max(6, round(size * 0.72)))
    style.SetColor(1.0, 1.0, 1.0)
    style.SetBold(bold)
    tools = vtkFreeTypeTools.GetInstance()
    tools.ScaleToPowerTwoOff()
    image, dimensions = vtkImageData(), [0, 0]
    if not said or not tools.RenderString(style, said, 72, image, dimensions):
        return np.zeros((1, 1), np.float32)
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    return (pixels[::-1, :, -1] / np.float32(255)).astype(np.float32)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write an (h, w, 3) picture as PNG.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(png_bytes(rgb))


def png_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """An (h, w, 3) picture as a PNG file's bytes.

    Every row is written as its difference from the row above (filter 2 of the PNG specification, section 9).
    The files are about as large as those of VTK's writer, which takes more than twice as long.
    """
    height, width, _ = rgb.shape
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = 2
    flat = np.ascontiguousarray(rgb).reshape(height, -1)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, PNG_LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
