"""Call sites of ops: the module path and the source line."""

# pyright: standard

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

_TORCH = str(Path(torch.__file__).parent) + os.sep
_OWN = str(Path(__file__).resolve().parents[1])
_STEP = "training_step.py"


@dataclass(frozen=True, slots=True)
class CallSite:
    """A module path, a `file:line`, and whether that line computes a loss."""

    path: str
    source: str
    is_loss: bool


class ModuleStack:
    """Stack of running modules, followed by forward hooks."""

    def __init__(self, root: torch.nn.Module) -> None:
        self._paths = {id(module): path for path, module in root.named_modules()}
        self._stack = [""]

    @property
    def path(self) -> str:
        """Path of the innermost running module; empty for the root and outside the model."""
        return self._stack[-1]

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow all module calls made inside."""
        # A module outside the model (a loss made on the fly) counts as its caller.
        enter = register_module_forward_pre_hook(
            lambda module, args: self._stack.append(self._paths.get(id(module), self.path))
        )
        leave = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _leave(self, module: torch.nn.Module, args: Any, result: Any) -> None:
        self._stack.pop()


def find_source() -> tuple[str, bool]:
    """Return the innermost `file:line` of the call stack outside torch, and whether a loss calls it.

    The line is empty where the step itself calls torch, as for the optimizer. A function counts as a loss if
    its name says so (`cross_entropy`, `ForCausalLMLoss`), which holds for torch and for transformers.
    """
    frame = sys._getframe(1)
    is_loss = False
    while frame is not None:
        code = frame.f_code
        is_loss = is_loss or _names_loss(code.co_name)
        if code.co_filename.endswith(_STEP) and _is_library(code.co_filename):
            break
        if not _is_library(code.co_filename):
            return f"{Path(code.co_filename).name}:{frame.f_lineno}", is_loss
        frame = frame.f_back
    return "", is_loss


@cache
def _names_loss(function: str) -> bool:
    return function.lower().endswith(("loss", "cross_entropy"))


@cache
def _is_library(filename: str) -> bool:
    return filename.startswith((_TORCH, "<")) or os.path.realpath(filename).startswith(_OWN)


def find_raising_line(error: BaseException) -> str:
    """Return the innermost `file:line` outside of torch and of the capture that `error` passed through."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not _is_library(filename):
            line = f"{filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return line
