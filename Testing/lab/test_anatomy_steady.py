"""`compare steady`: what another grid does to a liver's anatomy is measured, and told apart from nothing."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation import anatomy_steady as steady
from LiverLesionAILab.evaluation.anatomy_changes import CHANGES, STORED, Outlined, outlined_on
from LiverLesionAILab.evaluation.anatomy_steady import (
    SteadyRow,
    Told,
    add_steady_arguments,
    compared,
    outlined_scans,
    run_steady,
    scan_rows,
    steady_table,
    told,
)
from LiverLesionAILib.case.anatomy import LandmarkName
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.anatomy.planes import segments_from_landmarks
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.resampling import resample
from support.evaluation_scans import write_image
from support.vessel_phantom import GRID, vessel_case


@pytest.fixture(scope="module")
def scan() -> Outlined:
    ct, result = vessel_case()
    labels = result.lesion_labels_zyx.astype(np.uint16)
    return Outlined("body", "true", ct, result.liver_zyx, labels, None, Phase.PORTAL)


@pytest.fixture(scope="module")
def first(scan: Outlined) -> Told:
    found = told(scan, None, None)
    assert found.anatomy.has_segments and found.places
    return found


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_steady_arguments(parser)
    return parser.parse_args(given)


def test_a_liver_stored_otherwise_or_lain_elsewhere_has_the_same_anatomy(scan: Outlined) -> None:
    rows = scan_rows(scan, None, None, STORED)
    assert [row.change for row in rows] == list(STORED)
    for row in rows:
        assert row.kept == row.read == 1.0 and row.volume == 0, row.change
        assert row.moved_mm < 0.02 and row.costs == 0, row.change
        assert row.same_segment == row.same_contact == row.lesions > 0, row.change
        assert row.distance_mm < 1e-6, row.change


def test_other_voxels_are_other_voxels_and_change_little(scan: Outlined) -> None:
    names = [name for name in CHANGES if name not in STORED]
    for name in names:
        changed = CHANGES[name](scan)
        grid = changed.ct.geometry
        same = grid.matches(scan.ct.geometry) and np.array_equal(changed.ct.hu_zyx, scan.ct.hu_zyx)
        assert not same and changed.liver_zyx.shape == grid.shape_zyx == changed.ct.hu_zyx.shape, name
    for row in scan_rows(scan, None, None, names):
        # Of voxels of 3 mm, by the filter alone: it looks for the vena cava from spine and skin as well, and
        # the liver and 30 mm hold neither.
        assert row.read >= 0.97, row


def test_an_outline_half_a_voxel_aside_is_as_large_as_it_was() -> None:
    """Half of a voxel covered made it 6 % larger in slices of 5 mm, and that was taken for the anatomy's."""
    grid = Geometry.make((12, 60, 60), (5.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    z, y, x = np.indices(grid.shape_zyx)
    ball = np.sqrt(((z - 6) * 5.0) ** 2 + (y - 30) ** 2 + (x - 30) ** 2) < 22.0
    flat = (z == 6) & (np.hypot(y - 30, x - 30) < 7.0)
    aside = Geometry.make((13, 61, 61), (5.0, 1.0, 1.0), (-0.5, -0.5, -2.5))
    for mask in (ball, flat, ball[::-1]):
        moved = outlined_on(mask, grid, aside)
        assert moved.sum() == pytest.approx(mask.sum(), rel=0.04 if mask is not flat else 0.06)
        middle = [g.index_to_lps(np.argwhere(m).mean(axis=0)) for g, m in ((grid, mask), (aside, moved))]
        assert np.abs(middle[0] - middle[1]).max() < 0.3
    half = np.asarray(resample(ball, grid, aside)) >= 0.5
    assert half.sum() > 1.05 * ball.sum(), "what it is made against"
    assert (outlined_on(ball, grid, grid) == ball).all() and not outlined_on(ball & False, grid, aside).any()


def test_a_landmark_that_moves_is_named_with_what_it_costs(first: Told) -> None:
    """The measure has to see what changes: 12 mm of one plane, and no segments at all."""
    anatomy, name = first.anatomy, LandmarkName.RIGHT_FORK
    x, y, z = anatomy.landmarks[name].lps
    landmarks = {**anatomy.landmarks, name: replace(anatomy.landmarks[name], lps=(x, y, z + 12.0))}
    segments = segments_from_landmarks(landmarks, first.one.liver_zyx, GRID)
    row = compared(
        "moved", first, replace(first, anatomy=replace(anatomy, segments_zyx=segments, landmarks=landmarks))
    )
    assert row.landmark == row.by == name and row.moved_mm == pytest.approx(12.0)
    changed = (segments != anatomy.segments_zyx)[first.one.liver_zyx].mean()
    assert row.kept == pytest.approx(1 - changed) and 0.97 > row.kept > 0.5
    assert row.costs == pytest.approx(changed, abs=0.02) and row.read == pytest.approx(row.kept, abs=0.01)
    assert row.segment in {"V", "VI", "VII", "VIII"} and row.volume > 0.05
    blank = replace(anatomy, segments_zyx=np.zeros_like(anatomy.segments_zyx))
    lost = compared("moved", first, Told(first.one, blank, {}))
    assert lost.kept == lost.read == 0 and lost.same_segment == 0 < lost.lesions


def test_scans_are_read_and_rows_kept(tmp_path: Path, scan: Outlined, capsys, monkeypatch) -> None:
    for name in ("one", "two"):
        write_image(
            tmp_path / f"{name}_ct.nii.gz", np.asarray(scan.ct.hu_zyx), GRID.spacing_zyx_mm, GRID.origin_lps
        )
        labels = np.where(scan.labels_zyx > 0, 2, scan.liver_zyx).astype(np.uint8)
        write_image(tmp_path / f"{name}_mask.nii.gz", labels, GRID.spacing_zyx_mm, GRID.origin_lps)
    read = next(outlined_scans(tmp_path))
    assert (read.liver_zyx == scan.liver_zyx).all() and read.labels_zyx.max() >= 1
    asked: list[str] = []

    def rows(one: Outlined, _finder, _namer, names, _progress) -> list[SteadyRow]:
        asked.append(one.name)
        return [
            SteadyRow(one.name, "true", name, 0.98123456, 0.99, "V", 0.02, "x", 1.0, "x", 0.01, 2, 2, 1, 0.5)
            for name in names
        ]

    monkeypatch.setattr(steady, "scan_rows", rows)
    out = tmp_path / "rows.csv"
    given = [str(tmp_path), "--out", str(out), "--changes", "noise,coronal array"]
    assert run_steady(_arguments(*given, "--only", "two")) == 0 and asked == ["two"]
    assert run_steady(_arguments(*given)) == 0 and asked == ["two", "one"], "what it has stays"
    printed = capsys.readouterr().out.strip().splitlines()[-7:]
    assert run_steady(_arguments(str(out))) == 0
    assert capsys.readouterr().out.strip().splitlines() == printed
    assert printed[-1].startswith("| all | noise | 98.1, 2 of 2 | 99.0, 2 of 2 |")
    assert (
        "| two, true | stored otherwise | 98.1 | 99.0 | V 2 % | x 1.0 mm | x 1.0 % | 2 of 2 | 1 of 2 | 0.5 |"
        in printed
    )
    with pytest.raises(InputError, match="No change faster"):
        run_steady(_arguments(str(tmp_path), "--changes", "faster"))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no rows"):
        run_steady(_arguments(str(tmp_path / "other.csv")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="NAME_ct"):
        run_steady(_arguments(str(tmp_path / "empty")))


def test_a_row_without_segments_counts_as_lost() -> None:
    row = SteadyRow("a", "true", "noise", 0.0, 0.0, "-", 1.0, "-", 0.0, "-", 0.0, 1, 0, 0, 0.0)
    assert "0 of 1" in steady_table([row])
