"""Mutations of names and of what stands under them: for any format of files."""

from __future__ import annotations

import gzip

from numpy.random import Generator

from .mutation import Mutation, Sample, Special

FORMAT = "format"


def renamed(sample: Sample, rng: Generator) -> Mutation:
    """A name of any bytes; the content is sound, so the volume is the same."""
    stem = (
        b"M\xfcller",
        b"\xff\xfe\x80",
        b"new\nline",
        b"esc\x1b[2J",
        b"%s%n%d",
        b"a b'\"",
        b"x" * 200,
        b"-o",
        b".ct",
    )
    name = stem[int(rng.integers(len(stem)))] + sample.opened[sample.opened.index(b".") :]
    files = {name if key == sample.opened else key: content for key, content in sample.files.items()}
    return Mutation(f"named {name[:40]!r}", FORMAT, files, name)


def other_suffix(sample: Sample, rng: Generator) -> Mutation:
    """The name of another format, or none."""
    suffixes = (b".nii", b".nii.gz", b".nrrd", b".nhdr", b".mha", b".mhd", b".dcm", b"", b".gz", b".NII.GZ")
    name = b"ct" + suffixes[int(rng.integers(len(suffixes)))]
    content = sample.files[sample.opened]
    files = {**{k: v for k, v in sample.files.items() if k != sample.opened}, name: content}
    return Mutation(f"named {name!r}", FORMAT, files, name)


def no_file(sample: Sample, rng: Generator) -> Mutation:
    """A pipe, a folder or nothing in the place of one of the files."""
    names = sorted(sample.files)
    name = names[int(rng.integers(len(names)))]
    kind = (Special.PIPE, Special.FOLDER, None, b"")[int(rng.integers(4))]
    files = {k: v for k, v in sample.files.items() if k != name}
    if kind is not None:
        files[name] = kind
    return Mutation(
        f"{name!r} is {kind.value if isinstance(kind, Special) else kind!r}", FORMAT, files, sample.opened
    )


def packed_whole(sample: Sample, _rng: Generator) -> Mutation:
    """The opened file compressed once more, under the same name."""
    content = sample.files[sample.opened]
    assert isinstance(content, bytes)
    files = {**sample.files, sample.opened: gzip.compress(content, 1, mtime=0)}
    return Mutation("compressed once more", FORMAT, files, sample.opened)


def noise(sample: Sample, rng: Generator) -> Mutation:
    """The opened file is noise, text, or another format's start."""
    starts = (
        b"",
        b"NRRD0005\n",
        b"ObjectType = Image\n",
        b"\x5c\x01\x00\x00",
        b"\x1f\x8b\x08\x00",
        b"\x89PNG\r\n",
    )
    start = starts[int(rng.integers(len(starts)))]
    content = start + rng.bytes(int(2 ** rng.uniform(0, 14)))
    return Mutation(f"noise after {start!r}", FORMAT, {**sample.files, sample.opened: content}, sample.opened)


NAME_MUTATORS = (renamed, other_suffix, no_file, packed_whole, noise)
