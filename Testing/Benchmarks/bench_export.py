"""How long and how large a DICOM SEG of a long CT is, beside a compressed NRRD of the same labels.

Run: ``python Testing/Benchmarks/bench_export.py [--slices 600] [--lesions 20]``. A liver-like ellipsoid of
512 x 512 columns with balls in it; prints seconds of the SEG, its ratio to SimpleITK's NRRD, megabytes of the
file, and by how much the process grew at most; then the size of the same deflated, and the frames.

The aim: 25 MB and 20 s for 600 slices with 20 lesions. A native SEG of 512 x 512 takes 32 768 bytes for every
slice of every segment, so 25 MB hold 762 of them. The balls here have 12 to 50 mm on slices of 1 mm.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.content import DicomContent, Region
from LiverLesionAILib.writing.dicom.from_case import ALTERED, ANATOMY, LESION, LIVER
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.uids import uid_of
from LiverLesionAILib.writing.export import save_object

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def ball(shape: tuple[int, int, int], centre: np.ndarray, radii: np.ndarray) -> Mask:
    """An ellipsoid, in the box that holds it."""
    low = np.maximum(0, np.floor(centre - radii)).astype(int)
    high = np.minimum(shape, np.ceil(centre + radii) + 1).astype(int)
    axes = np.meshgrid(*map(np.arange, low, high), indexing="ij", sparse=True)
    inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radii, strict=True)) < 1
    return Mask(inside, tuple(int(v) for v in low))


def make_content(slices: int, lesions: int) -> tuple[DicomContent, np.ndarray]:
    """The content, and the same as one label array."""
    shape = (slices, 512, 512)
    geometry = Geometry.make(shape, (1.0, 0.75, 0.75))
    middle, radii = np.array((slices / 2, 250, 200)), np.array((slices / 5, 130, 150))
    labels = np.zeros(shape, np.uint8)
    liver = ball(shape, middle, radii)
    labels[liver.slices] = liver.voxels_zyx
    regions = [Region("Liver", liver, ANATOMY, LIVER, (), uid_of("liver"))]
    rng = np.random.default_rng(1)
    for number in range(1, lesions + 1):
        centre = middle + rng.uniform(-0.6, 0.6, 3) * radii
        mask = ball(shape, centre, np.full(3, rng.uniform(6, 25)))
        labels[mask.slices][mask.voxels_zyx] = number + 1
        regions.append(Region(f"Lesion {number}", mask, ALTERED, LESION, (LIVER,), uid_of(number)))
    source = DicomSource(
        tuple(DicomSlice(CT_IMAGE, f"1.2.3.4.{z + 1}") for z in range(slices)),
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        frame_of_reference_uid="1.2.3.5",
        modality="CT",
    )
    return DicomContent(source, geometry, tuple(regions)), labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--lesions", type=int, default=20)
    args = parser.parse_args()
    content, labels = make_content(args.slices, args.lesions)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        sitk.WriteImage(
            sitk.GetImageFromArray(labels), str(Path(folder) / "labels.nrrd"), useCompression=True
        )
        nrrd_s = time.perf_counter() - started
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        seg = segmentation(content)
        path = save_object(seg, Path(folder) / "SEG.dcm")
        seg_s = time.perf_counter() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"SEG {seg_s:.1f} s ({seg_s / nrrd_s:.1f} x a compressed NRRD), ", end="")
        print(f"{path.stat().st_size / 1e6:.1f} MB, memory + {grown:.0f} MB")
        deflated = save_object(segmentation(content, deflate=True), Path(folder) / "deflated.dcm")
        print(f"{seg.NumberOfFrames} frames; deflated {deflated.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
