"""From a model to its program in the IR."""

# pyright: standard

from collections.abc import Callable

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.blocks.block_values import LayersDiffer
from steelyard.compiler.blocks.compose import instantiate_layers
from steelyard.compiler.frontend.model import LoadedModel
from steelyard.compiler.frontend.options import CaptureOptions
from steelyard.compiler.frontend.torch.capture import capture, capture_few
from steelyard.compiler.frontend.torch.import_graph import import_program
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.hw.base.errors import CaptureError


def lower(
    model: LoadedModel, options: CaptureOptions, rewrite: Callable[[ModuleOp], None] = lambda module: None
) -> ModuleOp:
    """The program of one step of a model.

    Of many blocks that are alike a few are captured, and the program calls a function for each; where blocks
    turn out not to do the same, all are captured. Inlined, it is the same program either way.

    Args:
        model: The model.
        options: The step.
        rewrite: Changes the program while it is one function.

    Raises:
        CaptureError: See `capture` and `import_program`.
    """
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
