"""Mutations of NRRD and MetaImage headers, field by field and character by character."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.random import Generator

from .mutation import Mutation, Mutator, Sample, with_fields

FORMAT, LENGTH, REDUNDANT, PLAUSIBLE, MISSING = (
    "format", "length", "redundant field", "plausibility", "missing field",
)  # fmt: skip
# What a wrong value of a field can be known by, where it is still a value of that field.
_FIELDS: Mapping[str, str] = {
    "type": LENGTH,
    "dimension": FORMAT,
    "sizes": LENGTH,
    "kinds": FORMAT,
    "encoding": FORMAT,
    "endian": PLAUSIBLE,
    "NDims": FORMAT,
    "BinaryData": FORMAT,
    "BinaryDataByteOrderMSB": PLAUSIBLE,
    "CompressedData": FORMAT,
    "CompressedDataSize": LENGTH,
    "TransformMatrix": REDUNDANT,
    "CenterOfRotation": REDUNDANT,
    "AnatomicalOrientation": REDUNDANT,
    "DimSize": LENGTH,
    "ElementType": LENGTH,
    "ObjectType": FORMAT,
    "ElementDataFile": FORMAT,
    # Nothing else in these files speaks against another position, size or axis.
    "space": "",
    "space directions": "",
    "space origin": "",
    "Offset": "",
    "ElementSpacing": "",
}
# Odd values by field, each with what it can be known by.
_VALUES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "type": (("int8", LENGTH), ("uint16", PLAUSIBLE), ("float", LENGTH), ("block", FORMAT), ("", FORMAT)),
    "dimension": (("2", FORMAT), ("4", FORMAT), ("-1", FORMAT), ("1e9", FORMAT), ("3.5", FORMAT)),
    "sizes": (
        ("52 48 11", LENGTH),
        ("48 52 12", "consistency"),
        ("12 48 52", "consistency"),
        ("51 48 12", LENGTH),
        ("52 48 13", LENGTH),
        ("-52 48 12", FORMAT),
        ("52 48", FORMAT),
        ("999999999 999999999 12", LENGTH),
        ("0 0 0", FORMAT),
        ("52,0 48,0 12,0", FORMAT),
    ),
    "kinds": (("domain domain", FORMAT), ("vector domain domain", FORMAT), ("list domain domain", FORMAT)),
    "encoding": (("gz", FORMAT), ("raw", FORMAT), ("hex", FORMAT), ("ascii", FORMAT), ("zip", FORMAT)),
    "endian": (("big", PLAUSIBLE), ("middle", FORMAT)),
    "space": (("", MISSING), ("up", FORMAT), ("scanner-xyz", MISSING), ("RAST", FORMAT)),
    "space directions": (
        ("(3,0,0) (0,3,0)", FORMAT),
        ("(3,0,0) (0,3,0) (0,0,0)", FORMAT),
        ("(3,0,0) (0,3,0) (0,0,nan)", FORMAT),
        ("(3,0,0) (3,0,0) (0,0,5)", FORMAT),
        ("(3,0,0) (0,3,0) (0,1.5,5)", FORMAT),
        ("none none none", FORMAT),
        ("(3;0;0) (0;3;0) (0;0;5)", FORMAT),
        ("(300,0,0) (0,3,0) (0,0,5)", PLAUSIBLE),
        ("((((", FORMAT),
    ),
    "space origin": (("(1,2)", FORMAT), ("(inf,0,0)", FORMAT), ("none", FORMAT), ("", FORMAT)),
    "NDims": (("-1", FORMAT), ("0", FORMAT), ("2", FORMAT), ("4", FORMAT), ("4000000000", FORMAT)),
    "DimSize": (
        ("48 52 12", "consistency"),
        ("52 12 48", "consistency"),
        ("52 48 11", LENGTH),
        ("52 48 13", LENGTH),
        ("-1 -1 -1", FORMAT),
        ("52 48", FORMAT),
        ("1e9 1e9 1", LENGTH),
    ),
    "ElementType": (
        ("MET_CHAR", LENGTH),
        ("MET_DOUBLE", LENGTH),
        ("MET_USHORT", PLAUSIBLE),
        ("MET_X", FORMAT),
    ),
    "ElementSpacing": (
        ("3 3 0", FORMAT),
        ("3 3 -5", FORMAT),
        ("3 3", FORMAT),
        ("3,0 3,0 5,0", FORMAT),
        ("300 3 5", PLAUSIBLE),
        ("nan 3 5", FORMAT),
    ),
    "TransformMatrix": (
        ("-1 0 0 0 1 0 0 0 1", REDUNDANT),
        ("2 0 0 0 1 0 0 0 1", REDUNDANT),
        ("1 0 0 0 1 0", FORMAT),
        ("0 1 0 1 0 0 0 0 1", REDUNDANT),
        ("1 0 0 0 1 0 0 0.3 0.95", REDUNDANT),
        ("0 0 0 0 0 0 0 0 0", FORMAT),
    ),
    "Offset": (("inf 0 0", FORMAT), ("1 2", FORMAT), ("a b c", FORMAT)),
    "BinaryData": (("False", FORMAT), ("Maybe", FORMAT)),
    "CompressedData": (("True", FORMAT), ("False", FORMAT)),
    "CompressedDataSize": (("1", LENGTH), ("-5", FORMAT), ("99999999", LENGTH)),
    "AnatomicalOrientation": (("LPS", REDUNDANT), ("ASL", REDUNDANT)),
    "BinaryDataByteOrderMSB": (("True", PLAUSIBLE),),
    "ElementDataFile": (
        ("LIST", FORMAT),
        ("%s%s%n.raw", FORMAT),
        ("gone.raw", FORMAT),
        ("", FORMAT),
        ("x" * 5000, FORMAT),
        ("ct.raw %d 1 9 1", FORMAT),
        (".", FORMAT),
    ),
}
_EXTRA = (
    ("byte skip", "-1", ""),
    ("byte skip", "7", LENGTH),
    ("line skip", "3", LENGTH),
    ("spacings", "3 3 2", REDUNDANT),
    ("HeaderSize", "13", LENGTH),
    ("ElementNumberOfChannels", "2", LENGTH),
    ("ElementSize", "3 3 2", REDUNDANT),
    ("data file", "x%s", FORMAT),
    ("data file", "gone", FORMAT),
    ("sizes", "1 1 1", REDUNDANT),
    ("NDims", "4", REDUNDANT),
    ("comment", "nothing", ""),
    ("space units", '"in" "in" "in"', FORMAT),
)


def _names(sample: Sample) -> list[str]:
    return [name for name in sample.fields if name != "values"]


def odd_value(sample: Sample, rng: Generator) -> Mutation | None:
    """A value that people and programs have written."""
    names = [name for name in _names(sample) if name in _VALUES]
    name = names[int(rng.integers(len(names)))]
    value, evidence = _VALUES[name][int(rng.integers(len(_VALUES[name])))]
    if sample.fields[name] == value:
        return None
    return with_fields(sample, f"{name}: {value[:60]}", evidence, **{name: value})


def left_out(sample: Sample, rng: Generator) -> Mutation | None:
    """A field is missing; what it said has to be said by the reader, or changes nothing."""
    names = _names(sample)
    name = names[int(rng.integers(len(names)))]
    if name == "ElementDataFile" and sample.opened.endswith(b"mhd"):
        return None
    return with_fields(sample, f"no {name}", MISSING, **{name: None})


def one_more(sample: Sample, rng: Generator) -> Mutation | None:
    """A field of the format that the sample does not have, or one for the second time."""
    name, value, evidence = _EXTRA[int(rng.integers(len(_EXTRA)))]
    nrrd = "sizes" in sample.fields
    if nrrd != (name.islower() or name == "comment"):
        return None
    content = sample.files[sample.opened]
    assert isinstance(content, bytes)
    line = f"{name}{': ' if nrrd else ' = '}{value}\n".encode()
    at = content.index(b"\n") + 1
    files = {**sample.files, sample.opened: content[:at] + line + content[at:]}
    return Mutation(f"one more field {name}: {value}", evidence, files, sample.opened)


def characters(sample: Sample, rng: Generator) -> Mutation | None:
    """One character of the header is another one, lost or doubled.

    In values of fields that nothing speaks against only those count as known that leave no number.
    """
    content = sample.files[sample.opened]
    assert isinstance(content, bytes)
    end = sample.data_at if sample.data_file == sample.opened else len(content)
    place = int(rng.integers(0, end - 1))
    kind = int(rng.integers(3))
    new = (bytes([int(rng.integers(1, 256))]), b"", content[place : place + 1] * 2)[kind]
    if new == content[place : place + 1]:
        return None
    line = content[content.rfind(b"\n", 0, place) + 1 :].split(b"\n")[0]
    separator = b": " if "sizes" in sample.fields else b" = "
    name, _, _ = line.partition(separator)
    inside = place - (content.rfind(b"\n", 0, place) + 1)
    field = name.decode("latin-1")
    evidence = FORMAT
    if inside >= len(name) and field in _FIELDS:
        evidence = _FIELDS[field]
        if evidence == "" and new and kind == 0 and new not in b"0123456789+-.eE,() \t":
            evidence = FORMAT
    changed = content[:place] + new + content[place + 1 :]
    what = f"character {place} of the header ({field}): {content[place : place + 1]!r} to {new!r}"
    return Mutation(what, evidence, {**sample.files, sample.opened: changed}, sample.opened)


TEXT_MUTATORS: tuple[Mutator, ...] = (odd_value, odd_value, left_out, one_more, characters, characters)
