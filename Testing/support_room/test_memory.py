"""Freed memory is kept for the next layer, where the C library can be told so."""

from __future__ import annotations

import subprocess
import sys

import pytest
from LiverLesionAILib.support.memory import keep_freed_memory

FAULTS = """
import resource, sys
import numpy as np
from LiverLesionAILib.support.memory import keep_freed_memory

told = keep_freed_memory({}) if sys.argv[1] == "kept" else True
def layers(count):
    for _ in range(count):
        # As torch asks: with malloc, several at once, all freed before the next ones.
        held = [np.ones(16 << 20, np.uint8) for _ in range(5)]
        del held
layers(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
layers(20)
print(int(told), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_pages_are_not_asked_for_again() -> None:
    faults = {}
    for how in ("kept", "as it was"):
        ran = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        told, faults[how] = map(int, ran.stdout.split())
        if not told:
            pytest.skip("another C library")
    assert faults["kept"] < 200 < faults["as it was"]


def test_what_the_user_set_stays() -> None:
    assert not keep_freed_memory({"MALLOC_TRIM_THRESHOLD_": "1"})
