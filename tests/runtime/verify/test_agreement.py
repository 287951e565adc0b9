import pytest
import torch

from steelyard.compiler.frontend.model import BuiltModel
from steelyard.runtime.verify.agreement import disagreements


def built(weight: float) -> BuiltModel:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, weight)
    return BuiltModel(module, {}, lambda outputs: outputs)


def differing(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], *, rewritten: bool, step=0.0):
    return disagreements(built(1.0), theirs, built(1.0 + step), [*ours.values()], rewritten=rewritten)


@pytest.mark.parametrize(
    ("dtype", "rounding", "error"),
    [(torch.float32, 1e-6, 1e-2), (torch.bfloat16, 1e-2, 0.2), (torch.complex64, 1e-6, 1e-2)],
)
def test_a_rewritten_program_may_round_otherwise_and_no_more(dtype, rounding, error):
    whole = torch.ones(4, dtype=dtype)
    for by, expected in ((0.0, set()), (rounding, set()), (error, {"y"})):
        found = differing({"y": whole * (1 + by)}, {"y": whole}, rewritten=True)
        assert found.keys() == expected


def test_the_program_as_captured_is_compared_bit_for_bit():
    whole = torch.ones(4)
    assert differing({"y": whole}, {"y": whole}, rewritten=False) == {}
    assert differing({"y": whole * (1 + 1e-6)}, {"y": whole}, rewritten=False)["y"] == pytest.approx(
        1e-6, 0.1
    )


def test_rounding_of_a_gradient_near_zero_does_not_count():
    results = {"grad:other": torch.ones(2), "grad:weight": torch.full((1,), 1e-9)}
    rounded = {**results, "grad:weight": torch.full((1,), -1e-9)}
    assert differing(rounded, results, rewritten=True, step=1e-3) == {}
    assert {"grad:weight", "updated:weight"} == differing(rounded, results, rewritten=False, step=1e-3).keys()
    assert {"updated:weight"} == differing(results, results, rewritten=True, step=1e-3).keys()


def test_results_without_elements_agree():
    assert differing({"y": torch.empty(0)}, {"y": torch.empty(0)}, rewritten=True) == {}
