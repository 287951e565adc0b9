from typing import Any

import pytest

import steelyard as sy
from steelyard.runtime.api.results import Weighing

BERT = "hf:bert?num_hidden_layers=1&hidden_size=64&num_attention_heads=2&intermediate_size=64&vocab_size=100"
STEP: dict[str, Any] = {"train": True, "batch": 2, "sequence": 32, "dropout": True, "attention": "sdpa"}
SUMS_BYTES = 2 * 2 * 32 * 4


def ops(weighing: Weighing) -> dict[str, int]:
    return {row.op: row.figures.ops for row in weighing.summary.rows if "attention" in row.op}


@pytest.mark.parametrize(
    ("device", "dtype", "kernel"),
    [
        ("a100-80gb-sxm", "float16", "flash"),
        ("a100-80gb-sxm", "float32", "efficient"),
        ("v100-sxm2-16gb", "float16", "efficient"),
    ],
)
def test_attention_with_dropout_is_one_kernel_of_a_gpu_each_way(device: str, dtype: str, kernel: str) -> None:
    name = f"aten._scaled_dot_product_{kernel}_attention"
    with_dropout = sy.annotate(BERT, target=device, dtype=dtype, **STEP)
    assert ops(with_dropout) == {name: 1, f"{name}_backward": 1}
    # It takes no more memory than without, but for the masks of the other dropouts.
    without = sy.annotate(BERT, target=device, dtype=dtype, **{**STEP, "dropout": False})
    other = sum(row.figures.ops for row in with_dropout.summary.rows if row.op == "aten.native_dropout")
    assert other
    more = with_dropout.summary.memory.bytes - without.summary.memory.bytes
    assert more <= other * 2 * 32 * 64 * (1 + (2 if dtype == "float16" else 4))
    assert ops(without) == ops(with_dropout)


def test_a_cpu_composes_it() -> None:
    assert ops(sy.annotate(BERT, target="cpu", **STEP)) == {}
