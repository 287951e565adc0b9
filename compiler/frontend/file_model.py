"""Models returned by a function in a user's Python file."""

# pyright: standard

import runpy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from steelyard.compiler.frontend.adapt.cuda_on_cpu import CudaOnCpu
from steelyard.compiler.frontend.adapt.default_loss import sum_of_first_output
from steelyard.compiler.frontend.adapt.eager import eagerly
from steelyard.compiler.frontend.adapt.example_inputs import bind_inputs
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions, parse_dtype
from steelyard.compiler.frontend.torch.fake_module import converting_fakes
from steelyard.hw.base.errors import CaptureError, did_you_mean


@dataclass(frozen=True, slots=True)
class FileModel:
    """A function that returns `(module, example_inputs)` or `(module, example_inputs, loss)`.

    The inputs are a tensor, a tuple of positional or a mapping of keyword arguments; see `bind_inputs`.
    `loss` takes the outputs of the module and returns a scalar; see `sum_of_first_output` for the default. In
    a capture the function runs with fake tensors, so its weights take no memory. The dtype of the options is
    torch's default while it runs. Code for CUDA runs on the CPU.
    """

    spec: str
    make: Callable[[], Any]
    options: CaptureOptions
    cuda_on_cpu: CudaOnCpu = field(default_factory=CudaOnCpu)

    def build(self, *, fake: bool, seed: int = 0) -> BuiltModel:
        """Call the function; see `LoadedModel`."""
        torch.manual_seed(seed)
        with self.cuda_on_cpu, eagerly(), converting_fakes() if fake else nullcontext():
            module, inputs, *loss = self._call()
        module.train(self.options.train)
        if not self.options.dropout:
            _turn_off_dropout(module)
        arguments, num_positional = bind_inputs(module, inputs)
        differentiated = loss[0] if loss else sum_of_first_output
        return BuiltModel(
            module,
            arguments,
            differentiated,
            num_positional=num_positional,
            context=self.cuda_on_cpu.during_step,
        )

    def _call(self) -> tuple[Any, ...]:
        with _default_dtype(parse_dtype(self.options.dtype)):
            made = self.make()
        if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], torch.nn.Module):
            return made
        raise CaptureError(
            what=f"{self.spec} did not return a model",
            why=f"it returned {type(made).__name__}",
            fix="return (module, example_inputs) or (module, example_inputs, loss)",
        )


def load_file(spec: str, options: CaptureOptions) -> FileModel:
    """Run the file of `path/to/file.py:function` and find the function in it.

    Raises:
        CaptureError: There is no such file or function, or the file fails.
    """
    path, _, function = spec.rpartition(":")
    if not Path(path).is_file():
        raise CaptureError(what=f"there is no file {path!r}", where=spec)
    cuda_on_cpu = CudaOnCpu()
    try:
        with cuda_on_cpu, eagerly():
            names: Mapping[str, Any] = runpy.run_path(path)
    except Exception as error:
        raise CaptureError(
            what=f"{path} cannot be run", where=spec, why=f"{type(error).__name__}: {error}"
        ) from error
    functions = [name for name, value in names.items() if callable(value)]
    if function not in functions:
        raise CaptureError(
            what=f"{path} has no function {function!r}", where=spec, fix=did_you_mean(function, functions)
        )
    return FileModel(spec, names[function], options, cuda_on_cpu)


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _turn_off_dropout(module: torch.nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p = 0.0
        elif isinstance(part, torch.nn.MultiheadAttention):
            part.dropout = 0.0
