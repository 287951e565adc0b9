"""Decompositions and solves of dense matrices, by the leading terms of their operation counts.

Counts are of G. Golub and C. Van Loan, Matrix Computations, 4th edition; the matrix is m by n, there are k
right sides. Iterative ones take the number of steps that the book gives as typical.
"""

from collections.abc import Callable

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import Step, fused
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork

Count = Callable[[int, int, int], float]

_FACTORS: dict[str, Count] = {
    "linalg_cholesky_ex": lambda m, n, k: n**3 / 3,  # section 4.2
    "cholesky": lambda m, n, k: n**3 / 3,
    "cholesky_inverse": lambda m, n, k: 2 * n**3 / 3,
    "linalg_ldl_factor_ex": lambda m, n, k: n**3 / 3,  # section 4.4
    "linalg_lu_factor_ex": lambda m, n, k: 2 * n**3 / 3,  # section 3.2
    "linalg_lu": lambda m, n, k: 2 * n**3 / 3,
    "_linalg_det": lambda m, n, k: 2 * n**3 / 3,
    "_linalg_slogdet": lambda m, n, k: 2 * n**3 / 3,
    "linalg_inv_ex": lambda m, n, k: 2 * n**3,
    "geqrf": lambda m, n, k: 2 * n**2 * (m - n / 3),  # section 5.2
    "linalg_householder_product": lambda m, n, k: 2 * n**2 * (m - n / 3),
    "linalg_qr": lambda m, n, k: 4 * n**2 * (m - n / 3),  # R, then Q
    "_linalg_eigh": lambda m, n, k: 9 * n**3,  # section 8.3
    "linalg_eig": lambda m, n, k: 25 * n**3,  # section 7.5
    "_linalg_eigvals": lambda m, n, k: 10 * n**3,
    "_linalg_svd": lambda m, n, k: 4 * m**2 * n + 8 * m * n**2 + 9 * n**3,  # figure 8.6.1
    "linalg_pinv": lambda m, n, k: 4 * m**2 * n + 8 * m * n**2 + 9 * n**3 + 2 * m * n**2,
    "linalg_matrix_exp": lambda m, n, k: 16 * n**3,  # eight products: section 9.3
}
"""By the matrix that is the first operand."""

_SOLVES: dict[str, tuple[str, str, Count]] = {
    "linalg_solve_triangular": ("self", "B", lambda m, n, k: n**2 * k),  # section 3.1
    "triangular_solve": ("A", "self", lambda m, n, k: n**2 * k),
    "cholesky_solve": ("input2", "self", lambda m, n, k: 2 * n**2 * k),
    "_cholesky_solve_helper": ("A", "self", lambda m, n, k: 2 * n**2 * k),
    "linalg_lu_solve": ("LU", "B", lambda m, n, k: 2 * n**2 * k),
    "linalg_ldl_solve": ("LD", "B", lambda m, n, k: 2 * n**2 * k),
    "_linalg_solve_ex": ("A", "B", lambda m, n, k: 2 * n**3 / 3 + 2 * n**2 * k),
    "linalg_lstsq": ("self", "b", lambda m, n, k: 2 * n**2 * (m - n / 3) + 4 * m * n * k),
    "ormqr": ("self", "input3", lambda m, n, k: 4 * m * n * k),
}
"""The operands that are the matrix and the right sides."""


def _decomposed(call: OpCall, matrix: str, right: str, count: Count) -> OpWork:
    shape = (call.arg(matrix) if matrix else next(call.tensors)).type.shape
    m, n = max(shape[-2:]), min(shape[-2:])
    sides = call.arg(right).type.shape if right else shape[:1]
    k = sides[-1] if len(sides) >= len(shape) else 1
    batch = 1
    for size in shape[:-2]:
        batch *= size
    steps = (Step({"matrix": batch, "op": round(count(m, n, k))}, Flops(contraction=1)),)
    return fused(call, "contraction", steps)


def _declare(name: str, matrix: str, right: str, count: Count) -> None:
    register(f"aten.{name}", lambda call: _decomposed(call, matrix, right, count))


for _name, _count in _FACTORS.items():
    _declare(_name, "", "", _count)
for _name, (_matrix, _right, _count) in _SOLVES.items():
    _declare(_name, _matrix, _right, _count)
