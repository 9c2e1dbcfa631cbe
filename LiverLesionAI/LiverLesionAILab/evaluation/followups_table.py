"""What `liverlesionai compare followups` has measured: rows, kept as a CSV, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from LiverLesionAILib.support.errors import InputError
from scipy import stats

from .followups_network import NetworkScore
from .row_tables import read_csv, write_csv


@dataclass(frozen=True, kw_only=True)
class PairRow(NetworkScore):
    """One simulated follow-up: how right it is, and of what it was.

    `lesions` are those to be placed, each counted once (a merge of two is one); what only the networks' masks
    have, from `alone` on, is 0 with true ones.

    Attributes:
        kind: "body" or "real"; masks: "true" or "network".
        residuals: matched lesions in both scans; near: those whose centres are within 8 mm.
        category, found: RECIST of the true masks and pairs, and as compared; "" without a target.
        possible: categories that are named as possible with `found`, with a bar between.
        refused: the registration was refused.
        dice: of the livers after registration.
        proposed ... split_found: once the reader has taken proposed splits, see
            :class:`.followups_network.NetworkComparison`.
    """

    name: str
    kind: str
    masks: str
    residuals: int = 0
    near: int = 0
    category: str
    found: str
    possible: str = ""
    refused: bool
    dice: float
    seconds: float
    proposed: int = 0
    accepted: int = 0
    split_matched: int = 0
    split_right: int = 0
    split_lesions: int = 0
    split_found: str = ""


def write_rows(rows: Sequence[PairRow], folder: Path) -> None:
    """followups.csv, one row a pair."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(rows, PairRow, folder / "followups.csv")


def read_rows(folder: Path) -> list[PairRow]:
    """The way back from :func:`write_rows`; nothing where there is no file.

    Raises:
        InputError: it is another version's.
    """
    path = folder / "followups.csv"
    if not path.exists():
        return []
    try:
        return read_csv(PairRow, path)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is of another version: remove it to compare anew.") from None


def followup_table(rows: Sequence[PairRow]) -> str:
    """Rates with their 95 % Wilson intervals, in Markdown."""
    lines = [
        "| masks | scans | pairs | matched right | state right | centres <= 8 mm | RECIST category right "
        "| refused | median s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for masks in ("true", "network"):
        for kind, chosen in _by_kind([r for r in rows if r.masks == masks]):
            total = sum(r.lesions for r in chosen)
            judged = [r for r in chosen if r.category]
            lines.append(
                f"| {masks} | {kind} | {len(chosen)} | {rate_text(sum(r.matched for r in chosen), total)} | "
                f"{rate_text(sum(r.right for r in chosen), total)} | "
                f"{rate_text(sum(r.near for r in chosen), sum(r.residuals for r in chosen))} | "
                f"{rate_text(sum(r.category == r.found for r in judged), len(judged))} | "
                f"{sum(r.refused for r in chosen)} | {median(r.seconds for r in chosen):.1f} |"
            )
    networks = [r for r in rows if r.masks == "network"]
    return "\n".join([*lines, *(_network_lines(networks) if networks else [])])


def _network_lines(rows: Sequence[PairRow]) -> list[str]:
    """What the networks' masks add to the table."""
    lines = [
        "",
        "| networks' masks | outlined alone: matched | state right | in one list only: not new or gone "
        "| truly new or gone: said so |",
        "|---|---|---|---|---|",
    ]
    for kind, chosen in _by_kind(rows):
        alone = sum(r.alone for r in chosen)
        lines.append(
            f"| {kind} | {rate_text(sum(r.alone_matched for r in chosen), alone)} | "
            f"{rate_text(sum(r.alone_right for r in chosen), alone)} | "
            f"{rate_text(sum(r.one_sided_right for r in chosen), sum(r.one_sided for r in chosen))} | "
            f"{rate_text(sum(r.single_right for r in chosen), sum(r.single for r in chosen))} |"
        )
    lines += [
        "",
        "| networks' masks | state wrong, and asked | state wrong, and said | category named as possible "
        "| none | wrong, and no other named |",
        "|---|---|---|---|---|---|",
    ]
    for kind, chosen in _by_kind(rows):
        judged, total = [r for r in chosen if r.category], sum(r.lesions for r in chosen)
        asked = sum(r.asked for r in chosen)
        said = total - asked - sum(r.right for r in chosen)
        wrong = [r for r in judged if r.category != r.found]
        lines.append(
            f"| {kind} | {rate_text(asked, total)} | {rate_text(said, total)} | "
            f"{rate_text(sum(r.category in r.possible.split('|') for r in judged), len(judged))} | "
            f"{sum(not r.found for r in wrong)} | {sum(r.possible == r.found != '' for r in wrong)} |"
        )
    lines += [
        "",
        "| networks' masks, proposed splits taken | splits proposed, taken | matched right | state right "
        "| RECIST category right |",
        "|---|---|---|---|---|",
    ]
    for kind, chosen in _by_kind(rows):
        judged = [r for r in chosen if r.category]
        total = sum(r.split_lesions for r in chosen)
        lines.append(
            f"| {kind} | {sum(r.proposed for r in chosen)}, {sum(r.accepted for r in chosen)} | "
            f"{rate_text(sum(r.split_matched for r in chosen), total)} | "
            f"{rate_text(sum(r.split_right for r in chosen), total)} | "
            f"{rate_text(sum(r.category == r.split_found for r in judged), len(judged))} |"
        )
    return lines


def _by_kind(rows: Sequence[PairRow]) -> Iterator[tuple[str, list[PairRow]]]:
    """Those of synthetic bodies, of real CTs, and all; where there are any."""
    for kind in ("body", "real", "all"):
        if chosen := [row for row in rows if kind in (row.kind, "all")]:
            yield kind, chosen


def rate_text(good: int, total: int) -> str:
    """With the 95 % Wilson interval; "-" of none."""
    if not total:
        return "-"
    low, high = stats.binomtest(good, total).proportion_ci(method="wilson")
    return f"{good} of {total}, {100 * good / total:.0f} % ({100 * low:.0f}-{100 * high:.0f})"
