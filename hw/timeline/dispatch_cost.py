"""Dispatch cost: the host's time for a call of eager PyTorch, by kind of call and generation of software."""

import re
import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from math import inf
from typing import Any

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dispatch import CALL_S


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchCost:
    """Microseconds of the host for one call of an operation that launches kernels, and for one of a view.

    A call of the model has its share of the model's own Python in it: modules, hooks, checks of arguments.

    Attributes:
        inference_us: A call of the model without autograd.
        forward_us: One that autograd records.
        backward_us: A call of autograd's engine, which runs without Python.
        optimizer_us: A call of an optimizer, for each of its tensors `operand_us` more.
        view_us: A call of the model that launches nothing.
        backward_view_us: Likewise of autograd's engine.
        operand_us: For each tensor of a list.
        spread: The factor, either way, of the 90% interval: hosts and models differ.
    """

    inference_us: float
    forward_us: float
    backward_us: float
    optimizer_us: float
    view_us: float
    backward_view_us: float
    operand_us: float
    spread: float

    def call_us(self, phase: str, *, recorded: bool, view: bool, operands: int = 0) -> float:
        """Return the host's time for one call.

        Args:
            phase: Of the training step: forward, loss, backward or optimizer.
            recorded: Whether autograd records the forward pass.
            view: Whether it launches no kernel.
            operands: Tensors in its lists.
        """
        listed_us = operands * self.operand_us
        match phase:
            case "backward":
                return listed_us + (self.backward_view_us if view else self.backward_us)
            case "optimizer":
                return listed_us + (self.view_us if view else self.optimizer_us)
            case _:
                call_us = self.forward_us if recorded else self.inference_us
                return listed_us + (self.view_us if view else call_us)


def dispatch_cost(device: Device, software: str | None = None) -> DispatchCost:
    """Return the dispatch costs of a host.

    The table has them for a host of today. A device of which eager calls were measured, or that usually sits
    in an older one, scales them.

    Args:
        device: The device that it dispatches to.
        software: A release of PyTorch, such as `torch-2.1`, the newest by default. It has the costs of the
            newest release in the table that is not newer, or of the oldest.

    Raises:
        UsageError: It is not the name of a release.
    """
    table = _table()
    version = parse_release(software) if software else (inf,)
    releases = [name for name in table if name.startswith("torch-")]
    older = [name for name in releases if parse_release(name) <= version]
    cost = DispatchCost(**table[older[-1] if older else releases[0]])
    factor = _host_factor(device, cost, table["hosts"])
    names = (each.name for each in fields(cost) if each.name.endswith("_us"))
    return replace(cost, **{name: getattr(cost, name) * factor for name in names})


def _host_factor(device: Device, cost: DispatchCost, usual: dict[str, float]) -> float:
    sustained = device.sustained_with(None)
    if sustained.dispatch_overhead_s:  # calibrated: a plain call among others
        return sustained.dispatch_overhead_s.value * 1e6 / cost.inference_us
    if sustained.call_overhead_s:
        return sustained.call_overhead_s.value / CALL_S
    return usual.get(device.architecture, 1.0)


def parse_release(software: str) -> tuple[float, ...]:
    """Return the version that the name of a release says, such as (2, 1) of `torch-2.1`.

    Raises:
        UsageError: It is not the name of a release.
    """
    found = re.fullmatch(r"torch-(\d+)\.(\d+)", software)
    if not found:
        raise UsageError(
            what=f"unknown software {software!r}", fix="name a release of PyTorch, such as torch-2.1"
        )
    return tuple(map(float, found.groups()))


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = (files("steelyard.hw.timeline") / "dispatch_cost.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
