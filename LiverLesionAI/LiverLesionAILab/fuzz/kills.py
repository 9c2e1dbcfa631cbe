"""`liverlesionai kills CT`: `analyze`, `batch` and a panel's run killed at random moments, and what is left.

After every kill: the case folder is whole or not there, an earlier one is as it was, no process runs on.
After a signal that can be heard nothing else is left either, and the exit status is 130; what SIGKILL leaves
is gone after the next run that ends. A panel's run has two processes: where the panel dies the worker ends
too, where the worker dies the panel says so and tidies up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import LiverLesionAILib
from LiverLesionAILib.cli.batch_plan import INDEX_FILE
from LiverLesionAILib.panel.run.temp_folders import remove_stale_folders
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.part_folders import YOUNG_S
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.writing.case_folder import MARKER

from .panel_side import LOST

PANEL = "panel"
COMMANDS = ("analyze", "batch", PANEL)
QUICK = ("--device", "cpu", "--pyramid", "0.6", "--detector", "none", "--no-classify", "--no-attention")
END_S = 60.0
"""A command that was asked to end has to be gone by then; on a busy machine the scene takes some seconds."""


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        moment_s: after the start.
        status: exit status; negative: the signal's number.
        wrong: what is not as it should be, in sentences; empty where all is well.
    """

    command: str
    signal: str
    moment_s: float
    status: int
    wrong: tuple[str, ...]


def add_kills_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `kills`."""
    parser.add_argument("ct", type=Path, help="a CT file; a small one, since it is analysed again and again")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="empty folder for the runs")
    parser.add_argument("--count", type=int, default=100, help="kills, a third of each command (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of moments and signals")
    parser.add_argument("--pictures", action="store_true", help="draw pictures too: slower, more processes")


def run_kills(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Kill the commands as the options say, and write `kills.json`.

    Returns:
        0; 1 where something was wrong after any kill.

    Raises:
        InputError: the folder is not empty, or a run that nobody kills fails.
    """
    if os.name == "nt":
        raise InputError("kills needs a POSIX system: it looks for the processes that are left.")
    if args.out.exists() and any(args.out.iterdir()):
        raise InputError(f"{args.out} is not empty. Choose a new folder.")
    options = QUICK if args.pictures else (*QUICK, "--no-pictures")
    rng = random.Random(args.seed)
    kills: list[Kill] = []
    stands: dict[str, Stand] = {}
    whole_s: dict[str, float] = {}
    try:
        # By turns, so that a run that is ended early says something of each.
        for index in range(args.count):
            command = COMMANDS[index % len(COMMANDS)]
            progress(f"killing {command}, {index + 1} of {args.count}", index / args.count)
            if command not in stands:
                kind = PanelStand if command == PANEL else Stand
                stands[command] = kind(args.ct, args.out / command, command, options)
                whole_s[command] = stands[command].run_whole()
            if index // len(COMMANDS) % 2 == 0:
                stands[command].clear()
            number = rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            kills.append(stands[command].kill(number, rng.uniform(0.0, 1.05 * whole_s[command])))
            _write(kills, args.out)
            for sentence in kills[-1].wrong:
                say(f"{command}, {kills[-1].signal} after {kills[-1].moment_s:.2f} s: {sentence}")
        for command, stand in stands.items():
            stand.run_again()
            if left := stand.left_over():
                kills.append(Kill(command, "none", 0.0, 0, (f"the next run left {', '.join(left)}",)))
                _write(kills, args.out)
                say(f"{command}: {kills[-1].wrong[0]}")
    finally:
        for stand in stands.values():
            stand.end()
    for (command, name), count in sorted(Counter((kill.command, kill.signal) for kill in kills).items()):
        own = [kill for kill in kills if (kill.command, kill.signal) == (command, name)]
        statuses = Counter(kill.status for kill in own)
        listed = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
        say(f"{command}, {name}: {count} kills; exit status {listed}")
    wrong = sum(bool(kill.wrong) for kill in kills)
    say(f"{len(kills)} kills, {wrong} with something wrong; {args.out / 'kills.json'}")
    return 1 if wrong else 0


def _write(kills: Sequence[Kill], folder: Path) -> None:
    write_text(folder / "kills.json", json.dumps([asdict(kill) for kill in kills], indent=1) + "\n")


class Stand:
    """A folder where one command is run and killed."""

    def __init__(self, ct: Path, folder: Path, command: str, options: Sequence[str]) -> None:
        self._folder, self._command = folder, command
        self._results = folder / "results"
        self._last: subprocess.Popen[bytes] | None = None
        self._results.mkdir(parents=True)
        self._call = (sys.executable, "-m", *self._arguments(ct, options))
        root = Path(LiverLesionAILib.__file__).resolve().parents[1]
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
        self._environment = {**os.environ, "PYTHONPATH": path}

    def _arguments(self, ct: Path, options: Sequence[str]) -> tuple[str, ...]:
        command = ("LiverLesionAILib.cli.main", self._command, *options)
        if self._command == "batch":
            (self._folder / "cts").mkdir()
            given = self._folder / "cts" / ct.name
            shutil.copyfile(ct, given)
            return (*command, str(given.parent), "--out", str(self._results), "--again")
        return (*command, str(ct), "--out", str(self._results / "case"))

    def run_again(self) -> None:
        """A run that nobody kills, when what dead ones left, if anything, is old enough to be cleared."""
        if self.left_over():
            time.sleep(YOUNG_S + 1.0)
        self.run_whole()

    def run_whole(self) -> float:
        """A run that nobody kills; its seconds."""
        started = time.monotonic()
        process = self._start()
        if process.wait() != 0:
            said = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace")
            raise InputError(f"{self._command} failed by itself: {said.strip().splitlines()[-1:]}")
        if not self._is_done():
            raise LiverLesionAIError(f"{self._command} ended and left no case folder.")
        return time.monotonic() - started

    def end(self) -> None:
        """Nothing of it runs on when the kills themselves are ended."""
        if self._last is not None and self._last.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._last.pid, signal.SIGKILL)
            self._last.wait()

    def clear(self) -> None:
        """Forget earlier results; what dead runs left stays."""
        for path in self._results.iterdir():
            if not path.name.startswith("."):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def kill(self, number: signal.Signals, moment_s: float) -> Kill:
        """Start the command, send it a signal, and look at what is left."""
        before, hidden = self._content(), set(self.left_over())
        process = self._start()
        try:
            process.wait(moment_s)
        except subprocess.TimeoutExpired:
            # As a terminal does: to the whole group. Others hit the one process.
            os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        wrong = []
        try:
            status = process.wait(END_S)
        except subprocess.TimeoutExpired:
            wrong.append(f"it ran on for {END_S:.0f} s")
            status = -9999
        if orphans := self._orphans(process.pid):
            wrong.append(f"processes run on: {orphans}")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        after = self._content()
        for name, files in after.items():
            if files != before.get(name) and not _whole(self._results / name):
                wrong.append(f"{name} is not whole")
        wrong += [f"the earlier {name} is gone" for name in before.keys() - after.keys()]
        if number != signal.SIGKILL:
            if status not in (0, 130, -number):
                wrong.append(f"exit status {status}")
            if new := set(self.left_over()) - hidden:
                wrong.append(f"left behind: {', '.join(sorted(new))}")
        return Kill(self._command, number.name, round(moment_s, 3), status, tuple(wrong))

    def left_over(self) -> list[str]:
        """Hidden files and folders among the results, without the batch's own list of its cases."""
        hidden = (path.name for path in self._results.iterdir() if path.name.startswith("."))
        return sorted(name for name in hidden if name != INDEX_FILE)

    def _is_done(self) -> bool:
        return any((path / MARKER).is_file() for path in self._results.iterdir())

    def _content(self) -> dict[str, dict[str, int]]:
        """Of every case folder the files and when each was changed, ns."""
        folders = [p for p in self._results.iterdir() if p.is_dir() and not p.name.startswith(".")]
        return {
            folder.name: {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
            for folder in folders
        }

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._folder / "log.txt").open("wb") as log:
            self._last = subprocess.Popen(
                self._call,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._last

    @staticmethod
    def _orphans(group: int, within_s: float = 15.0) -> list[int]:
        """Processes of the group that still run after some seconds."""
        end_s = time.monotonic() + within_s
        while (left := _group(group)) and time.monotonic() < end_s:
            time.sleep(0.1)
        return left


class PanelStand(Stand):
    """A folder of temporary cases, where the panel's side of a run or its worker is killed."""

    def _arguments(self, ct: Path, options: Sequence[str]) -> tuple[str, ...]:
        return ("LiverLesionAILab.fuzz.panel_side", str(ct), str(self._results))

    def run_again(self) -> None:
        self.run_whole()

    def clear(self) -> None:
        """Nothing: a panel that starts clears by itself."""

    def kill(self, number: signal.Signals, moment_s: float) -> Kill:
        """SIGKILL and SIGTERM end the panel's side; in the place of SIGINT its worker is killed."""
        process = self._start()
        try:
            process.wait(moment_s)
        except subprocess.TimeoutExpired:
            worker = self._worker() if number == signal.SIGINT else None
            if worker is None:
                process.send_signal(number)
            else:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        wrong = []
        try:
            status = process.wait(END_S)
        except subprocess.TimeoutExpired:
            wrong.append(f"it ran on for {END_S:.0f} s")
            status = -9999
            process.kill()
        if orphans := self._orphans(process.pid):
            wrong.append(f"processes run on: {orphans}")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if status >= 0 and (left := self.left_over()):
            wrong.append(f"left behind: {', '.join(left)}")
        if status not in (0, LOST, -number):
            wrong.append(f"exit status {status}")
        remove_stale_folders(str(self._results))
        if left := self.left_over():
            wrong.append(f"not cleared by the next panel: {', '.join(left)}")
        name = "SIGKILL of the worker" if number == signal.SIGINT else number.name
        return Kill(self._command, name, round(moment_s, 3), status, tuple(wrong))

    def left_over(self) -> list[str]:
        return sorted(path.name for path in self._results.iterdir())

    def _is_done(self) -> bool:
        return not self.left_over()

    def _worker(self) -> int | None:
        """The worker's number; None before it has been started."""
        said = re.search(r"^worker (\d+)$", (self._folder / "log.txt").read_text(encoding="utf-8"), re.M)
        return int(said[1]) if said else None


def _group(group: int) -> list[int]:
    done = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [int(pid) for pid, pgid, state, *_ in rows if int(pgid) == group and state[0] not in "ZX"]


def _whole(folder: Path) -> bool:
    """Whether a case folder has the file that names all others, and these."""
    try:
        named = set(json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError):
        return False
    return named <= {path.name for path in folder.iterdir()} and len(named) >= 4
