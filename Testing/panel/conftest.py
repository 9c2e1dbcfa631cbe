"""The panel on a desk, which the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.volume.ct import CtVolume
    from support.desk import Desk


@pytest.fixture(scope="module")
def shared() -> Iterator[Desk]:
    """A desk with a worker that tells the truth, for all tests of a file that leave it as it was."""
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    from support.desk import Desk

    made = Desk()
    yield made
    made.close()


@pytest.fixture
def desk(shared: Desk) -> Desk:
    """The shared desk, cleared."""
    return shared.fresh()


@pytest.fixture
def case(desk: Desk) -> Desk:
    """The shared desk with a case analysed: three lesions."""
    from support.desk import add_volume

    add_volume("CT")
    desk.turn()
    desk.analyze()
    return desk


@pytest.fixture(scope="session")
def body() -> tuple[CtVolume, CaseResult, CaseResult]:
    """A drawn body whose vessels are known and its findings, without and with anatomy; computed once."""
    from LiverLesionAILib.analysis.anatomy import with_anatomy
    from LiverLesionAILib.analysis.rules import Rules
    from support.vessel_phantom import vessel_case

    volume, result = vessel_case()
    return volume, result, with_anatomy(result, volume, Rules())
