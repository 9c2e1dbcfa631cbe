"""Any actions of a reader in any order: nothing is lost, nothing is left over, undo gives back what was."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
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
