"""Blocks of ranks and the whole tensors that they make up."""

import pytest
import torch

from steelyard.runtime.execute.shard_tensors import Split


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("split", [Split(), Split(0), Split(1), Split(1, 2), Split(0, 3)])
def test_all_blocks_make_up_the_whole(split: Split, ranks: int) -> None:
    whole = torch.arange(18 * 12).reshape(18, 12)
    blocks = [split.block(whole, rank, ranks) for rank in range(ranks)]
    assert torch.equal(split.whole(blocks), whole)
    assert split.dim < 0 or blocks[0].numel() * ranks == whole.numel()


def test_each_part_has_a_block_of_each_rank() -> None:
    queries_keys_values = torch.tensor([[10, 11, 20, 21, 30, 31]])
    assert Split(1, 3).block(queries_keys_values, 1, 2).tolist() == [[11, 21, 31]]
