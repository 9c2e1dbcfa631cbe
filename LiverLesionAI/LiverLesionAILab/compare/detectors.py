"""`liverlesionai compare detectors`: CS-Att and VA Faster R-CNN against what they are built on.

The data are DeepLesion, or anything in its layout (the slices of SynthLiver-1). The rows are those of
:mod:`.detector_rows`, trained and scored alike, with the same budget and seeds. Finished runs are kept, so
that an interrupted comparison goes on. With `--trunk-steps` a plain detector of single images is trained
first, once a family, on every second patient. Its backbone is then common to all rows and learns no more, and
rows learn from the other patients: where the trunk knows a slice by heart, a single image tells everything.
Rows differ only in what the papers are about, how many images there are and how they are weighted. Without,
every row is trained end to end.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, part, silent

from ..data.deeplesion import KeySlice
from ..data.synthliver import read_synth_slices
from ..evaluation.boxes import BoxDetector, BoxResult, boxes_from_file, boxes_json, evaluate_boxes
from ..evaluation.set_reports import SetReport, boxes_text, write_boxes_report
from .detector_kept import KeptRun, kept_answers, kept_images, read_run
from .detector_rows import VARIANTS, Variant
from .detector_tables import comparison_json, comparison_text
from .kept import FILE, add_rows_option, needed, read_rows, write_rows
from .key_detectors import key_slice_detector, map_detector

if TYPE_CHECKING:
    from LiverLesionAILib.models.inputs import InputSpec
    from torch import nn

    from ..training.detector_families import Family
    from ..training.key_maps import MapStore
    from ..training.loop import LoopSettings

KIND = "detectors"
FEW_DRAWS = 10
"""Of the bootstrap where only the figures themselves are wanted."""


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare detectors`."""
    parser.add_argument(
        "data", type=Path, nargs="?", help="DeepLesion, SynthLiver-1 or anything in DeepLesion's layout"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="runs, tables, figures and kept rows")
    add_rows_option(parser)
    parser.add_argument("--size", choices=("compact", "paper"), default="compact", help="of the networks")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of every variant")
    parser.add_argument("--batch", type=int, default=4, help="key slices a step")
    parser.add_argument("--crop", type=int, default=256, help="edge of the training crops, px")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each variant")
    parser.add_argument(
        "--start",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="weights to start from, whatever of them fits; the rest starts anew; may be given several times",
    )
    parser.add_argument(
        "--trunk-steps",
        type=int,
        default=0,
        metavar="N",
        help="first train a common trunk for N steps of 8 single images of every second patient; rows then "
        "learn on top of it from the others (several MB a key slice in DIR)",
    )
    parser.add_argument("--pixel", type=float, default=0.8, metavar="MM", help="in plane; the papers' is 0.8")
    parser.add_argument(
        "--window", default="-150,250", metavar="LOW,HIGH", help="HU; the papers' is -1024,3071"
    )
    parser.add_argument("--types", default="", metavar="TYPE,...", help="only key slices with these lesions")
    parser.add_argument("--only", default="", metavar="NAME;...", help="only these variants")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--no-figures", action="store_true", help="only tables and JSON")


def run_compare(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Train and score every variant and seed; prints the tables.

    They are written after every run, to `comparison.txt` and `.json`, with what they are made of
    (`rows.json.gz`, see :mod:`.kept`).

    Raises:
        InputError: options or data that make no sense.
        Cancelled: from `progress`; finished and started runs stay and the same command goes on.
    """
    if args.rows is not None:
        say(kept_text(args.rows))
        return 0
    needed(args, "data", "out")
    import torch

    torch.set_num_threads(args.threads)
    comparison = Comparison(args)
    # All variants with the first seed come first: an early table is a whole one.
    runs = [(variant, seed) for seed in range(args.seeds) for variant in comparison.chosen]
    results: dict[str, list[KeptRun]] = {}
    answers: dict[str, list[Any]] = {}
    text = ""
    for k, (variant, seed) in enumerate(runs):
        along = part(progress, k / len(runs), (k + 1) / len(runs))
        images = comparison.result(variant, seed, along).images
        known = kept_images(images)
        answers.setdefault(variant.name, []).append(kept_answers(images))
        results.setdefault(variant.name, []).append(read_run(known, answers[variant.name][-1]))
        foot = comparison.foot(results)
        text = comparison_text(results, foot)
        write_text(args.out / "comparison.txt", text + "\n")
        kept = comparison_json(results, comparison.settings)
        write_text(args.out / "comparison.json", json.dumps(kept, indent=1) + "\n")
        write_rows(args.out / FILE, KIND, {"foot": foot, "images": known, "runs": answers})
    say(text)
    first = {v.name: comparison.scored(v, 0, 1000) for v in comparison.chosen}
    say(boxes_text(first))
    settings = {**comparison.settings, "seed": 0}
    report = SetReport(args.out, f"{args.data.name}, test, seed 0", settings, figures=not args.no_figures)
    write_boxes_report(first, report)
    return 0


def kept_text(path: Path) -> str:
    """The tables of kept rows.

    Raises:
        InputError: the file is missing, damaged, or of another comparison.
    """
    rows = read_rows(path, KIND)
    runs = {name: [read_run(rows["images"], one) for one in each] for name, each in rows["runs"].items()}
    return comparison_text(runs, rows["foot"])


class Comparison:
    """What all runs have in common: data, settings, trunks and their maps.

    Raises:
        InputError: options or data that make no sense.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        names = [name.strip() for name in args.only.split(";") if name.strip()]
        unknown = [name for name in names if name not in {v.name for v in VARIANTS}]
        if unknown or args.seeds < 1 or args.steps < 1 or args.trunk_steps < 0:
            known = "; ".join(v.name for v in VARIANTS)
            raise InputError(
                f"--only {args.only}, --seeds, --steps: choose among {known}, and numbers from 1."
            )
        if not 0 < args.pixel < 10:
            raise InputError(f"--pixel {args.pixel}: give millimetres, such as 0.8.")
        self.args, self.out = args, args.out
        self.window = _window(args.window)
        self.chosen = [v for v in VARIANTS if not names or v.name in names]
        kinds = set(args.types.split(",")) - {""}
        self.train, self.test = (_key_slices(args.data, split, kinds) for split in ("train", "test"))
        self.trunk_keys: list[KeySlice] = []
        if args.trunk_steps:
            self.trunk_keys, self.train = by_turns(self.train)
        self._stores: dict[str, MapStore] = {}

    @cached_property
    def families(self) -> dict[str, Family]:
        """By name."""
        from ..training.detector_families import families

        return families(self.args.size)

    def family_of(self, variant: Variant) -> Family:
        """The family, with the row's reading of equation 5."""
        from ..training.detector_families import RFcn

        family = self.families[variant.family]
        if not isinstance(family, RFcn):
            return family
        return replace(family, config=replace(family.config, spatial_from=variant.reading))

    @property
    def settings(self) -> dict[str, object]:
        """What the tables depend on."""
        keys = ("size", "steps", "batch", "crop", "seeds", "trunk_steps", "pixel", "window", "types")
        return {**{k: getattr(self.args, k) for k in keys}, "start": [file.name for file in self.args.start]}

    def foot(self, results: dict[str, list[KeptRun]]) -> str:
        """What has to be known of a table to judge it."""
        args = self.args
        counts = sorted({len(each) for each in results.values()})
        seeds = " or ".join(map(str, counts)) + (" seed" if counts == [1] else " seeds")
        images = next(iter(results.values()))[0].images
        lesions = sum(len(image.reference) for image in images)
        text = (
            f"{args.size} networks, {args.steps} steps of {args.batch} crops of {args.crop} px, pixels of "
            f"{args.pixel:g} mm, {seeds}, mean (SD); {len(self.train)} key slices to learn from, "
            f"{len(images)} with {lesions} lesions to find."
        )
        if args.trunk_steps:
            text += (
                f"\nCommon to all rows of a family: the backbone, trained on {len(self.trunk_keys)} single "
                f"images of other patients for {args.trunk_steps} steps (seed 0), fixed since; proposals and "
                "position-sensitive maps (R-FCN) or both heads (Faster R-CNN) start from there, what else a "
                "row has starts anew."
            )
        if args.start:
            where = "The trunk" if args.trunk_steps else "Every row"
            names = ", ".join(file.name for file in args.start)
            text += f"\n{where} starts from {names}: what fits; the rest starts anew."
        return text

    def spec(self, images: int) -> InputSpec:
        """The input of a bag of images."""
        from ..training.key_slices import PAPER_INPUT

        spacing = (PAPER_INPUT.spacing_zyx_mm[0], self.args.pixel, self.args.pixel)
        return replace(PAPER_INPUT, spacing_zyx_mm=spacing, in_slices=3 * images, window_hu=self.window)

    def result(self, variant: Variant, seed: int, progress: Progress = silent) -> BoxResult:
        """Train and score one row with one seed, unless that is done already."""
        found = self._boxes(variant, seed)
        if not found.is_file():
            detect = self._trained(variant, seed, part(progress, 0, 0.8))
            along = part(progress, 0.8, 1.0)
            made = evaluate_boxes(self.test, {"": detect}, n_draws=FEW_DRAWS, progress=along)[""]
            write_text(found, json.dumps(boxes_json(made.images)))
        return self.scored(variant, seed, FEW_DRAWS)

    def scored(self, variant: Variant, seed: int, n_draws: int) -> BoxResult:
        """A finished run's boxes, scored."""
        detect = boxes_from_file(self._boxes(variant, seed))
        return evaluate_boxes(self.test, {"": detect}, seed=0, n_draws=n_draws)[""]

    def _boxes(self, variant: Variant, seed: int) -> Path:
        return self.out / "runs" / f"{variant.slug}-{seed}" / "boxes.json"

    def _trained(self, variant: Variant, seed: int, progress: Progress) -> BoxDetector:
        from ..training.detector_families import image_loss
        from ..training.key_maps import MapSampler, map_loss
        from ..training.key_slices import KeySliceSampler
        from ..training.key_trunk import read_weights, take_parts

        args, family = self.args, self.family_of(variant)
        store = self._store(variant.family, part(progress, 0, 0.5)) if args.trunk_steps else None
        network = alike(family, variant, seed)
        spec = self.spec(variant.images)
        if store is not None:
            take_parts(network, store.trunk.state_dict(), (*family.trunk, *family.shared))
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(not name.startswith(family.trunk))
            batches = MapSampler(store, self.train, variant.images, args.crop, seed).batch
            loss = partial(map_loss, family, network, seed, args.crop)
        else:
            for file in args.start:
                take_parts(network, read_weights(file), (*family.trunk, *family.shared))
            batches = KeySliceSampler(self.train, spec, args.crop, seed).batch
            loss = partial(image_loss, family, network, seed)
        loop = _loop(args.steps, args.batch, seed)
        trained = _fit(self._boxes(variant, seed).parent, network, batches, loop, loss, args.device, progress)
        if store is not None:
            return map_detector(family, trained, variant.images, store)
        return key_slice_detector(family, trained, spec)

    def _store(self, name: str, progress: Progress) -> MapStore:
        """The family's trunk, trained, and all key slices passed through it."""
        from ..training.key_maps import MapStore
        from ..training.key_trunk import fit_trunk

        if name not in self._stores:
            args, family = self.args, self.families[name]
            images = max(v.images for v in self.chosen if v.family == name)
            loop = _loop(args.trunk_steps, 8, 0)
            folder = self.out / "runs" / f"trunk-{name}"
            spec, along = self.spec(images), part(progress, 0, 0.7)
            trunk, _ = fit_trunk(
                family, spec, self.trunk_keys, args.crop, loop, args.start, folder, args.device, along
            )
            store = MapStore(self.out / "maps" / name, family, trunk, spec)
            store.fill([*self.train, *self.test], part(progress, 0.7, 1.0))
            self._stores[name] = store
        return self._stores[name]


def alike(family: Family, variant: Variant, seed: int) -> nn.Module:
    """A row's network as its seed starts it: the same one without attention, whatever attention it has."""
    import torch

    from ..training.key_trunk import take_parts

    torch.manual_seed(seed)
    plain = family.build(variant.images, False, False)
    network = family.build(variant.images, variant.contextual, variant.spatial)
    take_parts(network, plain.state_dict())
    family.as_plain(network)
    return network


def by_turns(keys: Sequence[KeySlice]) -> tuple[list[KeySlice], list[KeySlice]]:
    """Key slices of every second patient, and of the others.

    Raises:
        InputError: a single patient.
    """
    patients = sorted({key.patient for key in keys})
    first = set(patients[::2])
    if len(patients) < 2:
        raise InputError("A common trunk needs key slices of two patients at least.")
    return [k for k in keys if k.patient in first], [k for k in keys if k.patient not in first]


def _loop(steps: int, batch: int, seed: int) -> LoopSettings:
    from ..training.loop import LoopSettings

    return LoopSettings(
        steps=steps,
        batch=batch,
        learning_rate=1e-3,
        warmup=min(150, max(1, steps // 10)),
        seed=seed,
        checkpoint_every=100,
    )


def _fit(
    folder: Path,
    network: nn.Module,
    batches: Callable,
    loop: LoopSettings,
    loss: Callable,
    device: str,
    progress: Progress,
) -> nn.Module:
    from ..training.loop import train

    folder.mkdir(parents=True, exist_ok=True)
    settings = {"config": asdict(network.config), "loop": asdict(loop)}  # type: ignore[call-overload]
    write_text(folder / "run.json", json.dumps(settings, indent=1))
    return train(network, batches, loop, folder, device=device, batch_loss=loss, progress=progress)


def _key_slices(data: Path, split: str, kinds: set[str]) -> list[KeySlice]:
    keys = [k for k in read_synth_slices(data, split) if not kinds or kinds & set(k.types)]
    if not keys:
        raise InputError(f"{data}: no key slice of the split {split} with these lesions.")
    return keys


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise InputError(f"--window {text}: give two rising HU values, such as -150,250.")
    return low, high


__all__ = ["Comparison", "add_compare_arguments", "run_compare"]
