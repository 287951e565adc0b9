"""What a verb says on stderr while it works."""

import sys


def say(message: str) -> None:
    """Write a line to stderr; stdout is for the artifact alone."""
    sys.stderr.write(message + "\n")
