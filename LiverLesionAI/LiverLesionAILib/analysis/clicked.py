"""An outline mended by the network that answers clicks: what the panel asks for *Add* and *Correct*."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..case.findings import CaseResult
from ..stages.detect.click_input import Clicks, near_liver
from ..stages.detect.point import PointSettings, frame_round, grow_by_probability
from ..stages.detect.star import LiverLevel, Surroundings, outline_star
from ..stages.faces import Runtime
from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import CtVolume, reorient
from ..volume.geometry import Geometry, Index3, index_triple
from ..volume.masks import BoxSlices
from ..volume.packed_mask import turned, unpack_whole
from ..volume.resampling import resample
from .rules import Rules

if TYPE_CHECKING:
    from ..models.weights import ModelStore

TASK = "click"
"""Of the manifest's entry."""


POINT = Rules().part(PointSettings)

BY_DENSITY = "The network sees no lesion there: outlined by density."

ROUND_MM = 25.0
"""Of the CT the network gets so much round the outline, and half of the outline's length more."""


def part_round(ends_zyx: NDArray, geometry: Geometry) -> BoxSlices:
    """The part of the CT that the network gets; `ends_zyx`, (n, 3): clicks and the outline's corners."""
    spacing = np.array(geometry.spacing_zyx_mm)
    low, high = ends_zyx.min(axis=0), ends_zyx.max(axis=0)
    reach = np.ceil((ROUND_MM + 0.5 * float(((high - low) * spacing).max())) / spacing)
    # Rounded: a part of the CT, asked again, is to give the same part.
    first, last = np.floor(np.round(low - reach, 4)), np.ceil(np.round(high + reach, 4)) + 1
    z, y, x = (
        slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(first, last, geometry.shape_zyx, strict=True)
    )
    return z, y, x


def part_of_any(seed_zyx: NDArray[np.int_], geometry: Geometry) -> BoxSlices:
    """The part of the CT that holds what the network gets round the largest outline from a click."""
    reach_mm = 2 * POINT.point_reach_mm + ROUND_MM + 2 * max(geometry.spacing_zyx_mm)
    return frame_round(seed_zyx, geometry.shape_zyx, geometry.spacing_zyx_mm, reach_mm)[0]


def first_outline(
    seen: Surroundings, at: Index3, suspected_zyx: NDArray[np.float32] | None
) -> NDArray[np.bool_]:
    """What belongs to a lesion that was clicked on, as the segmenter suspected it, or else by density.

    Args:
        seen: `point_reach_mm` round the click.
        at: the click, a voxel of it.
        suspected_zyx: probability of tumour, 0..1, on its grid.

    Raises:
        InputError: the click is not at the liver.
    """
    if not seen.inside_zyx[at]:
        raise InputError("The point is outside the liver. Click on the lesion itself.")
    if suspected_zyx is not None:
        found = grow_by_probability(suspected_zyx, at, seen.spacing_zyx_mm, seen.inside_zyx, POINT)
        if found is not None:
            return found
    return outline_star(seen, at, POINT)


def pack_map(stored_zyx: NDArray, geometry: Geometry) -> dict[str, Any]:
    """A map as plain types: bytes stand for 0..1, other numbers for themselves."""
    stored = stored_zyx if stored_zyx.dtype == np.uint8 else stored_zyx.astype(np.float32)
    return {
        "bytes": stored.dtype == np.uint8,
        "values": base64.b64encode(zlib.compress(np.ascontiguousarray(stored).tobytes(), 1)).decode("ascii"),
        "shape_zyx": list(geometry.shape_zyx),
        "spacing_zyx_mm": list(geometry.spacing_zyx_mm),
        "origin_lps": list(geometry.origin_lps),
        "directions_lps": np.asarray(geometry.directions_lps).ravel().tolist(),
    }


def map_on(stored_zyx: NDArray, source: Geometry, target: Geometry) -> NDArray[np.float32]:
    """A stored map's values, 0..1, on another grid; 0 outside it."""
    values = resample(stored_zyx, source, target, 0.0)
    return values / 255.0 if stored_zyx.dtype == np.uint8 else values


def outline_clicked(volume: CtVolume, request: Mapping[str, Any], store: ModelStore) -> CaseResult:
    """The outline as lesion 1 of a case without findings, on the part of the volume that was looked at.

    Args:
        volume: the part of the CT that was handed over, any orientation.
        request: `model`, `device`, `precision`; `inside_lps` and `outside_lps`: clicks in the lesion and
            beside it; `drawn`: the packed outline there is so far, "" for none: it is begun here, with
            `suspected` (see :func:`pack_map`; none without such a map); `liver`: packed, "" where it is not
            known; `level_hu`, `spread_hu`: the liver's density, None to be told from what is round.

    Raises:
        InputError: a click is not in the volume or not at the liver, or a mask is damaged.
        ModelError: the network's weights are missing or damaged.
    """
    from ..models.device import choose_device

    own = volume.geometry
    liver = _mask(request["liver"], own) if request["liver"] else None
    by_density = not request["drawn"]
    if by_density:
        drawn = _begun(volume, request, liver)
        clicks = _clicks(request, own)
        box = Mask.of(drawn).slices
        ends = np.array([*clicks.inside, [s.start for s in box], [s.stop - 1 for s in box]])
        part = part_round(ends, own)
        own = own.cropped([s.start for s in part], [s.stop for s in part])
        volume = CtVolume(np.ascontiguousarray(volume.hu_zyx[part]), own, volume.name)
        drawn, liver = drawn[part], None if liver is None else liver[part]
    else:
        drawn = _mask(request["drawn"], own)
    entry = store.manifest.choose(TASK, request["model"])
    device = choose_device(request["device"], request["precision"])
    asked = Runtime(store, device).open(entry)
    upright = reorient(volume)
    hu, spacing = upright.hu_zyx, upright.geometry.spacing_zyx_mm
    near = np.ones(hu.shape, bool) if liver is None else near_liver(_turned(liver, own, upright), spacing)
    seen = Surroundings(hu, spacing, near, _level(request, volume))
    found = asked.outline(seen, _turned(drawn, own, upright), _clicks(request, upright.geometry))
    labels = np.zeros(own.shape_zyx, np.uint16)
    if found.any():
        mask = turned(Mask.of(found), upright.geometry, own)
        labels[mask.slices][mask.voxels_zyx] = 1
    elif by_density:
        labels[drawn] = 1
    said = (BY_DENSITY,) if by_density and not found.any() else ()
    return CaseResult(volume.name, own, np.zeros(labels.shape, bool), labels, messages=said)


def _begun(
    volume: CtVolume, request: Mapping[str, Any], liver: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """The first outline, on the whole of the volume: the same as where the panel has to draw it itself."""
    geometry, spacing = volume.geometry, volume.geometry.spacing_zyx_mm
    seed = np.round(_clicks(request, geometry).inside[0]).astype(int)
    frame, at = frame_round(seed, geometry.shape_zyx, spacing, POINT.point_reach_mm)
    hu = np.asarray(volume.hu_zyx)[frame]
    near = np.ones(hu.shape, bool) if liver is None else near_liver(liver[frame], spacing)
    own = geometry.cropped([s.start for s in frame], [s.stop for s in frame])
    level = _level(request, CtVolume(hu, own))
    packed = request.get("suspected")
    suspected = map_on(*_unpacked_map(packed), own) if packed else None
    whole = np.zeros(geometry.shape_zyx, bool)
    whole[frame] = first_outline(Surroundings(hu, spacing, near, level), at, suspected)
    return whole


def _level(request: Mapping[str, Any], volume: CtVolume) -> LiverLevel:
    if request["level_hu"] is not None:
        return LiverLevel(float(request["level_hu"]), float(request["spread_hu"]))
    hu = np.asarray(volume.hu_zyx)
    return LiverLevel.of(hu, np.ones(hu.shape, bool), volume.geometry.spacing_zyx_mm)


def _unpacked_map(packed: Mapping[str, Any]) -> tuple[NDArray, Geometry]:
    names = ("shape_zyx", "spacing_zyx_mm", "origin_lps", "directions_lps")
    try:
        geometry = Geometry.make(*(packed[name] for name in names))
        values = np.frombuffer(
            zlib.decompress(base64.b64decode(packed["values"])), np.uint8 if packed["bytes"] else np.float32
        )
        return values.reshape(index_triple(geometry.shape_zyx)), geometry
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise InputError("The map of suspicions cannot be read. Click again.") from error


def _turned(mask_zyx: NDArray[np.bool_], own: Geometry, upright: CtVolume) -> NDArray[np.bool_]:
    out = np.zeros(upright.geometry.shape_zyx, bool)
    mask = turned(Mask.of(mask_zyx), own, upright.geometry)
    out[mask.slices] = mask.voxels_zyx
    return out


def _clicks(request: Mapping[str, Any], geometry: Geometry) -> Clicks:
    shape, groups = np.array(geometry.shape_zyx), []
    for name in ("inside_lps", "outside_lps"):
        points = [geometry.lps_to_index(point) for point in request[name]]
        if any((np.array(point) < -0.5).any() or (np.array(point) > shape - 0.5).any() for point in points):
            raise InputError("The point is outside the CT. Click inside the liver.")
        groups.append(tuple((float(z), float(y), float(x)) for z, y, x in points))
    return Clicks(*groups)


def _mask(text: str, geometry: Geometry) -> NDArray[np.bool_]:
    mask = unpack_whole(text, geometry)
    if mask is None:
        raise InputError("The outlines cannot be read. Click again.")
    return mask
