"""Values on fake tensors: kept where known, refused where not."""

import pytest
import torch

from steelyard.compiler.frontend.torch.capture import fake_tensors
from steelyard.compiler.frontend.torch.known_values import KnownValues, keep_values
from steelyard.compiler.frontend.torch.torch_private import DATA_DEPENDENT

IDS = torch.tensor([[1, 5, 3, 5]])


def test_integers_decide_sizes():
    with fake_tensors(), KnownValues():
        ids = keep_values(IDS)
        features = torch.randn(1, 4, 8)
        assert features[ids == 5].shape == (2, 8)
        assert ids.max().item() == 5
        assert (torch.arange(4) > 1).nonzero().shape == (2, 1)


def test_values_that_are_overwritten_are_forgotten():
    own = IDS.clone()
    with fake_tensors(), KnownValues():
        ids = keep_values(own)
        ids.copy_(torch.randn(1, 4).long())
        with pytest.raises(DATA_DEPENDENT):
            ids.max().item()
