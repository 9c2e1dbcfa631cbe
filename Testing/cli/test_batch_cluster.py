"""`batch --scheduler`: real workers of Dask, one killed, one out of memory; TLS unless it is this machine."""

from __future__ import annotations

import argparse
import csv
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from LiverLesionAILib.cli import batch_cluster
from LiverLesionAILib.cli.batch_cluster import analyse_on_worker, checked_address, connect
from LiverLesionAILib.cli.batch_inputs import Request
from LiverLesionAILib.cli.batch_plan import BatchCase
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.support.errors import InputError
from support import toy_cluster

TESTING = Path(__file__).resolve().parents[1]
QUICK = ["--device", "cpu", "--no-pictures", "--no-attention"]


@pytest.mark.parametrize(
    "address",
    ["tcp://10.0.0.7:8786", "tcp://scheduler:8786", "10.0.0.7:8786", "tls://host", "http://a:1", "tls://a:b"],
)
def test_another_machine_has_to_use_tls(address: str, tmp_path: Path, capsys) -> None:
    with pytest.raises(InputError, match="tls://"):
        checked_address(address)
    assert main(["batch", str(tmp_path), "--out", str(tmp_path / "out"), "--scheduler", address]) == 1
    assert address in capsys.readouterr().err


def test_this_machine_and_tls_are_addresses() -> None:
    assert checked_address("tcp://127.0.0.1:8786") == (False, "127.0.0.1", 8786)
    assert checked_address("tcp://[::1]:1") == (False, "::1", 1)
    assert checked_address("tls://far.example:8786") == (True, "far.example", 8786)


def test_how_many_at_once_is_the_clusters(tmp_path: Path, capsys) -> None:
    cluster = ["--scheduler", "tls://h:1"]
    assert main(["batch", str(tmp_path), "--out", str(tmp_path / "out"), *cluster, "--jobs", "2"]) == 1
    assert "--jobs" in capsys.readouterr().err


distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")


def options(address: str, **tls: str) -> argparse.Namespace:
    return argparse.Namespace(**{"scheduler": address, "tls_ca": "", "tls_cert": "", "tls_key": "", **tls})


def test_tls_needs_certificates_and_a_scheduler_that_answers(monkeypatch) -> None:
    monkeypatch.setattr(batch_cluster, "CONNECT_S", 0.3)
    with pytest.raises(InputError, match="--tls-ca"):
        connect(options("tls://127.0.0.1:9"))
    with pytest.raises(InputError, match="cannot be reached"):
        connect(options("tcp://127.0.0.1:9"))


class Scheduler:
    """Answers as one would that was started carelessly."""

    def __init__(self, address: str, dashboard: int = 0) -> None:
        self.info = {"address": address, "services": {"dashboard": dashboard}}

    def scheduler_info(self, n_workers: int) -> dict:
        return self.info

    def wait_for_workers(self, n: int, timeout: float) -> None:
        raise TimeoutError


def test_a_careless_scheduler_is_refused(monkeypatch) -> None:
    here = "tcp://127.0.0.1:8786"
    with pytest.raises(InputError, match="--host 127"):
        batch_cluster._check(Scheduler("tcp://10.0.0.7:8786"), here, False, "127.0.0.1")
    with pytest.raises(InputError, match="no workers"):
        batch_cluster._check(Scheduler(here), here, False, "127.0.0.1")
    monkeypatch.setattr(batch_cluster, "_dashboard", lambda host, port: True)
    with pytest.raises(InputError, match="--no-dashboard"):
        batch_cluster._check(Scheduler(here, 8787), here, False, "127.0.0.1")


def test_a_worker_of_another_version_says_so(monkeypatch) -> None:
    told = []

    class Worker:
        def get_current_task(self) -> str:
            return "key"

        def log_event(self, topic: str, message: dict) -> None:
            told.append(message)

    monkeypatch.setattr(distributed, "get_worker", Worker)
    analyse_on_worker({}, {}, toy_cluster.start, "0.0.0")
    (answer,) = told
    assert answer["row"]["status"] == "failed"
    assert "0.0.0" in answer["row"]["message"]


class Deadly:
    """A cluster of two, on which a case with an even number of letters kills every worker that has it."""

    status = "running"
    given: list[list[str]]

    def __init__(self) -> None:
        self.given = []

    def scheduler_info(self, n_workers: int) -> dict:
        assert n_workers == -1, "some versions of Dask name five workers at most"
        return {"workers": {"small": {"memory_limit": 1.2e9}, "large": {"memory_limit": 9e9}}}

    def subscribe_topic(self, topic: str, handler) -> None:
        self.handler = handler

    def submit(self, function, options, case, *rest, key: str, workers: list[str], **kwargs):
        self.given.append([case["name"], *workers])
        future = type("Future", (), {"key": key, "cancel": lambda self: None, "release": lambda self: None})()
        future.status = "finished" if len(case["name"]) % 2 else "error"
        future.exception = lambda: distributed.KilledWorker("key", "worker", 0)
        future.add_done_callback = lambda call: call(future)
        if future.status == "finished":
            self.handler((0, {"key": key, "row": {"status": "done"}, "said": [], "memory": False}))
        return future

    def close(self) -> None:
        pass


def test_what_kills_its_workers_is_tried_once_more_alone_and_where_there_is_memory(
    tmp_path, monkeypatch
) -> None:
    sizes = {"abc": 0.5, "killer": 0.5, "large": 5.0, "later": 99.0}
    monkeypatch.setattr(batch_cluster, "gigabytes", lambda case: sizes[case.name])
    paths = {name: tmp_path / name for name in sizes}
    cases = [BatchCase(path, name, path, "", Request(path)) for name, path in paths.items()]
    client, rows = Deadly(), {}
    batch_cluster.Cluster(client, {}).run(cases, lambda c, row, _: rows.update({c.name: row}), lambda _: None)
    assert {name: row["status"] for name, row in rows.items()} == {
        "abc": "done", "killer": "failed", "large": "done", "later": "done",
    }  # fmt: skip
    assert "worker" in rows["killer"]["message"]
    places = dict(reversed([(name, worker) for name, worker in client.given]))
    assert places["large"] == places["later"] == "large"
    assert [name for name, _ in client.given].count("killer") == 2
    assert client.given[-1] == ["killer", "large"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> dict[str, str]:
    """One for all, its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=here"
    try:
        subprocess.run(
            ["openssl", *words.split(), "-keyout", key, "-out", cert], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate ({error})")
    return {"tls_ca": cert, "tls_cert": cert, "tls_key": key}


@pytest.fixture(scope="module")
def address(certificate) -> str:
    """A scheduler and two workers of 0.4 GB, that speak TLS and serve no dashboard."""
    import dask

    security = distributed.Security(
        tls_ca_file=certificate["tls_ca"],
        require_encryption=True,
        **{
            f"tls_{role}_{what}": certificate[f"tls_{what}"]
            for role in ("client", "scheduler", "worker")
            for what in ("cert", "key")
        },
    )
    path = os.pathsep.join([str(TESTING.parent / "LiverLesionAI"), str(TESTING)])
    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set(
            {
                "distributed.scheduler.http.routes": [],
                "distributed.worker.http.routes": [],
                "distributed.nanny.pre-spawn-environ": {"PYTHONPATH": path},
            }
        ),
    ):
        patch.setenv("PYTHONPATH", path)
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            worker_dashboard_address="127.0.0.1:0",
            memory_limit="400MB",
            silence_logs=50,
        ) as cluster:
            yield cluster.scheduler_address


@pytest.fixture
def batch(address, certificate, monkeypatch, tmp_path: Path):
    """Runs `batch` on files of the given names; its exit status."""
    monkeypatch.setattr(batch_cluster, "START", toy_cluster.start)
    monkeypatch.setattr(batch_cluster, "LOOK_S", 0.4)
    # A worker that died takes its time to come back on a busy machine.
    monkeypatch.setattr(batch_cluster, "PATIENCE_S", 600.0)
    monkeypatch.setattr(batch_cluster, "CONNECT_S", 120)
    tls = [word for name, path in certificate.items() for word in (f"--{name.replace('_', '-')}", path)]

    def run(*names: str) -> int:
        (tmp_path / "in").mkdir(exist_ok=True)
        for name in names:
            (tmp_path / "in" / f"{name}.nii").write_bytes(name.encode())
        command = ["batch", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--scheduler", address]
        return main([*command, *tls, *QUICK])

    return run


def summary(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_workers_die_and_the_rest_goes_on(batch, tmp_path: Path, capsys) -> None:
    """One is killed in the middle, one outgrows its memory, one raises; no case is computed twice.

    As Dask is set up by default, when a task may end four workers: here a case ends two at most.
    """
    assert batch("a", "b", "killed", "hungry", "thin", "broken") == 1
    rows = summary(tmp_path / "out")
    assert {name for name, row in rows.items() if row["status"] == "failed"} == {"broken"}
    assert "no CT" in rows["broken"]["message"]
    begun = [path.name.rsplit("-", 1)[0] for path in (tmp_path / "begun").iterdir()]
    assert {name: begun.count(name) for name in set(begun)} == {
        "a": 1, "b": 1, "killed": 2, "hungry": 2, "thin": 2, "broken": 1,
    }  # fmt: skip
    assert capsys.readouterr().out.count("The same for all.") == 1
    (tmp_path / "in" / "broken.nii").unlink()
    assert batch("c") == 0
    assert {name: row["status"] for name, row in summary(tmp_path / "out").items()} == {
        "a": "kept", "b": "kept", "killed": "kept", "hungry": "kept", "thin": "kept", "c": "done",
    }  # fmt: skip
    assert len(list((tmp_path / "begun").iterdir())) == 10


def test_cancelled_it_leaves_nothing_and_the_worker_stops(batch, tmp_path: Path) -> None:
    def interrupt() -> None:
        while not list((tmp_path / "begun").glob("endless-begun")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    assert batch("endless") == 130
    end = time.monotonic() + 300  # bounds a hang
    while not (tmp_path / "begun" / "endless-cleared").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not (tmp_path / "out" / "endless").exists()
