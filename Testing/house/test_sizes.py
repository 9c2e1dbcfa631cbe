"""No file and no function of product and laboratory is longer than a reader can hold in mind."""

from __future__ import annotations

import ast
from pathlib import Path

EXTENSION = Path(__file__).resolve().parents[2] / "LiverLesionAI"
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def test_files_and_functions_are_short() -> None:
    long = []
    for path in sorted(EXTENSION.rglob("*.py")):
        text, where = path.read_text(encoding="utf-8"), path.relative_to(EXTENSION)
        if (lines := len(text.splitlines())) > LONGEST_FILE:
            long.append(f"{where}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{where}:{node.lineno} {node.name}: {lines} lines")
    assert long == []
