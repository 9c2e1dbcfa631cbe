"""`liverlesionai fuzz`: mutated inputs against the reader."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from .driver import Case, Fuzzer, Verdict, counts_table, placed
from .formats import FORMATS
from .mutation import Format


def add_fuzz_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `fuzz`."""
    parser.add_argument("--count", type=int, default=10_000, help="how many mutated inputs (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same inputs")
    parser.add_argument(
        "--formats", default=",".join(sorted(FORMATS)), help="comma-separated (default: all of them)"
    )
    parser.add_argument("--out", type=Path, help="folder for the record: counts, failures, seed, corpus")
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
    verdicts = list(fuzzer.run(numbers, progress))
    print(counts_table(verdicts))
    wrong = [verdict for verdict in verdicts if verdict.wrong]
    for verdict in wrong[:50]:
        print(line_of(verdict))
    print(f"{len(wrong)} of {len(verdicts)} went wrong.")
    if args.out is not None:
        write_text(args.out / "fuzz.json", record(args.seed, sorted(formats), verdicts))
    return 1 if wrong else 0


def chosen_formats(names: str) -> dict[str, Format]:
    """Formats by their names.

    Raises:
        LiverLesionAIError: there is no such format.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted or (unknown := [name for name in wanted if name not in FORMATS]):
        said = ", ".join(unknown) if wanted else "none"
        raise LiverLesionAIError(f"--formats: {said} is not among {', '.join(sorted(FORMATS))}.")
    return {name: FORMATS[name] for name in wanted}


def line_of(verdict: Verdict) -> str:
    """A failure in one line."""
    case = verdict.case
    return (
        f"{case.number}: {case.sample.name}, {case.mutation.what}"
        f"{f' ({case.mutation.evidence})' if case.mutation.evidence else ''}: {verdict.outcome.value}"
        f"{f': {verdict.detail[-300:]}' if verdict.detail else ''}"
    )


def record(seed: int, formats: list[str], verdicts: list[Verdict]) -> str:
    """What was run and what came of it, as JSON."""
    cases = [
        {
            "number": v.case.number,
            "format": v.case.format,
            "sample": v.case.sample.name,
            "mutation": v.case.mutation.what,
            "evidence": v.case.mutation.evidence,
            "outcome": v.outcome.value,
            "wrong": v.wrong,
        }
        for v in verdicts
    ]
    samples = sorted({v.case.sample.name for v in verdicts})
    return json.dumps({"seed": seed, "formats": formats, "corpus": samples, "cases": cases}, indent=1) + "\n"


def keep(case: Case, folder: Path) -> None:
    """Write a case's files for a look at them."""
    folder.mkdir(parents=True, exist_ok=True)
    placed(folder, case.mutation.files, case.mutation.opened).__enter__()
    print(f"{case.number}: {case.sample.name}, {case.mutation.what}; in {folder / 'case'}")
