"""`${name}`: what DEFINE says stands for it in the statements after, and errors point at the name."""

from __future__ import annotations

import pytest

from headwater.errors import SqlError, SyntaxProblem, UnknownName
from headwater.parser import parse, parse_statement, unparse
from headwater.parser import syntax as ast


def test_a_value_stands_for_its_name_in_the_statements_after_its_definition() -> None:
    _, query = parse("DEFINE source = 'bids'; SELECT * FROM ${source} WHERE city = '${SOURCE}'")
    assert query == parse_statement("SELECT * FROM bids WHERE city = 'bids'")


def test_a_value_is_text_and_may_be_any_part_of_a_statement() -> None:
    variables = {"what": "count(*) AS n", "where": "WHERE a > 1"}
    assert parse_statement("SELECT ${what} FROM t ${where}", variables) == parse_statement(
        "SELECT count(*) AS n FROM t WHERE a > 1"
    )


def test_a_quote_in_a_value_does_not_end_the_string_around_it() -> None:
    assert parse_statement("SELECT '${name}'", {"name": "O'Brien"}) == parse_statement("SELECT 'O''Brien'")


def test_a_name_that_is_not_defined_is_an_error_but_inside_quotes() -> None:
    assert parse_statement("SELECT '${cty}' -- ${cty}", {"city": "x"}) == parse_statement("SELECT '${cty}'")
    with pytest.raises(UnknownName, match='there is no variable "cty"') as caught:
        parse_statement("SELECT ${cty}", {"city": "x"})
    assert caught.value.span is not None and (caught.value.span.start, caught.value.span.end) == (7, 13)
    assert caught.value.hint == 'did you mean "city"?'


def test_two_dollars_inside_quotes_keep_the_characters_of_a_name() -> None:
    assert parse_statement("SELECT '$${city}'", {"city": "x"}) == parse_statement("SELECT '${city}'")


def test_without_variables_there_is_nothing_to_replace() -> None:
    literal = parse_statement("SELECT '$${city}'")
    assert parse_statement(unparse(literal)) == literal
    with pytest.raises(SyntaxProblem):
        parse_statement("SELECT ${city}")


def test_undefine_forgets_a_name() -> None:
    with pytest.raises(UnknownName):
        parse("DEFINE a = 't'; UNDEFINE A; SELECT * FROM ${a}")


def test_places_are_those_of_the_text_as_it_was_written() -> None:
    text = "CHECKPOINT; SELECT ${long}, b, ${long} FROM t"
    _, query = parse(text, {"long": "a_very_long_name"})
    written = [text[node.span.start : node.span.end] for node in ast.walk(query) if isinstance(node, ast.Name)]
    assert written == ["${long}", "b", "${long}"]
    assert text[query.span.start : query.span.end] == "SELECT ${long}, b, ${long} FROM t"


def test_an_error_points_into_the_text_as_it_was_written() -> None:
    text = "SELECT ${what} FROM t WHRE a = 1"
    with pytest.raises(SqlError) as caught:
        parse(text, {"what": "a + b + c + d"})
    assert caught.value.span is not None
    assert text[caught.value.span.start : caught.value.span.end] == "WHRE"
