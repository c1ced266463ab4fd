"""Every message for text that does not parse, with its caret: errors.golden holds statements and what they answer.

`UPDATE_GOLDEN=1 pytest tests/parser/test_errors.py` writes the answers anew; read the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import SqlError
from headwater.parser import parse, parse_statement
from headwater.parser.keywords import KEYWORDS
from tests.golden import cases, check

GOLDEN = Path(__file__).with_name("errors.golden")


def answer(sql: str) -> str:
    with pytest.raises(SqlError) as caught:
        parse_statement(sql)
    return f"{type(caught.value).__name__}: {caught.value.attach(sql)}"


def test_an_error_says_what_is_wrong_where_and_what_to_do() -> None:
    check(GOLDEN, answer)


def test_a_statement_that_does_not_parse_has_a_way_out() -> None:
    for sql, expected in cases(GOLDEN):
        says_what_to_write = "hint: " in expected or "expected a statement" in expected or "no statement" in expected
        assert says_what_to_write or expected.startswith("Unsupported"), sql


def test_the_place_of_an_error_in_a_script_counts_from_the_start_of_the_script() -> None:
    script = "CHECKPOINT;\nSELECT 1,\n  FROM t;"
    with pytest.raises(SqlError) as caught:
        parse(script)
    error = caught.value.attach(script)
    assert (error.line, error.column) == (3, 3)


MARKS = "a t 1 2.5 'x' \"q\" ( ) [ ] { } , . ; = < > + - * / :: => ' \" # $$ /* --".split()
WORDS = st.sampled_from(sorted(KEYWORDS) + MARKS)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=30))
def test_no_other_error_than_ours_escapes(text: str) -> None:
    try:
        parse(text)
    except SqlError as error:
        assert error.span is not None and 0 <= error.span.start <= error.span.end <= len(text)
        assert str(error.attach(text))
