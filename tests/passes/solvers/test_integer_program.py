import pytest

from steelyard.passes.solvers.integer_program import IntegerProgram


def test_a_knapsack_by_hand():
    program = IntegerProgram()
    items = {program.add_choice(-worth): weight for worth, weight in ((6, 5), (5, 4), (4, 3))}
    program.require_at_most(items, 7)
    assert program.solve() == pytest.approx([0, 1, 1])  # worth 9 in 7, against 6 and 10 in 8 or more


def test_an_amount_takes_what_choices_leave():
    program = IntegerProgram()
    chosen, more = program.add_choice(1), program.add_amount(2)
    program.require_at_least({chosen: 1, more: 1}, 2.5)
    assert program.solve() == pytest.approx([1, 1.5])


def test_what_cannot_be_met_has_no_answer():
    program = IntegerProgram()
    program.require_at_least({program.add_choice(1): 1}, 2)
    assert program.solve() is None
    assert IntegerProgram().solve() == []
