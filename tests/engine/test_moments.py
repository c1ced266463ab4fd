"""The versions that can have changed an answer, and points of the log as a user writes them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import headwater
from headwater.engine.moments import moments, moments_before, reads_at_all_times
from headwater.errors import OutOfRange, SqlError
from headwater.parser import parse_statement, syntax


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("""
            CREATE STREAM bids (auction BIGINT, price BIGINT);
            CREATE TABLE names (id BIGINT PRIMARY KEY, name VARCHAR);
            CREATE TABLE hot AS SELECT auction, max(price) AS top FROM bids GROUP BY auction;
            CREATE VIEW cheap AS SELECT * FROM hot WHERE top < 5;
        """)
        yield opened


def written(database: headwater.Database, sql: str) -> list[int]:
    query = parse_statement(sql)
    assert isinstance(query, syntax.Query)
    reads = reads_at_all_times(query, database.reader.points())
    found = list(moments(reads, database.log, 0, database.version))
    assert list(moments_before(reads, database.log, database.version)) == found[::-1]
    for version in range(1, database.version + 1):
        if version not in found:
            before, now = (database.sql(f"({sql}) AS OF VERSION {v}").fetchall() for v in (version - 1, version))
            assert before == now
    return found


def test_a_relation_is_read_where_its_sources_were_written(database: headwater.Database) -> None:
    bids = [database.append("bids", [{"auction": 1, "price": price}]).version for price in (3, 9)]
    names = database.append("names", [{"id": 1, "name": "one"}]).version
    database.settle()
    assert written(database, "SELECT * FROM bids") == bids
    assert written(database, "SELECT * FROM hot") == bids
    assert written(database, "SELECT * FROM cheap") == bids
    assert written(database, "SELECT name, top FROM hot JOIN names ON auction = id") == [*bids, names]
    assert written(database, "SELECT 1") == []


def test_a_definition_matters_where_it_gives_a_name_another_meaning(database: headwater.Database) -> None:
    first = database.append("bids", [{"auction": 1, "price": 3}]).version
    database.append("names", [{"id": 1, "name": "one"}])
    database.execute("CREATE OR REPLACE VIEW cheap AS SELECT id AS auction, 1 AS top FROM names")
    turn = database.version
    second = database.append("names", [{"id": 2, "name": "two"}]).version
    bids = database.append("bids", [{"auction": 1, "price": 4}]).version
    database.execute("CREATE VIEW other AS SELECT * FROM names")
    assert {first, turn, second} <= set(written(database, "SELECT * FROM cheap"))
    assert written(database, "SELECT * FROM bids") == [first, bids]


def test_on_the_way_back_none_is_lost_however_far_apart_they_are(database: headwater.Database) -> None:
    bids = []
    for number in range(150):
        if number % 70 == 0:
            bids.append(database.append("bids", [{"auction": 1, "price": number}]).version)
        database.append("names", [{"id": number, "name": "x"}])
    query = parse_statement("SELECT * FROM bids")
    assert isinstance(query, syntax.Query)
    reads = reads_at_all_times(query, database.reader.points())
    assert list(moments_before(reads, database.log, database.version)) == bids[::-1]


def test_what_depends_on_the_time_changes_with_every_commit(database: headwater.Database) -> None:
    database.execute("CREATE TABLE fresh AS SELECT * FROM names WHERE TIMESTAMP '2020-01-01' > now() - INTERVAL 1 DAY")
    query = parse_statement("SELECT * FROM fresh")
    assert isinstance(query, syntax.Query)
    reads = reads_at_all_times(query, database.reader.points())
    assert list(moments(reads, database.log, 0, 3)) == [1, 2, 3]


def test_a_point_of_the_log_lies_in_a_version(database: headwater.Database) -> None:
    first, second = (database.append("bids", [{"auction": 1, "price": 1}] * 3).version for _ in range(2))
    assert database.version_of(f"VERSION {first}") == first
    assert database.version_of("OFFSET (bids => 3)") == first
    assert database.version_of("OFFSET (bids => 4)") == second
    assert database.version_of("'1 day ago'") == 0
    query = parse_statement("SELECT * FROM hot")
    assert isinstance(query, syntax.Query)
    assert database.version_of("OFFSET 4", [query]) == second


@pytest.mark.parametrize("point", ["", "42", "VERSION 1 WHERE true", "VERSION 1 JOIN t AS OF VERSION 2 ON true"])
def test_what_is_no_point_is_refused_where_it_stands(database: headwater.Database, point: str) -> None:
    with pytest.raises(SqlError) as raised:
        database.version_of(point)
    assert raised.value.sql == point
    assert raised.value.span is not None and raised.value.span.end <= len(point)


def test_a_point_that_is_not_there_is_refused(database: headwater.Database) -> None:
    with pytest.raises(OutOfRange, match=r"version 99 is not there yet"):
        database.version_of("VERSION 99")


def test_a_session_that_stands_in_the_past_asks_there_unless_a_query_says_otherwise(
    database: headwater.Database,
) -> None:
    first = database.append("bids", [{"auction": 1, "price": 3}]).version
    latest = database.append("bids", [{"auction": 1, "price": 9}]).version
    database.session.stand(first)
    assert database.sql("SELECT top FROM hot").fetchall() == [(3,)]
    assert database.sql("SELECT (SELECT top FROM hot) AS top").fetchall() == [(3,)]
    assert database.sql(f"SELECT top FROM hot AS OF VERSION {latest}").fetchall() == [(9,)]
    database.session.stand(None)
    assert database.sql("SELECT top FROM hot").fetchall() == [(9,)]
