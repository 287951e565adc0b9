"""The command line, one file a verb."""

from steelyard.runtime.cli.main import main as main
