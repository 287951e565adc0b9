"""Torch's operator database: nearly every operator is understood."""

import warnings

import pytest
from op_db import samples, weigh
from torch.testing._internal.common_methods_invocations import op_db


def is_understood(entry) -> bool:
    try:
        found = [weigh(*each)[0] for each in samples(entry)]
    except Exception:
        return False
    return bool(found) and not any(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_nineteen_of_twenty_operators_are_understood():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        understood = sum(map(is_understood, op_db))
    assert understood >= 0.95 * len(op_db)


@pytest.mark.parametrize(
    "name", ["matmul", "linalg.cholesky", "fft.rfft", "nn.functional.grid_sample", "cdist"]
)
@pytest.mark.filterwarnings("ignore")
def test_an_operator_of_each_family_is_understood(name):
    (entry, *_) = (each for each in op_db if each.name == name)
    assert is_understood(entry)
