"""Users' code as a capture runs it: eagerly, without checks of values."""

# pyright: standard

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.distributions import Distribution

from steelyard.compiler.frontend.adapt.assumptions import assume
from steelyard.compiler.frontend.adapt.higher_order import as_python, flex_attention_trains


@contextmanager
def eagerly() -> Iterator[None]:
    """Run what torch.compile wraps and higher-order operators eagerly, and distributions without checks."""
    with ExitStack() as stack:
        compile_wrapped = torch.compile

        def compile_and_run_eagerly(*args: Any, **kwargs: Any) -> Any:
            compiled = compile_wrapped(*args, **kwargs)
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.enter_context(as_python())  # each of these operators compiles a wrapper of itself
            return compiled

        if "torch._dynamo" in sys.modules:  # importing it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(patch.object(torch, "compile", compile_and_run_eagerly))
        stack.enter_context(patch.object(Distribution, "_validate_args", False))
        stack.enter_context(flex_attention_trains())
        stack.enter_context(patch.object(torch.backends.mha, "get_fastpath_enabled", _refuse_fast_path))
        yield


def _refuse_fast_path() -> bool:
    """Keep attention and encoder layers from their fused inference path, whose ops have no parts to weigh.

    With a padding mask it packs what the mask leaves into a nested tensor, whose sizes are values.
    """
    if not torch.is_grad_enabled():
        assume("nn.MultiheadAttention and nn.TransformerEncoder run op by op and compute padded positions")
    return False


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether torch.compile wraps the module, a part of it, or the `forward` of one."""
    return any(
        hasattr(each, "_orig_mod")
        or each._compiled_call_impl is not None
        or hasattr(each.forward, "_torchdynamo_orig_callable")
        for each in module.modules()
    )
