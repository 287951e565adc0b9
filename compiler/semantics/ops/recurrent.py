"""Recurrent networks: a kernel for a layer (oneDNN), for all layers (cuDNN), or for the gates of a cell."""

from collections.abc import Iterator

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import MAC, Step, fused
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

# Of each hidden unit in a step of time, beside products. A sigmoid is 2 pointwise and 2 transcendental, each
# gate adds two biases and two products. LSTM: three sigmoids, two tanh, c = f * c + i * g, h = o * tanh(c).
# GRU: two sigmoids, a tanh, h = n + z * (h - n), and r * (W h + b).
_LSTM = Flops(pointwise=3 * 2 + 3 * 4 + 4, transcendental=3 * 2 + 2)
_GRU = Flops(pointwise=2 * 2 + 3 * 3 + 4, transcendental=2 * 2 + 1)
_TANH = Flops(pointwise=3, transcendental=1)
_RELU = Flops(pointwise=4)
_MODES = (_RELU, _TANH, _LSTM, _GRU)
"""Of the `mode` of cuDNN and of torch's calls."""

_GATES = (1, 1, 4, 3)
_BACKWARD = 2
"""The gradient of a product is two, of the gates about twice their operations."""


@work("aten.mkldnn_rnn_layer")
def layer(call: OpCall) -> OpWork:
    """A layer in one direction over all steps of time: `input` is (time, batch, features)."""
    return fused(call, "contraction", _layer(call, "weight0", "weight1", times=1))


@work("aten.mkldnn_rnn_layer_backward")
def layer_backward(call: OpCall) -> OpWork:
    """The gradients of a layer's input, states and weights."""
    return fused(call, "contraction", _layer(call, "weight1", "weight2", times=_BACKWARD))


def _layer(call: OpCall, of_input: str, of_hidden: str, times: int) -> Iterator[Step]:
    time, batch, _ = call.arg("input").type.shape
    gates = _MODES[int(call.properties["mode"])]
    yield from _steps(
        time * batch, call.arg(of_input).type.shape, call.arg(of_hidden).type.shape, gates, times
    )


@work("aten._cudnn_rnn", "aten.miopen_rnn")
def network(call: OpCall) -> OpWork:
    """All layers, in both directions where there are two."""
    return fused(call, "contraction", _network(call, times=1))


@work("aten._cudnn_rnn_backward", "aten.miopen_rnn_backward")
def network_backward(call: OpCall) -> OpWork:
    """The gradients of all layers."""
    return fused(call, "contraction", _network(call, times=_BACKWARD))


def _network(call: OpCall, times: int) -> Iterator[Step]:
    """Weights come by layer and direction: of the input, of the hidden state, then biases and projection."""
    rows = call.arg("input").type.numel // call.arg("input").type.shape[-1]
    mode, hidden = int(call.properties["mode"]), int(call.properties["hidden_size"])
    matrices = [each.type.shape for each in call.list("weight") if len(each.type.shape) == 2]
    projected = bool(call.properties.get("proj_size"))
    each = 3 if projected else 2
    for at in range(0, len(matrices), each):
        yield from _steps(rows, matrices[at], matrices[at + 1], _MODES[mode], times)
        if projected:
            yield Step({"rows": times * rows, "k": hidden, "n": matrices[at + 2][0]}, MAC)


def _steps(
    rows: int, of_input: tuple[int, ...], of_hidden: tuple[int, ...], gates: Flops, times: int
) -> Iterator[Step]:
    """Both products for each row of time and batch, and the gates."""
    count = _GATES[_MODES.index(gates)]
    yield Step({"rows": times * rows, "g": of_input[0], "k": of_input[1]}, MAC)
    yield Step({"rows": times * rows, "g": of_hidden[0], "k": of_hidden[1]}, MAC)
    yield Step({"rows": times * rows, "h": of_hidden[0] // count}, gates)


@work("aten._cudnn_rnn_flatten_weight")
def flatten(call: OpCall) -> OpWork:
    """All weights in one piece of memory."""
    return fused(call, "copy", ())


@work(
    "aten._thnn_fused_lstm_cell",
    "aten._thnn_fused_lstm_cell_backward",
    "aten._thnn_fused_lstm_cell_backward_impl",
)
def lstm_gates(call: OpCall) -> OpWork:
    """The gates of one step of time, after the products."""
    return _gates(call, "cx", _LSTM)


@work("aten._thnn_fused_gru_cell")
def gru_gates(call: OpCall) -> OpWork:
    """The gates of one step of time, after the products."""
    return _gates(call, "hx", _GRU)


@work("aten._thnn_fused_gru_cell_backward")
def gru_gates_backward(call: OpCall) -> OpWork:
    """The gradients of the gates."""
    return _gates(call, "grad_hy", _GRU)


def _gates(call: OpCall, state: str, gates: Flops) -> OpWork:
    return fused(call, "pointwise", (Step({"unit": call.arg(state).type.numel}, gates),))
