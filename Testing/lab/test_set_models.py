"""The bundled detectors on key slices in DeepLesion's layout: boxes in pixels of the key slice."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.deeplesion import KeySlice
from LiverLesionAILab.evaluation.set_models import box_model, class_model, pipeline_boxes
from LiverLesionAILab.metrics.froc import box_iou
from LiverLesionAILab.synthesis.synthliver.images import write_png16
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry, ModelStore
from LiverLesionAILib.support.errors import InputError

PIXEL_MM, INTERVAL_MM, FIRST = 1.25, 2.5, 40
SHAPE = (20, 100, 108)
LIVER_HU, LESION_HU, FAT_HU = 110.0, 50.0, -100.0
CENTRE_ZYX, RADIUS_MM = (10, 38, 62), 9.0


class AboveZero(torch.nn.Module):
    """Calls liver what is above 0 HU, lesions included, and nothing tumour."""

    multiple = 16

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.classes = classes

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> SimpleNamespace:
        hu = x[:, x.shape[1] // 2].float() * 200
        logits = [torch.zeros_like(hu), hu / 4, torch.full_like(hu, -12.0)][: self.classes]
        return SimpleNamespace(logits=torch.stack(logits, dim=1).clamp(-12, 12), attention=None)


class SimpleLiver:
    """The bundled detectors behind a liver found by its HU."""

    def __init__(self) -> None:
        self.bundled = ModelStore.bundled()
        spec = InputSpec((4.0, 4.0, 4.0), (-200.0, 200.0), 3)
        own = (
            ModelEntry("coarse", "locate", "above", {}, spec, "", "a" * 64),
            ModelEntry("above", "segment", "above", {}, spec, "", "b" * 64),
        )
        detectors = self.bundled.manifest.of_task("detect")
        self.manifest = Manifest(self.bundled.manifest.folder, (*own, *detectors))

    def network(self, name: str, device: str, precision: str) -> torch.nn.Module:
        if name in ("coarse", "above"):
            return AboveZero(2 if name == "coarse" else 3).eval()
        return self.bundled.network(name, device, precision)

    def release(self) -> None:
        self.bundled.release()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[KeySlice]:
    """A liver with a dark ball, and a series without anything to analyse."""
    root = tmp_path_factory.mktemp("slices")
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    liver = ((z - 9.5) / 9.6) ** 2 + ((y - 50) / 42) ** 2 + ((x - 54) / 46) ** 2 < 1
    away = ((z - CENTRE_ZYX[0]) * INTERVAL_MM) ** 2
    away = away + ((y - CENTRE_ZYX[1]) * PIXEL_MM) ** 2 + ((x - CENTRE_ZYX[2]) * PIXEL_MM) ** 2
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), (0.5, 0.8, 0.8))
    body = np.where(liver, LIVER_HU, FAT_HU)
    body = np.where(away < RADIUS_MM**2, LESION_HU, body)
    body = ndimage.gaussian_filter(body, (0.3, 0.6, 0.6)) + noise / noise.std() * 9
    made = []
    for name, volume in (("000001_01_01", body), ("000002_01_01", np.full(SHAPE, -1000.0))):
        for number, plane in enumerate(volume):
            write_png16(plane, root / name / f"{FIRST + number:03d}.png")
        half = RADIUS_MM / PIXEL_MM
        _, row, column = CENTRE_ZYX
        box = [column - half + 0.5, row - half + 0.5, column + half + 0.5, row + half + 0.5]
        key = KeySlice(
            name=f"{name}_{FIRST + CENTRE_ZYX[0]:03d}",
            patient=name,
            folder=root / name,
            slice_index=FIRST + CENTRE_ZYX[0],
            boxes_xyxy_px=np.array([box]),
            diameters_mm=np.array([2 * RADIUS_MM]),
            short_axes_mm=np.array([2 * RADIUS_MM]),
            types=("LV",),
            pixel_mm=PIXEL_MM,
            slice_interval_mm=INTERVAL_MM,
            split="test",
        )
        made.append(key)
    return made


@pytest.fixture
def simple_liver(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SimpleLiver()
    monkeypatch.setattr(ModelStore, "bundled", lambda: store)


@pytest.mark.parametrize("name", ["cs_att", "va_faster_rcnn"])
def test_a_bundled_detector_finds_the_lesion_where_it_is(
    name: str, keys: list[KeySlice], simple_liver: None
) -> None:
    detect = pipeline_boxes(name, "cpu")
    found = detect(keys[0])
    assert len(found.scores) == len(found.boxes_xyxy_px) > 0
    best = found.boxes_xyxy_px[found.scores.argmax()]
    assert box_iou(keys[0].boxes_xyxy_px, best)[0, 0] > 0.7
    middle = (found.boxes_xyxy_px[:, :2] + found.boxes_xyxy_px[:, 2:]) / 2
    assert (((middle - [54.5, 50.5]) / [49, 45]) ** 2).sum(axis=1).max() < 1, "all lie in the liver"
    assert len(detect(keys[1]).scores) == 0, "nothing to analyse, nothing found"


def test_another_slice_of_the_series_has_its_own_boxes(keys: list[KeySlice], simple_liver: None) -> None:
    detect = box_model("cs_att", "cpu")
    there = detect(keys[0]).scores.max()
    beyond = detect(replace(keys[0], slice_index=FIRST + 1))
    assert there > 0.5 > beyond.scores.max(initial=0.0), "the ball ends 9 mm from its middle"


class Dark(AboveZero):
    """As `AboveZero`, and tumour what is darker than liver."""

    def forward(self, x: torch.Tensor, return_attention: bool = False) -> SimpleNamespace:
        hu = x[:, x.shape[1] // 2].float() * 200
        smooth = torch.nn.functional.avg_pool2d(hu[:, None], 3, 1, 1)[:, 0]
        tumour = torch.minimum((hu - 0) / 4, (80 - smooth) / 4)
        logits = [torch.zeros_like(hu), torch.minimum(hu / 4, (smooth - 80) / 4), tumour][: self.classes]
        return SimpleNamespace(logits=torch.stack(logits, dim=1).clamp(-12, 12), attention=None)


def test_a_mask_networks_lesions_have_boxes_in_the_key_slice(keys: list[KeySlice], monkeypatch) -> None:
    store = SimpleLiver()
    bundled = store.network
    monkeypatch.setattr(
        store, "network", lambda name, *given: Dark(3).eval() if name == "above" else bundled(name, *given)
    )
    monkeypatch.setattr(ModelStore, "bundled", lambda: store)
    monkeypatch.setattr(Manifest, "read", lambda: store.manifest)
    detect = box_model("above", "cpu")
    found = detect(keys[0])
    # The liver's blurred edge is as dark in places: the ball is one of the boxes.
    overlap = box_iou(keys[0].boxes_xyxy_px, found.boxes_xyxy_px)[0]
    best = found.boxes_xyxy_px[overlap.argmax()]
    assert overlap.max() > 0.45, "on a grid of 4 mm"
    # The same series again, elsewhere: the ball is not there.
    beyond = detect(replace(keys[0], slice_index=FIRST + 1))
    assert len(beyond.scores) == 0 or box_iou(beyond.boxes_xyxy_px, best).max() < 0.1
    assert len(detect(keys[1]).scores) == 0, "nothing to analyse, nothing found"


def test_models_of_another_task_are_refused() -> None:
    with pytest.raises(InputError, match="finds no boxes"):
        box_model("coarse_unet")
    with pytest.raises(InputError, match="no slice classifier"):
        class_model("sfan")
    assert callable(class_model("dadrn", "cpu"))
