"""Lifetimes of storages: their release, as opposed to their last use."""

# pyright: standard

import weakref
from functools import partial

import torch

from steelyard.compiler.frontend.torch.torch_private import storage_key


class Lifetimes:
    """Tracker of the storages made in a trace, which keeps none of them alive.

    Time is the number of ops dispatched so far.
    """

    def __init__(self) -> None:
        self._serials: dict[int, int] = {}
        self._references: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._birth: list[torch.fx.Node] = []
        self._last_use: list[int] = []
        self._death: dict[int, int] = {}
        self._outside: set[int] = set()
        self.now = 0

    def exclude(self, tensor: torch.Tensor) -> None:
        """Exclude the storage of `tensor`, which exists before and after the trace."""
        self._outside.add(storage_key(tensor.untyped_storage()))

    def use(self, tensor: torch.Tensor, node: torch.fx.Node) -> None:
        """Note that the op dispatched now reads, writes or makes `tensor`, which `node` names."""
        storage = tensor.untyped_storage()
        key = storage_key(storage)
        if key in self._outside:
            return
        serial = self._serials.get(key)
        if serial is None:
            serial = self._serials[key] = len(self._birth)
            self._references[serial] = weakref.ref(storage, partial(self._die, key, serial))
            self._birth.append(node)
            self._last_use.append(self.now)
        self._last_use[serial] = self.now

    def serial(self, tensor: torch.Tensor) -> int | None:
        """Number of the storage of `tensor`; None if it was there before the trace."""
        return self._serials.get(storage_key(tensor.untyped_storage()))

    def ends_at(self, serial: int, time: int) -> bool:
        """Whether a storage is used last at `time` and dies with that op."""
        return self._last_use[serial] == time and self._death.get(serial) == time + 1

    def late_deaths(self) -> list[tuple[int, torch.fx.Node]]:
        """Return those that die later than they are last used: the time, and a node that names the storage.

        Storages still alive count as dying now.
        """
        deaths = ((self._death.get(serial, self.now), node) for serial, node in enumerate(self._birth))
        return [
            (time, node) for serial, (time, node) in enumerate(deaths) if time > self._last_use[serial] + 1
        ]

    def _die(self, key: int, serial: int, _: object) -> None:
        del self._serials[key], self._references[serial]
        self._death[serial] = self.now
