"""A case as a .mrb scene for 3D Slicer, written without Slicer's libraries.

For computers on which `slicer-core` is not installed. It holds what `scene.py` puts into a scene (CT,
segmentation, boxes, table, maps, and views that look at the largest lesion) except the diameters' lines.
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from ..case.attributes import case_attributes
from ..case.colours import lesion_colour
from ..case.findings import CaseResult
from ..case.terminology import lesion_title
from ..volume.ct import CtVolume, Geometry
from . import boxes_file as markups
from . import nrrd
from .mask_file import write_masks

_GREY = "vtkMRMLColorTableNodeGrey"
_IRON = "vtkMRMLColorTableNodeIron"
_VIEWS = (
    # Name, orientation, its bar's colour, where its x, y, z point in RAS.
    ("Red", "Axial", "0.952941 0.290196 0.2", ((-1, 0, 0), (0, 1, 0), (0, 0, 1))),
    ("Yellow", "Sagittal", "0.929412 0.835294 0.298039", ((0, -1, 0), (0, 0, 1), (-1, 0, 0))),
    ("Green", "Coronal", "0.431373 0.690196 0.294118", ((-1, 0, 0), (0, 0, 1), (0, 1, 0))),
)


def write_scene(path: Path, result: CaseResult, volume: CtVolume) -> None:
    """Write the bundle.

    Args:
        path: ends in .mrb; its folder exists.
        volume: the CT of the result, same grid.

    Raises:
        OSError: it cannot be written.
    """
    root = Path(tempfile.mkdtemp(prefix=".scene-", dir=path.parent))
    try:
        data = root / path.stem / "Data"
        data.mkdir(parents=True)
        scene = _Scene(data)
        _fill(scene, result, volume)
        (root / path.stem / f"{path.stem}.mrml").write_text(scene.text(), encoding="utf-8")
        with zipfile.ZipFile(path, "w") as bundle:
            for file in sorted(p for p in root.rglob("*") if p.is_file()):
                kind = zipfile.ZIP_STORED if file.suffix == ".nrrd" else zipfile.ZIP_DEFLATED
                bundle.write(file, file.relative_to(root), kind)
    finally:
        shutil.rmtree(root, ignore_errors=True)


class _Scene:
    """MRML elements as text, and the data files they name."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.elements: list[str] = []
        self.tree: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}

    def add(
        self,
        tag: str,
        class_name: str,
        name: str,
        *,
        references: Mapping[str, str] | None = None,
        attributes: Mapping[str, str] | None = None,
        node_id: str | None = None,
        **values: object,
    ) -> str:
        """One node; returns its ID."""
        self.counts[class_name] = self.counts.get(class_name, 0) + 1
        node_id = node_id or f"{class_name}{self.counts[class_name]}"
        fields = {"id": node_id, "name": name, **{k: str(v) for k, v in values.items()}}
        if attributes:
            fields["attributes"] = ";".join(f"{k}:{_coded(v)}" for k, v in attributes.items())
        if references:
            fields["references"] = "".join(f"{k}:{v};" for k, v in references.items())
        said = " ".join(f"{key}={quoteattr(value)}" for key, value in fields.items())
        self.elements.append(f" <{tag} {said}></{tag}>")
        return node_id

    def volume(
        self,
        name: str,
        file: str,
        array: np.ndarray,
        geometry: Geometry,
        colour: str,
        window: tuple[float, float],
        lower: float | None,
        extra: Mapping[str, Mapping[str, str]],
    ) -> str:
        """A volume with display and file; `window` is lowest and highest value shown."""
        nrrd.write_image(self.data / file, array, geometry)
        low, high = window
        display = self.add(
            "VolumeDisplay",
            "vtkMRMLScalarVolumeDisplayNode",
            f"{name} display",
            references={"color": colour},
            window=high - low,
            level=(low + high) / 2,
            autoWindowLevel=0,
            applyThreshold=int(lower is not None),
            autoThreshold=0,
            lowerThreshold=low if lower is None else lower,
            upperThreshold=high,
            interpolate=1,
        )
        storage = self.add(
            "VolumeArchetypeStorage",
            "vtkMRMLVolumeArchetypeStorageNode",
            f"{name} file",
            fileName=f"Data/{quote(file)}",
            useCompression=1,
        )
        references = {"display": display, "storage": storage, **extra.get("references", {})}
        attributes = extra.get("attributes", {})
        node = self.add(
            "Volume", "vtkMRMLScalarVolumeNode", name, references=references, attributes=attributes
        )
        return node

    def text(self) -> str:
        """The whole .mrml file."""
        return "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                '<MRML version="Slicer5">',
                *self.elements,
                "</MRML>",
                "",
            ]
        )


def _fill(scene: _Scene, result: CaseResult, volume: CtVolume) -> None:
    name = result.case_name
    ct = scene.volume(name, "ct.nrrd", volume.hu_zyx, volume.geometry, _GREY, (-160.0, 240.0), None, {})
    shared = {"LiverLesionAI.Volume": ct}

    def ours(role: str, **more: str) -> dict[str, str]:
        return {"LiverLesionAI.Case": name, "LiverLesionAI.Role": role, **more}

    write_masks(scene.data / "masks.seg.nrrd", result)
    display = scene.add(
        "SegmentationDisplay",
        "vtkMRMLSegmentationDisplayNode",
        "masks display",
        AllSegmentsOpacity2DFill=0.3,
        sliceIntersectionThickness=2,
    )
    storage = scene.add(
        "SegmentationStorage", "vtkMRMLSegmentationStorageNode", "masks file", fileName="Data/masks.seg.nrrd"
    )
    masks = scene.add(
        "Segmentation",
        "vtkMRMLSegmentationNode",
        f"{name} liver and lesions",
        references={"display": display, "storage": storage, "referenceImageGeometryRef": ct, **shared},
        attributes=ours("segmentation"),
    )
    table = _table(scene, result, {**shared}, ours("table", **case_attributes(result)))
    boxes = _boxes(scene, result, shared, ours)
    maps = _maps(scene, result, shared, ours)
    _hierarchy(scene, name, [ct, masks, table], [(f"{name} boxes", boxes), (f"{name} maps", maps)])
    _views(scene, ct, result)


def _table(
    scene: _Scene, result: CaseResult, references: Mapping[str, str], attributes: Mapping[str, str]
) -> str:
    heads = ["Lesion", "Name", "Class", "Class probability", "Reader class", "Status"]
    heads.append("Lesion probability")
    measured = ("long_axis_mm", "short_axis_mm", "volume_ml", "hu_mean", "hu_sd", "surface_distance_mm")
    titles = ["Long axis [mm]", "Short axis [mm]", "Volume [mL]", "Mean [HU]", "SD [HU]", "To surface [mm]"]
    with (scene.data / "findings.tsv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([*heads, *titles, "Of liver [%]"])
        for lesion in result.lesions:
            probability = lesion.class_probabilities.get(lesion.predicted_class or "")
            writer.writerow(
                [
                    lesion.number,
                    lesion_title(lesion),
                    lesion.predicted_class or "",
                    "" if probability is None else f"{probability:.2f}",
                    lesion.reader_class or "",
                    lesion.status.value,
                    f"{lesion.score:.2f}",
                    *(f"{getattr(lesion.measurement, field):.2f}" for field in measured),
                    f"{lesion.measurement.percent_of_liver:.2f}",
                ]
            )
    storage = scene.add(
        "TableStorage", "vtkMRMLTableStorageNode", "findings file", fileName="Data/findings.tsv"
    )
    return scene.add(
        "Table",
        "vtkMRMLTableNode",
        f"{result.case_name} findings",
        references={"storage": storage, **references},
        attributes=attributes,
        description=result.phase.text if result.phase else "",
        useColumnTitleAsColumnHeader="true",
        useColumnNameAsColumnHeader="true",
    )


def _boxes(scene: _Scene, result: CaseResult, shared: Mapping[str, str], ours: object) -> list[str]:
    made = []
    document = markups.boxes_document(result)
    for lesion, box in zip(result.lesions, document["markups"], strict=True):
        file = f"lesion_{lesion.number}_box.mrk.json"
        alone = {"@schema": document["@schema"], "markups": [box]}
        (scene.data / file).write_text(json.dumps(alone, indent=1), encoding="utf-8")
        colour = " ".join(f"{c:g}" for c in lesion_colour(lesion.number))
        title = lesion_title(lesion)
        display = scene.add(
            "MarkupsROIDisplay",
            "vtkMRMLMarkupsROIDisplayNode",
            f"{title} display",
            color=colour,
            selectedColor=colour,
            activeColor=colour,
            fillOpacity=0,
            handlesInteractive="false",
            propertiesLabelVisibility="false",
            pointLabelsVisibility="false",
        )
        storage = scene.add(
            "MarkupsROIJsonStorage",
            "vtkMRMLMarkupsROIJsonStorageNode",
            f"{title} file",
            fileName=f"Data/{quote(file)}",
            coordinateSystem="LPS",
        )
        attributes = ours(  # type: ignore[operator]
            "box",
            **{
                "LiverLesionAI.Lesion": str(lesion.number),
                "LiverLesionAI.Segment": f"lesion_{lesion.number}",
                "LiverLesionAI.Status": lesion.status.value,
                "LiverLesionAI.Placed": _placed(box),
            },
        )
        made.append(
            scene.add(
                "MarkupsROI",
                "vtkMRMLMarkupsROINode",
                title,
                references={"display": display, "storage": storage, **shared},
                attributes=attributes,
                locked="true",
            )
        )
    return made


def _placed(box: Mapping[str, object]) -> str:
    """Where a box was put, in the form in which `scene_nodes` tells whether the reader has moved it (RAS)."""
    to_ras = np.array((-1.0, -1.0, 1.0))
    axes = to_ras[:, None] * np.asarray(box["orientation"], float).reshape(3, 3)
    centre = to_ras * np.asarray(box["center"], float)
    rows = np.hstack([axes, centre[:, None]]).ravel()
    return " ".join(f"{v:.5f}" for v in (*rows, *box["size"]))  # type: ignore[misc]


def _maps(scene: _Scene, result: CaseResult, shared: Mapping[str, str], ours: object) -> list[str]:
    made = []
    wanted = [
        (
            f"{name} probability",
            probability.values_zyx.astype(np.float32) / np.float32(255),
            probability.geometry,
            f"Probability of {name}, 0 to 1; the masks were cut at {probability.threshold:.2f}.",
            (0.0, 1.0),
            min(0.1, probability.threshold / 2),
            "probability",
            {},
        )
        for name, probability in result.probabilities.items()
    ]
    for shown in result.attention:
        low, high = shown.value_range
        array = np.asarray(shown.values_zyx, np.float32)
        wanted.append(
            (
                shown.name,
                array,
                shown.geometry,
                shown.meaning,
                (low, high),
                low + 0.25 * (high - low),
                shown.unit,
                shown.bars,
            )
        )
    for index, (name, array, geometry, meaning, window, lower, unit, bars) in enumerate(wanted):
        more = {"LiverLesionAI.Map": name, "LiverLesionAI.Meaning": meaning, "LiverLesionAI.Unit": unit}
        if bars:
            more["LiverLesionAI.Bars"] = json.dumps(dict(bars))
        extra = {"references": shared, "attributes": ours("map", **more)}  # type: ignore[operator]
        title = f"{result.case_name} {name}"
        made.append(scene.volume(title, f"map_{index}.nrrd", array, geometry, _IRON, window, lower, extra))
    return made


def _hierarchy(
    scene: _Scene, study: str, direct: Iterable[str], folders: Iterable[tuple[str, list[str]]]
) -> None:
    """The subject hierarchy: a study with the case in it."""
    owners = {"Scalar": "Volumes", "Segmen": "Segmentations", "Table": "Tables", "Markup": "Markups"}
    ids = iter(range(1, 1_000_000))

    def item(
        number: int, parent: int, body: str = "", *, node: str = "", name: str = "", level: str = ""
    ) -> str:
        owner = next((o for k, o in owners.items() if node.startswith(f"vtkMRML{k}")), "")
        what = f"dataNode={quoteattr(node)}" if node else f"name={quoteattr(name)}"
        kind = f' attributes="Level^{level}|"' if level else ""
        return (
            f'<SubjectHierarchyItem id="{number}" {what} parent="{parent}" type="{owner}" '
            f'expanded="true"{kind}>'
            f"{body}</SubjectHierarchyItem>"
        )

    root, case = next(ids), next(ids)
    body = "".join(item(next(ids), case, node=node) for node in direct)
    for name, members in folders:
        if members:
            folder = next(ids)
            inside = "".join(item(next(ids), folder, node=node) for node in members)
            body += item(folder, case, inside, name=name, level="Folder")
    tree = item(root, 0, item(case, root, body, name=study, level="Study"), name="Scene", level="Scene")
    scene.elements.append(
        ' <SubjectHierarchy id="vtkMRMLSubjectHierarchyNode1" name="SubjectHierarchy" '
        f'attributes="SubjectHierarchyVersion:2">{tree}</SubjectHierarchy>'
    )


def _views(scene: _Scene, ct: str, result: CaseResult) -> None:
    geometry = result.geometry
    middle = geometry.index_to_lps((np.array(geometry.shape_zyx) - 1) / 2)
    centre = np.array(result.lesions[0].centre_lps if result.lesions else middle) * (-1, -1, 1)
    extent = float((np.array(geometry.shape_zyx) * geometry.spacing_zyx_mm).max())
    for name, orientation, colour, axes in _VIEWS:
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(axes, float).T
        matrix[:3, 3] = centre
        scene.add(
            "Slice",
            f"vtkMRMLSliceNode{name}",
            name,
            node_id=f"vtkMRMLSliceNode{name}",
            singletonTag=name,
            layoutName=name,
            layoutLabel=name[0],
            layoutColor=colour,
            orientation=orientation,
            fieldOfView=f"{extent:g} {extent:g} 1",
            sliceToRAS=" ".join(f"{v:g}" for v in matrix.ravel()),
        )
        scene.add(
            "SliceComposite",
            f"vtkMRMLSliceCompositeNode{name}",
            name,
            node_id=f"vtkMRMLSliceCompositeNode{name}",
            references={"backgroundVolume": ct},
            singletonTag=name,
            layoutName=name,
        )


def _coded(value: str) -> str:
    """MRML's escapes inside an attribute list."""
    return value.replace("%", "%25").replace(";", "%3B")
