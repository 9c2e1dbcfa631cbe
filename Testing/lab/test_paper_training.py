"""Training as the papers have it: sizes, optimisers, schedules, torchvision's names, estimates."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.fitting import fit
from LiverLesionAILab.training.loop import LoopSettings, learning_rate, optimiser_of, train
from LiverLesionAILab.training.paper_recipes import sized_recipe
from LiverLesionAILab.training.plan import plan_of, plan_text
from LiverLesionAILab.training.pretrained import for_slices, read_pretrained, take_pretrained
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.networks import cs_att, dadrn, va_faster_rcnn
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from support.small_training import SETTINGS, make_case, make_network, make_sampler

if TYPE_CHECKING:
    from pathlib import Path

PAPERS = ("sfan", "mscd", "cs_att", "va_mask_rcnn", "va_faster_rcnn", "dadrn")


def test_steps_of_a_tenth() -> None:
    settings = LoopSettings(
        steps=60, learning_rate=1e-3, warmup=0, schedule="steps", milestones=(4 / 6, 5 / 6)
    )
    rates = [learning_rate(step, settings) for step in (0, 39, 40, 49, 50, 59)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    constant = replace(settings, schedule="constant")
    assert learning_rate(59, constant) == 1e-3


def test_sgd_with_momentum_by_hand() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    settings = LoopSettings(optimiser="sgd", learning_rate=0.1, momentum=0.9, weight_decay=0.0)
    optimiser = optimiser_of(layer, settings)
    torch.nn.init.ones_(layer.weight)
    for _ in range(2):
        optimiser.zero_grad()
        layer(torch.ones(1, 1)).sum().backward()
        optimiser.step()
    assert layer.weight.item() == pytest.approx(1 - 0.1 * 1 - 0.1 * 1.9)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_run_with_the_papers_optimisers(tmp_path: Path, optimiser: str) -> None:
    settings = replace(
        SETTINGS,
        steps=6,
        warmup=0,
        optimiser=optimiser,
        schedule="steps",
        milestones=(0.5,),
        ema=0.0,
        log_every=3,
    )
    train(make_network(), make_sampler().batch, settings, tmp_path, workers=0)
    with (tmp_path / "curve.csv").open(encoding="utf-8") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([5e-3, 5e-4])


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_sizes(name: str) -> None:
    chosen = sized_recipe(name, "paper")
    assert chosen.config.in_slices == chosen.spec.in_slices if name != "dadrn" else chosen.spec.in_slices == 3
    assert chosen.crop == {"mscd": 224, "dadrn": 224, "va_mask_rcnn": 1024}.get(name, 512)
    assert chosen.loop.optimiser == ("adam" if name in ("sfan", "mscd") else "sgd")
    assert sized_recipe(name, "compact") is not chosen
    assert chosen.augment.noise_hu == 0.0


def test_cs_att_as_its_paper_says() -> None:
    loop = sized_recipe("cs_att", "paper").loop
    assert (loop.learning_rate, loop.momentum, loop.weight_decay, loop.batch) == (1e-3, 0.9, 5e-5, 2)
    assert [learning_rate(int(share * loop.steps / 6), loop) for share in (3.9, 4.1, 5.1)] == pytest.approx(
        [1e-3, 1e-4, 1e-5]
    )


def test_no_such_size() -> None:
    with pytest.raises(InputError, match="dadrn, mscd"):
        sized_recipe("sfan", "attending")


SMALL = {
    "mscd": {"widths": (4, 8, 8), "context_levels": (1, 2)},
    "cs_att": {
        "images": 5,
        "widths": (4, 4, 8, 8, 8),
        "convolutions": (1, 1, 1, 1, 1),
        "proposal_width": 8,
        "head_width": 8,
        "roi_channels": 2,
        "anchor_sizes": (16.0,),
    },
    "va_mask_rcnn": {
        "widths": (4, 4, 8, 8),
        "depths": (1, 1, 1, 1),
        "pyramid_channels": 16,
        "mask_width": 8,
        "head_width": 8,
        "bag": 3,
    },
}


@pytest.mark.parametrize("name", SMALL)
def test_smoke(tmp_path: Path, name: str) -> None:
    """The paper's input, optimiser and loss on a bright ball, with a network of few channels."""
    chosen = sized_recipe(name, "paper")
    case = make_case()
    labels = case.labels_zyx.copy()
    labels[4:7, 14:24, 12:22] = 2
    case = replace(case, labels_zyx=labels, spacing_zyx_mm=chosen.spec.spacing_zyx_mm)
    small = replace(
        chosen,
        config=replace(chosen.config, **SMALL[name]),
        crop=64,
        shares={"real": 1.0},
        loop=replace(chosen.loop, steps=2, batch=2),
    )
    network = fit(small, [case], tmp_path, "cpu", silent)
    assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
    assert (tmp_path / "curve.csv").is_file()


def small_resnet(names: dict[str, str], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What torchvision would have, in shapes of the network's own: {torchvision's name: ours}."""
    own = network.state_dict()
    return {theirs: torch.full_like(own[ours], 0.5) for theirs, ours in names.items()}


def test_resnet_names() -> None:
    backbone = replace(dadrn.SIZES["paper"].backbone, stem=4, widths=(4, 4, 4, 4), depths=(1, 2, 1, 1))
    network = dadrn.build(dadrn.DadrnConfig(backbone=backbone))
    names = {
        "conv1.weight": "backbone.stem.0.weight",
        "bn1.running_var": "backbone.stem.1.running_var",
        "layer2.1.conv2.weight": "backbone.groups.1.1.body.2.0.weight",
        "layer2.1.bn3.weight": "backbone.groups.1.1.body.4.1.weight",
        "layer1.0.downsample.0.weight": "backbone.groups.0.0.shortcut.0.weight",
        "layer1.0.downsample.1.bias": "backbone.groups.0.0.shortcut.1.bias",
    }
    state = small_resnet(names, network)
    before = network.spatial.embed.weight.clone()
    taken = take_pretrained(network, {**state, "fc.weight": torch.zeros(1000, 2048)})
    assert taken == sorted(names.values())
    assert all(bool((network.state_dict()[name] == 0.5).all()) for name in taken)
    assert torch.equal(network.spatial.embed.weight, before)


def test_resnet_into_the_pyramid() -> None:
    config = replace(
        va_faster_rcnn.SIZES["paper"],
        widths=(4, 4, 4, 4),
        depths=(1, 1, 1, 1),
        pyramid_channels=16,
        head_width=8,
    )
    network = va_faster_rcnn.build(config)
    state = small_resnet({"layer3.0.conv2.weight": "encoder.stages.2.0.layers.2.0.weight"}, network)
    assert take_pretrained(network, state) == ["encoder.stages.2.0.layers.2.0.weight"]


def test_vgg_names(tmp_path: Path) -> None:
    config = replace(cs_att.SIZES["paper"], widths=(4, 4, 4, 4, 4), proposal_width=4, head_width=4)
    network = cs_att.build(config)
    shapes = [part for part in network.backbone if isinstance(part, torch.nn.Conv2d)]
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    state = {
        f"features.{n}.{kind}": torch.full_like(getattr(conv, kind), float(n))
        for n, conv in zip(numbers, shapes, strict=True)
        for kind in ("weight", "bias")
    }
    torch.save(state, tmp_path / "vgg16.pth")
    taken = take_pretrained(network, read_pretrained(tmp_path / "vgg16.pth"))
    assert len(taken) == 26
    assert [float(conv.bias[0]) for conv in shapes] == [float(n) for n in numbers]


def test_what_fits_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--size paper"):
        take_pretrained(make_network(), {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    (tmp_path / "no.pth").write_bytes(b"import os")
    with pytest.raises(InputError, match="no plain weights"):
        read_pretrained(tmp_path / "no.pth")


def test_colours_to_slices() -> None:
    weight = torch.rand(2, 3, 3, 3)
    torch.testing.assert_close(for_slices(weight, 5).sum(dim=1), weight.sum(dim=1))


def test_the_plan_counts_what_is_learnt_through_not_the_short_way_at_inference() -> None:
    plan = plan_of(sized_recipe("sfan", "paper"))
    # The fused map of 5 x 64 channels, before and after its gate, at two bytes; inference never makes it.
    assert plan.kept_bytes > 2 * 2 * 320 * 512**2


def test_plan_counts_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    small, large = (plan_of(replace(sized_recipe("mscd", "paper"), crop=edge)) for edge in (112, 224))
    assert large.parameters == small.parameters
    assert large.operations > 3.9 * small.operations
    # Maps grow by 4, affinities of all places by 16.
    assert 4 * small.kept_bytes < large.kept_bytes < 16 * small.kept_bytes
    assert large.hours(65.0) == pytest.approx(2 * large.hours(130.0))
    assert "estimated, not measured" in plan_text("mscd", sized_recipe("mscd", "paper"))
    assert main(["train", "mscd", "--size", "attending", "--plan"]) == 0
    assert "mscd: 1.57 M parameters" in capsys.readouterr().out
