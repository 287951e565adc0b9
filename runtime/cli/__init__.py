"""The command line: one file for each verb."""

from steelyard.runtime.cli.main import main as main
