"""Scans with more noise than they have, as of a lower dose: how many more lesions does a method invent?"""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from scipy import ndimage

from ..data.scan import Scan

GRAIN_ZYX = (0.3, 0.8, 0.8)
"""SD, in voxels, of the Gaussian that makes white noise as coarse as a body kernel's."""


def noisy(ct: CtVolume, sd_hu: float, seed: int) -> CtVolume:
    """The CT with Gaussian noise of that SD and a body kernel's grain, within its own range of HU."""
    hu = np.asarray(ct.hu_zyx)
    noise = np.random.default_rng(seed).standard_normal(hu.shape, np.float32)
    noise = ndimage.gaussian_filter(noise, GRAIN_ZYX)
    noise *= np.float32(sd_hu / float(noise.std()))
    made = np.clip(np.rint(hu + noise), hu.min(), hu.max()).astype(hu.dtype)
    return replace(ct, hu_zyx=made)


def with_noise(scan: Scan, sd_hu: float) -> Scan:
    """The same scan, noisy when it is read; each scan's noise is its own, and the same every time.

    Raises:
        InputError: the SD is negative or no number.
    """
    if not 0.0 <= sd_hu < np.inf:
        raise InputError(f"--noise {sd_hu}: give an SD in HU, 0 or more.")
    if sd_hu == 0.0:
        return scan
    seed = zlib.crc32(scan.name.encode())
    return replace(scan, read_ct=lambda: noisy(scan.read_ct(), sd_hu, seed))
