"""Count the Python files and lines of the four folders at commits: `make lines`.

python benchmarks/lines.py 545266a HEAD
"""

import subprocess
from itertools import pairwise
from pathlib import Path
from statistics import median

from report import Report, arguments

ROOT = Path(__file__).parents[1]
FOLDERS = ("hw", "compiler", "passes", "runtime")


def lines(commit: str, folder: str) -> list[int]:
    """Return the lines of each Python file that is not empty."""
    command = ["git", "grep", "--count", "", commit, "--", f"{folder}/*.py"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [int(line.rpartition(":")[2]) for line in found.splitlines()]


def main() -> None:
    commits = arguments() or ["HEAD"]
    report = Report(
        "lines",
        "Lines of Python",
        f"Files, lines and the median file of the folders at {' and '.join(commits)}.",
        {"commit": "", "folder": "", "files": ",", "lines": ",", "median file": ",.0f", "longest": ","},
    )
    totals = list[int]()
    for commit in commits:
        counts = {folder: lines(commit, folder) for folder in FOLDERS}
        counts["all"] = [each for found in counts.values() for each in found]
        for folder, found in counts.items():
            report.add(commit, folder, len(found), sum(found), median(found), max(found))
        totals.append(sum(counts["all"]))
    changes = ", ".join(f"{after - before:+,}" for before, after in pairwise(totals))
    report.finish(f"{totals[-1]:,} lines{f' ({changes})' * bool(changes)}")


if __name__ == "__main__":
    main()
