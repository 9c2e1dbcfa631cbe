"""The command line: `liverlesionai analyze | batch | demo | info | synthesize | train | evaluate |
ablation`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from . import __version__
from .errors import Cancelled, LiverLesionAIError, OutputError
from .progress import Progress, TimedProgress, part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .ct import CtVolume
    from .findings import CaseResult
    from .pipeline import Settings
    from .synthesis.sample import Sample
    from .weights import ModelStore

EXIT_ERROR, EXIT_CANCELLED = 1, 130


class ProgressBar:
    """One line that is redrawn: bar, per cent, time left, stage. Silent where nobody watches (no
    terminal)."""

    def __init__(self, stream: TextIO = sys.stderr, width: int = 28) -> None:
        self.stream, self.width = stream, width
        self.live = bool(getattr(stream, "isatty", lambda: False)())
        self._last_s = 0.0
        self._stage = ""

    def __call__(self, stage: str, fraction: float, left_s: float | None) -> None:
        now_s = time.monotonic()
        if not self.live:
            # A log gets a line per stage instead of a redrawn one.
            if stage != self._stage:
                print(f"{100 * fraction:3.0f} %  {stage}", file=self.stream, flush=True)
                self._stage = stage
            return
        if now_s - self._last_s < 0.1 and fraction < 1:
            return
        self._last_s = now_s
        filled = round(self.width * fraction)
        left = "" if left_s is None else f"  {left_s:.0f} s left"
        text = f"[{'#' * filled}{'.' * (self.width - filled)}] {100 * fraction:3.0f} %{left}  {stage}"
        self.stream.write("\r\033[K" + text[:110])
        self.stream.flush()

    def done(self) -> None:
        """Clear the line."""
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="liverlesionai",
        description="Liver lesions in CT: masks, measurements, attention maps. Research use.",
    )
    parser.add_argument("--version", action="version", version=f"liverlesionai {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    analyze = commands.add_parser("analyze", help="analyse one CT: a NIfTI, NRRD, MHA file or a DICOM folder")
    analyze.add_argument("ct", type=Path, help="file or folder")
    analyze.add_argument("--series", help="DICOM series: number, UID or part of its description")
    analyze.add_argument(
        "--out", type=Path, help="case folder (default: NAME_liverlesionai in the current folder)"
    )
    analyze.add_argument(
        "--second-phase",
        type=Path,
        metavar="CT",
        help="another contrast phase of the patient; used with the first for the lesions' classes",
    )
    _add_analysis_options(analyze)
    analyze.set_defaults(run=run_analyze)

    batch = commands.add_parser("batch", help="analyse every CT in a folder, one case folder each")
    batch.add_argument("folder", type=Path, help="folder with image files, or with one folder of DICOM each")
    batch.add_argument("--out", type=Path, required=True, help="folder for the case folders and summary.csv")
    batch.add_argument("--again", action="store_true", help="also those whose case folder is there already")
    _add_analysis_options(batch)
    batch.set_defaults(run=run_batch)

    demo = commands.add_parser("demo", help="analyse the bundled sample case and compare with its truth")
    demo.add_argument("--out", type=Path, default=Path("liverlesionai_demo"), help="case folder")
    _add_analysis_options(demo)
    demo.set_defaults(run=run_demo)

    info = commands.add_parser("info", help="version, torch, device, bundled models with checksums")
    info.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    info.add_argument(
        "--networks",
        action="store_true",
        help="parameters and operations of every network, published and compact",
    )
    info.set_defaults(run=run_info)

    for name, (_, text) in TOOLS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _add_analysis_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--segmenter", default="", help="which segmentation model; see `info`")
    parser.add_argument(
        "--classify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give every lesion a class (default: yes, where there is a classifier)",
    )
    parser.add_argument("--classifier", default="", help="which classification model; see `info`")
    parser.add_argument(
        "--detector",
        default="",
        help="which detection model looks for lesions besides, and doubts masks; none for masks only",
    )
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument(
        "--pyramid",
        metavar="SCALES",
        help="image pyramid for liver and lesions alike, e.g. 0.5,1,1.5 (default: the model's own)",
    )
    parser.add_argument(
        "--tumour-threshold", type=float, help="voxel probability, 0..1, instead of the calibrated one"
    )
    parser.add_argument(
        "--score-threshold", type=float, help="lesion score, 0..1, instead of the calibrated one"
    )
    parser.add_argument(
        "--detector-threshold", type=float, help="score of lesions that only the detector finds, 0..1"
    )
    parser.add_argument(
        "--smallest-mm", type=float, default=4.0, help="leave out smaller lesions (default 4)"
    )
    parser.add_argument("--no-pictures", action="store_true", help="write no PNG pictures")
    parser.add_argument("--no-attention", action="store_true", help="make no attention maps")
    parser.add_argument("--timings", action="store_true", help="print the seconds of each stage")


def _settings(args: argparse.Namespace) -> Settings:
    from .inputs import parse_pyramid
    from .pipeline import Settings

    for name in ("tumour_threshold", "score_threshold", "detector_threshold"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1:
            raise LiverLesionAIError(f"--{name.replace('_', '-')} {value}: give a number between 0 and 1.")
    return Settings(
        segmenter=args.segmenter,
        classifier=args.classifier if args.classify else None,
        detector=args.detector,
        device=args.device,
        precision=args.precision,
        tumour_threshold=args.tumour_threshold,
        score_threshold=args.score_threshold,
        detector_threshold=args.detector_threshold,
        smallest_mm=args.smallest_mm,
        pyramid=parse_pyramid(args.pyramid),
        attention=not args.no_attention,
    )


def _analyse_into(
    args: argparse.Namespace,
    volume: CtVolume,
    folder: Path,
    models: ModelStore,
    progress: Progress,
    second_phase: CtVolume | None = None,
) -> tuple[CaseResult, dict[str, Path], list[str], dict[str, float]]:
    """Analyse a volume and write its case folder; returns (result, written, sentences to show, seconds)."""
    from .case_folder import write_case_folder
    from .pipeline import analyze

    said: list[str] = []
    result = analyze(volume, _settings(args), models, part(progress, 0.1, 0.65), second_phase)
    started = time.perf_counter()
    written = write_case_folder(
        result,
        volume,
        folder,
        pictures=not args.no_pictures,
        say=said.append,
        progress=part(progress, 0.65, 1.0),
    )
    timings = {**result.timings_s, "write": time.perf_counter() - started}
    return result, written, said, timings


def _print_result(result: CaseResult, written: dict[str, Path], said: list[str], folder: Path) -> None:
    from .reports.tables import findings_text

    print(findings_text(result))
    for sentence in said:
        print(sentence)
    print(f"\nCase folder: {folder}")
    width = max(len(name) for name in written)
    for name, path in written.items():
        print(f"  {name:<{width}}  {path.name}")


def _print_timings(timings: dict[str, float]) -> None:
    total = sum(timings.values())
    for name, seconds in timings.items():
        print(f"  {name:<10} {seconds:6.2f} s  {100 * seconds / max(total, 1e-9):3.0f} %")
    print(f"  {'total':<10} {total:6.2f} s")


def run_analyze(args: argparse.Namespace) -> int:
    """One CT to one case folder."""
    from .reading import read_ct
    from .weights import ModelStore

    bar = ProgressBar()
    progress = TimedProgress(bar)
    try:
        started = time.perf_counter()
        models = ModelStore.bundled()
        volume = read_ct(args.ct, args.series, part(progress, 0.0, 0.1))
        second = read_ct(args.second_phase, None, part(progress, 0.1, 0.1)) if args.second_phase else None
        read_s = time.perf_counter() - started
        folder = args.out or Path(f"{volume.name}_liverlesionai")
        result, written, said, timings = _analyse_into(args, volume, folder, models, progress, second)
    finally:
        bar.done()
    for note in volume.notes:
        print(note)
    _print_result(result, written, said, folder)
    if args.timings:
        _print_timings({"read": read_s, **timings})
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """The sample case, with its truth beside the findings."""
    from .synthesis.sample import load_sample
    from .weights import ModelStore

    bar = ProgressBar()
    progress = TimedProgress(bar)
    try:
        models = ModelStore.bundled()
        progress("making the sample case", 0.0)
        sample = load_sample()
        result, written, said, timings = _analyse_into(args, sample.volume, args.out, models, progress)
    finally:
        bar.done()
    _print_result(result, written, said, args.out)
    print()
    print(truth_text(sample, result))
    if args.timings:
        _print_timings(timings)
    return 0


def truth_text(sample: Sample, result: CaseResult) -> str:
    """How the findings compare with the sample's known truth, for the terminal."""
    import numpy as np

    truth = sample.lesion_labels_zyx
    labels = result.lesion_labels_zyx
    numbers = [int(n) for n in np.unique(truth) if n]
    found = sum(bool(np.mean(labels[truth == n] > 0) >= 0.1) for n in numbers)
    false = sum(not truth[labels == lesion.number].any() for lesion in result.lesions)

    def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
        return 2 * float(np.count_nonzero(a & b)) / max(1, np.count_nonzero(a) + np.count_nonzero(b))

    liver_dice, lesion_dice = dice(result.liver_zyx, sample.liver_zyx), dice(labels > 0, truth > 0)
    return (
        f"Against the sample's truth (a synthetic CT): {found} of {len(numbers)} lesions found, "
        f"{false} false; Dice liver {liver_dice:.3f}, lesions {lesion_dice:.3f}."
    )


def batch_inputs(folder: Path) -> list[Path]:
    """What `batch` analyses: every image file in `folder` and every subfolder that holds DICOM files.

    Raises:
        LiverLesionAIError: the folder is missing or holds neither.
    """
    from .reading import list_series
    from .reading.image_files import is_image_file

    if not folder.is_dir():
        raise LiverLesionAIError(f"{folder}: there is no such folder. Check the path.")
    inputs = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_file() and is_image_file(path):
            inputs.append(path)
        elif path.is_dir():
            try:
                if list_series(path):
                    inputs.append(path)
            except LiverLesionAIError:
                continue
    if not inputs:
        raise LiverLesionAIError(
            f"{folder}: holds no NIfTI, NRRD or MHA file and no folder with DICOM files."
        )
    return inputs


def run_batch(args: argparse.Namespace) -> int:
    """Many CTs; one that fails is reported and does not stop the others. Exit status 1 if any failed."""
    from .files import write_text
    from .reading import read_ct
    from .reading.image_files import volume_name
    from .weights import ModelStore

    inputs = batch_inputs(args.folder)
    models = ModelStore.bundled()
    rows = [["case", "status", "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "message"]]
    failed = 0
    for number, path in enumerate(inputs, start=1):
        name = volume_name(path) if path.is_file() else path.name
        folder = args.out / name
        if (folder / "findings.json").is_file() and not args.again:
            print(f"{number}/{len(inputs)} {name}: there already, left as it is (--again analyses it anew)")
            rows.append([name, "kept", "", "", "", "", ""])
            continue
        bar = ProgressBar()
        progress = TimedProgress(bar)
        started = time.perf_counter()
        try:
            volume = read_ct(path, None, part(progress, 0.0, 0.1))
            result, _, _, _ = _analyse_into(args, volume, folder, models, progress)
        except (OutputError, Cancelled):
            raise
        except LiverLesionAIError as error:
            bar.done()
            failed += 1
            print(f"{number}/{len(inputs)} {name}: {error}")
            rows.append([name, "failed", "", "", "", "", str(error)])
            continue
        bar.done()
        seconds = time.perf_counter() - started
        print(
            f"{number}/{len(inputs)} {name}: {len(result.lesions)} lesions, "
            f"liver {result.liver_volume_ml:.0f} mL, burden {result.tumour_burden_percent:.1f} %, "
            f"{seconds:.0f} s"
        )
        rows.append(
            [
                name,
                "done",
                str(len(result.lesions)),
                f"{result.tumour_burden_percent:.2f}",
                f"{result.liver_volume_ml:.0f}",
                f"{seconds:.1f}",
                " ".join(result.messages),
            ]
        )
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    write_text(args.out / "summary.csv", "\r\n".join(lines) + "\r\n")
    print(f"{len(inputs) - failed} of {len(inputs)} analysed; summary in {args.out / 'summary.csv'}")
    return EXIT_ERROR if failed else 0


def run_info(args: argparse.Namespace) -> int:
    """What is installed and what would be computed with."""
    import platform

    from .device import choose_device, torch_missing
    from .weights import Manifest, sha256_of

    print(f"LiverLesionAI {__version__}, Python {platform.python_version()}, {platform.system()}")
    missing = torch_missing()
    if args.networks:
        if missing:
            raise LiverLesionAIError(missing)
        from .networks.size_table import size_table

        print(size_table())
        return 0
    if missing:
        print(missing)
    else:
        import torch

        print(f"PyTorch {torch.__version__}")
        print(f"Device: {choose_device(args.device).description}")
    manifest = Manifest.read()
    status = 0
    print(f"Models in {manifest.folder}:")
    for entry in manifest.entries:
        if not entry.file:
            print(f"  {entry.name:<14} {entry.task:<9} mean of {' and '.join(entry.members)}")
            continue
        path = manifest.folder / entry.file
        try:
            whole = sha256_of(path) == entry.sha256
            state = "checksum right" if whole else "DAMAGED: install the extension again"
            size = f"{path.stat().st_size / 1e6:.1f} MB"
        except OSError:
            whole, state, size = False, "MISSING: install the extension again", "-"
        status = status if whole else EXIT_ERROR
        print(f"  {entry.name:<14} {entry.task:<9} {size:>7}  sha256 {entry.sha256[:16]}...  {state}")
    return status


def run_synthesize(rest: Sequence[str]) -> int:
    """`synthesize`: see `liverlesionai synthesize --help`."""
    from .synthesis.synthliver.command import add_synthesize_arguments, run_synthesize

    return _run_tool("synthesize", add_synthesize_arguments, run_synthesize, rest)


def run_train(rest: Sequence[str]) -> int:
    """`train`: see `liverlesionai train --help`."""
    from .training.command import add_train_arguments, run_train

    return _run_tool("train", add_train_arguments, run_train, rest)


def run_evaluate(rest: Sequence[str]) -> int:
    """`evaluate`: see `liverlesionai evaluate --help`."""
    from .evaluation.command import add_evaluate_arguments, run_evaluate

    return _run_tool("evaluate", add_evaluate_arguments, run_evaluate, rest)


def run_calibrate(rest: Sequence[str]) -> int:
    """`calibrate`: see `liverlesionai calibrate --help`."""
    from .evaluation.calibrate import add_calibrate_arguments, run_calibrate

    return _run_tool("calibrate", add_calibrate_arguments, run_calibrate, rest)


def run_ablation(rest: Sequence[str]) -> int:
    """`ablation`: see `liverlesionai ablation --help`."""
    from .evaluation.ablation import add_ablation_arguments, run_ablation

    return _run_tool("ablation", add_ablation_arguments, lambda args, progress: run_ablation(args), rest)


def run_compare(rest: Sequence[str]) -> int:
    """`compare`: see `liverlesionai compare --help`."""
    from .evaluation.comparisons import add_comparison_arguments, run_comparison

    return _run_tool("compare", add_comparison_arguments, run_comparison, rest)


def _run_tool(
    name: str,
    add: Callable[[argparse.ArgumentParser], None],
    run: Callable[..., int],
    rest: Sequence[str],
) -> int:
    """Parse the options of a command that has a parser of its own, and run it with a progress bar."""
    parser = argparse.ArgumentParser(prog=f"liverlesionai {name}")
    add(parser)
    args = parser.parse_args(rest)
    bar = ProgressBar()
    try:
        return run(args, progress=TimedProgress(bar))
    finally:
        bar.done()


TOOLS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "synthesize": (run_synthesize, "make the benchmark set SynthLiver-1 and check it"),
    "train": (run_train, "train a bundled network again"),
    "evaluate": (run_evaluate, "score masks or the bundled models against truth"),
    "calibrate": (run_calibrate, "temperature and thresholds from patients a network has not seen"),
    "ablation": (run_ablation, "compare evaluations of runs that left out a part"),
    "compare": (run_compare, "train networks and their variants alike and score them alike"),
}
"""Commands with parsers of their own, made when asked for: `analyze` needs none of their libraries."""


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM (a batch system, a shutdown) stops the work as Ctrl+C does, so that it cleans up as well."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; errors meant for the reader are printed as one line, without a traceback.

    Returns:
        0 done, 1 failed with a message, 2 wrong usage (from argparse), 130 cancelled.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _terminated_like_interrupted():
            if arguments and arguments[0] in TOOLS:
                run, _ = TOOLS[arguments[0]]
                return run(arguments[1:])
            args = build_parser().parse_args(arguments)
            return args.run(args)
    except (KeyboardInterrupt, Cancelled):
        print("\nCancelled; nothing was kept.", file=sys.stderr)
        return EXIT_CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except LiverLesionAIError as error:
        print(f"liverlesionai: {error}", file=sys.stderr)
        return EXIT_ERROR
    except MemoryError:
        print("liverlesionai: the memory ran out. Close other programs or crop the CT.", file=sys.stderr)
        return EXIT_ERROR
    except (OSError, json.JSONDecodeError) as error:
        print(f"liverlesionai: {error}. Check the disk and the permissions.", file=sys.stderr)
        return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
