"""Python packages in a folder of their own, which a child process sees and this one does not.

Export needs packages that Slicer does not carry, in versions that may not go with those it carries (highdicom
wants pydicom 3). They are put into a folder of the user's by ``pip install --target``; only the child process
that exports looks there, and before anywhere else. Slicer's own packages are never changed.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from .errors import InputError, OutputError
from .files import output_error, rename
from .part_folders import PartFolder, clear_dead_parts
from .progress import Progress

VARIABLE = "LIVERLESIONAI_PACKAGES"
"""Names the folder to the child process."""

REQUIREMENTS = ("highdicom>=0.25", "jinja2>=3", "reportlab>=4", "pillow>=9")
"""The extra ``export`` of the package."""

CHILD = "LiverLesionAILib.cli.export_child"
"""The module that the child process runs."""

CASE_FOLDER, RESULT_FOLDER, RESULT_TEXT = "case", "result", "report.txt"
"""Where the child finds the findings, and leaves what it made, below the folder given to it; the text."""

ABOUT_MB = 60
"""What is downloaded for an export, roughly; numpy is the most of it."""

# Compiled packages of the application are made for its numpy: should the folder get one, then the same.
_HELD = ("numpy",)
_COMPLETE, _CONSTRAINTS = "installed.txt", "constraints.txt"
_HEARD_S = 0.2
_STEPS = (("Collecting", 0.1), ("Downloading", 0.3), ("Installing collected", 0.8), ("Successfully", 1.0))
_UNREACHABLE = re.compile(
    r"connection|resolve|network|timed out|timeout|proxy|ssl|unreachable|no matching distribution", re.I
)


def package_folder(settings_folder: Path) -> Path:
    """The folder for this Python below that of the application's settings; it may not be there yet."""
    return settings_folder / "LiverLesionAI" / f"packages-py{sys.version_info[0]}{sys.version_info[1]}"


def missing_packages(requirements: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The requirements that neither the folder nor this Python meets ("name" or "name>=version")."""
    there: dict[str, str] = {}
    # In the child's order: the folder first.
    for found in (metadata.distributions(path=[str(folder)]), metadata.distributions()):
        for one in found:
            there.setdefault(_plain(one.metadata["Name"] or ""), one.version)
    return tuple(r for r in requirements if not _met(r, there))


def _met(requirement: str, there: Mapping[str, str]) -> bool:
    name, _, least = requirement.partition(">=")
    version = there.get(_plain(name))
    return version is not None and _numbers(version) >= _numbers(least)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version.split("+")[0])[:3])


def child_environment(environment: Mapping[str, str], library: str, packages: str = "") -> dict[str, str]:
    """The environment of a child process that finds the library, and before it the packages' folder."""
    changed = dict(environment)
    paths = [packages, library, environment.get("PYTHONPATH", "")]
    changed["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if packages:
        changed[VARIABLE] = packages
        # What the user has installed for other programs must not come between.
        changed["PYTHONNOUSERSITE"] = "1"
    return changed


def put_first() -> None:
    """In the child, before anything else is imported: the folder goes to the front of ``sys.path``.

    PYTHONPATH alone would not do: Slicer's launcher puts its own ``site-packages`` before what is in it.
    """
    folder = os.environ.get(VARIABLE, "")
    if folder:
        sys.path[:] = [folder, *(path for path in sys.path if path != folder)]


def install_packages(
    requirements: Sequence[str], folder: Path, progress: Progress, python: str = sys.executable
) -> None:
    """Download the packages into the folder: beside it first, then renamed; one that is there is replaced.

    Args:
        progress: told of pip's steps; where it cancels, pip is ended and the folder is as it was.
        python: the interpreter whose pip is asked.

    Raises:
        InputError: pip is missing or failed; the text says what to do without internet.
        OutputError: no space or no permission.
        Cancelled: `progress` asked for it.
    """
    clear_dead_parts(folder.parent, _COMPLETE)
    try:
        part = PartFolder(folder)
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        (part.path / _CONSTRAINTS).write_text(_constraints(), encoding="utf-8")
        _run_pip(pip_command(python, part.path, requirements), folder, requirements, progress)
        (part.path / _COMPLETE).write_text("\n".join(requirements) + "\n", encoding="utf-8")
        part.release()
        _take_the_place_of(folder, part.path)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        part.discard()


def _take_the_place_of(folder: Path, made: Path) -> None:
    if folder.exists():
        old = folder.with_name(f"{made.name}-old")
        rename(folder, old)
        rename(made, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        rename(made, folder)


def pip_command(python: str, folder: Path, requirements: Sequence[str]) -> list[str]:
    """What is run to fill a folder, within the constraints that lie in it."""
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    options += ["--prefer-binary", "--no-warn-conflicts"]
    into = ["--target", str(folder), "--constraint", str(folder / _CONSTRAINTS)]
    return [python, "-m", "pip", "install", *options, *into, *requirements]


def _constraints() -> str:
    """Packages that others are compiled for stay at the version in use."""
    there = {_plain(d.metadata["Name"] or ""): d.version for d in metadata.distributions()}
    return "".join(f"{name}=={there[name]}\n" for name in _HELD if name in there)


def _run_pip(command: Sequence[str], folder: Path, requirements: Sequence[str], progress: Progress) -> None:
    progress("Asking for the packages", 0.0)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(list(command), text=True, encoding="utf-8", errors="replace", **quiet)  # type: ignore[call-overload]
    said: list[str] = []
    share = 0.0
    try:
        for line in _lines(process):
            if line:
                said.append(line)
                share = next((s for word, s in _STEPS if line.lstrip().startswith(word)), share)
            progress(_stage(said), share)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    if process.returncode:
        raise _failure("\n".join(said), folder, requirements, command[0])


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What the process says, line by line, and "" while it is silent, so that a cancel is heard."""
    heard: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard.put(line.rstrip())
        heard.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = heard.get(timeout=_HEARD_S)
        except queue.Empty:
            yield ""
            continue
        if line is None:
            return
        yield line


def _stage(said: Sequence[str]) -> str:
    words = said[-1].split() if said else []
    if words[:1] in (["Collecting"], ["Downloading"]) and len(words) > 1:
        return f"{words[0]} {words[1].rsplit('/', 1)[-1][:40]}"
    return "Installing the packages" if words[:1] == ["Installing"] else "Asking for the packages"


def _failure(said: str, folder: Path, requirements: Sequence[str], python: str) -> Exception:
    if "No module named pip" in said:
        return InputError(f"The packages could not be installed: {python} has no pip. Reinstall Slicer.")
    if "No space left" in said:
        return OutputError(f"{folder} could not be filled: the disk is full. Make room and try again.")
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lstrip().upper().startswith("ERROR")] or lines
    if not _UNREACHABLE.search(said):
        last = errors[-1].strip()[:300] if errors else "pip said nothing"
        return InputError(f"The packages could not be installed ({last}). Nothing was changed.")
    wanted = " ".join(f'"{r}"' for r in requirements)
    return InputError(
        "The packages could not be downloaded: this computer does not reach the internet, or a firewall "
        "holds it back. Nothing was changed. Without internet: on another computer with the same system and "
        f"Python {sys.version_info[0]}.{sys.version_info[1]} type: pip download -d wheels {wanted} - then "
        f'here, with the folder wheels beside you: "{python}" -m pip install --no-index -f wheels '
        f'--target "{folder}" {wanted}'
    )
