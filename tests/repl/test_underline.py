"""Which part of the text at the prompt is underlined as an error; `|` is the cursor."""

from __future__ import annotations

import pytest

from headwater.repl.highlight import SqlLexer
from headwater.repl.place import LONG, place_of
from headwater.repl.underline import error_in


def underlined(typed: str) -> str | None:
    text, cursor = typed.replace("|", ""), typed.index("|")
    span = error_in(text, cursor)
    return None if span is None else text[span.start : span.end]


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ("SELECT * FRM bids WHERE|", "FRM"),
        ("SELECT 1; SELEC 2;|", "SELEC"),
        ("SELECT price,\n  FROM bids WHERE x|", "FROM"),
    ],
)
def test_an_error_before_the_cursor_is_underlined(typed: str, wrong: str) -> None:
    assert underlined(typed) == wrong


@pytest.mark.parametrize("typed", ["SELECT | FROM bids", "SELECT * FRM|", "\\d nothing at all|", "SELECT 'it|", "|"])
def test_what_may_be_coming_and_commands_are_not_underlined(typed: str) -> None:
    assert underlined(typed) is None


def test_in_a_long_text_the_statement_at_the_cursor_is_looked_at() -> None:
    script = "INSERT INTO bids VALUES (1, 'one');\n" * (LONG // 30)
    assert underlined(f"{script}SELECT * FRM bids WHERE|") == "FRM"
    assert underlined(f"{script}SELECT * FROM bids WHERE|") is None


def test_in_a_long_text_the_place_is_that_of_the_statement_at_the_cursor() -> None:
    place = place_of("INSERT INTO bids VALUES (1, 'one');\n" * (LONG // 30) + "SELECT * FROM b")
    assert place is not None and place.beginning.strip() == "SELECT * FROM"


def test_a_string_of_several_lines_is_coloured_on_each() -> None:
    from prompt_toolkit.document import Document

    line = SqlLexer().lex_document(Document("SELECT 'one\n'' two\nthree' four"))
    assert [line(number)[0][0] for number in (1, 2)] == ["class:string", "class:string"]
    assert line(2)[-1] == ("class:word", "four")
