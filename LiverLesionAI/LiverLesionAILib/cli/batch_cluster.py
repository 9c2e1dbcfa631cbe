"""Many cases on a Dask cluster: the same cases, shared out by a scheduler among workers on many machines.

A scheduler runs what it is sent. So one on another machine is spoken to by TLS alone, with a certificate on
both sides; one without TLS has to be on this machine, bound to it, with its dashboard off. Workers share the
file system with this process. One case at a time runs in a worker, whatever its number of threads.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import __version__
from ..support.errors import Cancelled, InputError, LiverLesionAIError
from . import batch_worker
from .batch_case import Row, failed_row, gigabytes
from .batch_plan import BatchCase
from .batch_pool import Turn
from .batch_worker import Analyse, case_json, case_of

if TYPE_CHECKING:
    from distributed import Client, Future

Message = dict[str, Any]

START = batch_worker.start
TOPIC = "liverlesionai"
HERE = ("127.0.0.1", "::1", "localhost")
EVERY_S, LOOK_S, PATIENCE_S, CONNECT_S = 0.5, 2.0, 60.0, 15
NEEDED = 'A cluster needs Dask: pip install "liverlesionai[cluster]".'

_one_at_a_time = threading.Lock()
_started: dict[str, Analyse] = {}


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Options of `batch` for a cluster."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        default="",
        help="let the workers of a Dask cluster do it: tls://HOST:PORT; tcp:// on this machine only",
    )
    for name, what in (("ca", "authority"), ("cert", "certificate"), ("key", "key")):
        parser.add_argument(
            f"--tls-{name}",
            metavar="PEM",
            default="",
            help=f"{what} for TLS (default: that of Dask's configuration)",
        )


def checked_address(address: str) -> tuple[bool, str, int]:
    """Whether a scheduler is spoken to by TLS, its host and its port.

    Raises:
        InputError: no address, or one without TLS that is not this machine.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme not in ("tls", "tcp") or not host or not port:
        raise InputError(f"--scheduler {address}: write tls://HOST:PORT.")
    if parts.scheme == "tcp" and host not in HERE:
        raise InputError(
            f"--scheduler {address}: a scheduler on another machine has to use TLS (tls://), since whoever "
            "reaches one without it can run programs on its workers."
        )
    return parts.scheme == "tls", host, port


def connect(args: argparse.Namespace) -> Client:
    """Speak to the scheduler that the options name.

    Raises:
        InputError: it may not be used, cannot be reached, or has no workers.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(f"--scheduler {args.scheduler}: {NEEDED}") from error
    tls, host, _ = checked_address(args.scheduler)
    files = {"tls_ca_file": args.tls_ca, "tls_client_cert": args.tls_cert, "tls_client_key": args.tls_key}
    given = {name: path for name, path in files.items() if path}
    security = distributed.Security(require_encryption=tls, **given)
    if tls and not all(getattr(security, name) for name in files):
        raise InputError(
            f"--scheduler {args.scheduler}: TLS needs --tls-ca, --tls-cert and --tls-key, or Dask's "
            "configuration (distributed.comm.tls)."
        )
    try:
        client = distributed.Client(
            args.scheduler, security=security, timeout=CONNECT_S, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--scheduler {args.scheduler}: it cannot be reached ({error}). Check address and certificates."
        ) from error
    try:
        _check(client, args.scheduler, tls, host)
    except BaseException:
        client.close()
        raise
    return client


def _check(client: Client, address: str, tls: bool, host: str) -> None:
    known = client.scheduler_info(n_workers=0)
    port = known.get("services", {}).get("dashboard")
    if not tls and urlsplit(known["address"]).hostname not in HERE:
        raise InputError(
            f"--scheduler {address}: it listens to other machines without TLS ({known['address']}). Start "
            "it with: dask scheduler --host 127.0.0.1 --no-dashboard"
        )
    # Without a dashboard, pages about health are served there.
    if port and _dashboard(host, port):
        if not tls:
            raise InputError(f"--scheduler {address}: its dashboard is on. Start it with --no-dashboard.")
        print(
            f"The scheduler's dashboard (port {port}) is not protected by TLS: --no-dashboard turns it off."
        )
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError as error:
        raise InputError(
            f"--scheduler {address}: it has no workers. Start some with: dask worker {address} --nthreads 1"
        ) from error


def _dashboard(host: str, port: int) -> bool:
    """Whether pages of a dashboard are served; never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    place = f"[{host}]" if ":" in host else host
    try:
        with opener.open(f"http://{place}:{port}/status", timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def analyse_on_worker(
    options: Message, case: Message, start: Callable[[Message], Analyse], version: str
) -> None:
    """In a worker: analyse a case, and answer as :mod:`.batch_worker` does, by events of the scheduler.

    A result that stayed in the worker would be computed again if the worker died later.

    Raises:
        Cancelled: nobody waits for it any more; nothing is left of it.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    said: dict[str, None] = {}
    last_s = 0.0

    def progress(stage: str, fraction: float) -> None:
        nonlocal last_s
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise Cancelled("The batch was ended.")
        if time.monotonic() - last_s >= EVERY_S:
            last_s = time.monotonic()
            worker.log_event(TOPIC, {"key": key, "stage": stage, "fraction": fraction})

    memory = False
    try:
        if version != __version__:
            raise InputError(
                f"A worker has version {__version__} of liverlesionai, this command has {version}. Install "
                "the same on all."
            )
        with _one_at_a_time:
            progress("starting", 0.0)
            name = json.dumps([start.__module__, options], sort_keys=True)
            if name not in _started:
                _started.clear()
                _started[name] = start(options)
            row = _started[name](case_of(case), said, progress)
    except Cancelled:
        raise
    except Exception as error:
        row, memory = failed_row(error), isinstance(error, MemoryError)
    worker.log_event(TOPIC, {"key": key, "row": row, "said": list(said), "memory": memory})


class Cluster:
    """Analyses cases by a cluster's workers, one each at a time; has the face of :class:`.batch_pool.Pool`.

    Dask blames every task that was given to a worker that dies, and gives them to others, four by default.
    So no worker is given more than one case, no other may take it over, and a case whose worker died is tried
    once more when nothing else runs: it ends two workers at most.

    Args:
        client: closed at the end.
        options: of the analysis, as :func:`.batch_worker.options_json` gives them.
    """

    def __init__(self, client: Client, options: Message) -> None:
        self._client, self._options = client, _anywhere(options)
        self._heard: queue.SimpleQueue[Future | Message] = queue.SimpleQueue()
        self._at_work: dict[str, _AtWork] = {}
        self._seen_s = self._looked_s = time.monotonic()
        self._missed: set[str] = set()
        self._count = 0

    def run(
        self,
        cases: Sequence[BatchCase],
        ended: Callable[[BatchCase, Row, list[str]], None],
        moved: Callable[[list[Turn]], None],
    ) -> None:
        """Analyse all of them; see :meth:`.batch_pool.Pool.run`.

        Raises:
            LiverLesionAIError: the scheduler or every worker is gone.
        """
        waiting = [Turn(case, gigabytes(case)) for case in cases]
        try:
            self._client.subscribe_topic(TOPIC, lambda event: self._heard.put(event[1]))
            while waiting or self._at_work:
                self._submit(waiting)
                try:
                    message = self._answer(self._heard.get(timeout=LOOK_S))
                except queue.Empty:
                    self._look()
                else:
                    self._seen_s = time.monotonic()
                    if message is not None:
                        self._conclude(message, waiting, ended)
                for lost in self._without_worker():
                    self._conclude(lost, waiting, ended)
                moved([work.turn for work in self._at_work.values() if work.turn.stage])
        finally:
            # A worker that is at one of them notices, and clears what it had begun.
            for work in self._at_work.values():
                with suppress(Exception):
                    work.future.cancel()
            self._client.close()

    def _submit(self, waiting: list[Turn]) -> None:
        """Give every idle worker a case that depends on nothing unfinished and that its memory holds."""
        workers = self._workers()
        limits = {name: memory for name, (_, memory) in workers.items()}
        at_work = [work.turn for work in self._at_work.values()]
        if any(turn.alone for turn in at_work):
            return
        unfinished = {turn.case.name for turn in (*waiting, *at_work)}
        for turn in sorted(waiting, key=lambda turn: turn.alone):
            idle = set(limits) - {work.worker for work in self._at_work.values()}
            if not idle or len(self._at_work) >= len(limits) or (turn.alone and self._at_work):
                return
            most = max(limits.values())
            fitting = [name for name in idle if limits[name] >= min(most, turn.gigabytes)]
            if not fitting or unfinished & set(turn.case.after):
                continue
            waiting.remove(turn)
            wanted = (max if turn.alone else min)(fitting, key=lambda name: (limits[name], name))
            self._give(turn, wanted, workers[wanted][0])

    def _give(self, turn: Turn, worker: str, identity: str) -> None:
        turn.tries += 1
        self._count += 1
        # Keys are seen on dashboards and in logs: no names.
        key = f"liverlesionai-{uuid.uuid4().hex}-{self._count}"
        future = self._client.submit(
            analyse_on_worker,
            self._options,
            _anywhere(case_json(turn.case)),
            START,
            __version__,
            key=key,
            pure=False,
            workers=[worker],
        )
        self._at_work[key] = _AtWork(turn, future, worker, identity)
        future.add_done_callback(self._heard.put)

    def _workers(self) -> dict[str, tuple[str, float]]:
        """Address -> which worker that is, and its memory, 1e9 bytes."""
        # Some versions of Dask name five workers where nothing is said.
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        return {
            name: (str(worker.get("id", "")), (worker.get("memory_limit") or 1e30) / 1e9)
            for name, worker in known.items()
        }

    def _without_worker(self) -> list[Message]:
        """What ends the cases whose worker was gone at the last look too.

        Its last words may come later than the news that it is gone.
        """
        if time.monotonic() - self._looked_s < LOOK_S:
            return []
        self._looked_s, known = time.monotonic(), self._workers()
        gone = {
            key
            for key, work in self._at_work.items()
            if known.get(work.worker, ("", 0.0))[0] != work.identity or work.worker not in known
        }
        lost, self._missed = gone & self._missed, gone
        for key in lost:
            self._at_work[key].future.cancel()
        return [{"key": key, "row": dict(_DIED), "said": [], "memory": True} for key in sorted(lost)]

    def _answer(self, heard: Future | Message) -> Message | None:
        """What ends a case: its answer, or the reason why there will be none. Else None."""
        if isinstance(heard, dict):
            work = self._at_work.get(heard.get("key", ""))
            if work is None or "row" in heard:
                return heard if work else None
            work.turn.stage, work.turn.fraction = heard["stage"], heard["fraction"]
            return None
        if heard.key not in self._at_work or heard.status == "finished":
            return None
        if heard.status == "cancelled":
            raise _gone("The scheduler is gone")
        row, died = _lost(heard.exception())
        return {"key": heard.key, "row": row, "said": [], "memory": died}

    def _conclude(
        self, message: Message, waiting: list[Turn], ended: Callable[[BatchCase, Row, list[str]], None]
    ) -> None:
        work = self._at_work.pop(message["key"])
        turn = work.turn
        turn.stage, turn.fraction = "", 0.0
        work.future.release()
        if message["memory"] and turn.tries < 2:
            turn.alone = True
            waiting.append(turn)
        else:
            ended(turn.case, message["row"], message["said"])

    def _look(self) -> None:
        """Nothing was heard for a while: is anybody still there?"""
        if self._client.status != "running":
            raise _gone("The scheduler is gone")
        if self._client.nthreads():
            self._seen_s = time.monotonic()
        elif time.monotonic() - self._seen_s > PATIENCE_S:
            raise _gone("All workers are gone")


@dataclass(frozen=True)
class _AtWork:
    turn: Turn
    future: Future
    worker: str
    identity: str


_DIED: Row = {
    "status": "failed",
    "message": "Every worker that had it died, which happens where the memory runs out. Give the workers "
    "more memory (--memory-limit), or crop the CT.",
}


def _anywhere(message: Message) -> Message:
    """With paths that mean the same in whatever folder a worker runs."""
    whole = {
        name: os.path.abspath(message[name])  # noqa: PTH100 (links stay)
        for name in ("path", "folder", "second_phase", "like")
        if message.get(name)
    }
    priors = [os.path.abspath(prior) for prior in message.get("priors", ())]  # noqa: PTH100
    return {**message, **whole, **({"priors": priors} if "priors" in message else {})}


def _gone(what: str) -> LiverLesionAIError:
    return LiverLesionAIError(f"{what}. Start the cluster and run the same command again: it goes on.")


def _lost(error: BaseException) -> tuple[Row, bool]:
    """Why a case has no answer, and whether its workers died."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return dict(_DIED), True
    message = (
        f"The worker could not begin it ({type(error).__name__}: {error}). Check that liverlesionai is "
        "installed where the workers run."
    )
    return {"status": "failed", "message": message}, False
