from steelyard.runtime.timing.quiet_samples import calm_of


def test_what_others_disturbed_is_left_out():
    assert sorted(calm_of([(0.02, "a"), (0.9, "b"), (0.0, "c"), (0.3, "d")], least=1)) == ["a", "c"]


def test_the_calmest_stand_in_where_too_few_are_calm():
    assert calm_of([(0.9, "a"), (0.3, "b"), (0.6, "c")], least=2) == ["b", "c"]
    assert calm_of([(0.9, "a")], least=2) == ["a"]


def test_where_others_are_not_known_all_counts():
    assert sorted(calm_of([(None, 3), (None, 1)], least=1)) == [1, 3]
