"""Parts of the panel, each alone: widgets that only remember, a host of a few lines, no scene with a case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("slicer", reason="slicer-core is not installed")

from support import slicer_desktop

slicer_desktop.install()

from LiverLesionAILib.case.anatomy import CouinaudSegment, LesionAnatomy, SegmentShare
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.enhancement import Enhancement, PhaseLevels
from LiverLesionAILib.case.findings import Box, LesionStatus, Measurement
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.panel.edit.reader_panel import ReaderPanel
from LiverLesionAILib.panel.findings import findings_model as table
from LiverLesionAILib.panel.findings import threshold_panel
from LiverLesionAILib.panel.findings.lesion_details import details_html
from LiverLesionAILib.panel.links import LINK_COLOUR, link
from LiverLesionAILib.panel.report import report_panel
from LiverLesionAILib.panel.report.report_panel import Questions, ReportPanel, new_folder
from LiverLesionAILib.panel.run.model_panel import ModelPanel
from LiverLesionAILib.panel.run.other_scans import NO_PHASES, ChosenPhases
from LiverLesionAILib.panel.run.run_panel import RunPanel
from LiverLesionAILib.panel.show.attention_panel import AttentionPanel
from LiverLesionAILib.review.case_view import CaseView, ListedLesion
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry

END = (0.0, 0.0, 0.0)
MEASURED = Measurement(12.34, 31.4, 20.6, (END, END), (END, END), 61.4, 12.0, 5.0, 0.9)
LESION = ListedLesion(
    number=2,
    score=0.8,
    centre_lps=END,
    box=Box(END, (30.0, 22.0, 25.0)),
    measurement=MEASURED,
    model_class="cyst",
    class_probabilities={"cyst": 0.7, "HCC": 0.2},
    class_reasons="5 HU, edge 2 mm",
    segment_id="lesion_2",
    name="Lesion 2 (cyst 0.70)",
)
BOXED = replace(LESION, number=3, measurement=None, segment_id="box:3", name="Lesion 3", model_class=None)


class Widget:
    """Takes every call and every text; `fire` does what the user would."""

    def __init__(self) -> None:
        self.__dict__.update(_slots={}, state={}, collapsed=False, focus=False, text="", toolTip="")

    def connect(self, signal: str, slot: Callable[..., None]) -> None:
        self._slots.setdefault(signal, []).append(slot)

    def fire(self, signal: str = "clicked()", *values: Any) -> None:
        assert signal in self._slots, f"nobody listens to {signal}"
        for slot in self._slots[signal]:
            slot(*values)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*values: Any) -> None:
            self.state[name] = values

        return call


class Ui:
    """Every widget by its name, made when it is asked for."""

    def __getattr__(self, name: str) -> Widget:
        self.__dict__[name] = Widget()
        return self.__dict__[name]


class Host:
    """The few lines of a panel that its parts ask for."""

    def __init__(self, *rows: ListedLesion, volume: Any = None) -> None:
        import qt

        self.ui, self.case, self.rows = Ui(), CaseView(volume, None, None, rows=rows), list(rows)
        self.ui.findingsTable = qt.QTableView()
        self.ui.queueButton = qt.QToolButton()
        self.parameters: Any = SimpleNamespace(inputVolume=volume, secondVolume=None, findClasses=True)
        self.phases = NO_PHASES
        self.said: list[tuple[str, str]] = []
        self.refreshed, self.problem = 0, ""

    def selection(self) -> list[ListedLesion]:
        return self.rows

    def select(self, segment_id: str) -> None:
        self.rows = [row for row in self.case.rows if row.segment_id == segment_id]

    def known_classes(self) -> list[str]:
        return ["HCC", "Cyst"]

    def refresh(self) -> None:
        self.refreshed += 1

    def show_message(self, text: str, kind: str = "info") -> None:
        self.said.append((text, kind))

    def settings(self) -> dict[str, Any]:
        return {"segmenter": "sfan"}

    def score_threshold(self) -> float:
        return 0.5

    def prior_to_analyse(self) -> Any:
        return None

    def phases_of(self, volume: Any) -> tuple[ChosenPhases, tuple[str, ...]]:
        return self.phases, ()

    def model_problem(self) -> str:
        return self.problem


class Actions:
    """Remembers what was asked of it; `problem` is raised instead."""

    def __init__(self, problem: str = "") -> None:
        self.done: list[tuple[Any, ...]] = []
        self.history = SimpleNamespace(next_undo="", next_redo="", add_move=lambda *a: self.done.append(a))
        self.problem = problem

    def use(self, case: CaseView) -> None:
        self.case = case

    def set_status(self, ids: list[str], status: LesionStatus) -> None:
        if self.problem:
            raise InputError(self.problem)
        self.done.append((ids, status))

    def set_note(self, segment_id: str, text: str) -> None:
        self.done.append((segment_id, text))


@pytest.mark.parametrize(
    ("button", "status"),
    [
        ("acceptButton", LesionStatus.ACCEPTED),
        ("rejectButton", LesionStatus.REJECTED),
        ("notLiverButton", LesionStatus.NOT_LIVER),
        ("treatedButton", LesionStatus.TREATED),
    ],
)
def test_a_decision_goes_to_the_actions_with_the_selected_lesions(button: str, status: LesionStatus) -> None:
    host, actions = Host(LESION, BOXED), Actions()
    ReaderPanel(host, actions)  # type: ignore[arg-type]
    getattr(host.ui, button).fire()
    assert actions.done == [(["lesion_2", "box:3"], status)]
    assert host.refreshed == 1 and host.said == []


def test_a_decision_that_cannot_be_is_told_and_nothing_selected_is_nothing_done() -> None:
    host = Host(LESION)
    ReaderPanel(host, Actions("Nothing would be left of the liver."))  # type: ignore[arg-type]
    host.ui.notLiverButton.fire()
    assert host.said == [("Nothing would be left of the liver.", "warning")]
    host.rows, actions = [], Actions()
    ReaderPanel(host, actions).accept()  # type: ignore[arg-type]
    assert actions.done == []


def test_buttons_are_offered_where_they_can_do_something() -> None:
    host = Host(LESION, BOXED)
    panel = ReaderPanel(host, Actions())  # type: ignore[arg-type]

    def offered() -> list[bool]:
        panel.show()
        names = ("acceptButton", "mergeButton", "splitButton")
        return [getattr(host.ui, name).state["setEnabled"][0] for name in names]

    assert offered() == [True, False, False], "a box has no mask to merge"
    host.rows = [LESION, replace(LESION, segment_id="lesion_4", number=4)]
    assert offered() == [True, True, False]
    host.rows = [LESION]
    assert offered() == [True, False, True]
    host.rows = []
    assert offered() == [False, False, False]


def test_the_tables_cells_come_from_the_columns_of_every_file() -> None:
    cells = [table.cell_text(LESION, column) for column in range(len(table.COLUMNS))]
    assert cells == ["2", "cyst", "0.70", "", "31 × 21", "12.3", "61", "", ""]
    boxed = [table.cell_text(BOXED, column) for column in range(len(table.COLUMNS))]
    assert boxed == ["3", "–", "0.80", "", "□ 30 × 22", "", "", "", ""]
    place = LesionAnatomy((SegmentShare(CouinaudSegment.VII, 0.8), SegmentShare(CouinaudSegment.VIII, 0.2)))
    assert table.cell_text(replace(LESION, anatomy=place), table.SEGMENTS) == "VII+1"
    said = replace(LESION, anatomy=place.with_reader((CouinaudSegment.VI,)))
    assert table.cell_text(said, table.SEGMENTS) == "VI"
    assert table.cell_text(replace(LESION, probability=0.974), table.SURE) == "97"
    unknown = replace(LESION, score=math.nan, measurement=None, model_class=None, number=0)
    assert [table.cell_text(unknown, column) for column in range(6)] == ["new", "–", "", "", "", ""]
    # The reader's class has no probability of the model's but that it is a lesion.
    assert table.cell_text(replace(LESION, reader_class="FNH"), table.PROBABILITY) == "0.80"
    assert table.cell_text(replace(LESION, model_class="indeterminate"), table.PROBABILITY) == "0.80"
    # A score is no probability: it is not shown as one beside one that was calibrated.
    for changed in ({"reader_class": "FNH"}, {"model_class": "indeterminate"}, {"model_class": None}):
        assert table.cell_text(replace(LESION, probability=0.6, **changed), table.PROBABILITY) == ""
    assert table.cell_text(replace(LESION, probability=0.6), table.PROBABILITY) == "0.70"


def test_long_classes_are_short_in_the_narrow_column_and_whole_in_the_tip() -> None:
    def cell(**names: str | None) -> str:
        return table.cell_text(replace(LESION, **names), table.CLASS)  # type: ignore[arg-type]

    assert [cell(model_class=name) for name in ("metastasis", "haemangioma", "FNH", "indeterminate")] == [
        "met.", "haem.", "FNH", "indet.",
    ]  # fmt: skip
    assert cell(reader_class="Metastasis") == "Met."
    assert cell(reader_class="metastasis of colon") == "metastasis of colon", "a reader's words stay"
    assert cell(reader_class="None") == "None"
    assert table.sort_key(replace(LESION, model_class="metastasis"), table.CLASS) == "metastasis"
    assert "metastasis 0.79" in table.row_tip(replace(LESION, name="Lesion 2 (metastasis 0.79)"))


def test_a_lesion_that_looks_treated_is_asked_about_until_the_reader_has_said_so() -> None:
    why = "20 HU, 4 HU of change over 3 phases, sharp edge: an ablated zone looks so"
    row = replace(LESION, class_reasons=f"portal 20 HU; 31 mm; treated? {why}")
    text = details_html(row)
    assert "portal 20 HU; 31 mm<br>" in text and f"{why}. {link('treated', 'Mark as treated')}" in text
    host, actions = Host(row), Actions()
    ReaderPanel(host, actions)  # type: ignore[arg-type]
    host.ui.detailLabel.fire("linkActivated(QString)", "treated")
    host.ui.detailLabel.fire("linkActivated(QString)", "elsewhere")
    assert actions.done == [(["lesion_2"], LesionStatus.TREATED)]
    marked = details_html(replace(row, status=LesionStatus.TREATED))
    assert "as you say" in marked and "<a href" not in marked


def test_a_link_is_read_on_light_and_on_dark_windows() -> None:
    """Qt's usual blue is below 2 to 1 on a dark window."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        high, low = sorted((luminance(one), luminance(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for window in ("#efefef", "#ffffff", "#323232", "#242424"):
        assert contrast(LINK_COLOUR, window) >= 3, window
    assert contrast("#0000ff", "#323232") < 2
    assert LINK_COLOUR in link("go:1", "there")


def test_what_measurements_leave_open_is_not_called_unlike_what_was_trained() -> None:
    row = replace(LESION, model_class="indeterminate")
    assert "unlike the classes" not in details_html(row)
    assert "unlike the classes" in details_html(replace(row, class_reasons=""))


@pytest.mark.parametrize("column", [table.PROBABILITY, table.AXES, table.VOLUME, table.HU])
def test_unknown_numbers_sort_last(column: int) -> None:
    unknown = replace(LESION, score=math.nan, measurement=None, model_class=None)
    assert table.sort_key(unknown, column) < table.sort_key(LESION, column)


def test_details_say_why_a_class_was_given() -> None:
    text = details_html(replace(LESION, class_reasons="5 HU < 20 HU"))
    assert "5 HU &lt; 20 HU" in text and "cyst" in text and "0.70" in text
    assert "box of 30 × 22 × 25 mm" in details_html(BOXED)
    two = tuple(PhaseLevels(phase, 90.0, 100.0, 200.0) for phase in (Phase.ARTERIAL, Phase.PORTAL))
    assert "data:image/png;base64," in details_html(replace(LESION, enhancement=Enhancement(two)))
    assert "<img" not in details_html(replace(LESION, enhancement=Enhancement(two[:1])))


def test_details_say_what_is_doubtful_of_a_lesion() -> None:
    """Notes on the case are a click away; who selects a lesion sees what is said of it."""
    grid = Geometry.make((30, 60, 60), (3.0, 1.5, 1.5), (-45.0, -45.0, -45.0))
    assert "gallbladder" not in details_html(LESION, grid)
    doubted = details_html(replace(LESION, at_gallbladder=True), grid)
    assert doubted.startswith("<b>At the gallbladder</b>: it may be a part")
    through = replace(
        LESION, box=replace(BOXED.box, centre_lps=(0.0, 0.0, 0.0), size_xyz_mm=(9.0, 9.0, 90.0))
    )
    assert "Cut by the scan" in details_html(through, grid) and "Cut by" not in details_html(through)


class Volume:
    """A volume node that was never saved."""

    def GetName(self) -> str:
        return "CT 7/8"

    def GetStorageNode(self) -> None:
        return None

    def GetAttribute(self, name: str) -> None:
        return None


class Run:
    """Takes tasks and does none."""

    def __init__(self, view: Any) -> None:
        self.view, self.task, self.begun = view, None, []

    def start(self, task: Any) -> None:
        self.begun.append(task)

    def cancel(self) -> None:
        """Nothing is under way."""


def ask(folder: str = "", files: tuple[str, ...] = (), agrees: bool = True) -> Questions:
    return Questions(lambda parent, start: folder, lambda parent, start: files, lambda text: agrees)


@pytest.fixture
def reporting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Host, ReportPanel]]:
    monkeypatch.setattr(report_panel, "missing_packages", lambda requirements, folder: ())

    def made(volume: Any, questions: Questions, **ticked: bool) -> tuple[Host, ReportPanel]:
        host = Host(volume=volume)
        part = ReportPanel(host, None, Run, tmp_path, questions)  # type: ignore[arg-type]
        for name, box in {**report_panel.FORMATS, "with_patient": "reportPatientBox"}.items():
            getattr(host.ui, box).checked = ticked.get(name, False)
        host.ui.reportLanguage.currentIndex = 2
        return host, part

    return made


def test_a_report_goes_into_a_new_folder_and_its_failure_is_told(reporting: Any, tmp_path: Path) -> None:
    host, part = reporting(Volume(), ask(str(tmp_path)), csv=True, report=True)
    host.ui.reportButton.fire()
    [task] = part.run.begun
    assert task.name == "Report"
    (tmp_path / "CT 7_8 findings").mkdir()
    (tmp_path / "CT 7_8 findings" / "a<b.csv").touch()
    task.done()
    assert host.said[-1][1] == "info" and "a&lt;b.csv" in host.said[-1][0]
    part.run_failed("The disk is full.", "error")
    assert host.said[-1] == ("The disk is full.", "error")
    assert new_folder(tmp_path, "CT 7/8").name == "CT 7_8 findings 2"
    assert new_folder(tmp_path, "..").parent == tmp_path


def test_no_report_without_a_ct_or_when_the_reader_thinks_better_of_it(reporting: Any) -> None:
    for volume in (None, Volume()):
        host, part = reporting(volume, ask(agrees=False), csv=True)
        for button in ("reportButton", "importButton"):
            getattr(host.ui, button).fire()
        host.ui.packagesButton.fire()
        assert host.said == [] and part.run.begun == []


def test_ticks_become_options_and_dicom_needs_a_ct_that_came_from_it(reporting: Any) -> None:
    volume = Volume()
    _, part = reporting(volume, ask(), dicom=True, pdf=True, with_patient=True)
    options = part._options()
    assert (options.language, options.pdf, options.csv, options.with_patient) == ("no", True, False, True)
    assert not options.dicom
    volume.GetAttribute = lambda name: "1.2.3" if name == "DICOM.instanceUIDs" else None  # type: ignore[attr-defined]
    assert part._options().dicom


def test_what_needs_packages_is_not_begun_without_them(
    reporting: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(report_panel, "missing_packages", lambda requirements, folder: ("highdicom",))
    host, part = reporting(Volume(), ask(str(tmp_path)), report=True)
    host.ui.reportButton.fire()
    host.ui.copyTextButton.fire()
    assert part.run.begun == [] and "Install packages" in host.said[-1][0]
    host.ui.packagesButton.fire()
    assert [task.name for task in part.run.begun] == ["Install packages"]


def test_what_is_switched_off_is_not_asked_of_the_pipeline() -> None:
    ui, chosen = Ui(), SimpleNamespace(setting="auto")
    panel = ModelPanel(ui)
    parameters = SimpleNamespace(
        segmenter="", detector="", classifier="", findBoxes=True, findClasses=True, device=chosen,
        precision=chosen, marginMm=10.0, smallestMm=3.0, pyramid=False,
    )  # fmt: skip
    panel.bind(parameters)  # type: ignore[arg-type]
    first = {
        task: next(e.name for e in Manifest.read().entries if e.task == task)
        for task in ("segment", "detect")
    }
    settings = panel.settings()
    assert (settings["segmenter"], settings["detector"]) == (first["segment"], first["detect"])
    assert "pyramid" not in settings
    parameters.findBoxes = parameters.findClasses = False
    parameters.pyramid, parameters.segmenter = True, "a model of yesterday"
    settings = panel.settings()
    assert settings["detector"] is None and settings["classifier"] is None
    assert settings["segmenter"] == first["segment"] and len(settings["pyramid"]) == 3


def test_a_manifest_without_models_is_said_once_and_offers_nothing() -> None:
    empty = replace(Manifest.read(), entries=())
    ui = Ui()
    panel = ModelPanel(ui, empty)
    assert panel.chosen("segment") == "" and panel.chosen("detect") == ""
    assert ui.findBoxesBox.state["setVisible"] == (False,)


def test_a_move_of_the_threshold_goes_to_the_history_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []

    def apply(scene: Any, case: CaseView, value: float) -> CaseView:
        shown.append(value)
        return case

    monkeypatch.setattr(threshold_panel, "apply_threshold", apply)
    actions, now = Actions(), [0.0]
    panel = threshold_panel.ThresholdPanel(Ui(), None, actions, lambda: "sfan", lambda: now[0])  # type: ignore[arg-type]
    segmentation = SimpleNamespace(GetID=lambda: "segmentation1")
    case = CaseView(None, segmentation, object())  # type: ignore[arg-type]
    parameters = SimpleNamespace(threshold=0.5, thresholdSet=True)
    panel.bind(parameters)  # type: ignore[arg-type]
    panel.follow(case)
    assert actions.done == [], "the first look at a case is no move"
    for value in (0.4, 0.3):
        parameters.threshold, now[0] = value, now[0] + 0.2
        panel.follow(case)
    panel.follow(case)
    assert [move[:3] for move in actions.done] == [(0.5, 0.4, 0.2), (0.4, 0.3, 0.4)]
    assert shown == [0.5, 0.4, 0.3, 0.3]
    # Without a case nothing follows, and the next case begins anew.
    assert panel.follow(CaseView(None, None, None)).segmentation is None
    parameters.threshold = 0.9
    panel.follow(case)
    assert len(actions.done) == 2


class Queue:
    """Takes cases; one may be under way."""

    def __init__(self) -> None:
        self.current, self.waiting, self.added, self.cancelled = None, (), [], 0

    def add(self, volume: Any, settings: Any, second: Any, warnings: Any, phases: ChosenPhases) -> None:
        assert phases is NO_PHASES
        self.added.append((volume, settings, second, warnings))

    def cancel(self) -> None:
        self.cancelled += 1


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> tuple[Host, Queue]:
    monkeypatch.setattr("LiverLesionAILib.panel.run.run_panel.grid_warnings", lambda volume: ("Check it.",))
    host, queue = Host(), Queue()
    RunPanel(host, None, lambda view: queue)  # type: ignore[arg-type,return-value]
    return host, queue


def test_analyze_without_a_ct_says_what_to_do(run: tuple[Host, Queue]) -> None:
    host, queue = run
    host.ui.analyzeButton.fire()
    assert "Load a CT first" in host.said[-1][0] and host.said[-1][1] == "warning"
    assert queue.added == []


def test_analyze_hands_over_the_ct_and_its_warnings_but_no_ct_as_its_own_second_phase(
    run: tuple[Host, Queue],
) -> None:
    host, queue = run
    volume = host.parameters.inputVolume = host.parameters.secondVolume = Volume()
    host.ui.analyzeButton.fire()
    assert queue.added == [(volume, {"segmenter": "sfan"}, None, ("Check it.",))]
    assert host.said[-1] == ("Check it.", "warning")
    host.problem = "The list of models is damaged."
    host.ui.analyzeButton.fire()
    assert host.said[-1] == ("The list of models is damaged.", "error") and len(queue.added) == 1


def test_the_same_button_cancels(run: tuple[Host, Queue]) -> None:
    host, queue = run
    queue.current = object()  # type: ignore[assignment]
    host.ui.analyzeButton.fire()
    assert queue.cancelled == 1 and queue.added == []


def test_a_point_is_asked_for_only_where_a_network_can_tell() -> None:
    host = Host(LESION)
    panel = AttentionPanel(host, None, lambda: None)  # type: ignore[arg-type]
    panel.show()
    assert host.ui.attendButton.state["setVisible"] == (False,)
    panel.start()
    assert host.said == []
