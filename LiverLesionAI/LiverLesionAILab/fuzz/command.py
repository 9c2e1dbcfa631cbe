"""`liverlesionai fuzz`: mutated inputs against the reader."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from .driver import Case, Fuzzer, Record, counts_table, placed
from .formats import COMPRESSED_FORMATS, FORMATS
from .mutation import Format


def add_fuzz_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fuzz`."""
    parser.add_argument("--count", type=int, default=10_000, help="how many mutated inputs (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same inputs")
    parser.add_argument(
        "--formats",
        default=",".join(sorted(FORMATS)),
        help="comma-separated (default: these; jpeg needs python-gdcm)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the record: counts, failures, seed, corpus; a run that was ended goes on from there",
    )
    parser.add_argument(
        "--keep", type=int, metavar="NUMBER", help="write input NUMBER into --out, read nothing"
    )


def run_fuzz(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Throw the inputs, print the counts; 1 if the reader failed on any."""
    formats = chosen_formats(args.formats)
    fuzzer = Fuzzer(formats, args.seed)
    if args.keep is not None:
        if args.out is None:
            raise LiverLesionAIError("--keep needs --out, the folder for the input.")
        keep(fuzzer.case(args.keep), args.out)
        return 0
    if args.count < 1:
        raise LiverLesionAIError(f"--count {args.count}: give at least 1.")
    numbers = range(args.count)
    labels = fuzzer.labels(numbers)
    known = sum(count for (_, detectable), count in labels.items() if detectable)
    unknown = args.count - known
    print(f"{args.count} inputs, seed {args.seed}: {known} can be known to be wrong, {unknown} not.")
    records = list(recorded(fuzzer, args, sorted(formats), progress))
    print(counts_table(records))
    wrong = [record for record in records if record.wrong]
    for record in wrong[:50]:
        print(line_of(record))
    print(f"{len(wrong)} of {len(records)} went wrong.")
    if args.out is not None:
        corpus = sorted({record.sample for record in records})
        kept = {"seed": args.seed, "formats": sorted(formats), "corpus": corpus}
        cases = [asdict(record) for record in records]
        write_text(args.out / "fuzz.json", json.dumps({**kept, "cases": cases}, indent=1) + "\n")
    return 1 if wrong else 0


def recorded(
    fuzzer: Fuzzer, args: argparse.Namespace, formats: list[str], progress: Progress
) -> Iterator[Record]:
    """Throw what was not thrown yet, each kept in a line of its own at once; all records by number."""
    if args.out is None:
        yield from (verdict.record for verdict in fuzzer.run(range(args.count), progress))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{'-'.join(formats)}-{args.seed}.jsonl"
    records: dict[int, Record] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):  # cut short by the end of its run
                record = Record(**json.loads(line))
                records[record.number] = record
    left = [number for number in range(args.count) if number not in records]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n")
        for verdict in fuzzer.run(left, progress):
            records[verdict.case.number] = verdict.record
            file.write(json.dumps(asdict(verdict.record)) + "\n")
            file.flush()
    yield from (records[number] for number in range(args.count))


def chosen_formats(names: str) -> dict[str, Format]:
    """Formats by their names.

    Raises:
        LiverLesionAIError: there is no such format.
    """
    known = {**FORMATS, **COMPRESSED_FORMATS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or (unknown := [name for name in wanted if name not in known]):
        said = ", ".join(unknown) if wanted else "none"
        raise LiverLesionAIError(f"--formats: {said} is not among {', '.join(sorted(known))}.")
    return {name: known[name] for name in wanted}


def line_of(record: Record) -> str:
    """A failure in one line."""
    return (
        f"{record.number}: {record.sample}, {record.mutation}"
        f"{f' ({record.evidence})' if record.evidence else ''}: {record.outcome}"
        f"{f': {record.detail}' if record.detail else ''}"
    )


def keep(case: Case, folder: Path) -> None:
    """Write a case's files for a look at them."""
    folder.mkdir(parents=True, exist_ok=True)
    placed(folder, case.mutation.files, case.mutation.opened).__enter__()
    print(f"{case.number}: {case.sample.name}, {case.mutation.what}; in {folder / 'case'}")
