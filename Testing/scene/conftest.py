"""What the tests of scenes share: small cases in them."""

from __future__ import annotations

import pytest
from LiverLesionAILib.volume.ct import Geometry
from support.case_factory import oblique_geometry, small_case


@pytest.fixture(params=["oblique", "left-handed", "straight"])
def geometry(request: pytest.FixtureRequest) -> Geometry:
    if request.param == "straight":
        return Geometry.make((20, 40, 48), (3.0, 1.5, 1.0), (10.0, 20.0, 30.0))
    return oblique_geometry(left_handed=request.param == "left-handed")


@pytest.fixture
def case(geometry: Geometry):
    """A case whose CT is in a scene: (scene, CT node, result)."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from LiverLesionAILib.scene.offline import add_ct, new_scene

    volume, result = small_case(geometry)
    scene = new_scene()
    return scene, add_ct(scene, volume), result


@pytest.fixture
def shown():
    """An oblique case already in a scene: (scene, CT node, result, nodes)."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from LiverLesionAILib.scene.offline import add_ct, new_scene
    from LiverLesionAILib.scene.show import apply_result

    volume, result = small_case(lesions=4)
    scene = new_scene()
    ct = add_ct(scene, volume)
    return scene, ct, result, apply_result(scene, result, ct)
