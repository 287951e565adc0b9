import numpy as np
import pytest

from steelyard.hw.latency.regression_trees import sum_of_trees

#       x0 <= 2 ? (x1 <= 0.5 ? 1 : 2) : 3
TREE = (0, 2.0, 1, 0.5, -1, 1.0, -1, 2.0, -1, 3.0)


def test_a_row_goes_first_where_its_feature_is_at_most_the_threshold():
    rows = np.array([[2.0, 0.5], [2.0, 0.75], [2.5, 0.0]])
    assert sum_of_trees((TREE,), rows).tolist() == [1.0, 2.0, 3.0]


def test_trees_of_different_depths_add_up():
    rows = np.array([[0.0, 9.0], [9.0, 9.0]])
    assert sum_of_trees((TREE, (-1, 10.0), (1, 8.0, -1, 100.0, -1, 200.0)), rows).tolist() == [212.0, 213.0]


def test_no_trees_and_no_rows():
    assert sum_of_trees((), np.zeros((2, 3))).tolist() == [0.0, 0.0]
    assert sum_of_trees((TREE,), np.zeros((0, 2))).tolist() == []


def test_many_rows_are_those_one_by_one():
    rows = np.random.default_rng(0).uniform(0, 4, (10_000, 2))
    together = sum_of_trees((TREE, (-1, 0.5)), rows)
    for index in (0, 4095, 4096, 9999):
        assert together[index] == sum_of_trees((TREE, (-1, 0.5)), rows[index : index + 1])[0]


def test_they_are_what_scikit_learn_says():
    ensemble = pytest.importorskip("sklearn.ensemble")
    random = np.random.default_rng(1)
    rows, target = random.uniform(0, 4, (200, 3)), random.uniform(0, 1, 200)
    fitted = ensemble.RandomForestRegressor(n_estimators=5, max_depth=4, random_state=0).fit(rows, target)

    def preorder(tree, node: int) -> tuple[float, ...]:
        if tree.children_left[node] < 0:
            return -1, float(tree.value[node, 0, 0]) / 5
        here = int(tree.feature[node]), float(tree.threshold[node])
        left, right = tree.children_left[node], tree.children_right[node]
        return (*here, *preorder(tree, left), *preorder(tree, right))

    trees = tuple(preorder(each.tree_, 0) for each in fitted.estimators_)
    np.testing.assert_allclose(sum_of_trees(trees, rows), fitted.predict(rows))
