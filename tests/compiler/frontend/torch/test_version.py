import warnings

import pytest
import torch

from steelyard.compiler.frontend.torch.version import warn_if_untried


@pytest.mark.parametrize(
    ("release", "count"), [("2.11.0", 0), ("2.15.1+cpu", 0), ("2.16.0a0", 1), ("3.0.0", 1)]
)
def test_a_newer_torch_warns_once(monkeypatch, release, count):
    monkeypatch.setattr(torch, "__version__", release)
    warn_if_untried.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_untried()
        warn_if_untried()
    assert len(caught) == count
