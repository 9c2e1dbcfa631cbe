"""Claims of DICOM headers held against what is used of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .dicom_claims import Claims
from .dicom_frames import Frame
from .dicom_places import distances_mm
from .dicom_values import number

# Headers round, and a field of view may be given without its last half pixel.
DISTANCE_SHARE, DIAMETER_SHARE, TILT_DEGREES = 0.1, 0.05, 2.0


def claim_doubts(frames: Sequence[Frame]) -> Iterator[str]:
    """Sentences about claims that contradict what is used.

    Args:
        frames: one per slice, in the order of their positions.
    """
    claims = [frame.claims for frame in frames]
    tables = sum(claim.has_table for claim in claims)
    if tables:
        yield (
            f"{tables} of {len(frames)} slices have a lookup table for their values (Modality LUT), which "
            "was not applied. Check the densities: air must be -1000 HU and water 0."
        )
    positions = Counter(claim.patient_position for claim in claims)
    if len(positions) > 1:
        listed = ", ".join(f"{count} {name or 'unknown'}" for name, count in positions.most_common())
        yield (
            f"The slices do not agree how the patient lay ({listed}). They were placed by their positions; "
            "look whether the anatomy is continuous."
        )
    numbered = {claim.part for claim in claims if claim.part}
    if numbered and len(numbered) < max(count for _, count in numbered):
        here = ", ".join(str(k) for k, _ in sorted(numbered))
        yield (
            f"The scan is spread over {max(count for _, count in numbered)} files, of which only part {here} "
            "is here. Give the whole series."
        )
    yield from _identifiers(frames)
    if len(frames) > 2:
        yield from _distance(frames, claims)
    yield from _field(frames)


def _identifiers(frames: Sequence[Frame]) -> Iterator[str]:
    """Slices of different files that go by one SOP Instance UID: what refers to one means all of them."""
    files: dict[str, set[str]] = {}
    for frame in frames:
        if frame.sop_instance:
            files.setdefault(frame.sop_instance, set()).add(str(frame.path))
    shared = sum(len(paths) for paths in files.values() if len(paths) > 1)
    if shared:
        yield (
            f"{shared} of {len(frames)} slices share their identifier (SOP Instance UID) with another slice. "
            "All were read, placed by their positions; an archive keeps only one of each, and results for it "
            "cannot say which is meant. Ask for the series as the scanner sent it."
        )


def _distance(frames: Sequence[Frame], claims: Sequence[Claims]) -> Iterator[str]:
    said = [abs(claim.apart_mm) for claim in claims if claim.apart_mm]
    if not said:
        return
    step, claimed = float(np.median(np.diff(distances_mm(frames)))), float(np.median(said))
    if abs(step - claimed) > DISTANCE_SHARE * step:
        yield (
            f"The slices lie {step:.2f} mm apart by their positions, which were used; their header says "
            f"{claimed:.2f} mm. Slices are missing, or the positions are wrong: compare the body's "
            "proportions."
        )


def _field(frames: Sequence[Frame]) -> Iterator[str]:
    """Pixel size and gantry of images as the scanner made them; computed ones may keep what it said."""
    first = frames[0]
    if first.image_type[:1] != ("ORIGINAL",) or first.spacing_yx_mm is None or first.orientation is None:
        return
    width = max(n * step for n, step in zip(first.shape_yx, first.spacing_yx_mm, strict=True))
    diameter = first.claims.diameter_mm
    if diameter and abs(diameter - width) > DIAMETER_SHARE * width:
        yield (
            f"The images are {width:.0f} mm wide by their pixel size, which was used; their header says that "
            f"the scanner reconstructed {diameter:.0f} mm. They were cropped, or the pixel size is wrong: "
            "all sizes and volumes follow it."
        )
    tilt = abs(first.claims.tilt_degrees or 0.0)
    row, column = np.reshape(first.orientation, (2, 3))
    normal = np.cross(row, column)
    along = np.subtract(frames[-1].position_lps, first.position_lps)  # type: ignore[arg-type]
    # Leaning slices one above the other, or straight ones of which each lies further to the front or back.
    leaning = [_degrees(normal, axis) for axis in ((0.0, 0.0, 1.0), along) if np.any(axis)]
    if TILT_DEGREES < tilt < 45 and all(angle + TILT_DEGREES < tilt for angle in leaning):
        yield (
            f"The header says that the gantry was tilted by {tilt:.1f} degrees, the slices' places show "
            "nothing of it; they were used. If the tilt is real, the body is sheared and sizes are wrong."
        )


def _degrees(one: ArrayLike, other: ArrayLike) -> float:
    """The angle between two lines."""
    cosine = abs(np.dot(one, other)) / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def claim_notes(frames: Sequence[Frame]) -> Iterator[str]:
    """What is worth knowing and no contradiction."""
    ratios = [claim.lossy[3:] for claim in (frame.claims for frame in frames) if claim.lossy]
    if ratios:
        most = max((number(ratio) or 0.0 for ratio in ratios), default=0.0)
        yield (
            f"{len(ratios)} of {len(frames)} slices were compressed with loss"
            f"{f' (ratio {most:g})' if most else ''}: small differences of density may be gone."
        )
