"""Options of an allocator as text, `key:value` after `key:value` as in PYTORCH_CUDA_ALLOC_CONF."""

import re
from collections.abc import Callable, Mapping

from steelyard.hw.allocators.cuda_options import CudaOptions, parse_divisions
from steelyard.hw.allocators.onnxruntime_arena import ArenaOptions
from steelyard.hw.base.errors import UsageError, did_you_mean

AllocatorOptions = CudaOptions | ArenaOptions


def parse_allocator(text: str) -> AllocatorOptions | None:
    """Read the options of an allocator; None where there are none.

    Options without a backend, such as `expandable_segments:True,max_split_size_mb:128`, are of PyTorch's CUDA
    allocator; `backend:onnxruntime,arena_extend_strategy:kSameAsRequested` are of ONNX Runtime's arena.

    Raises:
        UsageError: An option is unknown, or its value is not allowed.
    """
    given: dict[str, str] = {}
    for part in filter(None, re.split(r",(?![^\[]*\])", text.replace(" ", ""))):  # not inside brackets
        name, _, value = part.partition(":")
        given[name] = value
    if not given:
        return None
    backend = given.pop("backend", "native")
    if backend not in _BACKENDS:
        raise UsageError(
            what=f"the allocator {backend!r} is not modelled",
            where=text,
            fix=did_you_mean(backend, _BACKENDS),
        )
    kind, readers = _BACKENDS[backend]
    values: dict[str, object] = {}
    for name, value in given.items():
        if backend == "native" and name.startswith(_WITHOUT_BEARING):
            continue
        if name not in readers:
            raise UsageError(
                what=f"the {_TITLES[backend]} has no option {name!r}",
                where=text,
                fix=did_you_mean(name, readers),
            )
        try:
            values[name] = readers[name](value)
        except ValueError as error:
            raise UsageError(
                what=f"{name} cannot be {value!r}", where=text, why=f"it must be {_WANTED[readers[name]]}"
            ) from error
    return kind(**values)  # pyright: ignore[reportArgumentType] - each reader gives its field's type


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


_WITHOUT_BEARING = ("pinned_", "release_lock_on_", "graph_capture_record_stream_reuse")
"""Prefixes of PyTorch options that do not affect device memory."""
_TITLES = {"native": "CUDA allocator", "onnxruntime": "arena of ONNX Runtime"}
_WANTED: dict[Callable[[str], object], str] = {
    _flag: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a name",
    parse_divisions: "a number, or a list such as [256:1,512:2,>:4]",
}
_CUDA: Mapping[str, Callable[[str], object]] = {
    "expandable_segments": _flag,
    "max_split_size_mb": int,
    "max_non_split_rounding_mb": int,
    "roundup_power2_divisions": parse_divisions,
    "garbage_collection_threshold": float,
    "per_process_memory_fraction": float,
    "large_segment_size_mb": int,
}
_ARENA: Mapping[str, Callable[[str], object]] = {
    "arena_extend_strategy": str,
    "initial_chunk_size_bytes": int,
    "max_dead_bytes_per_chunk": int,
    "max_power_of_two_extend_bytes": int,
}
_BACKENDS: Mapping[str, tuple[type[AllocatorOptions], Mapping[str, Callable[[str], object]]]] = {
    "native": (CudaOptions, _CUDA),
    "onnxruntime": (ArenaOptions, _ARENA),
}
