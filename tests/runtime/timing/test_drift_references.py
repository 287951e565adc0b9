"""Which kernels tell the pace of a machine."""

from steelyard.runtime.microbenchmarks.microbenchmark import work_of_probe
from steelyard.runtime.microbenchmarks.suite import all_probes
from steelyard.runtime.timing.drift_references import REFERENCES


def test_references_are_of_the_kinds_that_take_most_of_a_step():
    kinds = {work_of_probe(probe).kind for probe in list(all_probes())[REFERENCES]}
    assert kinds >= {
        "contraction", "attention", "convolution", "depthwise_convolution", "pointwise", "normalization",
        "softmax", "copy", "optimizer",
    }  # fmt: skip


def test_references_have_names_of_their_own():
    names = [probe.name for probe in list(all_probes())[REFERENCES]]
    assert len(set(names)) == len(names)
