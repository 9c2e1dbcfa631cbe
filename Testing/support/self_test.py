"""The module's self-test in the stand-in, with the bundled networks, as the application's Self Tests run it.

``python Testing/support/self_test.py [WORD ...]``: methods whose names hold one of them; without any, all.
The status is 1 where one fails; a skipped one says why, and is no success. It takes minutes on a CPU: for the
story of the follow-up two scans are analysed.
"""

from __future__ import annotations

import sys
import time
import unittest
from pathlib import Path

# As a program it finds the modules beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.desk import Desk


def run(wanted: list[str]) -> int:
    """Run the methods and say what became of each.

    Raises:
        SystemExit: no method has such a name.
    """
    desk = Desk(None)
    try:
        case = desk.module.LiverLesionAITest
        names = unittest.defaultTestLoader.getTestCaseNames(case)
        chosen = [n for n in names if not wanted or any(word.lower() in n.lower() for word in wanted)]
        if not chosen:
            raise SystemExit(f"No method has such a name; there are {', '.join(names)}.")
        good = True
        for name in chosen:
            result, started = unittest.TestResult(), time.monotonic()
            case(name).run(result)
            bad = [*result.failures, *result.errors]
            said = "failed" if bad else f"skipped: {result.skipped[0][1]}" if result.skipped else "passed"
            print(
                f"{name}: {said} ({time.monotonic() - started:.0f} s)", *(text for _, text in bad), flush=True
            )
            good &= said == "passed"
        return 0 if good else 1
    finally:
        desk.close()


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
