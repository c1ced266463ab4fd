"""What to tell a user whose statement does not parse."""

from __future__ import annotations

from lark import UnexpectedInput

from headwater.errors import Span, SqlError, SyntaxProblem


def problem(text: str, span: Span, error: UnexpectedInput) -> SqlError:
    return SyntaxProblem("unexpected " + repr(error), span)
