"""Attention as files of a case: the strip's table and picture, the page with every mechanism."""

from __future__ import annotations

import csv
import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis import case_attention
from LiverLesionAILib.analysis.case_attention import NetworkAttention, attention_of_case, case_liver
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.cli.attention_page import attention_files, attention_wanted
from LiverLesionAILib.cli.job import Job
from LiverLesionAILib.cli.main import build_parser
from LiverLesionAILib.cli.mechanism_page import ATTENTION_PAGE, WORDS, attention_page
from LiverLesionAILib.models.device import Device
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.pictures.attention import Tile, matrix_picture, overlay, sorted_bars, tiles_picture
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.support.text import begun
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.writing.class_strip import STRIP_PICTURE, STRIP_TABLE
from LiverLesionAILib.writing.report.html import MISSING
from support.toy_attention import toy

SPACING = (3.0, 1.5, 1.5)
GEOMETRY = Geometry.make((16, 60, 64), SPACING, (-70.0, -60.0, 500.0))
DEVICE = Device("cpu", "float32", "CPU", 4)
TOYS = {"sfan": ("segment", 5), "mscd": ("segment", 5), "dadrn": ("classify", 3), "cs_att": ("detect", 3)}


class Store:
    """Toy networks behind the names of the papers'."""

    def __init__(self) -> None:
        entries = [ModelEntry("where", "locate", "where", {}, InputSpec(SPACING, (-40.0, 220.0), 3), "", "")]
        for name, (task, slices) in TOYS.items():
            spec = InputSpec(SPACING, (-40.0, 220.0), slices, magnify=0.6 if slices == 5 else 1.0)
            title = f"{name.upper()}: for the test"
            entries.append(ModelEntry(name, task, name, {}, spec, f"{name}.pt", name * 9, title=title))
        self.manifest = Manifest(None, tuple(entries))  # type: ignore[arg-type]
        self._made = {name: toy(name) for name in TOYS}

    def network(self, name: str, device: str, precision: str) -> torch.nn.Module:
        return self._made[name]


def case() -> tuple[CaseResult, CtVolume]:
    z, y, x = np.indices(GEOMETRY.shape_zyx)
    liver = ((z - 8) / 7) ** 2 + ((y - 30) / 24) ** 2 + ((x - 32) / 26) ** 2 <= 1
    labels = ((np.abs(z - 7) <= 2) & (np.hypot(y - 26, x - 24) <= 6)).astype(np.uint16)
    hu = np.random.default_rng(0).normal(80, 6, liver.shape).astype(np.float32) - 30 * labels
    result = CaseResult("a case <b>", GEOMETRY, liver, labels, models={"mscd": "x", "dadrn": "y"})
    return result, CtVolume(hu, GEOMETRY, "ct")


@pytest.fixture(scope="module")
def networks() -> list[NetworkAttention]:
    result, volume = case()
    return attention_of_case(result, case_liver(result, volume), Store(), DEVICE)  # type: ignore[arg-type]


def test_health_is_measured_where_there_are_lesions(monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices without any, no answer can change, and every attention would look dead."""
    from LiverLesionAILib.stages.explain import health

    seen: list[list[int]] = []

    def noted(
        _entry: ModelEntry, _network: object, liver: health.LiverPart, _progress: object
    ) -> list[object]:
        seen.append([int(z) for z in liver.slices])
        assert liver.liver_zyx[liver.slices].any(axis=(1, 2)).all()
        return []

    monkeypatch.setattr(health, "health_of", noted)
    result, volume = case()
    liver = case_liver(result, volume)
    attention_of_case(result, liver, Store(), DEVICE)  # type: ignore[arg-type]
    with_lesions = np.flatnonzero(liver.on_spacing(SPACING).labels_zyx.any(axis=(1, 2)))
    assert len(seen) == len(TOYS) and len(with_lesions) < len(volume.hu_zyx) - 4
    assert all(len(own) == case_attention.HEALTH_SLICES and set(own) <= set(with_lesions) for own in seen)


def test_those_that_ran_come_first_at_the_largest_lesion(networks: list[NetworkAttention]) -> None:
    assert [one.ran for one in networks] == [True, True, False, False]
    assert {one.entry.name for one in networks} == set(TOYS)
    lesion = case()[0].lesion_labels_zyx[7] > 0
    for one in networks:
        assert len(one.readings) == len(one.health) > 0
        shift = np.array(lesion.shape) - np.array(one.hu_yx.shape)
        assert (shift >= 0).all()
        assert np.isfinite(one.hu_yx).all()


def test_the_page_shows_every_mechanism_in_words_and_says_which_are_alive(
    networks: list[NetworkAttention],
) -> None:
    pytest.importorskip("jinja2")
    page = attention_page("a case <b>", networks, (b"\x89PNG strip", "3 slices"), 2)
    assert "a case &lt;b&gt;" in page and "<b>" not in page
    alive = sum(health.alive for one in networks for health in one.health)
    count = sum(len(one.health) for one in networks)
    assert page.count('class="alive"') == alive and page.count('class="dead"') == count - alive
    for key in ("spatial context", "channel context", "semantic gate (SAT)", "dadrn spatial attention"):
        assert WORDS[key].split(":")[0] in page
    # Self-contained: pictures are in it, nothing is fetched, and no script runs.
    assert "<script" not in page and "http" not in page
    assert page.count("data:image/png") >= 1 + len(
        {(o.entry.name, h.mechanism[:9]) for o in networks for h in o.health}
    )
    for one in networks:
        for health in one.health:
            if not health.alive:
                assert begun(health.why).split(":")[0] in page


def test_what_stands_on_the_page_begins_with_a_capital(networks: list[NetworkAttention]) -> None:
    pytest.importorskip("jinja2")
    page = attention_page("A case", networks, None, 2)
    page = re.sub("<style>.*?</style>", "", page, flags=re.DOTALL)
    begins = re.findall(r"<(?:h[1-6]|li|p|th|td)[^>]*>(?:<[^>]*>)*([^<]+)", page)
    assert len(begins) > 20
    assert [text for text in begins if text.strip()[:1].islower()] == []
    assert not re.search(r"[.!] [a-z]", page), "nor does a sentence within one begin otherwise"


@pytest.mark.parametrize(
    ("gate", "wanted"),
    [
        ([0.95, 0.05, 0.5], "Of 3 channels 1 passes (above 0.9) and 1 is shut (below 0.1)."),
        ([0.95, 0.99, 0.5], "Of 3 channels 2 pass (above 0.9) and 0 are shut (below 0.1)."),
    ],
)
def test_channels_are_counted_in_good_english(gate: list[float], wanted: str) -> None:
    from LiverLesionAILib.stages.explain.network_maps import weights_in_words

    reading = SimpleNamespace(weights={"squeeze gate": np.array(gate)}, affinity=None)
    assert weights_in_words(reading) == wanted  # type: ignore[arg-type]


def test_every_mechanism_of_the_papers_has_its_words() -> None:
    from LiverLesionAILib.cli.mechanism_page import _without_level
    from LiverLesionAILib.networks.mechanisms import mechanisms_of

    for name in (*TOYS, "va_mask_rcnn"):
        for mechanism in mechanisms_of(toy(name)):
            title = _without_level(mechanism.name)
            assert title in WORDS or f"{name} {title}" in WORDS


def test_files_of_the_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    result, volume = case()
    said: list[str] = []
    wanted = attention_wanted(build_parser().parse_args(["analyze", "ct.nii", "--class-strip"]))
    assert wanted is not None and not wanted.page
    job = Job(Store(), Settings(device="cpu"), None, False)  # type: ignore[arg-type]
    plain = SimpleNamespace(part=lambda kind: SimpleNamespace(temperature=1.0))
    monkeypatch.setattr(case_attention, "rules_of", lambda choice: plain)
    files = attention_files(wanted, job, result, volume, said.append, silent)
    assert set(files) == {STRIP_TABLE, STRIP_PICTURE}
    rows = list(csv.DictReader(io.StringIO(str(files[STRIP_TABLE]))))
    assert len(rows) > 8 and "without any mask of a lesion" in said[0]
    for row in rows:
        shares = {name: float(row[name]) for name in ("Normal", "CYST", "FNH", "HCC", "HEM")}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert max(shares, key=shares.__getitem__) == row["class"]
    assert np.diff([float(row["height_mm"]) for row in rows]) == pytest.approx(3.0, abs=0.011)
    assert bytes(files[STRIP_PICTURE])[:4] == b"\x89PNG"  # type: ignore[arg-type]


def test_nothing_is_made_where_nothing_is_asked_or_there_is_no_liver() -> None:
    assert attention_wanted(build_parser().parse_args(["analyze", "ct.nii"])) is None
    every = attention_wanted(build_parser().parse_args(["analyze", "ct.nii", "--attention-all"]))
    assert every is not None and every.page and every.every
    result, volume = case()
    empty = CaseResult("c", GEOMETRY, np.zeros_like(result.liver_zyx), result.lesion_labels_zyx)
    said: list[str] = []
    job = Job(Store(), Settings(device="cpu"), None, False)  # type: ignore[arg-type]
    assert attention_files(every, job, empty, volume, said.append, silent) == {}
    assert "No liver was found" in said[0]


def test_a_missing_template_engine_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match="needs jinja2") as error:
        attention_wanted(build_parser().parse_args(["analyze", "ct.nii", "--attention-page"]))
    assert str(error.value) == MISSING
    assert ATTENTION_PAGE == "attention.html"


def test_tiles_show_what_they_are_given() -> None:
    plane = np.full((20, 30), 0.5, np.float32)
    bright = np.zeros((20, 30), np.float32)
    bright[5:8, 10:14] = 1.0
    shown = overlay(plane, bright, (15, 20))
    assert (shown[6, 12] != 0.5).any() and (shown[0, 0] == 0.5).all()
    assert shown[15, 23, 1] == 1.0
    matrix = matrix_picture(np.diag([1.0, 1.0, 1.0]))
    assert matrix[0, 0].sum() > matrix[0, 1].sum()
    bars = sorted_bars(np.array([0.2, 0.9]))
    assert [value for _, value in bars] == [0.9, 0.2]
    tall = tiles_picture([Tile("a", shown, bars), Tile("b", None, bars)])
    assert tall.shape[1] == 2 * 310 + 10 and tall.std() > 0
