"""Memory of oneDNN's LSTM, a layer in one direction, beside operands and other results.

Leading dims are whole cache lines and no multiple of 256 elements; buffers are whole pages. By
src/cpu/rnn/rnn_utils.cpp of oneDNN, and the allocation events of `aten.mkldnn_rnn_layer` in f32 (torch 2.13
with oneDNN 3.12 under AVX2), of which it gives the very bytes in training, and 0.97 to 1.0 times the bytes in
inference.
"""

from dataclasses import dataclass

from steelyard.hw.base.units import KIB

_GATES = 4
_STATES = 5
_ITEM_BYTES = 4
_LINE = 64 // _ITEM_BYTES
_ALIASED = 256
_PAGE_BYTES = 4 * KIB
_RIMS_BYTES = _PAGE_BYTES + 568


@dataclass(frozen=True, slots=True)
class Lstm:
    """Steps of time, sequences, features of the input and of the hidden state."""

    time: int
    batch: int
    inputs: int
    hidden: int

    @property
    def workspace_bytes(self) -> int:
        """Gates and states of all steps: a result of the forward in training, which the backward reads."""
        rows, states = self.time * self.batch, 2 * (self.time + 1) * self.batch
        layers = 3 * _pages(states * _leading(max(self.inputs, self.hidden)))
        cells = 2 * _pages(states * self.hidden)
        return self._gates_bytes + layers + cells + _pages(rows * _leading(self.hidden))

    @property
    def forward_scratch_bytes(self) -> int:
        """Of the forward in training: weights in another layout, and buffers."""
        return self._weights_bytes + self._buffers_bytes

    @property
    def inference_scratch_bytes(self) -> int:
        """Of the forward in inference: gates in whole lines, and states of single steps."""
        gates = _GATES * -(-self.hidden // _LINE) * _LINE
        weights = ((self.inputs + self.hidden) * gates + self._gates) * _ITEM_BYTES
        wider = max(0, _leading(self.inputs) - self.hidden) if self.inputs > self.hidden else 0
        copies = 2 * _pages(self.time * self.batch * wider)
        return weights + self._buffers_bytes + _pages(_STATES * self.batch * self.hidden) + copies

    @property
    def backward_scratch_bytes(self) -> int:
        """Of the backward: weights whose rows are no whole lines, their gradients, and buffers."""
        rows = self._gates * _ITEM_BYTES
        copies = sum(rows * _leading(n) for n in (self.inputs, self.hidden) if n != _leading(n))
        return copies + self._weights_bytes + self._buffers_bytes

    @property
    def _gates(self) -> int:
        return _GATES * self.hidden

    @property
    def _gates_bytes(self) -> int:
        return _pages(self.time * self.batch * _leading(self._gates))

    @property
    def _weights_bytes(self) -> int:
        """Both weights and the sum of the biases."""
        return ((self.inputs + self.hidden) * _leading(self._gates) + self._gates) * _ITEM_BYTES

    @property
    def _buffers_bytes(self) -> int:
        return self._gates_bytes + 2 * _pages(self.batch * _leading(self.hidden)) + _RIMS_BYTES


def _leading(elements: int) -> int:
    """The leading dim of rows of so many elements."""
    whole = -(-elements // _LINE) * _LINE
    return whole + _LINE if whole % _ALIASED == 0 else whole


def _pages(elements: int) -> int:
    """Bytes of whole pages."""
    return -(-elements * _ITEM_BYTES // _PAGE_BYTES) * _PAGE_BYTES
