"""Strategies of damaged input: good texts and bytes with up to three edits."""

import re
from collections.abc import Sequence

from hypothesis import strategies as st

_TOKEN = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|\d+(?=x)|x(?=[\d?a-z]+[x>])|[%@#!]?[A-Za-z_][\w.$]*'
    r"|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\s+|.",
    re.DOTALL,
)
_SIZES = [
    "-1",
    "0",
    "1",
    "3",
    "0.5",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "1" + "0" * 30,
]
_NUMBERS = [*_SIZES, "-0.0", "nan", "inf", "-inf", "1e308", "1e-320", "1e400"]
_WORDS = ["", '"', "\\", "\n", "é", "名前", "\x00", "null", "true", "?", "../x", "__class__", "a" * 5000]
_TYPES = [
    "none",
    "complex<f32>",
    "tensor<*xf32>",
    "tensor<0xf32>",
    "tensor<99999999999x99999999999xf32>",
    "i1",
    "f8E4M3FN",
]
_NESTS = [
    ("[", "]"),
    ("{a = ", "}"),
    ('{"a": ', "}"),
    ("(", ")"),
    ("complex<", ">"),
    ("builtin.module {", "}"),
]
_DEPTHS = [50, 1000, 20_000]


@st.composite
def edited(draw: st.DrawFn, texts: Sequence[str]) -> str:
    """One of some texts with up to three tokens or lines dropped, moved, swapped, nested or replaced."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2, 3]))):
        is_line = draw(st.sampled_from([True, False, False, False]))
        parts = text.splitlines(keepends=True) if is_line else _TOKEN.findall(text)
        places = [place for place, part in enumerate(parts) if not part.isspace()]
        if not places:
            return text
        at, other = draw(st.sampled_from(places)), draw(st.sampled_from(places))
        match draw(st.sampled_from(["drop", "copy", "swap", "move", "nest", "cut", "odd", "odd", "odd"])):
            case "drop":
                parts[at] = ""
            case "copy":
                parts[at] = parts[other]
            case "swap":
                parts[at], parts[other] = parts[other], parts[at]
            case "move":
                parts.insert(other, parts.pop(at))
            case "nest":
                opening, closing = draw(st.sampled_from(_NESTS))
                depth = draw(st.sampled_from(_DEPTHS))
                parts[at] = opening * depth + parts[at] + closing * depth
            case "cut":
                del parts[at:]
            case _:
                parts[at] = draw(st.sampled_from(_NUMBERS + _WORDS + _TYPES))
        text = "".join(parts)
    return text


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which some are others, or the end is missing."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.sampled_from([len(data), len(data), draw(st.integers(0, len(data)))]))])


odd_values = st.sampled_from(
    [-1, 0, 2**62, 1e308, 1e-300, float("inf"), None, b"\xff\x00", *_WORDS, *_NUMBERS]
)
"""Values for a cell of a database."""
