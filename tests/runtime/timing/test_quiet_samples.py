from steelyard.runtime.timing.quiet_samples import quiet_samples


def test_what_others_disturbed_is_left_out():
    assert sorted(quiet_samples([(0.02, "a"), (0.9, "b"), (0.0, "c"), (0.3, "d")], least=1)) == ["a", "c"]


def test_the_calmest_stand_in_where_too_few_are_calm():
    assert quiet_samples([(0.9, "a"), (0.3, "b"), (0.6, "c")], least=2) == ["b", "c"]
    assert quiet_samples([(0.9, "a")], least=2) == ["a"]


def test_where_others_are_not_known_all_counts():
    assert sorted(quiet_samples([(None, 3), (None, 1)], least=1)) == [1, 3]
