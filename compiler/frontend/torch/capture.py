"""Capture of one step of a model as a graph of ATen calls, without its weights."""

# pyright: standard

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch

from steelyard.compiler.blocks.layer_values import LayersDiffer
from steelyard.compiler.frontend.adapt.advice import advice_on
from steelyard.compiler.frontend.adapt.assumptions import collecting
from steelyard.compiler.frontend.adapt.attention_dropout import FusedDropoutAttention
from steelyard.compiler.frontend.adapt.cuda_autocast import cuda_autocast
from steelyard.compiler.frontend.adapt.eager import is_compiled
from steelyard.compiler.frontend.adapt.named_tensors import named_tensors
from steelyard.compiler.frontend.model import BuiltModel, LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.call_site import find_raising_line
from steelyard.compiler.frontend.torch.fake_module import copying_fakes
from steelyard.compiler.frontend.torch.optimizer import describe_optimizer, optimizer_of
from steelyard.compiler.frontend.torch.program import CapturedProgram, Phase
from steelyard.compiler.frontend.torch.recorder import CONSTANT, Recorder
from steelyard.compiler.frontend.torch.skipping import StackRun
from steelyard.compiler.frontend.torch.stacks import LayerStack, find_stacks
from steelyard.compiler.frontend.torch.torch_private import (
    DATA_DEPENDENT,
    FakeTensorMode,
    bounded_fallbacks,
    keeping_values,
    silent_failures,
)
from steelyard.compiler.frontend.torch.training_step import (
    forward_step,
    training_step,
)
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.hw.base.errors import CaptureError, SteelyardError
from steelyard.hw.base.units import format_bytes

_MOST_REAL_BYTES = 64 * 2**20
"""Bytes that an op without a shape rule may be tried on."""

_REAL_SHARE = 0.25
"""Part of the free memory that weights, gradients and state of a step that really runs may take."""

_TRAINED = 4
"""Weight, gradient and two numbers of optimizer state."""


class DataNeededError(CaptureError):
    """A value decides a size or a branch."""


def capture(model: LoadedModel, options: CaptureOptions) -> CapturedProgram:
    """Record what eager PyTorch dispatches for one step of `model` on CPU.

    Nothing is computed and no weight is allocated: all tensors are fake. A step in which values decide a size
    or a branch is run on real tensors instead, where these are small. The training step is in its steady
    state (optimizer state exists, gradients do not).

    Raises:
        CaptureError: The model rejects its inputs, or needs data and is too large to run.
    """
    try:
        with fake_tensors(), _explained(model.spec):
            return record(model.build(fake=True), model.spec, options, is_fake=True)
    except DataNeededError as needed:
        return _capture_real(model, options, needed)


def _capture_real(model: LoadedModel, options: CaptureOptions, needed: DataNeededError) -> CapturedProgram:
    """Record the step while it really runs, with random weights and the example inputs.

    Raises:
        CaptureError: Its weights, gradients and optimizer state take too much of this machine's memory.
    """
    needs_bytes = _state_bytes(model) * (_TRAINED if options.train else 1)
    has_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    if needs_bytes > _REAL_SHARE * has_bytes:
        raise CaptureError(
            what=needed.what,
            where=needed.where,
            why=f"{needed.why}; with real data it would take {format_bytes(needs_bytes)} and more, "
            f"and {format_bytes(has_bytes)} are free",
            fix="weigh it with fewer layers, or on a machine with more memory",
        )
    with _explained(model.spec), torch.random.fork_rng(devices=[]):
        program = record(model.build(fake=False), model.spec, options)
    line = f" ({needed.where})" if needed.where else ""
    sentence = f"{needed.why}{line}: the step ran on its example inputs, with random weights"
    return replace(program, assumptions=(*program.assumptions, sentence))


def real_constants(
    program: CapturedProgram, model: LoadedModel, options: CaptureOptions
) -> dict[str, torch.Tensor]:
    """Return the constants of a program with their values.

    Those that a capture with fake tensors meets as fakes, such as a table that the model makes and does not
    register, are found by a step on real tensors.
    """
    buffers = {argument.path for argument in program.arguments if argument.role == "buffer"}
    known = {*program.constants, *(path for path in buffers if not path.startswith(CONSTANT))}
    if buffers <= known:
        return program.constants
    with torch.random.fork_rng(devices=[]):
        return record(model.build(fake=False), model.spec, options).constants


def _state_bytes(model: LoadedModel) -> int:
    """Bytes of the parameters and buffers; 0 where building needs data itself."""
    try:
        with fake_tensors():
            module = model.build(fake=True).module
    except Exception:
        return 0
    return sum(each.numel() * each.element_size() for each in (*module.parameters(), *module.buffers()))


def capture_few(model: LoadedModel, options: CaptureOptions) -> tuple[CapturedProgram, dict[str, int]]:
    """Capture with only a few layers of each stack; see `StackRun`.

    Returns:
        The program, and by path how many blocks each stack has.

    Raises:
        CaptureError: As for `capture`.
        LayersDiffer: The layers of a stack differ.
    """
    with fake_tensors(), _explained(model.spec):
        built = model.build(fake=True)
        once = built.step is None and built.micro_steps == 1  # a block that runs twice is no layer of one run
        stacks = find_stacks(built.module) if once else ()
        program = record(built, model.spec, options, is_fake=True, stacks=stacks)
        return program, {stack.path: len(stack.blocks) for stack in stacks}


def record(
    built: BuiltModel,
    spec: str,
    options: CaptureOptions,
    *,
    is_fake: bool = False,
    stacks: Sequence[LayerStack] = (),
) -> CapturedProgram:
    """Record one step of a built model; with real tensors, the step is really executed.

    Args:
        built: The model.
        spec: Its SPEC.
        options: The step.
        is_fake: Whether its tensors are fake.
        stacks: Those of which only a few blocks shall run.
    """
    recorder = Recorder(built.module, is_fake=is_fake)
    runs = [StackRun(stack, lambda: recorder.num_ops) for stack in stacks]
    optimizer = optimizer_of(built, options) if options.train else None
    _add_arguments(recorder, built, optimizer)

    def enter(phase: Phase) -> None:
        recorder.phase = phase

    of_cuda = _kernels_of_cuda(options) if options.cuda and is_fake else nullcontext()
    with without_collector(), of_cuda, recorder.recording(), collecting() as assumptions:
        results = (
            training_step(built, optimizer, options, enter) if options.train else forward_step(built, options)
        )
    for run in runs:
        run.finish()
    return CapturedProgram(
        "step" if options.train else "forward",
        spec,
        recorder.finish(tuple(results.values())),
        tuple(recorder.arguments),
        tuple(results),
        recorder.constants,
        (*_assumptions(built, optimizer), *assumptions),
    )


@contextmanager
def _kernels_of_cuda(options: CaptureOptions) -> Iterator[None]:
    """Take what torch does on a GPU where it does otherwise on the CPU of the capture."""
    with FusedDropoutAttention(), cuda_autocast() if options.autocast else nullcontext():
        yield


def _assumptions(built: BuiltModel, optimizer: torch.optim.Optimizer | None) -> Iterator[str]:
    if optimizer is not None:
        yield f"the optimizer is {describe_optimizer(optimizer)}"
    if is_compiled(built.module):
        yield "what torch.compile wraps is weighed as it runs eagerly"


def _add_arguments(recorder: Recorder, built: BuiltModel, optimizer: torch.optim.Optimizer | None) -> None:
    for path, parameter in built.module.named_parameters():
        recorder.add_argument(parameter, "parameter", path)
    for path, buffer in built.module.named_buffers():
        recorder.add_argument(buffer, "buffer", path)
    for name, value in named_tensors(dict(built.inputs)):
        recorder.add_argument(value, "target" if name in built.targets else "input", name)
    if optimizer is None:
        return
    for path, parameter in built.module.named_parameters():
        for key, state in optimizer.state.get(parameter, {}).items():
            if isinstance(state, torch.Tensor):
                recorder.add_argument(state, "optimizer_state", f"{path}.{key}")


@contextmanager
def fake_tensors() -> Iterator[None]:
    """Make all tensors fake: shapes without memory, and known values where these are small."""
    fakes = FakeTensorMode(allow_non_fake_inputs=True)  # constants of the user's file are real
    with fakes, copying_fakes(), keeping_values(), bounded_fallbacks(_MOST_REAL_BYTES), silent_failures():
        yield


@contextmanager
def _explained(spec: str) -> Iterator[None]:
    try:
        yield
    except (SteelyardError, LayersDiffer):
        raise
    except DATA_DEPENDENT as error:
        raise DataNeededError(
            what=f"{spec}: control flow or a shape depends on the value of a tensor",
            where=find_raising_line(error),
            why=f"{str(error.func).removesuffix('.default')} depends on data",
        ) from error
    except Exception as error:
        raise CaptureError(
            what=f"{spec}: the model cannot run a step",
            where=find_raising_line(error),
            why=f"{type(error).__name__}: {error}",
            fix=advice_on(error),
        ) from error
