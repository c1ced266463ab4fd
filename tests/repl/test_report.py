"""Errors as text."""

from __future__ import annotations

import io

import pytest

from headwater.errors import HeadwaterError, Span, UnknownName
from headwater.repl.report import show_error


def shown(error: Exception) -> str:
    stream = io.StringIO()
    show_error(error, stream)
    return stream.getvalue()


def raised(error: Exception) -> Exception:
    """`error` with the traceback that raising it gives."""
    with pytest.raises(type(error)) as info:
        raise error
    return info.value


def test_an_error_in_sql_shows_the_line_the_caret_and_the_way_out() -> None:
    error = UnknownName('column "amout" does not exist', Span(7, 12), hint='did you mean "amount"?')
    assert shown(error.attach("SELECT amout FROM orders")) == (
        'error: column "amout" does not exist (line 1, column 8)\n'
        "1 | SELECT amout FROM orders\n"
        "  |        ^^^^^\n"
        'hint: did you mean "amount"?\n'
    )


def test_an_error_without_a_position_is_one_line() -> None:
    assert shown(HeadwaterError("the disk is full")) == "error: the disk is full\n"


def test_an_unforeseen_error_is_named_in_a_line_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWATER_DEBUG", raising=False)
    assert shown(raised(ValueError("two\nlines"))) == (
        "error: unexpected ValueError: two lines\n"
        "hint: this is a bug; HEADWATER_DEBUG=1 shows where it came from\n"
    )  # fmt: skip


def test_headwater_debug_shows_where_an_unforeseen_error_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_DEBUG", "1")
    text = shown(raised(ValueError("odd")))
    assert text.startswith("Traceback (most recent call last):")
    assert "in raised" in text
