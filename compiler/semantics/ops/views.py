"""Views: results that are another look at an argument, so that nothing is computed or moved."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops, IndexingMap
from steelyard.compiler.semantics.ops.copies import fill
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.ops.view_maps import (
    ViewMap,
    diagonal,
    expanded,
    identity,
    permuted,
    reshaped,
    selected,
    sliced,
    windows,
)
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import ExtentArgument, OpWork, Summand
from steelyard.hw.base.errors import IRError

# Views by their maps. Those of the last group have none: sparse and nested tensors, and `as_strided`, whose
# strides are those of the storage.
_SAME = (
    "detach alias lift lift_fresh contiguous positive requires_grad pin_memory resolve_conj resolve_neg conj"
    " _conj _neg_view real"
)
_RESHAPED = (
    "view _unsafe_view reshape reshape_as _reshape_alias view_as flatten unflatten ravel unsqueeze _ncf_view"
    " _ncf_unsqueeze"
)
_EXPANDED = "expand expand_as broadcast_to"
_PIECES = "split split_with_sizes unsafe_split unsafe_split_with_sizes chunk unsafe_chunk tensor_split"
_OTHERS = (
    "_fw_primal _indices _make_dual _nested_get_values _nested_view_from_buffer _nested_view_from_jagged"
    " _sparse_broadcast_to _test_autograd_multiple_dispatch_view _unpack_dual _values as_strided ccol_indices"
    " coalesce col_indices crow_indices dsplit hsplit vsplit imag indices row_indices slice_inverse values"
    " view_as_complex view_as_real"
)
_SIZES = ("size", "shape")

Maps = Callable[[OpCall, TensorType], "Sequence[ViewMap | None] | ViewMap | None"]


def view(call: OpCall, maps: Maps | None = None, stated: Sequence[ExtentArgument] = ()) -> OpWork:
    """All results share the storage of the first tensor given."""
    source = next(call.tensors)
    name = source.name.partition("[")[0]
    aliases = tuple((index, name) for index in range(len(call.results)))
    try:
        found = maps(call, source.type) if maps else None
    except (KeyError, IndexError):  # a call without the arguments that the map depends on
        found = None
    each = [found] if isinstance(found, ViewMap) else found or []
    spaces = [
        known.space(
            IndexingMap(source.name, source.type, known.source),
            IndexingMap(result.name, result.type, known.result),
        )
        for known, result in zip(each, call.outputs, strict=False)
        if known
    ]
    if len(spaces) < len(call.results):
        return OpWork("view", aliases=aliases)
    sizes = [tuple(index.dims) for index in spaces[0].writes[0].indices] if spaces else []
    unflattened = int(call.properties.get("dim", 0)) if "sizes" in call.properties else 0
    extents = (
        *stated,
        *(ExtentArgument(name, tuple(sizes)) for name in _SIZES),
        ExtentArgument("sizes", tuple(sizes[unflattened:])),
    )
    return OpWork("view", tuple(spaces), aliases, summands=(Summand((source.name,)),), extents=extents)


def _same(call: OpCall, source: TensorType) -> ViewMap | None:
    return identity(source.shape, call.results[0].shape)


def _reshape(call: OpCall, source: TensorType) -> ViewMap | None:
    if source.numel != call.results[0].numel:
        raise IRError(
            what=f"a view of {source.numel} elements has {call.results[0].numel}",
            why=f"the shapes are {list(source.shape)} and {list(call.results[0].shape)}",
        )
    return reshaped(source.shape, call.results[0].shape)


def _squeeze(call: OpCall, source: TensorType) -> ViewMap | None:
    """Dims that are named go; if none is, a block may lose more dims than the whole."""
    return _reshape(call, source) if "dim" in call.properties else None


def _expand(call: OpCall, source: TensorType) -> ViewMap | None:
    return expanded(source.shape, call.results[0].shape)


def _transpose(call: OpCall, source: TensorType) -> ViewMap | None:
    properties = call.properties
    first = properties.get("dim0", properties.get("axis0", -2))
    second = properties.get("dim1", properties.get("axis1", -1))
    order = [*range(len(source.shape))]
    if len(order) > 1:
        order[first], order[second] = order[second], order[first]
    return permuted(source.shape, order)


def _reverse(call: OpCall, source: TensorType) -> ViewMap | None:
    return permuted(source.shape, [*range(len(source.shape))][::-1])


def _permute(call: OpCall, source: TensorType) -> ViewMap | None:
    rank = len(source.shape)
    return permuted(source.shape, [dim % rank for dim in call.properties["dims"]])


def _move(call: OpCall, source: TensorType) -> ViewMap | None:
    rank = len(source.shape)
    given = (call.properties["source"], call.properties["destination"])
    taken, put = ([dim % rank for dim in ([each] if isinstance(each, int) else each)] for each in given)
    rest = iter([dim for dim in range(rank) if dim not in taken])
    moved = dict(zip(put, taken, strict=True))
    return permuted(source.shape, [moved[at] if at in moved else next(rest) for at in range(rank)])


def _slice(call: OpCall, source: TensorType) -> ViewMap | None:
    dim = int(call.properties.get("dim", 0)) % len(source.shape)
    size = source.shape[dim]
    start = int(call.properties.get("start") or 0)
    start = min(max(start + size if start < 0 else start, 0), size)
    return sliced(source.shape, call.results[0].shape, dim, start, int(call.properties.get("step", 1)))


def _split(call: OpCall, source: TensorType) -> list[ViewMap | None]:
    """Pieces of one size share the iteration dim along which they are cut."""
    dim = int(call.properties.get("dim", 0)) % len(source.shape)
    sizes = [result.shape[dim] for result in call.results]
    names = _piece_dims(call, dim)
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    pieces = zip(call.results, starts, names, strict=True)
    return [sliced(source.shape, result.shape, dim, start, name=name) for result, start, name in pieces]


def _select(call: OpCall, source: TensorType) -> ViewMap | None:
    dim = int(call.properties["dim"]) % len(source.shape)
    return selected(source.shape, dim, int(call.properties["index"]) % max(source.shape[dim], 1))


def _unbind(call: OpCall, source: TensorType) -> list[ViewMap | None]:
    dim = int(call.properties.get("dim", 0)) % len(source.shape)
    return [selected(source.shape, dim, index) for index in range(len(call.results))]


def _diagonal(call: OpCall, source: TensorType) -> ViewMap | None:
    properties, rank = call.properties, len(source.shape)
    dims = int(properties.get("dim1", -2)) % rank, int(properties.get("dim2", -1)) % rank
    return diagonal(source.shape, call.results[0].shape, int(properties.get("offset", 0)), dims)


def _unfold(call: OpCall, source: TensorType) -> ViewMap | None:
    dim = int(call.properties["dimension"]) % max(len(source.shape), 1)
    return windows(source.shape, call.results[0].shape, dim, int(call.properties["step"]))


def _piece_dims(call: OpCall, dim: int) -> list[str]:
    count = len(call.results)
    sizes = {result.shape[dim] for result in call.results if len(result.shape) > dim}
    return [f"d{dim}"] * count if len(sizes) <= 1 else [f"piece{at}" for at in range(count)]


def _cut_along(call: OpCall, *names: str) -> tuple[ExtentArgument, ...]:
    """Arguments that state an extent, or a place, along the dim that is taken apart."""
    if not names:
        return ()
    dim = int(call.properties.get("dim", 0)) % max(len(next(call.tensors).type.shape), 1)
    along = tuple((each,) for each in _piece_dims(call, dim))
    return tuple(ExtentArgument(name, along) for name in names)


_CONVERSIONS = (
    "to cpu cuda as_tensor _autocast_to_full_precision _autocast_to_reduced_precision _grad_sum_to_size"
)


@work(*(f"aten.{name}" for name in _CONVERSIONS.split()))
def conversion(call: OpCall) -> OpWork:
    """A view if there is nothing to convert, else a copy."""
    source, target = next(call.tensors), call.result()
    if source.type == target.type:
        return view(call, _same)
    if source.type.numel == target.type.numel:
        space = elementwise((source,), (target,), Flops())
        return OpWork("copy", (space,), summands=(Summand((source.name,)),))
    return OpWork(
        "reduction", (elementwise((source,), (), Flops(pointwise=1)), elementwise((), (target,), Flops()))
    )


@work(
    "aten.empty",
    "aten.empty_like",
    "aten.new_empty",
    "aten.new_empty_strided",
    "aten.empty_strided",
    "aten.empty_permuted",
    "aten.resize",
)
def nothing(call: OpCall) -> OpWork:
    """Memory is taken at most, and not touched."""
    return replace(fill(call), kind="view")


def _declare(names: str, maps: Maps | None, *stated: str) -> None:
    for name in names.split():
        register(f"aten.{name}", lambda call: view(call, maps, _cut_along(call, *stated)))


_declare(_SAME, _same)
_declare(_RESHAPED, _reshape)
_declare("squeeze", _squeeze)
_declare(_EXPANDED, _expand)
_declare("t transpose swapaxes swapdims adjoint mT mH matrix_H", _transpose)
_declare("numpy_T", _reverse)
_declare("permute", _permute)
_declare("moveaxis movedim", _move)
_declare("slice", _slice, "start", "end")
_declare("narrow", _slice, "start", "length")
_declare(_PIECES, _split, "split_size", "split_sizes")
_declare("select", _select)
_declare("unbind", _unbind)
_declare("diagonal linalg_diagonal", _diagonal)
_declare("unfold", _unfold)
_declare(_OTHERS, None)
register("_c10d_functional.wait_tensor", lambda call: view(call, _same))
