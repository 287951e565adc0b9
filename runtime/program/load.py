"""Loading of programs: a SPEC is captured, a file is read."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeGuard, cast

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.frontend.options import CaptureOptions, no_effect
from steelyard.compiler.frontend.spec import load_spec
from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.compiler.ir.text import parse_program, read_program
from steelyard.compiler.pass_infra.contract import drop_annotations
from steelyard.compiler.pass_infra.totals import read_totals
from steelyard.hw.devices.registry import load_device
from steelyard.passes.annotate.annotate_cost import AnnotateCostPass
from steelyard.passes.retarget.retarget import RetargetPass
from steelyard.passes.structure.inline import InlinePass

if TYPE_CHECKING:
    from steelyard.compiler.frontend.model import LoadedModel


def load_program(
    spec: "str | LoadedModel", choices: dict[str, Any], *, device: str | None = None, flat: bool = True
) -> ModuleOp:
    """Capture a model, or read a `.mlir` file without its annotations; what the model prints goes to stderr.

    Args:
        spec: A SPEC, a `.mlir` file, `-` for a program on stdin, or a model that is loaded already.
        choices: Arguments of `CaptureOptions`, and `allow_pickle` of `load_spec`; none for a `.mlir` file,
            which was captured with its own.
        device: Whose kernels the program gets; those of a CPU, or of the file, where not given.
        flat: Make one function of a captured model. Otherwise it calls one for each of many equal blocks, and
            passes take no longer for many than for a few.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read, or an option has no effect.
    """
    is_cuda = device is not None and load_device(device).is_cuda

    def retarget(module: ModuleOp) -> None:
        if device:
            RetargetPass(device=device).apply(make_context(), module)

    if is_program(spec):
        for name in choices:
            raise no_effect(
                name, spec, "a program in a file was captured with its own", "capture it anew with that"
            )
        module = parse_program(_read_once(sys.stdin), "<stdin>") if spec == "-" else read_program(Path(spec))
        drop_annotations(module)
        retarget(module)
        return module
    # torch is imported only here, so that programs in files are weighed and mistakes found without it
    with redirect_stdout(sys.stderr), without_collector():
        model, options = load_model(spec, choices)
        options = replace(options, cuda=is_cuda)
        from steelyard.compiler.frontend.lower import lower

        module = lower(model, options, retarget)
    if options.dropout and not _draws(module):
        raise no_effect("dropout", model.spec, "no op of its step draws random numbers")
    if flat:
        InlinePass().apply(make_context(), module)
    return module


def _draws(module: ModuleOp) -> bool:
    """Whether an op may draw random numbers; one of unknown work may."""
    facts = OpInfoCache()
    works = (facts.read(op).work for op in module.walk() if isinstance(op, TorchOp))
    return any(work is None or work.is_random for work in works)


def is_program(spec: "str | LoadedModel") -> TypeGuard[str]:
    """Whether a SPEC is a program that was captured already: a `.mlir` file, or stdin."""
    return isinstance(spec, str) and (spec == "-" or spec.endswith(".mlir"))


@cache
def _read_once(stream: TextIO) -> str:
    """Contents of a stream, which may be asked for more than once."""
    return stream.read()


def load_costed(spec: "str | LoadedModel", choices: dict[str, Any], device: str = "cpu") -> ModuleOp:
    """As `load_program`, with `cost.work` on every op.

    Raises:
        SteelyardError: The model cannot be captured, or the file not be read.
    """
    module = load_program(spec, choices, device=device)
    AnnotateCostPass().apply(make_context(), module)
    return module


def step_time_us(module: ModuleOp) -> float:
    """The annotated step time of a program, in microseconds."""
    latency = cast("Mapping[str, float]", read_totals(module)["latency"])
    return latency["value_us"]


def load_model(spec: "str | LoadedModel", choices: dict[str, Any]) -> "tuple[LoadedModel, CaptureOptions]":
    """Load the model of a SPEC that is no `.mlir` file, and its capture options.

    Raises:
        SteelyardError: The SPEC is unknown or its model cannot be built.
    """
    allow_pickle = choices.get("allow_pickle", False)
    options = CaptureOptions(**{name: choice for name, choice in choices.items() if name != "allow_pickle"})
    model = load_spec(spec, options, allow_pickle=allow_pickle) if isinstance(spec, str) else spec
    if options.channels_last:
        from steelyard.compiler.frontend.channels_last import ChannelsLast

        model = ChannelsLast(model)
    return model, options
