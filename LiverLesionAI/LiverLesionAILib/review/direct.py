"""An analysis without the worker, for scripts: it blocks, and computes in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer

from ..scene.ras import volume_geometry
from ..scene.show import SceneNodes, apply_result
from ..support.threads import let_threads_sleep
from ..volume.checking import check_ct, volume_from_array

if TYPE_CHECKING:
    from ..analysis.settings import Settings


def analyze_volume(
    scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode, settings: Settings | None = None
) -> SceneNodes:
    """Analyse a volume node and show the result.

    Raises:
        LiverLesionAIError: with a text for the reader.
    """
    from ..analysis.pipeline import analyze
    from ..analysis.settings import Settings
    from ..models.weights import ModelStore

    let_threads_sleep()
    matrix = volume_geometry(volume).ijk_to_ras
    ct = check_ct(volume_from_array(slicer.util.arrayFromVolume(volume), matrix, volume.GetName()))
    return apply_result(scene, analyze(ct, settings or Settings(), ModelStore.bundled()), volume)
