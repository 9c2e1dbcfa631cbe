"""Which device and precision to compute with, and what to do when its memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..support.errors import LiverLesionAIError

Result = TypeVar("Result")


class DeviceError(LiverLesionAIError):
    """The device asked for cannot be used."""


@dataclass(frozen=True)
class Device:
    """Where to compute.

    Attributes:
        name: torch device, "cpu" or "cuda" or "cuda:1".
        precision: torch dtype name of the networks.
        description: for the reader, with free memory.
        batch: slices at once.
    """

    name: str
    precision: str
    description: str
    batch: int = 8


def torch_missing() -> str | None:
    """A sentence that says so where torch cannot be imported, else None."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        return (
            f"PyTorch is not installed ({error}). In Slicer: press 'Install PyTorch' in the panel. "
            "On the command line: pip install torch."
        )
    return None


def cpu_precision() -> str:
    """bfloat16 where the processor multiplies it natively, else float32."""
    import torch

    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    fast = bool((supported and supported()) or (amx and amx()))
    return "bfloat16" if fast else "float32"


def choose_device(wanted: str = "auto", precision: str = "auto") -> Device:
    """Decide on a device; "auto" takes CUDA where it works and has 1.5 GB free.

    Raises:
        DeviceError: torch is missing, or CUDA was asked for by name and cannot be used; the text says why.
    """
    if wanted not in ("auto", "cpu", "cuda") and not wanted.startswith("cuda:"):
        raise DeviceError(f"There is no device {wanted!r}. Choose auto, cpu or cuda.")
    missing = torch_missing()
    if missing:
        raise DeviceError(missing)
    import torch

    problem = cuda_problem()
    if wanted.startswith("cuda") and problem:
        raise DeviceError(
            f"CUDA was asked for but cannot be used: {problem} Choose the device 'auto' or 'cpu'."
        )
    if wanted == "cpu" or problem:
        kind = cpu_precision() if precision == "auto" else precision
        threads = torch.get_num_threads()
        return Device("cpu", kind, f"CPU, {threads} thread{'s' * (threads > 1)}, {kind}", batch=8)
    name = "cuda" if wanted == "auto" else wanted
    free, total = torch.cuda.mem_get_info(torch.device(name))
    if wanted == "auto" and free < 1.5e9:
        kind = cpu_precision() if precision == "auto" else precision
        return Device(
            "cpu", kind, f"CPU ({free / 1e9:.1f} GB free on the GPU is too little), {kind}", batch=8
        )
    kind = precision
    if precision == "auto":
        kind = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    title = torch.cuda.get_device_name(torch.device(name))
    batch = 64 if free > 12e9 else 16
    return Device(name, kind, f"{title}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free, {kind}", batch)


def cuda_problem() -> str | None:
    """Why CUDA cannot be used, as a sentence, or None where it can."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        return (
            "this PyTorch was built without CUDA."
            if not built
            else "no usable NVIDIA GPU or driver was found."
        )
    try:
        torch.zeros(8, device="cuda").sum().item()
    except RuntimeError as error:
        return f"a first computation failed ({str(error).splitlines()[0]})."
    return None


def with_fallback(
    compute: Callable[[Device], Result],
    device: Device,
    tell: Callable[[str], None],
    release: Callable[[], None],
) -> tuple[Result, Device]:
    """Compute; when memory runs out retry with fewer slices at once, then on the CPU, and say so.

    Args:
        compute: the work.
        tell: gets a sentence for the reader at every retry.
        release: frees what holds device memory.
    """
    import torch

    tries = [device]
    batch = device.batch
    while batch > 2:
        batch //= 4
        tries.append(Device(device.name, device.precision, device.description, max(1, batch)))
    if device.name != "cpu":
        tries.append(choose_device("cpu"))
    for attempt, current in enumerate(tries):
        try:
            return compute(current), current
        except (torch.OutOfMemoryError, MemoryError) as error:
            if attempt + 1 == len(tries):
                raise DeviceError(
                    f"There is not enough memory on {current.description}. "
                    "Close other programs or crop the CT."
                ) from error
            following = tries[attempt + 1]
            release()
            if device.name != "cpu":
                torch.cuda.empty_cache()
            where = "on the CPU" if following.name != current.name else f"{following.batch} slices at a time"
            tell(f"Memory ran out on {current.description}; went on {where}.")
    raise AssertionError("unreachable")
