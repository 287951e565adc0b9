"""Fit of a regressor to measured kernels: a linear law by least squares, boosted trees on the residual."""

# pyright: standard

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import nnls

from steelyard.hw.base.errors import UsageError
from steelyard.hw.devices.learned_models import Regressor, feature_names
from steelyard.hw.kernels.common.kernel_queries import Floats, KernelBatch
from steelyard.hw.latency.learned_rung import law_amounts, learned_features

_TREES = 120
_BOOSTING: Mapping[str, Any] = {
    "loss": "huber",
    "alpha": 0.9,
    "n_estimators": _TREES,
    "learning_rate": 0.1,
    "max_depth": 4,
    "subsample": 0.6,
    "max_features": 0.6,
    "min_samples_leaf": 3,
    "random_state": 0,
}
"""Parameters of gradient boosting (Friedman, Annals of Statistics 2001); Huber loss for robustness."""


def require_scikit_learn() -> None:
    """Check that scikit-learn is installed.

    Raises:
        UsageError: It is missing.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            what="learning needs scikit-learn",
            why=str(error),
            fix="install it with: pip install 'steelyard[learn]'",
        ) from error


def fit_regressor(queries: KernelBatch, measured_s: Floats) -> Regressor:
    """Return a regressor of measured kernels.

    Args:
        queries: The kernels.
        measured_s: Their measured seconds.

    Raises:
        UsageError: scikit-learn is missing.
    """
    require_scikit_learn()
    from sklearn.ensemble import GradientBoostingRegressor

    law_s = _fit_law(queries, measured_s)
    amounts = law_amounts(queries.kind, queries.dtype, queries.dims)
    left = np.log(measured_s / (amounts @ law_s))
    features = learned_features(queries.kind, queries.dtype, queries.dims)
    boosted: Any = GradientBoostingRegressor(**_BOOSTING).fit(features, left)
    rate = boosted.learning_rate
    return Regressor(
        features=feature_names(queries.kind),
        law_s=tuple(float(f"{each:.5g}") for each in law_s),
        offset=float(f"{boosted.init_.constant_[0, 0]:.5g}"),
        trees=tuple(_preorder(each.tree_, 0, rate) for each in boosted.estimators_[:, 0]),
    )


def _fit_law(queries: KernelBatch, measured_s: Floats) -> Floats:
    """Return the non-negative coefficients of the law with the least squared relative errors."""
    amounts = law_amounts(queries.kind, queries.dtype, queries.dims)
    size = amounts.mean(axis=0)  # they are many orders of magnitude apart
    found, _ = nnls(amounts / size / measured_s[:, None], np.ones(len(measured_s)))
    return found / size


def _preorder(tree: Any, node: int, rate: float) -> tuple[float, ...]:
    """Return a scikit-learn tree in the form of `Regressor`; numbers are rounded for readability."""
    left, right = tree.children_left[node], tree.children_right[node]
    if left < 0:
        return -1, float(f"{rate * tree.value[node, 0, 0]:.4g}")
    here = int(tree.feature[node]), float(f"{tree.threshold[node]:.7g}")
    return (*here, *_preorder(tree, left, rate), *_preorder(tree, right, rate))
