"""Colours of the text at the prompt, complete or not."""

from __future__ import annotations

import pytest
from prompt_toolkit.document import Document

from headwater.repl.highlight import SqlLexer
from headwater.repl.sql_tokens import tokens


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("SELECT price", ["keyword", "space", "word"]),
        ("select bigint", ["keyword", "space", "keyword"]),
        ("1.5e3,x2", ["number", "other", "word"]),
        ("'it''s' \"a b\" `c`", ["string", "space", "quoted", "space", "quoted"]),
        ("'not closed; select", ["string"]),
        ("/* not closed", ["comment"]),
        ("-- a 'comment'\n1", ["comment", "space", "number"]),
        ("$$ python; $$", ["string"]),
    ],
)
def test_text_is_cut_into_tokens(text: str, kinds: list[str]) -> None:
    assert [token.kind for token in tokens(text)] == kinds
    assert "".join(token.text for token in tokens(text)) == text


def test_each_line_of_the_prompt_gets_its_own_colours() -> None:
    line = SqlLexer().lex_document(Document("SELECT 'two\nlines'"))
    assert line(0) == [("class:keyword", "SELECT"), ("class:space", " "), ("class:string", "'two")]
    assert line(1) == [("class:string", "lines'")]


def test_a_line_that_is_not_there_has_no_colours() -> None:
    assert SqlLexer().lex_document(Document(""))(7) == []
