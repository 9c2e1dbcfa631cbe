"""The panel on a desk, which the tests of a file share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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
