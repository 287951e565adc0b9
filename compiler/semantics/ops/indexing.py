"""Gathers and scatters: ops in which data decide what is read or written."""

from collections.abc import Sequence

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import ExtentArgument, OpWork

_ADD = Flops(pointwise=1)
_NONE = Flops()
_MASKS = ("i1", "ui8")


@work("aten.embedding")
def embedding(call: OpCall) -> OpWork:
    """One row of the table for each index; only those rows are touched."""
    values = (call.arg("weight"), call.arg("indices"))
    return OpWork("gather", (iteration_space("?indices e, ... -> ... e", values, (call.result(),)),))


@work("aten.embedding_dense_backward")
def embedding_backward(call: OpCall) -> OpWork:
    """Zeros, to which each gradient is added at the row of its index."""
    table = call.result()
    zeros = iteration_space("-> v e", (), (table,))
    values = (call.arg("grad_output"), call.arg("indices"))
    added = iteration_space("... e, ... -> ?indices e", values, (table,), _ADD)
    return OpWork("scatter", (zeros, added), extents=(ExtentArgument("num_weights", (("v",),)),))


@work("aten.gather", "aten.take_along_dim")
def gather(call: OpCall) -> OpWork:
    """One element for each index."""
    source, index = call.arg("self"), call.arg("index")
    points = _names(index)
    taken = _fitting(source, index, call.properties["dim"])
    equation = f"{taken}, {points} -> {points}"
    return OpWork("gather", (iteration_space(equation, (source, index), (call.result(),)),))


@work("aten.index_select")
def index_select(call: OpCall) -> OpWork:
    """One slice for each index."""
    source, index = call.arg("self"), call.arg("index")
    if not source.type.shape:
        return OpWork("copy", (elementwise((source,), (call.result(),), _NONE),))
    names = _names(source).split()
    along = int(call.properties["dim"]) % len(names)
    taken = " ".join([*names[:along], "?index", *names[along:][1:]])
    points = " ".join([*names[:along], "i", *names[along:][1:]])
    return OpWork("gather", (iteration_space(f"{taken}, i -> {points}", (source, index), (call.result(),)),))


@work("aten.take")
def take(call: OpCall) -> OpWork:
    """One element of the flattened tensor for each index."""
    source, index = call.arg("self"), call.arg("index")
    points = _names(index)
    equation = f"{_unknown(source, 'index')}, {points} -> {points}"
    return OpWork("gather", (iteration_space(equation, (source, index), (call.result(),)),))


@work("aten.index", "aten._unsafe_index")
def index(call: OpCall) -> OpWork:
    """One slice of the tensor for each element of the indices, which are broadcast together.

    Where they name neighbouring dims, the dims of the indices take their place. Of a mask only the data say
    how many elements it names.
    """
    source, result = call.arg("self"), call.result()
    indices = call.list("indices")
    given = dict(call.operands).get("indices")
    named = [at for at, each in enumerate(given if isinstance(given, tuple) else ()) if each is not None]
    rank = max((len(each.type.shape) for each in indices), default=0)
    is_mask = any(each.type.dtype in _MASKS for each in indices)
    if is_mask or not named or named != [*range(named[0], named[0] + len(named))]:
        taken = iteration_space(f"{_unknown(source, 'indices')} -> {_names(result)}", (source,), (result,))
        return OpWork("gather", (taken, *_read_whole(indices)))
    points = [f"i{at}" for at in range(rank)]
    kept = [f"d{at}" for at in range(len(source.type.shape))]
    slices = [f"?{each.name}" for each in indices]
    before, after = kept[: named[0]], kept[named[-1] + 1 :]
    terms = [
        " ".join([*before, *slices, *after]),
        *(" ".join(points[rank - len(each.type.shape) :]) for each in indices),
    ]
    equation = f"{', '.join(terms)} -> {' '.join([*before, *points, *after])}"
    return OpWork("gather", (iteration_space(equation, (source, *indices), (result,)),))


@work("aten.index_put", "aten._unsafe_index_put", "aten._index_put_impl", "aten.put")
def index_put(call: OpCall) -> OpWork:
    """Values go, or are added, to the elements that the indices name."""
    values = call.get("values") or call.arg("source")
    indices = [*call.list("indices"), *_maybe(call, "index")]
    return _scatter(call, indices, values, _placed(call, indices, values))


@work(
    "aten.scatter",
    "aten.scatter_add",
    "aten.scatter_reduce",
    "aten.index_add",
    "aten.index_copy",
    "aten.index_reduce",
    "aten.index_fill",
    "aten.masked_scatter",
)
def scatter(call: OpCall) -> OpWork:
    """Values go, or are added, to the elements that an index names."""
    index = call.get("index") or call.arg("mask")
    source = call.get("src") or call.get("source")
    if "dim" not in call.properties:
        return _scatter(call, [index], source, index.type.shape)
    result = call.result()
    along = call.properties["dim"] % max(len(result.type.shape), 1)
    dims = _names(result).split()
    others = [size for at, size in enumerate(result.type.shape) if at != along]
    if "aten.scatter" in call.name:
        shape, term = index.type.shape, " ".join([*dims[:along], "p", *dims[along + 1 :]])
        are_whole = [size for at, size in enumerate(shape) if at != along] == others
    else:
        # A whole slice for each index.
        shape = (*result.type.shape[:along], index.type.numel, *result.type.shape[along + 1 :])
        term, are_whole = "p", len(index.type.shape) == 1
    if not dims or not are_whole or (source and source.type.shape != shape):
        return _scatter(call, [index], source, tuple(shape))
    return _scatter_along(call, along, (index, term), source)


def _scatter_along(call: OpCall, along: int, index: tuple[Value, str], source: Value | None) -> OpWork:
    """Return the work of writing at places along one dim; along the others elements keep theirs."""
    base, result = call.arg("self"), call.result()
    dims = _names(result).split()
    value, term = index
    placed = " ".join([*dims[:along], "?index", *dims[along + 1 :]])
    points = " ".join([*dims[:along], "p", *dims[along + 1 :]])
    adds = _adds(call)
    reads = [(placed, result._replace(name="self"))] if adds else []
    reads += [(term, value), *([(points, source)] if source else [])]
    put = iteration_space(
        f"{', '.join(term for term, _ in reads)} -> {placed}",
        [value for _, value in reads],
        (result,),
        _ADD if adds else _NONE,
        combine="sum" if adds else "opaque",
    )
    copied = () if call.in_place else (elementwise((base,), (result,), _NONE),)
    return OpWork("scatter", (*copied, put))


def _adds(call: OpCall) -> bool:
    return "add" in call.name or "reduce" in call.name or bool(call.properties.get("accumulate"))


def _scatter(call: OpCall, indices: Sequence[Value], values: Value | None, shape: tuple[int, ...]) -> OpWork:
    """Return the work of writing one element of the result for each of `shape`.

    Unless the op works in place, all of the tensor is copied first.
    """
    base, result = call.arg("self"), call.result()
    adds = _adds(call)
    by = indices[0].name if indices else ""
    points = [f"p{i}" for i in range(len(shape))]
    reads: list[Value] = []
    terms: list[str] = []
    if adds:
        reads.append(result._replace(name="self"))
        terms.append(_unknown(result, by))
    equation = f"{', '.join(terms)} -> {_unknown(result, by)}"
    sizes = dict(zip(points, shape, strict=True))
    put = iteration_space(equation, reads, (result,), _ADD if adds else _NONE, sizes=sizes, reduction=points)
    copied = () if call.in_place else (elementwise((base,), (result,), _NONE),)
    given = [*indices, values] if values else indices
    return OpWork("scatter", (*copied, put, *_read_whole(given)))


def _placed(call: OpCall, indices: Sequence[Value], values: Value) -> tuple[int, ...]:
    """Return the shape of the elements that `indices` name: theirs, then the dims that they leave whole."""
    if any(each.type.dtype in _MASKS for each in indices):
        return values.type.shape
    rank = max((len(each.type.shape) for each in indices), default=0)
    padded = [(1,) * (rank - len(each.type.shape)) + each.type.shape for each in indices]
    common = tuple(map(max, zip(*padded, strict=True)))
    given = dict(call.operands).get("indices")
    named = [each is not None for each in given] if isinstance(given, tuple) else []
    shape = call.result().type.shape
    return common + tuple(size for i, size in enumerate(shape) if i >= len(named) or not named[i])


def _maybe(call: OpCall, name: str) -> list[Value]:
    value = call.get(name)
    return [value] if value else []


def _read_whole(values: Sequence[Value]) -> tuple[IterationSpace, ...]:
    return tuple(elementwise((each,), (), _NONE, prefix=f"i{at}_") for at, each in enumerate(values))


def _names(value: Value) -> str:
    return " ".join(f"d{i}" for i in range(len(value.type.shape)))


def _unknown(value: Value, by: str) -> str:
    return " ".join(f"?{by}" for _ in value.type.shape)


def _fitting(source: Value, index: Value, along: int) -> str:
    """Return the term of a tensor gathered along one dim; the others go with those of the index."""
    rank = len(source.type.shape)
    sizes = zip(source.type.shape, index.type.shape, strict=True)
    return " ".join(
        f"d{i}" if i != along % rank and size == asked else f"?{index.name}"
        for i, (size, asked) in enumerate(sizes)
    )
