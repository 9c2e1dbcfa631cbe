"""A reader who does anything in any order, on a small case, and what has to hold after every action.

``python Testing/support/review_machine.py --actions 2000 [--seed 1]`` does that many and counts them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.review.case_view import CaseView, ListedLesion, read_case
from LiverLesionAILib.review.history import MOST_STEPS
from LiverLesionAILib.review.reader_actions import ReaderActions
from LiverLesionAILib.review.result_steps import show_steps
from LiverLesionAILib.review.threshold import apply_threshold
from LiverLesionAILib.scene.offline import add_ct, new_scene, write_bundle
from LiverLesionAILib.scene.ras import labelmap, volume_geometry
from LiverLesionAILib.scene.segments import read_mask
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from support.scene_bundles import read_bundle
from support.scripted_result import result_of

COUNTED = ("vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLMarkupsNode", "vtkMRMLVolumeNode")
Snapshot = tuple[Any, ...]


def small_ct() -> CtVolume:
    """A volume that carries its own truth: a liver with five lesions, two of which score less."""
    array = np.full((16, 24, 28), 40, np.int16)
    array[1:15, 2:22, 2:26] = 1000
    array[2:8, 4:10, 4:11] = 1001
    array[10:14, 5:9, 15:20] = 1002
    array[4:7, 15:19, 16:20] = 1003
    array[11:13, 14:17, 5:8] = 1004
    array[12:14, 18:20, 20:22] = 1005
    return CtVolume(array, Geometry.make(array.shape, (2.5, 1.5, 1.5), (-30.0, 20.0, 100.0)), "CT")


class Reader:
    """One case in a scene of its own, and the actions of the panel's review layer on it.

    Attributes:
        done: how often each action was done.
        refused: how often one said why it cannot be.
    """

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._ct = small_ct()
        self._result = result_of(self._ct, "CT")
        self._use(new_scene())
        add_ct(self._scene, self._ct)
        self._threshold, self._clock_s = 0.5, 0.0
        self._before: list[tuple[Snapshot, Snapshot]] = []
        self._after: list[tuple[Snapshot, Snapshot]] = []
        self._show()
        self._nodes = self._count_nodes()
        self.check()

    def _use(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self.actions = ReaderActions(scene)
        self.actions.move_threshold = self._set_threshold

    def _set_threshold(self, value: float) -> None:
        self._threshold = value

    def _volume(self) -> slicer.vtkMRMLScalarVolumeNode:
        return self._scene.GetFirstNodeByName("CT")

    def _show(self) -> None:
        for _ in show_steps(self._scene, self._volume(), self._result, self._threshold):
            pass
        self.actions.history.clear()
        self._before, self._after = [], []

    # -- what is there

    @property
    def case(self) -> CaseView:
        """As the panel reads it."""
        return read_case(self._scene, self._volume())

    def _mask(self, segment_id: str) -> Mask:
        return read_mask(self.case.segmentation, segment_id, volume_geometry(self._volume()))

    def _content(self, row: ListedLesion) -> Snapshot:
        mask = self._mask(row.segment_id).fingerprint(volume_geometry(self._volume()))
        return (row.status.value, row.edited, row.reader_class or "", row.note, mask)

    def snapshot(self) -> Snapshot:
        """Everything that an action may change, without the names that the scene gives."""
        case = self.case
        liver = self._mask(case.liver_segment).fingerprint(volume_geometry(self._volume()))
        return (*sorted(self._content(row) for row in case.rows), liver, round(self._threshold, 4))

    def _count_nodes(self) -> dict[str, int]:
        return {name: self._scene.GetNumberOfNodesByClass(name) for name in COUNTED}

    # -- actions

    def act(self, name: str, seed: int) -> None:
        """Do one, and look whether everything holds."""
        rng = random.Random(seed)
        before = self.snapshot()
        self.actions.use(self.case)
        last = self._last_step()
        kept = self._touched()
        try:
            getattr(self, "_" + name)(rng)
            self.done[name] += 1
        except LiverLesionAIError:
            self.refused[name] += 1
            assert self.snapshot() == before, f"{name} was refused and yet changed something"
        apply_threshold(self._scene, self.case, self._threshold)
        self._follow(name, before, last)
        if name in ("analyze", "reopen", "move"):
            lost = Counter(kept) - Counter(self._touched())
            assert not lost, f"{name} lost {lost}"
        self.check()

    def _follow(self, name: str, before: Snapshot, last: Any) -> None:
        """Undo gives what was there before, redo what came after."""
        now = self.snapshot()
        if name == "undo" and last is not None:
            was, after = self._before.pop()
            assert now == was, f"undo of {last.label}"
            self._after.append((was, after))
        elif name == "redo" and self._after and self._last_step() is not last:
            was, after = self._after.pop()
            assert now == after, f"redo of {self._last_step().label}"
            self._before.append((was, after))
        elif name not in ("undo", "redo") and self._last_step() is not last:
            if self._last_step() is not None:
                self._before = [*self._before, (before, now)][-MOST_STEPS:]
            self._after = []
        elif name not in ("analyze", "reopen", "undo", "redo"):
            assert now == before, f"{name} changed something that no undo knows of"

    def _last_step(self) -> Any:
        done = self.actions.history._done
        return done[-1] if done else None

    def _touched(self) -> list[Snapshot]:
        return [self._content(row) for row in self.case.rows if row.touched or row.reader_class or row.note]

    def _row(self, rng: random.Random) -> str:
        rows = self.case.rows
        if not rows:
            raise LiverLesionAIError("nothing is selected")
        return rng.choice(rows).segment_id

    def _some(self, rng: random.Random) -> list[str]:
        rows = [row.segment_id for row in self.case.rows]
        return rng.sample(rows, min(len(rows), rng.randint(1, 3)))

    def _accept(self, rng: random.Random) -> None:
        self.actions.set_status(self._some(rng), LesionStatus.ACCEPTED)

    def _reject(self, rng: random.Random) -> None:
        self.actions.set_status(self._some(rng), LesionStatus.REJECTED)

    def _not_liver(self, rng: random.Random) -> None:
        self.actions.set_status(self._some(rng), LesionStatus.NOT_LIVER)

    def _name(self, rng: random.Random) -> None:
        self.actions.set_class(self._row(rng), rng.choice(["", "HCC", "Cyst", 'a "new" one; ä']))

    def _remark(self, rng: random.Random) -> None:
        self.actions.set_note(self._row(rng), rng.choice(["", "seen", "  two\nlines  "]))

    def _delete(self, rng: random.Random) -> None:
        self.actions.delete(self._some(rng))

    def _merge(self, rng: random.Random) -> None:
        self.actions.merge(self._some(rng))

    def _split(self, rng: random.Random) -> None:
        self.actions.split(self._row(rng))

    def _back(self, rng: random.Random) -> None:
        self.actions.back_to_ai(self._row(rng))

    def _block(self, rng: random.Random) -> np.ndarray:
        voxels = np.zeros(self._ct.hu_zyx.shape, bool)
        z, y, x = (rng.randrange(2, size - 5) for size in voxels.shape)
        voxels[z : z + rng.randint(1, 3), y : y + rng.randint(1, 3), x : x + rng.randint(1, 3)] = True
        return voxels

    def _add(self, rng: random.Random) -> None:
        self.actions.add(Mask.of(self._block(rng)))

    def _edit(self, rng: random.Random) -> None:
        """A stroke of the Segment Editor: paint or erase; at times in the liver."""
        case = self.case
        segment_id = case.liver_segment if rng.random() < 0.1 else self._row(rng)
        before = self.actions.state(segment_id)
        mask, block = self._mask(segment_id), self._block(rng)
        voxels = np.zeros(block.shape, bool)
        voxels[mask.slices] = mask.voxels_zyx
        voxels = voxels | block if rng.random() < 0.6 else voxels & ~block
        image = labelmap(voxels.astype(np.uint8), (0, 0, 0), volume_geometry(self._volume()))
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.SetBinaryLabelmapToSegment(image, case.segmentation, segment_id, logic.MODE_REPLACE)
        self.actions.edited(segment_id, before)

    def _move(self, rng: random.Random) -> None:
        value = rng.choice([0.2, 0.45, 0.5, 0.7, 0.95])
        self._clock_s += 100
        self.actions.history.add_move(self._threshold, value, self._clock_s, 1.0)
        self._threshold = value

    def _undo(self, rng: random.Random) -> None:
        self.actions.undo()

    def _redo(self, rng: random.Random) -> None:
        self.actions.redo()

    def _analyze(self, rng: random.Random) -> None:
        self._show()

    def _reopen(self, rng: random.Random) -> None:
        """Save the scene, close it, open it again."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mrb"
            write_bundle(self._scene, path)
            scene = read_bundle(path, Path(folder) / "unpacked")
        self._scene.Clear(False)
        self._use(scene)
        self._before, self._after = [], []

    # -- what holds

    def check(self) -> None:
        """No orphan, no number twice, and all numbers are those of the masks."""
        case = self.case
        ids, numbers = [row.segment_id for row in case.rows], [row.number for row in case.rows]
        assert len(set(ids)) == len(ids) and len(set(numbers)) == len(numbers), numbers
        there = set(case.segmentation.GetSegmentation().GetSegmentIDs())
        assert there == {case.liver_segment, *ids}, there
        assert self._count_nodes() == self._nodes, self._count_nodes()
        listed = case.table.GetTable().GetNumberOfRows()
        assert listed == len(ids), f"{listed} rows in the table node, {len(ids)} lesions"
        voxel_ml = volume_geometry(self._volume()).voxel_volume_mm3 / 1000
        for row in case.rows:
            volume_ml = self._mask(row.segment_id).count * voxel_ml
            measured = row.measurement.volume_ml if row.measurement is not None else 0.0
            assert abs(measured - volume_ml) <= 0.0051, f"{row.name}: {measured} of {volume_ml} mL"


ACTIONS = {
    "accept": 4, "reject": 4, "not_liver": 2, "name": 2, "remark": 2, "delete": 2, "merge": 2, "split": 2,
    "back": 2, "add": 3, "edit": 4, "move": 4, "undo": 6, "redo": 4, "analyze": 1, "reopen": 1,
}  # fmt: skip
"""Action -> how often it comes."""


def main() -> int:
    """Many random actions, and their counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    reader = Reader()
    tried: list[tuple[str, int]] = []
    report: Callable[[], str] = lambda: f"done {dict(reader.done)}, refused {dict(reader.refused)}"  # noqa: E731
    for _ in range(args.actions):
        name, seed = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0], rng.randrange(2**32)
        tried.append((name, seed))
        try:
            reader.act(name, seed)
        except BaseException:
            # What was tried is enough to do it again.
            print(f"after {len(tried)} actions: {report()}; the last: {tried[-8:]}")
            raise
        if len(tried) % 100 == 0:
            print(f"{len(tried)} actions", flush=True)
    print(f"{args.actions} actions, nothing lost, nothing left over: {report()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
