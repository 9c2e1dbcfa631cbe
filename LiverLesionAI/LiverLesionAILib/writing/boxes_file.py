"""Lesion boxes as a Markups file (.mrk.json) that 3D Slicer opens.

An ROI per lesion, in LPS, and one, hidden at first, where the classifier saw the lesion's class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..case.description import SceneBox, case_boxes
from ..case.findings import CaseResult

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


def boxes_document(result: CaseResult) -> dict[str, Any]:
    """All boxes of a case in the Markups schema, version 1.0.3."""
    return {"@schema": SCHEMA, "markups": [_box(box) for box in case_boxes(result, {})]}


def write_boxes(path: Path, result: CaseResult) -> None:
    """Write `boxes_document`.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(json.dumps(boxes_document(result), indent=2) + "\n", encoding="utf-8")


def _box(described: SceneBox) -> dict[str, Any]:
    box = described.box
    axes = np.asarray(box.directions_lps, float).reshape(3, 3).copy()
    if np.linalg.det(axes) < 0:
        # An ROI's axes are right-handed; a box is the same with an axis turned round.
        axes[:, 2] *= -1
    colour = list(described.colour)
    return {
        "type": "ROI",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 1,
        "roiType": "Box",
        "center": list(box.centre_lps),
        "orientation": axes.ravel().tolist(),
        "size": list(box.size_xyz_mm),
        "insideOut": False,
        "controlPoints": [
            {
                "id": "1",
                "label": described.name,
                "description": f"box score {box.score:.2f}",
                "associatedNodeID": "",
                "position": list(box.centre_lps),
                "orientation": axes.ravel().tolist(),
                "selected": True,
                "locked": True,
                "visibility": True,
                "positionStatus": "defined",
            }
        ],
        "measurements": [],
        "display": {
            "visibility": described.visible,
            "opacity": 1.0,
            "color": colour,
            "selectedColor": colour,
            "activeColor": colour,
            "propertiesLabelVisibility": False,
            "pointLabelsVisibility": False,
            "fillVisibility": True,
            "outlineVisibility": True,
            "fillOpacity": 0.0,
            "handlesInteractive": False,
        },
    }
