"""What may follow the beginning of a statement, and which errors no more typing can mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headwater.parser import following, hopeless, pieces
from tests.golden import cases


@pytest.mark.parametrize(
    ("beginning", "phrase"),
    [
        ("", "INSERT INTO"),
        ("SELECT * ", "FROM"),
        ("SELECT * FROM bids ", "GROUP BY"),
        ("SELECT * FROM bids ", "LEFT JOIN"),
        ("SELECT * FROM bids ", "AS OF"),
        ("SELECT * FROM bids ", "WINDOW TUMBLING"),
        ("SELECT * FROM bids ", "EMIT ON WINDOW CLOSE"),
        ("SELECT * FROM bids WHERE price ", "IS NOT NULL"),
        ("SELECT * FROM bids AS OF ", "VERSION"),
        ("SELECT * FROM bids WINDOW TUMBLING (SIZE 1 ", "HOURS"),
        ("CREATE STREAM ", "IF NOT EXISTS"),
        ("CREATE STREAM bids (price DOUBLE ", "PRIMARY KEY"),
        ("SHOW ", "QUERIES"),
    ],
)
def test_keywords_come_with_those_that_must_follow_them(beginning: str, phrase: str) -> None:
    found = following(beginning)
    assert found is not None and phrase in found.phrases


def test_words_that_would_only_be_an_alias_are_no_keywords_there() -> None:
    found = following("SELECT * FROM bids ")
    assert found is not None and {"KEY", "ADD", "TIMEOUT"}.isdisjoint(found.phrases)


def test_it_says_whether_an_expression_a_type_or_the_end_may_come() -> None:
    expression, type_, end = following("SELECT a + "), following("SELECT a::"), following("SELECT a ")
    assert expression is not None and expression.takes_expression and not expression.may_end
    assert type_ is not None and type_.takes_type and not type_.takes_expression
    assert end is not None and end.may_end and not end.takes_expression


def test_nothing_follows_an_error() -> None:
    assert following("SELECT ) a FROM ") is None


def errors(text: str) -> list[str]:
    """The text under each error that no more typing can mend."""
    found = [hopeless(text, piece) for piece in pieces(text)]
    return [text[error.span.start : error.span.end] for error in found if error is not None and error.span is not None]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("SELECT * FRM bids WHERE price > 1", "FRM"),
        ("SELECT a, FROM bids", "FROM"),
        ("SELECT ) FROM bids", ")"),
        ("SELECT 1; SELEC 2; SELECT 3", "SELEC"),
        ("SELECT * FROM bids ORDER price, auction", "price"),
    ],
)
def test_what_no_more_typing_can_mend_is_an_error(text: str, wrong: str) -> None:
    assert wrong.startswith(tuple(errors(text))) and errors(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT",
        "SELECT a FRO",
        "SELECT (a + ",
        "SELECT 'it",
        "CREATE STREAM IF NOT",
        "INSERT INTO t VALUES",
        "SELECT ${x}",
    ],
)
def test_what_is_not_finished_is_no_error(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize("group", ["ask", "past", "define", "consume", "operate"])
def test_no_beginning_of_a_statement_is_an_error(group: str) -> None:
    """The beginnings of each statement that the parser reads, cut behind every word."""
    statements = [given for given, _ in cases(Path(__file__).with_name(f"{group}.golden"))]
    beginnings = {text[: found.end()] for text in statements for found in re.finditer(r"\w+|[^\w\s]", text)}
    assert {text: errors(text) for text in beginnings if errors(text)} == {}
