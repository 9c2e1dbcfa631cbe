"""`liverlesionai remnant`: what a resection takes from the liver of a case, and what it leaves."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..case.findings import CaseResult
    from ..case.remnant import Body
    from ..case.resection import ResectionWay
    from .tools import Commands


def add_remnant_command(commands: Commands) -> None:
    """The parser of `remnant`."""
    parser = commands.add_parser("remnant", help="volumes of a resection: what it takes, what it leaves")
    add = parser.add_argument
    add("case", type=Path, help="case folder")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--segments",
        metavar="NAMES",
        help="Couinaud segments that are resected: VI,VII (IV is IVa and IVb); needs `analyze --anatomy`",
    )
    way.add_argument(
        "--plane",
        metavar="X,Y,Z,NX,NY,NZ",
        help="a point of a plane and its normal, which points to what is resected; LPS, mm",
    )
    way.add_argument("--margin", type=float, metavar="MM", help="lesions with so much liver round them")
    way.add_argument(
        "--mask", type=Path, metavar="FILE", help="a mask of what is resected, NRRD or NIfTI, of any grid"
    )
    add("--lesions", metavar="NUMBERS", help="of --margin: 1,3 (default: all that count)")
    add("--height", type=float, metavar="CM", help="of the patient, with --weight: standardised remnant")
    add("--weight", type=float, metavar="KG", help="of the patient")
    add("--minimum", type=float, metavar="PERCENT", help="of the functional liver that you want to remain")
    add("--json", action="store_true", help="print the figures as JSON")
    add(
        "--save",
        action="store_true",
        help="keep the resection with the case: its findings, report and structured report then have it",
    )
    parser.set_defaults(run=run_remnant)


def run_remnant(args: argparse.Namespace) -> int:
    """Print the figures and the warnings."""
    from ..case.remnant import measure_remnant
    from ..case.resection import Resection
    from ..case.resection_json import remnant_json
    from ..case.store import load_result

    body = _body(args)
    if args.minimum is not None and not 0 < args.minimum <= 100:
        raise InputError(f"--minimum {args.minimum:g}: give per cent, above 0 to 100.")
    if args.lesions and args.margin is None:
        raise InputError("--lesions goes with --margin: the lesions that liver is resected round.")
    result = load_result(args.case)
    way, detail, mask_zyx = _resection(args, result)
    found = measure_remnant(
        result.liver_zyx,
        _counted(result),
        mask_zyx,
        result.geometry,
        body,
        args.minimum,
        result.anatomy,
    )
    if args.save:
        _save(
            replace(result, resection=Resection(way, detail, mask_zyx & result.liver_zyx, found)), args.case
        )
    print(json.dumps(remnant_json(found), indent=2) if args.json else found.text)
    return 0


def _save(result: CaseResult, folder: Path) -> None:
    """The case with its resection, and the tables that name it."""
    from ..case.store import save_result
    from ..writing.tables import write_tables

    save_result(result, folder)
    write_tables(result, folder)


def _body(args: argparse.Namespace) -> Body | None:
    from ..case.remnant import Body

    if (args.height is None) is not (args.weight is None):
        raise InputError("The standardised remnant needs both --height and --weight.")
    return None if args.height is None else Body(args.height, args.weight)


def _counted(result: CaseResult) -> NDArray[np.bool_]:
    """Lesions that are part of the findings."""
    import numpy as np

    counted = [one.number for one in result.lesions if one.status.counts]
    return np.isin(result.lesion_labels_zyx, counted) & (result.lesion_labels_zyx > 0)


def _resection(args: argparse.Namespace, result: CaseResult) -> tuple[ResectionWay, str, NDArray[np.bool_]]:
    """How it is chosen, in which detail, and what is resected, on the case's grid."""
    import numpy as np

    from ..case.anatomy import read_segments, segments_text
    from ..case.remnant import resected_beyond_plane, resected_round, resected_segments
    from ..case.resection import ResectionWay

    if args.segments is not None:
        if result.anatomy is None:
            raise InputError(f"{args.case} has no segments: analyse its CT with --anatomy.")
        try:
            named = read_segments(args.segments)
        except ValueError as error:
            raise InputError(f"--segments {args.segments}: {error}") from None
        return ResectionWay.SEGMENTS, segments_text(named), resected_segments(result.anatomy, named)
    if args.plane is not None:
        x, y, z, *normal = _numbers("--plane", args.plane, 6)
        beyond = resected_beyond_plane(
            result.liver_zyx, result.geometry, (x, y, z), (normal[0], normal[1], normal[2])
        )
        return ResectionWay.PLANE, "", beyond
    if args.margin is not None:
        lesions = _counted(result)
        if args.lesions:
            lesions &= np.isin(result.lesion_labels_zyx, _lesion_numbers(args.lesions, result))
        taken = resected_round(lesions, result.liver_zyx, result.geometry, args.margin)
        return ResectionWay.MARGIN, f"{args.margin:g}", taken
    return ResectionWay.MASK, args.mask.name, _mask(args.mask, result)


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise InputError(f"{option} {text}: give {count} numbers with commas between them.")
    return numbers


def _lesion_numbers(text: str, result: CaseResult) -> list[int]:
    known = {str(one.number): one.number for one in result.lesions}
    words = [word.strip() for word in text.split(",")]
    unknown = [word for word in words if word not in known]
    if unknown:
        raise InputError(f"There is no lesion {', '.join(unknown)}; lesions: {', '.join(known) or 'none'}.")
    return [known[word] for word in words]


def _mask(path: Path, result: CaseResult) -> NDArray[np.bool_]:
    """A mask from a file, on the case's grid."""
    from ..reading import load_ct
    from ..volume.ct import resample_labels

    given = load_ct(path)
    inside = (given.hu_zyx > 0).astype("uint8")
    return resample_labels(inside, given.geometry, result.geometry) > 0
