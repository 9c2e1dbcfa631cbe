"""`train MODEL --plan`: what a training would take on a GPU, estimated without one.

Operations are counted for one target slice as in `info --networks` and tripled for the way back; memory is
that of weights, gradients, optimiser and average, and of what autograd keeps for the way back, in half
precision. The network is built without memory behind it and nothing is computed. The time is operations over
a share of the processor's peak that such networks reach; neither was measured on these processors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.networks.parts.blocks import parameter_count
from LiverLesionAILib.networks.size_table import evaluated
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from .recipes import Recipe

REACHED = 0.25
"""Share of the peak: convolutions of 64 to 512 channels reach 0.2 to 0.4, small ones less."""

PEAK_TFLOPS = {"T4 (16 GB)": 65.0, "RTX 4090 (24 GB)": 165.0, "A100 (80 GB)": 312.0, "H200 (141 GB)": 989.0}
"""Of half precision with tensor cores, dense, as the maker gives it."""

OVERHEAD = 1.5
"""Over what is kept for the way back: gradients under way, workspaces, the loss."""

BACKWARD = 3.0
"""Operations of a step over those of the way forth."""

STATES = {"adamw": 2, "adam": 2, "sgd": 1}
"""Numbers that an optimiser keeps for each weight."""


@dataclass(frozen=True)
class Plan:
    """An estimate.

    Attributes:
        parameters: that learn.
        operations: of one target slice, forth.
        targets: slices learnt from in one step; steps: of the recipe.
        kept_bytes: for the way back, of one target, in half precision.
        fixed_bytes: weights, gradients, optimiser, average.
    """

    parameters: int
    operations: int
    targets: int
    steps: int
    kept_bytes: int
    fixed_bytes: int

    @property
    def memory_gb(self) -> float:
        """At the recipe's batch, GB."""
        return (self.fixed_bytes + OVERHEAD * self.targets * self.kept_bytes) / 1e9

    def hours(self, tflops: float) -> float:
        """On a processor of that peak."""
        return BACKWARD * self.operations * self.targets * self.steps / (REACHED * tflops * 1e12) / 3600


def plan_of(chosen: Recipe) -> Plan:
    """The estimate for a recipe."""
    with FakeTensorMode():
        network = build_network(chosen.network, asdict(chosen.config))
        weights = parameter_count(network)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            evaluated(chosen.network, network.eval(), chosen.crop)[1]()
        kept = _kept_numbers(network.train(), evaluated(chosen.network, network, chosen.crop)[1])
    numbers = 3 + STATES[chosen.loop.optimiser]
    targets = chosen.loop.batch * max(1, chosen.slab_targets)
    return Plan(
        weights, counter.get_total_flops(), targets, chosen.loop.steps, 2 * kept, 4 * numbers * weights
    )


def _kept_numbers(network: nn.Module, run: Callable[[], Any]) -> int:
    """How many numbers autograd keeps for the way back, weights left out; views of one tensor count once."""
    weights = {p.untyped_storage()._cdata for p in network.parameters()}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        where = tensor.untyped_storage()._cdata
        if where not in weights and (where not in kept or kept[where].numel() < tensor.numel()):
            # Held, so that no other tensor gets its place.
            kept[where] = tensor
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return sum(tensor.numel() for tensor in kept.values())


def plan_text(name: str, chosen: Recipe) -> str:
    """The estimate in words."""
    plan, loop = plan_of(chosen), chosen.loop
    lines = [
        f"{name}: {plan.parameters / 1e6:.2f} M parameters, crops of {chosen.crop} px at "
        f"{' x '.join(f'{mm:g}' for mm in chosen.spec.spacing_zyx_mm)} mm, window "
        f"{chosen.spec.window_hu[0]:g} to {chosen.spec.window_hu[1]:g} HU",
        f"{loop.optimiser}, {loop.learning_rate:g}, {loop.schedule}; {loop.steps} steps of "
        f"{plan.targets} slice(s), {plan.operations / 1e9:.1f} GFLOP each, forth",
        f"memory about {plan.memory_gb:.1f} GB ({plan.fixed_bytes / 1e9:.1f} GB of it whatever the batch)",
        f"time, at {100 * REACHED:.0f} % of the peak (estimated, not measured; preparing data not counted):",
    ]
    lines += [f"  {gpu:<18} {plan.hours(peak):>8.1f} h" for gpu, peak in PEAK_TFLOPS.items()]
    return "\n".join(lines)
