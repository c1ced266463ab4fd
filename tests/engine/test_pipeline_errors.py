"""Every error of pipelines and instances; pipeline_errors.golden holds statements and what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import Database, SqlError
from headwater.storage import SimulatedDisk
from tests.golden import cases, check

GOLDEN = Path(__file__).with_name("pipeline_errors.golden")

DEFINITIONS = """
CREATE SCHEMA bank;
CREATE STREAM bank.payments (id BIGINT KEY, note VARCHAR, amount DOUBLE) WITH (partitions = 2);
CREATE STREAM keyless (id BIGINT, amount DOUBLE) WITH (partitions = 2);
CREATE STREAM texts (id VARCHAR KEY, amount DOUBLE);
CREATE STREAM ids (id BIGINT KEY);
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR);
CREATE TABLE visits (id BIGINT, name VARCHAR PRIMARY KEY);
CREATE PIPELINE large (
    IN a STREAM (id BIGINT KEY, amount DOUBLE), OUT b STREAM (id BIGINT, amount DOUBLE), PARAM least DOUBLE DEFAULT 50
) AS BEGIN
    CREATE TABLE seen AS SELECT id, count(*) AS n FROM a GROUP BY id;
    CREATE STREAM b AS SELECT id, amount FROM a WHERE amount >= $least;
END;
CREATE PIPELINE named (
    IN people TABLE (id BIGINT PRIMARY KEY, name VARCHAR), OUT names TABLE (id BIGINT, name VARCHAR), PARAM least BIGINT
) AS BEGIN
    CREATE TABLE t AS SELECT * FROM people WHERE id >= $least;
    CREATE TABLE names AS SELECT id, name FROM t;
END;
CREATE PIPELINE outer_one (IN a STREAM (id BIGINT KEY, amount DOUBLE), OUT b STREAM (id BIGINT)) AS BEGIN
    CREATE INSTANCE i OF large (a => a);
    CREATE STREAM b AS SELECT id FROM i.b;
END;
CREATE PIPELINE handing (IN a STREAM (id BIGINT), OUT q QUEUE (id BIGINT)) AS BEGIN
    CREATE QUEUE q ON a;
END;
CREATE PIPELINE ledger (IN a STREAM (id BIGINT), OUT b STREAM (id BIGINT)) AS BEGIN
    CREATE STREAM b (id BIGINT);
    CREATE STREAM failed (id BIGINT);
    INSERT INTO b SELECT id FROM a;
END;
CREATE INSTANCE l OF ledger (a => ids);
CREATE INSTANCE f OF large (a => bank.payments);
CREATE INSTANCE g OF outer_one (a => bank.payments);
"""


@pytest.fixture(scope="module")
def bank() -> Iterator[Database]:
    with Database(SimulatedDisk(), "db", None, background=False) as db:
        db.execute(DEFINITIONS)
        yield db


def answer(db: Database, sql: str) -> str:
    before = (db.version, db.pipeline.catalog)
    with pytest.raises(SqlError) as caught:
        db.sql(sql)
    assert (db.version, db.pipeline.catalog) == before, "a statement that fails changes nothing"
    return f"{type(caught.value).__name__}: {caught.value}"


def test_errors_are_as_the_golden_file_has_them(bank: Database) -> None:
    check(GOLDEN, lambda sql: answer(bank, sql))


def test_each_is_one_sentence_and_shows_where(bank: Database) -> None:
    for sql, _ in cases(GOLDEN):
        with pytest.raises(SqlError) as caught:
            bank.sql(sql)
        assert caught.value.span is not None, sql
        assert "\n" not in caught.value.message and not caught.value.message.endswith("."), sql
