"""The options of PyTorch's CUDA caching allocator, as in PYTORCH_CUDA_ALLOC_CONF."""

from dataclasses import dataclass

from steelyard.hw.base.errors import UsageError

_INTERVALS = 16
"""Powers of two from 1 MiB to 32 GiB and above, each with its own divisions."""


@dataclass(frozen=True, slots=True)
class CudaOptions:
    """Settings of the allocator (c10/core/AllocatorConfig.h and CUDACachingAllocator.cpp, torch 2.13).

    Attributes:
        expandable_segments: One growing segment for each stream and pool.
        max_split_size_mb: Larger blocks are not split; None for no limit.
        max_non_split_rounding_mb: A block above that limit may be so much larger than the request.
        roundup_power2_divisions: Steps between powers of two that sizes are rounded up to; 0 for 512 bytes.
            One for each power of two from 1 MiB on, the last for all above; or a single one for all.
        garbage_collection_threshold: Share of the capacity above which old cached segments are given back
            before the device is asked for more; 0 for never.
        per_process_memory_fraction: Share of the device's memory that the process may take.
        large_segment_size_mb: Size of the segment taken from the device for a request of 1 to 10 MiB.

    Raises:
        UsageError: A value is one that PyTorch refuses.
    """

    expandable_segments: bool = False
    max_split_size_mb: int | None = None
    max_non_split_rounding_mb: int = 20
    roundup_power2_divisions: tuple[int, ...] = (0,)
    garbage_collection_threshold: float = 0.0
    per_process_memory_fraction: float = 1.0
    large_segment_size_mb: int = 20

    def __post_init__(self) -> None:
        # PyTorch refuses a limit below the size of a large segment.
        if self.max_split_size_mb is not None and self.max_split_size_mb < self.large_segment_size_mb:
            raise _refused("max_split_size_mb", self.max_split_size_mb, "at least large_segment_size_mb")
        if self.max_non_split_rounding_mb < self.large_segment_size_mb:
            allowed = "at least large_segment_size_mb"
            raise _refused("max_non_split_rounding_mb", self.max_non_split_rounding_mb, allowed)
        for divisions in self.roundup_power2_divisions:
            if divisions < 0 or divisions & (divisions - 1):
                raise _refused("roundup_power2_divisions", divisions, "a power of two")
        if not 0 <= self.garbage_collection_threshold < 1:
            raise _refused("garbage_collection_threshold", self.garbage_collection_threshold, "in [0, 1)")
        if not 0 < self.per_process_memory_fraction <= 1:
            raise _refused("per_process_memory_fraction", self.per_process_memory_fraction, "in (0, 1]")
        if self.large_segment_size_mb < 2:
            raise _refused("large_segment_size_mb", self.large_segment_size_mb, "at least 2")

    def divisions(self, size_bytes: int) -> int:
        """The steps between powers of two for a request of this size (roundup_power2_divisions)."""
        interval = max(0, (size_bytes >> 20).bit_length() - 1)
        return self.roundup_power2_divisions[min(interval, len(self.roundup_power2_divisions) - 1)]


def parse_divisions(text: str) -> tuple[int, ...]:
    """Read one number for all sizes, or a list by size in MiB such as `[256:1,512:2,>:4]`.

    Sizes below the first have its divisions, `>` covers all sizes above the last, other gaps have none
    (parseRoundUpPower2Divisions).

    Raises:
        ValueError: It is neither.
        UsageError: A size is no power of two.
    """
    if not text.startswith("["):
        return (int(text),)
    found, last = [0] * _INTERVALS, -1
    for size, _, divisions in (part.partition(":") for part in text.strip("[]").split(",")):
        if size == ">":
            found[last + 1 :] = [int(divisions)] * (_INTERVALS - last - 1)
            continue
        if int(size) <= 0 or int(size) & (int(size) - 1):
            raise _refused("a size of roundup_power2_divisions", size, "a power of two")
        index = min(int(size).bit_length() - 1, _INTERVALS - 1)
        first = index if last >= 0 else 0
        found[first : index + 1] = [int(divisions)] * (index + 1 - first)
        last = index
    return tuple(found)


def _refused(name: str, value: object, allowed: str) -> UsageError:
    return UsageError(what=f"{name} cannot be {value}", why=f"it must be {allowed}")
