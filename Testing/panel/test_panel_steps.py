"""What the panel does in one go, between two turns of the event loop, is small: counted here, not timed.

How long its steps take is printed by `Testing/Benchmarks/bench_panel.py`.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scene_watch import SceneWatch

pytest.importorskip("slicer", reason="slicer-core is not installed")

MOST_NODES = 16
"""That one step may add: a result's few nodes, and not one for each lesion or map."""


def test_a_result_is_read_and_shown_in_small_steps(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """None makes more than two copies of the CT, of eight million voxels, nor adds many nodes."""
    from LiverLesionAILib.panel.run import queue
    from support.desk import add_volume, truth_array

    steps: list[tuple[int, int]] = []
    real = queue.AnalysisQueue._applying

    def watched(self: queue.AnalysisQueue, case: queue.Case, result: Path) -> Iterator[None]:
        inner, over = real(self, case, result), object()
        while True:
            with SceneWatch(desk.scene) as watch:
                tracemalloc.start()
                done = next(inner, over)
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
            if done is over:
                return
            steps.append((peak, watch.counts["added"]))
            yield None

    monkeypatch.setattr(queue.AnalysisQueue, "_applying", watched)
    array = truth_array((120, 40, 48)).repeat(6, 1).repeat(6, 2)
    add_volume("large", array)
    desk.turn()
    desk.analyze()
    gc.collect()
    assert len(desk.panel.case.rows) == 3
    assert len(steps) > 40
    assert max(peak for peak, _ in steps) < 2.2 * array.nbytes, steps
    assert max(added for _, added in steps) <= MOST_NODES, steps
