"""What the tests of written files share."""

from __future__ import annotations

import pytest
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.volume.ct import CtVolume
from support.case_factory import oblique_geometry, small_case


@pytest.fixture(params=["oblique", "left-handed"])
def case(request: pytest.FixtureRequest) -> tuple[CtVolume, CaseResult]:
    return small_case(oblique_geometry(left_handed=request.param == "left-handed"), lesions=4)
