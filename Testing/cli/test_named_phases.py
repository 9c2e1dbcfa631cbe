"""Contrast phases by name on the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.phases import NamedPhases, hinted
from LiverLesionAILib.cli.main import build_parser
from LiverLesionAILib.cli.phases import read_phases
from LiverLesionAILib.reading import SeriesInfo
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.progress import silent
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))


def named(*options: str) -> NamedPhases | None:
    return read_phases(build_parser().parse_args(["analyze", "ct.nii", *options]), silent)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phases") / "four.nii"
    values = np.stack([HU + 10 * n for n in range(4)])
    path.write_bytes(writers.nifti(values, pixdim=(1.0, 3.0, 3.0, 2.0, 1.0, 0, 0, 0), qform_code=0))
    return path


def test_none_is_named() -> None:
    assert named() is None


def test_each_is_read_from_its_own_series(four: Path) -> None:
    found = named(
        *("--ct-phase", "portal"),
        *("--phase", f"arterial={four}", "--phase-series", "arterial=2"),
        *("--phase", f"delayed={four}", "--phase-series", "delayed=4"),
    )
    assert found is not None and found.own is Phase.PORTAL
    (first, arterial), (second, delayed) = found.others
    assert (first, second) == (Phase.ARTERIAL, Phase.DELAYED)
    np.testing.assert_array_equal(arterial.hu_zyx, HU + 10)
    np.testing.assert_array_equal(delayed.hu_zyx, HU + 30)


def test_a_choice_that_is_missing_is_asked_for_by_the_phases_own_option(four: Path) -> None:
    with pytest.raises(LiverLesionAIError, match=r"Phase arterial: .*--phase-series arterial=1"):
        named("--phase", f"arterial={four}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--phase", "venous=a.nii"], "unenhanced, arterial, portal, delayed"),
        (["--phase", "arterial"], "NAME=CT"),
        (["--phase", "arterial="], "NAME=CT"),
        (["--phase", "arterial=a.nii", "--phase", "arterial=b.nii"], "twice"),
        (["--phase-series", "arterial=2"], "--phase arterial=CT"),
        (["--phase", "arterial=a.nii", "--phase-grid", "arterial=x"], "sform or qform"),
        (["--phase", "arterial=a.nii", "--ct-phase", "arterial"], "--ct-phase"),
        (["--phase", "arterial=a.nii", "--second-phase", "b.nii"], "--second-phase"),
    ],
)
def test_what_makes_no_sense_is_refused(options: list[str], said: str) -> None:
    with pytest.raises(LiverLesionAIError, match=said):
        named(*options)


def info(key: str, description: str, **changes) -> SeriesInfo:
    made = SeriesInfo(
        key, int(key), f"1.{key}", description, "CT", 80, 240.0, (350.0, 350.0), 3.0, True, True
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("Abd nativ 3.0", Phase.UNENHANCED),
        ("LIVER ARTERIAL 2mm", Phase.ARTERIAL),
        ("Leber spätarteriell", None),
        ("Abdomen portalvenös", Phase.PORTAL),
        ("ABD VENOUS", Phase.PORTAL),
        ("Delayed 5 min", Phase.DELAYED),
        ("Abdomen 3.0 B30f", None),
        ("art + portal", None),
        ("Martin_abdomen", None),
        ("Arthur liver", None),
        ("liver_art_2mm", Phase.ARTERIAL),
        ("SENSATION 64 spatial", None),
        ("Lever sen", Phase.DELAYED),
    ],
)
def test_phases_in_descriptions(description: str, phase: Phase | None) -> None:
    assert hinted(description) is phase


def test_a_study_gives_its_other_series_as_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        info("4", "portal venous"),
        info("2", "native"),
        info("3", "arterial"),
        info("5", "arterial thick"),
        info("6", "Abdomen", extent_mm=100.0),
        info("7", "Thorax", covers_abdomen=False),
        info("8", "Abd B30"),
    ]
    monkeypatch.setattr("LiverLesionAILib.reading.list_series", lambda place, progress: listed)
    monkeypatch.setattr("LiverLesionAILib.reading.read_ct", lambda place, key, progress: key)
    found = named("--study-phases")
    assert found is not None and found.own is Phase.PORTAL
    assert found.others == ((Phase.UNENHANCED, "2"), (Phase.ARTERIAL, "3"), (None, "8"))
    other = named("--study-phases", "--series", "arterial")
    assert other is not None and other.own is Phase.ARTERIAL
    assert [phase for phase, _ in other.others] == [Phase.PORTAL, Phase.UNENHANCED, None]
    with pytest.raises(LiverLesionAIError, match="finds the phases itself"):
        named("--study-phases", "--phase", "arterial=a.nii")
    listed[1:] = []
    with pytest.raises(LiverLesionAIError, match="no other abdominal series"):
        named("--study-phases")
