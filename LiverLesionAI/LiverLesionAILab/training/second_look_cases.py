"""What the second look learns from: crops of lesions and of what is taken for lesions.

Of volumes with truth: blobs (:mod:`.second_look_blobs`), lesions with outlines that are not quite right, and
gallbladders; and candidates of the default line where they were kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import LIVER_OR_TUMOUR, UNKNOWN, TrainingCase, decode_hu, encode_hu
from .second_look_blobs import BlobSettings, Box, blobs
from .second_look_crops import Crop, Spacing, candidate_crop

MARGIN = 4
"""Voxels that a stored crop is larger on every side, to be moved and turned."""

TRUE_SHARE = 0.3
"""A blob of which so much is lesion is one; one that shares less, but some, is neither."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Stored crops.

    Attributes:
        data: (n, 3, depth, height, width) uint8 with `MARGIN`: CT (see :func:`~..data.cases.encode_hu`, the
            liver's level already brought to the network's), probability, mask.
        scales: (n,) see :class:`~.second_look_crops.Crop`.
        lesion: (n,) bool, what is true.
        kinds: "blob", "outline", "gallbladder" or "line"; patient: "" for synthetic bodies.
    """

    data: NDArray[np.uint8]
    scales: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    kinds: tuple[str, ...]
    patient: str
    source: str

    def __len__(self) -> int:
        return len(self.lesion)


class Gathering:
    """Crops of one volume as they are made."""

    def __init__(
        self, hu_zyx: NDArray, liver_zyx: NDArray[np.bool_], spacing: Spacing, spec: InputSpec
    ) -> None:
        self.hu = np.asarray(hu_zyx, np.float32)
        self.spacing, self.spec = spacing, spec
        self.shift = spec.shift_hu(liver_level_hu(self.hu[liver_zyx]))
        self.crops: list[Crop] = []
        self.lesion: list[bool] = []
        self.kinds: list[str] = []

    def add(
        self, mask_zyx: NDArray[np.bool_], lesion: bool, kind: str, probability_zyx: NDArray | None = None
    ) -> None:
        """Keep the crop round a mask of the whole volume."""
        self.crops.append(candidate_crop(self.hu, mask_zyx, self.spacing, self.spec, probability_zyx, MARGIN))
        self.lesion.append(lesion)
        self.kinds.append(kind)

    def add_box(self, box: Box, mask: NDArray[np.bool_], lesion: bool, kind: str) -> None:
        """Keep the crop round a mask in a box."""
        whole = np.zeros(self.hu.shape, bool)
        whole[box] = mask
        self.add(whole, lesion, kind)

    def done(self, patient: str, source: str) -> Candidates | None:
        """All that was kept; None where nothing was."""
        if not self.crops:
            return None
        data = np.stack(
            [
                np.stack(
                    [
                        encode_hu(crop.hu + np.float32(self.shift)),
                        np.rint(255 * crop.probability).astype(np.uint8),
                        np.rint(255 * crop.mask).astype(np.uint8),
                    ]
                )
                for crop in self.crops
            ]
        )
        scales = np.array([crop.scale for crop in self.crops], np.float32)
        return Candidates(data, scales, np.array(self.lesion), tuple(self.kinds), patient, source)


def volume_candidates(
    case: TrainingCase, spec: InputSpec, rng: np.random.Generator, settings: BlobSettings | None = None
) -> Candidates | None:
    """Blobs and lesions of a labelled volume; what is unknown is left out."""
    labels = np.asarray(case.labels_zyx)
    tumour = labels == 2
    unknown = (labels == UNKNOWN) | (labels == LIVER_OR_TUMOUR)
    liver = (labels == 1) | tumour
    if not liver.any():
        return None
    hu = decode_hu(case.grey_zyx)
    gathering = Gathering(hu, liver, case.spacing_zyx_mm, spec)
    for box, mask in blobs(hu, liver, case.spacing_zyx_mm, settings):
        share = float(tumour[box][mask].mean())
        if unknown[box][mask].any() or 0 < share < TRUE_SHARE:
            continue
        gathering.add_box(box, mask, share > 0, "blob")
    for box, mask in outlines(tumour, case.spacing_zyx_mm, rng):
        gathering.add_box(box, mask, True, "outline")
    return gathering.done(case.patient, case.name)


def gallbladder_candidates(
    case: TrainingCase, spec: InputSpec, rng: np.random.Generator, count: int = 2
) -> Candidates | None:
    """Gallbladders, whole or the part at the liver, of a case whose label 2 is the gallbladder."""
    labels = np.asarray(case.labels_zyx)
    organ, liver = labels == 2, labels == 1
    if not organ.any() or not liver.any() or len(labels) < 3:
        return None
    hu = decode_hu(case.grey_zyx)
    gathering = Gathering(hu, liver, case.spacing_zyx_mm, spec)
    for number in range(count):
        part = organ
        if number:
            # What a network takes for a lesion is often only the part that touches the liver.
            reach = float(rng.uniform(4.0, 12.0))
            part = organ & (ndimage.distance_transform_edt(~liver, sampling=case.spacing_zyx_mm) < reach)
        for box, mask in outlines(part, case.spacing_zyx_mm, rng):
            gathering.add_box(box, mask, False, "gallbladder")
    return gathering.done(case.patient, case.name)


LEAST_OVERLAP = 0.2
"""A candidate of the line that is lesion to a smaller share, but not to none, is neither."""


def line_candidates(
    hu_zyx: NDArray,
    tumour_zyx: NDArray[np.bool_],
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray,
    probability_zyx: NDArray,
    spacing_zyx_mm: Spacing,
    spec: InputSpec,
) -> tuple[Gathering, list[int]]:
    """What the default line listed at a low score, in `labels_zyx`, with its probability.

    Returns:
        The crops, and the label of each.
    """
    gathering, numbers = Gathering(hu_zyx, liver_zyx, spacing_zyx_mm, spec), []
    for number in range(1, int(labels_zyx.max(initial=0)) + 1):
        mask = labels_zyx == number
        if not mask.any():
            continue
        share = float(tumour_zyx[mask].mean())
        if 0 < share < LEAST_OVERLAP:
            continue
        gathering.add(mask, share > 0, "line", probability_zyx)
        numbers.append(number)
    return gathering, numbers


def outlines(
    mask_zyx: NDArray[np.bool_], spacing_zyx_mm: Spacing, rng: np.random.Generator
) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    """The parts of a mask, each a little larger or smaller and smoother than it is."""
    parts, count = components(mask_zyx)
    for number, box in enumerate(ndimage.find_objects(parts, max_label=count), start=1):
        if box is None or (parts[box] == number).sum() < 4:
            continue
        margin = [int(np.ceil(6.0 / s)) for s in spacing_zyx_mm]
        wide = tuple(
            slice(max(0, b.start - m), min(n, b.stop + m))
            for b, m, n in zip(box, margin, parts.shape, strict=True)
        )
        part = (parts[wide] == number).astype(np.float32)
        soft = ndimage.gaussian_filter(part, [float(rng.uniform(0.6, 2.0)) / s for s in spacing_zyx_mm])
        cut = soft > float(rng.uniform(0.2, 0.7)) * soft.max()
        if cut.any():
            yield wide, cut


def joined(parts: Sequence[Candidates | None]) -> list[Candidates]:
    """Those there are."""
    return [part for part in parts if part is not None and len(part)]
