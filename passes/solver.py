"""The one place that talks to a solver of integer programs: HiGHS, through SciPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

Terms = Mapping[int, float]
"""Coefficients of variables, by their number."""


@dataclass(slots=True)
class BinaryProgram:
    """Minimise a weighted sum of variables that are 0 or 1, under linear constraints."""

    weights: list[float] = field(default_factory=list[float])
    _rows: list[tuple[Terms, float]] = field(default_factory=list[tuple[Terms, float]])

    def add_variable(self, weight: float) -> int:
        """A new variable; returns its number."""
        self.weights.append(weight)
        return len(self.weights) - 1

    def require_at_least(self, terms: Terms, bound: float) -> None:
        """The weighted sum of some variables is `bound` or more."""
        self._rows.append((terms, bound))

    def require_at_most(self, terms: Terms, bound: float) -> None:
        """The weighted sum of some variables is `bound` or less."""
        self.require_at_least({number: -factor for number, factor in terms.items()}, -bound)

    def solve(self) -> Sequence[bool] | None:
        """The best values, None where there are none.

        The same program always gets the same answer: no limit of time is set.
        """
        if not self.weights:
            return []
        optimize: Any = import_module("scipy.optimize")  # slow to load, and without types
        found = optimize.milp(
            self.weights,
            integrality=[1] * len(self.weights),
            bounds=optimize.Bounds(0, 1),
            constraints=optimize.LinearConstraint(self._matrix(), lb=[bound for _, bound in self._rows]),
            options={"mip_rel_gap": 0.0},
        )
        values: NDArray[Any] | None = found.x
        return None if values is None else [value > 0.5 for value in values]

    def _matrix(self) -> Any:
        sparse: Any = import_module("scipy.sparse")
        entries = [(row, number) for row, (terms, _) in enumerate(self._rows) for number in terms]
        factors = [factor for terms, _ in self._rows for factor in terms.values()]
        rows, columns = zip(*entries, strict=True) if entries else ((), ())
        return sparse.csr_array((factors, (rows, columns)), shape=(len(self._rows), len(self.weights)))
