"""Simulated follow-ups: the truth agrees with the scans, and the counting is right."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILab.evaluation import both_ways, consistency, followups
from LiverLesionAILab.evaluation.consistency import CourseRow, courses_table, read_courses
from LiverLesionAILab.evaluation.followups import (
    DAYS,
    add_followup_arguments,
    compare_true,
    examined,
    networks_too,
    run_followups,
    simulated_pairs,
    truth_of,
)
from LiverLesionAILab.evaluation.followups_network import (
    NetworkScore,
    compared_by_networks,
    listed_as,
    score_pairs,
)
from LiverLesionAILab.evaluation.followups_table import (
    PairRow,
    followup_table,
    rate_text,
    read_rows,
    write_rows,
)
from LiverLesionAILab.synthesis.followups import BaseScan, SimulatedPair, draw_course, draw_pair
from LiverLesionAILab.synthesis.synthliver.images import write_nifti
from LiverLesionAILib.case.followup import FollowUp, LesionSize, LesionState, Pair, TimePoint
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.stages.followup.register import register_livers
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry

IN_BOTH = {LesionState.STABLE, LesionState.GROWN, LesionState.SHRUNK}


@pytest.fixture(scope="module")
def base() -> BaseScan:
    geometry = Geometry.make((60, 80, 100), (3.5, 2.5, 2.5), (-125.0, -100.0, -105.0))
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    x, y, z = np.moveaxis(lps, -1, 0)
    liver = (x / 85) ** 2 + (y / 60) ** 2 + (z / 65) ** 2 < 1
    liver &= ~((x > 15) & (y > 5 + 0.2 * x))
    hu = np.where(liver, 110, -60) + 35 * (liver & (np.sin(x / 7) * np.sin(y / 9) * np.sin(z / 8) > 0.5))
    return BaseScan("toy", hu.astype(np.float32), liver, np.zeros(hu.shape, np.uint16), geometry)


@pytest.fixture(scope="module")
def pairs(base) -> list[SimulatedPair]:
    return [draw_pair(base, np.random.default_rng((3, k)), f"toy-{k}") for k in (1, 3, 6)]


def test_the_same_seed_gives_the_same_pair(base, pairs):
    again = draw_pair(base, np.random.default_rng((3, 1)), "toy-1")
    assert np.array_equal(again.current.volume.hu_zyx, pairs[0].current.volume.hu_zyx)
    assert again.pairs == pairs[0].pairs


def test_every_lesion_is_in_exactly_one_pair(pairs):
    for pair in pairs:
        for side, scan in (("prior", pair.prior), ("current", pair.current)):
            there = sorted(int(n) for n in np.unique(scan.labels_zyx) if n)
            assert sorted(n for p in pair.pairs for n in getattr(p, side)) == there
            assert there == list(range(1, len(there) + 1))
            assert scan.liver_zyx[scan.labels_zyx > 0].mean() > 0.98
            assert scan.volume.hu_zyx.shape == scan.volume.geometry.shape_zyx


def test_all_that_can_happen_happens(pairs):
    states = {p.state for pair in pairs for p in truth_of(pair).pairs}
    assert {*IN_BOTH, LesionState.NEW, LesionState.GONE} <= states
    assert states & {LesionState.MERGED, LesionState.SPLIT}


def test_lesions_stand_out_and_move_with_the_liver(pairs):
    for pair in pairs:
        for scan in (pair.prior, pair.current):
            inside = scan.liver_zyx & (scan.labels_zyx == 0)
            level, hu = np.median(scan.volume.hu_zyx[inside]), scan.volume.hu_zyx
            for number in np.unique(scan.labels_zyx[scan.labels_zyx > 0]):
                mask = scan.labels_zyx == number
                if mask.sum() > 40:
                    assert abs(hu[mask].mean() - level) > 8


def test_with_the_truth_the_comparison_is_right(pairs, monkeypatch):
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)
    pair = max(pairs, key=lambda p: len(p.pairs))
    row = compare_true(pair, "body")
    assert not row.refused
    assert row.lesions == len(pair.pairs)
    assert row.matched >= row.lesions - 1
    # A truth that is wrong is counted as wrong.
    one, *rest = (p for p in pair.pairs if p.prior and p.current)
    apart = (replace(one, current=(), state=LesionState.GONE), replace(one, prior=(), state=LesionState.NEW))
    others = tuple(p for p in pair.pairs if p is not one)
    wrong = compare_true(replace(pair, pairs=(*others, *apart)), "body")
    assert (wrong.lesions, wrong.matched) == (row.lesions + 1, row.matched - 1)


def test_which_listed_lesion_is_which_true_one():
    true = np.array([[1, 1, 1, 2, 2, 0, 3] + 11 * [4]])
    found = np.array([[5, 5, 7, 7, 7, 7, 0] + [7] + 10 * [0]])
    # Of 4 less than a tenth is listed: that is the neighbour's outline, and no find.
    assert listed_as(found, true) == {1: 5, 2: 7}


def test_networks_are_judged_by_the_masks_that_they_draw():
    stable, grown, new, gone = LesionState.STABLE, LesionState.GROWN, LesionState.NEW, LesionState.GONE
    true = [
        Pair((1,), (1,), grown), Pair((2,), (2,), stable), Pair((3,), (3,), stable), Pair((4,), (4,), stable),
        Pair((5,), (5,), stable), Pair((6,), (), gone), Pair((), (7,), new),
    ]  # fmt: skip
    # 2 and 3 lie in one mask now; 4 is listed before only, 5 now only.
    listed = {1: 11, 2: 12, 3: 13, 4: 14, 6: 16}, {1: 21, 2: 22, 3: 22, 5: 25, 7: 27}
    made = [
        Pair((11,), (21,), stable), Pair((12, 13), (22,), stable), Pair((14,), (), LesionState.FAINT),
        Pair((), (25,), new), Pair((16,), (), gone), Pair((), (27,), LesionState.FAINT),
    ]  # fmt: skip
    found = score_pairs(true, made, listed)
    assert found == NetworkScore(3, 3, 2, 0, 1, 1, 0, 2, 1, 2, 1)
    # A state that is wrong, and no more than a question.
    asked = [replace(made[0], wide=True), replace(made[1], wide=True), *made[2:]]
    assert score_pairs(true, asked, listed) == replace(found, asked=1)
    apart = [Pair((12,), (22,), stable), Pair((13,), (), gone), *made[2:]]
    assert score_pairs(true, apart, listed) == NetworkScore(3, 0, 0, 0, 1, 0, 0, 2, 1, 2, 1)


ROW = PairRow(
    name="a",
    kind="body",
    masks="true",
    lesions=4,
    matched=3,
    right=2,
    residuals=2,
    near=1,
    category="PD",
    found="SD",
    refused=False,
    dice=0.95,
    seconds=3.0,
)


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    row = replace(ROW, masks="network", alone=3, alone_matched=3, alone_right=2, one_sided=1, single=1)
    row = replace(row, single_right=1, split_found="PD")
    assert read_rows(tmp_path) == []
    write_rows([row, replace(row, refused=True)], tmp_path)
    assert read_rows(tmp_path) == [row, replace(row, refused=True)]
    names = [drawn.name for drawn in simulated_pairs(7, real=False)]
    assert names == [f"body{k // 5}-{k // 5}-{k % 5}" for k in range(7)], "nothing is drawn to know them"


def test_table_and_spread():
    row = ROW
    table = followup_table([row, replace(row, kind="real", matched=4, right=4, near=2, found="PD")])
    assert "| true | body | 1 | 3 of 4, 75 %" in table
    assert "| true | all | 2 | 7 of 8, 88 %" in table
    assert "1 of 2, 50 %" in table
    assert "network" not in table
    networks = replace(row, masks="network", alone=3, alone_matched=3, alone_right=2, one_sided=2)
    assert "| body | 3 of 3, 100 % (44-100) | 2 of 3, 67 % (21-94) | 0 of 2, 0 %" in followup_table(
        [networks]
    )
    networks = replace(row, masks="network", matched=0, right=0)
    rows = [
        replace(networks, lesions=4, right=2, asked=1, possible="SD|PD"),
        replace(networks, lesions=4, right=4, category="SD", found="PD", possible="PD"),
        replace(networks, lesions=0, right=0, category="SD", found="", possible=""),
    ]
    # Asked, said wrongly, named among others, none at all, wrong without another.
    line = "| all | 1 of 8, 12 % (2-47) | 1 of 8, 12 % (2-47) | 1 of 3, 33 % (6-79) | 1 | 1 |"
    assert line in followup_table(rows)
    assert sum(networks_too(k, 60, 7) for k in range(60)) == 7


def test_two_scans_compared_both_ways_are_counted_right(monkeypatch):
    points = [
        TimePoint(name, None, {n: LesionSize(n, long_axis_mm=20.0) for n in numbers}, 2.0)
        for name, numbers in (("A", (1, 2, 3)), ("B", (1, 2, 3, 4)))
    ]
    stable, new, gone = LesionState.STABLE, LesionState.NEW, LesionState.GONE
    there = (Pair((1,), (1,), stable, 2.0), Pair((2,), (3,), stable, 9.0), Pair((3,), (), gone))
    back = (Pair((1,), (1,), stable, 1.0), Pair((3,), (), gone), Pair((), (2,), new))
    steps = {
        "A": FollowUp(points[0], points[1], (*there, *(Pair((), (n,), new) for n in (2, 4)))),
        "B": FollowUp(points[1], points[0], (*back, Pair((2,), (3,), stable, 3.0), Pair((4,), (), gone))),
    }
    monkeypatch.setattr(both_ways, "follow_up", lambda one, other: steps[one])
    found = both_ways.compare_both_ways("A", "B")
    # A2-B3 is found one way, B2-A3 the other: only 1-1 and B4, which has no partner, are the same both ways.
    assert (found.lesions, found.inverse, found.possible, found.matched) == (7, 3, 3, 1)
    assert found.residuals_mm == (2.0, 9.0, 1.0, 3.0)
    said = both_ways.both_ways_text(found)
    assert "3 of 7 lesions (43 %)" in said and "3 of 4" in said
    assert "refused" in both_ways.both_ways_text(replace(found, refused=True))


def test_scans_compared_in_every_order_are_counted_right(monkeypatch):
    """A2 has a partner in B one way only, and in C directly, but not by way of B; A4 is not seen in B."""
    sizes = {n: LesionSize(n, long_axis_mm=20.0) for n in (1, 2, 3, 4)}
    points = {name: TimePoint(name, None, sizes, 2.0) for name in "ABC"}
    stable, gone, unseen = LesionState.STABLE, LesionState.GONE, LesionState.NOT_COVERED
    same = [Pair((n,), (n,), stable, 2.0 * n) for n in (1, 2, 3, 4)]
    pairs = {(a, b): list(same) for a in "ABC" for b in "ABC" if a != b}
    pairs["A", "B"] = [same[0], Pair((2,), (), gone), same[2], Pair((4,), (), unseen)]
    monkeypatch.setattr(
        consistency,
        "follow_up",
        lambda one, other: FollowUp(points[one], points[other], tuple(pairs[one, other])),
    )
    truth = {("A", "B"): same, ("A", "C"): [*same[1:], Pair((1,), (), gone)]}
    numbered = {tuple("ABC".index(x) for x in ends): made for ends, made in truth.items()}
    found = consistency.consistency_of("ABC", numbered)
    # Of 24 lesions A2, A4, B2, B4 differ by the way; of A1 to A3 by way of B only A2.
    assert (found.lesions, found.inverse) == (24, 20)
    assert (found.chained, found.same) == (3, 2)
    assert (found.both, found.matched, found.residuals, found.near) == (7, 5, 5, 5)
    assert (found.comparisons, found.refused) == (6, 0)
    lines = list(consistency.consistency_lines(found, rate_text))
    assert any("20 of 24" in line for line in lines) and any("2 of 3" in line for line in lines)
    monkeypatch.setattr(
        consistency, "follow_up", lambda one, other: FollowUp(points[one], points[other], failed="no")
    )
    refused = consistency.consistency_of("ABC", numbered)
    assert (refused.inverse, refused.same, refused.matched, refused.refused) == (0, 0, 0, 6)
    assert (refused.lesions, refused.chained, refused.both) == (24, 4, 7), "a refused one counts as missed"


def test_later_scans_of_one_state_have_the_same_lesions(base):
    one, other = draw_course(base, np.random.default_rng((3, 1)), "toy", 2)
    assert np.array_equal(one.prior.labels_zyx, other.prior.labels_zyx)
    assert one.current.volume.geometry != other.current.volume.geometry
    kept = [{p.prior for p in pair.pairs if p.prior and p.current} for pair in (one, other)]
    unseen = {p.prior for pair in (one, other) for p in pair.pairs if p.state is LesionState.NOT_COVERED}
    assert kept[0] and kept[0] - unseen == kept[1] - unseen


def test_simulated_patients_are_compared_in_every_order_by_the_command(base, monkeypatch, capsys, tmp_path):
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)
    monkeypatch.setattr(followups, "body_base", lambda number: base)
    parser = argparse.ArgumentParser()
    add_followup_arguments(parser)
    args = parser.parse_args(["--courses", "1", "--bodies-only", "--out", str(tmp_path)])
    assert run_followups(args) == 0
    said = capsys.readouterr().out
    assert "A > B > C as A > C" in said and "| body | 1 | " in said and " 0 of 6 |" in said
    (row,) = read_courses(tmp_path)
    assert (row.name, row.kind, row.comparisons) == ("body0-course-0", "body", 6) and row.chained > 0
    monkeypatch.setattr(followups, "course_consistency", lambda pairs: pytest.fail("it is there already"))
    assert run_followups(args) == 0
    assert capsys.readouterr().out == said
    (tmp_path / "courses.csv").write_text("name,colour\na,red\n")
    with pytest.raises(InputError, match="another version"):
        run_followups(args)


def test_patients_are_counted_together_and_by_their_kind():
    row = CourseRow(name="a", kind="body", lesions=20, inverse=19, chained=10, same=9, comparisons=6)
    table = courses_table([row, replace(row, kind="real", inverse=20, same=10, refused=1)], rate_text)
    assert "| body | 1 | 19 of 20, 95 %" in table and "| 9 of 10, 90 %" in table
    assert "| all | 2 | 39 of 40, 98 %" in table and "| 19 of 20, 95 %" in table
    assert table.endswith("| - | - | 1 of 12 |")


def test_one_scan_alone_is_not_compared_both_ways():
    with pytest.raises(InputError, match="two CTs"):
        run_followups(options("--both-ways", "a_ct.nii.gz"))


def test_a_proposed_split_is_taken_where_the_true_lesions_are_apart(pairs, monkeypatch, tmp_path):
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)
    drawn = pairs[0]
    one = max(
        (p for p in truth_of(drawn).pairs if p.state is LesionState.STABLE),
        key=lambda p: (drawn.current.labels_zyx == p.current[0]).sum(),
    )
    halves, new = [], [int(scan.labels_zyx.max()) + 1 for scan in (drawn.prior, drawn.current)]
    for scan, n, added in zip((drawn.prior, drawn.current), (*one.prior, *one.current), new, strict=True):
        labels = scan.labels_zyx.copy()
        x = np.argwhere(labels == n)[:, 2]
        labels[..., round(x.mean()) :][labels[..., round(x.mean()) :] == n] = added
        halves.append(replace(scan, labels_zyx=labels))
    others = tuple(p for p in drawn.pairs if p.prior != one.prior)
    apart = replace(
        drawn,
        prior=halves[0],
        current=halves[1],
        pairs=(*others, one, Pair((new[0],), (new[1],), LesionState.STABLE)),
    )
    # The networks outline both halves as one in the current scan.
    save_result(examined(halves[0], 0).result, tmp_path / f"{drawn.name}-0")
    save_result(examined(drawn.current, 1).result, tmp_path / f"{drawn.name}-1")
    made = compared_by_networks(apart, truth_of(apart), None, tmp_path, DAYS)
    proposed = made.proposed
    assert proposed >= made.accepted == 1
    both = tuple(sorted((*one.prior, new[0])))
    assert made.found.pair_of(one.current[0]).prior == both
    assert len({p.prior for p in made.split.pairs if set(p.prior) & set(both)}) == 2
    assert made.split_score.lesions == made.score.lesions == made.split_score.matched
    # Where they have truly become one, the reader does not split them.
    merged = replace(apart, current=drawn.current, pairs=(*others, replace(one, prior=both)))
    made = compared_by_networks(merged, truth_of(merged), None, tmp_path, DAYS)
    assert (made.proposed, made.accepted) == (proposed, 0)
    assert made.split is made.found and made.split_score == made.score
    with pytest.raises(InputError, match="--kept-cases"):
        compared_by_networks(replace(apart, name="another"), truth_of(apart), None, tmp_path, DAYS)


def test_of_kept_cases_only_those_pairs_are_compared(tmp_path):
    parser = argparse.ArgumentParser()
    add_followup_arguments(parser)
    given = ["--bodies-only", "--pairs", "3", "--networks", "3", "--only", "network", "--kept-cases"]
    with pytest.raises(InputError, match="--cases"):
        run_followups(parser.parse_args(given))
    # None is kept: nothing is drawn, and no network runs.
    assert run_followups(parser.parse_args([*given, "--cases", str(tmp_path), "--out", str(tmp_path)])) == 0
    assert read_rows(tmp_path) == []


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_followup_arguments(parser)
    return parser.parse_args(given)


def test_numbers_that_make_no_sense_are_refused():
    for given in (["--pairs", "0"], ["--pairs", "3", "--networks", "4"]):
        with pytest.raises(InputError, match="between 0 and --pairs"):
            run_followups(options("--bodies-only", *given))


def test_a_run_compares_what_is_not_kept_yet(pairs, tmp_path, monkeypatch, capsys):
    """Each row stands in the file as soon as it is made; a second run draws nothing."""
    drawn = []

    def made(pair, kind, *, masks):
        assert len(read_rows(tmp_path)) == len(drawn)
        drawn.append((pair.name, masks))
        return replace(ROW, name=pair.name, kind=kind, masks=masks, alone=3, alone_matched=3, alone_right=2)

    def all_pairs(count, real):
        assert (count, real) == (3, False)
        yield from (followups.Drawn(pair.name, False, lambda pair=pair: pair) for pair in pairs)

    monkeypatch.setattr(followups, "simulated_pairs", all_pairs)
    monkeypatch.setattr(followups, "compare_true", partial(made, masks="true"))
    monkeypatch.setattr(followups, "compare_networks", lambda p, kind, *_: made(p, kind, masks="network"))
    monkeypatch.setattr(followups, "ModelStore", SimpleNamespace(bundled=lambda: None))
    given = ["--bodies-only", "--pairs", "3", "--out", str(tmp_path)]
    assert run_followups(options(*given, "--only", "true")) == 0
    names = [pair.name for pair in pairs]
    assert drawn == [(name, "true") for name in names]
    assert "| true | body | 3 |" in capsys.readouterr().out
    assert run_followups(options(*given, "--networks", "1", "--only", "network")) == 0
    assert drawn[3:] == [(names[2], "network")]
    assert run_followups(options(*given, "--networks", "1")) == 0
    assert len(drawn) == 4 and len(read_rows(tmp_path)) == 4


def test_a_networks_row_says_the_pair_and_its_split(pairs, monkeypatch):
    pair = pairs[0]
    truth = truth_of(pair)
    score = NetworkScore(5, 4, 3, 2, 2, 1, 1, 0, 1, 1)
    made = SimpleNamespace(
        found=truth,
        split=truth,
        score=score,
        split_score=replace(score, lesions=6, matched=5),
        seconds=2.0,
        proposed=2,
        accepted=1,
    )
    monkeypatch.setattr(followups, "compared_by_networks", lambda *_: made)
    row = followups.compare_networks(pair, "body", None, None)
    assert (row.name, row.masks, row.lesions, row.matched, row.single) == (pair.name, "network", 5, 4, 1)
    assert (row.proposed, row.accepted, row.split_lesions, row.split_matched) == (2, 1, 6, 5)
    assert row.category == row.found == row.split_found != ""


@pytest.fixture(scope="module")
def outlined_ct(tmp_path_factory):
    """A liver with a lesion, and a speck of three voxels that is none, as files."""
    shape, spacing = (30, 90, 110), (3.0, 1.0, 1.0)
    geometry = Geometry.make(shape, spacing, (-55.0, -45.0, -45.0))
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    labels = np.zeros(shape, np.uint8)
    labels[((z - 15) * 3) ** 2 + (y - 45) ** 2 + (x - 60) ** 2 < 30**2] = 1
    labels[((z - 15) * 3) ** 2 + (y - 40) ** 2 + (x - 60) ** 2 < 9**2] = 2
    labels[15, 60, 70:73] = 2
    path = tmp_path_factory.mktemp("lits") / "lits" / "p1_ct.nii.gz"
    path.parent.mkdir()
    write_nifti(np.where(labels == 1, 110, np.where(labels, 60, -80)).astype(np.int16), geometry, path)
    write_nifti(labels, geometry, path.with_name("p1_mask.nii.gz"))
    return path


def test_a_real_ct_is_cut_to_its_liver_and_put_on_coarser_pixels(outlined_ct, tmp_path):
    base = followups.real_base(outlined_ct)
    assert (base.name, base.real, base.geometry.spacing_zyx_mm) == ("p1", True, (3.0, 1.5, 1.5))
    ml = base.geometry.voxel_volume_mm3 / 1000
    assert base.liver_zyx.sum() * ml == pytest.approx(4 / 3 * np.pi * 3**3, rel=0.03)
    assert np.unique(base.labels_zyx).size == 2, "the speck is no lesion to follow"
    # 30 mm round the liver; on its left there is less of the CT.
    inside = np.argwhere(base.liver_zyx)
    assert (inside.min(axis=0)[1:] * 1.5 <= 31.5).all() and inside.min(axis=0)[2] * 1.5 > 28
    for what in ("ct", "mask"):
        array = np.zeros((4, 8, 8), np.int16)
        array[0, 0, 0] = what == "ct"
        write_nifti(array, Geometry.make(array.shape), tmp_path / f"e_{what}.nii.gz")
    with pytest.raises(InputError, match="e has no liver"):
        followups.real_base(tmp_path / "e_ct.nii.gz")


def test_real_cts_and_bodies_take_turns(outlined_ct, tmp_path, monkeypatch):
    monkeypatch.setattr(followups, "data_folder", lambda: outlined_ct.parents[1])
    drawn = list(simulated_pairs(11))
    assert [(d.name, d.real) for d in drawn][4:7] == [
        ("body0-0-4", False), ("p1-1-0", True), ("p1-1-1", True),
    ]  # fmt: skip
    assert drawn[10].name == "body2-2-0"
    monkeypatch.setattr(followups, "data_folder", lambda: tmp_path)
    with pytest.raises(InputError, match="--bodies-only does without"):
        next(simulated_pairs(1))


def test_the_pairs_of_a_body_share_it_and_differ_by_their_seed(base, monkeypatch):
    bodies, drawn = [], []

    def body(rng, settings):
        bodies.append(settings.spacing_zyx_mm)
        return SimpleNamespace(hu_zyx=base.hu_zyx, liver_zyx=base.liver_zyx, geometry=base.geometry)

    monkeypatch.setattr(followups, "make_body", body)
    monkeypatch.setattr(
        followups, "draw_pair", lambda scan, rng, name: drawn.append((scan, rng.random(), name))
    )
    for one in list(simulated_pairs(6, real=False)) + list(simulated_pairs(1, real=False)):
        one.draw()
    assert bodies == 3 * [followups.BASE_MM], "one for five pairs, one for the sixth, one for the second run"
    assert len({id(scan) for scan, _, _ in drawn[:5]}) == 1 and len({seed for _, seed, _ in drawn}) == 6
    assert drawn[0][1:] == drawn[6][1:] and drawn[5][2] == "body1-1-0"
    assert not drawn[0][0].labels_zyx.any() and drawn[0][0].hu_zyx.dtype == np.float32


def test_two_outlined_cts_compared_by_the_command(outlined_ct, monkeypatch, capsys):
    """A CT beside itself: its one lesion is its own partner."""
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)
    assert run_followups(options("--both-ways", str(outlined_ct), str(outlined_ct))) == 0
    said = capsys.readouterr().out
    assert "The same partners both ways: 2 of 2 lesions (100 %)" in said
    assert "Centres within 8 mm: 2 of 2" in said
    with pytest.raises(InputError, match=r"p1_mask\.nii\.gz is no X_ct\.nii\.gz"):
        both_ways.run_both_ways([outlined_ct, outlined_ct.with_name("p1_mask.nii.gz")])
