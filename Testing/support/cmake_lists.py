"""The lists of files in the module's CMakeLists.txt: ``python Testing/support/cmake_lists.py [--write]``.

An installed extension holds only what is listed there. Without --write it tells what is missing or too much.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "LiverLesionAI"
LIBRARY = MODULE / "LiverLesionAILib"
CMAKE = MODULE / "CMakeLists.txt"
SCRIPTS, RESOURCES = "MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"


def wanted() -> dict[str, list[str]]:
    """What has to be listed, by the name of the list."""
    scripts = [MODULE / "LiverLesionAI.py", *LIBRARY.rglob("*.py")]
    scripts = [path for path in scripts if "__pycache__" not in path.parts]
    resources = [
        path
        for folder in (MODULE / "Resources", LIBRARY / "data")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".py" and not path.name.startswith(".")
    ]
    return {
        SCRIPTS: sorted(path.relative_to(MODULE).as_posix() for path in scripts),
        RESOURCES: sorted(path.relative_to(MODULE).as_posix() for path in resources),
    }


def listed(text: str) -> dict[str, list[str]]:
    """What is listed."""
    found = {}
    for name in (SCRIPTS, RESOURCES):
        match = re.search(rf"set\({name}\n(.*?)  \)", text, re.S)
        if match is None:
            raise SystemExit(f"{CMAKE} has no list {name}")
        found[name] = [line.strip() for line in match.group(1).splitlines() if line.strip()]
    return found


def written(text: str) -> str:
    """The file's text with both lists as wanted."""
    for name, files in wanted().items():
        lines = "".join(f"  {file}\n" for file in files)
        text = re.sub(
            rf"(set\({name}\n).*?(  \))", lambda m, lines=lines: m[1] + lines + m[2], text, flags=re.S
        )
    return text


def main() -> int:
    text = CMAKE.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        CMAKE.write_text(written(text), encoding="utf-8")
        return 0
    right = True
    for name, files in wanted().items():
        for file in sorted(set(files) ^ set(listed(text)[name])):
            print(f"{name}: {'missing' if file in files else 'no such file'}: {file}")
            right = False
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
