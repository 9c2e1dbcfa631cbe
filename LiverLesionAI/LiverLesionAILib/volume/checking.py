"""Whether a volume is an abdominal CT that can be analysed, wherever it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.errors import GeometryError, InputError
from .continuity import continuity_warning, slices_warning
from .ct import CtVolume, Geometry, reoriented_geometry

FEWEST_SLICES = 8
IN_PLANE_MM = (0.15, 3.0)
SLICE_MM = (0.2, 12.0)
# Spacings from headers are rounded.
ROUNDING = 1.01
# Below these a scan cannot show a liver; above, the spacing is not in millimetres.
SHORTEST_MM, NARROWEST_MM, LONGEST_MM, WIDEST_MM = 40.0, 70.0, 2500.0, 1000.0
# Below this an adult's body is cut off: it is an infant, or a part.
ADULT_MM = 120.0
# Slices farther apart are warned about.
COARSE_MM = 6.0
# Values that span less than this are no Hounsfield units; rounding them would hide what they are.
SMALLEST_RANGE = 50.0
SAMPLES = 1_000_000
OFFSET_HU = 1024
# HU below this are padding around the scan, not air.
PADDING_HU = -1500
# Every body has this share of soft tissue, and of fat, lung or the air around it.
TISSUE_HU, TISSUE_SHARE = (-50.0, 250.0), 0.02
LIGHT_HU, LIGHT_SHARE = -70.0, 0.01
# Of what is denser than lung, CT puts most within fat and soft tissue, and little above.
DENSE_HU, BODY_HU, BODY_SHARE = -600.0, (-200.0, 300.0), 0.5
BONE_HU, BONE_SHARE = 800.0, 0.2
# Of what is no air; patients have 30 to 60 %, the blurred outline of a water phantom about 1 %.
FAT_HU, FAT_SHARE, CLIPPED_HU = (-150.0, -50.0), 0.03, -159.0


def volume_from_array(array_zyx: NDArray[Any], ijk_to_ras: ArrayLike, name: str) -> CtVolume:
    """A volume from what a Slicer node holds, in whole Hounsfield units; :func:`check_ct` comes after.

    Args:
        array_zyx: the node's array.
        ijk_to_ras: its 4 x 4 matrix from index x, y, z to RAS mm, without shear.
        name: named in messages.

    Raises:
        InputError: not one three-dimensional volume of real numbers, or a grid that is sheared or singular.
    """
    _check_array(name, array_zyx)
    try:
        geometry = Geometry.from_ijk_to_ras(array_zyx.shape, ijk_to_ras)
    except GeometryError as error:
        raise InputError(f"{name}: {error} Resample the volume to a straight grid first.") from error
    return CtVolume(whole_hu(array_zyx), geometry, name)


def whole_hu(values_zyx: NDArray[Any]) -> NDArray[Any]:
    """int16 of any real array, rounded and clipped; float32 where that would hide NaN or a tiny range."""
    if values_zyx.dtype == np.int16:
        return values_zyx
    if np.issubdtype(values_zyx.dtype, np.floating):
        low, high = float(values_zyx.min()), float(values_zyx.max())  # NaN if any is
        if not np.isfinite([low, high]).all() or high - low < SMALLEST_RANGE:
            return values_zyx.astype(np.float32)
    result = np.empty(values_zyx.shape, np.int16)
    for plane, target in zip(values_zyx, result, strict=True):  # no second copy of the whole volume
        target[...] = np.clip(np.rint(plane), -32768, 32767)
    return result


def _check_array(name: str, array: NDArray[Any]) -> None:
    if array.ndim > 3:
        raise InputError(
            f"{name}: the image has {array.ndim} dimensions ({' x '.join(map(str, array.shape))}): a time "
            "series or a colour image. Give one CT volume."
        )
    if array.ndim < 3 or min(array.shape) <= 1:
        raise InputError(
            f"{name}: this is a two-dimensional image. A CT volume with at least {FEWEST_SLICES} slices is "
            "needed."
        )
    if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise InputError(
            f"{name}: its values are of type {array.dtype}, not Hounsfield units. Give the CT itself."
        )


@dataclass(frozen=True)
class _Values:
    """A sample of a volume's values without padding; low and high leave out a thousandth at each end."""

    sample: NDArray[np.float32]
    low: float
    high: float
    distinct: int

    @property
    def range_text(self) -> str:
        return f"{float(self.sample.min()):g} to {float(self.sample.max()):g}"


def check_ct(volume: CtVolume) -> CtVolume:
    """Make sure that a volume is a CT in Hounsfield units on a grid that can show a liver.

    Works on the values and the geometry alone, so for volumes from files and from Slicer alike. Real CTs pass
    whether they have the full range, padding, or were clipped to about -160..240 HU.

    Args:
        volume: as read; int16 or float.

    Returns:
        The same volume, or one shifted by -1024 HU where the values were evidently saved with that offset;
        `warnings` say what is doubtful. Checking it again changes nothing.

    Raises:
        InputError: not three-dimensional or a time series or colour (by the array), NaN, constant, a label
            map, MR or other values; too few slices, a spacing or an extent that cannot be right. The text
            names the volume and says what to do.
    """
    if volume.is_checked:
        return volume
    _check_array(volume.name, volume.hu_zyx)
    warnings = _check_grid(volume)
    values = _values(volume)
    _check_content(volume.name, values)
    if torn := continuity_warning(volume.hu_zyx) or slices_warning(volume.hu_zyx):
        warnings.insert(0, torn)
    if values.low >= -30 and _has_offset(values.sample):
        shifted = np.empty(volume.hu_zyx.shape, np.int16)
        for plane, target in zip(volume.hu_zyx, shifted, strict=True):
            target[...] = np.clip(np.rint(plane.astype(np.float32)) - OFFSET_HU, -32768, 32767)
        _check_hounsfield(volume.name, _values(replace(volume, hu_zyx=shifted)))
        warnings.append(
            f"The values run from {values.range_text}: saved with an offset of {OFFSET_HU}, which was taken "
            "off to get Hounsfield units."
        )
        return _passed(volume, shifted, warnings)
    _check_hounsfield(volume.name, values)
    return _passed(volume, volume.hu_zyx, warnings)


def _passed(volume: CtVolume, hu_zyx: NDArray[Any], warnings: list[str]) -> CtVolume:
    warned = _added(volume.warnings, warnings)
    return replace(volume, hu_zyx=hu_zyx, warnings=warned, checked=(hu_zyx, volume.geometry))


def _added(old: tuple[str, ...], new: list[str]) -> tuple[str, ...]:
    return old + tuple(sentence for sentence in new if sentence not in old)


def _check_grid(volume: CtVolume) -> list[str]:
    """Refuse grids that cannot show a liver; returns warnings."""
    name = volume.name
    # Along patient axes: x left, y posterior, z superior, whatever way the array runs.
    patient = reoriented_geometry(volume.geometry)
    few = min(patient.shape_zyx)
    if few < FEWEST_SLICES:
        raise InputError(
            f"{name}: the scan has only {few} slices; at least {FEWEST_SLICES} are needed. Give the whole "
            "series."
        )
    spacing = np.array(patient.spacing_zyx_mm)
    # Slices run along the body unless another axis is as coarse as only slices are.
    slice_axis = int(spacing.argmax()) if spacing[1:].max() > IN_PLANE_MM[1] * ROUNDING else 0
    slice_mm, in_plane = float(spacing[slice_axis]), np.delete(spacing, slice_axis)
    if in_plane.min() < IN_PLANE_MM[0] / ROUNDING or in_plane.max() > IN_PLANE_MM[1] * ROUNDING:
        wrong = float(in_plane.min() if in_plane.min() < IN_PLANE_MM[0] / ROUNDING else in_plane.max())
        raise InputError(
            f"{name}: its pixels are {wrong:.4g} mm wide; {IN_PLANE_MM[0]:g} to {IN_PLANE_MM[1]:g} mm can be "
            "analysed. Check the volume's spacing, or give the original CT series."
        )
    if not SLICE_MM[0] / ROUNDING <= slice_mm <= SLICE_MM[1] * ROUNDING:
        raise InputError(
            f"{name}: its slices are {slice_mm:.3g} mm apart; {SLICE_MM[0]:g} to {SLICE_MM[1]:g} mm can be "
            "analysed. Check the volume's spacing, or give a thinner series."
        )
    length, depth, width = patient.extent_zyx_mm
    if length < SHORTEST_MM or min(depth, width) < NARROWEST_MM:
        raise InputError(
            f"{name}: the scan covers {width:.0f} x {depth:.0f} x {length:.0f} mm (left-right, front-back, "
            f"head-foot), too little to show a liver; at least {NARROWEST_MM:.0f} x {NARROWEST_MM:.0f} x "
            f"{SHORTEST_MM:.0f} mm are needed. Give the whole scan."
        )
    if length > LONGEST_MM or max(depth, width) > WIDEST_MM:
        raise InputError(
            f"{name}: the scan would be {width:.0f} x {depth:.0f} x {length:.0f} mm (left-right, front-back, "
            "head-foot), larger than a patient. Check the volume's spacing; it has to be in millimetres."
        )
    warnings = []
    if min(depth, width) < ADULT_MM:
        warnings.append(
            f"The scan is only {width:.0f} mm wide and {depth:.0f} mm deep: a small child, or a part "
            "of a body. "
            "The networks were trained on adults; look at every slice yourself."
        )
    if slice_axis != 0 and slice_mm > IN_PLANE_MM[1]:
        warnings.append(
            f"The slices are not axial and {slice_mm:.1f} mm apart; the networks work on axial slices, so "
            "results are coarse. An axial series is better."
        )
    elif slice_mm > COARSE_MM:
        warnings.append(f"The slices are {slice_mm:.1f} mm apart; lesions smaller than that may be missed.")
    return warnings


def _values(volume: CtVolume) -> _Values:
    array, name = volume.hu_zyx, volume.name
    if np.issubdtype(array.dtype, np.floating):
        missing = sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in array)
        if missing:
            raise InputError(
                f"{name}: {missing} of its {array.size} voxels are no numbers (NaN or infinite). Replace "
                "them with -1024 (air), or give the original CT."
            )
    step = max(1, int(np.ceil((array.size / SAMPLES) ** (1 / 3))))
    # Thin volumes keep their slices; the planes are thinned instead.
    z_step = min(step, max(1, array.shape[0] // 32))
    y_step = max(1, int(np.ceil((array.size / z_step / SAMPLES) ** 0.5)))
    sample = np.asarray(array[::z_step, ::y_step, ::y_step], np.float32).ravel()
    without_padding = sample[sample > PADDING_HU]
    if without_padding.size < 0.01 * sample.size:
        without_padding = sample
    low, high = (float(v) for v in np.percentile(without_padding, (0.1, 99.9)))
    return _Values(without_padding, low, high, len(np.unique(without_padding)))


def _check_content(name: str, values: _Values) -> None:
    if values.distinct == 1 or values.high - values.low == 0:
        raise InputError(
            f"{name}: nearly all voxels have the same value ({values.low:g}); the volume is empty. Give the "
            "CT itself."
        )


def _share(sample: NDArray[np.float32], low: float, high: float) -> float:
    return float(((sample >= low) & (sample <= high)).mean())


def _has_offset(sample: NDArray[np.float32]) -> bool:
    """Whether values from 0 up are HU + 1024: air at zero, and a body whose tissues lie where CT puts them.

    An MR or a picture has no empty valley between fat (924) and lung (about 200), and no crowd at 950..1200.
    """
    air = float((sample < 100).mean())
    body = sample[sample >= 500]
    if air < 0.05 or body.size < 0.02 * sample.size:
        return False
    crowd = _share(body, 850, 1300)
    valley = _share(body, 500, 800)
    soft = _share(body, 960, 1250)
    return crowd >= 0.8 and valley <= 0.15 and soft >= 0.2


def _check_hounsfield(name: str, values: _Values) -> None:
    whole = bool(np.array_equal(values.sample[:100_000], np.rint(values.sample[:100_000])))
    without_air = values.low >= -30
    said = f"{name}: its values run from {values.range_text}"
    if without_air and whole and values.distinct <= 1000 and _looks_labelled(values.sample):
        raise InputError(
            f"{name}: its values are {values.distinct} whole numbers from {values.range_text}: a label "
            "map or mask, not a CT. Give the CT that it was drawn on."
        )
    if values.high - values.low < 100:
        raise InputError(
            f"{said} only. This is no CT in Hounsfield units, or it was normalised. Give the original CT."
        )
    if without_air and whole and values.low >= 0 and 200 <= values.high <= 255:
        raise InputError(f"{said}, like a picture's grey levels, not Hounsfield units. Give the original CT.")
    if without_air:
        raise InputError(
            f"{said}, without the negative Hounsfield units of air and fat. This is an MR, another kind of "
            "image, or a CT without its rescale values. Give a CT in Hounsfield units."
        )
    tissue = _share(values.sample, *TISSUE_HU)
    light = float((values.sample <= LIGHT_HU).mean())
    if tissue < TISSUE_SHARE or light < LIGHT_SHARE:
        lacking = "soft tissue (-50 to 250 HU)" if tissue < TISSUE_SHARE else "fat and air (below -70 HU)"
        raise InputError(
            f"{said}, with hardly any {lacking}. This is not a CT of a body in Hounsfield units. Give the "
            "original CT."
        )
    body = values.sample[values.sample > CLIPPED_HU]
    if _share(body, *FAT_HU) < FAT_SHARE:
        raise InputError(
            f"{name}: it holds hardly any fat ({FAT_HU[0]:g} to {FAT_HU[1]:g} HU), which every body has: a "
            "phantom, another kind of image, or a CT with wrong rescale values. Give a CT of a patient."
        )
    dense = values.sample[values.sample > DENSE_HU]
    if _share(dense, *BODY_HU) < BODY_SHARE or float((dense > BONE_HU).mean()) > BONE_SHARE:
        raise InputError(
            f"{said}, but not as in a body: mostly fat and soft tissue (-200 to 300 HU), little above 800 "
            "HU. This is an MR, another kind of image, or a CT with wrong rescale values. Give a CT in "
            "Hounsfield units."
        )


def _looks_labelled(sample: NDArray[np.float32]) -> bool:
    """Labels fill regions: beside the background, neighbours along a row are mostly equal."""
    first, second = sample[:-1], sample[1:]
    inside = np.maximum(first, second) > sample.min()
    return bool(inside.any()) and float((first == second)[inside].mean()) >= 0.4
