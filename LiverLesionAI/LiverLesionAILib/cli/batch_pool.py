"""Many cases in several processes: no socket, only pipes; as many at once as the memory holds.

A case whose process dies (killed by the system for its memory, a crash in a library), or whose memory runs
out, is tried once more with no other beside it; then it has failed, and the rest goes on.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import LiverLesionAILib

from .batch_case import Row, gigabytes
from .batch_plan import BatchCase
from .batch_worker import case_json

WORKER = "LiverLesionAILib.cli.batch_worker"
RESERVE_GB = 0.5
PATIENCE_S = 20.0
"""For a process that was asked to end, to clear what it had begun."""

Message = dict[str, Any]


@dataclass
class Turn:
    """A case that waits or is worked on.

    Attributes:
        gigabytes: what it may need.
        tries: how often it was begun.
        alone: whether nothing else may run beside it.
        stage, fraction: how far it is.
    """

    case: BatchCase
    gigabytes: float
    tries: int = 0
    alone: bool = False
    stage: str = ""
    fraction: float = 0.0


class Worker:
    """A process of its own, and the thread that hears it."""

    def __init__(
        self, options: Message, threads: int, heard: queue.SimpleQueue[tuple[Worker, Message | None]]
    ):
        root = str(Path(LiverLesionAILib.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, "PYTHONPATH": path}
        environment.setdefault("OMP_NUM_THREADS", str(threads))
        self.turn: Turn | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            encoding="utf-8",
        )
        self.send(options)
        threading.Thread(target=self._hear, args=(heard,), daemon=True).start()

    def send(self, message: Message) -> None:
        """A process that is gone is noticed by its silence."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def _hear(self, heard: queue.SimpleQueue[tuple[Worker, Message | None]]) -> None:
        assert self.process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self.process.stdout:
                heard.put((self, json.loads(line)))
        self.process.wait()
        heard.put((self, None))


class Pool:
    """Analyses cases in up to `jobs` processes that keep their networks loaded.

    Args:
        options: of the analysis, as :func:`.batch_worker.options_json` gives them.
        free_gb: memory for all of them, 1e9 bytes; 0 where it is not known, which bounds nothing.
    """

    def __init__(self, jobs: int, options: Message, free_gb: float) -> None:
        self._jobs, self._options, self._free = jobs, options, free_gb - RESERVE_GB if free_gb else 0.0
        self._threads = max(1, (os.cpu_count() or 1) // jobs)
        self._heard: queue.SimpleQueue[tuple[Worker, Message | None]] = queue.SimpleQueue()
        self._workers: list[Worker] = []

    def run(
        self,
        cases: Sequence[BatchCase],
        ended: Callable[[BatchCase, Row, list[str]], None],
        moved: Callable[[list[Turn]], None],
    ) -> None:
        """Analyse all of them.

        Args:
            ended: called with every case, its cells of the summary and sentences that hold for all.
            moved: called with the cases at work whenever one gets further; may raise to end all.
        """
        waiting = [Turn(case, gigabytes(case)) for case in cases]
        try:
            while waiting or self._busy():
                self._begin(waiting)
                worker, message = self._heard.get()
                turn = worker.turn
                if message is None:
                    self._workers.remove(worker)
                    message = {"row": _lost(worker.process.returncode), "said": [], "memory": True}
                if turn is None:
                    continue
                if "row" not in message:
                    turn.stage, turn.fraction = message["stage"], message["fraction"]
                else:
                    worker.turn = None
                    if message["memory"] and turn.tries < 2:
                        turn.alone = True
                        waiting.append(turn)
                    else:
                        ended(turn.case, message["row"], message["said"])
                moved(self._busy())
        finally:
            self._close()

    def _busy(self) -> list[Turn]:
        return [worker.turn for worker in self._workers if worker.turn is not None]

    def _begin(self, waiting: list[Turn]) -> None:
        """Give out what can be begun now."""
        while (turn := self._next(waiting)) is not None:
            waiting.remove(turn)
            idle = next((worker for worker in self._workers if worker.turn is None), None)
            if idle is None:
                idle = Worker(self._options, self._threads, self._heard)
                self._workers.append(idle)
            idle.turn = turn
            turn.tries += 1
            turn.stage, turn.fraction = "starting", 0.0
            idle.send(case_json(turn.case))

    def _next(self, waiting: list[Turn]) -> Turn | None:
        busy = self._busy()
        if len(busy) >= self._jobs or any(turn.alone for turn in busy):
            return None
        open_cases = {turn.case.name for turn in (*busy, *waiting)}
        # An earlier scan comes before what is compared with it.
        ready = [turn for turn in waiting if not open_cases & set(turn.case.after)]
        together = [turn for turn in ready if not turn.alone]
        if not busy:
            return next(iter(together or ready), None)
        room = self._free - sum(turn.gigabytes for turn in busy) if self._free else float("inf")
        return next((turn for turn in together if turn.gigabytes <= room), None)

    def _close(self) -> None:
        """End what is still there; a case that was begun leaves nothing."""
        for worker in self._workers:
            assert worker.process.stdin is not None
            with suppress(OSError):
                worker.process.stdin.close()
            if worker.turn is not None:
                worker.process.terminate()
        for worker in self._workers:
            try:
                worker.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def _lost(status: int | None) -> Row:
    how = f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"
    return {
        "status": "failed",
        "message": f"Its process ended twice ({how}), which happens where the memory runs out. Close other "
        "programs, crop the CT, or take fewer --jobs.",
    }
