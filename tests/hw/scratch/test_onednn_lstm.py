"""Sizes seen in the allocation events of torch 2.13, and those of this machine's library."""

import pytest
import torch

from steelyard.hw.scratch.onednn_lstm import Lstm
from steelyard.runtime.timing.host_cpu import host_instruction_set
from steelyard.runtime.timing.steady_state import measure_peak_bytes


@pytest.mark.parametrize(
    ("sizes", "workspace", "forward"),
    [
        ((16, 100, 100, 128), 12_902_400, 2_048 + 211_200 + 270_336 + 3_490_360),
        ((12, 3, 32, 48), 118_784, 768 + 24_576 + 36_864 + 41_528),
        ((50, 8, 200, 96), 3_440_640, 1_536 + 307_200 + 147_456 + 627_256),  # more features than hidden units
        ((20, 4, 300, 256), 1_384_448, 4_096 + 1_248_000 + 1_064_960 + 356_920),  # rows of 256: one line more
        ((50, 8, 64, 100), 2_584_576, 1_600 + 102_400 + 160_000 + 655_928),  # no whole lines
    ],
)
def test_bytes_as_allocated(sizes, workspace, forward):
    assert Lstm(*sizes).workspace_bytes == workspace
    assert Lstm(*sizes).forward_scratch_bytes == forward


def test_the_backward_copies_weights_whose_rows_are_no_whole_lines():
    whole, broken = Lstm(50, 8, 64, 96), Lstm(50, 8, 200, 96)
    assert whole.backward_scratch_bytes == whole.forward_scratch_bytes
    assert broken.backward_scratch_bytes == broken.forward_scratch_bytes + 319_488


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("sizes", [(16, 32, 100, 128), (50, 8, 64, 96)])
def test_peaks_are_those_of_this_machines_library(sizes, training):
    if host_instruction_set() != "avx2":
        pytest.skip("the scratch of oneDNN's LSTM was measured under AVX2 alone")
    time, batch, inputs, hidden = sizes
    gates = 4 * hidden
    operands = [torch.randn(*each) for each in ((time, batch, inputs), (gates, inputs), (gates, hidden))]
    biases, states = [torch.randn(gates)] * 2, [torch.randn(batch, hidden)] * 2
    flags = False, [], 2, hidden, 1, True, False, False, training

    def step() -> object:
        with torch.set_grad_enabled(training):
            return torch.ops.aten.mkldnn_rnn_layer(*operands, *biases, *states, *flags)

    found = Lstm(*sizes)
    kept = found.workspace_bytes + found.forward_scratch_bytes if training else found.inference_scratch_bytes
    results = 4 * (time + 2) * batch * hidden
    assert measure_peak_bytes(step, []) == pytest.approx(kept + results, rel=0.03)
