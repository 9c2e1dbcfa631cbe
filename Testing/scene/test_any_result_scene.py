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
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.tracking import with_tracking
from LiverLesionAILib.case.wording import notes
from LiverLesionAILib.scene.offline import add_ct, case_scene, new_scene, write_bundle
from LiverLesionAILib.scene.prepare import find_nodes
from LiverLesionAILib.scene.report import reader_result
from LiverLesionAILib.scene.show import apply_result, read_back
from LiverLesionAILib.volume.ct import CtVolume
from support.scene_bundles import opened_elsewhere


def ct_of(result: CaseResult) -> CtVolume:
    return CtVolume(np.zeros(result.geometry.shape_zyx, np.int16), result.geometry, "any CT")


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

    volume, result = small_case(lesions=lesions)
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
    # Intervals of sizes rest on the kept probability, which a scene does not hold.
    told = [pair for pair in of_run.small_print if pair[0] != "Intervalle"]
    assert list(of_scene.small_print) == told
    for name in ("warnings", "technique", "draft", "changes"):
        assert getattr(of_scene, name) == getattr(of_run, name), name


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
