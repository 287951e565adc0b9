"""How lit runs the tests of passes: `lit tests/filecheck` from the root of the project."""

import sys
from pathlib import Path

import lit.formats

config.name = "steelyard"  # noqa: F821 - lit gives it
config.test_format = lit.formats.ShTest()  # noqa: F821
config.suffixes = [".mlir"]  # noqa: F821
config.test_source_root = str(Path(__file__).parent)  # noqa: F821
# The tools are those of the interpreter that runs lit, whatever PATH says.
config.environment["PATH"] = f"{Path(sys.executable).parent}:{config.environment['PATH']}"  # noqa: F821
