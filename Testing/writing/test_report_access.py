"""Whether everybody can read the page: contrast, keyboard, screen readers (WCAG 2.2, AA)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")

from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.volume.dicom import DicomSource
from LiverLesionAILib.writing.report.content import Options, report_content
from LiverLesionAILib.writing.report.html import report_html
from LiverLesionAILib.writing.report.key_images import key_images, overview_image
from LiverLesionAILib.writing.report.strings import LANGUAGES
from support.case_factory import small_case

AA_CONTRAST = 4.5
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
AXE = Path(os.environ.get("AXE_CORE", "axe.min.js"))
"""axe.min.js of the npm package axe-core, which is not part of this project."""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """A page with everything that a page can have, by language."""
    volume, result = small_case()
    first, *others = result.lesions
    first = replace(first, reader_class="cyst", note="biopsy", status=LesionStatus.ACCEPTED)
    gallbladder = np.zeros_like(result.liver_zyx)
    gallbladder[2:6, 3:9, 4:10] = True
    result = replace(
        result,
        lesions=(first, *others),
        gallbladder_zyx=gallbladder,
        messages=("The file's header was odd.",),
        models={"segmenter": "0123456789ab"},
    )
    pictures, overview = dict(key_images(result, volume)), overview_image(result, volume)
    source = DicomSource((), patient_name="Muster^Max", patient_id="7", study_date="20260131")
    return {
        code: report_html(
            report_content(result, source, Options(code, with_patient=code == "de"), pictures, overview)
        )
        for code in LANGUAGES
    }


def luminance(colour: str) -> float:
    """Relative luminance of a CSS hexadecimal colour (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    srgb = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in srgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_by_known_values():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.005)


def test_every_colour_of_a_text_is_seen_on_its_ground(pages):
    style = pages["en"].partition("<style>")[2].partition("</style>")[0]
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", style)
    checked = 0
    for selector, body in rules:
        said = dict(re.findall(r"(?<![-\w])(color|background)\s*:\s*(#[0-9a-fA-F]{3,6})\b", body))
        if "color" in said:
            assert contrast(said["color"], said.get("background", "#fff")) >= AA_CONTRAST, selector
            checked += 1
    assert checked >= 8


class Structure(HTMLParser):
    """What a screen reader goes by."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [values for tag, values in self.tags if tag in names]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_screen_reader_finds_its_way(pages, language):
    page = Structure(pages[language])
    assert page.of("html")[0]["lang"] == language
    assert len(page.of("title")) == len(page.of("main")) == len(page.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False))
    assert page.of("img") and all(values.get("alt") for values in page.of("img"))
    assert page.of("th") and all(values.get("scope") in ("col", "row") for values in page.of("th"))
    ids = [values["id"] for _, values in page.tags if values.get("id")]
    assert len(ids) == len(set(ids))
    assert {v["aria-labelledby"] for _, v in page.tags if v.get("aria-labelledby")} <= set(ids)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_needed_and_none_is_caught(pages, language):
    """Nothing can be clicked, so nothing has to be reached by the keyboard: the page is text alone."""
    page = Structure(pages[language])
    assert not page.of("a", "button", "input", "select", "textarea", "iframe", "script", "details")
    for _, values in page.tags:
        assert not any(name == "tabindex" or name.startswith("on") for name in values)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.skipif(not AXE.is_file(), reason="AXE_CORE does not name axe.min.js (npm install axe-core)")
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_has_no_complaint(pages, language, tmp_path):
    script = AXE.read_text(encoding="utf-8")
    ask = "axe.run().then(r => {document.body.innerHTML = '<pre id=axe></pre>';"
    ask += "document.getElementById('axe').textContent = JSON.stringify({"
    ask += "bad: r.violations.map(v => [v.id, v.nodes.map(n => n.html)]), good: r.passes.length})});"
    page = pages[language].replace("</body>", f"<script>{script}</script><script>{ask}</script></body>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--virtual-time-budget=20000", "--dump-dom", (tmp_path / "page.html").as_uri()]
    said = subprocess.run([CHROMIUM, *options], check=True, capture_output=True, timeout=120, text=True)
    found = re.search(r'<pre id="axe">(.*?)</pre>', said.stdout, re.DOTALL)
    assert found is not None, said.stdout[-500:]
    told = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert told["bad"] == []
    assert told["good"] >= 15
