"""`python tests/fuzz --seconds 120 --seed 1 [TARGET...]`: fuzz every parser and pass, and print counts.

Leaves with 1 if an input gave a traceback or exit 70, ran over a limit, or was accepted with numbers that
cannot be. A seed and a number of examples make the same inputs again.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic

from hypothesis import HealthCheck, Phase, given, seed, settings

_BATCH = 25


def fuzz(name: str, target: "Target", seconds: float, first_seed: int) -> Counter[str]:
    """Fuzz one way in for a time, print each distinct fault once, and return counts."""
    counts, faults = Counter[str](), set[str]()

    @settings(
        max_examples=_BATCH,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(target.cases)
    def once(case: Case) -> None:
        accepted, fault = attempt(target.main, case, target.check)
        counts["inputs"] += 1
        counts["accepted" if accepted else "refused"] += not fault
        counts["faults"] += fault is not None
        if fault and fault[:80] not in faults:
            faults.add(fault[:80])
            shown = {file: content[:2000] for file, content in case.files.items()}
            print(f"FAULT of {name}: {fault}\n  {' '.join(case.arguments)}\n  {shown}", flush=True)

    end, number = monotonic() + seconds, first_seed
    while not counts or monotonic() < end:
        seed(number)(once)()
        number += 1
    return counts


def main() -> int:
    """Fuzz the targets of the command line, print a row for each, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="TARGET")
    chosen = parser.parse_args()
    found = targets()
    names = chosen.names or list(found)
    total = Counter[str]()
    for name in names:
        counts = fuzz(name, found[name], chosen.seconds / len(names), chosen.seed)
        total += counts
        print(f"{name:14}" + "".join(f"{counts[key]:7} {key}" for key in _COLUMNS), flush=True)
    print(f"{'all':14}" + "".join(f"{total[key]:7} {key}" for key in _COLUMNS))
    if total["faults"]:
        return 1
    print(
        f"{total['inputs']} inputs: no traceback, no exit 70, no hang over {LIMIT_S} s, no growth over "
        f"{GROWTH_BYTES // 10**9} GB, no accepted impossible value"
    )
    return 0


_COLUMNS = ("inputs", "accepted", "refused", "faults")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="steelyard-fuzz-") as folder:
        here = Path.cwd()
        os.environ |= {"STEELYARD_PROFILES": "p.sqlite", "HF_HUB_OFFLINE": "1", "TMPDIR": folder}
        os.chdir(folder)
        from attempt import GROWTH_BYTES, LIMIT_S, Case, attempt
        from inputs import Target, targets

        code = main()
        os.chdir(here)
    sys.exit(code)
