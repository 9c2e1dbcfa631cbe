"""`batch` over many CTs: tables, patterns, trees of studies, several processes, job arrays."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import SimpleITK as sitk
from LiverLesionAILib.cli import batch_pool
from LiverLesionAILib.cli.batch_array import analysis_words
from LiverLesionAILib.cli.batch_inputs import Request, requests_of
from LiverLesionAILib.cli.batch_plan import INDEX_FILE, BatchCase, plan_batch
from LiverLesionAILib.cli.batch_worker import case_json, case_of, options_json, options_of
from LiverLesionAILib.cli.main import build_parser, main
from LiverLesionAILib.support.errors import LiverLesionAIError
from support.ct_phantom import phantom_hu
from support.dicom_writer import axial_positions, write_series
from support.threshold_models import ThresholdModels, phantom

TESTING = Path(__file__).resolve().parents[1]


def write_ct(path: Path, seed: int = 0) -> Path:
    volume, _ = phantom(seed)
    image = sitk.GetImageFromArray(volume.hu_zyx)
    image.SetSpacing([float(s) for s in volume.geometry.spacing_zyx_mm[::-1]])
    sitk.WriteImage(image, str(path))
    return path


def summary(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def findings(folder: Path) -> dict:
    made = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    made["computation"].pop("seconds")
    for lesion in made["lesions"]:
        lesion.pop("tracking_uid")
    return made


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that look at HU alone, here and in the processes."""
    monkeypatch.setattr("LiverLesionAILib.models.weights.ModelStore.bundled", ThresholdModels)
    monkeypatch.setattr("LiverLesionAILib.writing.case_folder._scene", lambda *_: False)
    monkeypatch.setattr(batch_pool, "WORKER", "support.toy_batch_worker")
    path = os.pathsep.join(filter(None, [str(TESTING), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.slow
def test_processes_give_the_same_cases_whatever_happens_to_some(toys, tmp_path: Path, capsys) -> None:
    """One dies for good, one once, one is no CT, the prior of one is no case."""
    for name in ("first", "last", "dies", "compared"):
        write_ct(tmp_path / f"{name}.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    names = ["first", "dies", "broken", "compared", "last"]
    lines = [f"{name}.nii.gz,{'nowhere' if name == 'compared' else ''}" for name in names]
    (tmp_path / "cts.csv").write_text("\n".join(["CT,Priors", *lines]))
    quick = ["--device", "cpu", "--no-pictures", "--no-attention", "--detector", "none", "--progress", "json"]
    command = ["batch", str(tmp_path / "cts.csv"), *quick, "--out", str(tmp_path / "two"), "--jobs", "2"]
    assert main(command) == 1
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    rows = summary(tmp_path / "two")
    assert list(rows) == names
    assert {name for name, row in rows.items() if row["status"] == "done"} == {"first", "last"}
    assert "signal 9" in rows["dies"]["message"]
    assert "broken.nii.gz" in rows["broken"]["message"]
    assert {line["case"] for line in told if line["event"] == "case"} == set(rows)
    assert told[-1]["exit_code"] == 1
    assert "nowhere" in rows["compared"]["message"]
    left = {p.name for p in (tmp_path / "two").iterdir()} - {"dies.begun", "summary.parquet"}
    assert {name.removesuffix(".begun") for name in left} == {
        "first", "last", "broken", "compared", "summary.csv", INDEX_FILE,
    }  # fmt: skip

    # The same as here, one after the other.
    assert main(["batch", str(tmp_path / "first.nii.gz"), *quick, "--out", str(tmp_path / "one")]) == 0
    assert findings(tmp_path / "one" / "first") == findings(tmp_path / "two" / "first")


def test_the_summary_as_parquet(toys, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra cohort is not installed")
    write_ct(tmp_path / "a.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(b"")
    main(["batch", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu", "--no-pictures"])
    table = parquet.read_table(tmp_path / "out" / "summary.parquet").to_pylist()
    rows = summary(tmp_path / "out")
    assert [row["case"] for row in table] == list(rows) == ["a", "bad"]
    assert table[0]["lesions"] == int(rows["a"]["lesions"]) > 0
    assert table[1]["lesions"] is None


def test_without_pyarrow_the_parquet_is_said_to_be_missing(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "bad.nii.gz").write_bytes(b"")
    assert main(["batch", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 1
    assert "pyarrow" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").glob("summary.*")] == ["summary.csv"]


class InstantWorker:
    """Ends a case as soon as it is sent one; notes what ran beside it."""

    beside: list[set[str]]
    fails: set[str]

    def __init__(self, options, threads, heard) -> None:
        self.turn, self._heard = None, heard
        self.process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)

    def send(self, message) -> None:
        name = message["name"]
        self._heard.put((self, {"stage": "segment", "fraction": 0.5}))
        gone = name in self.fails
        self._heard.put((self, {"row": {"status": "done"}, "said": [], "memory": gone}))


@pytest.mark.parametrize(("free_gb", "most"), [(0.0, 3), (2.9, 2), (1.0, 1)])
def test_no_more_run_at_once_than_the_memory_holds(free_gb, most, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch_pool, "Worker", InstantWorker)
    InstantWorker.fails = set()
    cases = [
        BatchCase(tmp_path / str(k), str(k), tmp_path / str(k), "", Request(tmp_path / str(k)))
        for k in range(6)
    ]
    ended, beside = [], []
    pool = batch_pool.Pool(3, {}, free_gb)
    pool.run(cases, lambda case, row, said: ended.append(case.name), lambda turns: beside.append(len(turns)))
    assert sorted(ended) == list("012345")
    assert max(beside) == most


def test_the_earlier_scan_comes_first(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch_pool, "Worker", InstantWorker)
    InstantWorker.fails = {"new"}
    (tmp_path / "t.csv").write_text("ct,name,priors\na,old,\nb,new,old;elsewhere\nc,other,")
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    cases = plan_batch(requests_of([tmp_path / "t.csv"]), None, tmp_path / "out", False)
    assert cases[1].priors == (tmp_path / "out" / "old", tmp_path / "elsewhere")
    ended = []
    pool = batch_pool.Pool(3, {}, 0.0)
    pool.run(cases, lambda case, row, said: ended.append(case.name), lambda turns: None)
    assert sorted(ended) == ["new", "old", "other"]
    assert ended.index("old") < ended.index("new")


def test_what_ran_out_of_memory_runs_alone(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch_pool, "Worker", InstantWorker)
    InstantWorker.fails = {"1"}
    cases = [
        BatchCase(tmp_path / str(k), str(k), tmp_path / str(k), "", Request(tmp_path / str(k)))
        for k in range(4)
    ]
    at_work = []
    pool = batch_pool.Pool(2, {}, 0.0)
    pool.run(cases, lambda *_: None, lambda turns: at_work.append([(t.case.name, t.tries) for t in turns]))
    assert [turns for turns in at_work if ("1", 2) in turns] == [[("1", 2)]]


def test_patterns_files_and_tables_name_each_ct_once(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nrrd", "c.mha"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "t.csv").write_text("ct;second_phase\na.nii.gz;c.mha\n\n", encoding="utf-8-sig")
    given = [tmp_path / "t.csv", tmp_path / "*.n*", tmp_path / "b.nrrd"]
    first, second = requests_of(given)
    assert (first.path, first.second_phase) == (tmp_path / "a.nii.gz", tmp_path / "c.mha")
    assert second.path == tmp_path / "b.nrrd"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "column 'ct'"),
        ("scan\na.nii", "unknown column 'scan'"),
        ("ct,name\n,x", "line 2"),
        ("ct,name\na,x\nb,x", "two lines have the name 'x'"),
        ("ct\nM\udcfcller.nii", "cannot be read .*Save it as CSV, UTF-8"),
        ("ct,name\na,x\n,y", "line 3: the column 'ct' is empty"),
        ("ct,grid\na,first", "line 2: the column 'grid' says 'first'"),
    ],
)
def test_tables_that_make_no_sense(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(LiverLesionAIError, match=says):
        requests_of([tmp_path / "t.csv"])


def test_inputs_that_are_not_there_are_named(tmp_path: Path, capsys) -> None:
    for given in ("*.nii", "nowhere"):
        assert main(["batch", str(tmp_path / given), "--out", str(tmp_path / "out")]) == 1
        assert given in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_tree_of_studies_gives_a_case_each(tmp_path: Path) -> None:
    """Two studies in folders of their own, one alone, two mixed in one folder."""
    uids = []
    for k, place in enumerate(("P1/2024", "P1/2025", "P2", "P3", "P3")):
        study = f"1.2.3.{k}"
        made = write_series(
            tmp_path / place,
            phantom_hu(),
            axial_positions(30),
            StudyInstanceUID=study,
            suffix=f"-{k}.dcm",
            number=k,
        )
        uids.append(made)
    requests = requests_of([tmp_path])
    assert [(r.path.relative_to(tmp_path).as_posix(), r.name, r.series) for r in requests] == [
        ("P1/2024", "P1_2024", ""),
        ("P1/2025", "P1_2025", ""),
        ("P2", "", ""),
        ("P3", "P3_3", uids[3]),
        ("P3", "P3_4", uids[4]),
    ]


def test_cases_and_options_cross_to_a_process_whole(tmp_path: Path) -> None:
    request = Request(
        tmp_path / "ct",
        "name",
        "4.2",
        tmp_path / "second",
        grid="sform",
        second_series="2",
        second_grid="qform",
    )
    case = BatchCase(request.path, "name", tmp_path / "out", "", request, (tmp_path / "prior",))
    assert case_of(json.loads(json.dumps(case_json(case)))) == case
    args = build_parser().parse_args(["batch", "in", "--out", "out", "--like", "c.json", "--pyramid", "1"])
    again = options_of(json.loads(json.dumps(options_json(args))))
    assert again.like == Path("c.json")
    assert again.pyramid == "1"


def test_a_job_array_shares_out_the_same_batch(toys, tmp_path: Path, capsys) -> None:
    for seed, name in enumerate(("a b", "c", "d")):
        write_ct(tmp_path / f"{name}.nii.gz", seed)
    out = tmp_path / "out"
    options = ["--device", "cpu", "--no-pictures", "--no-attention", "--detector", "none"]
    command = ["batch", str(tmp_path / "*.nii.gz"), "--out", str(out), *options]
    assert main([*command, "--array", "2"]) == 0
    script = capsys.readouterr().out
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0
    assert "#SBATCH --array=1-2\n" in script
    words = shlex.split(script.split("exec ")[1])
    args = build_parser().parse_args(words[3:])
    assert analysis_words(args) == analysis_words(build_parser().parse_args(command)) != []
    for task in ("1", "2"):
        done = [word.replace("$SLURM_ARRAY_TASK_ID", task) for word in words[3:]]
        assert main(done) == 0
    made = [p.parent.name for p in out.rglob("findings.json")]
    assert sorted(made) == ["a b", "c", "d"]
    assert main(command) == 0
    assert {row["status"] for row in summary(out).values()} == {"kept"}
    assert all(int(row["lesions"]) > 0 for row in summary(out).values()), "kept cases keep their counts"
    assert main([*command, "--share", "3/2"]) == 1
