"""Pictures in the report: key images that a case keeps, their size, and printing them."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.writing.export import Export, export_case
from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.html import report_html
from LiverLesionAILib.writing.report.key_images import (
    FOLDER,
    key_images,
    overview_image,
    read_key_images,
    write_key_images,
)
from LiverLesionAILib.writing.report.pdf import report_pdf
from support.case_factory import small_case
from support.report_pages import SOURCE, WHY, Page


def test_twelve_lesions_with_pictures_stay_small_and_self_contained(tmp_path):
    volume, result = small_case()
    pictures = dict(key_images(result, volume))
    twelve = {k + 1: pictures[k % 2 + 1] for k in range(12)}
    lesions = tuple(replace(result.lesions[k % 2], number=k + 1, class_reasons=WHY) for k in range(12))
    result = replace(result, lesions=lesions)
    made = report_content(result, SOURCE, Options(), twelve, overview_image(result, volume))
    page = report_html(made)
    assert len(page.encode()) < 2e6
    assert Page(page).outside == []
    assert page.count("<img ") == 13
    assert all(alt for alt in re.findall(r'<img alt="([^"]*)"', page))
    data = report_pdf(made)
    assert len(pypdf.PdfReader(io.BytesIO(data)).pages) <= 2
    assert data == report_pdf(made), "the same report, the same bytes"


def test_a_browser_without_a_network_prints_two_pages(tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    volume, result = small_case()
    pictures = dict(key_images(result, volume))
    lesions = tuple(replace(result.lesions[k % 2], number=k + 1, class_reasons=WHY) for k in range(12))
    twelve = {k + 1: pictures[k % 2 + 1] for k in range(12)}
    made = report_content(
        replace(result, lesions=lesions), SOURCE, Options("de"), twelve, overview_image(result, volume)
    )
    (tmp_path / "page.html").write_text(report_html(made), encoding="utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"]
    arguments += [f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri()]
    subprocess.run([browser, *arguments], check=True, capture_output=True, timeout=120)
    pages = [" ".join(p.extract_text().split()) for p in pypdf.PdfReader(tmp_path / "page.pdf").pages]
    assert len(pages) <= 2
    assert sum(len(p.images) for p in pypdf.PdfReader(tmp_path / "page.pdf").pages) >= 3
    for row in made.rows:
        assert row.axes in " ".join(pages)
    for page in pages:
        assert made.words("research") in page
        assert made.draft in page


class TestKeptKeyImages:
    @pytest.fixture(scope="class")
    def kept(self, tmp_path_factory) -> Path:
        volume, result = small_case()
        folder = tmp_path_factory.mktemp("kept") / "case"
        folder.mkdir()
        save_result(result, folder)
        write_key_images(result, volume, folder)
        return folder

    def test_a_report_needs_no_ct_and_shows_the_same(self, kept):
        volume, result = small_case()
        images, overview = read_key_images(load_result(kept), kept)
        assert images == dict(key_images(result, volume))
        assert overview == overview_image(result, volume)

    def test_the_command_takes_them(self, kept, tmp_path, capsys):
        arguments = ["export", str(kept), "--out", str(tmp_path), "--report"]
        assert main(arguments) == 0
        assert "key image" not in capsys.readouterr().out
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert page.count("<img ") == 1 + len(small_case()[1].lesions)

    def test_a_changed_outline_loses_its_picture_and_it_is_said(self, kept, tmp_path):
        _, result = small_case()
        first = result.lesions[0]
        moved = replace(first, measurement=replace(first.measurement, volume_ml=1.0))
        changed = replace(result, lesions=(moved, *result.lesions[1:]))
        said: list[str] = []
        export_case(changed, None, tmp_path, Export(report=True), case_folder=kept, say=said.append)
        assert said[0].startswith("1 of 2 lesions have no key image")
        images, overview = read_key_images(changed, kept)
        assert sorted(images) == [2]
        assert overview is None

    def test_a_number_on_the_edge_of_rounding_loses_nothing(self, tmp_path):
        """Of 12.34349999 the store keeps 12.3435: what a picture is called by must not tell the two apart."""
        volume, result = small_case()
        edge = [
            replace(
                x,
                centre_lps=(12.34349999, 1.0, 1.0),
                measurement=replace(x.measurement, hu_mean=60.84500049),
            )
            for x in result.lesions
        ]
        result = replace(result, lesions=tuple(edge), liver_volume_ml=1402.49999951)
        folder = tmp_path / "case"
        folder.mkdir()
        save_result(result, folder)
        write_key_images(result, volume, folder)
        images, overview = read_key_images(load_result(folder), folder)
        assert sorted(images) == [1, 2] and overview is not None

    def test_a_damaged_picture_is_left_out(self, kept, tmp_path):
        _, result = small_case()
        shutil.copytree(kept, tmp_path / "case")
        broken = sorted((tmp_path / "case" / FOLDER).glob("lesion_1_*.png"))[0]
        broken.write_bytes(broken.read_bytes()[:200])
        assert sorted(read_key_images(result, tmp_path / "case")[0]) == [2]
