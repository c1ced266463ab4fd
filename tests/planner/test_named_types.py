"""Where a name in the text of a type means a named type, and where it is the name of a field."""

from __future__ import annotations

import pytest

from headwater.parser import parse_statement, unparse
from headwater.planner import with_named_types
from headwater.planner.catalog import NamedType
from headwater.planner.named_types import expanded

TYPES = {"address": NamedType("Address", "STRUCT(zip INTEGER)"), "money": NamedType("money", "DECIMAL(10,2)")}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ADDRESS", "STRUCT(zip INTEGER)"),
        ("ADDRESS[]", "STRUCT(zip INTEGER)[]"),
        ("ADDRESS[3][]", "STRUCT(zip INTEGER)[3][]"),
        ("MAP(MONEY, ADDRESS)", "MAP(DECIMAL(10,2), STRUCT(zip INTEGER))"),
        ("STRUCT(money MONEY, b MONEY)", "STRUCT(money DECIMAL(10,2), b DECIMAL(10,2))"),
        ('STRUCT("money" MONEY)', 'STRUCT("money" DECIMAL(10,2))'),
        ("STRUCT(a MAP(MONEY, STRUCT(address MONEY)[]), money VARCHAR)",
         "STRUCT(a MAP(DECIMAL(10,2), STRUCT(address DECIMAL(10,2))[]), money VARCHAR)"),
        ("MONEYS", "MONEYS"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("DECIMAL(10,2)", "DECIMAL(10,2)"),
    ],
)  # fmt: skip
def test_names_of_types_are_replaced_and_names_of_fields_are_not(written: str, meant: str) -> None:
    assert expanded(written, TYPES) == meant


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ("SELECT (a::money + CAST(b AS money))::address", "SELECT CAST(CAST(a AS DECIMAL(10,2)) + "
         "CAST(b AS DECIMAL(10,2)) AS STRUCT(zip INTEGER))"),
        ("SELECT money, address.zip FROM address", "SELECT money, address.zip FROM address"),
        ("CREATE TABLE money (money money)", "CREATE TABLE money (money DECIMAL(10,2))"),
        ("ALTER TABLE t ADD COLUMN money money[]", "ALTER TABLE t ADD COLUMN money DECIMAL(10,2)[]"),
        ("CREATE TYPE pair AS STRUCT<a money>", "CREATE TYPE pair AS STRUCT(a DECIMAL(10,2))"),
    ],
)  # fmt: skip
def test_only_types_of_a_statement_are_replaced(sql: str, meant: str) -> None:
    assert unparse(with_named_types(parse_statement(sql), TYPES)) == meant
