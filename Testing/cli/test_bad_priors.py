"""`analyze CT --prior CASE` from end to end with priors that do not belong: what the reader is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import SimpleITK as sitk
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.stages.followup.register import register_livers
from support.threshold_models import FAT_HU, LESION_HU, LIVER_HU, MUSCLE_HU
from support.toy_models import TOYS, toy_folder

SPACING_ZYX_MM = (5.0, 3.0, 3.0)
LESIONS = (((20.0, 10.0, -25.0), 16.0), ((-25.0, -10.0, 20.0), 12.0))
"""(centre in x, y, z, radius) in mm."""


def written_ct(path: Path, radii_mm: tuple[float, float, float] | None = (75.0, 55.0, 60.0)) -> Path:
    """A trunk with an ellipsoid liver (x, y, z radii; None is none) and two lesions in it."""
    z, y, x = np.indices((44, 104, 104)) * np.reshape(SPACING_ZYX_MM, (3, 1, 1, 1))
    z, y, x = z - 110, y - 156, x - 156
    hu = np.full(x.shape, -1000.0)
    hu[(x / 150) ** 2 + (y / 120) ** 2 < 1] = FAT_HU
    hu[(x / 135) ** 2 + (y / 105) ** 2 < 1] = MUSCLE_HU
    if radii_mm is not None:
        liver = (x / radii_mm[0]) ** 2 + (y / radii_mm[1]) ** 2 + (z / radii_mm[2]) ** 2 < 1
        hu[liver & ~((x > 15) & (y > 5 + 0.2 * x))] = LIVER_HU
        for centre, radius in LESIONS:
            near = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 < radius**2
            hu[near & (hu == LIVER_HU)] = LESION_HU
    hu += np.random.default_rng(5).normal(0, 4, hu.shape)
    image = sitk.GetImageFromArray(np.rint(hu).astype(np.int16))
    image.SetSpacing(SPACING_ZYX_MM[::-1])
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """now.nii.gz, and the case folder "first" of the same scan, in the arterial phase by its reader."""
    folder = tmp_path_factory.mktemp("priors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        toy_folder(folder / "toys", patch)
        patch.setattr(
            "LiverLesionAILib.analysis.followup.register_livers", partial(register_livers, deformable=False)
        )
        written_ct(folder / "now.nii.gz")
        analysed(folder, "now.nii.gz", "first", "--ct-phase", "arterial")
        yield folder
    for name in TOYS:
        sys.modules.pop(f"LiverLesionAILib.networks.{name}", None)


def analysed(folder: Path, ct: str, out: str, *options: str) -> dict | None:
    """What the command line makes of a CT: the comparison, where there is one."""
    plain = ["analyze", str(folder / ct), "--device", "cpu", "--no-pictures", "--no-classify", "--no-scene"]
    assert main([*plain, "--detector", "none", "--out", str(folder / out), *options]) == 0
    file = folder / out / "followup.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def test_the_same_scan_twice(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = analysed(scans, "now.nii.gz", "again", "--prior", str(scans / "first"))
    assert {pair["state"] for pair in made["pairs"]} == {"stable"} and len(made["pairs"]) == 2
    assert made["recist"]["overall"] == "stable disease" and made["provisional"]
    assert "Both are the same scan" in capsys.readouterr().out
    assert any("same scan" in warning for warning in made["warnings"])


def test_dates_in_the_wrong_order_and_another_phase(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = ["--prior-date", "2026-05-01", "--date", "2026-01-01"]
    first = ["--prior", str(scans / "first"), "--ct-phase", "portal"]
    made = analysed(scans, "now.nii.gz", "earlier", *first, *days)
    said = capsys.readouterr().out
    assert made["days"] == -120
    assert all(pair["doubling_days"] is None for pair in made["pairs"])
    for words in ("wrong way round", "The prior scan looks arterial, the current one portal venous"):
        assert words in said and any(words in warning for warning in made["warnings"])


def test_another_patient(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written_ct(scans / "other.nii.gz", (120.0, 30.0, 95.0))
    made = analysed(scans, "other.nii.gz", "other", "--prior", str(scans / "first"))
    assert not made["pairs"] and made["recist"] is None
    assert "Is it the same patient?" in made["registration"]["failed"]
    assert "the livers do not fit" in capsys.readouterr().out


def test_a_prior_without_a_liver(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written_ct(scans / "empty.nii.gz", None)
    assert analysed(scans, "empty.nii.gz", "empty") is None
    capsys.readouterr()
    made = analysed(scans, "now.nii.gz", "beside", "--prior", str(scans / "empty"))
    assert not made["pairs"] and made["recist"] is None
    assert "one of the scans has no liver" in capsys.readouterr().out
    # The scan's own findings are there all the same.
    findings = json.loads((scans / "beside" / "findings.json").read_text(encoding="utf-8"))
    assert len(findings["lesions"]) == 2
