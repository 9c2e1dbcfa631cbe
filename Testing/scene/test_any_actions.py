"""Any actions of a reader in any order: nothing is lost, nothing is left over, undo gives back what was."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from LiverLesionAILib.volume.crops import Mask
from support.review_machine import ACTIONS, Reader


class Actions(RuleBasedStateMachine):
    """Hypothesis finds the shortest sequence that breaks something."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Reader()

    @rule(
        name=st.sampled_from([name for name, weight in ACTIONS.items() for _ in range(weight)]),
        seed=st.integers(0, 2**16),
    )
    def act(self, name: str, seed: int) -> None:
        self.reader.act(name, seed)


def test_actions_in_any_order() -> None:
    run_state_machine_as_test(
        Actions,
        settings=settings(
            max_examples=2,
            stateful_step_count=8,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_action_once_with_its_undo_and_redo() -> None:
    reader = Reader()
    for number, name in enumerate(
        ("add", "accept", "name", "remark", "edit", "move", "merge", "not_liver", "delete")
    ):
        for action in (name, "undo", "redo"):
            reader.act(action, number)
    reader.act("reopen", 0)
    reader.act("analyze", 0)
    assert reader.done["undo"] == reader.done["redo"] == 9
    assert not reader.refused, reader.refused


def test_a_new_lesion_that_gives_voxels_to_a_kept_one_is_measured_again() -> None:
    """Found by the machine: analysed again, its row had the volume of before."""
    reader = Reader()
    reader.actions.use(reader.case)
    reader.actions.delete([reader.case.rows[1].segment_id])
    voxels = np.zeros(reader._ct.hu_zyx.shape, bool)
    voxels[10:12, 2:6, 15:18] = True
    reader.actions.use(reader.case)
    reader.actions.add(Mask.of(voxels))
    reader.act("analyze", 0)
    volumes = sorted(round(row.measurement.volume_ml, 2) for row in reader.case.rows)
    assert 0.42 in volumes and 0.45 not in volumes, volumes
