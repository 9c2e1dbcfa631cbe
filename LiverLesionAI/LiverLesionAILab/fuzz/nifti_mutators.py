"""Mutations of NIfTI headers, each labelled by what else in the header speaks against it."""

from __future__ import annotations

import gzip

import numpy as np
from numpy.random import Generator

from . import writers
from .mutation import Mutation, Mutator, Sample, with_data, with_fields

REDUNDANT, LENGTH, FORMAT, PLAUSIBLE = "redundant field", "length", "format", "plausibility"
_ODD = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"))
# Bytes of a NIfTI-1 header by what a flipped bit in them can be known by; others mean nothing.
_BYTES1 = (
    (0, 4, FORMAT), (40, 48, LENGTH), (70, 74, LENGTH), (76, 80, REDUNDANT), (80, 92, REDUNDANT),
    (108, 112, LENGTH), (112, 120, ""), (123, 124, PLAUSIBLE), (252, 256, REDUNDANT), (256, 280, REDUNDANT),
    (280, 328, REDUNDANT), (344, 348, FORMAT), (348, 352, FORMAT),
)  # fmt: skip


def _both(sample: Sample) -> bool:
    return bool(sample.fields["qform_code"] and sample.fields["sform_code"])


def _pick(rng: Generator, values: tuple) -> float:
    return values[int(rng.integers(len(values)))]


def dimensions(sample: Sample, rng: Generator) -> Mutation | None:
    """A wrong number of axes or voxels."""
    dim = [3, *sample.fields["values"].shape[::-1], 1, 1, 1, 1]
    axis = int(rng.integers(0, 4))
    wrong = (dim[axis] - 1, dim[axis] + 1, 0, -1, -dim[axis], 2 * dim[axis], int(rng.integers(1, 2**15)))
    value = int(_pick(rng, wrong))
    if value == dim[axis]:
        return None
    evidence = LENGTH
    if axis == 0 and value in (4, 5, 6, 7):
        evidence = ""  # more axes of one value each: the same volume
    dim[axis] = value
    return with_fields(sample, f"dim[{axis}] = {value}", evidence, dim=tuple(dim))


def exchanged(sample: Sample, rng: Generator) -> Mutation | None:
    """Two dimensions change places: the length stays, rows or slices do not continue each other."""
    sizes = list(sample.fields["values"].shape[::-1])
    first, second = (int(v) for v in rng.permutation(3)[:2])
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return with_fields(sample, f"dimensions {sizes}", "consistency", dim=(3, *sizes, 1, 1, 1, 1))


def voxel_type(sample: Sample, rng: Generator) -> Mutation | None:
    """Another type; of the same length only plausibility speaks against it."""
    values = sample.fields["values"]
    sizes = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64}
    sizes.update({32: 64, 128: 24, 0: 0, 1: 1, 9999: 16})  # complex, colours, none
    right = {"i2": 4, "i4": 8, "f4": 16}[values.dtype.str[1:]]
    code = int(_pick(rng, tuple(sizes)))
    if code == right:
        return None
    same = sizes[code] == 8 * values.dtype.itemsize
    bits = sizes[code] if rng.random() < 0.5 else 8 * values.dtype.itemsize
    evidence = PLAUSIBLE if same else LENGTH
    return with_fields(sample, f"datatype = {code}, bitpix = {bits}", evidence, datatype=code, bitpix=bits)


def bits(sample: Sample, rng: Generator) -> Mutation:
    """bitpix beside the right type."""
    value = int(rng.integers(-10, 130))
    found = with_fields(sample, f"bitpix = {value}", REDUNDANT, bitpix=value)
    assert found is not None
    return found


def offset(sample: Sample, rng: Generator) -> Mutation | None:
    """Where the voxels begin."""
    least = 352 if "NIfTI-1" in sample.name else 544
    wrong = (0, 1, least - 1, least + 1, least + 2, least - 16, least + 16, -least, 2**20, 100_000)
    value = int(_pick(rng, wrong))
    return with_fields(sample, f"vox_offset = {value}", LENGTH, vox_offset=value)


def voxel_size(sample: Sample, rng: Generator) -> Mutation | None:
    """pixdim, beside a sform that says otherwise."""
    sizes = [1.0, 3.0, 3.0, 5.0, 0, 0, 0, 0]
    axis = int(rng.integers(0, 4))
    sizes[axis] = float(_pick(rng, (*_ODD, -sizes[axis], 2 * sizes[axis], float(rng.uniform(0.1, 20)))))
    return with_fields(sample, f"pixdim[{axis}] = {sizes[axis]:g}", REDUNDANT, pixdim=tuple(sizes))


def sform(sample: Sample, rng: Generator) -> Mutation | None:
    """Mirrored, stretched, shifted, sheared, swapped or damaged; beside a qform it contradicts."""
    matrix = writers.AxialGrid().sform_ras.copy()
    axis, kind = int(rng.integers(3)), int(rng.integers(6))
    alone = ""
    if kind == 0:
        matrix[:, axis] *= -1
        what = "mirrored"
    elif kind == 1:
        matrix[:, axis] *= rng.uniform(1.2, 3)
        what, alone = "stretched", REDUNDANT  # against pixdim
    elif kind == 2:
        matrix[axis, 3] += rng.uniform(6, 500) * (-1) ** int(rng.integers(2))
        what = "shifted"
    elif kind == 3:
        matrix[axis, (axis + 1) % 3] += rng.uniform(0.5, 3)
        what, alone = "sheared", FORMAT  # straightened, and that is said
    elif kind == 4:
        matrix[int(rng.integers(3)), int(rng.integers(4))] = _pick(rng, _ODD[3:])
        what, alone = "damaged", FORMAT
    else:
        matrix[:, axis] = 0
        what, alone = "without an axis", FORMAT
    evidence = REDUNDANT if _both(sample) else alone
    return with_fields(sample, f"sform {what} (axis {axis})", evidence, srow=matrix)


def qform(sample: Sample, rng: Generator) -> Mutation | None:
    """The quaternion or its offset, beside a sform."""
    if not _both(sample):
        return None
    if rng.random() < 0.5:
        quaternion = rng.uniform(-1.2, 1.2, 3)
        quaternion[int(rng.integers(3))] = _pick(rng, (*_ODD, 0.5, 0.5, 0.5))
        return with_fields(sample, f"quaternion {quaternion}", REDUNDANT, quatern=tuple(quaternion))
    shift = [90.0, 80.0, 20.0]
    axis = int(rng.integers(3))
    shift[axis] = float(_pick(rng, (*_ODD, float(rng.uniform(-500, 500)))))
    return with_fields(sample, f"qoffset {shift}", REDUNDANT, qoffset=tuple(shift))


def codes(sample: Sample, rng: Generator) -> Mutation | None:
    """Which forms there are; both absent loses the position, which the reader has to say."""
    q, s = (int(v) for v in rng.choice([-1, 0, 1, 2, 3, 4, 5, 6, 1000], 2))
    return with_fields(sample, f"codes {q}, {s}", REDUNDANT, qform_code=q, sform_code=s)


def scale(sample: Sample, rng: Generator) -> Mutation | None:
    """scl_slope and scl_inter; what is no number or leaves no CT is known, a small change is not."""
    slope, inter = float(_pick(rng, (*_ODD, 1.0, 1.01, 0.9))), float(_pick(rng, (0.0, 30.0, *_ODD)))
    plain = slope in (1.0, 1.01, 0.9) and abs(inter) < 100
    if slope == 0:
        evidence = REDUNDANT if inter else ""
    else:
        evidence = "" if plain else PLAUSIBLE
    if np.isnan(slope) and np.isnan(inter):
        evidence = ""  # the way of one library to say that there is no scale
    return with_fields(sample, f"scale {slope:g}, {inter:g}", evidence, scl_slope=slope, scl_inter=inter)


def unit(sample: Sample, rng: Generator) -> Mutation | None:
    """xyzt_units: metres and micrometres make no patient."""
    value = int(rng.integers(0, 256))
    evidence = "" if value & 7 in (0, 2) else PLAUSIBLE
    return with_fields(sample, f"xyzt_units = {value}", evidence, xyzt_units=value)


def marks(sample: Sample, rng: Generator) -> Mutation | None:
    """sizeof_hdr, magic, extension."""
    kind = int(rng.integers(3))
    if kind == 0:
        size = int(_pick(rng, (0, 347, 349, 540, 348, -348, 2**31 - 1)))
        return with_fields(sample, f"sizeof_hdr = {size}", FORMAT, sizeof_hdr=size)
    if kind == 1:
        magic = rng.bytes(4) if rng.random() < 0.5 else b"ni1\0"
        return with_fields(sample, f"magic = {magic!r}", FORMAT, magic=magic)
    return with_fields(sample, "an extension of no length", FORMAT, extension=b"\1" + rng.bytes(3))


def header_bits(sample: Sample, rng: Generator) -> Mutation | None:
    """One bit of a NIfTI-1 header anywhere."""
    if "NIfTI-1 little" not in sample.name or not _both(sample):
        return None
    content = sample.files[sample.data_file]
    assert isinstance(content, bytes)
    raw = bytearray(gzip.decompress(content) if sample.packed else content)
    place, bit = int(rng.integers(0, 352)), int(rng.integers(8))
    raw[place] ^= 1 << bit
    evidence = next((why for first, stop, why in _BYTES1 if first <= place < stop), "")
    if place in (349, 350, 351):
        evidence = ""  # reserved
    data = gzip.compress(bytes(raw), 1, mtime=0) if sample.packed else bytes(raw)
    return with_data(sample, data, f"bit {bit} of header byte {place}", evidence)


NIFTI_MUTATORS: tuple[Mutator, ...] = (
    dimensions, exchanged, voxel_type, bits, offset, voxel_size, sform, qform, codes, scale, unit, marks,
    header_bits,
)  # fmt: skip
