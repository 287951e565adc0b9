"""Tables in aligned columns for people."""

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[-+]?[0-9]|-?$")


def format_aligned(header: Sequence[str], records: Sequence[Sequence[str]]) -> str:
    """Return a table in columns: words to the left, numbers to the right."""
    lines = [header, *records]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    words = [not all(_NUMBER.match(cell) for cell in column) for column in zip(*records, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if word else cell.rjust(width)
            for cell, width, word in zip(line, widths, words, strict=True)
        ).rstrip()
        for line in lines
    )
