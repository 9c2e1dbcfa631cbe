"""`compare anatomy`: the truth itself scores full marks, what is swapped or left out does not."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import NAMED, Vessel
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Geometry
from numpy.typing import NDArray

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")

SHAPE = (20, 30, 40)


@dataclass(frozen=True)
class _Patient:
    """A box of a liver: VIII above V on the right, IV on the left; two tubes, two lesions."""

    name: str = "drawn"
    folder: Path = Path("drawn")
    facts: dict[str, Any] = field(
        default_factory=lambda: {
            "variant": "usual",
            "phase": "portal venous",
            "landmarks_lps": {"portal bifurcation": [1.0, 2.0, 3.0]},
        }
    )

    def ct(self) -> CtVolume:
        return CtVolume(np.zeros(SHAPE, np.int16), Geometry.make(SHAPE, (4.0, 4.0, 4.0)))

    def segments(self) -> NDArray[np.uint8]:
        out = np.zeros(SHAPE, np.uint8)
        out[2:10, 3:27, 3:20], out[10:18, 3:27, 3:20], out[2:18, 3:27, 20:37] = 5, 8, 9
        return out

    def labels(self) -> NDArray[np.uint8]:
        out = (self.segments() > 0).astype(np.uint8)
        out[12:15, 5:8, 6:9], out[4:7, 20:23, 28:31] = 2, 3
        return out

    def branches(self) -> NDArray[np.uint8]:
        out = np.zeros(SHAPE, np.uint8)
        out[12:15, 11:14, 4:36], out[4:7, 11:14, 4:36] = 15, 32
        return out


def _judged(**changes: Any) -> Any:
    from LiverLesionAILab.evaluation.anatomy import judge, true_vessels
    from LiverLesionAILab.evaluation.anatomy_methods import AnatomyAnswer
    from LiverLesionAILab.metrics.anatomy import couinaud

    patient = _Patient()
    said: dict[str, Any] = {
        "vessels_zyx": true_vessels(patient.branches())[0],
        "segments_zyx": couinaud(patient.segments()),
        "landmarks_lps": {"portal bifurcation": (1.0, 2.0, 8.0)},
    }
    answer = AnatomyAnswer(**{**said, **changes})

    def method(_ct: CtVolume, _labels: NDArray[np.uint8], phase: Phase) -> AnatomyAnswer:
        assert phase is Phase.PORTAL
        return answer

    return judge(patient, "told", method)  # type: ignore[arg-type]


def test_the_truth_has_full_marks() -> None:
    from LiverLesionAILab.evaluation.anatomy import anatomy_table

    row = _judged()
    assert row.dice == {"IV": 1.0, "V": 1.0, "VIII": 1.0} and row.cldice == pytest.approx(1.0)
    assert row.label_right == row.label_all > 0 and row.landmarks_mm == {"portal bifurcation": 5.0}
    assert [one["truth"] for one in row.lesions] == ["VIII", "IV"]
    assert all(one["right"] and not one["beyond"] for one in row.lesions)
    assert row.lesions[0]["portal"] == [16.0, 16.0] and row.lesions[0]["ivc"] == [None, None]
    assert row.lesions[0]["share"] == 1.0 and row.lesions[0]["either"][0] == row.lesions[0]["either"][1]
    table = anatomy_table([row])
    cells = "| 2 of 2 (2) | 2 of 2 | 0 | 1.000 | 1.000 | 1.000 | 1.000 of 100 % | 0.0 (4 of 6) | 0.0 |"
    assert f"| told | all | 1 {cells}" in table


def test_mistakes_are_counted() -> None:
    patient = _Patient()
    swapped = np.where(patient.branches() > 30, Vessel.PORTAL, Vessel.HEPATIC) * (patient.branches() > 0)
    row = _judged(vessels_zyx=swapped.astype(np.uint8))
    assert row.label_right == 0 and row.cldice == pytest.approx(1.0)
    segments = np.where(patient.segments() == 8, 5, np.where(patient.segments() == 5, 8, 4)).astype(np.uint8)
    unsure = np.where(patient.branches() == 32, Vessel.LIKELIER_HEPATIC, swapped).astype(np.uint8)
    row = _judged(vessels_zyx=unsure)
    assert row.cldice == pytest.approx(1.0) and row.sure_all == np.count_nonzero(patient.branches() == 15)
    assert row.label_all == np.count_nonzero(patient.branches()) and row.sure_right == 0
    assert row.label_right == np.count_nonzero(patient.branches() == 32), "by the likelier tree"
    row = _judged(segments_zyx=segments * (patient.segments() > 0))
    assert [one["right"] for one in row.lesions] == [False, True]
    assert row.lesions[0]["beyond"] is False, "V is VIII's neighbour"


def test_what_is_left_out_is_no_mistake_and_no_success() -> None:
    from LiverLesionAILab.evaluation.anatomy import anatomy_table

    row = _judged(vessels_zyx=None, segments_zyx=None, landmarks_lps={}, messages=("cut off",))
    assert row.cldice is None and not row.dice and "right" not in row.lesions[0]
    assert "| told | all | 1 | - | - | - | - | - | - | - | - | - | - | - |" in anatomy_table([row])


@pytest.fixture
def drawn_set(tmp_path: Path) -> Path:
    """A set of two patients, one held out."""
    from LiverLesionAILab.synthesis.synthliver.images import write_nifti

    patient = _Patient()
    hu = np.where(patient.labels() > 0, 110, -80).astype(np.int16)
    images = {
        "ct": hu, "labels": patient.labels(), "segments": patient.segments(), "vessels": patient.branches(),
    }  # fmt: skip
    for name, split in (("first", "held-out"), ("second", "train")):
        folder = tmp_path / "set" / "anatomy" / name
        folder.mkdir(parents=True)
        for image, array in images.items():
            write_nifti(array, patient.ct().geometry, folder / f"{image}.nii.gz")
        (folder / "truth.json").write_text(json.dumps({**patient.facts, "split": split}))
    return tmp_path / "set"


def test_patients_of_a_set_are_read_by_split(drawn_set: Path) -> None:
    from LiverLesionAILab.data.anatomy_set import find_anatomy

    assert [one.name for one in find_anatomy(drawn_set)] == ["first", "second"]
    (one,) = find_anatomy(drawn_set / "anatomy", "held-out")
    assert one.name == "first" and one.facts["variant"] == "usual"
    assert one.ct().geometry.spacing_zyx_mm == pytest.approx((4.0, 4.0, 4.0))
    for read, drawn in ((one.labels, "labels"), (one.segments, "segments"), (one.branches, "branches")):
        assert np.array_equal(read(), getattr(_Patient(), drawn)())
    (drawn_set / "anatomy" / "second" / "truth.json").write_text('{"split": "tr')
    with pytest.raises(InputError, match=r"second.truth\.json is missing or damaged: make the set again"):
        find_anatomy(drawn_set, "held-out")
    with pytest.raises(InputError, match="no patients of SynthLiver-anatomy in it"):
        find_anatomy(drawn_set / "anatomy" / "first")


def _run(*options: str) -> int:
    from LiverLesionAILab.evaluation.anatomy import add_anatomy_arguments, run_anatomy

    parser = argparse.ArgumentParser()
    add_anatomy_arguments(parser)
    return run_anatomy(parser.parse_args([*options]))


def test_the_command_judges_the_products_anatomy_and_a_networks(
    drawn_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """The product is given the truth here; the network sees the portal tree alone, as the nearest kind."""
    from LiverLesionAILab.evaluation import anatomy_methods
    from LiverLesionAILab.evaluation.anatomy import true_vessels

    vessels = true_vessels(_Patient().branches())[0]

    def product(hu, geometry, liver, lesions, phase, settings, *, finder=None, namer=None):
        assert namer == (None if finder is None else "the other")
        assert phase is Phase.PORTAL and np.count_nonzero(lesions) == np.count_nonzero(
            _Patient().labels() > 1
        )
        return SimpleNamespace(
            vessels_zyx=vessels if finder is None else np.zeros_like(vessels),
            segments_zyx=_Patient().segments(),
            has_segments=finder is None,
            landmarks={"portal bifurcation": SimpleNamespace(lps=(1.0, 2.0, 3.0))},
            messages=(),
        )

    def likely(finder, *_):
        assert finder == "the network"
        return {vessel: np.uint8(200) * (vessels == vessel) * (vessel == Vessel.PORTAL) for vessel in NAMED}

    monkeypatch.setattr(anatomy_methods, "find_anatomy", product)
    monkeypatch.setattr(anatomy_methods, "vessel_probability", likely)
    monkeypatch.setattr("LiverLesionAILab.evaluation.anatomy.network_of", lambda weights: "the network")
    monkeypatch.setattr("LiverLesionAILab.evaluation.anatomy.namer_of", lambda weights: "the other")
    given = ("--weights", "any.pt", "--names", "other.pt", "--alone", "--out", str(tmp_path))
    assert _run(str(drawn_set), *given) == 0
    kept = json.loads((tmp_path / "anatomy.json").read_text())
    assert kept["settings"] == {"split": "held-out", "patients": 1}
    ridge, both, alone = kept["rows"]
    methods = ["the filter", "the filter and both networks", "the network alone"]
    assert [row["method"] for row in kept["rows"]] == methods
    assert ridge["cldice"] == pytest.approx(1.0) and ridge["dice"]["V"] == 1.0
    assert both["cldice"] is None and not both["dice"], "what was not said is no mistake"
    assert alone["label_right"] == alone["label_all"] > 0 and alone["cldice"] < 0.8 and not alone["dice"]
    said = capsys.readouterr().out
    assert "| the filter | all | 1 | 2 of 2 (2) |" in said
    assert "| the network alone | all | 1 | - |" in said


def test_what_the_command_cannot_compare_is_said(drawn_set: Path, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path)]
    with pytest.raises(InputError, match="leave out --no-ridge or give --weights FILE"):
        _run(str(drawn_set), "--no-ridge", *out)
    with pytest.raises(InputError, match="none of second among its held-out patients"):
        _run(str(drawn_set), "--patients", "second", *out)
    (tmp_path / "other.pt").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"other\.pt holds no weights of vessel_unet"):
        _run(str(drawn_set), "--weights", str(tmp_path / "other.pt"), *out)
    assert not (tmp_path / "anatomy.json").exists()
