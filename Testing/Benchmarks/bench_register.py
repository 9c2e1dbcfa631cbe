"""Seconds to bring one liver into line with another, rigid and bent: at most 15 s on two cores.

Run: ``python Testing/Benchmarks/bench_register.py [--pairs 3] [--outlined CT CT]``. Simulated follow-ups of
one synthetic body, and two outlined CTs (X_ct.nii.gz with X_mask.nii.gz) of one patient both ways.
Wall time with two threads, so run it on a quiet machine; the processor time is told beside it. Exit status 1
where a registration takes longer, or is refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

import SimpleITK as sitk
from LiverLesionAILab.evaluation.both_ways import outlined
from LiverLesionAILab.evaluation.followups import SEED, body_base
from LiverLesionAILab.synthesis.followups import SimulatedScan, draw_pair
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.followup.register import AlignSettings, ScanLiver, register_livers

MOST_S = 15.0


def scan_of(scan: SimulatedScan) -> ScanLiver:
    """What registration sees of a simulated scan."""
    return ScanLiver(scan.volume.hu_zyx, scan.liver_zyx, scan.volume.geometry)


def outlined_scan(path: Path) -> ScanLiver:
    """What registration sees of an outlined CT."""
    read = outlined(path)
    assert read.volume is not None
    return ScanLiver(read.volume.hu_zyx, read.result.liver_zyx, read.result.geometry)


def main() -> int:
    """Register the pairs and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--outlined", type=Path, nargs=2, metavar="CT")
    args = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
    todo: list[tuple[str, ScanLiver, ScanLiver]] = []
    base = body_base(0) if args.pairs else None
    for k in range(args.pairs):
        pair = draw_pair(base, np.random.default_rng((SEED, 0, k)), f"pair {k}")
        todo.append((pair.name, scan_of(pair.prior), scan_of(pair.current)))
    if args.outlined:
        one, other = (outlined_scan(path) for path in args.outlined)
        todo += [("outlined, there", one, other), ("outlined, back", other, one)]
    worst, refused, limits = 0.0, False, Rules().part(AlignSettings)
    for name, prior, current in todo:
        started, used = time.perf_counter(), time.process_time()
        found = register_livers(prior, current)
        seconds, processor = time.perf_counter() - started, time.process_time() - used
        refused |= found is None or found.failed(limits)
        worst = max(worst, seconds)
        quality = "no liver" if found is None else f"Dice {found.dice:.3f}, outlines {found.gap_mm:.1f} mm"
        print(f"{name}: {seconds:5.1f} s ({processor:.1f} s of processor), {quality}")
    print(f"slowest {worst:.1f} s of {MOST_S:.0f} s allowed")
    return int(worst > MOST_S or refused)


if __name__ == "__main__":
    sys.exit(main())
