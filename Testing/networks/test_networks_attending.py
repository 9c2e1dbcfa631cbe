"""Repaired attentions: neither one-hot nor flat at the start, with gradients; old configurations kept."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.networks import cs_att, cs_att_known, dadrn, mscd, va_faster_rcnn, va_mask_rcnn
from LiverLesionAILib.networks.parts.affinity import Sharpness, centred, unit
from torch import Tensor

SMALL_DRN = replace(dadrn.SIZES["attending"].backbone, stem=8, widths=(8, 16, 16, 32))
SMALL_MSCD = replace(mscd.SIZES["attending"], widths=(8, 16, 32, 48, 64))
SMALL_VA = replace(
    va_mask_rcnn.SIZES["attending"], widths=(8, 16, 24, 32), pyramid_channels=40, head_width=16, mask_width=8
)


def slices(count: int, channels: int, edge: int = 64) -> Tensor:
    """Noisy slices with a bright disc that grows along z: alike, as neighbouring slices are."""
    generator = torch.Generator().manual_seed(1)
    y, x = torch.meshgrid(torch.arange(edge), torch.arange(edge), indexing="ij")
    disc = [((y - edge / 2) ** 2 + (x - edge / 3) ** 2 < (4 + 2 * z) ** 2).float() for z in range(count)]
    noise = 0.3 * torch.randn(count, channels, edge, edge, generator=generator)
    return noise + torch.stack(disc)[:, None] - 0.5


def entropy_share(rows: Tensor) -> float:
    """Mean entropy of the rows over its largest."""
    return float(torch.special.entr(rows.detach()).sum(dim=-1).mean() / math.log(rows.shape[-1]))


def test_mscd_attends_on_three_levels() -> None:
    torch.manual_seed(0)
    network = mscd.build(SMALL_MSCD).train()
    # What is gathered counts from the first step on, so that the layers behind learn with it.
    assert all(float(b.spatial.alpha) == float(b.channel.beta) == 1 for b in network.context.values())
    output = network(slices(2, 5), return_attention=True)
    assert [context.level for context in output.attention] == [2, 3, 4]
    for context in output.attention:
        spatial = (context.keys @ context.queries.transpose(1, 2)).softmax(dim=2)
        assert 0.1 < entropy_share(spatial) < 0.95
        assert 0.1 < entropy_share(context.channel) < 0.95
    output.logits.square().mean().backward()
    for block in network.context.values():
        for weight in (block.spatial.query.weight, block.spatial.key.weight, block.channel.sharpness.octaves):
            assert float(weight.grad.abs().max()) > 0


def test_mscd_without_the_option_is_one_hot() -> None:
    """What the option repairs: the plain product is nearly one-hot before any training."""
    torch.manual_seed(0)
    network = mscd.build(replace(SMALL_MSCD, normalised_affinity=False, mean_channel_affinity=True)).train()
    deep = network(slices(2, 5), return_attention=True).attention[1]
    normal = mscd.build(SMALL_MSCD).train()(slices(2, 5), return_attention=True).attention[1]
    peak = (deep.keys @ deep.queries.transpose(1, 2)).softmax(dim=2).amax(dim=2).mean()
    repaired = (normal.keys @ normal.queries.transpose(1, 2)).softmax(dim=2).amax(dim=2).mean()
    assert float(peak) > 0.7 and float(repaired) < 0.5


@pytest.mark.parametrize("module", [va_mask_rcnn, va_faster_rcnn])
def test_va_channel_branch_chooses_among_slices(module: object) -> None:
    torch.manual_seed(0)
    count = 9 if module is va_mask_rcnn else 3
    network = va_mask_rcnn.build(replace(SMALL_VA, bag=count)).train()
    features = network.features(slices(9, 3))
    bags = torch.stack([torch.arange(i, i + count).clamp(max=8) for i in range(10 - count)])
    targets, seen = network.attend(features, bags)
    for level in seen:
        assert 0.1 < entropy_share(level.channel_slices) < 0.95
        assert float(level.channel_gate.min()) > 0.6 and float(level.channel_gate.max()) < 0.99
        assert float(level.channel_gate.std(dim=1).mean()) > 0.003
    sum(level.square().mean() for level in targets).backward()
    for part in network.attention:
        assert float(part.channel.embedding.weight.grad.abs().max()) > 0
        assert float(part.channel.excite.weight.grad.abs().max()) > 0
        assert float(part.channel.sharpness.octaves.grad.abs().max()) > 0


def test_equal_slices_share_alike() -> None:
    """Beyond the volume's end a bag holds copies; rounding must not decide between them."""
    torch.manual_seed(0)
    network = va_mask_rcnn.build(replace(SMALL_VA, bag=3)).eval()
    features = network.features(slices(1, 3).repeat(3, 1, 1, 1))
    _, seen = network.attend(features, torch.tensor([[0, 1, 2]]))
    for level in seen:
        torch.testing.assert_close(level.channel_slices, torch.full((1, 3), 1 / 3), atol=0.01, rtol=0)


@pytest.mark.parametrize("normalisation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("similarity", ["cosine", "scaled_cosine"])
def test_dadrn_affinities_by_definition(normalisation: str, similarity: str) -> None:
    torch.manual_seed(0)
    config = replace(
        dadrn.SIZES["attending"], backbone=SMALL_DRN, normalisation=normalisation, similarity=similarity
    )
    network = dadrn.build(config).eval()
    output = network(slices(2, 3), return_attention=True)
    last = network.backbone(slices(2, 3))
    first, second = (
        layer(last).flatten(2) for layer in (network.spatial.embed, network.spatial.embed_second)
    )
    assert not torch.equal(network.spatial.embed.weight, network.spatial.embed_second.weight)
    factor = 1.0
    if similarity == "scaled_cosine":
        first, second = (b - b.mean(dim=2, keepdim=True) for b in (first, second))
        factor = dadrn.SHARPNESS[normalisation]
    cosine = torch.nn.functional.cosine_similarity(first[1, :, 5, None], second[1], dim=0)
    height, width = output.attention.size_yx
    alpha = dadrn.normalised(factor * cosine, normalisation, True).reshape(height, width)
    row = dadrn.position_affinity(output.attention, (5 // width, 5 % width), 1)
    torch.testing.assert_close(row, alpha, atol=1e-4, rtol=1e-3)
    if (normalisation, similarity) == ("sigmoid", "cosine"):
        share = row * height * width
        assert float(share.min()) > 0.268 and float(share.max()) < 0.732


@pytest.mark.parametrize("normalisation", ["sigmoid", "softmax"])
def test_dadrn_attends(normalisation: str) -> None:
    torch.manual_seed(0)
    config = replace(dadrn.SIZES["attending"], backbone=SMALL_DRN, normalisation=normalisation, dropout=0.0)
    network = dadrn.build(config).train()
    for block in (network.spatial, network.channel):
        torch.nn.init.constant_(block.beta, 0.1)
    output = network(slices(2, 3), return_attention=True)
    attention = output.attention
    alpha = network.spatial.affinity(attention.embedding, attention.second)
    for rows in (alpha, attention.channel):
        if normalisation == "softmax":
            assert 0.1 < entropy_share(rows) < 0.95
        else:
            # A sigmoid's row is no distribution: neither shut nor open, and not one number for all.
            share = rows * rows.shape[-1]
            assert float(((share < 0.02) | (share > 0.98)).float().mean()) < 0.2
            assert float(share.std(dim=-1).mean()) > 0.1
    output.logits.square().mean().backward()
    for block in (network.spatial, network.channel):
        for weight in (block.embed.weight, block.embed_second.weight, block.sharpness.octaves):
            assert float(weight.grad.abs().max()) > 0


def test_cs_att_weighs_the_images_of_a_window() -> None:
    """At the paper's temperature the compact network's images come out alike, not in size "attending"."""
    torch.manual_seed(0)
    small = {"widths": (4, 8, 8, 12), "proposal_width": 8, "head_width": 8}
    shares = {}
    for size in ("compact", "attending"):
        network = cs_att.build(replace(cs_att.SIZES[size], **small)).eval()
        torch.manual_seed(1)
        torch.nn.init.normal_(network.phi_contextual.weight, std=0.3)
        _, attention = network.attend(torch.rand(2, 3, 12, 8, 8))
        weights = attention.contextual / attention.contextual.sum(dim=1, keepdim=True)
        shares[size] = entropy_share(weights.movedim(1, -1))
    assert shares["compact"] > 0.95 > shares["attending"] > 0.1


def test_second_reading_of_equation_5() -> None:
    torch.manual_seed(0)
    config = replace(cs_att.SIZES["compact"], widths=(4, 8, 8, 12), proposal_width=8, head_width=8)
    network = cs_att.build(replace(config, spatial_from="input")).eval()
    for phi in (network.phi_contextual, network.phi_spatial):
        torch.nn.init.normal_(phi.weight, std=1.0)
    x = torch.rand(1, 3, 12, 8, 8)
    with torch.inference_mode():
        attended, attention = network.attend(x)
        scores = network.phi_spatial(x[0])
        wanted = ((scores - scores.amax(dim=(2, 3), keepdim=True)) / config.spatial_temperature).exp()
        torch.testing.assert_close(attention.spatial[0], wanted, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(attended[0], wanted * attention.contextual[0] * x[0], atol=1e-5, rtol=1e-4)
        # The path of whole volumes says the same.
        images = torch.rand(3, 3, 32, 32)
        boxes = torch.tensor([[2.0, 3.0, 20.0, 18.0]])
        known = cs_att_known.known_images(network, images)
        logits, _ = cs_att_known.judge_window(network, known, boxes)
        slow, _ = network.attend(network.window(images.reshape(1, 9, 32, 32)))
        wanted, _ = network.classify(network.maps(slow), boxes, torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-3)


def test_sharpness_stays_within_an_octave() -> None:
    part = Sharpness(8.0)
    assert float(part()) == 8.0
    part.octaves.data.fill_(100.0)
    assert float(part()) == 16.0
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(unit(x, 1), torch.tensor([[0.6, 0.8], [0.0, 0.0]]), atol=1e-6, rtol=0)
    torch.testing.assert_close(centred(x, 1)[0], torch.tensor([-0.5, 0.5]))


def test_a_phase_that_is_told_changes_nothing_before_training_and_something_after() -> None:
    torch.manual_seed(0)
    config = replace(dadrn.SIZES["phased"], backbone=SMALL_DRN)
    network = dadrn.build(config).eval()
    images = slices(2, 3)
    told = dadrn.with_phase(images, (0.0, 1.0, 0.0, 0.0))
    assert told.shape == (2, 7, 64, 64)
    assert len(config.classes) == 7 and config.classes[:5] == dadrn.CLASSES
    torch.testing.assert_close(network(images).logits, network(told).logits)
    with torch.no_grad():
        network.told_first.weight.normal_()
    other = dadrn.with_phase(images, torch.eye(4)[:2])
    assert not torch.allclose(network(told).logits, network(other).logits)
    untold = dadrn.with_phase(images, (0.0,) * 4)
    torch.testing.assert_close(network(images).logits, network(untold).logits)
    network.train()(told).logits.sum().backward()
    assert bool(network.told_last.weight.grad.any())
