"""Ops that only move data: copies, concatenation, padding, and the filling of new tensors."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import ExtentArgument, OpWork, Summand

_FILLS = (
    "zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full scalar_tensor zero"
    " _efficientzerotensor"
)
_SEQUENCES = "arange linspace logspace eye tril_indices triu_indices"
_SAME_PLACE = "clone _to_copy _conj_physical conj_physical alias_copy detach_copy"
# Elements move along the dims that these name (all, if they name none), ...
_ALONG_NAMED = "roll flip rot90 slice_copy slice_backward narrow_copy permute_copy repeat_interleave"
# ... along those whose extent changes, ...
_ALONG_RESIZED = (
    "constant_pad_nd _pad_circular repeat expand_copy reflection_pad1d reflection_pad2d reflection_pad3d"
    " replication_pad1d replication_pad2d replication_pad3d"
)
# ... along all but the first, the batch, ...
_WITHIN_SAMPLES = "channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle"
# ... or along any.
_ANYWHERE = (
    "transpose_copy t_copy as_strided_copy unfold_copy im2col _reshape_copy squeeze_copy unsqueeze_copy"
    " as_strided_scatter unfold_backward"
)


def rearrange(source: Value, source_dims: Sequence[str], target: Value, target_dims: Sequence[str]) -> OpWork:
    """Return the work of moving all of a tensor; along the dims that both name it keeps its place."""
    moved = set(source_dims).symmetric_difference(target_dims)
    take = iteration_space(
        " ".join(source_dims) + " ->",
        (source,),
        (),
        reduction=[d for d in source_dims if d in moved],
        combine="opaque",
    )
    put = iteration_space(
        "-> " + " ".join(target_dims),
        (),
        (target,),
        reduction=[d for d in target_dims if d in moved],
        combine="opaque",
    )
    extents = ExtentArgument("input_sizes", tuple((dim,) for dim in target_dims))
    return OpWork("copy", (take, put), extents=(extents,))


def _dims(value: Value, prefix: str = "d") -> list[str]:
    return [f"{prefix}{i}" for i in range(len(value.type.shape))]


def _named(call: OpCall, rank: int) -> set[int]:
    """The dims that a call names, all if it names none."""
    given = call.properties.get("dims", call.properties.get("dim"))
    named = (given,) if isinstance(given, int) else given
    return {dim % rank for dim in named} if named and rank else set(range(rank))


def _rearranged(call: OpCall, moved: Callable[[OpCall, int], set[int]]) -> OpWork:
    """Dims of equal extent keep their place unless elements move along them."""
    source, target = next(call.tensors), call.result()
    source_dims, target_dims = _dims(source, "from"), _dims(target, "to")
    if len(source_dims) != len(target_dims):
        return rearrange(source, source_dims, target, target_dims)
    touched = moved(call, len(source_dims))
    sizes = zip(source.type.shape, target.type.shape, strict=True)
    for i, (taken, put) in enumerate(sizes):
        if taken == put and i not in touched:
            source_dims[i] = target_dims[i] = f"d{i}"
    return rearrange(source, source_dims, target, target_dims)


def _same_place(call: OpCall) -> OpWork:
    source = next(call.tensors)
    space = elementwise((source,), (call.result(),), Flops())
    return OpWork("copy", (space,), summands=(Summand((source.name,)),))


@work("aten.tril", "aten.triu")
def triangle(call: OpCall) -> OpWork:
    """Whether an element is kept depends on its row and its column."""
    space = elementwise((next(call.tensors),), (call.result(),), Flops())
    return OpWork("copy", (replace(space, positional=frozenset([*space.dims][-2:])),))


def fill(call: OpCall) -> OpWork:
    """Every element of the results is written and nothing is read.

    The extents are those of a tensor (`zeros_like`), or stand in an argument `size`.
    """
    spaces = [elementwise((), (each,), Flops()) for each in call.outputs]
    like = next(call.tensors, None)
    if like and like.type.shape == call.outputs[0].type.shape and "size" not in call.properties:
        spaces = [replace(space, shapes=(replace(space.writes[0], value=like.name),)) for space in spaces]
    sizes = tuple((dim,) for dim in spaces[0].dims) if spaces else ()
    return OpWork("copy", tuple(spaces), extents=(ExtentArgument("size", sizes),))


def _sequence(call: OpCall) -> OpWork:
    """Every element is a function of its place."""
    spaces = [elementwise((), (each,), Flops()) for each in call.outputs]
    return OpWork("copy", tuple(replace(space, positional=frozenset(space.dims)) for space in spaces))


@work("aten.copy", "aten._copy_from")
def copy(call: OpCall) -> OpWork:
    """The second tensor, converted and broadcast, becomes the first."""
    source = tuple(call.tensors)[-1]
    return OpWork("copy", (elementwise((source,), (call.result(),), Flops()),))


@work("aten.fill")
def fill_with(call: OpCall) -> OpWork:
    """A value, perhaps in a tensor of one element, goes everywhere."""
    return OpWork("copy", (elementwise(tuple(call.tensors)[1:], (call.result(),), Flops()),))


@work("aten.select_backward")
def select_backward(call: OpCall) -> OpWork:
    """Zeros, with the gradient at one index."""
    source, target = call.arg("grad_output"), call.result()
    dims = _dims(target)
    kept = dims.copy()
    del kept[call.properties["dim"]]
    return rearrange(source, kept, target, dims)


def _cat(call: OpCall, default: int = 0) -> OpWork:
    """Tensors side by side along one dim: each is written at an offset."""
    target = call.result()
    dims = _dims(target)
    along = int(call.properties.get("dim", default)) % len(dims)
    parts = [each for each in call.tensors if each.type.numel]  # any cat takes an empty vector
    extents = [each.type.shape[along] if len(each.type.shape) == len(dims) else 1 for each in parts]
    offset = 0
    spaces: list[IterationSpace] = []
    for index, (each, extent) in enumerate(zip(parts, extents, strict=True)):
        own, put = dims.copy(), dims.copy()
        if len(each.type.shape) < len(dims):  # a stack has one dim more than its parts
            own.pop(along)
            put[along] = f"+{offset}"
        else:
            # Dims of one name are cut alike, which parts of one extent can be.
            own[along] = dims[along] if len(set(extents)) == 1 else f"part{index}"
            put[along] = f"{own[along]}+{offset}"
        spaces.append(iteration_space(f"{' '.join(own)} -> {' '.join(put)}", (each,), (target,)))
        offset += extent
    summands = tuple(Summand((each.name,)) for each in parts)
    return OpWork("copy", tuple(spaces) or (elementwise((), (target,), Flops()),), summands=summands)


@work("aten._local_scalar_dense", "aten.item")
def item(call: OpCall) -> OpWork:
    """One number goes to the host."""
    return OpWork("copy", (elementwise(tuple(call.tensors), (), Flops()),))


@work("aten.slice_scatter", "aten.select_scatter", "aten.diagonal_scatter")
def scatter_part(call: OpCall) -> OpWork:
    """A copy in which one part is another tensor."""
    base, part = call.arg("self"), call.arg("src")
    whole = elementwise((base,), (call.result(),), Flops())
    return OpWork("copy", (whole, elementwise((part,), (), Flops(), prefix="part")))


def _declare(names: str, moved: Callable[[OpCall, int], set[int]]) -> None:
    for name in names.split():
        register(f"aten.{name}", lambda call: _rearranged(call, moved))


for _name in _FILLS.split():
    register(f"aten.{_name}", fill)
for _name in _SEQUENCES.split():
    register(f"aten.{_name}", _sequence)
for _name in _SAME_PLACE.split():
    register(f"aten.{_name}", _same_place)
_declare(_ALONG_NAMED, _named)
_declare(_ALONG_RESIZED, lambda call, rank: set())
_declare(_WITHIN_SAMPLES, lambda call, rank: set(range(1, rank)))
_declare(_ANYWHERE, lambda call, rank: set(range(rank)))
for _name in ("cat", "concat", "stack", "vstack"):
    register(f"aten.{_name}", _cat)
register("aten.hstack", lambda call: _cat(call, default=min(len(call.results[0].shape) - 1, 1)))
