"""What the whole line makes of synthetic gallbladders: counted as liver, listed as a lesion, lesions lost.

`liverlesionai gallbladders --line` runs what the product runs, from locating to the list, where
:mod:`.gallbladders` alone judges what would become of perfect candidates in the coarse network's liver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.overlap import dice

from ..training.gallbladder_cases import GallbladderBody
from .row_tables import read_csv, share_lines, write_csv

if TYPE_CHECKING:
    from LiverLesionAILib.case.findings import CaseResult

LITTLE_ML = 1.0
"""Less of a gallbladder than that in the liver changes no volume that anybody acts on."""
PARTLY = 0.25
"""A listed region is partly gallbladder from this share on. An outline that is a voxel of 1.5 mm too large
where a lesion of 16 mm, the median here, lies at the gallbladder with half its surface takes in a quarter:
what has more has not only a border in the wrong place."""
NOT_COUNTED = -1
"""`partly` of rows that were kept before it was counted."""


@dataclass(frozen=True)
class LineRow:
    """One synthetic scan through the whole line.

    Attributes:
        name: of the scan; state: its gallbladder's, "absent" without one.
        gallbladder_ml: of the true one with its wall; dice: of what is shown as gallbladder, NaN without one.
        liver_ml: of the true one, what is shown as liver (lesions included).
        listed: listed lesions that lie in it by half or more.
        lesions: beside the fossa; found: those that a listed lesion touches.
        swallowed: those that are shown as gallbladder by half or more.
        partly: listed lesions of which `PARTLY` or more lies in the true gallbladder, `listed` among them;
            `NOT_COUNTED` where that is not known.
    """

    name: str
    state: str
    gallbladder_ml: float
    dice: float
    liver_ml: float
    listed: int
    lesions: int
    found: int
    swallowed: int
    partly: int = NOT_COUNTED


def line_row(name: str, body: GallbladderBody, found: CaseResult) -> LineRow:
    """What became of a body's gallbladder and lesions, all on the body's grid."""
    truth = body.labels_zyx == 2
    voxel_ml = found.geometry.voxel_volume_mm3 / 1000.0
    shown = found.gallbladder_zyx if found.gallbladder_zyx is not None else np.zeros(truth.shape, bool)
    listed = found.lesion_labels_zyx
    sizes, inside = np.bincount(listed.ravel()), np.bincount(listed[truth], minlength=int(listed.max()) + 1)
    true_sizes = np.bincount(body.lesions_zyx.ravel())
    numbers = [n for n in range(1, len(true_sizes)) if true_sizes[n]]
    taken = np.bincount(body.lesions_zyx[shown], minlength=len(true_sizes))
    touched = np.bincount(body.lesions_zyx[listed > 0], minlength=len(true_sizes))
    return LineRow(
        name,
        body.state if truth.any() else "absent",
        float(truth.sum()) * voxel_ml,
        dice(truth, shown) if truth.any() else float("nan"),
        float((found.liver_zyx & truth).sum()) * voxel_ml,
        sum(bool(2 * inside[n] >= sizes[n] > 0) for n in range(1, len(sizes))),
        len(numbers),
        sum(bool(touched[n]) for n in numbers),
        sum(bool(2 * taken[n] >= true_sizes[n]) for n in numbers),
        sum(bool(inside[n] >= PARTLY * sizes[n] > 0) for n in range(1, len(sizes))),
    )


def line_rows(
    bodies: Mapping[str, Callable[[], GallbladderBody]], kept: Path | None, progress: Progress = silent
) -> Iterator[LineRow]:
    """Analyse bodies with the bundled networks, masks and boxes, without classes or attention maps.

    Args:
        bodies: by name; drawn only where their rows are missing.
        kept: CSV of rows that are there already and are not computed again; None without.
    """
    done = {row.name: row for row in read_line(kept)} if kept is not None and kept.exists() else {}
    store = ModelStore.bundled()
    settings = Settings(device="cpu", classifier=None, attention=False)
    for number, (name, draw) in enumerate(bodies.items(), start=1):
        if name not in done:
            body = draw()
            shape = tuple(int(n) for n in body.labels_zyx.shape)
            grid = Geometry(shape, body.spacing_zyx_mm, (0.0, 0.0, 0.0), np.eye(3))  # type: ignore[arg-type]
            ct = CtVolume(np.clip(body.hu_zyx, -160, 240), grid)
            done[name] = line_row(name, body, analyze(ct, settings, store))
            if kept is not None:
                write_csv(done.values(), LineRow, kept)
        progress("synthetic scans", number / len(bodies))
        yield done[name]


def line_table(rows: Sequence[LineRow]) -> str:
    """The aims with their 95 % intervals (Wilson), and a line per state."""
    own = [row for row in rows if row.gallbladder_ml > 0]
    lesions = sum(row.lesions for row in rows)
    counted_partly = [row for row in own if row.partly != NOT_COUNTED]
    clear = sum(not row.partly for row in counted_partly)
    shares = (
        (f"less than {LITTLE_ML:g} mL counted as liver", sum(r.liver_ml < LITTLE_ML for r in own), len(own)),
        ("gallbladder not listed", sum(not row.listed for row in own), len(own)),
        ("nothing listed is a quarter gallbladder or more", clear, len(counted_partly)),
        ("lesion at the fossa not taken for gallbladder", lesions - sum(r.swallowed for r in rows), lesions),
        ("lesion at the fossa found", sum(row.found for row in rows), lesions),
    )
    lines = share_lines("whole line", shares)
    lines += [
        "",
        "| gallbladder | n | Dice | listed | mL counted as liver (median) | largest |",
        "|---|---|---|---|---|---|",
    ]
    for state in sorted({row.state for row in own}):
        some = [row for row in own if row.state == state]
        counted = [row.liver_ml for row in some]
        lines.append(
            f"| {state} | {len(some)} | {np.mean([row.dice for row in some]):.3f} | "
            f"{sum(row.listed > 0 for row in some)} | {np.median(counted):.1f} | {max(counted):.1f} |"
        )
    return "\n".join(lines)


def read_line(path: Path) -> list[LineRow]:
    """Rows that were kept.

    Raises:
        InputError: it is no such table.
    """
    try:
        return read_csv(LineRow, path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no rows as `gallbladders --line --out` writes them ({error}).") from error
