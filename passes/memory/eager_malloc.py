"""The heap of a process that runs a program eagerly: tensors, and what is small beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.hw.allocators.glibc import GlibcHeap

_DATA_ALIGNMENT = 64
_STORAGE_BYTES, _TENSOR_BYTES, _REFERENCE_BYTES = 96, 176, 24
_GRADIENT_BYTES = 184
"""What autograd knows of a tensor (AutogradMeta)."""
_NODE_BYTES = (608, 64, 24, 24, 16, 16, 16)
"""The node of an op in autograd's graph and what it saved, apart from tensors."""
_ENGINE_BYTES = (32, 32, 136, 32, 192, 64, 512, 32, 32)
_PASSING_BYTES = (8, 8, 16, 16, 16, 16, 24, 32, 32, 48, 48, 56, 56, 64, 64, 64, 104, 104, 144, 176, 512, 2528)
"""What an op's arguments and results are wrapped in until the next op runs."""
_PRIMITIVE_BYTES = (48, 48, 136, 88, 5496, 24, 3664, 30, 24, 104, 224, 104, 104, 24, 104, 114)
"""What oneDNN keeps of a primitive: descriptors and code."""


@dataclass(slots=True)
class EagerHeap:
    """malloc as eager PyTorch calls it.

    The sizes of what is small are those of a log of all calls of malloc in the training steps of MobileNetV2,
    ResNet-50, ConvNeXt and GPT-2 (torch 2.13, Linux x86-64). The slivers beside aligned data serve such
    requests, and while one is in use, or cached, the place of the data can serve no other data of that size:
    this, not how much is free, is why a heap grows again in every step.

    Attributes:
        trains: Whether autograd records what runs forward.
    """

    trains: bool
    _malloc: GlibcHeap = field(default_factory=GlibcHeap)
    _passing: list[int] = field(default_factory=list[int])
    _graph: list[int] = field(default_factory=list[int])

    @property
    def fresh_bytes(self) -> int:
        """How much of what was handed out so far was on pages that nothing had written."""
        return self._malloc.fresh_bytes

    def begin(self, phase: str) -> None:
        """An op of a phase begins; what was passed to the one before it goes."""
        before, self._passing = self._passing, self._take(_PASSING_BYTES)
        self.free(before)
        if self._recorded(phase):
            self._graph += self._take(_NODE_BYTES)

    def end_step(self) -> None:
        """The step ends: nothing refers to autograd's graph any longer."""
        self.free(self._passing + self._graph)
        self._passing, self._graph = [], []

    def tensor(self, data_bytes: int, phase: str) -> list[int]:
        """Make a tensor with data of its own; return its chunks."""
        storage = self._malloc.malloc(_STORAGE_BYTES)
        data = self._aligned(data_bytes)
        small = (_TENSOR_BYTES, _REFERENCE_BYTES, *((_GRADIENT_BYTES,) if self._recorded(phase) else ()))
        return [*data, storage, *self._take(small)]

    def converted(
        self, data_bytes: int, phase: str, operands: Sequence[int], copy_bytes: int, *, is_new: bool
    ) -> list[int]:
        """Make a tensor by a kernel of oneDNN, which works on copies in a layout of its own.

        Args:
            data_bytes: Of the tensor.
            phase: Of the op.
            operands: Bytes of the copy of each operand, and of what else the kernel needs while it runs.
            copy_bytes: Of the copy of the result, which goes when the tensor is written.
            is_new: Whether it runs for the first time; oneDNN keeps something of it and of three reorders.
        """
        kept = _PRIMITIVE_BYTES if is_new else ()
        self._take(kept)
        copies = self._aligned(*operands)
        self._take(kept)
        copy = self._aligned(copy_bytes)
        self._take(kept)
        self.free(copies)
        made = self.tensor(data_bytes, phase)
        self._take(kept)
        self.free(copy)
        return made

    def free(self, chunks: list[int]) -> None:
        """Take back what `tensor` or `converted` returned."""
        for place in chunks:
            self._malloc.free(place)

    def keep_engine(self) -> None:
        """Leave what autograd keeps of its engine when it first runs."""
        self._take(_ENGINE_BYTES)

    def _recorded(self, phase: str) -> bool:
        return self.trains and phase == "forward"

    def _take(self, sizes: Sequence[int]) -> list[int]:
        return [self._malloc.malloc(size) for size in sizes]

    def _aligned(self, *sizes: int) -> list[int]:
        return [self._malloc.aligned(size, _DATA_ALIGNMENT) for size in sizes if size]
