from steelyard.compiler.frontend.adapt.assumptions import assume, collecting


def test_a_sentence_is_kept_once_and_only_inside():
    assume("earlier")
    with collecting() as found:
        assume("one")
        assume("one")
        assume("two")
    assume("later")
    assert list(found) == ["one", "two"]
