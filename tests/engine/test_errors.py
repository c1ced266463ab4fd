"""Every error of a statement: what is wrong, where, what to do. errors.golden holds statements and what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import Database, SqlError
from headwater.storage import SimulatedDisk
from tests.golden import cases, check

GOLDEN = Path(__file__).with_name("errors.golden")

DEFINITIONS = """
CREATE STREAM bids (auction INTEGER KEY, price DOUBLE);
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR, age TINYINT);
CREATE TABLE notes (person INTEGER, text VARCHAR);
CREATE TABLE odd (wide HUGEINT, tags VARCHAR[]);
CREATE TABLE shelves (n INTEGER) WITH (partitions = 2);
CREATE TABLE totals AS SELECT auction, count(*) AS n FROM bids GROUP BY auction;
CREATE VIEW dear AS SELECT auction FROM bids WHERE price > 3;
CREATE TABLE dearest AS SELECT auction, count(*) AS n FROM dear GROUP BY auction;
CREATE VIEW past AS SELECT * FROM bids AS OF VERSION 1;
CREATE TABLE sums AS SELECT n, count(*) AS c FROM totals GROUP BY n;
CREATE TYPE money AS DECIMAL(10, 2);
CREATE TABLE pairs AS SELECT p.name, n.text FROM people p JOIN notes n ON p.id = n.person;
CREATE FUNCTION half (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS 'return x / 2';
CREATE FUNCTION words (s VARCHAR, n INTEGER) RETURNS VARCHAR[] LANGUAGE python AS 'return s.split()[:n]';
CREATE AGGREGATE FUNCTION middle (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS 'return x.to_pylist()[0]';
INSERT INTO bids VALUES (1, 2.5), (2, 3.5);
INSERT INTO people VALUES (1, 'ann', 30), (2, 'bob', 40);
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Database]:
    disk = SimulatedDisk()
    disk.clock_us = 1_767_225_600_000_000  # 2026-01-01
    with Database(disk, "db", None, background=False) as db:
        db.execute(DEFINITIONS)
        db.settle()
        yield db


def answer(db: Database, sql: str) -> str:
    with pytest.raises(SqlError) as caught:
        db.sql(sql)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_errors_are_as_the_golden_file_has_them(shop: Database) -> None:
    check(GOLDEN, lambda sql: answer(shop, sql))


def test_errors_are_written_in_one_manner(shop: Database) -> None:
    for sql, _ in cases(GOLDEN):
        with pytest.raises(SqlError) as caught:
            shop.sql(sql)
        message, hint = caught.value.message, caught.value.hint or ""
        assert not message.endswith((".", "!")) and not hint.endswith("."), message
        assert not message[0].isupper() or message.split()[0].isupper(), f"{message}: lower case, but for keywords"
        assert "\n" not in message and "Error" not in message, f"{message}: one sentence, in our words"


def test_a_statement_that_fails_changes_nothing(shop: Database) -> None:
    version, relations = shop.version, shop.relations()
    for sql, _ in cases(GOLDEN):
        with pytest.raises(SqlError):
            shop.sql(sql)
        assert (shop.version, shop.relations()) == (version, relations), sql
