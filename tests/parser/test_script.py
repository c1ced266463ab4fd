"""Cutting a text into statements."""

from __future__ import annotations

import pytest

from headwater.parser import is_complete, split


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", ()),
        (" ; -- nothing;\n/* ; */ ;", ()),
        ("SELECT 1", (("SELECT 1", False),)),
        ("SELECT 1;", (("SELECT 1", True),)),
        ("SELECT 1; SELECT 2", (("SELECT 1", True), ("SELECT 2", False))),
        ("SELECT ';', \"a;b\", `c;d`, $$;$$ ;", (("SELECT ';', \"a;b\", `c;d`, $$;$$", True),)),
        ("SELECT 'it''s;' ;", (("SELECT 'it''s;'", True),)),
        ("SELECT 1 -- one;\n + 1;", (("SELECT 1 -- one;\n + 1", True),)),
        ("SELECT 'open;", (("SELECT 'open;", False),)),
        ("SELECT 1 /* open;", (("SELECT 1 /* open;", False),)),
        ("any nonsense # ?; too", (("any nonsense # ?", True), ("too", False))),
    ],
)
def test_a_semicolon_ends_a_statement_unless_it_is_quoted_or_in_a_comment(
    text: str, statements: tuple[tuple[str, bool], ...]
) -> None:
    assert split(text) == statements


@pytest.mark.parametrize("text", ["SELECT 1;", "SELECT 1; SELECT 2;", "SELECT 1; -- done", "SELECT '\n';\n\n"])
def test_a_text_is_complete_when_its_last_statement_is_ended(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize("text", ["", ";", "SELECT 1", "SELECT 1; SELECT", "SELECT 'a;", "SELECT 1 /* ;", "-- ;"])
def test_a_text_without_an_ended_statement_is_not_complete(text: str) -> None:
    assert not is_complete(text)
