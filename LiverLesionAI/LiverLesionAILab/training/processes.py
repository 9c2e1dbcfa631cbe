"""Several training processes under `torchrun`: one a GPU, or one a few CPU cores.

Every process holds the whole network, draws its own part of each batch and takes the mean of all gradients,
so that a step is the step of one process with the whole batch (but for batch normalisation, whose statistics
each process takes from its own part).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from LiverLesionAILib.support.errors import InputError
from torch import nn


@dataclass(frozen=True)
class Group:
    """The training processes.

    Attributes:
        rank: number of this one, 0 writes the files; size: how many there are.
        device: of this one.
    """

    rank: int
    size: int
    device: str

    def check(self, batch: int) -> None:
        """Every process needs the same number of samples.

        Raises:
            InputError: the batch cannot be parted evenly.
        """
        if batch % self.size:
            raise InputError(f"A batch of {batch} cannot be shared evenly by {self.size} processes.")

    def average(self, network: nn.Module, loss: float) -> float:
        """Make every gradient the mean over the processes; the same of the loss, which is returned."""
        # A part that one process's samples did not reach counts as zero there; all must send the same sizes.
        for parameter in network.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.detach().float().reshape(-1) for g in gradients])
        flat = torch.cat([flat, flat.new_tensor([loss])])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return float(flat[-1])


def join(device: str) -> Group | None:
    """Join the processes that `torchrun` started; None where this is the only one.

    Args:
        device: "cpu", or "cuda" for one GPU a process.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size <= 1:
        return None
    own = device
    if device.startswith("cuda"):
        own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(own)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if own.startswith("cuda") else "gloo")
    return Group(dist.get_rank(), size, own)


def leave() -> None:
    """End the joint work; the processes wait for each other first."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
