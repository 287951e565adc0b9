"""xDSL's lexer of string literals (0.75), mended: any alphabet is text, and no quote makes it hang."""

# pyright: reportPrivateUsage=false

import re

from xdsl.utils.exceptions import ParseError
from xdsl.utils.lexer import Position, Span, Token
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRToken, MLIRTokenKind, StringLiteral

# One character a step: xDSL's repetition inside a repetition takes exponential time where no quote follows.
_LITERAL = re.compile(r'"(?:[^"\\\n\v\f]|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*"')


def mend_string_lexer() -> None:
    """Let xDSL read the strings that it writes; it may be called again."""
    MLIRLexer._lex_string_literal = _lex_string_literal


def _lex_string_literal(self: MLIRLexer, start_pos: Position) -> MLIRToken:
    """A string literal; one of bytes where it is not UTF-8. xDSL has bytes where it is not ASCII."""
    match = _LITERAL.match(self.input.content, start_pos)
    if match is None:
        raise ParseError(Span(start_pos, self.pos, self.input), "the string is not closed in its line")
    self.pos = match.end()
    literal = StringLiteral(start_pos, self.pos, self.input)
    try:
        literal.bytes_contents.decode()
    except UnicodeDecodeError:
        return Token(MLIRTokenKind.BYTES_LIT, literal)
    return Token(MLIRTokenKind.STRING_LIT, literal)
