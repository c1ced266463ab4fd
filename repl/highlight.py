"""Colours for SQL in the prompt."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import split_lines
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from headwater.repl.sql_tokens import tokens

STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "comment": "ansibrightblack italic",
        "string": "ansigreen",
        "quoted": "ansicyan",
        "number": "ansimagenta",
        "keyword": "ansiblue bold",
        "bottom-toolbar": "noreverse ansibrightblack",
    }
)


class SqlLexer(Lexer):
    """Gives each token of the text its style."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from a line's number to its coloured fragments."""
        coloured = [(f"class:{token.kind}", token.text) for token in tokens(document.text)]
        lines = list(split_lines(coloured))
        return lambda number: lines[number] if number < len(lines) else []
