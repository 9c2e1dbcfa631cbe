"""The measurements as a TID 1500 structured report that refers to the segmentation and the images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from ...case.columns import fixed
from ...case.findings import PointLps
from .content import Code, DicomContent, Region, Statement
from .images import point_at_frames, reference_images, stand_in_uid
from .segmentation import MANUFACTURER, coded
from .uids import fingerprint, uid_of

SERIES_NUMBER = 9002
WARNING = "Research use only, not a medical device."

_VOLUME: Code = ("118565006", "SCT", "Volume")
_MEAN: Code = ("112181", "DCM", "Attenuation Coefficient Mean")
_SD: Code = ("112183", "DCM", "Standard Deviation of Attenuation Coefficient")
_SUM_OF_VOXELS: Code = ("126030", "DCM", "Sum of segmented voxel volumes")
_LONG: Code = ("103339001", "SCT", "Long axis")
_SHORT: Code = ("103340004", "SCT", "Short axis")
_HU: Code = ("[hnsf'U]", "UCUM", "Hounsfield unit")
_ML: Code = ("mL", "UCUM", "mL")
_MM: Code = ("mm", "UCUM", "mm")
_UPPER: Code = ("371886008", "SCT", "+, range of upper measurement uncertainty")
_LOWER: Code = ("371885007", "SCT", "-, range of lower measurement uncertainty")
DIGITS = {"mm": 1, "[hnsf'U]": 1, "1": 3, "d": 0, "deg": 1}
"""Decimals by unit; volumes and shares have more the smaller they are."""
_COMMENT: Code = ("121106", "DCM", "Comment")
_CT_LIVER: Code = ("79103-8", "LN", "CT Abdomen W contrast IV")


def structured_report(content: DicomContent, seg: Dataset) -> Dataset:
    """The SR object: PARTIAL and UNVERIFIED unless `content.verified_by` names a reader.

    Each lesion has two groups with one tracking identifier and UID: TID 1411 with its segment, volume and HU,
    and TID 1501 with both axes, each inferred from a polyline on its image (in patient space, where the slice
    was interpolated and has no image). Sub-pixel image coordinates start at the outer corner of the first
    pixel (PS3.3 C.18.6).
    """
    import highdicom as hd

    in_space = any(_image_of(content, axis) is None for region in content.regions for axis in _axes(region))
    groups: list[object] = []
    numbers = {item.TrackingUID: int(item.SegmentNumber) for item in seg.SegmentSequence}
    for region in content.regions:
        if region.tracking_uid not in numbers:
            continue
        groups.append(_volume_group(region, content, seg, numbers[region.tracking_uid]))
        if list(_axes(region)):
            groups.append(_axes_group(region, content))
    groups += [_statement_group(statement, content) for statement in content.statements]
    report = hd.sr.MeasurementReport(
        observation_context=_context(content),
        procedure_reported=coded(_CT_LIVER),
        imaging_measurements=groups,
        title=coded(("126000", "DCM", "Imaging Measurement Report")),
    )
    result = fingerprint(content)
    kind = hd.sr.Comprehensive3DSR if in_space else hd.sr.ComprehensiveSR
    images = reference_images(content.source, content.geometry)
    verified = bool(content.verified_by)
    sr = kind(
        evidence=[*images, seg],
        content=report[0],
        series_instance_uid=uid_of("SR series", result),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of("SR", result),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=verified,
        is_final=verified,
        is_verified=verified,
        verifying_observer_name=content.verified_by or None,
        verifying_organization=content.organisation or ("not given" if verified else None),
        series_description="LiverLesionAI measurements" + (f" ({content.draft})" if content.draft else ""),
    )
    point_at_frames(sr, content.source)
    return sr


def _context(content: DicomContent) -> object:
    import highdicom as hd

    person = None
    if content.verified_by:
        person = hd.sr.ObserverContext(
            coded(("121006", "DCM", "Person")),
            hd.sr.PersonObserverIdentifyingAttributes(content.verified_by),
        )
    device = hd.sr.ObserverContext(
        coded(("121007", "DCM", "Device")),
        hd.sr.DeviceObserverIdentifyingAttributes(
            uid_of("device", content.algorithm, content.version),
            name=content.algorithm,
            manufacturer_name=MANUFACTURER,
            model_name=f"{content.algorithm} {content.version}".strip(),
        ),
    )
    return hd.sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _algorithm(content: DicomContent) -> object:
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(
        content.algorithm, content.version or "unknown", parameters=list(content.parameters) or None
    )


def _volume_group(region: Region, content: DicomContent, seg: Dataset, number: int) -> object:
    import highdicom as hd

    measured = region.measurement
    values: list[object] = []
    if measured is not None:
        values.append(
            _measurement(_VOLUME, measured.volume_ml, _ML, region.ranges, method=coded(_SUM_OF_VOXELS))
        )
        for name, value in ((_MEAN, measured.hu_mean), (_SD, measured.hu_sd)):
            if np.isfinite(value):
                values.append(_measurement(name, value, _HU, {}))
    values += _numbers(region.numbers)
    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(region.tracking_uid, region.label),
        referenced_segment=hd.sr.ReferencedSegment(
            seg.SOPClassUID,
            seg.SOPInstanceUID,
            number,
            source_series=hd.sr.SourceSeriesForSegmentation(content.source.series_instance_uid),
        ),
        finding_type=coded(region.kind),
        algorithm_id=_algorithm(content),
        finding_sites=[hd.sr.FindingSite(coded(site)) for site in region.site],
        measurements=values,
        qualitative_evaluations=_evaluations(region.codes),
    )
    texts = dict(region.texts)
    if region is content.regions[0]:
        remarks = " ".join(filter(None, (WARNING, content.draft and content.draft + ".", *content.remarks)))
        texts[_COMMENT] = remarks
    _add_texts(group, texts)
    return group


def _statement_group(statement: Statement, content: DicomContent) -> object:
    """TID 1501 without an image: what it says is of another scan, or of several lesions together."""
    import highdicom as hd

    when = None
    if statement.time_point is not None:
        text, kind = statement.time_point
        when = hd.sr.TimePointContext(text, None if kind is None else coded(kind))
    group = hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(statement.tracking_uid, statement.label),
        time_point_context=when,
        algorithm_id=_algorithm(content),
        finding_sites=[hd.sr.FindingSite(coded(site)) for site in statement.site],
        measurements=_numbers(statement.numbers),
        qualitative_evaluations=_evaluations(statement.codes),
    )
    _add_texts(group, statement.texts)
    return group


def _numbers(numbers: Mapping[Code, tuple[float, str]]) -> list[object]:
    return [
        _measurement(name, value, (unit, "UCUM", _unit_name(unit)), {})
        for name, (value, unit) in numbers.items()
        if np.isfinite(value)
    ]


def _evaluations(codes: Mapping[Code, Code]) -> list[object]:
    import highdicom as hd

    return [hd.sr.QualitativeEvaluation(coded(name), coded(value)) for name, value in codes.items()]


def _add_texts(group: Any, texts: Mapping[Code, str]) -> None:
    import highdicom as hd

    for name, text in texts.items():
        group[0].ContentSequence.append(
            hd.sr.TextContentItem(coded(name), text, hd.sr.RelationshipTypeValues.CONTAINS)
        )


def _axes_group(region: Region, content: DicomContent) -> object:
    import highdicom as hd

    measured = region.measurement
    assert measured is not None
    values = []
    for name, length, ends in (
        (_LONG, measured.long_axis_mm, measured.long_axis_lps),
        (_SHORT, measured.short_axis_mm, measured.short_axis_lps),
    ):
        values.append(
            _measurement(name, length, _MM, region.ranges, referenced_coordinates=[_polyline(content, ends)])
        )
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(region.tracking_uid, region.label),
        finding_type=coded(region.kind),
        algorithm_id=_algorithm(content),
        finding_sites=[hd.sr.FindingSite(coded(site)) for site in region.site],
        measurements=values,
    )


def _axes(region: Region) -> Iterator[tuple[PointLps, PointLps]]:
    measured = region.measurement
    if measured is not None and np.isfinite([measured.long_axis_mm, measured.short_axis_mm]).all():
        yield measured.long_axis_lps
        yield measured.short_axis_lps


def _image_of(content: DicomContent, ends: tuple[PointLps, PointLps]) -> int | None:
    """The slice that both end points lie in, where it has an image; None otherwise."""
    z = np.asarray(content.geometry.lps_to_index(np.asarray(ends)), float)[:, 0]
    k = round(float(z.mean()))
    inside = 0 <= k < len(content.source.slices) and np.abs(z - k).max() < 0.5
    return k if inside and content.source.slices[k] is not None else None


def _polyline(content: DicomContent, ends: tuple[PointLps, PointLps]) -> object:
    import highdicom as hd

    k = _image_of(content, ends)
    if k is None:
        return hd.sr.CoordinatesForMeasurement3D(
            hd.sr.GraphicTypeValues3D.POLYLINE,
            np.asarray(ends, float),
            content.source.frame_of_reference_uid,
        )
    place = content.source.slices[k]
    assert place is not None
    index = np.asarray(content.geometry.lps_to_index(np.asarray(ends)), float)
    return hd.sr.CoordinatesForMeasurement(
        hd.sr.GraphicTypeValues.POLYLINE,
        index[:, [2, 1]] + 0.5,
        hd.sr.SourceImageForRegion(
            CTImageStorage if place.frame_number is not None else place.sop_class_uid,
            stand_in_uid(content.source, k),
        ),
    )


def _measurement(
    name: Code,
    value: float,
    unit: Code,
    ranges: Mapping[Code, tuple[float, float]],
    **more: Any,
) -> object:
    """A figure, rounded as tables have it, and how much more or less it may be (TID 310)."""
    import highdicom as hd

    said = shown_number(value, unit[0])
    low, high = ranges.get(name, (math.nan, math.nan))
    properties = None
    if math.isfinite(low) and math.isfinite(high):
        properties = hd.sr.MeasurementProperties()
        # highdicom's own arguments would write both without a unit.
        for code, by in ((_UPPER, high - value), (_LOWER, value - low)):
            properties.append(
                hd.sr.NumContentItem(
                    coded(code),
                    shown_number(by, unit[0]),
                    coded(unit),
                    relationship_type=hd.sr.RelationshipTypeValues.HAS_PROPERTIES,
                )
            )
    return hd.sr.Measurement(coded(name), said, coded(unit), properties=properties, **more)


def shown_number(value: float, unit: str) -> float:
    """A figure with the decimals that tables have, and never with more than can be measured.

    Small volumes and shares keep three decimals, as nothing that is there may read as nothing.
    """
    digits = DIGITS.get(unit, 3)
    if unit in ("mL", "%"):
        digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    return float(fixed(value, digits))


def _unit_name(unit: str) -> str:
    return {"1": "no units", "%": "Percent", "mm": "mm", "mL": "mL", "d": "day", "deg": "degree"}.get(
        unit, unit
    )
