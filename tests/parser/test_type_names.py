"""Types are spelled as DuckDB's DESCRIBE shows them."""

from __future__ import annotations

import duckdb
import pytest

from headwater.parser import parse_statement
from headwater.parser.syntax import CreateRelation


def normal(written: str) -> str:
    statement = parse_statement(f"CREATE TABLE t (x {written})")
    assert isinstance(statement, CreateRelation)
    return statement.columns[0].type


@pytest.mark.parametrize(
    "written",
    """BOOLEAN|bool|TINYINT|SMALLINT|INT|INTEGER|BIGINT|HUGEINT|UBIGINT|REAL|FLOAT|DOUBLE|DOUBLE PRECISION|DECIMAL
    |NUMERIC(10)|DECIMAL(10, 2)|VARCHAR|VARCHAR(20)|STRING|TEXT|CHAR(3)|CHARACTER VARYING|BLOB|BYTEA|DATE|TIME|TIMESTAMP
    |DATETIME|TIMESTAMPTZ|TIMESTAMP WITH TIME ZONE|TIMESTAMP  WITHOUT TIME ZONE|TIMETZ|TIMESTAMP_NS|INTERVAL|UUID|JSON
    |BIT|INT[]|INT[3]|INT[][]|MAP(TEXT, INT)|STRUCT(a INT, b TEXT[])
    |STRUCT("offset" INT, "b c" MAP(INT, INT[]), Ab INT)""".split("|"),
)
def test_a_type_is_spelled_as_duckdb_shows_it(written: str) -> None:
    shown = duckdb.execute(f"DESCRIBE SELECT NULL::{written} AS x").fetchall()[0][1]
    assert normal(written) == shown


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BYTES", "BLOB"),
        ("ARRAY<STRING>", "VARCHAR[]"),
        ("MAP<STRING, ARRAY<ARRAY<INT>>>", "MAP(VARCHAR, INTEGER[][])"),
        ("STRUCT<street STRING, zip ARRAY<INT>>", "STRUCT(street VARCHAR, zip INTEGER[])"),
        ("ARRAY<STRUCT<a DECIMAL(4,2)>>[]", "STRUCT(a DECIMAL(4,2))[][]"),
    ],
)
def test_types_of_ksqldb_become_those_of_duckdb(written: str, meant: str) -> None:
    assert normal(written) == meant
    assert duckdb.execute(f"DESCRIBE SELECT NULL::{meant} AS x").fetchall()[0][1] == meant
