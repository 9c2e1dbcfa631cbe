"""A lesion's densities over the phases: kept, in columns of their own, proposed to LI-RADS, drawn."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.case import tags
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.columns import BY_KEY, ENHANCEMENT
from LiverLesionAILib.case.enhancement import (
    Enhancement,
    PhaseLevels,
    describe_enhancement,
    read_enhancement,
)
from LiverLesionAILib.case.findings import Box, Lesion
from LiverLesionAILib.case.lirads import Proposal
from LiverLesionAILib.case.store_json import describe_lesion, read_lesion
from LiverLesionAILib.pictures.enhancement_plot import COLOURS, HEIGHT, WIDTH, enhancement_plot
from LiverLesionAILib.writing.report.sentences import reasons
from LiverLesionAILib.writing.report.strings import LANGUAGES, Language

LEVELS = (
    PhaseLevels(Phase.ARTERIAL, 118.0, 75.0, 310.0, 90.0, 160.0, 2.5, -3.0),
    PhaseLevels(Phase.PORTAL, 92.0, 112.0, 160.0, math.nan, 170.0, 3.0, 14.0),
)
ONE = Enhancement(LEVELS, aphe=True, rim=False, washout=True, capsule=True, own=Phase.PORTAL)
LESION = Lesion(1, 0.9, (0.0, 0.0, 0.0), Box((0.0, 0.0, 0.0), (10.0, 10.0, 10.0)), None, enhancement=ONE)


def same(one: Enhancement, other: Enhancement) -> bool:
    return json.dumps(describe_enhancement(one)) == json.dumps(describe_enhancement(other))


def test_it_is_kept_in_case_and_scene() -> None:
    assert same(read_enhancement(json.loads(json.dumps(describe_enhancement(ONE)))), ONE)
    kept = read_lesion(json.loads(json.dumps(describe_lesion(LESION))))
    assert kept.enhancement is not None and same(kept.enhancement, ONE)
    from_scene = tags.read(tags.write(LESION)).enhancement
    assert from_scene is not None and same(from_scene, ONE)
    assert "enhancement" not in describe_lesion(replace(LESION, enhancement=None))
    for damaged in ("{", '{"levels": [{}]}', "[]"):
        assert tags.parse_enhancement(damaged) is None


def test_figures_have_columns_of_their_own() -> None:
    said = {column.key: column.file_text(LESION) for column in ENHANCEMENT}
    assert said == {
        "core_hu": "92",
        "beside_hu": "112",
        "edge_mm": "3.0",
        "rim_hu": "14",
        "aphe": "yes",
        "washout": "yes",
        "capsule": "yes",
    }
    without = replace(LESION, enhancement=None)
    assert {BY_KEY[column.key].file_text(without) for column in ENHANCEMENT} == {""}


def test_lirads_is_proposed_what_was_measured() -> None:
    assert Proposal.of(ONE) == Proposal(True, True, True, None, (Phase.ARTERIAL, Phase.PORTAL))
    assert Proposal.of(replace(ONE, rim=True)).targetoid is True
    assert Proposal.of(None) == Proposal()


def test_the_plot_shows_each_curve_and_needs_two_phases() -> None:
    picture = enhancement_plot(ONE)
    assert picture is not None and picture.shape == (HEIGHT, WIDTH, 3)
    for name in ("lesion", "liver", "aorta"):
        near = np.abs(picture / 255 - np.array(COLOURS[name])).max(axis=2) < 0.05
        assert near.sum() > 60, name
    red = np.abs(picture / 255 - np.array(COLOURS["aorta"])).max(axis=2) < 0.05
    rows, columns = np.nonzero(red[:, : WIDTH - 110])
    assert rows[columns.argmin()] < rows[columns.argmax()], "the aorta falls"
    assert enhancement_plot(Enhancement(LEVELS[:1])) is None


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_its_sentences_are_translated(code: str) -> None:
    said = (
        "APHE (+43 HU against liver); no APHE (-4 HU against liver); rim-like arterial enhancement (rim +31 "
        "HU, core +20 HU against liver); washout (portal -20 HU against liver); no washout (delayed +1 HU "
        "against liver); washout not judged where a rim enhances (portal -30 HU against liver); no washout, "
        "as it was dark from the start (delayed -30 HU against liver); enhancing capsule; no enhancing "
        "capsule; treated? 300 HU (portal) is lipiodol or calcification; treated? 40 HU, 3 HU of "
        "change over 2 phases, sharp edge: an ablated zone looks so"
    )
    translated = reasons(said, Language(code)).split("; ")
    for before, after in zip(said.split("; "), translated, strict=True):
        assert before != after, after
