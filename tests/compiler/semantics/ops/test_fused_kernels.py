"""Kernels of several steps: FLOPs by hand arithmetic, each tensor moved once."""

from math import log2

import pytest

from steelyard.compiler.semantics.call import OpCall, Operand
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.compiler.semantics.work import OpWork


def f32(*shape: int) -> TensorType:
    return TensorType(shape, "f32")


def c64(*shape: int) -> TensorType:
    return TensorType(shape, "c64")


def work(name: str, operands: dict[str, Operand], results: tuple[TensorType, ...], **properties) -> OpWork:
    found = work_of(OpCall(f"aten.{name}", tuple(operands.items()), properties, results))
    assert found is not None
    return found


LAYER = {
    "input": f32(7, 3, 36),
    "weight0": f32(192, 36),
    "weight1": f32(192, 48),
    "weight2": f32(192),
    "weight3": f32(192),
    "hx_": f32(3, 48),
    "cx_": f32(3, 48),
}


def test_a_layer_of_an_lstm() -> None:
    results = (f32(7, 3, 48), f32(3, 48), f32(3, 48), f32(0))
    found = work("mkldnn_rnn_layer", LAYER, results, mode=2, hidden_size=48)
    assert found.flops.contraction == 2 * 7 * 3 * 192 * (36 + 48)
    assert found.flops.transcendental == 7 * 3 * 48 * 8
    moved = sum(each.bytes for each in (*LAYER.values(), *results))
    assert found.bytes_read + found.bytes_written == moved


@pytest.mark.parametrize(("mode", "gates"), [(0, 1), (1, 1), (2, 4), (3, 3)])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_network_of_two_layers(mode: int, gates: int, directions: int) -> None:
    weights = [
        shape
        for size in (36, 48 * directions)
        for _ in range(directions)
        for shape in (
            f32(gates * 48, size),
            f32(gates * 48, 48),
            f32(gates * 48),
            f32(gates * 48),
        )
    ]
    operands = {"input": f32(7, 3, 36), "weight": tuple(weights), "hx": f32(2 * directions, 3, 48)}
    found = work("_cudnn_rnn", operands, (f32(7, 3, 48 * directions),), mode=mode, hidden_size=48)
    rows = 2 * 7 * 3 * gates * 48
    assert found.flops.contraction == rows * directions * (36 + 48 + 48 * directions + 48)
    backward = work("_cudnn_rnn_backward", operands, (f32(7, 3, 36),), mode=mode, hidden_size=48)
    assert backward.flops.contraction == 2 * found.flops.contraction


def test_projections_of_an_lstm_are_products_of_their_own() -> None:
    weights = (f32(192, 36), f32(192, 20), f32(192), f32(192), f32(20, 48))
    operands = {"input": f32(7, 3, 36), "weight": weights, "hx": f32(1, 3, 20)}
    found = work("_cudnn_rnn", operands, (f32(7, 3, 20),), mode=2, hidden_size=48, proj_size=20)
    assert found.flops.contraction == 2 * 21 * (192 * (36 + 20) + 20 * 48)


def test_multi_head_attention() -> None:
    operands = {
        "query": f32(2, 10, 32),
        "key": f32(2, 14, 32),
        "value": f32(2, 14, 32),
        "qkv_weight": f32(96, 32),
        "qkv_bias": f32(96),
        "proj_weight": f32(32, 32),
        "proj_bias": f32(32),
    }
    found = work("_native_multi_head_attention", operands, (f32(2, 10, 32),), num_head=4)
    projections = 2 * 32 * 32 * (2 * 10 + 2 * 2 * 14 + 2 * 10)
    assert found.flops.contraction == projections + 2 * (2 * 2 * 10 * 14 * 32)


@pytest.mark.parametrize(
    ("name", "source", "target", "dims", "factor"),
    [
        ("_fft_c2c", c64(3, 64), c64(3, 64), [1], 5.0),
        ("_fft_r2c", f32(3, 64), c64(3, 33), [1], 2.5),
        ("_fft_c2r", c64(3, 33), f32(3, 64), [1], 2.5),
        ("_fft_c2c", c64(8, 8), c64(8, 8), [0, 1], 5.0),
    ],
)
def test_transforms(name, source, target, dims, factor) -> None:
    found = work(name, {"self": source}, (target,), dim=dims)
    points = 64
    lines = max(source.numel, target.numel) // points
    assert found.flops.total == lines * factor * points * log2(points)
    assert found.bytes_read + found.bytes_written == source.bytes + target.bytes


def test_complex_products_are_of_real_operations() -> None:
    product = work("mm", {"self": c64(4, 8), "mat2": c64(8, 5)}, (c64(4, 5),))
    assert product.flops.contraction == 8 * 4 * 8 * 5
    operands = {"self": c64(4), "other": c64(4)}
    assert work("add.Tensor", operands, (c64(4),)).flops.pointwise == 2 * 4
    assert work("mul.Tensor", operands, (c64(4),)).flops.pointwise == 6 * 4


N = 24


@pytest.mark.parametrize(
    ("name", "operands", "result", "flops"),
    [
        ("linalg_cholesky_ex", {"self": f32(2, N, N)}, f32(2, N, N), 2 * N**3 / 3),
        ("linalg_lu_factor_ex", {"A": f32(N, N)}, f32(N, N), 2 * N**3 / 3),
        ("linalg_inv_ex", {"A": f32(N, N)}, f32(N, N), 2 * N**3),
        ("linalg_qr", {"A": f32(2 * N, N)}, f32(2 * N, N), 4 * N * N * (2 * N - N / 3)),
        ("linalg_solve_triangular", {"self": f32(N, N), "B": f32(N, 5)}, f32(N, 5), N * N * 5),
        ("_linalg_solve_ex", {"A": f32(N, N), "B": f32(N)}, f32(N), 2 * N**3 / 3 + 2 * N * N),
        ("_linalg_eigh", {"A": f32(N, N)}, f32(N, N), 9 * N**3),
    ],
)
def test_decompositions(name, operands, result, flops) -> None:
    found = work(name, operands, (result,))
    assert found.flops.contraction == pytest.approx(flops, abs=1)


def test_distances() -> None:
    operands = {"x1": f32(10, 6), "x2": f32(12, 6)}
    assert work("_euclidean_dist", operands, (f32(10, 12),)).flops.contraction == 2 * 10 * 12 * 8
    found = work("_cdist_forward", operands, (f32(10, 12),), p=1.0)
    assert found.flops.pointwise == 10 * 12 * (3 * 6 + 1)


def test_embedding_bags_touch_the_rows_that_are_asked_for() -> None:
    operands = {
        "weight": f32(1000, 8),
        "indices": TensorType((6,), "i64"),
        "offsets": TensorType((2,), "i64"),
    }
    found = work("_embedding_bag", operands, (f32(2, 8),))
    assert found.flops.pointwise == 6 * 8
    assert found.bytes_read == 6 * 8 * 4 + 6 * 8 + 2 * 8


def test_sampling() -> None:
    operands = {"input": f32(2, 3, 8, 8), "grid": f32(2, 5, 6, 2)}
    found = work("grid_sampler_2d", operands, (f32(2, 3, 5, 6),), interpolation_mode=0)
    assert found.flops.pointwise == 2 * 3 * 5 * 6 * 4 * 2
    grid = work("affine_grid_generator", {"theta": f32(2, 2, 3)}, (f32(2, 5, 6, 2),))
    assert grid.flops.pointwise == 2 * (2 * 5 * 6) * 2 * 3
