"""What all commands that analyse share: their options, and the job made of them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.settings import OPERATING_POINTS
from ..support.errors import LiverLesionAIError
from .progress_bar import add_progress_option

if TYPE_CHECKING:
    from ..analysis.rules import Rules
    from ..analysis.settings import Settings
    from ..models.weights import ModelStore


def add_analysis_options(parser: argparse.ArgumentParser) -> None:
    """Which networks, thresholds and files: the options of every command that analyses."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--segmenter", default="", help="which segmentation model; see `info`")
    _add_class_options(parser)
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
        "--liver-threshold", type=float, help="voxel probability, 0..1, instead of the calibrated one"
    )
    parser.add_argument(
        "--tumour-threshold", type=float, help="voxel probability, 0..1, instead of the calibrated one"
    )
    parser.add_argument(
        "--score-threshold", type=float, help="lesion score, 0..1, instead of the calibrated one"
    )
    parser.add_argument(
        "--operating-point",
        choices=OPERATING_POINTS,
        default="default",
        help="strict: fewer false findings; sensitive: fewer missed ones; what each costs is in EVIDENCE.md",
    )
    parser.add_argument(
        "--detector-threshold", type=float, help="score of lesions that only the detector finds, 0..1"
    )
    parser.add_argument(
        "--smallest-mm", type=float, help="leave out smaller lesions (default: the page's; see `rules`)"
    )
    parser.add_argument(
        "--like",
        type=Path,
        metavar="CASE.json",
        help="by the models, settings and rules of that case; refused where weights or version differ",
    )
    parser.add_argument("--no-pictures", action="store_true", help="write no PNG pictures")
    parser.add_argument("--no-scene", action="store_true", help="write no scene.mrb for 3D Slicer")
    parser.add_argument(
        "--no-gallbladder", action="store_true", help="do not look for it: it may stay among the lesions"
    )
    parser.add_argument(
        "--anatomy",
        action="store_true",
        help="also vessels, Couinaud segments and each lesion's place among them",
    )
    parser.add_argument("--no-attention", action="store_true", help="make no attention maps")
    parser.add_argument("--timings", action="store_true", help="print the seconds of each stage")
    add_progress_option(parser)


def _add_class_options(parser: argparse.ArgumentParser) -> None:
    """Which classes lesions get."""
    parser.add_argument(
        "--classify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give every lesion a class (default: yes, where there is a classifier)",
    )
    parser.add_argument("--classifier", default="", help="which classification model; see `info`")
    parser.add_argument(
        "--classes",
        choices=["clinical", "paper"],
        help="clinical: what the phase can show, by measurements and network (default); paper: the network's "
        "five published classes",
    )
    parser.add_argument(
        "--class-priors",
        metavar="CLASS=SHARE,... or SETTING",
        help="how often a lesion is of a class in your patients, e.g. HCC=0.4; the others share the rest as "
        "`rules` states them; or a setting: staging, incidental, at-risk, even",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """From the options of :func:`add_analysis_options`.

    Raises:
        LiverLesionAIError: a threshold outside 0..1, or scales or shares that cannot be read.
    """
    from ..analysis.rules import Rules
    from ..analysis.settings import Settings, parse_class_priors
    from ..models.inputs import parse_pyramid

    for name in ("liver_threshold", "tumour_threshold", "score_threshold", "detector_threshold"):
        value = getattr(args, name)
        if value is not None and not 0 < value < 1:
            raise LiverLesionAIError(f"--{name.replace('_', '-')} {value}: give a number between 0 and 1.")
    return Settings(
        segmenter=args.segmenter,
        classifier=args.classifier if args.classify else None,
        detector=args.detector,
        device=args.device,
        precision=args.precision,
        liver_threshold=args.liver_threshold,
        tumour_threshold=args.tumour_threshold,
        score_threshold=args.score_threshold,
        detector_threshold=args.detector_threshold,
        smallest_mm=args.smallest_mm,
        pyramid=parse_pyramid(args.pyramid),
        attention=not args.no_attention,
        classes=args.classes,
        class_priors=parse_class_priors(args.class_priors, Rules().differential_priors),
        gallbladder=not args.no_gallbladder,
        operating_point=args.operating_point,
    )


OF_THIS_RUN = {"like", "device", "no_attention", "no_pictures", "no_scene", "timings", "progress", "anatomy"}
"""Options that `--like` leaves open; it decides all others."""


def same_rules(args: argparse.Namespace, models: ModelStore) -> tuple[Settings, Rules]:
    """Settings and rules of the case that `--like` names; device and maps are chosen anew.

    Raises:
        LiverLesionAIError: options that `--like` decides were given too, or the case cannot be followed.
    """
    from ..analysis.like import like_case

    plain = argparse.ArgumentParser()
    add_analysis_options(plain)
    defaults = vars(plain.parse_args([]))
    given = [name for name in defaults if name not in OF_THIS_RUN and getattr(args, name) != defaults[name]]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise LiverLesionAIError(f"--like takes the rules of that case as they are: leave out {options}.")
    settings, rules = like_case(args.like, models.manifest)
    return replace(settings, device=args.device, attention=not args.no_attention), rules


@dataclass(frozen=True)
class Job:
    """What all analyses of one command share.

    Attributes:
        models: kept warm.
        settings, rules: by which they are made; without rules the page's.
        pictures: whether pictures are drawn; scene: whether one is written.
        anatomy: whether vessels and segments are wanted.
    """

    models: ModelStore
    settings: Settings
    rules: Rules | None
    pictures: bool
    scene: bool = True
    anatomy: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> Job:
        """From the options of :func:`add_analysis_options`.

        Raises:
            LiverLesionAIError: an option makes no sense, or the case of `--like` cannot be followed.
        """
        from ..models.weights import ModelStore

        models = ModelStore.bundled()
        settings, rules = (settings_of(args), None) if args.like is None else same_rules(args, models)
        return cls(models, settings, rules, not args.no_pictures, not args.no_scene, args.anatomy)

    def rules_used(self) -> Rules:
        """Those that an analysis of this command is made by."""
        from ..analysis.choice import Choice
        from ..analysis.rules import rules_of

        return self.rules or rules_of(Choice.of(self.models.manifest, self.settings))
