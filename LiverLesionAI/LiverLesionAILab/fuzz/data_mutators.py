"""Mutations of stored bytes and of voxels, for any format."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.random import Generator

from .mutation import Mutation, Mutator, Sample, with_data, with_fields

CHECKSUM, LENGTH, PLAUSIBLE = "checksum", "length", "plausibility"


def _parts(sample: Sample) -> tuple[bytes, bytes]:
    """(what stands before the voxels, the stored voxels)."""
    content = sample.files[sample.data_file]
    assert isinstance(content, bytes)
    return content[: sample.data_at], content[sample.data_at :]


def _evidence(sample: Sample) -> str:
    return CHECKSUM if sample.packed else ""


def flip_bits(sample: Sample, rng: Generator) -> Mutation:
    """One to eight bits."""
    head, data = _parts(sample)
    changed, count = bytearray(data), int(rng.integers(1, 9))
    places = rng.integers(0, len(data), count)
    for place in places:
        changed[place] ^= 1 << int(rng.integers(8))
    what = f"{count} bits flipped in the stored voxels, the first at {places[0]}"
    return with_data(sample, head + bytes(changed), what, _evidence(sample))


def overwrite(sample: Sample, rng: Generator) -> Mutation:
    """A block of noise or zeros in place of what was there."""
    head, data = _parts(sample)
    count = int(rng.integers(1, 2000))
    at = int(rng.integers(0, len(data)))
    block = bytes(count) if rng.random() < 0.5 else rng.bytes(count)
    changed = (data[:at] + block + data[at + count :])[: len(data)]
    return with_data(sample, head + changed, f"{count} stored bytes overwritten at {at}", _evidence(sample))


def swap_blocks(sample: Sample, rng: Generator) -> Mutation:
    """Two blocks change places; every byte and the length stay."""
    head, data = _parts(sample)
    count = int(rng.integers(64, len(data) // 4))
    first = int(rng.integers(0, len(data) - 2 * count))
    second = int(rng.integers(first + count, len(data) - count + 1))
    a, b = data[first : first + count], data[second : second + count]
    changed = data[:first] + b + data[first + count : second] + a + data[second + count :]
    return with_data(sample, head + changed, f"{count} stored bytes exchanged", _evidence(sample))


def cut(sample: Sample, rng: Generator) -> Mutation:
    """The end is missing: a byte, or nearly all."""
    head, data = _parts(sample)
    lost = int(min(len(data), 2 ** rng.uniform(0, np.log2(len(data)))))
    return with_data(sample, head + data[: len(data) - lost], f"the last {lost} bytes are missing", LENGTH)


def remove(sample: Sample, rng: Generator) -> Mutation:
    """Bytes are lost somewhere."""
    head, data = _parts(sample)
    count, at = int(rng.integers(1, 3000)), int(rng.integers(0, len(data) - 1))
    return with_data(sample, head + data[:at] + data[at + count :], f"{count} bytes lost at {at}", LENGTH)


def insert(sample: Sample, rng: Generator) -> Mutation:
    """Bytes too many somewhere."""
    head, data = _parts(sample)
    count, at = int(rng.integers(1, 3000)), int(rng.integers(0, len(data) + 1))
    return with_data(
        sample, head + data[:at] + rng.bytes(count) + data[at:], f"{count} bytes inserted at {at}", LENGTH
    )


def append(sample: Sample, rng: Generator) -> Mutation:
    """Zeros, noise, a part of itself or a compressed stream after the end."""
    head, data = _parts(sample)
    count = int(2 ** rng.uniform(0, 14))
    tail = (bytes(count), rng.bytes(count), data[:count], zlib.compress(bytes(count)))[int(rng.integers(4))]
    return with_data(sample, head + data + tail, f"{len(tail)} bytes appended", LENGTH)


def slip(sample: Sample, rng: Generator) -> Mutation:
    """Bytes inserted at one place and as many lost at another: the length stays."""
    head, data = _parts(sample)
    count = int(rng.integers(1, 500))
    at, lost = sorted(int(v) for v in rng.integers(0, len(data) - count, 2))
    changed = data[:at] + rng.bytes(count) + data[at:lost] + data[lost + count :]
    return with_data(
        sample, head + changed, f"{count} bytes slipped between {at} and {lost}", _evidence(sample)
    )


def trailer(sample: Sample, rng: Generator) -> Mutation | None:
    """The last bytes, where checksums and lengths stand."""
    if not sample.packed:
        return None
    head, data = _parts(sample)
    changed = bytearray(data)
    place = len(data) - 1 - int(rng.integers(0, 8))
    changed[place] ^= int(rng.integers(1, 256))
    return with_data(
        sample, head + bytes(changed), f"byte {place - len(data)} from the end changed", CHECKSUM
    )


def other_voxels(sample: Sample, rng: Generator) -> Mutation | None:
    """Soundly stored, but no CT, or another number of voxels than the header says."""
    values = sample.fields.get("values")
    if values is None:
        return None
    floats = values.dtype.kind == "f"
    kinds = ["empty", "noise", "normalised", "labels", "inverted", "slice lost", "slice doubled"]
    if floats:
        kinds.append("not a number")
    else:
        kinds.append("byte order")
    kind = kinds[int(rng.integers(len(kinds)))]
    evidence, changed = PLAUSIBLE, values.copy()
    if kind == "empty":
        changed[:] = int(rng.integers(-1000, 1000))
    elif kind == "noise":
        changed = rng.integers(-30000, 30000, values.shape).astype(values.dtype)
    elif kind == "normalised":
        changed = ((values.astype(float) + 1024) / (1 if not floats else 3000) % 256).astype(values.dtype)
    elif kind == "labels":
        changed = (values > 80).astype(values.dtype)
    elif kind == "inverted":
        changed = (-values.astype(float)).astype(values.dtype)
    elif kind == "not a number":
        changed[tuple(int(rng.integers(n)) for n in values.shape)] = (np.nan, np.inf)[int(rng.integers(2))]
    elif kind == "byte order":
        changed = values.byteswap()
    else:
        evidence = LENGTH
        at = int(rng.integers(len(values)))
        changed = np.delete(values, at, 0) if kind == "slice lost" else np.insert(values, at, values[at], 0)
        # The header keeps its sizes.
        return _with_voxels(sample, np.ascontiguousarray(changed), f"voxels: {kind}", evidence)
    return with_fields(sample, f"voxels: {kind}", evidence, values=changed)


def _with_voxels(sample: Sample, values: np.ndarray, what: str, evidence: str) -> Mutation | None:
    fields = dict(sample.fields)
    shape = fields["values"].shape
    if "sizes" in fields or "DimSize" in fields:
        return with_fields(sample, what, evidence, values=values)
    return with_fields(sample, what, evidence, values=values, dim=(3, *shape[::-1], 1, 1, 1, 1))


DATA_MUTATORS: tuple[Mutator, ...] = (
    flip_bits, overwrite, swap_blocks, cut, remove, insert, append, slip, trailer, other_voxels,
)  # fmt: skip
