"""Any result in a Slicer scene and back: class's boxes, boxes without a mask, a reader's words, nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from support.case_factory import small_case
from support.results import results

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.case.findings import CaseResult, PhaseEstimate
from LiverLesionAILib.case.interval import READER_MM, intervals_of, keeping_half_widths
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.case.tracking import with_tracking
from LiverLesionAILib.case.wording import notes
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.prepare import find_nodes
from LiverLesionAILib.scene.segments import mark_edited
from LiverLesionAILib.scene.show import apply_result, read_back
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.volume.ct import CtVolume
from support.scene_bundles import opened_elsewhere, read_bundle


def ct_of(result: CaseResult) -> CtVolume:
    return CtVolume(np.zeros(result.geometry.shape_zyx, np.int16), result.geometry, "any CT")


def measured_case(lesions: int) -> tuple[CtVolume, CaseResult]:
    """A small case as an analysis leaves it: measured, with the half widths of its intervals."""
    volume, result = small_case(lesions=lesions)
    found = measure_case(result.lesion_labels_zyx, result.liver_zyx, volume.hu_zyx, result.geometry)
    sizes = {x.number: x.measurement for x in found}
    lesions_now = tuple(replace(x, measurement=sizes[x.number]) for x in result.lesions)
    return volume, keeping_half_widths(replace(result, lesions=lesions_now))


def ends(result: CaseResult) -> list[float]:
    return [round(end, 3) for interval in intervals_of(result).values() for end in interval]


@settings(max_examples=25, deadline=None)
@given(results())
def test_what_is_put_into_a_scene_is_read_from_it(result: CaseResult):
    result = with_tracking(result)
    scene = new_scene()
    ct = add_ct(scene, ct_of(result))
    made = apply_result(scene, result, ct)
    masks = lesion_masks(result)
    back = {lesion.number: lesion for lesion in read_back(made.segmentation, ct).lesions}
    assert sorted(back) == sorted(masks)
    for lesion in result.lesions:
        if lesion.number not in masks:
            continue
        found = back[lesion.number]
        for name in ("status", "edited", "source", "tracking_uid", "note", "shown_class", "model_class"):
            assert getattr(found, name) == (getattr(lesion, name) or type(getattr(found, name))()), name
    report = reader_result(scene, ct)
    assert {x.number for x in report.lesions} == {x.number for x in result.lesions if x.status.counts}
    # A second run finds what nobody touched, and takes its place.
    again = apply_result(scene, result, ct)
    untouched = {
        x.number
        for x in result.lesions
        if x.number in masks
        and not x.edited
        and x.status.value == "undecided"
        and not x.note
        and not x.reader_class
    }
    kept = {read.number for read in read_back(again.segmentation, ct).lesions}
    assert untouched <= kept
    assert len(find_nodes(scene, ct)["table"]) == 1


@pytest.mark.parametrize("lesions", [4, 0])
def test_a_report_of_the_scene_says_what_one_of_the_run_says(lesions):
    """One path: notes, models with their checksums and the device come from the run, by panel or command."""
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
    from LiverLesionAILib import __version__
    from LiverLesionAILib.writing.report.content import Options, report_content

    volume, result = measured_case(lesions)
    said = ("1 spot was odd.", "Another note.") if lesions else ()
    run = replace(
        result,
        models={"segmenter": "0123456789ab", "classifier": "ba9876543210"},
        messages=said,
        device="cpu, 2 threads",
        phase=PhaseEstimate("portal venous", 0.9, "Classes were learned in another phase."),
        version=__version__,
    )
    scene = new_scene()
    ct = add_ct(scene, volume)
    apply_result(scene, run, ct)
    read = reader_result(scene, ct)
    assert (read.models, read.device, notes(read)) == (run.models, run.device, notes(run))
    of_run, of_scene = (report_content(one, None, Options("de")) for one in (run, read))
    assert bool(lesions) == any(pair[0] == "Intervalle" for pair in of_run.small_print)
    assert all(row.axes_interval and row.volume_interval for row in of_run.rows)
    told = [[(row.axes_interval, row.volume_interval) for row in one.rows] for one in (of_run, of_scene)]
    assert told[0] == told[1]
    for name in ("warnings", "technique", "draft", "changes", "small_print"):
        assert getattr(of_scene, name) == getattr(of_run, name), name


def test_a_saved_scene_has_the_runs_intervals_and_an_edited_outline_the_readers(tmp_path):
    pytest.importorskip("jinja2", reason="Jinja2 is not installed (the extra export)")
    from LiverLesionAILib.writing.report.content import Options, report_content

    volume, result = measured_case(3)
    save_result(result, tmp_path / "case")
    stored = load_result(tmp_path / "case")
    assert ends(replace(stored, probabilities={})) == ends(result) != []
    # A case of an earlier version, whose lesions keep no interval, is as good.
    old = replace(result, lesions=tuple(replace(x, half_width_mm=None) for x in result.lesions))
    for number, run in enumerate((stored, old)):
        scene, _ = case_scene(run, volume)
        write_bundle(scene, tmp_path / f"{number}.mrb")
        scene = read_bundle(tmp_path / f"{number}.mrb", tmp_path / f"open{number}")
        ct = scene.GetFirstNodeByName(volume.name)
        assert ends(reader_result(scene, ct)) == ends(result)
    segmentation = find_nodes(scene, ct)["segmentation"][0]
    segment = segmentation.GetSegmentation().GetSegment(read_back(segmentation, ct).lesions[0].segment_id)
    mark_edited(segment)
    edited = reader_result(scene, ct)
    first, *others = (high - low for low, high in intervals_of(edited).values())
    assert first == pytest.approx(2 * READER_MM) and len(others) == len(result.lesions) - 1 > 0
    assert ends(edited)[2:] == ends(result)[2:]
    note = dict(report_content(edited, None, Options("en")).small_print)["Intervals"]
    assert "lesion 1: the outline is the reader's" in note and "± 3 mm" in note and "29 lesions" in note
    mark_edited(segment, False)
    assert ends(reader_result(scene, ct)) == ends(result)


def test_bundles_of_any_results_open(tmp_path):
    """As a reader opens them: by a process that has not seen the scene that was written."""
    listed = []

    @settings(max_examples=8, deadline=None, database=None, phases=[Phase.explicit, Phase.generate])
    @given(results())
    def write(result: CaseResult) -> None:
        scene, _ = case_scene(result, ct_of(result))
        write_bundle(scene, tmp_path / f"{len(listed)}.mrb")
        listed.append(len(result.lesions))

    write()
    opened = opened_elsewhere([tmp_path / f"{k}.mrb" for k in range(len(listed))], "any CT")
    assert len(listed) >= 8
    assert [one["rows"] for one in opened] == listed
    assert all({"segmentation", "table"} <= set(one["nodes"]) for one in opened)


def test_bundles_of_next_to_nothing_open(tmp_path):
    """A liver of few voxels: written as a single one, the library crashed on reading it."""
    volume, result = small_case(lesions=0)
    paths = []
    for shape in ((0, 0, 0), (1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (2, 2, 2)):
        liver = np.zeros_like(result.liver_zyx)
        liver[tuple(slice(2, 2 + size) for size in shape)] = 1
        scene, _ = case_scene(replace(result, liver_zyx=liver), volume)
        paths.append(tmp_path / f"{'x'.join(map(str, shape))}.mrb")
        write_bundle(scene, paths[-1])
    opened = opened_elsewhere(paths, volume.name)
    assert len(opened) == len(paths)
    assert all("segmentation" in one["nodes"] for one in opened)
