"""`liverlesionai evaluate DATA`: methods on labelled scans, as a table, JSON, figures and one HTML page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry

from ..data.folders import LAYOUTS, find_scans, layout_of
from ..data.scan import LabelMeaning, Scan, check_same_grid
from ..data.synthliver import find_synthliver
from ..metrics.bootstrap import PairedComparison
from ..metrics.lesions import RATES_PER_SCAN, LesionRules
from ..synthesis.synthliver.plan import NAME as SYNTHLIVER
from ..synthesis.synthliver.plan import PARTS, SPLITS
from .cases import CaseRow, score_case
from .groups import GroupScore, group_table, groups_of_scans, score_groups
from .models import method_maker
from .noisy import with_noise
from .page import evaluation_page
from .results import evaluation_json, figure_module, plain, write_json, write_pictures
from .set_command import add_method, run_set_part
from .sources import Analyse, Source, folder_source, method_source
from .summary import Summary, compare_methods, summarise
from .tables import case_table, paired_table, slice_table, summary_table

SEEN = """\
Note: the bundled models may have been trained on these scans. Only scans they have not seen, or --folds, tell
how they do on new ones."""


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `evaluate`."""
    parser.add_argument(
        "data", type=Path, help="folder of labelled CTs (LiTS, MSD Task03, CT + mask pairs, ...)"
    )
    parser.add_argument("--layout", choices=("auto", *LAYOUTS), default="auto", help="of the data folder")
    parser.add_argument(
        "--part",
        choices=PARTS,
        default="volumes",
        help="of SynthLiver-1: scans, key slices with boxes, or slices of five classes (default volumes)",
    )
    parser.add_argument("--split", choices=SPLITS, default="", help="of SynthLiver-1 (default: test)")
    parser.add_argument("--division", type=int, default=1, help="of the classes' patients: 1 or 2")
    parser.add_argument("--cases", default="", metavar="NAME,NAME", help="only these scans")
    parser.add_argument(
        "--predicted",
        action="append",
        default=[],
        metavar="[NAME=]DIR",
        help="folder of predicted masks, matched by name; may be given several times",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="run this model; may be given several times",
    )
    parser.add_argument(
        "--folds",
        type=Path,
        metavar="DIR",
        help="leave-one-patient-out: folder with a models folder per patient, made without that patient",
    )
    parser.add_argument("--device", default="auto", help="of --model: auto, cpu or cuda")
    parser.add_argument("--liver-threshold", type=float, help="of --model, instead of the calibrated one")
    parser.add_argument("--tumour-threshold", type=float, help="of --model, instead of the calibrated one")
    parser.add_argument("--score-threshold", type=float, help="of --model, instead of the calibrated one")
    parser.add_argument(
        "--detector", default="", help="of --model: looks for further lesions; none for masks only"
    )
    parser.add_argument(
        "--boxes",
        action="append",
        default=[],
        metavar="DETECTOR",
        help="what this detector's boxes find by themselves, per scan, instead of masks",
    )
    parser.add_argument("--noise", type=float, default=0.0, metavar="HU", help="add noise of this SD to CTs")
    parser.add_argument("--liver-labels", default="1", metavar="N,N", help="label values of liver")
    parser.add_argument("--tumour-labels", default="2", metavar="N,N", help="label values of tumours")
    parser.add_argument(
        "--out", type=Path, default=Path("evaluation"), help="folder for JSON, figures and page"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap draws")
    parser.add_argument("--no-distances", action="store_true", help="leave out surface distances (faster)")
    parser.add_argument("--no-figures", action="store_true", help="only the table and JSON")


def run_evaluate(
    args: argparse.Namespace,
    *,
    method: Callable[[str], Analyse] | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = print,
) -> int:
    """Evaluate as the options say.

    Args:
        args: parsed options of :func:`add_evaluate_arguments`.
        method: gives the callable for a `--model` name; by default the pipeline with that segmenter.
        progress: told of every scan.
        say: prints tables and where the files are.

    Returns:
        0.

    Raises:
        LiverLesionAIError: inputs missing or mismatched, output not writable, cancelled.
    """
    if args.part != "volumes":
        return run_set_part(args, progress=progress, say=say)
    meaning = LabelMeaning(_numbers(args.liver_labels), _numbers(args.tumour_labels))
    scans = _scans(args, meaning)
    if args.cases:
        scans = _chosen(scans, args.cases.split(","), args.data)
    scans = [with_noise(scan, args.noise) for scan in scans]
    if args.boxes:
        if args.model or args.predicted:
            raise InputError("--boxes looks at boxes alone: give it without --model and --predicted.")
        from .scan_boxes import run_scan_boxes

        return run_scan_boxes(args, scans, progress=progress, say=say)
    sources = _sources(args, meaning, method)
    methods = evaluate(
        scans,
        sources,
        distances=not args.no_distances,
        pictures=not args.no_figures,
        progress=progress,
    )
    evaluation = _Evaluation.of(args, scans, methods)
    text = evaluation.text()
    if args.model and args.folds is None and scans[0].data_set != SYNTHLIVER:
        text += f"\n\n{SEEN}"
    say(text)
    written = evaluation.write(args.out, text, _settings(args, meaning), figures=not args.no_figures)
    say(f"Written to {args.out}: {', '.join(written)}")
    return 0


def _settings(args: argparse.Namespace, meaning: LabelMeaning) -> dict[str, object]:
    """What the numbers depend on."""
    return {
        "layout": args.layout,
        "split": args.split,
        "liver_labels": list(meaning.liver),
        "tumour_labels": list(meaning.tumour),
        "noise_hu": args.noise,
        "seed": args.seed,
        "draws": args.draws,
        "intervals": "95 % percentile bootstrap over patients",
        "p_values": "two-sided sign-flip permutation test over patients",
    }


@dataclass(frozen=True, eq=False)
class _Evaluation:
    """All methods on all scans.

    Attributes:
        name: of the data folder.
        methods, summaries: by method.
        paired: every method but the first against the first.
        groups: by method; only of SynthLiver-1.
        seed: of the bootstrap.
    """

    name: str
    methods: Mapping[str, Sequence[CaseRow]]
    summaries: Mapping[str, Summary]
    paired: Mapping[str, Mapping[str, PairedComparison]]
    groups: Mapping[str, Mapping[str, GroupScore]]
    seed: int

    @classmethod
    def of(
        cls, args: argparse.Namespace, scans: Sequence[Scan], methods: Mapping[str, Sequence[CaseRow]]
    ) -> _Evaluation:
        summaries = {n: summarise(n, rows, seed=args.seed, n_draws=args.draws) for n, rows in methods.items()}
        first, *others = methods
        paired = {n: compare_methods(methods[first], methods[n], seed=args.seed) for n in others}
        groups = {}
        if scans[0].data_set == SYNTHLIVER:
            members = groups_of_scans(scans)
            groups = {name: score_groups(rows, members) for name, rows in methods.items()}
        return cls(args.data.resolve().name, methods, summaries, paired, groups, args.seed)

    def text(self) -> str:
        """All tables for the terminal."""
        text = report_text(self.methods, self.summaries, self.paired)
        return f"{text}\n\n{group_table(self.groups)}" if self.groups else text

    def write(self, out: Path, text: str, settings: Mapping[str, object], *, figures: bool) -> list[str]:
        """Write tables, JSON and, with `figures`, figures and page; the names of the files."""
        data = evaluation_json(self.name, self.methods, self.summaries, self.paired, LesionRules(), settings)
        if self.groups:
            data["groups"] = plain(self.groups)
        write_json(out / "evaluation.json", data)
        write_text(out / "evaluation.txt", text + "\n")
        written = ["evaluation.json", "evaluation.txt"]
        if not figures:
            return written
        pictures = make_figures(self.methods, self.summaries, seed=self.seed)
        captions = {caption: png for (_, caption), png in pictures.items()}
        tables = {"By phase, liver and slices": group_table(self.groups)} if self.groups else {}
        page = evaluation_page(self.name, self.methods, self.summaries, self.paired, captions, tables=tables)
        write_text(out / "evaluation.html", page)
        return [*written, *write_pictures(pictures, out), "evaluation.html"]


def evaluate(
    scans: Sequence[Scan],
    sources: Mapping[str, Source],
    *,
    rules: LesionRules | None = None,
    distances: bool = True,
    pictures: bool = True,
    progress: Progress = silent,
) -> dict[str, list[CaseRow]]:
    """Score every method on every scan, one scan in memory at a time.

    Args:
        scans: labelled scans.
        sources: method -> where its predictions come from.
        rules: what counts as a lesion and as found.
        distances: also compute surface distances.
        pictures: also keep the slices worth looking at.
        progress: told of every scan; may cancel.

    Raises:
        InputError: a scan or a prediction is missing, damaged or mismatched.
    """
    rows: dict[str, list[CaseRow]] = {name: [] for name in sources}
    for k, scan in enumerate(scans):
        progress(f"Evaluating {scan.name} ({k + 1} of {len(scans)})", k / len(scans))
        labels, geometry = scan.read_labels()
        read = _read_once(scan, geometry)
        for name, source in sources.items():
            row = score_case(
                scan.name,
                scan.patient,
                labels,
                geometry,
                source(scan, read),
                hu_zyx=read().hu_zyx,
                rules=rules,
                distances=distances,
                pictures=pictures,
            )
            rows[name].append(row)
    progress("Evaluated", 1.0)
    return rows


def report_text(
    methods: Mapping[str, Sequence[CaseRow]],
    summaries: Mapping[str, Summary],
    paired: Mapping[str, Mapping[str, PairedComparison]],
) -> str:
    """All tables for the terminal."""
    parts = [f"{name}\n\n{case_table(rows)}" for name, rows in methods.items()]
    parts.append(summary_table(list(summaries.values())))
    slices = {name: s.slices for name, s in summaries.items() if s.slices is not None}
    if slices:
        parts.append(slice_table(slices))
    first = next(iter(methods))
    parts.extend(paired_table(first, name, rows) for name, rows in paired.items() if rows)
    return "\n\n".join(parts)


def make_figures(
    methods: Mapping[str, Sequence[CaseRow]], summaries: Mapping[str, Summary], *, seed: int
) -> dict[tuple[str, str], bytes]:
    """(file stem, caption) -> PNG of every figure that the data allow.

    Raises:
        InputError: matplotlib is not installed.
    """
    fig = figure_module()
    made = {("tumour_dice", "Tumour Dice of every scan."): fig.cases_figure(methods)}
    if any(row.lesions.n_lesions for rows in methods.values() for row in rows):
        caption = "Lesions found by size (equivalent diameter); lines are 95 % intervals over patients."
        made["lesions_by_size", caption] = fig.size_figure(methods, seed=seed)
    curves = {name: s.curve for name, s in summaries.items() if s.curve is not None}
    if curves:
        caption = "Free response per scan in 3D: lesions found against false lesions."
        made["free_response", caption] = fig.froc_figure(curves, "scan", RATES_PER_SCAN)
    for of, unit, relative in (("volume", "mL", True), ("long axis", "mm", False)):
        pairs = fig.lesion_pairs(methods, of)
        if any(len(reference) for reference, _ in pairs.values()):
            caption = (
                f"Bland-Altman of the {of} of found lesions; lines are bias and 95 % limits of agreement."
            )
            stem = f"{of.replace(' ', '_')}_agreement"
            made[stem, caption] = fig.bland_altman_figure(pairs, f"lesion {of}", unit, relative=relative)
    return {key: fig.png_bytes(figure) for key, figure in made.items()}


def _sources(
    args: argparse.Namespace, meaning: LabelMeaning, method: Callable[[str], Analyse] | None
) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    make = method or method_maker(
        args.device,
        args.tumour_threshold,
        args.score_threshold,
        args.folds,
        detector=args.detector,
        liver_threshold=args.liver_threshold,
    )
    for text in args.predicted:
        name, _, folder = text.rpartition("=")
        path = Path(folder)
        add_method(sources, name or path.resolve().name, folder_source(path, meaning))
    for name in args.model:
        add_method(sources, name, method_source(make(name)))
    if not sources:
        raise InputError("Nothing to evaluate: give --model NAME or --predicted DIR.")
    return sources


def _scans(args: argparse.Namespace, meaning: LabelMeaning) -> list[Scan]:
    """The scans of the data folder; of a whole SynthLiver-1 those of one split."""
    layout = layout_of(args.data) if args.layout == "auto" else args.layout
    if layout == "synthliver" and (args.split or (args.data / "volumes").is_dir()):
        return find_synthliver(args.data, args.split or "test")
    return find_scans(args.data, layout, meaning)


def _chosen(scans: Sequence[Scan], names: Sequence[str], data: Path) -> list[Scan]:
    known = {scan.name: scan for scan in scans}
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(f"{data}: no scan {', '.join(missing)}; there are {', '.join(sorted(known)[:20])}.")
    return [known[name] for name in names]


def _read_once(scan: Scan, geometry: Geometry) -> Callable[[], CtVolume]:
    """Reads the scan's CT when first asked, checks that the labels lie on it, and keeps it."""
    kept: list[CtVolume] = []

    def read() -> CtVolume:
        if not kept:
            ct = scan.read_ct()
            check_same_grid(geometry, scan.label_path, ct.geometry, scan.ct_path)
            kept.append(ct)
        return kept[0]

    return read


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InputError(f"Label values are whole numbers with commas between, not {text!r}.") from None
