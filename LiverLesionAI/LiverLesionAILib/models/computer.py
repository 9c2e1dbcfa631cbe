"""What this computer offers for the networks: torch, device, memory, in words for the reader."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from .device import cuda_problem


@dataclass(frozen=True)
class ComputerInfo:
    """State of the computer as the worker sees it.

    Attributes:
        torch_version: "" when torch cannot be imported.
        device: "cuda", "mps" or "cpu": what "auto" will use.
        device_name: the GPU's name, or the number of cores.
        free_gb, total_gb: memory of that device, 1e9 bytes; 0 when unknown.
        problem: a sentence when something hinders (no torch, GPU unusable), else "".
    """

    torch_version: str
    device: str
    device_name: str
    free_gb: float
    total_gb: float
    problem: str = ""

    @property
    def line(self) -> str:
        """One line for the panel: device, memory, torch."""
        if not self.torch_version:
            return "PyTorch is not installed"
        kind = {"cuda": "GPU", "mps": "GPU"}.get(self.device, "CPU")
        memory = f", {self.free_gb:.1f} of {self.total_gb:.0f} GB free" if self.total_gb else ""
        return f"{kind}: {self.device_name}{memory} · PyTorch {self.torch_version.split('+')[0]}"


def host_memory_gb() -> tuple[float, float]:
    """Free and total main memory in 1e9 bytes; zeros where the system does not say.

    A container's memory limit counts where it is smaller than the machine's memory.
    """
    if sys.platform == "win32":
        return _windows_memory_gb()
    free = total = 0.0
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as file:
            kilobytes = {line.split(":")[0]: float(line.split()[1]) for line in file}
        free, total = kilobytes["MemAvailable"] * 1024e-9, kilobytes["MemTotal"] * 1024e-9
    except (OSError, KeyError, ValueError):
        try:
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 1e-9
        except (ValueError, OSError, AttributeError):
            return 0.0, 0.0
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = (
            float((group / f"memory.{name}").read_text("ascii")) * 1e-9 for name in ("max", "current")
        )
        if limit < total:
            free, total = max(0.0, min(free, limit - used)), limit
    except (OSError, ValueError):
        pass
    return free, total


def _windows_memory_gb() -> tuple[float, float]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]
        return 0.0, 0.0
    return status.free * 1e-9, status.total * 1e-9


def describe_computer() -> ComputerInfo:
    """Import torch and look at the devices.

    Takes seconds the first time: never call it in the application.
    """
    try:
        import torch
    except Exception as error:
        # A damaged installation raises almost anything (OSError for a missing library, ImportError, ...).
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torch"
        problem = "PyTorch is not installed in this Python." if missing else f"PyTorch does not load: {error}"
        return ComputerInfo("", "cpu", _cpu_name(), *host_memory_gb(), problem)
    without_gpu = cuda_problem()
    if without_gpu is None:
        free, total = torch.cuda.mem_get_info()
        return ComputerInfo(
            torch.__version__, "cuda", torch.cuda.get_device_name(), free * 1e-9, total * 1e-9
        )
    # A computer without such a GPU has no problem to tell.
    problem = f"The GPU is not used: {without_gpu}" if _has_nvidia_device() else ""
    return ComputerInfo(torch.__version__, "cpu", _cpu_name(), *host_memory_gb(), problem)


def _has_nvidia_device() -> bool:
    return any(Path(place).exists() for place in ("/dev/nvidia0", "/proc/driver/nvidia/version"))


def _cpu_name() -> str:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{count} core{'s' if count != 1 else ''}"
