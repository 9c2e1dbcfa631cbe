"""Synthetic CTs from the ICRP 110 reference phantoms' label maps, deformed into many patients.

The maps (male 2.1 x 2.1 x 8 mm, female 1.8 x 1.8 x 4.8 mm; ICRP Publication 110, 2009) are optional data
that do not ship: they are looked for in a folder with `ICRP110_{AM,AF}_labels.nii.gz` and
`{AM,AF}_organs.dat`. Organ shapes become signed distances, which interpolate smoothly between the coarse
slices, bend with a smooth random field, and are painted with the same HU, textures, vessels and scanner as
the procedural bodies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray
from scipy import ndimage

from .abdomen import Layer, Scene
from .body import BodySettings, SyntheticBody, acquire, finish_anatomy, make_plan
from .fields import Array, Box, Grid, smooth_field, smooth_max
from .gut import GAS_HU, isodense_fill
from .liver import keep_largest, liver_texture
from .liver_vessels import add_liver_trees
from .organs import Organ
from .paint import Canvas
from .patient import LiverKind, draw_patient
from .skeleton import fat_texture, lung_texture, muscle_texture, paint_bone, paint_table

_CAP_MM = 14.0

# Which organ names of the phantoms' lists (matched at the start) make which shape, in painting order.
_SHAPES: tuple[tuple[str, str], ...] = (
    ("muscle", r"Muscle, trunk|Tongue"),
    ("cartilage", r"Cartilage, trunk"),
    (
        "bone",
        r"(Ribs|Scapulae|\w+ spine|Sacrum|Sternum|Pelvis|Clavicles|Femora, upper half),",
    ),
    ("lung", r"Lung|Bronchi"),
    ("glandular", r"Breast, (left|right), glandular"),
    ("other", r"Uterus|Prostate|Thymus|Ovary|Rectum wall|Ureter"),
    ("cord", r"Spinal cord"),
    ("oesophagus", r"Oesophagus"),
    ("bowel_wall", r"Small intestine"),
    ("bowel", r"Small intestine contents"),
    ("colon_wall", r"(Ascending|Transverse|Descending|Sigmoid) colon"),
    ("colon", r"(Ascending|Transverse|Descending|Sigmoid) colon contents"),
    ("stomach_wall", r"Stomach"),
    ("stomach", r"Stomach contents"),
    ("bladder", r"Urinary bladder"),
    ("pancreas", r"Pancreas"),
    ("adrenal", r"Adrenal"),
    ("spleen", r"Spleen"),
    ("heart", r"Heart"),
    ("blood", r"Heart contents"),
    ("kidney", r"Kidney"),
    ("medulla", r"Kidney, (left|right), (medulla|pelvis)"),
    ("pelvis", r"Kidney, (left|right), pelvis"),
    ("liver", r"Liver"),
    ("vessels", r"Blood vessels, trunk"),
    ("gallbladder", r"Gall bladder"),
)
_PLAIN = {
    "cartilage": Organ.CARTILAGE,
    "glandular": Organ.OTHER,
    "other": Organ.OTHER,
    "cord": Organ.SPINAL_CANAL,
    "oesophagus": Organ.OESOPHAGUS,
    "bladder": Organ.BLADDER,
    "adrenal": Organ.ADRENAL,
    "spleen": Organ.SPLEEN,
    "heart": Organ.HEART,
    "kidney": Organ.KIDNEY_CORTEX,
    "medulla": Organ.KIDNEY_MEDULLA,
    "pelvis": Organ.KIDNEY_PELVIS,
}
_HOLLOW = {
    "bowel_wall": Organ.BOWEL_WALL,
    "bowel": Organ.BOWEL_CONTENT,
    "colon_wall": Organ.COLON_WALL,
    "colon": Organ.COLON_CONTENT,
    "stomach_wall": Organ.STOMACH_WALL,
    "stomach": Organ.STOMACH_CONTENT,
}


@dataclass(frozen=True, eq=False)
class PhantomShapes:
    """One phantom's trunk as signed distances.

    Attributes:
        name: "ICRP110 AM" or "ICRP110 AF".
        grid: the phantom's own grid in body space (z = 0 at the liver's top, x and y from the trunk's
            middle).
        boxes: shape -> part of the grid its distance is stored on; outside it is farther than the cap.
        distances: shape -> float16 signed distance there, capped at 14 mm.
    """

    name: str
    grid: Grid
    boxes: dict[str, Box]
    distances: dict[str, NDArray[np.float16]]


def find_phantoms(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """Label maps in `folder`, by default $LIVERLESIONAI_DATA/shapes or ../shared/data/shapes."""
    if folder is None:
        data = os.environ.get("LIVERLESIONAI_DATA")
        root = Path(data) if data else Path(__file__).resolve().parents[3].parent / "shared" / "data"
        folder = root / "shapes"
    return sorted(Path(folder).glob("ICRP110_A[MF]_labels.nii.gz"))


def read_organ_list(path: Path) -> dict[int, str]:
    """Read a phantom's `*_organs.dat`: organ number -> name."""
    organs = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        match = re.match(r"\s*(\d{1,3})\s+(.*?)\s+\d{1,2}\s+\d\.\d+\s*$", line)
        if match:
            organs[int(match.group(1))] = match.group(2)
    return organs


def load_phantom(labels_path: Path) -> PhantomShapes:
    """Read a label map and turn its trunk, from mid-chest to mid-thigh, into signed distances (some seconds).

    Raises:
        InputError: the map or its organ list is missing or not what it should be.
    """
    import SimpleITK as sitk

    labels_path = Path(labels_path)
    which = labels_path.name.split("_")[1]
    organs_path = labels_path.with_name(f"{which}_organs.dat")
    if not labels_path.exists() or not organs_path.exists():
        raise InputError(
            f"The reference phantom needs {labels_path.name} and {organs_path.name} in {labels_path.parent}; "
            "at least one is missing. Phantom bodies are optional: use the procedural ones instead."
        )
    image = sitk.DICOMOrient(sitk.ReadImage(str(labels_path)), "LPS")
    labels = sitk.GetArrayFromImage(image)
    spacing = tuple(float(s) for s in image.GetSpacing()[::-1])
    names = read_organ_list(organs_path)
    numbers = {
        shape: [n for n, name in names.items() if re.match(pattern, name)] for shape, pattern in _SHAPES
    }
    liver = np.isin(labels, numbers["liver"])
    if not liver.any():
        raise InputError(f"{labels_path.name} has no voxel that {organs_path.name} calls liver.")
    z = np.flatnonzero(liver.any(axis=(1, 2)))
    low = max(0, int(z[0] - 280 / spacing[0]))
    high = min(len(labels), int(z[-1] + 190 / spacing[0]))
    labels = labels[low:high]
    arms = [n for n, name in names.items() if re.search(r"arms|Humeri|Ulnae|Wrists", name)]
    trunk = (labels > 0) & ~np.isin(labels, arms)
    # Arms are in skin and fat of their own labels; what is left of them is not connected to the trunk.
    trunk = keep_largest(np.where(trunk, -1.0, 1.0).astype(np.float32)) < 0
    middle = np.argwhere(trunk).mean(axis=0)
    grid = Grid(
        labels.shape,
        spacing,
        (-(z[-1] - low) * spacing[0], -(middle[1]) * spacing[1] - 8.0, -middle[2] * spacing[2]),
    )
    boxes, distances = {}, {}
    for shape, inside in [("skin", trunk)] + [(s, np.isin(labels, numbers[s]) & trunk) for s, _ in _SHAPES]:
        if inside.any():
            boxes[shape], distances[shape] = _distance(inside, grid)
    return PhantomShapes(f"ICRP110 {which}", grid, boxes, distances)


def _distance(inside: NDArray[np.bool_], grid: Grid) -> tuple[Box, NDArray[np.float16]]:
    """Signed distance to a mask, capped, on its bounding box with a margin of the cap."""
    spacing = np.array(grid.spacing_zyx_mm)
    box = bounding_box(inside, (np.ceil(_CAP_MM / spacing).astype(int) + 1).tolist())
    part = inside[box]
    # EDT counts to voxel centres; half an in-plane voxel brings the zero to the faces.
    half = 0.5 * spacing[1]
    outside_mm = ndimage.distance_transform_edt(~part, spacing) - half
    inside_mm = ndimage.distance_transform_edt(part, spacing) - half
    distance = np.where(part, -np.maximum(inside_mm, 0.2), np.maximum(outside_mm, 0.2))
    distance = ndimage.gaussian_filter(distance, (0.0, 0.7, 0.7))
    return box, np.clip(distance, -_CAP_MM, _CAP_MM).astype(np.float16)  # type: ignore[return-value]


def make_phantom_body(
    rng: np.random.Generator, settings: BodySettings | None, shapes: PhantomShapes
) -> SyntheticBody:
    """A scanned patient whose organs are the phantom's, scaled and deformed.

    Args:
        rng: the only source of randomness.
        settings: what to fix; cirrhosis and resection change the liver's texture and surface, not its plan.
        shapes: from `load_phantom`.
    """
    return acquire(rng, make_phantom_anatomy(rng, settings, shapes))


def make_phantom_anatomy(
    rng: np.random.Generator, settings: BodySettings | None, shapes: PhantomShapes
) -> SyntheticBody:
    """As `make_phantom_body`, before the scanner."""
    settings = settings or BodySettings()
    patient = draw_patient(rng, settings.liver_kind, False)
    # The phantoms bring their own size; what is drawn is the deviation from it.
    scale = tuple(float(s) for s in np.clip(rng.normal(1.0, (0.07, 0.07, 0.06)), 0.85, 1.2))
    patient = replace(patient, female=shapes.name.endswith("AF"), scale_zyx=scale)
    plan = make_plan(rng, settings, patient)
    coarse = plan.coarse
    canvas = Canvas.blank(plan.fine)
    shift = [smooth_field(rng, coarse, 85) * 7 + smooth_field(rng, coarse, 30) * 2.0 for _ in range(3)]
    scene = Scene(rng, coarse, tuple(shift), patient, plan.hu)
    liver = _paint(scene, canvas, shapes, settings.isodense_stomach)
    return finish_anatomy(rng, plan, canvas, liver)


def _sampler(scene: Scene, shapes: PhantomShapes) -> Callable[..., tuple[Box, Array] | None]:
    """Function shape -> (box, signed distance) on the coarse grid, warped."""
    source, scale = shapes.grid, np.array(scene.patient.scale_zyx)

    def sample(shape: str, whole: bool = False) -> tuple[Box, Array] | None:
        if shape not in shapes.boxes:
            return None
        part = source.part(shapes.boxes[shape])
        low = np.array(part.origin_zyx_mm) * scale
        high = low + (np.array(part.shape_zyx) - 1) * np.array(part.spacing_zyx_mm) * scale
        box = scene.grid.box(np.minimum(low, high) - 20, np.maximum(low, high) + 20)
        if whole:
            box = scene.grid.whole
        if any(s.stop - s.start < 2 for s in box):
            return None
        index = [
            (c / s - o) / d
            for c, s, o, d in zip(
                scene.coords(box), scale, part.origin_zyx_mm, part.spacing_zyx_mm, strict=True
            )
        ]
        distance = shapes.distances[shape].astype(np.float32)
        out = ndimage.map_coordinates(distance, index, order=1, mode="constant", cval=_CAP_MM)
        return box, out * np.float32(scale.mean())

    return sample


def _paint(scene: Scene, canvas: Canvas, shapes: PhantomShapes, isodense_stomach: float) -> NDArray[np.bool_]:
    """Paint the phantom; returns the liver mask on the canvas."""
    rng, grid, hu, patient = scene.rng, scene.grid, scene.hu, scene.patient
    sample = _sampler(scene, shapes)
    whole = grid.whole
    fat = hu[Organ.FAT]
    skin = sample("skin", whole=True)[1]  # type: ignore[index]
    # Some patients have more fat under the skin than the phantom.
    skin = skin - np.float32(np.clip(rng.normal(4, 5), 0, 13))
    paint_table(scene, canvas, skin)

    def paint(organ: Organ, box: Box, sdf: Array, value: float | Array, halo: float = 0.0) -> None:
        canvas.paint(grid, Layer(organ, box, sdf, value, halo), fat)

    paint(Organ.SKIN, whole, skin, hu[Organ.SKIN])
    paint(Organ.FAT, whole, skin + np.float32(1.8), fat_texture(scene))
    liver: NDArray[np.bool_] | None = None
    late: list[tuple[str, Box, Array]] = []
    for shape, _ in _SHAPES:
        found = sample(shape)
        if found is None:
            continue
        box, sdf = found
        if shape in ("vessels", "gallbladder"):
            late.append((shape, box, sdf))
        elif shape == "muscle":
            paint(Organ.MUSCLE, box, sdf, muscle_texture(scene)[box])
        elif shape == "bone":
            full = np.full(grid.shape_zyx, _CAP_MM, np.float32)
            full[box] = sdf
            paint_bone(scene, canvas, full, 1.2, 10.0)
        elif shape == "lung":
            paint(Organ.LUNG, box, sdf, lung_texture(scene)[box])
        elif shape in _HOLLOW:
            level = isodense_fill(scene, isodense_stomach) if shape == "stomach" else None
            _paint_hollow(scene, paint, shape, box, sdf, level)
        elif shape == "pancreas":
            part = grid.part(box)
            sdf = sdf + smooth_field(rng, part, 5) * np.float32(1.2 + patient.visceral)
            paint(Organ.PANCREAS, box, sdf, hu[Organ.PANCREAS] + smooth_field(rng, part, 4) * 8)
        elif shape == "liver":
            liver = _paint_liver(scene, canvas, paint, box, sdf)
        elif shape == "blood":
            paint(Organ.HEART, box, sdf, hu[Organ.HEART])
        else:
            value = hu[_PLAIN[shape]]
            if shape == "heart":
                value = min(value, 0.55 * value + 0.45 * hu[Organ.MUSCLE])
            paint(_PLAIN[shape], box, sdf, value, 1.0 if shape == "kidney" else 0.0)
    if liver is None:
        liver = np.zeros(canvas.grid.shape_zyx, bool)
    for shape, box, sdf in late:
        _paint_late(scene, paint, shape, box, sdf)
    inside = (Organ.LIVER, Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN)
    return liver & np.isin(canvas.labels_zyx, inside)


def _paint_late(scene: Scene, paint: Callable[..., None], shape: str, box: Box, sdf: Array) -> None:
    """Gallbladder and great vessels, over the liver."""
    hu = scene.hu
    if shape == "gallbladder":
        paint(Organ.GALLBLADDER, box, sdf, hu[Organ.GALLBLADDER] + 25)
        paint(Organ.GALLBLADDER, box, sdf + np.float32(1.5), hu[Organ.GALLBLADDER])
    else:  # one label for all: left of the middle is the aorta, right of it the vena cava
        x = scene.coords(box)[2]
        paint(Organ.AORTA, box, np.maximum(sdf, 2 - x), hu[Organ.AORTA])
        paint(Organ.IVC, box, np.maximum(sdf, x - 2), hu[Organ.IVC])


def _paint_hollow(
    scene: Scene,
    paint: Callable[..., None],
    shape: str,
    box: Box,
    sdf: Array,
    level_hu: float | None = None,
) -> None:
    """Stomach and bowel: wall, contents (of `level_hu` where given), and gas in front.

    How far the gas reaches varies from loop to loop.
    """
    rng, part = scene.rng, scene.grid.part(box)
    organ = _HOLLOW[shape]
    if shape.endswith("_wall"):
        paint(organ, box, sdf, scene.hu[organ], 0.5)
        return
    sdf = sdf + np.abs(smooth_field(rng, part, 5)) * np.float32(1.2)
    contrast = rng.random() < 0.25
    fill = rng.uniform(8, 45) + (
        rng.uniform(120, 350) * (smooth_field(rng, part, 35) > 0) if contrast else 0.0
    )
    if level_hu is not None:
        fill = level_hu
    fill = fill + 12 * smooth_field(rng, part, 12)
    if shape == "colon":
        stool = np.clip(smooth_field(rng, part, 40) + 0.4, 0, 1)
        fill = fill - 60 * stool + 150 * stool * np.minimum(smooth_field(rng, part, 3.2), 0.6)
    paint(organ, box, sdf, fill.astype(np.float32))
    gas = smooth_field(rng, part, (30, 400, 30)) - np.float32(0.2 if shape == "bowel" else -0.3)
    y = part.axis_mm(1)[None, :, None]
    level = np.float32(rng.uniform(-75, -35)) + 10 * gas
    paint(organ, box, np.maximum(np.maximum(sdf + 0.5, y - level), -gas * 8).astype(np.float32), GAS_HU)


def _paint_liver(
    scene: Scene, canvas: Canvas, paint: Callable[..., None], box: Box, sdf: Array
) -> NDArray[np.bool_]:
    """Liver with its trees; trunks are placed by the liver's own extent."""
    rng, part, patient = scene.rng, scene.grid.part(box), scene.patient
    if patient.liver_kind is LiverKind.CIRRHOTIC:
        sdf = sdf + smooth_field(rng, part, 6.5) * np.float32(rng.uniform(0.8, 1.8))
    sdf = keep_largest(smooth_max(sdf + smooth_field(rng, part, 16) * 0.8, -60.0, 2))
    paint(Organ.LIVER, box, sdf, liver_texture(rng, part, patient, scene.hu), 0.8)
    liver = canvas.mask(part, sdf)
    add_liver_trees(scene, canvas, part, sdf, within=True)
    return liver
