"""`liverlesionai lirads`: the LI-RADS table for one lesion of a case, from what the reader says of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import InputError

if TYPE_CHECKING:
    from ..case.lirads import Proposal
    from .tools import Commands

ANSWERS = {"yes": True, "no": False}
PHASES = ("arterial", "portal", "delayed")


def add_lirads_command(commands: Commands) -> None:
    """The parser of `lirads`."""
    parser = commands.add_parser(
        "lirads", help="LI-RADS CT v2018 of a lesion, every step shown, from what the reader says of it"
    )
    add = parser.add_argument
    add("case", type=Path, help="case folder")
    add("--lesion", type=int, required=True, metavar="N", help="number of the lesion")
    for option, text in (
        ("--at-risk", "cirrhosis, chronic hepatitis B, or hepatocellular carcinoma now or before"),
        ("--vascular-or-congenital", "cirrhosis of a vascular or congenital cause"),
        ("--benign-excluded", "neither definitely nor probably benign"),
        ("--tumour-in-vein", "enhancing tissue in a vein"),
        ("--targetoid", "rim enhancement, washout at the edge, or another target-like look"),
        ("--aphe", "arterial enhancement, not of the rim alone"),
        ("--washout", "not at the edge alone"),
        ("--capsule", "a bright rim in the portal venous or delayed phase"),
    ):
        add(option, choices=tuple(ANSWERS), help=text)
    add(
        "--confirm-measured",
        action="store_true",
        help="you have looked: what was measured (phases, APHE, washout, capsule) counts where you say "
        "nothing else",
    )
    add("--age", type=float, metavar="YEARS", help="of the patient")
    add("--phases", default="", metavar="NAMES", help=f"that were looked at: {','.join(PHASES)}")
    add("--prior-mm", type=float, metavar="MM", help="its size in an earlier scan")
    add("--prior-months", type=float, metavar="MONTHS", help="how long before that was")
    parser.set_defaults(run=run_lirads)


def run_lirads(args: argparse.Namespace) -> int:
    """Print the steps and the category, or why there is none."""
    from ..case.lirads import AtRisk, Proposal, threshold_growth
    from ..case.lirads_answers import Answers, category, outcome
    from ..case.store import load_result

    result = load_result(args.case)
    lesion = next((one for one in result.lesions if one.number == args.lesion), None)
    if lesion is None:
        there = ", ".join(str(one.number) for one in result.lesions) or "none"
        raise InputError(f"{args.case} has no lesion {args.lesion}; its lesions: {there}.")
    phases, growth = _phases(args.phases), None
    if (args.prior_mm is None) is not (args.prior_months is None):
        raise InputError("Growth needs both --prior-mm and --prior-months.")
    if args.prior_mm is not None:
        if not args.prior_mm > 0:
            raise InputError(f"--prior-mm {args.prior_mm:g}: give a size above 0.")
        if lesion.measurement is not None:
            growth = threshold_growth(args.prior_mm, lesion.measurement.long_axis_mm, args.prior_months)
    said = {name: ANSWERS.get(value) for name, value in vars(args).items() if isinstance(value, str)}
    names = ("benign_excluded", "tumour_in_vein", "targetoid", "washout", "capsule")
    answers = Answers(
        **{name: said.get(name) for name in names},
        arterial_enhancement=said.get("aphe"),
        growth=growth,
        confirmed=args.confirm_measured,
    )
    patient = AtRisk(said.get("at_risk"), args.age, said.get("vascular_or_congenital"))
    found = category(patient, answers, lesion, phases)
    print(f"Lesion {lesion.number}, LI-RADS CT v2018:")
    for number, step in enumerate(found.steps, 1):
        print(f"  {number:>2}. {step.question} {step.answer}")
    if not args.confirm_measured and (line := _measured(Proposal.of(lesion.enhancement))):
        print(line)
    print(outcome(found))
    return 0


def _measured(proposal: Proposal) -> str:
    """What was measured, for the reader to look at; "" where nothing was."""
    names = {True: "yes", False: "no"}
    parts = [
        f"{text} {names[value]}"
        for text, value in (
            ("APHE", proposal.arterial_enhancement),
            ("washout", proposal.washout),
            ("capsule", proposal.capsule),
            ("rim-like arterial enhancement", proposal.targetoid),
        )
        if value is not None
    ]
    if not parts:
        return ""
    phases = ", ".join(phase.title for phase in proposal.phases)
    return (
        f"Measured ({phases}), not counted: {', '.join(parts)}. Look at the images; then say it, or give "
        "--confirm-measured."
    )


def _phases(text: str) -> tuple:
    from ..case.classes import Phase

    names = [name.strip() for name in text.split(",") if name.strip()]
    found = [Phase.of(name) for name in names]
    if None in found:
        wrong = next(name for name, phase in zip(names, found, strict=True) if phase is None)
        raise InputError(f"--phases: there is no phase {wrong!r}. Give some of {', '.join(PHASES)}.")
    return tuple(found)
