"""What a point attends to: the network's own affinities, found again at the right place of the CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.handover import write_volume
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry, ModelStore
from LiverLesionAILib.networks.mscd import Mscd, MscdConfig
from LiverLesionAILib.stages.explain.mscd_point import point_attention, region_around, request_of
from LiverLesionAILib.stages.explain.names import percent
from LiverLesionAILib.stages.faces import can_attend
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry, permuted

CONFIG = {"in_slices": 3, "widths": (4, 6, 8), "context_levels": (1, 2)}
SPACING = (2.5, 1.5, 1.5)


@pytest.fixture(scope="module")
def network() -> Mscd:
    """Small, untrained, and with embeddings that are not all alike."""
    torch.manual_seed(3)
    made = Mscd(MscdConfig(**CONFIG)).eval()
    with torch.no_grad():
        for block in made.context.values():
            for part in (block.spatial.query, block.spatial.key):
                part.weight *= 3.0
    return made


def entry_of(magnify: float = 1.0) -> ModelEntry:
    spec = InputSpec(SPACING, (-150.0, 230.0), 3, 105.0, magnify)
    return ModelEntry("mscd", "segment", "mscd", CONFIG, spec, "", "", title="MSCD: for the test")


def volume_of(shape_zyx=(9, 24, 32), spacing=SPACING) -> CtVolume:
    """Smooth noise about the liver's density, on an even grid off the origin."""
    noise = np.random.default_rng(5).normal(0, 200, shape_zyx)
    hu = 105 + ndimage.gaussian_filter(noise, (0.5, 2, 2))
    return CtVolume(hu.astype(np.float32), Geometry.make(shape_zyx, spacing, (-20.0, 30.0, 400.0)), "ct")


@pytest.mark.parametrize("normalised", [False, True])
def test_it_is_the_networks_row_after_the_softmax(network, normalised):
    """On the network's own grid, without padding: nothing but the cells' values."""
    entry, volume = entry_of(), volume_of()
    if normalised:
        torch.manual_seed(3)
        config = {**CONFIG, "normalised_affinity": True}
        network, entry = Mscd(MscdConfig(**config)).eval(), replace(entry, config=config)
    z, y, x = 4, 9, 21
    maps = point_attention(network, entry, volume, tuple(volume.geometry.index_to_lps((z, y, x))), 105.0)
    stack = torch.from_numpy(entry.input.normalise(volume.hu_zyx[z - 1 : z + 2]))[None]
    with torch.inference_mode():
        attention = network(stack, return_attention=True).attention
    assert [shown.name for shown in maps] == [
        "MSCD point attention, level 2",
        "MSCD point attention, level 3",
    ]
    for shown, context in zip(maps, attention, strict=True):
        cell = 2**context.level
        row = (context.keys[0] @ context.queries[0].T).softmax(dim=1)
        expected = row[(y // cell) * context.size_yx[1] + x // cell].reshape(context.size_yx).numpy()
        values = shown.values_zyx[0]
        blocks = expected.repeat(cell, 0).repeat(cell, 1)
        np.testing.assert_allclose(values, blocks / blocks.max(), atol=1e-4)
        assert shown.geometry.shape_zyx == (1, 24, 32)
        np.testing.assert_allclose(
            shown.geometry.index_to_lps((0, 0, 0)), volume.geometry.index_to_lps((z, 0, 0)), atol=1e-6
        )
        assert expected.sum() == pytest.approx(1.0, abs=1e-5)
        assert f"gives most, {percent(float(expected.max()))}." in shown.meaning


@pytest.mark.parametrize("magnify", [1.0, 1.5])
def test_the_map_stays_in_place_however_the_ct_is_stored(network, magnify):
    volume = volume_of((9, 25, 33))
    point = tuple(volume.geometry.index_to_lps((4, 9, 21)))
    turned = Geometry.make(
        (33, 9, 25),
        (1.5, 2.5, 1.5),
        tuple(volume.geometry.index_to_lps((8, 0, 32))),
        # Array axes run to the right, down, and as y did.
        np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    )
    other = replace(volume, hu_zyx=permuted(volume.hu_zyx, volume.geometry, turned), geometry=turned)
    first = point_attention(network, entry_of(magnify), volume, point, 105.0)
    second = point_attention(network, entry_of(magnify), other, point, 105.0)
    for one, two in zip(first, second, strict=True):
        assert one.geometry.matches(two.geometry)
        np.testing.assert_allclose(one.values_zyx, two.values_zyx, atol=1e-4)


def test_what_is_handed_over_is_enough(network):
    """A slab round the point gives what the whole scan gives."""
    entry, volume = entry_of(), volume_of((30, 24, 32))
    point = tuple(volume.geometry.index_to_lps((14, 9, 21)))
    box = (slice(3, 28), slice(2, 20), slice(3, 30))
    region = region_around(volume.geometry, point, box, entry, 4.0)
    assert region[1:] == (slice(0, 23), slice(0, 32))
    assert region[0].stop - region[0].start < 14
    start, stop = ([getattr(s, end) for s in region] for end in ("start", "stop"))
    slab = replace(volume, hu_zyx=volume.hu_zyx[region], geometry=volume.geometry.cropped(start, stop))
    low, high = ([0, start[1], start[2]], [30, stop[1], stop[2]])
    whole = replace(
        volume,
        hu_zyx=volume.hu_zyx[:, region[1], region[2]],
        geometry=volume.geometry.cropped(low, high),
    )
    for one, two in zip(
        point_attention(network, entry, slab, point, 105.0),
        point_attention(network, entry, whole, point, 105.0),
        strict=True,
    ):
        assert one.geometry.matches(two.geometry)
        np.testing.assert_allclose(one.values_zyx, two.values_zyx, atol=1e-5)


def test_a_point_far_from_the_liver_is_refused(network):
    volume = volume_of((30, 24, 32))
    box = (slice(3, 28), slice(2, 10), slice(3, 10))
    for index in ((14, 22, 28), (40, 5, 5)):
        point = tuple(volume.geometry.index_to_lps(index))
        with pytest.raises(InputError, match="Click nearer to the liver"):
            region_around(volume.geometry, point, box, entry_of(), 4.0)
    with pytest.raises(InputError, match="outside the CT"):
        point_attention(network, entry_of(), volume, (900.0, 0.0, 0.0), 105.0)


def test_only_networks_that_relate_positions_are_asked():
    assert can_attend(entry_of())
    assert not can_attend(replace(entry_of(), config={**CONFIG, "spatial": False}))
    assert not can_attend(replace(entry_of(), network="sfan"))
    plain = Mscd(MscdConfig(**CONFIG, spatial=False)).eval()
    with pytest.raises(InputError, match="without spatial context"):
        point_attention(plain, entry_of(), volume_of(), (0.0, 50.0, 410.0), 105.0)


def test_the_worker_answers_with_the_bundled_network(models: ModelStore, tmp_path):
    from LiverLesionAILib.analysis.worker import PipelineAnalysis

    bundled = [entry.name for entry in models.manifest.entries if can_attend(entry)]
    if not bundled:
        pytest.skip("no network that relates positions is bundled")
    volume = volume_of((9, 48, 56))
    for _ in write_volume(tmp_path, volume.hu_zyx, volume.geometry, "ct"):
        pass
    analysis = PipelineAnalysis()
    analysis._models = models
    point = tuple(volume.geometry.index_to_lps((4, 20, 30)))
    told: list[str] = []
    request = request_of(point, 105.0, bundled[0], {"device": "cpu", "precision": "float32"})
    analysis.attend(tmp_path, request, lambda stage, share: told.append(stage))
    found = load_result(tmp_path / "result").attention
    assert told
    assert len(found) == len(models.manifest.find(bundled[0]).config.get("context_levels", (3, 4)))
    for shown in found:
        assert shown.values_zyx.max() == pytest.approx(1.0, abs=1e-3)
        assert shown.values_zyx.min() >= 0
        assert shown.geometry.shape_zyx[0] == 1
        assert abs(shown.geometry.index_to_lps((0, 0, 0))[2] - point[2]) < 1.26
