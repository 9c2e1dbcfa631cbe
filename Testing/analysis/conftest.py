"""Two scans of one patient, and their registration, which is made once."""

from __future__ import annotations

from functools import partial

import pytest
from LiverLesionAILib.analysis.followup import (
    Examined,
    follow_up,
)
from LiverLesionAILib.stages.followup.register import (
    register_livers,
)
from support.follow_up_bodies import FIRST, FOUND, body


@pytest.fixture(scope="session")
def first() -> Examined:
    return body(FIRST, day=1)


@pytest.fixture(scope="session")
def second() -> Examined:
    """A breath lower, other spacing; 1 grown, 2 smaller, 3 gone, 4 as it was, a new one."""
    balls = {1: (FIRST[1][0], 18.0), 2: (FIRST[2][0], 5.5), 3: FIRST[4], 4: ((30, 10, 20), 7.0)}
    return body(balls, shift=(6.0, -4.0, -22.0), spacing=(3.0, 2.2, 2.2), day=31, seed=1)


@pytest.fixture(scope="session")
def compared(first, second):
    def kept(*args):
        FOUND[:] = [register_livers(*args)]
        return FOUND[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("LiverLesionAILib.analysis.followup.register_livers", kept)
        return follow_up(first, second)


@pytest.fixture
def unbent(monkeypatch) -> None:
    """Registration without the bending, which is most of its time."""
    rigid = partial(register_livers, deformable=False)
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", rigid)


@pytest.fixture
def registered(monkeypatch, compared) -> None:
    """The livers' registration taken as it was found once."""
    monkeypatch.setattr("LiverLesionAILib.analysis.followup.register_livers", lambda *args: FOUND[0])
