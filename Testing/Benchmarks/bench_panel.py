"""What the reader waits for in the panel, in the stand-in of Slicer's desktop, beside plain copies.

    python Testing/Benchmarks/bench_panel.py [--repeat 3]

Processor time of the thread that runs the event loop (Python, Qt, MRML, and the kernel on their behalf), best
of some; a wait for the disk or the worker is not in it. Beside each, as a ratio, the time that the same
thread takes to copy and count eight million voxels eight times, measured right after, so that a slower
machine says the same.

- longest step: the longest turn of the event loop in two analyses of eight million voxels (wanted: 0.1 s);
- threshold: the slider let go, in 2.9 million voxels (wanted: 0.2 s);
- stroke: from a stroke in a lesion of 40 mm to its new numbers, in a liver of 20 cm at 0.8 mm, the panel's
  wait for the stroke's end included (wanted: 0.3 s);
- landmark: a landmark dragged, until segments and table follow (wanted: 1 s).
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TREE = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "LiverLesionAI"), str(TREE / "Testing")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from support.desk import Desk, add_volume, five_lesions, truth_array

LARGE = (120, 40, 48)


def large() -> np.ndarray:
    """A volume of 8.3 million voxels, with three lesions."""
    return truth_array(LARGE).repeat(6, 1).repeat(6, 2)


def copies_s(array: np.ndarray) -> float:
    """Processor time of this thread for copies and counts of a volume's voxels, best of three."""
    taken = []
    for _ in range(3):
        start_s = time.thread_time()
        for _ in range(8):
            np.count_nonzero(array.copy() > 0)
        taken.append(time.thread_time() - start_s)
    return min(taken)


def timed(act: Callable[[], object]) -> float:
    """Processor time of this thread for `act`."""
    start_s = time.thread_time()
    act()
    return time.thread_time() - start_s


def longest_step(desk: Desk) -> tuple[float, str]:
    """The longest turn of the event loop in a first and a second analysis, and what was under way."""
    add_volume("large", large())
    desk.turn(0.3)
    desk.longest_step_s, desk.longest_step = 0.0, ""
    for _ in range(2):
        desk.watched(desk.ui.analyzeButton.click)
        desk.until(desk.idle, 300)
        desk.turn()
    return desk.longest_step_s, desk.longest_step


def threshold(desk: Desk) -> tuple[float, str]:
    """The dearer of a threshold that lets more lesions in, and one that takes them out."""
    add_volume("CT", five_lesions().repeat(4, 0).repeat(5, 1).repeat(5, 2), (1.0, 0.7, 0.7))
    desk.turn()
    desk.analyze(300)

    def move(value: float) -> None:
        desk.ui.thresholdSlider.value = value
        desk.turn()

    return max((timed(lambda value=value: move(value)), f"to {value}") for value in (0.3, 0.95))


def stroke(desk: Desk) -> tuple[float, str]:
    """From a stroke in a lesion to its new numbers."""
    import slicer
    from LiverLesionAILib.panel.edit.edit_panel import SETTLE_MS
    from LiverLesionAILib.scene.ras import labelmap, volume_geometry

    array = np.full((160, 280, 280), 40, np.int16)
    array[5:155, 15:265, 15:265] = 1000
    z, y, x = np.ogrid[:160, :280, :280]
    from_centre = np.sqrt((1.25 * (z - 80)) ** 2 + (0.8 * (y - 140)) ** 2 + (0.8 * (x - 140)) ** 2)
    array[from_centre <= 20] = 1001
    add_volume("CT", array, (1.25, 0.8, 0.8))
    desk.turn()
    desk.analyze(300)
    desk.ui.editSection.click()
    desk.choose(0)
    panel = desk.panel

    def volume_ml() -> float:
        return panel.case.row("lesion_1").measurement.volume_ml

    def draw() -> None:
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        image = labelmap((from_centre <= 21).astype(np.uint8), (0, 0, 0), volume_geometry(panel.case.volume))
        assert logic.SetBinaryLabelmapToSegment(
            image, panel.case.segmentation, "lesion_1", logic.MODE_MERGE_MAX
        )
        desk.until(lambda: volume_ml() != before, 60)

    before = volume_ml()
    return timed(draw) + SETTLE_MS / 1000, "a lesion of 40 mm"


def landmark(desk: Desk) -> tuple[float, str]:
    """A landmark dragged by 40 mm."""
    from panel.test_panel_anatomy import compute, drag, open_case
    from support.vessel_phantom import vessel_case

    open_case(desk, vessel_case())
    compute(desk)
    points = desk.panel.case.anatomy.landmarks
    name = points.GetNthControlPointLabel(0)
    return timed(lambda: drag(desk, name, (10.0, 0.0, 0.0))), name


WHAT: dict[str, Callable[[Any], tuple[float, str]]] = {
    "longest step": longest_step,
    "threshold": threshold,
    "stroke": stroke,
    "landmark": landmark,
}


def measured(name: str, repeat: int) -> str:
    """A row of the table."""
    array, found, desk = large(), [], Desk("graded")
    for _ in range(repeat):
        gc.collect()
        found.append((*WHAT[name](desk.fresh()), copies_s(array)))
    desk.close()
    seconds, where, reference = min(found)
    return f"{name:<14}{seconds:>8.3f}{reference:>10.3f}{seconds / reference:>8.2f}  {where}"


def main() -> int:
    """Print the table; each row by a process of its own, as a desk leaves something behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many")
    parser.add_argument("--only", choices=WHAT, help="this row, by this process")
    asked = parser.parse_args()
    if asked.only:
        print(measured(asked.only, asked.repeat), flush=True)
        return 0
    print(f"{'':<14}{'s':>8}{'copies s':>10}{'ratio':>8}", flush=True)
    for name in WHAT:
        call = [sys.executable, __file__, "--only", name, "--repeat", str(asked.repeat)]
        subprocess.run(call, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
