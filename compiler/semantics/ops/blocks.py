"""Kernels of one step over all elements of one tensor, which they move in ways of their own."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import Step, fused
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_work import WorkKind

_COPIES = (
    "diagonal_copy block_diag lu_unpack view_copy split_with_sizes_copy split_copy unbind_copy _chunk_cat"
    " resize_as select_copy view_as_real_copy view_as_complex_copy"
    " _pack_padded_sequence _pack_padded_sequence_backward"
)
# Operations at each element: of the first operand, or of the first result. A state of CTC joins three others
# by logsumexp; its gradient likewise.
_OF_OPERAND: dict[str, tuple[WorkKind, Flops]] = {
    "col2im": ("scatter", Flops(pointwise=1)),
    **{
        f"{mode}_pad{rank}d_backward": ("scatter", Flops(pointwise=1))
        for mode in ("reflection", "replication")
        for rank in (1, 2, 3)
    },
    "_weight_norm_interface": ("normalization", Flops(pointwise=3)),
    "_weight_norm_interface_backward": ("normalization", Flops(pointwise=5)),
    "renorm": ("normalization", Flops(pointwise=3)),
    "segment_reduce": ("reduction", Flops(pointwise=1)),
    "_segment_reduce_backward": ("reduction", Flops(pointwise=1)),
    "diagonal_backward": ("copy", Flops()),
    "max_unpool2d": ("scatter", Flops()),
    "max_unpool3d": ("scatter", Flops()),
    "fractional_max_pool2d": ("reduction", Flops(pointwise=1)),
    "fractional_max_pool3d": ("reduction", Flops(pointwise=1)),
    "fractional_max_pool2d_backward": ("scatter", Flops(pointwise=1)),
    "fractional_max_pool3d_backward": ("scatter", Flops(pointwise=1)),
    "isin": ("reduction", Flops(pointwise=1)),
    "multi_margin_loss": ("reduction", Flops(pointwise=4)),
    "multilabel_margin_loss_forward": ("reduction", Flops(pointwise=4)),
    "dist": ("reduction", Flops(pointwise=3)),
    "linalg_cross": ("pointwise", Flops(pointwise=3)),
    "histogram": ("scatter", Flops(pointwise=2)),
    "_histogramdd_from_bin_tensors": ("scatter", Flops(pointwise=2)),
    "_histogramdd_from_bin_cts": ("scatter", Flops(pointwise=2)),
    "_histogramdd_bin_edges": ("reduction", Flops(pointwise=2)),
    "_unsafe_masked_index": ("gather", Flops()),
    "_unsafe_masked_index_put_accumulate": ("scatter", Flops(pointwise=1)),
    "nonzero_static": ("gather", Flops()),
    **{name: ("copy", Flops()) for name in _COPIES.split()},
}
_OF_RESULT: dict[str, tuple[WorkKind, Flops]] = {
    "glu": ("pointwise", Flops(pointwise=3, transcendental=2)),
    "glu_backward": ("pointwise", Flops(pointwise=4, transcendental=1)),
    "diag_embed": ("copy", Flops()),
    "_ctc_loss": ("reduction", Flops(pointwise=7, transcendental=4)),
    "_ctc_loss_backward": ("reduction", Flops(pointwise=7, transcendental=4)),
    "_cudnn_ctc_loss": ("reduction", Flops(pointwise=14, transcendental=8)),
}


def _declare(name: str, kind: WorkKind, flops: Flops, of_result: bool) -> None:
    def rule(call: OpCall) -> OpWork:
        counted = max(call.outputs, key=lambda each: each.type.numel) if of_result else next(call.tensors)
        return fused(call, kind, (Step({"element": counted.type.numel}, flops),))

    register(f"aten.{name}", rule)


for _name, _each in _OF_OPERAND.items():
    _declare(_name, *_each, of_result=False)
for _name, _each in _OF_RESULT.items():
    _declare(_name, *_each, of_result=True)
