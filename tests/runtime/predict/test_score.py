import numpy as np
import pytest

from steelyard.hw.base.latency import Latencies, LatencyEstimate
from steelyard.hw.kernels.common.kernel_queries import KernelBatch, KernelKind
from steelyard.hw.tables.parse_requests import Request
from steelyard.runtime.predict.score import EVERY_DEVICE, score


def request(kind: KernelKind, device: str, *rows: int) -> Request:
    queries = KernelBatch(kind, "f32", {"rows": np.ones(len(rows)), "cols": np.ones(len(rows))})
    return Request(device, "eager", queries, np.array(rows))


def prices(values: list[float]) -> Latencies:
    value_s = np.array(values)
    words = np.full(len(values), "x")
    return LatencyEstimate(value_s, 0.9 * value_s, 1.2 * value_s, words, words)


def test_the_figures_are_hand_arithmetic():
    predicted, measured = [1.1, 1.5, 3.0, 4.0], np.array([1.0, 2.0, 3.0, 2.0])
    (found,) = score([request("softmax", "t4", 0, 1, 2, 3)], prices(predicted), 0.5 * measured, measured)
    assert (found.kind, found.device, found.rows) == ("softmax", "t4", 4)
    assert found.mape == pytest.approx((0.1 + 0.25 + 0 + 1) / 4)
    assert found.median_ape == pytest.approx((0.1 + 0.25) / 2)
    assert found.bias == pytest.approx((0.1 - 0.25 + 0 + 1) / 4)
    assert found.within_10_percent == pytest.approx(0.25)  # 1.1 / 1 - 1 is a little more than 0.1
    assert found.coverage == 0.5
    # Of six pairs four agree, one disagrees and one is tied in the measurements: tau-b.
    assert found.kendall_tau == pytest.approx((4 - 1) / (6 * 5) ** 0.5)
    assert found.roofline_mape == found.roofline_median_ape == 0.5
    assert found.roofline_bias == -0.5
    assert found.roofline_kendall_tau == pytest.approx(1.0)


def test_each_kind_and_device_has_figures_and_a_kind_on_several_devices_too():
    requests = [
        request("softmax", "t4", 0, 3),
        request("layer_norm", "t4", 1),
        request("softmax", "p4", 2),
        request("softmax", "t4", 4),
    ]
    found = score(requests, prices([1.0] * 5), np.ones(5), np.array([1.0, 1.0, 2.0, 1.0, 1.0]))
    assert [(row.kind, row.device, row.rows) for row in found] == [
        ("layer_norm", "t4", 1),
        ("softmax", "p4", 1),
        ("softmax", "t4", 3),
        ("softmax", EVERY_DEVICE, 4),
    ]
    assert found[-1].mape == pytest.approx(0.125)
