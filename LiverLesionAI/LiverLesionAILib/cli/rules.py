"""`liverlesionai rules`: every threshold and limit that decides what is reported."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from ..analysis.page import Line
    from ..analysis.rules import Rules
    from .tools import Commands


def add_rules_command(commands: Commands) -> None:
    """The parser of `rules`."""
    rules = commands.add_parser("rules", help="every threshold and limit: value, unit, reason, evidence")
    rules.add_argument("--segmenter", default="", help="with the calibration of this one; see `info`")
    rules.add_argument("--detector", default="", help="and of this one; none for masks only")
    rules.add_argument("--classifier", default="", help="and of this one")
    how = rules.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="for programs")
    how.add_argument("--markdown", action="store_true", help="as the table in the documentation")
    rules.set_defaults(run=run_rules)


def run_rules(args: argparse.Namespace) -> int:
    """Print the page, as the models that would run change it.

    Raises:
        LiverLesionAIError: there is no model of a name that is asked for.
    """
    from ..analysis.choice import Choice
    from ..analysis.rules import rules_of
    from ..analysis.settings import Settings
    from ..models.weights import Manifest

    settings = Settings(segmenter=args.segmenter, detector=args.detector, classifier=args.classifier)
    rules = rules_of(Choice.of(Manifest.read(), settings))
    if args.json:
        print(json.dumps(rules_json(rules), indent=1))
    else:
        print(rules_markdown(rules) if args.markdown else rules_text(rules))
    return 0


def rules_text(rules: Rules) -> str:
    """For reading in a terminal."""
    lines = []
    for line in rules.lines:
        if line.heading:
            lines += ["", line.heading, "-" * len(line.heading)]
        source = f"  [{line.set_by}]" if line.set_by else ""
        lines.append(f"{line.name}: {value_with_unit(line)}{source}")
        lines += textwrap.wrap(line.why, 100, initial_indent="    ", subsequent_indent="    ")
        lines.append(f"    Evidence: {line.evidence}")
    return "\n".join(lines).lstrip("\n")


def rules_json(rules: Rules) -> dict[str, Any]:
    """Plain types; "set_by" is "" for the page's own values."""
    values = rules.to_json()
    return {
        "version": __version__,
        "rules": [
            {
                "name": line.name,
                "value": values[line.name],
                "unit": line.unit,
                "reason": line.why,
                "evidence": line.evidence,
                "set_by": line.set_by,
            }
            for line in rules.lines
        ],
    }


def rules_markdown(rules: Rules) -> str:
    """The tables of the documentation."""
    rows = []
    for line in rules.lines:
        if line.heading:
            rows += [
                "",
                f"### {line.heading}",
                "",
                "| rule | value | set by | reason | evidence |",
                "| --- | --- | --- | --- | --- |",
            ]
        cells = (
            f"`{line.name}`",
            value_with_unit(line),
            line.set_by or "this page",
            line.why,
            evidence_cell(line.evidence),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows).lstrip("\n")


def evidence_cell(evidence: str) -> str:
    """Tests, commands and pages as code; what is known where there is nothing, as it is."""
    if evidence.startswith("none"):
        return evidence
    return ", ".join(f"`{one}`" for one in evidence.split("; "))


def value_with_unit(line: Line) -> str:
    """Such as "120 mL" or "0.5 (0..1)"."""
    unit = f"({line.unit})" if ".." in line.unit else line.unit
    return f"{value_text(line.value)} {unit}".rstrip()


def value_text(value: Any) -> str:
    """A value in short: "none" for None, rows of numbers in brackets."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        inner = ", ".join(value_text(one) for one in value)
        return f"({inner})" if any(isinstance(one, tuple) for one in value) else f"[{inner}]"
    return value if isinstance(value, str) else f"{value:g}"
