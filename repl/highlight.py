"""Colours for SQL in the prompt.

Each line is coloured by itself and remembered, so typing in a long text costs the line that changes; what has to be
known of the lines before it is whether a string, a quoted name or a comment is open there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer

from headwater.repl.sql_tokens import Token, tokens_of_line


class SqlLexer(Lexer):
    """Gives each token of the text its style."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from a line's number to its coloured fragments."""
        lines = document.lines
        open_before = [""]

        def coloured(number: int) -> StyleAndTextTuples:
            if number >= len(lines):
                return []
            while len(open_before) <= number:
                open_before.append(_coloured(open_before[-1], lines[len(open_before) - 1])[1])
            return list(_coloured(open_before[number], lines[number])[0])

        return coloured


@lru_cache(maxsize=20_000)
def _coloured(opened: str, line: str) -> tuple[StyleAndTextTuples, str]:
    """A line's fragments, and what is open behind it, where `opened` is open before it."""
    found, open_behind = tokens_of_line(opened, line)
    fragments: StyleAndTextTuples = [
        (f"class:{_style(token, after)}", token.text) for token, after in pairwise([*found, Token("space", "")])
    ]
    return fragments, open_behind


def _style(token: Token, after: Token) -> str:
    return "function" if token.kind == "word" and after.text == "(" else token.kind
