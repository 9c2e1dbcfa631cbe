"""The training loop of the slice-stack segmentation networks.

AdamW or Adam, cosine schedule with warm-up, weighted cross entropy plus soft Dice, gradient clipping, an
exponential
moving average of the weights (that is what ships), bfloat16 autocast and channels_last. The state after every
checkpoint interval is kept whole, so that a killed run goes on along the same curve: samples and schedule
depend on
the step's number and the seed alone.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.progress import Progress, silent
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..data.cases import UNKNOWN
from .processes import Group
from .watch import Watch


class TrainingError(LiverLesionAIError):
    """Training cannot go on: the loss is not a number, or a parameter gets no gradient."""


@dataclass(frozen=True)
class LoopSettings:
    """How to train.

    Attributes:
        steps: number of optimiser steps; batch: samples a step.
        learning_rate: peak; weight_decay: AdamW's.
        warmup: steps of linear warm-up; the rest is a cosine to 1 % of the peak.
        class_weights: of the cross entropy, per class.
        dice_weight: weight of the soft Dice term (classes above 0, over the batch).
        dice_per_image: the tumour's part of it image by image; see :func:`soft_dice_loss`.
        clip: largest gradient norm.
        ema: decay of the moving average of the weights.
        seed: of the initialisation; samples carry their own.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations, where there is something to validate on.
        patience: so many validations without a better one end the training; 0 never ends it early.
        log_every: steps between rows of the curve.
        without: what was left out of the training data, see :mod:`.ablation`; kept with the checkpoint.
    """

    steps: int = 6000
    batch: int = 12
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warmup: int = 150
    class_weights: tuple[float, ...] = (1.0, 1.0, 2.0)
    dice_weight: float = 1.0
    dice_per_image: bool = False
    clip: float = 5.0
    ema: float = 0.998
    seed: int = 0
    checkpoint_every: int = 250
    log_every: int = 25
    validate_every: int = 100
    patience: int = 0
    without: tuple[str, ...] = ()


class Batches(Dataset):
    """The batch of step i is item i; a loader's processes draw them ahead of time.

    Of several training processes each draws its own part of the batch.
    """

    def __init__(
        self,
        draw: Callable[[int, int], tuple[Tensor, Tensor]],
        size: int,
        steps: int,
        group: Group | None = None,
    ) -> None:
        self.draw, self.size, self.steps = draw, size, steps
        self.rank, self.world = (group.rank, group.size) if group else (0, 1)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        share = self.size // self.world
        return self.draw(step * self.size + self.rank * share, share)


def soft_dice_loss(probabilities: Tensor, labels: Tensor, per_image: bool = False) -> Tensor:
    """1 - soft Dice, mean over the classes above 0; unknown pixels do not count.

    Args:
        probabilities: (B, C, H, W), sum 1 over C.
        labels: (B, H, W) int64, 255 unknown.
        per_image: tumour (class 2 and above) is scored image by image, so that a small lesion counts as
            much as a large one and a false one in an image without tumour is not drowned by the batch.
    """
    known = labels != UNKNOWN
    losses = []
    for value in range(1, probabilities.shape[1]):
        truth = ((labels == value) & known).float()
        predicted = probabilities[:, value] * known
        axes = (1, 2) if per_image and value > 1 else (0, 1, 2)
        overlap = (predicted * truth).sum(dim=axes)
        total = predicted.sum(dim=axes) + truth.sum(dim=axes)
        losses.append((1 - (2 * overlap + 20.0) / (total + 20.0)).mean())
    return torch.stack(losses).mean()


def segmentation_loss(logits: Tensor, labels: Tensor, settings: LoopSettings) -> Tensor:
    """Weighted cross entropy (SFAN paper, section 3) plus `dice_weight` times :func:`soft_dice_loss`."""
    logits = logits.float()
    weights = torch.tensor(settings.class_weights, device=logits.device)
    entropy = F.cross_entropy(logits, labels, weight=weights, ignore_index=UNKNOWN)
    if not settings.dice_weight:
        return entropy
    return entropy + settings.dice_weight * soft_dice_loss(
        logits.softmax(dim=1), labels, settings.dice_per_image
    )


def learning_rate(step: int, settings: LoopSettings) -> float:
    """The schedule: linear warm-up, then cosine to 1 % of the peak."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    along = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, along))))


def ema_update(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * network; counters and running statistics are averaged
    alike."""
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(value.detach(), 1 - decay)
            else:
                mean.copy_(value)


def without_gradient(network: nn.Module) -> set[str]:
    """Names of the parameters that learn and whose gradient is missing or all zero."""
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not bool(parameter.grad.any()))
    }


GRADIENT_STEPS = 3
"""Every parameter has had a gradient within so many steps; attention behind a factor that starts at zero gets
its first one only when that factor has moved."""


def check_gradients(dead: set[str]) -> None:
    """No parameter may be without a gradient.

    Raises:
        TrainingError: names the parameters without one (a compiler or a wiring mistake).
    """
    if dead:
        names = sorted(dead)
        raise TrainingError(f"No gradient reaches {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}.")


def moved(images: Tensor | Sequence[Tensor], device: str) -> Tensor | tuple[Tensor, ...]:
    """Images on the device with channels last in memory; maps that a trunk has made of them as they are."""
    if isinstance(images, Tensor):
        return images.to(device, memory_format=torch.channels_last)
    return tuple(level.to(device) for level in images)


def take_weights(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Weights of an earlier run, of the same network or of one that shares parts with it (a box detector
    goes on from a mask network's encoder, pyramid and proposals).

    Returns:
        Names of what the earlier run has not, or in another shape; it is left as it was.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    network.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in fitting.items()}})
    return [name for name in own if name not in fitting]


def save_checkpoint(state: dict, path: Path) -> None:
    """Write beside, then rename: a kill leaves the last whole checkpoint."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, beside)
    os.replace(beside, path)


def train(
    network: nn.Module,
    batches: Callable[[int, int], tuple[Tensor, Tensor]],
    settings: LoopSettings,
    folder: Path,
    *,
    device: str = "cpu",
    loss_of: Callable[[Tensor, Tensor, LoopSettings], Tensor] = segmentation_loss,
    batch_loss: Callable[[Tensor, Tensor, int], Tensor] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    group: Group | None = None,
    progress: Progress = silent,
    workers: int = 1,
) -> nn.Module:
    """Train and return the averaged network, in eval mode.

    With `validate` it is the averaged network of the best validation, kept as `best.pt`.

    Args:
        network: takes (B, S, H, W), returns an output with a field `logits`.
        batches: batches(first, size) gives samples first .. first + size - 1 (image, labels).
        folder: gets `checkpoint.pt` (resumed from where present) and `curve.csv` (step, loss, lr, seconds).
        loss_of: loss_of(logits, labels, settings).
        batch_loss: the loss from (images, labels, step) in place of the network's logits and `loss_of`, for
            a network that needs the truth on its way (detectors choose what to learn from by it).
        validate: loss of the averaged network on what training does not see; lower is better.
        group: the training processes under `torchrun`; each takes its part of every batch.
        workers: processes that make batches ahead; 0 makes them in this one.

    Raises:
        TrainingError: the loss is not finite (the batch is kept as `bad_batch.pt`, the last
        checkpoint stays), or a
            parameter gets no gradient in the first steps.
        Cancelled: from `progress`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.to(device, memory_format=torch.channels_last).train()
    average = copy.deepcopy(network)
    # Convolutions count most; the fused kernel keeps the optimiser's share of a step small.
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    checkpoint, curve = folder / "checkpoint.pt", folder / "curve.csv"
    step, seconds = 0, 0.0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        # Checkpoints of before a setting existed have its default.
        if {**asdict(LoopSettings()), **state["settings"]} != asdict(settings):
            raise TrainingError(
                f"{checkpoint} was made with other settings; remove it or choose another folder."
            )
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, seconds = state["step"], state["seconds"]
    if group is not None:
        group.check(settings.batch)
    first = group is None or group.rank == 0
    watch = Watch(folder, settings.patience, step, writes=first)
    rows = _kept_rows(curve, step)
    losses: list[float] = []
    dead: set[str] = set()
    started = time.monotonic()
    device_type = torch.device(device).type
    loader = DataLoader(
        Batches(batches, settings.batch, settings.steps, group),
        batch_size=None,
        sampler=range(step, settings.steps),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    if step < settings.steps and not watch.over:
        for images, labels in loader:
            images, labels = moved(images, device), labels.to(device)
            rate = learning_rate(step, settings)
            for tuned in optimiser.param_groups:
                tuned["lr"] = rate
            with torch.autocast(device_type, torch.bfloat16):
                answer = network(images).logits if batch_loss is None else batch_loss(images, labels, step)
            loss = loss_of(answer, labels, settings) if batch_loss is None else answer
            value = float(loss.detach())
            if not math.isfinite(value):
                torch.save(
                    {"images": moved(images, "cpu"), "labels": labels.cpu(), "step": step},
                    folder / "bad_batch.pt",
                )
                raise TrainingError(
                    f"The loss is not a number at step {step}; the batch is in {folder / 'bad_batch.pt'}, "
                    f"the last good state in {checkpoint}."
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if step < GRADIENT_STEPS:
                dead = without_gradient(network) & (
                    dead if step else {n for n, _ in network.named_parameters()}
                )
                if step == min(GRADIENT_STEPS, settings.steps) - 1:
                    check_gradients(dead)
            if group is not None:
                value = group.average(network, value)
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimiser.step()
            # A young average forgets faster, so that the random start does not linger.
            ema_update(average, network, min(settings.ema, (step + 1) / (step + 10)))
            step += 1
            losses.append(value)
            if step % settings.log_every == 0 or step == settings.steps:
                elapsed = seconds + time.monotonic() - started
                rows.append((step, sum(losses) / len(losses), rate, elapsed))
                losses.clear()
                watch.note("loss", rows[-1][1], step)
                watch.note("learning rate", rate, step)
                progress(f"training, loss {rows[-1][1]:.3f}", step / settings.steps)
            last = step == settings.steps
            if validate is not None and (step % settings.validate_every == 0 or last):
                watch.validated(validate(average.eval()), average, step)
                last = last or watch.over
            if first and (step % settings.checkpoint_every == 0 or last):
                save_checkpoint(
                    {
                        "network": network.state_dict(),
                        "average": average.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "step": step,
                        "seconds": seconds + time.monotonic() - started,
                        "settings": asdict(settings),
                    },
                    checkpoint,
                )
                _write_rows(curve, rows)
            if last:
                break
    watch.close()
    if watch.best is not None:
        average.load_state_dict(watch.best)
    return average.eval()


def _kept_rows(curve: Path, step: int) -> list[tuple[float, ...]]:
    if not curve.is_file() or not step:
        return []
    with open(curve, newline="") as file:
        rows = [tuple(float(v) for v in row) for row in list(csv.reader(file))[1:]]
    return [row for row in rows if row[0] <= step]


def _write_rows(curve: Path, rows: list[tuple[float, ...]]) -> None:
    beside = curve.with_name(f".{curve.name}.{os.getpid()}")
    with open(beside, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("step", "loss", "learning_rate", "seconds"))
        writer.writerows((int(r[0]), f"{r[1]:.5f}", f"{r[2]:.3e}", f"{r[3]:.1f}") for r in rows)
    os.replace(beside, curve)
