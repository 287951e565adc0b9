from dataclasses import fields, replace
from datetime import date

import pytest

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.quantity import Quantity, Source
from steelyard.hw.devices.registry import load_device
from steelyard.hw.timeline.dispatch_cost import DispatchCost, dispatch_cost

A100 = load_device("a100-80gb-sxm")


def test_a_release_has_the_costs_of_the_newest_that_is_not_newer() -> None:
    old, new = dispatch_cost(A100, "torch-1.9"), dispatch_cost(A100, "torch-2.1")
    assert dispatch_cost(A100, "torch-1.4") == dispatch_cost(A100, "torch-1.13") == old
    assert dispatch_cost(A100, "torch-2.15") == dispatch_cost(A100) == new
    assert all(getattr(old, each.name) >= getattr(new, each.name) for each in fields(DispatchCost))
    with pytest.raises(UsageError, match="unknown software 'torch'"):
        dispatch_cost(A100, "torch")


def test_a_calibrated_call_scales_all_of_them_and_else_the_usual_host() -> None:
    cost = dispatch_cost(A100)
    measured = Quantity(value=29e-6, kind="measured", source=Source(title="here", date=date(2026, 1, 1)))
    slower = replace(A100, sustained=(replace(A100.sustained_with(None), dispatch_overhead_s=measured),))
    assert dispatch_cost(slower).inference_us == pytest.approx(29)
    assert dispatch_cost(slower).backward_us == pytest.approx(cost.backward_us * 29 / cost.inference_us)
    assert dispatch_cost(load_device("v100-sxm2-16gb")).view_us == pytest.approx(cost.view_us * 1.5)


def test_a_call_costs_by_its_phase_and_by_what_it_launches() -> None:
    cost = dispatch_cost(A100)
    assert cost.call_us("forward", recorded=False, view=False) == cost.inference_us
    assert cost.call_us("loss", recorded=True, view=False) == cost.forward_us
    assert cost.call_us("backward", recorded=True, view=True) == cost.backward_view_us
    assert cost.call_us("optimizer", recorded=True, view=False, operands=10) == (
        cost.optimizer_us + 10 * cost.operand_us
    )
