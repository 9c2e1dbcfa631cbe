"""The liver's anatomy in a scene: a segmentation of its own, never the lesions', and its landmarks as points.

Vessels run through the segments, so each kind has a labelmap of its own, shared by its segments. The planes'
landmarks are control points by name; what is known of each besides its place (how sure, where it was seen)
is kept as text with the node, so that a point that lies elsewhere than written was moved by the reader.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
import slicer
from numpy.typing import NDArray

from ..case.anatomy import CouinaudSegment, Landmark, LiverAnatomy, Vessel
from ..case.anatomy_description import (
    STRUCTURES,
    Structure,
    anatomy_name,
    landmarks_name,
    layer_of,
    structure_id,
    structure_look,
    structure_of,
    structure_tags,
)
from ..case.anatomy_json import landmarks_from_text, landmarks_text
from ..volume.crops import Mask
from ..volume.geometry import Geometry
from ..volume.masks import bounding_box
from . import segments
from .apply_segments import refer_to_ct
from .ras import label_crop, labelmap, point_ras

ROLE_ANATOMY = "anatomy"
ROLE_LANDMARKS = "landmarks"
ATTR_MESSAGES = "LiverLesionAI.AnatomyMessages"
ATTR_REVISION = "LiverLesionAI.AnatomyRevision"
"""On the segmentation: which anatomy it is, to tell whether a lesion's place was found in this one."""
ATTR_LANDMARKS = "LiverLesionAI.Landmarks"
"""On the points' node: the landmarks as they were when the segments were made."""
MOVED_MM = 0.01
LANDMARK_COLOUR = (1.0, 0.85, 0.2)
SURFACE_MM = 2.0
"""Voxels that surfaces are made of have about this edge: they follow a landmark that is dragged."""
GLYPH_SCALE, TEXT_SCALE = 1.8, 2.5

Layer = type[CouinaudSegment] | type[Vessel]
LAYERS: tuple[Layer, ...] = (CouinaudSegment, Vessel)


@dataclass(frozen=True, eq=False)
class AnatomyNodes:
    """What a case's anatomy has in the scene; `landmarks` is None where none were found."""

    segmentation: slicer.vtkMRMLSegmentationNode
    landmarks: slicer.vtkMRMLMarkupsFiducialNode | None

    @classmethod
    def of(cls, found: Mapping[str, Sequence]) -> AnatomyNodes | None:
        """Of a case's nodes by role; None where its anatomy was never asked for."""
        node = (found.get(ROLE_ANATOMY) or [None])[0]
        return None if node is None else cls(node, (found.get(ROLE_LANDMARKS) or [None])[0])

    @property
    def all(self) -> tuple[slicer.vtkMRMLNode, ...]:
        """Both, or the one there is."""
        return (self.segmentation,) if self.landmarks is None else (self.segmentation, self.landmarks)


def show_anatomy(
    scene: slicer.vtkMRMLScene,
    there: AnatomyNodes | None,
    anatomy: LiverAnatomy,
    volume: slicer.vtkMRMLScalarVolumeNode | None,
    case_name: str,
    own: Callable[[slicer.vtkMRMLNode, str], None],
    add: Callable[[slicer.vtkMRMLNode], slicer.vtkMRMLNode],
) -> AnatomyNodes:
    """Nodes that hold an anatomy, hidden at first; those that are there are filled anew and look as before.

    Args:
        volume: the CT; None when the scene holds none.
        own: says of a node whose it is, in which role.
        add: puts a node into the scene.
    """
    node = None if there is None else there.segmentation
    if node is None:
        node = _made(scene, "vtkMRMLSegmentationNode", anatomy_name(case_name))
        own(node, ROLE_ANATOMY)
        node.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
        node = add(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetVisibility(False)
        refer_to_ct(node, volume, anatomy.geometry)
    else:
        # Another one than that with which the places of lesions were found that stay.
        node.SetAttribute(ATTR_REVISION, uuid4().hex[:12])
    fill_anatomy(node, anatomy)
    points = None if there is None else there.landmarks
    if points is None and anatomy.landmarks:
        points = _made(scene, "vtkMRMLMarkupsFiducialNode", landmarks_name(case_name))
        own(points, ROLE_LANDMARKS)
        points = add(points)
        points.CreateDefaultDisplayNodes()
        _style_points(points.GetDisplayNode())
    if points is not None:
        write_landmarks(points, anatomy.landmarks)
    return AnatomyNodes(node, points)


def refilling(there: AnatomyNodes, geometry: Geometry) -> Callable[[], None]:
    """How to bring back what nodes show now."""
    before = read_anatomy(there, geometry)

    def restore() -> None:
        fill_anatomy(there.segmentation, before)
        if there.landmarks is not None:
            write_landmarks(there.landmarks, before.landmarks)

    return restore


def _made(scene: slicer.vtkMRMLScene, class_name: str, name: str) -> slicer.vtkMRMLNode:
    node = scene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetName(name)
    return node


def _style_points(display: slicer.vtkMRMLMarkupsDisplayNode) -> None:
    for paint in (display.SetColor, display.SetSelectedColor):
        paint(*LANDMARK_COLOUR)
    display.SetGlyphScale(GLYPH_SCALE)
    display.SetTextScale(TEXT_SCALE)
    display.SetPointLabelsVisibility(True)
    display.SetVisibility(False)


# -- vessels and segments


def fill_anatomy(
    node: slicer.vtkMRMLSegmentationNode, anatomy: LiverAnatomy, layers: Iterable[Layer] = LAYERS
) -> None:
    """Let a segmentation show an anatomy, as one change; surfaces that are there are made anew.

    Args:
        layers: which have changed; the others are left alone.
    """
    segmentation = node.GetSegmentation()
    surfaces = bool(segmentation.GetNumberOfSegments()) and segmentation.ContainsRepresentation(
        segments.CLOSED_SURFACE
    )
    with segments.one_change(node):
        for layer in layers:
            _fill_layer(node, anatomy, layer)
        text = json.dumps(list(anatomy.messages))
        if node.GetAttribute(ATTR_MESSAGES) != text:
            node.SetAttribute(ATTR_MESSAGES, text)
        if surfaces:
            make_surfaces(node, anatomy, layers)


def _fill_layer(node: slicer.vtkMRMLSegmentationNode, anatomy: LiverAnatomy, layer: Layer) -> None:
    segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
    labels_zyx = layer_of(anatomy, next(iter(layer)))
    box = bounding_box(labels_zyx > 0)
    counts = np.bincount(labels_zyx[box].ravel(), minlength=16) if box is not None else np.zeros(16, int)
    present = [one for one in layer if counts[one]]
    image = None
    if box is not None:
        start = tuple(s.start for s in box)
        image = labelmap(np.ascontiguousarray(labels_zyx[box]), start, anatomy.geometry)  # type: ignore[arg-type]
    for one in layer:
        if one not in present and segmentation.GetSegment(structure_id(one)) is not None:
            segmentation.RemoveSegment(structure_id(one))
    for one in present:
        segment = segmentation.GetSegment(structure_id(one))
        if segment is not None:
            segment.SetLabelValue(int(one))
            segment.AddRepresentation(segments.BINARY, image)
            continue
        segment = _segment(one)
        segment.AddRepresentation(segments.BINARY, image)
        if not segmentation.AddSegment(segment, structure_id(one), _before(segmentation, one)):
            raise RuntimeError(f"{one.title} could not be added to the anatomy.")
        look = structure_look(one)
        display.SetSegmentOpacity2DFill(structure_id(one), look.fill)
        display.SetSegmentOpacity3D(structure_id(one), look.opacity)


def _segment(one: Structure) -> slicer.vtkSegment:
    segment = slicer.vtkSegment()
    segment.SetName(one.title)
    segment.SetNameAutoGenerated(False)
    segment.SetColor(*one.colour)
    segment.SetColorAutoGenerated(False)
    segment.SetLabelValue(int(one))
    for name, text in structure_tags(one).items():
        segments.set_tag(segment, name, text)
    return segment


def _before(segmentation: slicer.vtkSegmentation, one: Structure) -> str:
    """The structure that comes next in order and is there; "" for the end."""
    ids = [structure_id(other) for other in STRUCTURES]
    later = ids[ids.index(structure_id(one)) + 1 :]
    return next((other for other in later if segmentation.GetSegment(other) is not None), "")


def make_surfaces(
    node: slicer.vtkMRMLSegmentationNode, anatomy: LiverAnatomy, layers: Iterable[Layer] = LAYERS
) -> None:
    """Give the segments closed surfaces, so that 3D views have them at once."""
    segmentation = node.GetSegmentation()
    steps = tuple(max(1, round(SURFACE_MM / s)) for s in anatomy.geometry.spacing_zyx_mm)
    with segments.one_change(node):
        for one in (one for layer in layers for one in layer):
            segment = segmentation.GetSegment(structure_id(one))
            if segment is not None:
                mask = Mask.of(layer_of(anatomy, one) == one)
                segments.set_surface(segment, mask, anatomy.geometry, steps)


def has_surfaces(node: slicer.vtkMRMLSegmentationNode) -> bool:
    """Whether 3D views have something to draw."""
    segmentation = node.GetSegmentation()
    return bool(segmentation.GetNumberOfSegments()) and bool(
        segmentation.ContainsRepresentation(segments.CLOSED_SURFACE)
    )


def read_anatomy(nodes: AnatomyNodes, geometry: Geometry) -> LiverAnatomy:
    """The anatomy as the scene holds it, also where its segments were drawn in.

    Args:
        geometry: the grid to read on; what lies outside it is left out.
    """
    vessels, couinaud = (np.zeros(geometry.shape_zyx, np.uint8) for _ in range(2))
    for image, values in _images(nodes.segmentation):
        labels_zyx, start = label_crop(image, geometry)
        place = tuple(slice(a, a + n) for a, n in zip(start, labels_zyx.shape, strict=True))
        for out, kind in ((vessels, Vessel), (couinaud, CouinaudSegment)):
            table = np.zeros(256, np.uint8)
            for label, one in values.items():
                if isinstance(one, kind):
                    table[label] = int(one)
            if table.any():
                read = table[labels_zyx.astype(np.uint8, copy=False)]
                np.copyto(out[place], read, where=read > 0)
    return LiverAnatomy(
        geometry,
        vessels,
        couinaud,
        {} if nodes.landmarks is None else written_landmarks(nodes.landmarks),
        read_messages(nodes.segmentation),
    )


def _images(
    node: slicer.vtkMRMLSegmentationNode,
) -> list[tuple[slicer.vtkOrientedImageData, dict[int, Structure]]]:
    """The labelmaps, each with its structures by their label in it."""
    found: dict[str, tuple[slicer.vtkOrientedImageData, dict[int, Structure]]] = {}
    for segment_id in segments.segment_ids(node):
        one = structure_of(segment_id)
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(segments.BINARY)
        if one is not None and image is not None:
            entry = found.setdefault(image.GetAddressAsString(""), (image, {}))
            entry[1][segment.GetLabelValue()] = one
    return list(found.values())


def anatomy_box(node: slicer.vtkMRMLSegmentationNode, geometry: Geometry) -> list[NDArray[np.int64]]:
    """First and one past the last voxel (z, y, x) of `geometry` of each labelmap; empty where none is."""
    ends = []
    for image, _ in _images(node):
        labels_zyx, start = label_crop(image, geometry)
        if labels_zyx.size:
            ends.append(np.array((start, np.add(start, labels_zyx.shape)), np.int64))
    return ends


def anatomy_state(nodes: AnatomyNodes) -> tuple[object, ...]:
    """Differs when vessels, segments or what is written of the landmarks have changed."""
    times = tuple(
        (image.GetAddressAsString(""), image.GetMTime()) for image, _ in _images(nodes.segmentation)
    )  # type: ignore[attr-defined]
    text = "" if nodes.landmarks is None else nodes.landmarks.GetAttribute(ATTR_LANDMARKS)
    return times, text, tuple(segments.segment_ids(nodes.segmentation))


def read_messages(node: slicer.vtkMRMLSegmentationNode) -> tuple[str, ...]:
    """What cannot be said and why."""
    try:
        return tuple(str(one) for one in json.loads(node.GetAttribute(ATTR_MESSAGES) or "[]"))
    except (ValueError, TypeError):
        return ()


# -- landmarks


def write_landmarks(node: slicer.vtkMRMLMarkupsFiducialNode, landmarks: Mapping[str, Landmark]) -> None:
    """Put the points where the landmarks are, by name, as one change; each says where it was seen."""
    was = node.StartModify()
    try:
        at = {node.GetNthControlPointLabel(k): k for k in range(node.GetNumberOfControlPoints())}
        if set(at) - set(landmarks):
            node.RemoveAllControlPoints()
            at = {}
        for name, one in landmarks.items():
            place = point_ras(one.lps)
            if name not in at:
                at[name] = node.AddControlPoint(place[0], place[1], place[2], name)
            elif math.dist(node.GetNthControlPointPosition(at[name]), place) > MOVED_MM:
                node.SetNthControlPointPosition(at[name], *place)
            said = f"{one.source}, ±{one.uncertainty_mm:.0f} mm"
            if node.GetNthControlPointDescription(at[name]) != said:
                node.SetNthControlPointDescription(at[name], said)
        text = landmarks_text(landmarks)
        if node.GetAttribute(ATTR_LANDMARKS) != text:
            node.SetAttribute(ATTR_LANDMARKS, text)
    finally:
        node.EndModify(was)


def written_landmarks(node: slicer.vtkMRMLMarkupsFiducialNode) -> dict[str, Landmark]:
    """The landmarks that the segments were made of."""
    return landmarks_from_text(node.GetAttribute(ATTR_LANDMARKS))


def placed_landmarks(node: slicer.vtkMRMLMarkupsFiducialNode) -> dict[str, Landmark]:
    """The landmarks as their points lie now; those that were moved are the reader's, others as written."""
    landmarks = written_landmarks(node)
    for index in range(node.GetNumberOfControlPoints()):
        name = node.GetNthControlPointLabel(index)
        one = landmarks.get(name)
        place = point_ras(node.GetNthControlPointPosition(index))
        if one is not None and math.dist(place, one.lps) > MOVED_MM:
            landmarks[name] = one.moved(place)
    return landmarks
