"""What looks like a lesion and only leans on the liver: stomach, bowel, a strip at the edge.

Seen in a real scan: the stomach of a patient after a right hepatectomy, full and a little darker than the
liver, was listed as its largest metastasis, 79 mm and 99 mL. A lesion of the liver has liver around it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from ...volume.masks import label_boxes, within_mm

SHELL_MM = (1.0, 4.0)
"""From here to there lie a candidate's surroundings: clear of its blurred border."""


def surrounded(
    pieces_zyx: NDArray[np.integer],
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    numbers: Collection[int],
) -> dict[int, float]:
    """How much of candidates' surroundings is liver.

    Where the scan ends nothing is known, and nothing counts.

    Args:
        pieces_zyx: candidates, 0 for none; liver_zyx: bool, with all of them or without; on one grid.
        numbers: of the candidates that are asked for.

    Returns:
        candidate -> share, 0..1, of its surroundings that is liver or another candidate.
    """
    margin = [int(np.ceil(SHELL_MM[1] / size)) + 1 for size in spacing_zyx_mm]
    boxes = label_boxes(pieces_zyx)
    shares = {}
    for number in numbers:
        box = boxes[number]
        cut = tuple(slice(max(0, b.start - m), b.stop + m) for b, m in zip(box, margin, strict=True))
        own, organ = pieces_zyx[cut] == number, liver_zyx[cut] | (pieces_zyx[cut] > 0)
        near, far = (within_mm(own, spacing_zyx_mm, reach) for reach in SHELL_MM)
        shell = far & ~near
        shares[number] = float(organ[shell].mean()) if shell.any() else 1.0
    return shares
