"""Contradictions between the types of a call and the description of its work."""

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import cast

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import row_major
from steelyard.compiler.semantics.iteration_space import Index, IndexingMap, IterationSpace
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError

_CASTS = {"dtype", "out_dtype", "output_dtype"}
_FIRST_SPATIAL = 2
_DIMS = ("dim", "dims", "dim0", "dim1")


def check_types(call: OpCall, work: OpWork) -> None:
    """Check the tensors and arguments of a call against the iteration spaces of its work.

    A dim of a result that one iteration dim runs over has its extent; a dim of an operand has at least so
    many elements. Arguments that state extents state these. Factors of a product and its result have one
    element type, and indices are integers.

    Raises:
        IRError: something contradicts the description; it names the tensor or argument and both numbers.
    """
    written = Counter(access.value for space in work.spaces for access in space.writes)
    for space in work.spaces:
        for access in (*space.reads, *space.shapes):
            _check_shape(access, space, is_whole=False)
        for access in space.writes:
            is_result = access.value.startswith("result")
            is_whole = is_result and written[access.value] == 1
            _check_shape(access, space, is_whole=is_whole, has_windows=work.kind == "convolution")
    has_list = any(isinstance(operand, tuple) for _, operand in call.operands)
    if has_list and call.results and not any(call.tensors):
        raise IRError(what="the list of tensors is empty", why="the op has a result")
    for fault in (*_dims_out_of_range(call), *_other_extents(call, work), *_other_dtypes(call, work)):
        raise fault


def _check_shape(
    access: IndexingMap, space: IterationSpace, *, is_whole: bool, has_windows: bool = False
) -> None:
    shape = access.type.shape
    if len(access.indices) != len(shape):
        raise IRError(
            what=f"{access.value} has {len(shape)} dims",
            why=f"the op reads or writes it by {len(access.indices)}",
        )
    for dim, (index, size) in enumerate(zip(access.indices, shape, strict=True)):
        extent = _extent(index, space)
        # The windows of a convolution may leave out the end of its input, whose gradient is then 0 there.
        is_exact = is_whole and not (has_windows and dim >= _FIRST_SPATIAL and len(index.dims) > 1)
        if extent is not None and (size < extent or (is_exact and size != extent)):
            raise IRError(
                what=f"{access.value} has {size} elements along dim {dim}",
                why=f"the op's other types and arguments make it {extent}",
            )


def _extent(index: Index, space: IterationSpace) -> int | None:
    """The elements that an index runs over densely; None where it selects, gathers, strides or overlaps."""
    if index.gathered or index.offset or not index.terms:
        return None
    return prod(space.dims[dim] for dim in index.dims) if index == row_major(index.dims, space.dims) else None


def _dims_out_of_range(call: OpCall) -> Iterator[IRError]:
    rank = max((len(value.type.shape) for value in (*call.tensors, *call.outputs)), default=0)
    for name in _DIMS:
        given = call.properties.get(name)
        dims = cast("list[object]", given) if isinstance(given, list) else [given]
        for dim in dims:
            if isinstance(dim, int) and not -rank - 1 <= dim <= rank:
                yield IRError(what=f"{name} is {dim}", why=f"its tensors have {rank} dims at most")


def _other_extents(call: OpCall, work: OpWork) -> Iterator[IRError]:
    dims = work.dims
    for argument in work.extents:
        given = call.properties.get(argument.name)
        stated = cast("list[int]", given) if isinstance(given, list) else []
        if len(stated) != len(argument.dims):
            continue
        for size, names in zip(stated, argument.dims, strict=True):
            extent = prod(dims[name] for name in names)
            if size not in (-1, 0, extent):  # 0 stands for a tensor that is not there
                yield IRError(what=f"{argument.name} states {size}", why=f"the tensors have {extent} there")


def _other_dtypes(call: OpCall, work: OpWork) -> Iterator[IRError]:
    types = {value.name: value.type.dtype for value in call.tensors}
    for by in {index.by for space in work.spaces for access in space.reads for index in access.indices}:
        if "f" in types.get(by, ""):
            yield IRError(what=f"{by} holds indices", why=f"its elements are {types[by]}, not integers")
    if work.kind not in ("contraction", "convolution"):
        return
    for summand in work.summands:
        found = {factor: types[factor] for factor in summand.factors if factor in types}
        if len(set(found.values())) > 1:
            yield IRError(
                what="the factors of a product have different element types",
                why=", ".join(f"{name} has {dtype}" for name, dtype in found.items()),
            )
        for name, dtype in list(found.items())[:1]:
            other = call.results[0].dtype if call.results else dtype
            if "f" in dtype and other != dtype and not _CASTS & call.properties.keys():
                yield IRError(
                    what=f"a product of {dtype} has the element type {other}", why=f"{name} has {dtype}"
                )
