"""Normal and benign things in and at the liver that are mistaken for lesions.

Each function changes a `LiverTissue` and returns words for what it put in, or None when there was no place.
Axes run along LPS: -z is inferior, -y anterior, +x the patient's left. HU are absolute unless they are called
changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .rendering import coverage
from .texture import gaussian, local_mean, smooth_noise
from .tissue import Box, LiverTissue
from .tubes import Segment, draw_tubes, grow_tree

Array = NDArray[np.float32]

VISCERAL = (-0.75, 0.45, 0.45)
ANTERIOR = (0.0, -1.0, 0.0)
#: About where the hilum, the gallbladder fossa and the falciform ligament lie from the liver's centroid, mm.
HILUM = (-15.0, 10.0, 15.0)
FOSSA = (-40.0, -25.0, 5.0)
FALCIFORM = (0.0, -50.0, 35.0)


def _frame(axis: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
    """3 x 3 rows: the axis and two unit vectors across it."""
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    second = rng.standard_normal(3)
    second -= axis * (second @ axis)
    second /= np.linalg.norm(second)
    return np.stack([axis, second, np.cross(axis, second)])


def _rotated(offsets: list[Array], frame: NDArray) -> list[Array]:
    return [sum(o * np.float32(f) for o, f in zip(offsets, row, strict=True)) for row in frame]


def _no_bone_or_air(tissue: LiverTissue, box: Box) -> Array:
    """1 where soft tissue or fat can be displaced, 0 in bone outside the liver and in lung."""
    hu = tissue.hu[box]
    stays = ((hu > 170) | (hu < -155)) & ~tissue.liver[box]
    return np.clip(1 - 1.3 * gaussian(stays, 1.5, tissue.spacing), 0, 1)


def gallbladder(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """A pear of 40-100 x 18-45 mm with a wall of 1-3 mm.

    Bile of 0-25 HU, with sludge or vicarious contrast up to 60, or stones.
    """
    spot = tissue.surface_spot(VISCERAL, rng, FOSSA if rng.random() < 0.8 else None)
    if spot is None:
        return None
    position, outward = spot
    length, width = rng.uniform(40, 100), rng.uniform(18, 45)
    if rng.random() < 0.15:  # contracted
        length, width = rng.uniform(25, 45), rng.uniform(8, 16)
    # Half in its fossa; the long axis lies along the surface and points forward and down.
    along = np.array([-0.6, -0.6, -0.2]) + 0.35 * rng.standard_normal(3)
    along -= 0.8 * outward * (along @ outward)
    centre = position + outward * width * rng.uniform(0.0, 0.5) / np.array(tissue.spacing)
    box = tissue.box_around(centre, 0.62 * length + 6)
    if box is None:
        return None
    u, v, w = _rotated(tissue.offsets_mm(box, centre), _frame(along, rng))
    # A pear: the radius falls towards the neck.
    taper = 1.0 - np.float32(rng.uniform(0.25, 0.55)) * np.clip(-u / np.float32(length / 2), -1, 1)
    radius = np.sqrt((u * np.float32(width / length)) ** 2 + (v / taper) ** 2 + (w / taper) ** 2)
    radius += np.float32(0.05 * width) * smooth_noise(radius.shape, tissue.spacing, 0.5 * width, rng)
    depth = np.float32(width / 2) - radius
    room = _no_bone_or_air(tissue, box)
    wall = rng.uniform(0.8, 3.0) if rng.random() < 0.75 else rng.uniform(3, 6)
    bile = rng.uniform(0, 22) if rng.random() < 0.8 else rng.uniform(22, 60)
    content = np.full(depth.shape, bile, np.float32)
    said = "gallbladder"
    draw = rng.random()
    dy = tissue.offsets_mm(box, centre)[1]
    if draw < 0.12:
        content += np.float32(rng.uniform(15, 50)) * np.clip((dy - 0.15 * width) / 3 + 0.5, 0, 1)
        said = "gallbladder with sludge"
    elif draw < 0.24:
        low = dy + smooth_noise(depth.shape, tissue.spacing, 3.0, rng) * 4 - np.float32(0.3 * width)
        content += np.float32(rng.uniform(60, 400)) * np.clip(low / 4, 0, 1) * (depth > 1.5)
        said = "gallbladder with stones"
    wall_hu = tissue.level_hu + rng.uniform(-30, 15)
    inner = coverage(depth - np.float32(wall), 0.7)
    outer = coverage(depth, 0.8) * room
    tissue.paint(box, outer, wall_hu + inner * (content - wall_hu), rng, out_of_liver=0.5)
    return said


def bowel_loop(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """A loop of 20-60 mm at the visceral surface or left lobe: fluid (0-45 HU) or contrast, gas, wall."""
    spot = tissue.surface_spot(VISCERAL if rng.random() < 0.6 else (-0.3, 0.3, 1.0), rng)
    if spot is None:
        return None
    position, outward = spot
    width = rng.uniform(20, 60)
    centre = position + outward * (0.5 * width + 3 - rng.uniform(0, 7)) / np.array(tissue.spacing)
    box = tissue.box_around(centre, 0.85 * width + 6)
    if box is None:
        return None
    u, v, w = _rotated(tissue.offsets_mm(box, centre), _frame(rng.standard_normal(3), rng))
    radius = np.sqrt(
        (u * np.float32(rng.uniform(0.5, 0.9))) ** 2 + v**2 + (w * np.float32(rng.uniform(1, 1.3))) ** 2
    )
    radius += np.float32(0.09 * width) * smooth_noise(radius.shape, tissue.spacing, 0.35 * width, rng)
    depth = np.float32(width / 2) - radius
    wall = rng.uniform(1.5, 4)
    fluid = rng.uniform(0, 45) if rng.random() < 0.8 else rng.uniform(120, 300)
    content = fluid + np.float32(rng.uniform(2, 12)) * smooth_noise(depth.shape, tissue.spacing, 5.0, rng)
    said = "bowel loop with fluid"
    if rng.random() < 0.5:
        # Gas lies in front: a level across y.
        level = np.float32(rng.uniform(-0.4, 0.3) * width)
        gas = np.clip((level - tissue.offsets_mm(box, centre)[1]) / 1.5 + 0.5, 0, 1)
        content = content + gas * (-950 - content)
        said = "bowel loop with fluid and gas"
    wall_hu = rng.uniform(40, 100)
    inner = coverage(depth - np.float32(wall), 0.7)
    outer = coverage(depth, 0.8) * _no_bone_or_air(tissue, box)
    tissue.paint(box, outer, wall_hu + inner * (content - wall_hu), rng, out_of_liver=0.5)
    return said


def fissure(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """A curved, tapering sheet of fat (-110 to -40 HU) from the surface inwards, 1-7 mm at its mouth."""
    # Round ligament from below and in front; venous ligament and others from behind.
    in_front = rng.random() < 0.6
    aim, near = ((-0.6, -0.4, 0.2), (-20.0, -30.0, 30.0)) if in_front else ((-0.3, 0.8, 0.3), HILUM)
    spot = tissue.surface_spot(aim, rng, near if rng.random() < 0.75 else None)
    if spot is None:
        return None
    position, outward = spot
    reach, height = rng.uniform(18, 60), rng.uniform(15, 70)
    mouth = rng.uniform(1.0, 7.0)
    centre = position + outward * 6.0 / np.array(tissue.spacing)
    box = tissue.box_around(centre, max(reach, height / 2) + 10)
    if box is None:
        return None
    inwards = -outward + 0.25 * rng.standard_normal(3)
    inwards /= np.linalg.norm(inwards)
    up = np.array([1.0, 0, 0]) + 0.35 * rng.standard_normal(3)
    up -= inwards * (up @ inwards)
    up /= np.linalg.norm(up)
    u, v, w = _rotated(tissue.offsets_mm(box, centre), np.stack([inwards, up, np.cross(inwards, up)]))
    bent = w + np.float32(rng.uniform(1, 6)) * smooth_noise(w.shape, tissue.spacing, 25.0, rng)
    ends = np.clip((height / 2 - np.abs(v)) / (0.3 * height), 0, 1) * np.clip(
        (reach - u) / (0.8 * reach), 0, 1
    )
    half = (
        np.float32(mouth / 2)
        * ends
        * (1 + np.float32(0.25) * smooth_noise(w.shape, tissue.spacing, 8.0, rng))
    )
    soft = coverage(half - np.abs(bent), 0.8) * np.clip((half + 0.2) / 0.6, 0, 1) * (u > -12)
    soft *= gaussian(tissue.liver[box], 1.0, tissue.spacing) > 0.02
    target: Array | float = rng.uniform(-110, -40)
    said = "fissure"
    if mouth > 4 and rng.random() < 0.4:
        # The round ligament: a cord in the fat.
        cord = np.sqrt((u - np.float32(0.35 * reach)) ** 2 + bent**2)
        target = target + coverage(np.float32(mouth * 0.28) - cord, 0.6) * np.float32(rng.uniform(100, 170))
        said = "fissure with ligament"
    tissue.paint(box, soft, target, rng, out_of_liver=0.6)
    return said


def focal_fat(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Fat (-8 to -25 HU) or sparing (+6 to +15) at falciform ligament, hilum or gallbladder fossa.

    Geographic outline, no mass effect: vessels run through it as they were.
    """
    at_falciform = rng.random() < 0.6
    spot = tissue.surface_spot(
        ANTERIOR if at_falciform else VISCERAL, rng, FALCIFORM if at_falciform else HILUM
    )
    if spot is None:
        return None
    position, _ = spot
    size = np.array([rng.uniform(8, 30), rng.uniform(6, 20), rng.uniform(5, 14)])
    box = tissue.box_around(position, 1.6 * size.max() + 4)
    if box is None:
        return None
    frame = _frame(np.array([1.0, 0, 0]) + 0.4 * rng.standard_normal(3), rng)
    u, v, w = _rotated(tissue.offsets_mm(box, position), frame)
    radius = np.sqrt(
        (u / np.float32(size[0])) ** 2 + (v / np.float32(size[1])) ** 2 + (w / np.float32(size[2])) ** 2
    )
    radius += np.float32(0.25) * smooth_noise(radius.shape, tissue.spacing, 9.0, rng)
    soft = coverage((1 - radius) * np.float32(size.min()), rng.uniform(1.2, 3.5))
    change = -rng.uniform(8, 25) if rng.random() < 0.7 else rng.uniform(6, 15)
    tissue.shift(box, np.float32(change) * soft * tissue.liver[box])
    return "focal fat" if change < 0 else "focal sparing"


def perfusion_wedge(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """A wedge with its base at the surface and straight borders: a change of 6 to 22 HU up or down."""
    spot = tissue.surface_spot(tuple(rng.standard_normal(3)), rng, tries=4)
    if spot is None:
        return None
    position, outward = spot
    deep = rng.uniform(20, 60)
    apex = position - outward * deep / np.array(tissue.spacing)
    box = tissue.box_around(apex, 1.25 * deep + 5)
    if box is None:
        return None
    u, v, w = _rotated(tissue.offsets_mm(box, apex), _frame(outward + 0.15 * rng.standard_normal(3), rng))
    spread = np.float32(np.tan(np.deg2rad(rng.uniform(12, 32))))
    flat = np.float32(rng.uniform(1.0, 2.0))
    across = np.sqrt(v**2 + (w * flat) ** 2)
    depth = np.minimum(u * spread - across, np.float32(1.3 * deep) - u)
    depth += np.float32(1.5) * smooth_noise(depth.shape, tissue.spacing, 10.0, rng)
    change = rng.uniform(6, 22) * (1 if rng.random() < 0.4 else -1)
    tissue.shift(box, np.float32(change) * coverage(depth, rng.uniform(0.8, 2.5)) * tissue.liver[box])
    return "perfusion defect" if change < 0 else "hyperperfusion"


def _liver_box(tissue: LiverTissue, margin: int = 2) -> Box:
    """Bounding box of the liver, from the coarse grid."""
    found = np.nonzero(tissue.depth_mm > 0)
    return tuple(
        slice(max(0, (int(w.min()) - 1) * int(s) - margin), min(n, (int(w.max()) + 2) * int(s) + margin))
        for w, s, n in zip(found, tissue.step, tissue.hu.shape, strict=True)
    )


def _own_vessels(tissue: LiverTissue, box: Box) -> tuple[Array, Array]:
    """The scan's own bright vessels: coverage 0..1 (0 near the surface), and how much they stand out, HU."""
    liver = tissue.liver[box]
    hu = np.where(liver, tissue.hu[box], np.float32(tissue.level_hu))
    smooth = gaussian(hu, 1.3, tissue.spacing)
    rise = smooth - local_mean(smooth, liver, 12.0, tissue.spacing)
    spread = 1.4826 * float(np.median(np.abs(rise[liver][::7]))) + 1.0
    share = np.clip((rise - np.float32(1.3 * spread)) / np.float32(1.3 * spread), 0, 1)
    # The caval vein and other wide things in the mask are left alone: only their borders would change.
    share *= 1 - np.clip(gaussian(share, 5.0, tissue.spacing) * 5 - 2, 0, 1)
    return share * (gaussian(liver, 1.5, tissue.spacing) > 0.8), rise


def turn_vessels(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """The scan's own bright vessels made isodense or darker than the liver, as in an early phase."""
    box = _liver_box(tissue)
    share, rise = _own_vessels(tissue, box)
    if float(share.max()) <= 0:
        return None
    dark = np.float32(rng.uniform(0, 40))
    tissue.shift(box, -share * (rise + dark))
    return "unenhanced vessels" if dark > 8 else "isodense vessels"


def periportal_sleeves(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Dark sleeves (a change of -12 to -35 HU, 2-4 mm) beside the scan's own vessels: oedema or fat."""
    box = _liver_box(tissue)
    vessel, _ = _own_vessels(tissue, box)
    if float(vessel.max()) <= 0:
        return None
    wide = np.clip(gaussian(vessel, rng.uniform(2.0, 3.2), tissue.spacing) * 3, 0, 1)
    sleeve = wide * (1 - vessel) * tissue.liver[box]
    tissue.shift(box, -np.float32(rng.uniform(12, 35)) * sleeve)
    return "periportal oedema"


def _tree_in_liver(
    tissue: LiverTissue, radius_mm: float, rng: np.random.Generator, **shape: float
) -> list[Segment] | None:
    """A tree that starts deep in the liver (or near the hilum) and runs towards the surface."""
    start = tissue.inner_spot(25.0, rng)
    if start is None:
        return None
    heading = rng.standard_normal(3)
    return grow_tree(
        start * np.array(tissue.spacing), heading / np.linalg.norm(heading), radius_mm, rng, **shape
    )


def _shift_tubes(tissue: LiverTissue, segments: list[Segment], change_hu: float) -> None:
    everywhere = tuple(slice(0, n) for n in tissue.hu.shape)
    tissue.shift(everywhere, np.float32(change_hu) * draw_tubes(tissue, segments) * tissue.liver)


def dark_vessels(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Hepatic veins before they fill: a tree 10 to 40 HU darker than the liver, 2-10 mm wide."""
    segments = _tree_in_liver(tissue, rng.uniform(2, 5), rng)
    if segments is None:
        return None
    _shift_tubes(tissue, segments, -rng.uniform(10, 40))
    return "unenhanced vessels"


def bright_vessels(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """An enhanced tree 20 to 80 HU brighter than the liver."""
    segments = _tree_in_liver(tissue, rng.uniform(1.5, 5), rng)
    if segments is None:
        return None
    _shift_tubes(tissue, segments, rng.uniform(20, 80))
    return "enhanced vessels"


def _duct_trees(hilum_mm: NDArray, rng: np.random.Generator) -> list[Segment]:
    segments: list[Segment] = []
    for _ in range(int(rng.integers(2, 6))):
        heading = rng.standard_normal(3)
        segments += grow_tree(
            hilum_mm,
            heading / np.linalg.norm(heading),
            rng.uniform(1.5, 4.5),
            rng,
            least_radius_mm=0.9,
            most=25,
            bend=0.35,
            branching=0.4,
        )
    return segments


def dilated_ducts(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Bile ducts of 3-9 mm with 0-20 HU that branch from the hilum."""
    spot = tissue.surface_spot(VISCERAL, rng, HILUM)
    if spot is None:
        return None
    hilum = (spot[0] - spot[1] * 12.0 / np.array(tissue.spacing)) * np.array(tissue.spacing)
    _shift_tubes(tissue, _duct_trees(hilum, rng), rng.uniform(0, 20) - tissue.level_hu)
    return "dilated bile ducts"


def biliary_stent(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """A tube 2.5-10 mm wide from inside the liver out of the hilum, fluid or gas in it.

    Plastic (100-300 HU) or a metal mesh.
    """
    spot = tissue.surface_spot(VISCERAL, rng, HILUM)
    if spot is None:
        return None
    spacing = np.array(tissue.spacing)
    hilum = spot[0] * spacing
    inside = hilum - spot[1] * rng.uniform(15, 45) + rng.normal(0, 6, 3)
    outside = hilum + (spot[1] * 0.6 + np.array([-0.8, 0.1, 0.1])) * rng.uniform(25, 60)
    radius = rng.uniform(1.2, 1.8) if rng.random() < 0.5 else rng.uniform(3.5, 5.0)
    middle = hilum + rng.normal(0, 4, 3)
    pieces = [Segment(inside, middle, radius, radius), Segment(middle, outside, radius, radius)]
    said = "biliary stent"
    if rng.random() < 0.5:
        _shift_tubes(tissue, _duct_trees(inside, rng), rng.uniform(0, 20) - tissue.level_hu)
        said = "biliary stent with dilated ducts"
    everywhere = tuple(slice(0, n) for n in tissue.hu.shape)
    core = draw_tubes(tissue, pieces, 0.4)
    content = rng.uniform(-700, -100) if rng.random() < 0.35 else rng.uniform(0, 30)
    wall = draw_tubes(tissue, pieces, 0.4, hollow_mm=1.0)
    change = core * (np.float32(content) - tissue.hu)
    change += wall * (np.float32(rng.uniform(150, 700)) - (tissue.hu + change))
    tissue.shift(everywhere, change)
    return said


def free_fluid(tissue: LiverTissue, rng: np.random.Generator) -> str | None:
    """Ascites: fluid of 0-22 HU in the fat around the liver, up to 4-25 mm from it; the liver stays."""
    step = tissue.step
    near = tissue.liver[:: step[0], :: step[1], :: step[2]]
    away = ndimage.distance_transform_edt(~near, sampling=step * np.array(tissue.spacing)).astype(np.float32)
    box = tuple(slice(0, n) for n in tissue.hu.shape)
    zoomed = ndimage.zoom(
        away, np.array(tissue.hu.shape) / np.array(away.shape), order=1, grid_mode=True, mode="nearest"
    )
    reach = np.float32(rng.uniform(4, 25))
    field = smooth_noise(tissue.hu.shape, tissue.spacing, 40.0, rng)
    soft = coverage(reach * (1 + np.float32(0.6) * field) - zoomed, 1.0) * (zoomed > 0.5)
    # Fluid fills the fat between organs: the more fat a voxel holds, the more fluid it gets.
    hu = gaussian(tissue.hu, 0.8, tissue.spacing)
    fat = np.clip((0 - hu) / 60, 0, 1) * np.clip((hu + 155) / 25, 0, 1)
    # Within the peritoneum: not in front of the liver or to its right, where the abdominal wall lies.
    limit = _liver_box(tissue)
    for axis in (1, 2):
        place = (np.arange(hu.shape[axis]) - limit[axis].start) * np.float32(tissue.spacing[axis])
        place = place.reshape([-1 if a == axis else 1 for a in range(3)])
        fat *= np.clip((place + 2 + 5 * field) / 4, 0, 1)
    tissue.paint(box, soft * fat * ~tissue.liver, rng.uniform(0, 22), rng)
    return "free fluid"
