"""Lowering of a model to a program in the IR."""

# pyright: standard

from collections.abc import Callable

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.blocks.compose import instantiate_layers
from steelyard.compiler.blocks.layer_values import LayersDiffer
from steelyard.compiler.frontend.model import LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import capture, capture_few
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.frontend.torch.version import warn_if_untried
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.hw.base.errors import CaptureError


def lower(
    model: LoadedModel, options: CaptureOptions, rewrite: Callable[[ModuleOp], None] = lambda module: None
) -> ModuleOp:
    """The program of one step of a model.

    Of a stack of equal layers only a few are captured; the program calls one function for each layer. Where
    layers turn out to differ, the whole model is captured. Inlined, both give the same program.

    Args:
        model: The model.
        options: Options of the capture.
        rewrite: Applied while the program is a single function.

    Raises:
        CaptureError: See `capture` and `import_program`.
    """
    warn_if_untried()
    with without_collector():
        try:
            program, stacks = capture_few(model, options)
            module = import_program(program, options)
            rewrite(module)
            instantiate_layers(module, stacks)
        except (LayersDiffer, CaptureError):
            module = import_program(capture(model, options), options)
            rewrite(module)
        return module
