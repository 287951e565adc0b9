"""Strings in IR: any text is read back, and a missing quote is an error at its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr

from steelyard.compiler.ir.text import format_program, parse_program
from steelyard.hw.base.errors import IRError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(key=TEXTS.filter(bool), value=TEXTS)
def test_any_text_is_read_back(key, value):
    attributes = {"a.text": StringAttr(value), "a.keys": DictionaryAttr({key: StringAttr(value)})}
    module = ModuleOp([], attributes=attributes)
    assert parse_program(format_program(module)).attributes == module.attributes


@pytest.mark.timeout(60)
def test_a_quote_that_is_missing_is_found_at_once():
    with pytest.raises(IRError, match="cannot be read") as caught:
        parse_program('builtin.module attributes {a = "' + "x" * 200 + "\n} {}")
    assert caught.value.where == "<text>:1:32"
