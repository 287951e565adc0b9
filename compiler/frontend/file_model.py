"""Models returned by a function in a user's Python file."""

# pyright: standard

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from steelyard.compiler.frontend.adapt.advice import advice_on
from steelyard.compiler.frontend.adapt.cuda_on_cpu import CudaOnCpu
from steelyard.compiler.frontend.adapt.default_loss import sum_of_first_output
from steelyard.compiler.frontend.adapt.eager import eagerly
from steelyard.compiler.frontend.adapt.example_inputs import bind_inputs
from steelyard.compiler.frontend.model import BuiltModel
from steelyard.compiler.frontend.options import CaptureOptions, no_effect, parse_dtype
from steelyard.compiler.frontend.source_file import run_source
from steelyard.compiler.frontend.torch.fake_module import converting_fakes
from steelyard.hw.base.errors import CaptureError, did_you_mean

_DEFAULTS = {"batch": 1, "sequence": 128, "image_size": 224, "attention": None}
"""Options that a function may take, with their values where neither the user nor the function has one."""


@dataclass(frozen=True, slots=True)
class FileModel:
    """A function that returns `(module, example_inputs)` or `(module, example_inputs, loss)`.

    It may take `batch`, `sequence`, `image_size`, `attention` and `dtype` (of torch) as parameters, which get
    the values of the options; an option that is given and that the function does not take is refused.

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
        dtype = parse_dtype(self.options.dtype)
        with _default_dtype(dtype):
            made = self.make(**_arguments(self.spec, self.make, self.options))
        if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], torch.nn.Module):
            self._require_dtype(made[0], dtype)
            return made
        raise CaptureError(
            what=f"{self.spec} did not return a model",
            why=f"it returned {type(made).__name__}",
            fix="return (module, example_inputs) or (module, example_inputs, loss)",
        )

    def _require_dtype(self, module: torch.nn.Module, dtype: torch.dtype) -> None:
        found = {str(each.dtype).removeprefix("torch.") for each in module.parameters()}
        if dtype is not torch.float32 and found and self.options.dtype not in found:
            raise no_effect(
                "dtype",
                self.spec,
                f"the function returns a module of {' and '.join(sorted(found))}",
                "let the function take `dtype` as a parameter and pass it on",
            )


def _arguments(spec: str, make: Callable[..., Any], options: CaptureOptions) -> dict[str, Any]:
    """The options that a function takes as parameters."""
    parameters = inspect.signature(make).parameters
    takes_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    arguments: dict[str, Any] = {"dtype": parse_dtype(options.dtype)} if "dtype" in parameters else {}
    for name, default in _DEFAULTS.items():
        value = getattr(options, name)
        if value is not None and name not in parameters and not takes_all:
            raise no_effect(name, spec, f"it is made without a parameter `{name}`", _advice(spec, name))
        if value is not None:
            arguments[name] = value
        elif name in parameters and parameters[name].default is inspect.Parameter.empty:
            arguments[name] = default
    return arguments


def _advice(spec: str, name: str) -> str | None:
    path, _, function = spec.rpartition(":")
    return f"let {function} take `{name}` as a parameter" if path.endswith(".py") else None


def load_file(spec: str, options: CaptureOptions) -> FileModel:
    """Run the file of `path/to/file.py:function` and find the function in it.

    Raises:
        CaptureError: There is no such file or function, or the file fails.
    """
    path, _, function = spec.rpartition(":")
    cuda_on_cpu = CudaOnCpu()
    try:
        with cuda_on_cpu, eagerly():
            names = run_source(Path(path))
    except Exception as error:
        raise CaptureError(
            what=f"{path} cannot be run",
            where=spec,
            why=f"{type(error).__name__}: {error}",
            fix=advice_on(error),
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
