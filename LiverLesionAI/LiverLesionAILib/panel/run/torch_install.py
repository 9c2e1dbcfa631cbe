"""Installs PyTorch after asking, by Slicer's PyTorch extension where it is there. Runs in the main thread."""

from __future__ import annotations

import importlib
import importlib.util

import slicer

REQUIREMENT = "torch>=2.2"
OFFLINE = (
    "PyTorch could not be installed: {reason}\n\nWithout internet, install it once from a file: "
    "download the torch "
    "wheel for this Python on another computer, then in the Python console type "
    "slicer.util.pip_install(r'path to the .whl file')."
)


def torch_is_there() -> bool:
    """Whether Python would find torch, without importing it (which takes seconds)."""
    importlib.invalidate_caches()
    return importlib.util.find_spec("torch") is not None


def install_torch() -> tuple[bool, str]:
    """Ask, then install; whether torch is there now, and a sentence for the panel."""
    question = (
        "LiverLesionAI needs PyTorch, which is not part of Slicer. Install it now? It is downloaded "
        "once (0.2 to 3 GB) "
        "and takes some minutes; Slicer does not answer meanwhile."
    )
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle="Install PyTorch"):
        return False, "PyTorch was not installed. The analysis needs it; the button above installs it."
    try:
        with slicer.util.WaitCursor():
            _install()
    except Exception as error:
        # pip's failures come in any class; the reader needs the way out, the log has the rest.
        return False, OFFLINE.format(reason=str(error).strip().splitlines()[-1] if str(error).strip() else "")
    if torch_is_there():
        return True, "PyTorch is installed."
    return False, "PyTorch was installed but is not found. Restart Slicer."


def _install() -> None:
    if importlib.util.find_spec("PyTorchUtils") is not None:
        import PyTorchUtils

        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False) is None:
            raise RuntimeError("the PyTorch extension reports no success")
        return
    slicer.util.pip_install(REQUIREMENT)
