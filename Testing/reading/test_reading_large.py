"""A scan of 2000 slices: what reading and checking hold in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.ct_phantom import phantom_hu

MEASURE = """
import json, resource, sys
import numpy, scipy.ndimage, SimpleITK, pydicom
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.volume.ct import reorient
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
volume = read_ct(sys.argv[1])
straight = reorient(volume)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"shape": volume.hu_zyx.shape, "bytes": volume.hu_zyx.nbytes, "held": (peak - before) *
1024}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured in Linux units")
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_2000_slices_take_little_more_than_twice_their_size(tmp_path: Path, suffix: str) -> None:
    """The decoder's copy and ours, and at most 48 MB for all checks."""
    hu = np.repeat(phantom_hu((40, 192, 192)), 50, axis=0)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.0, 1.0, 0.4))
    path = tmp_path / f"long{suffix}"
    sitk.WriteImage(image, str(path))
    library = Path(__file__).resolve().parents[2] / "LiverLesionAI"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(library)},
    )  # fmt: skip
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["shape"] == [2000, 192, 192]
    assert measured["held"] < 2 * measured["bytes"] + 48 * 2**20
