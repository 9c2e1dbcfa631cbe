"""The training loop of the slice-stack segmentation networks.

AdamW (or Adam, or SGD), cosine schedule (or steps) with warm-up, weighted cross entropy plus soft Dice,
gradient clipping, an exponential moving average of the weights (that is what ships), bfloat16 where the
device multiplies it natively, and channels_last. The state after every
checkpoint interval is kept whole, so that a killed run goes on along the same curve: samples and schedule
depend on the step's number and the seed alone.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.support.progress import Progress, silent
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from .losses import segmentation_loss
from .optimisers import LoopSettings, learning_rate, optimiser_of
from .processes import Group
from .watch import Watch, read_rows, write_rows

BatchLoss = Callable[[Any, Tensor, int], Tensor]
"""The loss of (images or maps, labels, step)."""


class TrainingError(LiverLesionAIError):
    """Training cannot go on: the loss is not a number, or a parameter gets no gradient."""


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


def ema_update(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Average the weights: average = decay * average + (1 - decay) * network.

    Running statistics are averaged alike, counters are copied.
    """
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
    """Go on from the weights of an earlier run, of the same network or of one that shares parts with it.

    A box detector goes on from a mask network's encoder, pyramid and proposals.

    Returns:
        Names of what the earlier run has not, or in another shape; it is left as it was.
    """
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    network.load_state_dict({**own, **{k: v.to(own[k].dtype) for k, v in fitting.items()}})
    return [name for name in own if name not in fitting]


class _Run:
    """A training under way; its checkpoint keeps all that decides the next step.

    Attributes:
        network, average, optimiser: what learns, and the moving average of its weights.
        step: optimiser steps done.
        rows: the curve so far: step, mean loss since the last row, learning rate, seconds.
    """

    def __init__(
        self, network: nn.Module, settings: LoopSettings, folder: Path, device: str, group: Group | None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings, self.folder, self.device, self.group = settings, folder, device, group
        self.checkpoint, self.curve = folder / "checkpoint.pt", folder / "curve.csv"
        self.network = network.to(device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network)
        self.optimiser = optimiser_of(network, settings)
        self.step, self._seconds_before = 0, 0.0
        if self.checkpoint.is_file():
            self._resume()
        self.rows = [row for row in read_rows(self.curve) if row[0] <= self.step] if self.step else []
        self._started = time.monotonic()
        self._losses: list[float] = []
        self._dead = set() if self.step else {name for name, _ in network.named_parameters()}

    @property
    def seconds(self) -> float:
        """Time spent, earlier parts of a resumed run included."""
        return self._seconds_before + time.monotonic() - self._started

    def _resume(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
        # Checkpoints of before a setting existed have its default.
        if {**asdict(LoopSettings()), **state["settings"]} != asdict(self.settings):
            raise TrainingError(
                f"{self.checkpoint} was made with other settings; remove it or choose another folder."
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self._seconds_before = state["step"], state["seconds"]

    def save(self) -> None:
        """Write checkpoint and curve; a kill leaves the last whole ones."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "settings": asdict(self.settings),
        }
        with replacing(self.checkpoint) as part:
            torch.save(state, part)
        rows = [(int(r[0]), f"{r[1]:.5f}", f"{r[2]:.3e}", f"{r[3]:.1f}") for r in self.rows]
        write_rows(self.curve, ("step", "loss", "learning_rate", "seconds"), rows)

    def learn(self, batch: tuple[Any, Tensor], loss_of: BatchLoss) -> None:
        """One optimiser step.

        Raises:
            TrainingError: the loss is not finite, or a parameter gets no gradient in the first steps.
        """
        images, labels = moved(batch[0], self.device), batch[1].to(self.device)
        for tuned in self.optimiser.param_groups:
            tuned["lr"] = learning_rate(self.step, self.settings)
        loss = loss_of(images, labels, self.step)
        value = float(loss.detach())
        if not math.isfinite(value):
            self._keep_bad(images, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.step < GRADIENT_STEPS:
            self._dead &= without_gradient(self.network)
            if self.step == min(GRADIENT_STEPS, self.settings.steps) - 1:
                check_gradients(self._dead)
        if self.group is not None:
            value = self.group.average(self.network, value)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimiser.step()
        # A young average forgets faster, so that the random start does not linger.
        decay = min(self.settings.ema, (self.step + 1) / (self.step + 10))
        ema_update(self.average, self.network, decay)
        self.step += 1
        self._losses.append(value)

    def _keep_bad(self, images: Tensor | tuple[Tensor, ...], labels: Tensor) -> NoReturn:
        kept = self.folder / "bad_batch.pt"
        torch.save({"images": moved(images, "cpu"), "labels": labels.cpu(), "step": self.step}, kept)
        raise TrainingError(
            f"The loss is not a number at step {self.step}; the batch is in {kept}, the last good state in "
            f"{self.checkpoint}."
        )

    def note(self, watch: Watch, progress: Progress) -> None:
        """A row of the curve: the mean loss since the last one."""
        loss, rate = sum(self._losses) / len(self._losses), self.optimiser.param_groups[0]["lr"]
        self._losses.clear()
        self.rows.append((self.step, loss, rate, self.seconds))
        watch.note("loss", loss, self.step)
        watch.note("learning rate", rate, self.step)
        progress(f"training, loss {loss:.3f}", self.step / self.settings.steps)


def train(
    network: nn.Module,
    batches: Callable[[int, int], tuple[Tensor, Tensor]],
    settings: LoopSettings,
    folder: Path,
    *,
    device: str = "cpu",
    loss_of: Callable[[Tensor, Tensor, LoopSettings], Tensor] = segmentation_loss,
    batch_loss: BatchLoss | None = None,
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
        settings: how to train.
        folder: gets `checkpoint.pt` (resumed from where present) and `curve.csv` (step, loss, lr, seconds).
        device: "cpu" or "cuda".
        loss_of: loss_of(logits, labels, settings).
        batch_loss: the loss from (images, labels, step) in place of the network's logits and `loss_of`, for
            a network that needs the truth on its way (detectors choose what to learn from by it).
        validate: loss of the averaged network on what training does not see; lower is better.
        group: the training processes under `torchrun`; each takes its part of every batch.
        progress: told of every row of the curve; may cancel.
        workers: processes that make batches ahead; 0 makes them in this one.

    Raises:
        TrainingError: the loss is not finite (the batch is kept as `bad_batch.pt`, the last checkpoint
            stays), or a parameter gets no gradient in the first steps.
        Cancelled: from `progress`.
    """
    run = _Run(network, settings, folder, device, group)
    if group is not None:
        group.check(settings.batch)
    first = group is None or group.rank == 0
    watch = Watch(folder, settings.patience, run.step, writes=first)
    loss = _autocast(run.network, settings, device, loss_of, batch_loss)
    todo = range(run.step, settings.steps) if not watch.over else range(0)
    for batch in _loader(batches, settings, todo, group, workers) if todo else ():
        run.learn(batch, loss)
        last = run.step == settings.steps
        if run.step % settings.log_every == 0 or last:
            run.note(watch, progress)
        if validate is not None and (run.step % settings.validate_every == 0 or last):
            watch.validated(validate(run.average.eval()), run.average, run.step)
            last = last or watch.over
        if first and (run.step % settings.checkpoint_every == 0 or last):
            run.save()
        if last:
            break
    watch.close()
    if watch.best is not None:
        run.average.load_state_dict(watch.best)
    return run.average.eval()


def mixed_precision(device_type: str) -> torch.autocast:
    """bfloat16 autocast; off on processors that would only emulate it, ten times slower than float32."""
    from LiverLesionAILib.models.device import cpu_precision

    native = device_type != "cpu" or cpu_precision() == "bfloat16"
    return torch.autocast(device_type, torch.bfloat16, enabled=native)


def _autocast(
    network: nn.Module,
    settings: LoopSettings,
    device: str,
    loss_of: Callable[[Tensor, Tensor, LoopSettings], Tensor],
    batch_loss: BatchLoss | None,
) -> BatchLoss:
    """The loss of (images, labels, step), the network's part of it in bfloat16."""
    reduced = partial(mixed_precision, torch.device(device).type)

    def of_logits(images: Any, labels: Tensor, _step: int) -> Tensor:
        with reduced():
            logits = network(images).logits
        return loss_of(logits, labels, settings)

    def of_batch(images: Any, labels: Tensor, step: int) -> Tensor:
        assert batch_loss is not None
        # Always: a loss of its own may be given maps that are kept in bfloat16.
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            return batch_loss(images, labels, step)

    return of_logits if batch_loss is None else of_batch


def _loader(
    batches: Callable[[int, int], tuple[Tensor, Tensor]],
    settings: LoopSettings,
    steps: range,
    group: Group | None,
    workers: int,
) -> DataLoader:
    return DataLoader(
        Batches(batches, settings.batch, settings.steps, group),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
