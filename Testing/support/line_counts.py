"""How many lines the product, the laboratory and the tests have, now and at an earlier commit.

`python Testing/support/line_counts.py [COMMIT]` prints a table; COMMIT is by default the last one before the
rooms. Blank lines, comments and docstrings are told apart from code.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEFORE_ROOMS = "12de617"
PARTS = ("product", "laboratory", "tests")
LIBRARY, LABORATORY = "LiverLesionAI/LiverLesionAILib/", "LiverLesionAI/LiverLesionAILab/"
LAB_FOLDERS = ("training/", "evaluation/", "synthesis/")
"""Where the laboratory was inside the library before it got a house of its own."""
LAB_NETWORKS = ("networks/attention_unet.py", "networks/danet_unet.py", "networks/se_unet.py")


def part_of(path: str) -> str | None:
    """What a file of the repository belongs to; None for what is no Python of ours."""
    if not path.endswith(".py"):
        return None
    if path.startswith("Testing/"):
        return "tests"
    if path.startswith(LABORATORY):
        return "laboratory"
    inside = path.removeprefix(LIBRARY)
    if path.startswith(LIBRARY) and (inside.startswith(LAB_FOLDERS) or inside in LAB_NETWORKS):
        return "laboratory"
    return "product" if path.startswith("LiverLesionAI/") else None


def code_lines(text: str) -> int:
    """Lines that hold something other than comments and docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    used: set[int] = set()
    for token in tokens:
        if token.type not in empty:
            used.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            used.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(used & set(range(1, len(text.splitlines()) + 1)))


def texts(commit: str | None) -> dict[str, str]:
    """Path -> text of the repository's files at a commit; None: as they lie here."""
    if commit is None:
        listed = _git("ls-files", "-z").split("\0")
        return {
            p: (ROOT / p).read_text(encoding="utf-8") for p in listed if part_of(p) and (ROOT / p).exists()
        }
    listed = [p for p in _git("ls-tree", "-r", "-z", "--name-only", commit).split("\0") if part_of(p)]
    return {path: _git("show", f"{commit}:{path}") for path in listed}


def counts(files: dict[str, str]) -> dict[str, Counter[str]]:
    """Part -> files, lines, code."""
    found = {part: Counter[str]() for part in PARTS}
    for path, text in files.items():
        part = part_of(path)
        if part:
            found[part].update(files=1, lines=len(text.splitlines()), code=code_lines(text))
    return found


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout.decode()


def main() -> int:
    commit = sys.argv[1] if len(sys.argv) > 1 else BEFORE_ROOMS
    before, now = counts(texts(commit)), counts(texts(None))
    print(f"{'':<12}{'files':>8}{'':>6}{'lines':>8}{'':>7}{'of them code':>13}")
    for part in PARTS:
        for name, found in ((commit, before), ("now", now)):
            f = found[part]
            print(f"{part:<12}{name:>8}{f['files']:>6}{f['lines']:>15}{f['code']:>13}")
    for part in PARTS:
        change = now[part]["code"] / max(1, before[part]["code"]) - 1
        print(f"{part}: {change:+.1%} code")
    return 0


if __name__ == "__main__":
    sys.exit(main())
