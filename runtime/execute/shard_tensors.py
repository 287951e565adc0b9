# pyright: standard
"""Shards of tensors by rank, as annotated by the pass `shard`, and gathering of shards."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp

from steelyard.compiler.dialects.program import PATH, ROLE, argument_texts, entry_function
from steelyard.passes.annotate.shard_attributes import PARTS, SPLIT
from steelyard.runtime.execute.single_process import Binding


@dataclass(frozen=True, slots=True)
class Split:
    """Sharding of a tensor: the sharded dim, -1 for none, and the parts of it that are each sharded."""

    dim: int = -1
    parts: int = 1

    def block(self, tensor: torch.Tensor, rank: int, ranks: int) -> torch.Tensor:
        """The shard of one rank; the tensor itself if it is replicated."""
        if self.dim < 0:
            return tensor
        pieces = tensor.chunk(self.parts * ranks, self.dim)
        return torch.cat(pieces[rank::ranks], self.dim).contiguous()

    def whole(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """The tensor that the shards of all ranks form."""
        if self.dim < 0:
            return blocks[0]
        pieces = [block.chunk(self.parts, self.dim) for block in blocks]
        return torch.cat([piece for part in zip(*pieces, strict=True) for piece in part], self.dim)

    def gather(self, block: torch.Tensor) -> torch.Tensor:
        """All-gather the shards of the default group; a collective call."""
        if self.dim < 0:
            return block
        blocks = [torch.empty_like(block) for _ in range(dist.get_world_size())]
        dist.all_gather(blocks, block.contiguous())
        return self.whole(blocks)


def splits_of(module: ModuleOp) -> dict[tuple[str, str], Split]:
    """The sharding of each argument of a program, by role and path."""
    function = entry_function(module)
    roles, paths = argument_texts(function, ROLE), argument_texts(function, PATH)
    entries = map(_split, function.arg_attrs or ())
    return dict(zip(zip(roles, paths, strict=True), entries, strict=True))


def take_blocks(module: ModuleOp, whole: Binding) -> Binding:
    """The shards of the program's arguments for this rank of the default group."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    splits = splits_of(module).items()
    return {key: split.block(whole[key], rank, ranks) for key, split in splits if key in whole}


def _split(entry: DictionaryAttr) -> Split:
    return Split(_integer(entry, SPLIT, -1), _integer(entry, PARTS, 1))


def _integer(entry: DictionaryAttr, name: str, default: int) -> int:
    value = entry.data.get(name)
    return value.value.data if isinstance(value, IntegerAttr) else default
