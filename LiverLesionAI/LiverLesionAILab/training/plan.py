"""`train MODEL --plan`: what a training would take on a GPU, estimated without one.

Operations are counted for one target slice as in `info --networks` and tripled for the way back; memory is
that of weights, gradients, optimiser and average, and of what the layers keep for the way back. The network
is built without memory behind it and nothing is computed. The time is operations over a share of the
processor's peak that such networks reach; neither was measured on these processors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.networks.parts.blocks import parameter_count
from LiverLesionAILib.networks.size_table import evaluated
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from .recipes import Recipe

REACHED = 0.25
"""Share of the peak: convolutions of 64 to 512 channels reach 0.2 to 0.4, small ones less."""

PEAK_TFLOPS = {"T4 (16 GB)": 65.0, "RTX 4090 (24 GB)": 165.0, "A100 (80 GB)": 312.0, "H200 (141 GB)": 989.0}
"""Of half precision with tensor cores, dense, as the maker gives it."""

OVERHEAD = 1.5
"""Over what layers keep: concatenated and resized maps, gradients under way, workspaces."""

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
        kept_bytes: what the layers of one target keep.
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
    kept = 0

    def note(part: nn.Module, _inputs: object, output: object) -> None:
        nonlocal kept
        # In half precision; activations in place keep nothing of their own.
        if isinstance(output, torch.Tensor) and not getattr(part, "inplace", False):
            kept += 2 * output.numel()

    with FakeTensorMode(), torch.no_grad():
        network = build_network(chosen.network, asdict(chosen.config)).eval()
        hooks = [m.register_forward_hook(note) for m in network.modules() if not list(m.children())]
        _, run = evaluated(chosen.network, network, chosen.crop)
        with FlopCounterMode(display=False) as counter:
            run()
        for hook in hooks:
            hook.remove()
        weights = parameter_count(network)
    numbers = 3 + STATES[chosen.loop.optimiser]
    targets = chosen.loop.batch * max(1, chosen.slab_targets)
    return Plan(weights, counter.get_total_flops(), targets, chosen.loop.steps, kept, 4 * numbers * weights)


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
