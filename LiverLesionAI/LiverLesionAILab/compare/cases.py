"""`liverlesionai compare cases A B`: whether two runs over the same CTs found the same, to the bit.

A and B are case folders, or folders of case folders that are matched by name. Compared are masks, probability
and attention maps, lesions (number, class, score, box), and everything in `findings.json`; not compared is
what a run says of itself: seconds, device, version, manifest of the run, identifiers drawn by chance.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.findings import CaseResult, Lesion
from LiverLesionAILib.case.store import CASE_FILE, load_result
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.overlap import Counts
from numpy.typing import NDArray

FINDINGS_FILE = "findings.json"
OF_THE_RUN = ("seconds", "device", "version", "format_version", "run", "tracking_uid")
"""Keys of findings.json that describe the run and not what was found."""


@dataclass(frozen=True)
class Tolerance:
    """What two runs may differ by and still count as the same.

    Attributes:
        voxels: of each mask.
        number: |a - b| may be this share of the larger of 1, |a| and |b|.
        ignored: keys of findings.json that are left out besides those of the run.
    """

    voxels: int = 0
    number: float = 0.0
    ignored: tuple[str, ...] = ()

    def same(self, a: Any, b: Any) -> bool:
        """Whether two values are the same within the tolerance; NaN is like NaN."""
        if _is_number(a) and _is_number(b):
            if math.isnan(a) or math.isnan(b):
                return math.isnan(a) and math.isnan(b)
            return abs(a - b) <= self.number * max(1.0, abs(a), abs(b))
        return bool(a == b)


@dataclass(frozen=True)
class Difference:
    """One thing that two runs do not agree on.

    Attributes:
        where: such as "lesions[0].score".
        a, b: what each says; None where one says nothing.
    """

    where: str
    a: Any
    b: Any

    def __str__(self) -> str:
        texts = ("nothing" if value is None else f"{value}" for value in (self.a, self.b))
        return f"{self.where}: {' -> '.join(texts)}"


@dataclass(frozen=True)
class MaskAgreement:
    """Two masks of one CT.

    Attributes:
        name: for the table.
        dice: 1 where both are empty.
        differing: voxels that only one of them holds (of labels: that they hold with different numbers).
    """

    name: str
    dice: float
    differing: int


@dataclass(frozen=True)
class CaseAgreement:
    """Two runs over one CT.

    Attributes:
        name: of the case.
        masks: liver and lesions.
        lesions: a line for each lesion.
        compared: values of findings.json that both have or one lacks.
        differences: what is beyond the tolerance, masks included.
    """

    name: str
    masks: tuple[MaskAgreement, ...]
    lesions: tuple[str, ...]
    compared: int
    differences: tuple[Difference, ...]

    @property
    def text(self) -> str:
        """The case's lines of the printed table."""
        lines = [f"{self.name}: {'the same' if not self.differences else 'DIFFERENT'}"]
        lines += [f"  {m.name:<9} Dice {m.dice:.6f}, {m.differing} voxels differ" for m in self.masks]
        lines += [f"  {line}" for line in self.lesions]
        lines.append(f"  {FINDINGS_FILE}: {self.compared} values compared")
        return "\n".join([*lines, *(f"    {difference}" for difference in self.differences)])


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare cases`."""
    parser.add_argument("a", type=Path, metavar="A", help="a case folder, or a folder of case folders")
    parser.add_argument("b", type=Path, metavar="B", help="the same of another run")
    parser.add_argument("--voxels", type=int, default=0, help="of each mask that may differ (default 0)")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="SHARE", help="of a number's size (default 0)"
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="KEY", help=f"of {FINDINGS_FILE}; may be repeated"
    )
    parser.add_argument("--common", action="store_true", help="only cases that are in both folders")


def run_compare_cases(
    args: argparse.Namespace,
    progress: object = None,  # noqa: ARG001 (every command gets one)
    say: Callable[[str], None] = print,
) -> int:
    """Print every case and what differs.

    Returns:
        0 where nothing differs beyond the tolerances, else 1.

    Raises:
        InputError: a folder holds no case, cannot be read, or lacks a case of the other.
    """
    tolerance = Tolerance(args.voxels, args.tolerance, tuple(args.ignore))
    agreements = []
    for name, (a, b) in case_pairs(args.a, args.b, common=args.common).items():
        agreements.append(compare_cases(name, a, b, tolerance))
        say(agreements[-1].text)
    different = [agreement.name for agreement in agreements if agreement.differences]
    say(
        f"{len(agreements)} cases, {len(agreements) - len(different)} the same"
        + (f"; different: {', '.join(different)}" if different else "")
        + f" (tolerance: {args.voxels} voxels, {args.tolerance:g} of a number)"
    )
    return 1 if different else 0


def case_pairs(a: Path, b: Path, *, common: bool = False) -> dict[str, tuple[Path, Path]]:
    """Case name -> its two folders.

    Args:
        common: leave out cases that only one folder holds, instead of refusing.

    Raises:
        InputError: no cases, or, without `common`, not the same ones.
    """
    if (a / CASE_FILE).is_file() and (b / CASE_FILE).is_file():
        return {a.name: (a, b)}
    names = [{p.parent.name for p in folder.glob(f"*/{CASE_FILE}")} for folder in (a, b)]
    both = sorted(names[0] & names[1])
    if not both:
        raise InputError(f"{a} and {b} have no case folder in common. Name two case folders or two sets.")
    odd = sorted(names[0] ^ names[1])
    if odd and not common:
        raise InputError(f"Only one of {a} and {b} holds {', '.join(odd)}. Compare the others with --common.")
    return {name: (a / name, b / name) for name in both}


def compare_cases(name: str, a: Path, b: Path, tolerance: Tolerance = Tolerance()) -> CaseAgreement:
    """Compare two case folders.

    Raises:
        InputError: a folder holds no case, or it is damaged.
    """
    first, second = load_result(a), load_result(b)
    differences: list[Difference] = []
    if not first.geometry.matches(second.geometry):
        differences.append(Difference("grid", first.geometry.shape_zyx, second.geometry.shape_zyx))
        return CaseAgreement(name, (), (), 0, tuple(differences))
    masks = (
        _masks("liver", first.liver_zyx, second.liver_zyx),
        _masks("lesions", first.lesion_labels_zyx, second.lesion_labels_zyx),
    )
    differences += [
        Difference(f"mask of {mask.name}", "voxels", mask.differing)
        for mask in masks
        if mask.differing > tolerance.voxels
    ]
    differences += _maps(first, second, tolerance)
    lines = []
    for one, other in matched_lesions(first, second):
        lines.append(
            f"lesion {_short(one)}" + ("" if _short(one) == _short(other) else f" -> {_short(other)}")
        )
        differences += _lesion_differences(one, other, tolerance)
    values = [flat(_findings(folder), tolerance.ignored) for folder in (a, b)]
    keys = [*values[0], *(key for key in values[1] if key not in values[0])]
    differences += [
        Difference(f"{FINDINGS_FILE} {key}", values[0].get(key), values[1].get(key))
        for key in keys
        if not (key in values[0] and key in values[1] and tolerance.same(values[0][key], values[1][key]))
    ]
    return CaseAgreement(name, masks, tuple(lines), len(keys), tuple(differences))


def matched_lesions(a: CaseResult, b: CaseResult) -> list[tuple[Lesion | None, Lesion | None]]:
    """Lesions of two results on one grid, each with the one whose mask it shares most voxels with.

    None where there is none. Every lesion is in one pair.
    """
    shared = np.zeros(
        (int(a.lesion_labels_zyx.max(initial=0)) + 1, int(b.lesion_labels_zyx.max(initial=0)) + 1)
    )
    both = (a.lesion_labels_zyx > 0) & (b.lesion_labels_zyx > 0)
    np.add.at(shared, (a.lesion_labels_zyx[both], b.lesion_labels_zyx[both]), 1)
    left = {lesion.number: lesion for lesion in b.lesions}
    pairs: list[tuple[Lesion | None, Lesion | None]] = []
    for lesion in a.lesions:
        row = shared[lesion.number] if lesion.number < len(shared) else np.zeros(1)
        most = int(row.argmax()) if row.any() else 0
        pairs.append((lesion, left.pop(most, None)))
    return [*pairs, *((None, lesion) for lesion in left.values())]


def flat(value: Any, ignored: tuple[str, ...] = (), where: str = "") -> dict[str, Any]:
    """Nested JSON as path -> number, text or None, without the keys of the run and the ignored ones."""
    return dict(_leaves(value, (*OF_THE_RUN, *ignored), where))


def _leaves(value: Any, ignored: tuple[str, ...], where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ignored:
                yield from _leaves(inner, ignored, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, ignored, f"{where}[{index}]")
    else:
        yield where, value


def _findings(folder: Path) -> Any:
    path = folder / FINDINGS_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Analyse the CT again.") from error


def _masks(name: str, a: NDArray, b: NDArray) -> MaskAgreement:
    inside, other = a > 0, b > 0
    counts = Counts(
        int((inside & other).sum()),
        int((other & ~inside).sum()),
        int((inside & ~other).sum()),
        int((~inside & ~other).sum()),
    )
    return MaskAgreement(name, counts.dice, int((a != b).sum()))


def _maps(a: CaseResult, b: CaseResult, tolerance: Tolerance) -> Iterator[Difference]:
    """Probability and attention maps, by name."""
    of = [
        {
            **{f"probability of {name}": p.values_zyx for name, p in result.probabilities.items()},
            **{f"map {shown.name}": shown.values_zyx for shown in result.attention},
        }
        for result in (a, b)
    ]
    for name in sorted({*of[0], *of[1]}):
        one, other = of[0].get(name), of[1].get(name)
        if one is None or other is None or one.shape != other.shape:
            shapes = (None if values is None else f"shape {values.shape}" for values in (one, other))
            yield Difference(name, *shapes)
            continue
        differing = int((one != other).sum())
        if differing > tolerance.voxels:
            most = float(np.abs(one.astype(np.float64) - other).max())
            yield Difference(name, f"{differing} voxels differ", f"by up to {most:.3g}")


def _lesion_differences(a: Lesion | None, b: Lesion | None, tolerance: Tolerance) -> Iterator[Difference]:
    if a is None or b is None:
        yield Difference("lesion", None if a is None else _short(a), None if b is None else _short(b))
        return
    pairs = {
        "number": (a.number, b.number),
        "class": (a.shown_class, b.shown_class),
        "found by": (a.source.value, b.source.value),
        "status": (a.status.value, b.status.value),
        "score": (a.score, b.score),
        **{
            f"box {part}[{k}]": (getattr(a.box, part)[k], getattr(b.box, part)[k])
            for part in ("centre_lps", "size_xyz_mm")
            for k in range(3)
        },
    }
    for what, (one, other) in pairs.items():
        if not tolerance.same(one, other):
            yield Difference(f"lesion {a.number} {what}", one, other)


def _short(lesion: Lesion | None) -> str:
    if lesion is None:
        return "none"
    size = " x ".join(f"{edge:.1f}" for edge in lesion.box.size_xyz_mm)
    return f"{lesion.number}: {lesion.shown_class or 'no class'}, score {lesion.score:.4f}, box {size} mm"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
