"""The masks as a DICOM Segmentation (PS3.3 A.51): binary, sparse, a segment per region, overlaps kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from ...support.errors import InputError
from .content import Code, DicomContent, Region
from .images import point_at_frames, position_lps, reference_images
from .uids import fingerprint, uid_of

SERIES_NUMBER = 9001
MANUFACTURER = "LiverLesionAI"


def segmentation(content: DicomContent, *, deflate: bool = False) -> Dataset:
    """The SEG object.

    highdicom builds it over a map with one voxel per segment and slice, which says which frames exist; then
    the frames get the masks' bits. That keeps the memory at one byte per voxel of the scan, whatever the
    number of lesions, and lets segments overlap, which a label map could not.

    Args:
        content: at least one region must have voxels.
        deflate: compress the whole object (Deflated Explicit VR Little Endian) instead of native.

    Raises:
        InputError: every mask is empty.
    """
    import highdicom as hd

    regions = [region for region in content.regions if region.mask.count]
    if not regions:
        raise InputError(
            "There is nothing to write as DICOM SEG: neither liver nor lesion has a voxel. Is this an "
            "abdominal CT?"
        )
    geometry = content.geometry
    images = reference_images(content.source, geometry)
    result = fingerprint(content)
    map_zyx, planes = _presence(regions, geometry.shape_zyx)
    spacing_z, spacing_y, spacing_x = geometry.spacing_zyx_mm
    seg = hd.seg.Segmentation(
        source_images=images,
        pixel_array=map_zyx,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(n, r, content) for n, r in enumerate(regions, start=1)],
        series_instance_uid=uid_of("SEG series", result),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of("SEG", result),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=content.algorithm,
        software_versions=content.version or "unknown",
        device_serial_number="none",
        content_label="LIVERLESIONAI",
        content_description="Liver and lesions, research use only",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        plane_positions=[
            hd.PlanePositionSequence(hd.CoordinateSystemNames.PATIENT, tuple(position_lps(geometry, z)), None)
            for z in planes
        ],
        pixel_measures=hd.PixelMeasuresSequence((spacing_y, spacing_x), spacing_z, spacing_z),
        omit_empty_frames=True,
        series_description="LiverLesionAI segmentation" + (f" ({content.draft})" if content.draft else ""),
    )
    _fill(seg, regions, content, planes)
    _own_dimensions(seg, uid_of("SEG dimensions", result))
    point_at_frames(seg, content.source)
    if deflate:
        seg.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return seg


def _presence(
    regions: list[Region], shape_zyx: tuple[int, int, int]
) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], list[int]]:
    """A label map with a voxel for every (slice, segment) that has one, over the slices that hold any."""
    held = [{region.mask.start_zyx[0] + int(z) for z in np.flatnonzero(region.mask.voxels_zyx.any((1, 2)))}
            for region in regions]  # fmt: skip
    planes = sorted(set().union(*held))
    kind = np.uint8 if len(regions) < 256 else np.uint16
    map_zyx = np.zeros((len(planes), *shape_zyx[1:]), kind)
    flat = map_zyx.reshape(len(planes), -1)
    for number, slices in enumerate(held, start=1):
        for k, z in enumerate(planes):
            if z in slices:
                flat[k, number - 1] = number
    return map_zyx, planes


def _own_dimensions(seg: Dataset, uid: str) -> None:
    """highdicom draws the UID of the frames' dimensions at random: another one for the same result."""
    for sequence in (seg.DimensionOrganizationSequence, seg.DimensionIndexSequence):
        for item in sequence:
            item.DimensionOrganizationUID = uid


def _fill(seg: Dataset, regions: list[Region], content: DicomContent, planes: list[int]) -> None:
    """Put the masks' bits into the frames (PS3.5 8.1.1: first pixel in the lowest bit, frames run on)."""
    rows, columns = content.geometry.shape_zyx[1:]
    positions = np.array([position_lps(content.geometry, z) for z in planes])
    frames = seg.PerFrameFunctionalGroupsSequence
    packed = bytearray()
    # Eight frames at a time: they end with a byte, whatever their size.
    for first in range(0, len(frames), 8):
        eight = frames[first : first + 8]
        bits = np.zeros((len(eight), rows, columns), bool)
        for frame, group in zip(bits, eight, strict=True):
            _fill_frame(frame, group, seg, regions, planes, positions)
        packed += np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    seg.PixelData = bytes(packed) + b"\0" * (len(packed) % 2)


def _fill_frame(
    frame_yx: NDArray[np.bool_],
    group: Dataset,
    seg: Dataset,
    regions: list[Region],
    planes: list[int],
    positions_lps: NDArray[np.float64],
) -> None:
    """Draw the slice of the segment that a frame's functional groups name."""
    # Shared by all frames where there is one segment only.
    owner = group if "SegmentIdentificationSequence" in group else seg.SharedFunctionalGroupsSequence[0]
    number = owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    where = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
    z = planes[int(np.argmin(np.abs(positions_lps - where).sum(1)))]
    mask = regions[number - 1].mask
    _, y, x = mask.slices
    frame_yx[y, x] = mask.voxels_zyx[z - mask.start_zyx[0]]


def _description(number: int, region: Region, content: DicomContent) -> Dataset:
    import highdicom as hd

    by_reader = region.drawn_by_reader
    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=region.label[:64],
        segmented_property_category=coded(region.category),
        segmented_property_type=coded(region.kind),
        algorithm_type="SEMIAUTOMATIC" if by_reader else "AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            content.algorithm[:64],
            coded(("123110", "DCM", "Artificial Intelligence")),
            content.version or "unknown",
        ),
        tracking_uid=region.tracking_uid,
        tracking_id=region.label[:64],
        # One region alone: what the segments of the liver add is in the structured report.
        anatomic_regions=[coded(site) for site in region.site[:1]] or None,
        display_color=_lab(region.colour),
    )
    if region.modifier is not None:
        # highdicom has no argument for it (PS3.3 C.8.20.4, table 10.9.1).
        kind = made.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(region.modifier)]
    return made


def coded(code: Code) -> object:
    """A code as highdicom wants it; meanings have at most 64 characters."""
    import highdicom as hd

    value, scheme, meaning = code
    return hd.sr.CodedConcept(value, scheme, meaning[:64])


def _lab(colour: tuple[float, float, float]) -> object:
    """sRGB 0..1 as CIELab for a white of D65."""
    import highdicom as hd

    rgb = np.asarray(colour, float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    l_star, a_star, b_star = 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
    return hd.color.CIELabColor(*(float(np.clip(v, lo, hi)) for v, lo, hi in (
        (l_star, 0, 100), (a_star, -128, 127), (b_star, -128, 127))))  # fmt: skip
