"""A :class:`CaseResult` saved to a folder and loaded back.

Two files: ``case.json`` with everything that has a name, and an ``.npz`` with the arrays, which the first
names together with its SHA-256. Every save writes an array file of its own first; renaming ``case.json`` into
place is the moment the save happens, so that the folder holds one whole result at any time.

``case.json``, schema version 2 (1 is read too). Coordinates are LPS mm, lengths mm, volumes mL; a number that
does not exist (NaN) is null. Grids are exact; other numbers are rounded far below what can be measured (mm
1e-4, mL 1e-6, HU 1e-3, probabilities and per cent 1e-6).

======================  ===================================================================================
schema, schema_version  "LiverLesionAI case", 2; a reader refuses a higher version
version                 of the library that computed the result
arrays                  file, sha256
case_name               the CT's name
geometry                shape_zyx, spacing_zyx_mm, origin_lps, directions_lps (9 numbers, row-major)
liver                   volume_ml, hu_mean, tumour_burden_percent
liver_mask              array (bits of the cropped mask, z slowest, first bit highest), start_zyx, shape_zyx
gallbladder_mask        as liver_mask; left out where none is seen
reduced_ct              array (uint8), geometry: the CT, coarse, for follow-up; may be left out
lesion_labels           array (uint8 or uint16, cropped), start_zyx, shape_zyx
lesions                 list: number, score, centre_lps, box, measurement, source, status, model_class,
                        class_probabilities, class_reasons, reader_class, note, edited, tracking_uid,
                        class_box, half_width_mm, at_gallbladder (may be left out); fields as in
                        :mod:`.findings`
probabilities           name -> array (uint8), geometry, threshold
attention               list: name, meaning, array (float16), offset, scale (value = offset + scale *
                        stored), geometry, value_range, unit, lesion_number, bars (label -> value; may be
                        left out)
messages, device, models, timings_s
phase                   name, probability, warning; null, or left out, where it was not estimated
anatomy                 geometry, anatomy_vessels and anatomy_segments (arrays, uint8, cropped), landmarks,
                        messages; left out where nobody asked
resection               see :mod:`.resection_json`; left out where none was planned
run                     how it was made, see :mod:`.manifest`; null, or left out, where nobody kept it
======================  ===================================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..support.errors import GeometryError, InputError
from ..support.files import replacing, sha256_of, write_text
from ..support.steps import Steps, finish, slabs
from ..volume.ct import Geometry
from .anatomy_json import describe_anatomy, read_anatomy
from .findings import AttentionMap, CaseResult, ProbabilityMap, ReducedCt
from .manifest import CASE_FILE, RunManifest
from .resection_json import describe_resection, read_resection
from .store_arrays import cropped, on_grid, placed, to_half
from .store_json import (
    Json,
    describe_geometry,
    describe_lesion,
    describe_phase,
    describe_place,
    read_geometry,
    read_lesion,
    read_number,
    read_phase,
    read_place,
    rounded,
)
from .tracking import with_tracking

SCHEMA = "LiverLesionAI case"
SCHEMA_VERSION = 2
ARRAY_FILE_PATTERN = re.compile(r"case-[0-9a-f]{12}\.npz")
# Fast and, on masks, hardly larger than the best.
COMPRESSION_LEVEL = 1
BLOCK_BYTES = 1 << 20
_HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def save_result(result: CaseResult, folder: Path) -> Path:
    """Save a result; the folder is made when missing, and a result that is in it is replaced.

    Attention maps are kept as float16: good to a 2000th of the map's own range.

    Returns:
        The path of ``case.json``.

    Raises:
        OutputError: no space or no permission; a result that was there before is still there.
    """
    folder = Path(folder)
    arrays: dict[str, NDArray[Any]] = {}
    described = _describe(with_tracking(result), arrays)
    # Named by what it holds, so that the same result is the same files; another one never takes its place.
    array_file = folder / f"case-{_digest(arrays)[:12]}.npz"
    was_there = array_file.exists()
    with replacing(array_file) as part:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
            for name, array in arrays.items():
                entry = zipfile.ZipInfo(f"{name}.npy")  # its date is that of no run
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry._compresslevel = COMPRESSION_LEVEL  # type: ignore[attr-defined]
                with archive.open(entry, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        described["arrays"] = {"file": array_file.name, "sha256": sha256_of(part)}
    try:
        write_text(folder / CASE_FILE, json.dumps(described, indent=1, allow_nan=False))
    except BaseException:
        if not was_there:
            with suppress(OSError):
                array_file.unlink()
        raise
    for old in folder.glob("case-*.npz"):
        if old != array_file and ARRAY_FILE_PATTERN.fullmatch(old.name):
            with suppress(OSError):
                old.unlink()
    return folder / CASE_FILE


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load_result(folder: Path) -> CaseResult:
    """Load what :func:`save_result` saved.

    Raises:
        InputError: there is no result, it is damaged, or a newer version wrote it.
    """
    return finish(load_steps(folder))


def load_steps(folder: Path) -> Steps[CaseResult]:
    """:func:`load_result` in steps, for an event loop."""
    folder = Path(folder)
    try:
        text = (folder / CASE_FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            raise InputError(f"{folder}: there is no such case folder. Check the path.") from None
        raise InputError(f"{folder} holds no saved result: there is no {CASE_FILE} in it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(folder / CASE_FILE, error) from error
    try:
        described = json.loads(text)
        if described["schema"] != SCHEMA:
            raise ValueError("not a result of LiverLesionAI")
        version = described["schema_version"]
        if version > SCHEMA_VERSION:
            raise InputError(
                f"{folder / CASE_FILE} was written by a newer LiverLesionAI (format {version}; this one "
                f"reads up to {SCHEMA_VERSION}). Update the extension."
            )
        arrays = yield from _load_arrays(folder, described["arrays"])
        # Version 1 had no tracking UIDs.
        return with_tracking((yield from _restore(described, arrays)))
    except (
        AttributeError,
        EOFError,
        GeometryError,
        IndexError,
        KeyError,
        OSError,
        OverflowError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _damaged(folder / CASE_FILE, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return InputError(
        f"{path} cannot be read ({what}). Analyse the CT again, or restore the folder from a copy."
    )


def _load_arrays(folder: Path, entry: Json) -> Steps[dict[str, NDArray[Any]]]:
    # Only names that save_result gives: a case file from elsewhere must not open other files.
    if not ARRAY_FILE_PATTERN.fullmatch(entry["file"]):
        raise ValueError(f"{entry['file']!r} is no array file's name")
    path = folder / entry["file"]
    if not path.is_file():
        raise ValueError(f"its array file {path.name} is missing")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            yield
    if digest.hexdigest() != entry["sha256"]:
        raise ValueError(f"its array file {path.name} is damaged")
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                arrays[name.removesuffix(".npy")] = yield from _read_array(member)
    return arrays


def _read_array(member: IO[bytes]) -> Steps[NDArray[Any]]:
    """An array in NumPy's own format."""
    version = npy_format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError("an array is of an unknown format")
    shape, fortran_order, dtype = _HEADERS[version](member)
    if dtype.hasobject:
        raise ValueError("an array holds no plain numbers")
    array = np.empty(math.prod(shape), dtype)
    target = memoryview(array.view(np.uint8).reshape(-1))  # type: ignore[arg-type]
    done = 0
    while done < len(target):
        block = member.read(min(BLOCK_BYTES, len(target) - done))
        if not block:
            raise ValueError("an array is cut short")
        target[done : done + len(block)] = block
        done += len(block)
        yield
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)


def _describe(result: CaseResult, arrays: dict[str, NDArray[Any]]) -> Json:
    """The JSON part of a result; its arrays are added to `arrays`."""
    liver, liver_place = cropped(result.liver_zyx)
    labels, labels_place = cropped(result.lesion_labels_zyx)
    arrays["liver"] = np.packbits(liver > 0)
    neighbour: Json = {}
    if result.gallbladder_zyx is not None:
        gallbladder, place = cropped(result.gallbladder_zyx)
        arrays["gallbladder"] = np.packbits(gallbladder > 0)
        neighbour = {"gallbladder_mask": {"array": "gallbladder", **place}}
    arrays["lesions"] = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    probabilities = {}
    for index, (name, probability) in enumerate(result.probabilities.items()):
        array = f"probability_{index}"
        arrays[array] = np.ascontiguousarray(probability.values_zyx, np.uint8)
        probabilities[name] = {
            "array": array,
            "geometry": describe_geometry(probability.geometry),
            "threshold": float(probability.threshold),
        }
    attention = []
    for index, shown in enumerate(result.attention):
        attention.append(_describe_map(shown, f"attention_{index}", arrays))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": result.version,
        "case_name": result.case_name,
        "geometry": describe_geometry(result.geometry),
        "liver": {
            "volume_ml": rounded(result.liver_volume_ml, 6),
            "hu_mean": rounded(result.liver_hu_mean, 3),
            "tumour_burden_percent": rounded(result.tumour_burden_percent, 6),
        },
        "liver_mask": {"array": "liver", **liver_place},
        **neighbour,
        **_describe_reduced(result.reduced_ct, arrays),
        **({} if result.anatomy is None else {"anatomy": describe_anatomy(result.anatomy, arrays)}),
        **({} if result.resection is None else {"resection": describe_resection(result.resection, arrays)}),
        "lesion_labels": {"array": "lesions", **labels_place},
        "lesions": [describe_lesion(lesion) for lesion in result.lesions],
        "doubtful": [describe_place(place) for place in result.doubtful],
        "probabilities": probabilities,
        "attention": attention,
        "messages": list(result.messages),
        "device": result.device,
        "models": dict(result.models),
        "timings_s": {stage: rounded(seconds, 6) for stage, seconds in result.timings_s.items()},
        "phase": describe_phase(result.phase),
        "run": None if result.run is None else result.run.to_json(),
    }


def _describe_reduced(reduced: ReducedCt | None, arrays: dict[str, NDArray[Any]]) -> Json:
    if reduced is None:
        return {}
    arrays["reduced_ct"] = np.ascontiguousarray(reduced.values_zyx, np.uint8)
    return {"reduced_ct": {"array": "reduced_ct", "geometry": describe_geometry(reduced.geometry)}}


def _read_reduced(entry: Json | None, arrays: Mapping[str, NDArray[Any]]) -> ReducedCt | None:
    if entry is None:
        return None
    values = on_grid(arrays[entry["array"]], grid := read_geometry(entry["geometry"]))
    return ReducedCt(values.astype(np.uint8, copy=False), grid)


def _describe_map(shown: AttentionMap, array: str, arrays: dict[str, NDArray[Any]]) -> Json:
    arrays[array], offset, scale = to_half(shown.values_zyx)
    return {
        "name": shown.name,
        "meaning": shown.meaning,
        "array": array,
        "offset": offset,
        "scale": scale,
        "geometry": describe_geometry(shown.geometry),
        "value_range": [rounded(v) for v in shown.value_range],
        "unit": shown.unit,
        "lesion_number": shown.lesion_number,
        "bars": {str(label): rounded(value, 6) for label, value in shown.bars.items()},
    }


def _restore(described: Json, arrays: Mapping[str, NDArray[Any]]) -> Steps[CaseResult]:
    geometry = read_geometry(described["geometry"])
    labels = described["lesion_labels"]
    liver_zyx = yield from _unpacked(described["liver_mask"], arrays, geometry)
    gallbladder_zyx = None
    if "gallbladder_mask" in described:
        gallbladder_zyx = yield from _unpacked(described["gallbladder_mask"], arrays, geometry)
    probabilities = {
        name: ProbabilityMap(
            on_grid(arrays[entry["array"]], grid := read_geometry(entry["geometry"])).astype(
                np.uint8, copy=False
            ),
            grid,
            float(entry["threshold"]),
        )
        for name, entry in described["probabilities"].items()
    }
    attention = []
    for entry in described["attention"]:
        attention.append((yield from _read_map(entry, arrays)))
    whole = described["liver"]
    anatomy = yield from read_anatomy(described.get("anatomy"), arrays)
    resection = yield from read_resection(described.get("resection"), arrays, geometry)
    labels_zyx = yield from placed(arrays[labels["array"]], labels, geometry, np.dtype(np.uint16))
    return CaseResult(
        case_name=str(described["case_name"]),
        geometry=geometry,
        liver_zyx=liver_zyx,
        lesion_labels_zyx=labels_zyx,
        lesions=tuple(read_lesion(entry) for entry in described["lesions"]),
        liver_volume_ml=read_number(whole["volume_ml"]),
        liver_hu_mean=read_number(whole["hu_mean"]),
        tumour_burden_percent=read_number(whole["tumour_burden_percent"]),
        probabilities=probabilities,
        attention=tuple(attention),
        messages=tuple(str(m) for m in described["messages"]),
        device=str(described["device"]),
        models={str(k): str(v) for k, v in described["models"].items()},
        timings_s={str(k): read_number(v) for k, v in described["timings_s"].items()},
        version=str(described["version"]),
        phase=read_phase(described.get("phase")),
        run=None if described.get("run") is None else RunManifest.from_json(described["run"]),
        gallbladder_zyx=gallbladder_zyx,
        reduced_ct=_read_reduced(described.get("reduced_ct"), arrays),
        doubtful=tuple(read_place(entry) for entry in described.get("doubtful", ())),
        anatomy=anatomy,
        resection=resection,
    )


def _unpacked(
    place: Json, arrays: Mapping[str, NDArray[Any]], geometry: Geometry
) -> Steps[NDArray[np.bool_]]:
    """An organ's mask on the whole grid."""
    size, bits = math.prod(place["shape_zyx"]), arrays[place["array"]]
    if size < 0 or bits.ndim != 1 or bits.dtype != np.uint8 or bits.size != (size + 7) // 8:
        raise ValueError("an organ's mask does not have the size it should have")
    mask = np.unpackbits(bits, count=size).view(bool)
    yield
    return (yield from placed(mask.reshape(place["shape_zyx"]), place, geometry, np.dtype(bool)))


def _read_map(entry: Json, arrays: Mapping[str, NDArray[Any]]) -> Steps[AttentionMap]:
    grid = read_geometry(entry["geometry"])
    stored = on_grid(arrays[entry["array"]], grid)
    values = np.empty(stored.shape, np.float32)
    for slab in slabs(stored.shape):
        np.multiply(stored[slab], np.float32(entry["scale"]), out=values[slab], dtype=np.float32)
        values[slab] += np.float32(entry["offset"])
        yield
    low, high = (read_number(v) for v in entry["value_range"])
    number = entry["lesion_number"]
    return AttentionMap(
        str(entry["name"]),
        str(entry["meaning"]),
        values,
        grid,
        (low, high),
        str(entry["unit"]),
        None if number is None else int(number),
        {str(label): read_number(value) for label, value in entry.get("bars", {}).items()},
    )
