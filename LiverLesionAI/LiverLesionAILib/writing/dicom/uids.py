"""UIDs from content: the same result gets the same ones, a changed one never an old one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from .content import DicomContent, Region


def uid_of(*parts: object) -> str:
    """A UID under 2.25 (a UUID as a number, PS3.5 B.2) from the parts' texts.

    >>> uid_of("series", 1) == uid_of("series", 1), uid_of("series", 1) == uid_of("series", 2)
    (True, False)
    """
    digest = hashlib.sha256(
        "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    ).digest()
    number = int.from_bytes(digest[:16], "big")
    # Version and variant bits of a random UUID (RFC 4122), so that it is one.
    number = (number & ~(0xF << 76)) | (0x4 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return f"2.25.{number}"


def fingerprint(content: DicomContent) -> str:
    """Text that differs where anything that is exported differs."""
    digest = hashlib.sha256()
    for part in _parts(content):
        digest.update(str(part).encode("utf-8", "surrogatepass") + b"\x1f")
    return digest.hexdigest()


def _parts(content: DicomContent) -> Iterable[object]:
    source = content.source
    yield from (source.study_instance_uid, source.series_instance_uid, content.geometry.shape_zyx)
    yield from (s and (s.sop_instance_uid, s.frame_number) for s in source.slices)
    yield from (content.algorithm, content.version, content.parameters, content.remarks)
    yield from (content.undecided, content.lesions, content.verified_by, content.organisation)
    for region in content.regions:
        yield from _region_parts(region)
    yield from content.statements


def _region_parts(region: Region) -> Iterable[object]:
    mask = region.mask
    yield from (
        region.label,
        region.kind,
        region.modifier,
        tuple(region.site),
        region.tracking_uid,
        region.drawn_by_reader,
    )
    yield from (region.measurement, sorted(region.numbers.items()), sorted(region.texts.items()))
    yield sorted(region.codes.items())
    yield from (mask.start_zyx, mask.voxels_zyx.shape)
    yield hashlib.sha256(np.packbits(mask.voxels_zyx).tobytes()).hexdigest()
