"""What each bundled network sees of a scan: grid, window and slices, with the reasons."""

from __future__ import annotations

from dataclasses import replace

from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks import cs_att
from LiverLesionAILib.stages.detect.click_input import DEPTH, EDGE, HU_LIMITS

from .gallbladder_cases import GRID_MM
from .vessel_cases import GRID_ZYX_MM

SEGMENT_INPUT = InputSpec(
    spacing_zyx_mm=(2.5, 1.25, 1.25), window_hu=(-75.0, 175.0), in_slices=5, liver_hu=100.0, magnify=1.4
)
"""SFAN paper, section 3: window [-75, 175]. The grid: fine enough for 5 mm lesions, coarse enough that
thin noisy slices are averaged. The liver's level is brought to 100 HU. Magnified, because held-out patients'
lesions of 6 to 15 mm were missed at 1.25 mm and found when the same network saw the same slices enlarged."""

DETECT_INPUT = replace(SEGMENT_INPUT, in_slices=cs_att.SIZES["compact"].in_slices, magnify=1.5625)
"""The segmentation's pixels of 1.25 mm, enlarged to the 0.8 mm that 3DCE and CS-Att have."""

CLASS_INPUT = InputSpec(spacing_zyx_mm=(3.0, 1.5, 1.5), window_hu=(-40.0, 220.0), in_slices=3)
"""DADRN sees a slice and its two neighbours. The level stays what it was measured as: water is told from
tissue by its HU, and how bright a lesion is by the phase that the liver is in."""

GALLBLADDER_INPUT = InputSpec(
    spacing_zyx_mm=(3.0, GRID_MM, GRID_MM), window_hu=(-60.0, 220.0), in_slices=5, magnify=0.75
)
"""Bile is told from tissue by its HU, so the level stays. Fat and air lie below the window: they look alike
in scans and in the axial slices, which were cut at 0 HU. Pixels of 2 mm, between the coarse network's and the
segmenters'."""

VESSEL_INPUT = InputSpec(spacing_zyx_mm=GRID_ZYX_MM, window_hu=(0.0, 220.0), in_slices=5, liver_hu=100.0)
"""The liver's level is brought to 100 HU: what is left is by how much vessels are brighter or darker."""

TREE_INPUT = InputSpec(spacing_zyx_mm=(2.0, 2.0, 2.0), window_hu=(0.0, 200.0), in_slices=1, liver_hu=100.0)
"""Of the grid that the anatomy is looked for on; a view of the whole liver holds more than its density."""

SECOND_LOOK_INPUT = InputSpec(
    spacing_zyx_mm=(2.0, 1.0, 1.0), window_hu=(-100.0, 220.0), in_slices=24, liver_hu=100.0
)
"""A crop of 48 mm; its slices are all of its channels, so their number is even."""

CLICK_INPUT = InputSpec((1.0, 1.0, 1.0), HU_LIMITS, DEPTH)
"""Its voxels are as large as the outline asks for, see `stages.detect.click_input`."""

CLICK_EDGE = EDGE

COARSE_INPUT = InputSpec(spacing_zyx_mm=(3.0, 3.0, 3.0), window_hu=(-150.0, 230.0), in_slices=5)
