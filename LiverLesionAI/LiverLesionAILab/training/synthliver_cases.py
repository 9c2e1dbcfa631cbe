"""SynthLiver-1's scans as training sees them: networks are compared on one set from training to test."""

from __future__ import annotations

from pathlib import Path

from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import TrainingCase, cached, crop_to_liver, prepare
from ..data.scan import Scan
from ..data.synthliver import find_synthliver

VERSION = 1


def synthliver_cases(
    folder: Path,
    split: str,
    cache: Path,
    spacing_zyx_mm: tuple[float, float, float],
    margin_mm: float | None,
    progress: Progress = silent,
) -> list[TrainingCase]:
    """The scans of a split on a training grid, through the cache; each is a patient of its own, kind "real".

    Args:
        folder: of the set.
        split: "train", "validation" or "test".
        margin_mm: around the liver's box; None keeps whole slices.

    Raises:
        InputError: no such split, or a scan is missing or damaged.
    """
    cases = []
    scans = find_synthliver(folder, split)
    for number, scan in enumerate(scans):
        progress(f"reading {scan.name}", number / len(scans))
        # Another making of the set under the same name has files of another size.
        size = scan.ct_path.stat().st_size + scan.label_path.stat().st_size
        settings = {
            "name": scan.name,
            "set": scan.data_set,
            "spacing": list(spacing_zyx_mm),
            "margin": margin_mm,
            "size": size,
            "version": VERSION,
        }
        cases.append(cached(cache, settings, lambda scan=scan: _case(scan, spacing_zyx_mm, margin_mm)))
    return cases


def _case(scan: Scan, spacing_zyx_mm: tuple[float, float, float], margin_mm: float | None) -> TrainingCase:
    read = scan.read()
    case = prepare(read.ct, read.labels_zyx, spacing_zyx_mm, scan.name, scan.patient)
    return crop_to_liver(case, margin_mm) if margin_mm is not None else case
