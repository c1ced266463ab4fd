"""Syntax errors underlined in the text at the prompt, while it is typed.

Only those that nothing typed behind them can mend, in what stands before the cursor: what is missing at the cursor may
be coming. In a long text only the statement at the cursor is looked at, and one that is too long is not.
"""

from __future__ import annotations

from functools import lru_cache

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_len
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments

from headwater.errors import Span
from headwater.parser import hopeless, pieces
from headwater.repl.place import LONG

_TOO_LONG = 4_000  # characters, of a statement

ERROR_STYLE = "class:syntax-error"


class ErrorUnderliner(Processor):
    """Underlines what the parser will refuse."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """A line of the text, with errors in it underlined."""
        document, fragments = transformation_input.document, transformation_input.fragments
        span = error_in(document.text, document.cursor_position)
        if span is None:
            return Transformation(fragments)
        start = document.translate_row_col_to_index(transformation_input.lineno, 0)
        begin = transformation_input.source_to_display(max(span.start - start, 0))
        end = transformation_input.source_to_display(max(span.end - start, 0))
        return Transformation(_underlined(fragments, begin, end))


def _underlined(fragments: StyleAndTextTuples, begin: int, end: int) -> StyleAndTextTuples:
    if end <= begin or begin >= fragment_list_len(fragments):
        return fragments
    exploded = explode_text_fragments(fragments)
    for place in range(begin, min(end, len(exploded))):
        style, text, *rest = exploded[place]
        exploded[place] = (f"{style} {ERROR_STYLE}", text)
    return exploded


@lru_cache(maxsize=8)
def error_in(text: str, cursor: int) -> Span | None:
    """Where the first error is that nothing typed at the cursor can mend; None for none, and for commands."""
    if text.lstrip().startswith("\\"):
        return None
    shift = 0 if len(text) <= LONG else text.rfind(";\n", 0, cursor) + 1
    before = text[shift:cursor]
    for piece in pieces(before):
        if piece.span.end - piece.span.start <= _TOO_LONG:
            error = hopeless(before, piece)
            if error is not None and error.span is not None and error.span.end > error.span.start:
                return Span(error.span.start + shift, error.span.end + shift)
    return None
