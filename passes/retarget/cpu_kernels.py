"""Kernels that only CPUs have and that no rewrite replaces: said in the assumptions of a program."""

from collections import Counter

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr

from steelyard.compiler.dialects.program import ASSUMPTIONS, assumptions
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name

_MARKS = ("mkldnn", "_for_cpu", "onednn")


def note_cpu_kernels(module: ModuleOp) -> None:
    """Add a sentence to a program for a GPU that names the kernels of CPUs which are left in it."""
    names = [operator_name(op) for op in module.walk() if isinstance(op, TorchOp)]
    found = Counter(name for name in names if any(mark in name for mark in _MARKS))
    if not found:
        return
    listed = ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))
    sentence = f"kernels of CPUs are weighed in the place of the GPU's own: {listed}"
    known = assumptions(module)
    if sentence not in known:
        module.attributes[ASSUMPTIONS] = ArrayAttr([StringAttr(each) for each in (*known, sentence)])
