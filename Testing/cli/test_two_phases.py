"""Two phases out of one file of several volumes, and what is said of the second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.cli.analyze import _read_second, with_remarks
from LiverLesionAILib.cli.main import build_parser, main
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))


@pytest.fixture
def phases(tmp_path: Path) -> Path:
    values = np.stack([HU, HU + 30, HU + 60])
    path = tmp_path / "phases.nii"
    path.write_bytes(writers.nifti(values, pixdim=(1.0, 3.0, 3.0, 2.0, 1.0, 0, 0, 0), qform_code=0))
    return path


def test_the_second_is_chosen_and_its_remarks_stand_with_the_first(phases: Path) -> None:
    options = ["analyze", str(phases), "--series", "1", "--second-phase", str(phases), "--second-series", "3"]
    second = _read_second(build_parser().parse_args(options), silent)
    assert second is not None
    np.testing.assert_array_equal(second.hu_zyx, HU + 60)
    volume = with_remarks(read_ct(phases, "1"), second)
    np.testing.assert_array_equal(volume.hu_zyx, HU)
    assert any(n.startswith("Of the 3 volumes") and "number 1" in n for n in volume.notes)
    assert any(n.startswith("Second phase: Of the 3 volumes") and "number 3" in n for n in volume.notes)
    assert sum("two voxel sizes" in w for w in volume.warnings) == 2
    assert any(w.startswith("Second phase: ") for w in volume.warnings)


def test_without_a_choice_it_is_refused(phases: Path) -> None:
    options = ["analyze", str(phases), "--series", "1", "--second-phase", str(phases)]
    with pytest.raises(InputError, match="3 volumes") as caught:
        _read_second(build_parser().parse_args(options), silent)
    assert "Second phase: " in str(caught.value)
    assert "--second-series 1 to --second-series 3" in str(caught.value)
    assert " --series" not in str(caught.value)


def test_its_grid_is_chosen_by_an_option_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "late.nii"
    mirrored = writers.AxialGrid().sform_ras * [[-1], [1], [1]]
    path.write_bytes(writers.nifti(HU, srow=mirrored))
    options = ["analyze", "first.nii", "--second-phase", str(path)]
    with pytest.raises(InputError, match="--second-grid sform or --second-grid qform"):
        _read_second(build_parser().parse_args(options), silent)
    second = _read_second(build_parser().parse_args([*options, "--second-grid", "qform"]), silent)
    assert second is not None
    np.testing.assert_array_equal(second.hu_zyx, HU)


def test_a_choice_without_a_second_phase_is_named(phases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(phases), "--series", "1", "--second-series", "2"]) == 1
    assert "--second-phase" in capsys.readouterr().err
    assert main(["analyze", str(phases), "--series", "1", "--second-grid", "sform"]) == 1
    assert "--second-phase" in capsys.readouterr().err
