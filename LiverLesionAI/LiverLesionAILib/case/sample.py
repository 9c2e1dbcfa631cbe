"""The sample case that is shipped: a synthetic CT with its true liver and lesions, in `data/Sample`.

Both files are plain NRRD, which 3D Slicer opens too; the laboratory draws them (`liverlesionai synthesize
sample`).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..volume.ct import CtVolume, Geometry

NAME = "LiverLesionAI sample case"
CT_FILE, TRUTH_FILE = "sample_ct.nrrd", "sample_truth.seg.nrrd"

_TYPES = {"short": "<i2", "unsigned char": "u1"}


@dataclass(frozen=True, eq=False)
class SampleCase:
    """The sample case with its truth.

    Attributes:
        volume: the CT, int16 HU, 2.5 x 1.4 x 1.4 mm, portal venous phase.
        liver_zyx: bool, the liver with its lesions.
        lesion_labels_zyx: uint16, 0 none, k lesion number k, largest first.
    """

    volume: CtVolume
    liver_zyx: NDArray[np.bool_]
    lesion_labels_zyx: NDArray[np.uint16]


def sample_folder() -> Path:
    """data/Sample of the library: the same in a checkout, a wheel and an installed extension."""
    return Path(__file__).resolve().parents[1] / "data" / "Sample"


def load_sample(folder: Path | None = None) -> SampleCase:
    """Read the sample case (a tenth of a second).

    Raises:
        InputError: its files are missing or damaged.
    """
    folder = folder or sample_folder()
    try:
        hu_zyx, geometry = _read(folder / CT_FILE)
        layers, _ = _read(folder / TRUTH_FILE)  # z, y, x and two layers: the liver, the lesions
        liver, lesions = (np.ascontiguousarray(layers[..., layer]) for layer in (0, 1))
        volume = CtVolume(hu_zyx, geometry, NAME)
    except (OSError, ValueError, KeyError, IndexError, zlib.error) as error:
        raise InputError(
            f"The sample case in {folder} is missing or damaged ({error}). Install the extension again."
        ) from error
    return SampleCase(volume, liver > 0, lesions.astype(np.uint16))


def _read(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Voxels and grid of an NRRD as :mod:`..writing.nrrd` writes it.

    Axes are z, y, x, then layers where there are any.
    """
    header, packed = path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    sizes = [int(n) for n in fields["sizes"].split()]
    vectors = [
        [float(v) for v in text.strip("()").split(",")]
        for text in f"{fields['space directions']} {fields['space origin']}".split()
        if text != "none"
    ]
    matrix = np.eye(4)
    matrix[:3] = np.array(vectors).T
    voxels = np.frombuffer(zlib.decompress(packed, 31), _TYPES[fields["type"]]).reshape(sizes[::-1])
    return voxels.astype(voxels.dtype.newbyteorder("=")), Geometry.from_ijk_to_lps(sizes[:-4:-1], matrix)
