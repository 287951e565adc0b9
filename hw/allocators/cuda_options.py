"""The options of PyTorch's CUDA caching allocator, as in PYTORCH_CUDA_ALLOC_CONF."""

from dataclasses import dataclass

from steelyard.hw.errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class CudaOptions:
    """How the allocator is set (c10/core/AllocatorConfig.h and CUDACachingAllocator.cpp, torch 2.13).

    Attributes:
        expandable_segments: One growing segment for each stream and pool.
        max_split_size_mb: Larger blocks are not split; None for no limit.
        roundup_power2_divisions: Steps between powers of two that sizes are rounded up to; 0 for 512 bytes.
        garbage_collection_threshold: Share of the capacity above which old cached segments are given back
            before the device is asked for more; 0 for never.
        large_segment_size_mb: What is taken from the device for a request of 1 to 10 MiB.
    """

    expandable_segments: bool = False
    max_split_size_mb: int | None = None
    roundup_power2_divisions: int = 0
    garbage_collection_threshold: float = 0.0
    large_segment_size_mb: int = 20

    def __post_init__(self) -> None:
        # PyTorch refuses a limit below the size of a large segment.
        if self.max_split_size_mb is not None and self.max_split_size_mb < self.large_segment_size_mb:
            raise _refused("max_split_size_mb", self.max_split_size_mb, "at least large_segment_size_mb")
        divisions = self.roundup_power2_divisions
        if divisions < 0 or divisions & (divisions - 1):
            raise _refused("roundup_power2_divisions", divisions, "a power of two")
        if not 0 <= self.garbage_collection_threshold < 1:
            raise _refused("garbage_collection_threshold", self.garbage_collection_threshold, "in [0, 1)")
        if self.large_segment_size_mb < 2:
            raise _refused("large_segment_size_mb", self.large_segment_size_mb, "at least 2")


def parse_cuda_options(text: str) -> CudaOptions:
    """Read options as PYTORCH_CUDA_ALLOC_CONF has them: `expandable_segments:True,max_split_size_mb:128`.

    Raises:
        UsageError: An option is not known, or its value is not allowed.
    """
    given: dict[str, bool | int | float] = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        name, _, value = part.partition(":")
        if name not in _READERS:
            raise UsageError(
                what=f"the CUDA allocator has no option {name!r}",
                where=text,
                fix=did_you_mean(name, _READERS),
            )
        try:
            given[name] = _READERS[name](value)
        except ValueError as error:
            raise _refused(name, value, "a number, or True or False") from error
    return CudaOptions(**given)  # pyright: ignore[reportArgumentType] - each reader gives its field's type


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(text)
    return text == "True"


_READERS = {
    "expandable_segments": _flag,
    "max_split_size_mb": int,
    "roundup_power2_divisions": int,
    "garbage_collection_threshold": float,
    "large_segment_size_mb": int,
}


def _refused(name: str, value: object, allowed: str) -> UsageError:
    return UsageError(what=f"{name} cannot be {value}", why=f"it must be {allowed}")
