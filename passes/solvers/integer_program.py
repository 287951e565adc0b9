"""Mixed-integer linear programs, solved by HiGHS through SciPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import inf
from typing import Any

Terms = Mapping[int, float]
"""Coefficients of a linear expression, by variable number."""


@dataclass(slots=True)
class IntegerProgram:
    """Minimise a weighted sum of variables, some of them 0 or 1, under linear constraints."""

    _weights: list[float] = field(default_factory=list[float])
    _most: list[float] = field(default_factory=list[float])
    _rows: list[tuple[Terms, float]] = field(default_factory=list[tuple[Terms, float]])

    def add_choice(self, weight: float) -> int:
        """Add a binary variable and return its number."""
        return self._add(weight, 1)

    def add_amount(self, weight: float) -> int:
        """Add a non-negative variable and return its number."""
        return self._add(weight, inf)

    def require_at_least(self, terms: Terms, bound: float) -> None:
        """Constrain a linear expression to `bound` or more."""
        self._rows.append((terms, bound))

    def require_at_most(self, terms: Terms, bound: float) -> None:
        """Constrain a linear expression to `bound` or less."""
        self.require_at_least({number: -factor for number, factor in terms.items()}, -bound)

    def solve(self) -> Sequence[float] | None:
        """The optimal values, or None where the program is infeasible; binaries are within 1e-6 of 0 or 1.

        Deterministic: no time limit is set.
        """
        if not self._weights:
            return []
        optimize: Any = import_module("scipy.optimize")  # slow to load, and without types
        found = optimize.milp(
            self._weights,
            integrality=[int(most == 1) for most in self._most],
            bounds=optimize.Bounds(0, self._most),
            constraints=optimize.LinearConstraint(self._matrix(), lb=[bound for _, bound in self._rows]),
            options={"mip_rel_gap": 0.0},
        )
        return None if found.x is None else [float(value) for value in found.x]

    def _add(self, weight: float, most: float) -> int:
        self._weights.append(weight)
        self._most.append(most)
        return len(self._weights) - 1

    def _matrix(self) -> Any:
        sparse: Any = import_module("scipy.sparse")
        entries = [(row, number) for row, (terms, _) in enumerate(self._rows) for number in terms]
        factors = [factor for terms, _ in self._rows for factor in terms.values()]
        rows, columns = zip(*entries, strict=True) if entries else ((), ())
        return sparse.csr_array((factors, (rows, columns)), shape=(len(self._rows), len(self._weights)))
