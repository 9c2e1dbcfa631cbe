"""Mutations of DICOM elements, frames and folders, each labelled by what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pydicom
from numpy.random import Generator
from pydicom.dataset import Dataset

from .dicom_corpus import dataset_in, file_of
from .mutation import Mutation, Mutator, Sample, Special

LENGTH, FORMAT, CONSISTENT, REDUNDANT = "length", "format", "consistency", "redundant field"

SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.100", "1.2.3.4",
)  # fmt: skip
# Values for one slice of many, by what gives them away; "" where the volume may change unnoticed.
_ONE_SLICE: tuple[tuple[str, Any, str], ...] = (
    *(("Rows", v, LENGTH) for v in (0, 1, 47, 49, 96, 65535)),
    *(("Columns", v, LENGTH) for v in (0, 1, 51, 53, 104, 65535)),
    *(("BitsAllocated", v, LENGTH) for v in (0, 1, 8, 12, 32, 64)),
    *(("BitsStored", v, REDUNDANT) for v in (0, 1, 8, 16, 17)),
    *(("HighBit", v, REDUNDANT) for v in (7, 10, 15, 40)),
    ("PixelRepresentation", 1, CONSISTENT),
    *(("SamplesPerPixel", v, LENGTH) for v in (0, 2, 3)),
    *(("PhotometricInterpretation", v, CONSISTENT) for v in ("MONOCHROME1", "RGB", "PALETTE COLOR")),
    *(("NumberOfFrames", v, LENGTH) for v in ("0", "-1", "2", "1000000", "1.5")),
    *(("RescaleSlope", v, CONSISTENT) for v in ("", "0", "2", "-1", "1e10", "1e-9", None)),
    *(("RescaleIntercept", v, CONSISTENT) for v in ("", "0", "-2024", "1e9", None)),
    *(("PixelSpacing", v, CONSISTENT) for v in ([2, 2], [3, 6], [0, 0], [-4, -4], [4], [1e9, 1e9], None)),
    *(("ImagePositionPatient", v, CONSISTENT) for v in ([0, 0], [1e9, 0, 0], [-100, -90, 1e6], None)),
    *(("ImageOrientationPatient", v, CONSISTENT) for v in ([1, 0, 0, 0, -1, 0], [0, 1, 0, 0, 0, 1], None)),
    *(("ImageOrientationPatient", v, CONSISTENT) for v in ([0] * 6, [2, 0, 0, 0, 2, 0], [1, 0, 0, 1, 0, 0])),
    ("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], CONSISTENT),
    ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", CONSISTENT),
    ("SeriesInstanceUID", "1.2.3.9", CONSISTENT),
    ("PatientID", "P2", CONSISTENT),
    ("PixelPaddingValue", 1074, ""),
    ("InstanceNumber", 999, ""),
    ("SliceLocation", -4000, ""),
    ("AcquisitionNumber", 7, ""),
    ("AcquisitionTime", "nonsense", ""),
    ("ContentTime", "999999", ""),
    ("Modality", "MR", ""),
    ("SpecificCharacterSet", "ISO_IR 999", ""),
)  # fmt: skip
# For all slices alike: only what contradicts the stored pixels or DICOM itself.
_ALL_SLICES: tuple[tuple[str, Any, str], ...] = (
    *(("Rows", v, LENGTH) for v in (0, 47, 49, 96)),
    *(("BitsAllocated", v, LENGTH) for v in (0, 8, 32)),
    *(("BitsStored", v, REDUNDANT) for v in (0, 1, 8, 17)),
    ("PhotometricInterpretation", "MONOCHROME1", REDUNDANT),
    *(("RescaleSlope", v, FORMAT) for v in ("", "0", None)),
    *(("PixelSpacing", v, FORMAT) for v in ([0, 0], [-4, -4], [4], None)),
    *(("ImageOrientationPatient", v, FORMAT) for v in ([0] * 6, [2, 0, 0, 0, 2, 0], [1, 0, 0, 1, 0, 0])),
    *(("PixelSpacing", v, "") for v in ([2, 2], [3, 2])),
    *(("RescaleIntercept", v, "") for v in ("0", "-2024")),
    ("ImageOrientationPatient", [1, 0, 0, 0, -1, 0], ""),
    ("SeriesDescription", "\\..\\/" + 40 * "x", ""),
)  # fmt: skip


def _is_series(sample: Sample) -> bool:
    return sample.opened == b""


def _pick(rng: Generator, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _set(dataset: Dataset, keyword: str, value: Any) -> None:
    if value is None:
        if keyword in dataset:
            delattr(dataset, keyword)
        return
    known = pydicom.datadict.dictionary_VR(keyword)
    element = pydicom.DataElement(
        keyword, "US" if known == "US or SS" else known, None, already_converted=True
    )
    # As the bytes would be read, without the checks for those who write.
    element._value = (
        value if not isinstance(value, (int, float)) or known in ("US", "US or SS") else str(value)
    )
    dataset[keyword] = element


def _changed(content: bytes | Special, change: Callable[[Dataset], Any]) -> bytes:
    assert isinstance(content, bytes)
    dataset = dataset_in(content)
    with pydicom.config.disable_value_validation():
        change(dataset)
        return file_of(dataset)


def _mutation(sample: Sample, what: str, evidence: str, files: Mapping[bytes, bytes | Special]) -> Mutation:
    return Mutation(what, evidence, files, sample.opened)


def one_slice(sample: Sample, rng: Generator) -> Mutation | None:
    """An element of one slice says something else than those of the others."""
    if not _is_series(sample):
        return None
    name = _pick(rng, sorted(sample.files))
    keyword, value, evidence = _pick(rng, _ONE_SLICE)
    files = {**sample.files, name: _changed(sample.files[name], lambda d: _set(d, keyword, value))}
    return _mutation(sample, f"{keyword} = {value!r} in {name.decode()}", evidence, files)


def all_slices(sample: Sample, rng: Generator) -> Mutation | None:
    """The same wrong element everywhere."""
    if not _is_series(sample):
        return None
    keyword, value, evidence = _pick(rng, _ALL_SLICES)
    files = {n: _changed(c, lambda d: _set(d, keyword, value)) for n, c in sample.files.items()}
    return _mutation(sample, f"{keyword} = {value!r} in all slices", evidence, files)


def moved(sample: Sample, rng: Generator) -> Mutation | None:
    """A slice lies elsewhere, or two exchange their positions."""
    if not _is_series(sample):
        return None
    first, second = (sorted(sample.files)[int(k)] for k in rng.permutation(len(sample.files))[:2])
    files = dict(sample.files)
    if rng.random() < 0.5:
        a, b = (dataset_in(files[n]).ImagePositionPatient for n in (first, second))  # type: ignore[arg-type]
        files[first] = _changed(files[first], lambda d: _set(d, "ImagePositionPatient", list(b)))
        files[second] = _changed(files[second], lambda d: _set(d, "ImagePositionPatient", list(a)))
        return _mutation(sample, f"positions of {first!r} and {second!r} exchanged", REDUNDANT, files)
    by = [0.0, 0.0, 0.0]
    by[int(rng.integers(3))] = float(_pick(rng, (-60.0, -7.0, 5.5, 25.0, 100.0)))

    def change(dataset: Dataset) -> None:
        position = [float(v) + shift for v, shift in zip(dataset.ImagePositionPatient, by, strict=True)]
        _set(dataset, "ImagePositionPatient", position)

    files[first] = _changed(files[first], change)
    return _mutation(sample, f"{first!r} moved by {by} mm", REDUNDANT, files)


def dropped(sample: Sample, rng: Generator) -> Mutation | None:
    """Slices are gone: within the scan, every second, or at an end."""
    if not _is_series(sample):
        return None
    ordered = sorted(sample.files, key=lambda n: int(dataset_in(sample.files[n]).InstanceNumber))  # type: ignore[arg-type]
    kind = _pick(rng, ("within", "every second", "end"))
    if kind == "within":
        gone = {ordered[int(k)] for k in rng.integers(1, len(ordered) - 1, int(rng.integers(1, 3)))}
    else:
        gone = set(ordered[1::2]) if kind == "every second" else {ordered[0]}
    files = {n: c for n, c in sample.files.items() if n not in gone}
    return _mutation(sample, f"slices gone: {kind}", "" if kind == "end" else CONSISTENT, files)


def copied(sample: Sample, rng: Generator) -> Mutation | None:
    """A file is there twice, the same or with other pixels; or one is empty, cut or no DICOM."""
    if not _is_series(sample):
        return None
    name = _pick(rng, sorted(sample.files))
    content = sample.files[name]
    assert isinstance(content, bytes)
    kind = _pick(rng, ("same", "other pixels", "empty", "cut", "noise", "folder", "pipe"))
    files = dict(sample.files)
    if kind == "same":
        files[b"copy.dcm"] = content
    elif kind == "other pixels":
        other = _pick(rng, [n for n in sorted(sample.files) if n != name])
        theirs = dataset_in(sample.files[other])  # type: ignore[arg-type]
        files[b"zcopy.dcm"] = _changed(content, lambda d: setattr(d, "PixelData", theirs.PixelData))
    else:
        files[name] = {
            "empty": b"",
            "cut": content[: int(rng.integers(1, len(content) - 1))],
            "noise": rng.bytes(len(content)),
            "folder": Special.FOLDER,
            "pipe": Special.PIPE,
        }[kind]
    return _mutation(sample, f"{name!r}: {kind}", "" if kind == "same" else CONSISTENT, files)


def second_scan(sample: Sample, rng: Generator) -> Mutation | None:
    """Another phase in the same series, between the slices or on them, told apart by one element."""
    if not _is_series(sample):
        return None
    shift = float(_pick(rng, (0.0, 0.3, 1.0, 4.5, 31.5)))
    keyword, value = _pick(
        rng,
        (
            ("AcquisitionNumber", 2),
            ("ConvolutionKernel", "B70f"),
            ("TemporalPositionIdentifier", 2),
            ("KVP", 80),
        ),
    )
    files = dict(sample.files)
    for name, content in sample.files.items():

        def change(dataset: Dataset) -> None:
            x, y, z = (float(v) for v in dataset.ImagePositionPatient)
            _set(dataset, "ImagePositionPatient", [x, y, z + shift])
            _set(dataset, "SliceLocation", float(dataset.SliceLocation) + shift)
            _set(dataset, "SOPInstanceUID", f"{dataset.SOPInstanceUID}.9")
            _set(dataset, keyword, value)
            _set(dataset, "RescaleIntercept", -1000)

        files[b"second" + name] = _changed(content, change)
    return _mutation(sample, f"a second scan {shift} mm off with {keyword} {value}", REDUNDANT, files)


def frames(sample: Sample, rng: Generator) -> Mutation | None:
    """Functional groups of an enhanced file that do not fit its frames."""
    if _is_series(sample):
        return None
    kind = _pick(
        rng, ("count", "item gone", "item twice", "position gone", "position", "spacing gone", "empty")
    )
    evidence = REDUNDANT

    def change(dataset: Dataset) -> None:
        groups = dataset.PerFrameFunctionalGroupsSequence
        k = int(rng.integers(1, len(groups) - 1))
        if kind == "count":
            _set(dataset, "NumberOfFrames", str(_pick(rng, (0, -3, 1, 11, 13, 24, 10**6, 10**9))))
        elif kind == "item gone":
            del groups[k]
        elif kind == "item twice":
            groups.insert(k, groups[k])
        elif kind == "position gone":
            del groups[k].PlanePositionSequence
        elif kind == "position":
            groups[k].PlanePositionSequence[0].ImagePositionPatient = [
                0,
                0,
                float(rng.integers(-400, 400)) + 0.5,
            ]
        elif kind == "spacing gone":
            del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
        else:
            dataset.PerFrameFunctionalGroupsSequence = []

    return _mutation(
        sample,
        f"frames: {kind}",
        evidence,
        {sample.data_file: _changed(sample.files[sample.data_file], change)},
    )


def syntax(sample: Sample, rng: Generator) -> Mutation:
    """The file says that it is encoded in another way than it is."""
    content = sample.files[sample.data_file]
    assert isinstance(content, bytes)
    now = str(dataset_in(content).file_meta.TransferSyntaxUID)
    other = _pick(rng, [u for u in SYNTAXES if u != now])
    start = content.index(now.encode()) - 8
    length = int.from_bytes(content[start + 6 : start + 8], "little")
    padded = other.encode() + b"\0" * (len(other) % 2)
    head = content[:start] + content[start : start + 6] + len(padded).to_bytes(2, "little") + padded
    grown = len(padded) - length
    whole = bytearray(head + content[start + 8 + length :])
    whole[140:144] = (int.from_bytes(content[140:144], "little") + grown).to_bytes(4, "little")
    files = {**sample.files, sample.data_file: bytes(whole)}
    return _mutation(sample, f"transfer syntax {other} for {now}", FORMAT, files)


def header_bits(sample: Sample, rng: Generator) -> Mutation:
    """Bits anywhere in a header; what it means is not known beforehand."""
    content = sample.files[sample.data_file]
    assert isinstance(content, bytes)
    changed = bytearray(content)
    places = rng.integers(128, max(129, sample.data_at), int(rng.integers(1, 6)))
    for place in places:
        changed[place] ^= 1 << int(rng.integers(8))
    files = {**sample.files, sample.data_file: bytes(changed)}
    return _mutation(sample, f"bits of the header flipped, the first at {places[0]}", "", files)


DICOM_MUTATORS: tuple[Mutator, ...] = (
    one_slice, one_slice, one_slice, all_slices, moved, dropped, copied, second_scan, frames, frames, syntax,
    header_bits, header_bits,
)  # fmt: skip
