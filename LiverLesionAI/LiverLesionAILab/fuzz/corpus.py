"""Sound NIfTI, NRRD and MetaImage files of a small body, in every way that they can be stored."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import writers
from .mutation import Files, Sample

SHAPE_ZYX = (12, 48, 52)


def small_body(shape_zyx: tuple[int, int, int] = SHAPE_ZYX, seed: int = 0) -> NDArray[np.int16]:
    """A body of fat, muscle, liver, lung and spine in air, in Hounsfield units; no symmetry."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape_zyx), indexing="ij")
    hu = np.full(shape_zyx, -1000.0)
    hu[(x / 0.85) ** 2 + (y / 0.6) ** 2 < 1] = -100.0
    hu[(x / 0.75) ** 2 + (y / 0.5) ** 2 < 1] = 50.0
    hu[((x - 0.3) / 0.25) ** 2 + ((y + 0.1) / 0.3) ** 2 + ((z - 1.1) / 0.6) ** 2 < 1] = -850.0
    hu[((x + 0.35) / 0.3) ** 2 + ((y + 0.05) / 0.35) ** 2 + (z / 0.7) ** 2 < 1] = 110.0
    hu[(x / 0.1) ** 2 + ((y - 0.35) / 0.1) ** 2 < 1] = 400.0
    return np.maximum(np.rint(hu + rng.normal(0, 12, shape_zyx)), -1024).astype(np.int16)


def _nifti(name: bytes, packs: bool, version: int, order: str, fields: Mapping[str, Any]) -> Files:
    said = dict(fields)
    raw = writers.nifti(said.pop("values"), None, version, order, **said)
    return {name: gzip.compress(raw, 1, mtime=0) if packs else raw}


def nifti_samples() -> list[Sample]:
    """NIfTI-1 and -2, plain and compressed, both byte orders, whole and real numbers, one form or both."""
    hu = small_body()
    samples = []
    for version, order, dtype, packs, codes in (
        (1, "<", "i2", False, (1, 1)),
        (1, "<", "i2", True, (1, 1)),
        (1, ">", "i2", False, (1, 1)),
        (1, "<", "f4", True, (1, 1)),
        (1, "<", "i2", True, (0, 1)),
        (2, "<", "i2", False, (1, 1)),
        (2, "<", "i4", True, (1, 1)),
    ):
        name = b"ct.nii.gz" if packs else b"ct.nii"
        fields = {"values": hu.astype(dtype), "qform_code": codes[0], "sform_code": codes[1]}
        build = partial(_nifti, name, packs, version, order)
        said = f"NIfTI-{version} {'big' if order == '>' else 'little'} {dtype}{' gzip' if packs else ''}"
        forms = "" if codes == (1, 1) else " without qform"
        at = 0 if packs else (352 if version == 1 else 544)
        samples.append(Sample(said + forms, name, build(fields), name, at, packs, fields, build))
    return samples


def _nrrd(detached: bool, fields: Mapping[str, Any]) -> Files:
    said = dict(fields)
    data = writers.packed(said.pop("values").tobytes(), said["encoding"])
    if not detached:
        return {b"ct.nrrd": writers.nrrd(said, data)}
    return {b"ct.nhdr": writers.nrrd({"data file": "ct.raw", **said}, b""), b"ct.raw": data}


def nrrd_samples() -> list[Sample]:
    """Attached and detached, raw, gzip and bzip2."""
    samples = []
    for encoding, detached, dtype in (
        ("raw", False, "i2"),
        ("gzip", False, "i2"),
        ("bzip2", False, "i2"),
        ("raw", True, "i2"),
        ("gzip", True, "f4"),
    ):
        values = small_body().astype(dtype)
        fields = {**writers.nrrd_fields(values, encoding=encoding), "values": values}
        build = partial(_nrrd, detached)
        files = build(fields)
        name, data = (b"ct.nhdr", b"ct.raw") if detached else (b"ct.nrrd", b"ct.nrrd")
        at = 0 if detached else files[name].index(b"\n\n") + 2  # type: ignore[union-attr]
        packs = encoding != "raw"
        said = f"NRRD {'detached ' if detached else ''}{encoding} {dtype}"
        samples.append(Sample(said, name, files, data, at, packs, fields, build))
    return samples


def _metaimage(detached: bool, packs: bool, fields: Mapping[str, Any]) -> Files:
    said = dict(fields)
    raw = said.pop("values").tobytes()
    data = writers.packed(raw, "zlib") if packs else raw
    if packs and said.get("CompressedDataSize") == "":
        said["CompressedDataSize"] = str(len(data))
    if not detached:
        return {b"ct.mha": writers.metaimage(said, data)}
    head = {**said, "ElementDataFile": "ct.raw"} if said["ElementDataFile"] == "LOCAL" else said
    return {b"ct.mhd": writers.metaimage(head, b""), b"ct.raw": data}


def metaimage_samples() -> list[Sample]:
    """Attached and detached, raw and compressed."""
    samples = []
    for packs, detached, dtype in (
        (False, False, "i2"),
        (True, False, "i2"),
        (False, True, "i2"),
        (True, True, "f4"),
    ):
        values = small_body().astype(dtype)
        fields = {**writers.metaimage_fields(values, compressed=int(packs)), "values": values}
        if packs:
            fields["CompressedDataSize"] = ""
        build = partial(_metaimage, detached, packs)
        files = build(fields)
        name, data = (b"ct.mhd", b"ct.raw") if detached else (b"ct.mha", b"ct.mha")
        at = 0 if detached else files[name].index(b"LOCAL\n") + 6  # type: ignore[union-attr]
        said = f"MetaImage {'detached ' if detached else ''}{'zlib' if packs else 'raw'} {dtype}"
        samples.append(Sample(said, name, files, data, at, packs, fields, build))
    return samples
