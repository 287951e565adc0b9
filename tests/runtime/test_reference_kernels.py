"""Which kernels tell the pace of a machine, and what is kept of them."""

import pytest

from steelyard.hw.work import KernelWork, WorkKind
from steelyard.runtime.probe import work_of_probe
from steelyard.runtime.probes import all_probes
from steelyard.runtime.reference_kernels import REFERENCES, references_per_s


def test_references_of_a_kind_are_their_geometric_mean():
    kinds: tuple[WorkKind, ...] = ("copy", "gather", "copy")
    works = [KernelWork(kind=kind, dtype="f32") for kind in kinds]
    assert references_per_s(works, [1e-3, 5e-3, 4e-3]) == pytest.approx({"copy": 500, "gather": 200})


def test_references_are_of_the_kinds_that_take_most_of_a_step():
    kinds = {work_of_probe(probe).kind for probe in list(all_probes())[REFERENCES]}
    assert kinds >= {
        "contraction", "attention", "convolution", "depthwise_convolution", "pointwise", "normalization",
        "softmax", "copy", "optimizer",
    }  # fmt: skip
