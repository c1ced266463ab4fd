"""Values beside the text of a statement: they arrive as they are, and are never read as SQL."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from headwater import Database, DataError, SqlError

VALUES = [
    (None, '"NULL"'),
    (True, "BOOLEAN"),
    (-7, "INTEGER"),
    (2**63, "HUGEINT"),
    (0.1, "DOUBLE"),
    (float("inf"), "DOUBLE"),
    (Decimal("-1.50"), "DECIMAL(3,2)"),
    ("it's; DROP TABLE t -- ?", "VARCHAR"),
    ("", "VARCHAR"),
    (b"\x00ab\xff", "BLOB"),
    (date(2026, 1, 31), "DATE"),
    (time(1, 2, 3, 4), "TIME"),
    (datetime(2026, 1, 31, 1, 2, 3, 4), "TIMESTAMP"),
    (datetime(2026, 1, 31, tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
    (UUID(int=5), "UUID"),
    ([1, 2, None], "INTEGER[]"),
]


@pytest.mark.parametrize(("value", "type"), VALUES, ids=str)
def test_a_value_arrives_with_its_type(db: Database, value: Any, type: str) -> None:
    result = db.sql("SELECT ? AS v", [value])
    assert result.columns[0].type == type
    assert result.fetchall() == [(value,)]


def test_an_interval_is_a_value_too(db: Database) -> None:
    question = "SELECT TIMESTAMP '2026-01-02 00:00:00' - ?"
    assert db.sql(question, [timedelta(days=1)]).fetchall() == [(datetime(2026, 1, 1),)]


def test_values_are_taken_in_the_order_of_the_text(db: Database) -> None:
    db.sql("CREATE STREAM s (k INTEGER, v VARCHAR)")
    db.sql("INSERT INTO s VALUES (?, ?), (?, ?)", [1, "a", 2, "b"])
    question = "SELECT v || ? FROM s WHERE k = ? LIMIT ?"
    assert db.sql(question, ["!", 2, 5]).fetchall() == [("b!",)]


def test_a_named_value_may_stand_twice(db: Database) -> None:
    assert db.sql("SELECT $x + $x, $y", {"x": 3, "y": "z"}).fetchall() == [(6, "z")]


def test_a_mark_in_a_string_or_a_comment_is_no_place_for_a_value(db: Database) -> None:
    assert db.sql('SELECT \'?\', "?" /* ? */ FROM (VALUES (?)) AS t ("?") -- $x', [1]).fetchall() == [("?", 1)]


def test_a_definition_keeps_the_value(db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER)")
    db.sql("CREATE TABLE t AS SELECT k, count(*) AS n FROM s WHERE k > ? GROUP BY k", [5])
    db.append("s", [{"k": 5}, {"k": 6}])
    assert db.sql("SELECT * FROM t").fetchall() == [(6, 1)]
    assert db.relations()[1].query is not None and db.relations()[1].query.endswith("WHERE k > 5 GROUP BY k")


def test_a_watched_query_takes_values(db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER)")
    db.append("s", [(1,), (2,)])
    with db.subscribe("SELECT k FROM s WHERE k > ? EMIT CHANGES LIMIT 1", [1]) as watched:
        assert [change.row for change in watched] == [(2,)]


@pytest.mark.parametrize(
    ("sql", "values", "complaint", "column"),
    [
        ("SELECT ?", (), "there is no value for this ?", 8),
        ("SELECT ?, ?", [1], "there is no value for this ?", 11),
        ("SELECT ?", [1, 2], "2 values are given, but the statement has 1 ?", None),
        ("SELECT $x", [1], "there is no value for $x", 8),
        ("SELECT $x", {"y": 1}, "there is no value for $x", 8),
        ("SELECT ?", {"x": 1}, "this ? has no name", 8),
        ("SELECT $x", {"x": 1, "y": 2}, "the statement has no $y, for which a value is given", None),
    ],
)
def test_values_that_do_not_match(db: Database, sql: str, values: Any, complaint: str, column: int | None) -> None:
    with pytest.raises(SqlError) as error:
        db.sql(sql, values)
    assert (error.value.message, error.value.column) == (complaint, column)


@pytest.mark.parametrize("values", ["ab", [object()], [{"a": 1}]], ids=["a text", "an object", "a dict"])
def test_what_cannot_be_a_value(db: Database, values: Any) -> None:
    with pytest.raises(DataError, match="value"):
        db.sql("SELECT ?", values)


def test_a_script_says_that_its_values_are_missing(db: Database) -> None:
    with pytest.raises(SqlError, match="no value for this"):
        db.execute("SELECT 1; SELECT ?")
