"""The cohort's page: cases by number, the doubtful first, every link leads somewhere, no name gets in."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.writing.case_folder import MARKER
from LiverLesionAILib.writing.cohort.cards import card_of, change_text, doubt_of, with_outliers
from LiverLesionAILib.writing.cohort.page import write_cohort
from LiverLesionAILib.writing.review_file import read_review, review_of, write_review
from LiverLesionAILib.writing.summary import REVIEWED, renew_summary, write_summary
from LiverLesionAILib.writing.tables import findings_json, write_tables
from support.results import empty_result, measured_result


def write_case(folder: Path, result: CaseResult) -> None:
    folder.mkdir(parents=True)
    save_result(result, folder)
    write_tables(result, folder)
    (folder / MARKER).write_text(json.dumps({"files": []}))
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[20:60, 30:90] = 200
    sitk.WriteImage(sitk.GetImageFromArray(picture, isVector=True), str(folder / "axial.png"))


def decided(result: CaseResult) -> CaseResult:
    lesions = tuple(replace(lesion, status=LesionStatus.ACCEPTED) for lesion in result.lesions)
    return replace(result, lesions=lesions)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Seven cases with names in every text, one of them damaged."""
    out = tmp_path / "out"
    whole = measured_result(case_name="Meier^Anna", messages=("Meier^Anna was </script> cropped.",))
    for k, volume in enumerate((1500.0, 1520.0, 1480.0, 1510.0)):
        write_case(out / f"Meier {k}", replace(decided(whole), liver_volume_ml=volume))
    write_case(out / "Meier large", replace(whole, liver_volume_ml=4000.0))
    write_case(out / "Meier empty", empty_result(case_name="Meier^Anna"))
    write_case(out / "Meier damaged", whole)
    (out / "Meier damaged" / "case.json").write_text("{")
    (out / "other").mkdir()
    return out


def cards_in(page: Path) -> list[dict]:
    return json.loads(re.search(r"const CARDS = (.*);\n", page.read_text(encoding="utf-8")).group(1))


def test_the_doubtful_come_first_and_links_lead_somewhere(out: Path) -> None:
    said: list[str] = []
    page = write_cohort(out, said.append)
    cards = cards_in(page)
    assert len(cards) == 6
    assert [text for text in said if "damaged" in text]
    assert [card["doubt"] for card in cards] == sorted((c["doubt"] for c in cards), reverse=True)
    assert cards[0]["reason"] == "no liver was found"
    # Of three lesions with scores of 0.98, 0.71 and 0.4 the last is nearest to 0.5.
    assert (cards[1]["reason"], cards[1]["doubt"]) == ("lesion 3: score 0.40", pytest.approx(0.8))
    assert [card["outlier"] for card in cards] == [False, True, False, False, False, False]
    assert {card["decided"] for card in cards[2:]} == {"3 of 3 decided"}
    for card in cards:
        assert (page.parent / card["thumbnail"]).is_file()
        assert {"Axial", "Table"} <= {name for name, _ in card["links"]}
        for _, path in card["links"]:
            assert (page.parent / path).is_file(), path


def test_the_folder_names_nobody_and_needs_no_network(out: Path) -> None:
    page = write_cohort(out, lambda text: None)
    for path in page.parent.rglob("*"):
        assert "Meier" not in path.name
        if path.is_file():
            assert b"Meier" not in path.read_bytes(), path
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == 1, "a text of a case ends the script"
    assert not re.search(r"https?://|//cdn|@import", text)
    with (out / "key.csv").open(encoding="utf-8", newline="") as file:
        key = {row["folder"]: row["number"] for row in csv.DictReader(file)}
    assert sorted(key) == sorted(p.name for p in out.glob("Meier*"))


# Every choice of both lists, and the numbers of the cards that are shown then.
CHOICES = """<script>
const shown = () => [...document.querySelectorAll("article")].filter(e => e.offsetParent !== null)
  .map(e => e.innerText.match(/Case (\\d+)/)[1]).join(",");
const seen = {};
for (const list of document.querySelectorAll("select")) {
  for (const option of list.options) {
    list.value = option.value;
    list.dispatchEvent(new Event("change"));
    seen[list.id + " " + option.value] = shown();
  }
  list.selectedIndex = 0;
  list.dispatchEvent(new Event("change"));
}
document.title = JSON.stringify(seen);
</script></body>"""


def test_a_browser_without_a_network_filters_and_sorts(out: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    page = write_cohort(out, lambda text: None)
    cards = cards_in(page)
    text = page.read_text(encoding="utf-8")
    tried = page.with_name("tried.html")
    tried.write_text(text.replace("</body>", CHOICES) if "</body>" in text else text + CHOICES)
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [browser, *arguments, tried.as_uri()], check=True, capture_output=True, text=True, timeout=120
    )
    seen = json.loads(re.search(r"<title>(.*)</title>", done.stdout).group(1))
    numbers = {name: [int(word) for word in shown.split(",") if word] for name, shown in seen.items()}
    by_doubt = [card["number"] for card in cards]
    assert numbers["filter all"] == numbers["sort doubt"] == by_doubt
    assert numbers["filter none"] == [n["number"] for n in cards if n["lesions"] == 0] != []
    assert numbers["filter some"] == [n["number"] for n in cards if n["lesions"] > 0] != []
    assert numbers["filter outlier"] == [n["number"] for n in cards if n["outlier"]] != []
    assert numbers["filter warnings"] == [n["number"] for n in cards if n["warnings"]] != []
    assert numbers["filter many"] == numbers["filter changed"] == []
    assert numbers["sort number"] == sorted(by_doubt) != by_doubt


def test_a_case_keeps_its_number_and_decisions_come_in(out: Path, capsys) -> None:
    write_cohort(out, lambda text: None)
    before = (out / "key.csv").read_text(encoding="utf-8").splitlines()
    write_case(out / "A first one", measured_result())
    save_result(decided(measured_result()), out / "Meier large")
    assert main(["cohort", str(out)]) == 0
    assert "index.html" in capsys.readouterr().out
    after = (out / "key.csv").read_text(encoding="utf-8").splitlines()
    assert after[: len(before)] == before
    assert after[-1] == '"8","A first one"'
    number = next(int(row["number"]) for row in csv.DictReader(after) if row["folder"] == "Meier large")
    with (out / "cohort" / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = {int(row["number"]): row for row in csv.DictReader(file)}
    assert rows[number]["decided"] == "3 of 3 decided"


def test_what_was_decided_in_slicer_comes_in(out: Path) -> None:
    """One rejected, one drawn, burden measured anew; a review of an earlier analysis is none."""
    folder = out / "Meier large"
    numbers = [lesion.number for lesion in measured_result().lesions]
    states = [LesionStatus.REJECTED, *[LesionStatus.ACCEPTED] * len(numbers)]
    review = review_of(zip([*numbers, 99], states, strict=True), True, 1.25)
    write_review(review, folder)
    assert read_review(folder) == review
    write_summary(out, [{"case": "Meier large", "lesions": "3", "message": "=1"}, {"case": "Meier 0"}])
    card = next(card for card in cards_in(write_cohort(out, lambda text: None)) if card["outlier"])
    assert (card["lesions"], card["decided"], card["burden_percent"]) == (3, "reviewed", 1.25)
    assert card["doubt"] == 0
    (out / "summary.csv").write_text((out / "summary.csv").read_text().replace('"yes"', '""'))
    assert renew_summary(out)
    first, second = csv.DictReader((out / "summary.csv").open(encoding="utf-8", newline=""))
    assert [first[name] for name in REVIEWED] == ["yes", "3", "1", "3", "1.25"]
    assert first["message"] == "'=1"
    assert [second[name] for name in REVIEWED] == [""] * 5
    write_tables(replace(measured_result(), liver_volume_ml=1.0), folder)
    assert read_review(folder) is None


def test_a_damaged_key_is_not_replaced(out: Path, capsys) -> None:
    (out / "key.csv").write_text("number\nx")
    assert main(["cohort", str(out)]) == 1
    assert "key.csv" in capsys.readouterr().err
    assert (out / "key.csv").read_text() == "number\nx"


def test_a_folder_without_cases_is_refused(tmp_path: Path, capsys) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert main(["cohort", str(folder)]) == 1
        assert folder.name in capsys.readouterr().err


def test_changes_in_words() -> None:
    followup = {
        "registration": {"failed": ""},
        "recist": {"overall": "PD"},
        "sums_mm": [30.0, 20.0, 26.0],
        "pairs": [{"state": "new"}, {"state": "stable"}],
        "warnings": ["far apart"],
    }
    assert change_text(followup) == "PD, sum 20 to 26 mm (+30 %), 1 new"
    assert change_text({**followup, "registration": {"failed": "no overlap"}}) == "could not be compared"
    assert change_text(None) == ""
    findings = findings_json(measured_result())
    assert card_of(1, findings, followup).warnings[-1] == "far apart"
    accepted = findings_json(decided(measured_result()))
    assert doubt_of(accepted)[0] < doubt_of(findings)[0]
    few = [replace(card_of(1, findings, None), liver_ml=ml) for ml in (1500.0, 9000.0)]
    assert not any(card.outlier for card in with_outliers(few)), "too few to say what is usual"
