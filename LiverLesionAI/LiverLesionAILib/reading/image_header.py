"""What the header of a volume file says, whatever its format; and how its numbers are read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..support.text import path_text, printable
from .decoding import AGAIN, Contents

# A header is text of a few kilobytes; what is longer is none.
LONGEST_HEADER = 2**20
LONGEST_FIELD = 2**16
LONGEST_AXIS = 100_000
MOST_AXES = 16
# Lengths in headers are rounded: differences up to this share say nothing.
SIZE_TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """A header that has been judged: it agrees with itself as far as can be seen without its voxels.

    Attributes:
        path: the header's file.
        kind: the format's name.
        sizes: number of values along every stored axis, fastest first.
        domain: which of these axes are x, y, z; fewer than three for pictures.
        value_axis: the axis along which one voxel's values lie (a colour, a vector), if any.
        dtype: of the stored values, with byte order; None for types that hold no single real number.
        type_name: the type in the format's words, for messages.
        contents: where the voxels are; None where there is nothing that could be read.
        text_values: the voxels are written as decimal numbers.
        slope, intercept: real value = slope * stored + intercept.
        ijk_to_lps: 4 x 4, index x, y, z to LPS mm; may shear.
        volume_names: names of the volumes of a series, where the file has them.
        warnings: what is doubtful in the header, in sentences.
        notes: what was decided without being doubtful.
    """

    path: Path
    kind: str
    sizes: tuple[int, ...]
    domain: tuple[int, ...]
    dtype: np.dtype | None
    contents: Contents
    ijk_to_lps: NDArray[np.float64]
    value_axis: int | None = None
    type_name: str = ""
    text_values: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    volume_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def volume_axes(self) -> tuple[int, ...]:
        """The axes beside x, y, z and a voxel's own: time, phases; those of length 1 left out."""
        own = {*self.domain, self.value_axis}
        return tuple(a for a in range(len(self.sizes)) if a not in own and self.sizes[a] > 1)

    @property
    def volumes(self) -> int:
        """How many volumes the file holds."""
        return math.prod(self.sizes[a] for a in self.volume_axes)

    @property
    def components(self) -> int:
        """Values of a voxel."""
        return 1 if self.value_axis is None else self.sizes[self.value_axis]


def damaged(path: Path, why: str) -> InputError:
    """The refusal of a file that contradicts itself or is no such file."""
    return InputError(f"{path_text(path)}: {why}. {AGAIN}")


def wrong_header(path: Path, why: str, remedy: str) -> InputError:
    """The refusal of a header that can be mended by its writer."""
    return InputError(f"{path_text(path)}: {why}. {remedy}")


def numbers(path: Path, field: str, text: str, count: int | None = None) -> tuple[float, ...]:
    """The finite numbers of a header's field.

    Raises:
        InputError: no numbers, not finite, or not as many as needed.
    """
    words = text.split()
    if len(words) > 4 * MOST_AXES:
        raise damaged(path, f"its field '{field}' holds {len(words)} values")
    if any(re.fullmatch(r"[-+]?\d+,\d+", word) for word in words):
        example = next(word for word in words if "," in word)
        raise wrong_header(
            path,
            f"its field '{field}' has decimal commas ({printable(text, 60)})",
            f"Write {example.replace(',', '.')} instead of {example} in its header, or export it again with "
            "English number formats.",
        )
    try:
        values = tuple(float(word) for word in words)
    except ValueError as error:
        raise damaged(path, f"its field '{field}' is no number: '{printable(text, 60)}'") from error
    if not all(map(math.isfinite, values)):
        raise damaged(path, f"its field '{field}' is not finite: '{printable(text, 60)}'")
    if count is not None and len(values) != count:
        raise damaged(path, f"its field '{field}' has {len(values)} values instead of {count}")
    return values


def whole_numbers(path: Path, field: str, text: str, count: int | None = None) -> tuple[int, ...]:
    """The whole numbers of a header's field, with :func:`numbers`'s errors."""
    values = numbers(path, field, text, count)
    if any(v != int(v) or abs(v) > 2**53 for v in values):
        raise damaged(path, f"its field '{field}' is no whole number: '{printable(text, 60)}'")
    return tuple(int(v) for v in values)


def axis_sizes(path: Path, field: str, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of all axes, if they can be those of an image.

    Raises:
        InputError: zero, negative or absurd.
    """
    if not 1 <= len(sizes) <= MOST_AXES or min(sizes) < 1 or max(sizes) > LONGEST_AXIS:
        text = " x ".join(map(str, sizes[:MOST_AXES]))
        raise damaged(path, f"its header makes no sense: '{field}' says {text or 'nothing'}")
    return sizes


def same_size(a: float, b: float) -> bool:
    """Whether two lengths from headers are the same but for rounding."""
    return abs(a - b) <= SIZE_TOLERANCE * max(abs(a), abs(b))
