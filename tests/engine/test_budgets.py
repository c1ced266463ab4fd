"""State budgets: what each operator holds is shown, and a query that holds more than it may stops and says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import headwater
from headwater import Database, DataError, QueryFailed, SqlError

STREAM = "CREATE STREAM s (k BIGINT KEY, g VARCHAR); "
GROUPED = "SELECT k, count(*) AS n FROM s GROUP BY k"


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


def append(db: Database, count: int, start: int = 0) -> None:
    db.append("s", {"k": list(range(start, start + count)), "g": [f"g{i % 7}" for i in range(count)]})


def test_a_query_whose_state_passes_its_limit_stops_and_tells_what_holds_how_much(db: Database) -> None:
    db.execute(STREAM + f"CREATE TABLE wide WITH (state_limit = '1 MB') AS {GROUPED}")
    db.execute("CREATE TABLE few AS SELECT g, count(*) AS n FROM s GROUP BY g")
    db.execute("CREATE TABLE over AS SELECT sum(n) FROM wide")
    append(db, 1_000)
    assert rows(db, "SELECT count(*) FROM wide") == [(1_000,)]
    version = db.version
    append(db, 40_000)
    with pytest.raises(QueryFailed) as failed:
        db.sql("SELECT * FROM wide")
    found = re.search(r"its state has (\S+) MB, and its limit is 1 MB: (\S+) MB in (.*)", failed.value.message)
    assert found is not None and float(found[1]) > float(found[2]) > 1
    assert "the rows of the table" in found[3] and "MB in Aggregate by k: count(*)" in failed.value.message
    assert failed.value.hint is not None and "grows with each new value of k; what would bound it" in failed.value.hint
    assert rows(db, f"SELECT count(*) FROM wide AS OF VERSION {version}") == [(1_000,)]
    assert rows(db, "SELECT sum(n) FROM few") == [(41_000,)]
    with pytest.raises(QueryFailed, match='"wide", which it reads, stopped'):
        db.sql("SELECT * FROM over")


def test_the_state_of_a_query_that_stopped_is_given_back(db: Database) -> None:
    db.execute(STREAM + f"CREATE TABLE wide WITH (state_limit = '1 MB') AS {GROUPED}")
    append(db, 100)
    append(db, 40_000)
    db.settle()
    assert db.pipeline.circuit.state_rows == 0


def test_a_limit_for_all_queries_holds_where_they_do_not_say_themselves(db: Database) -> None:
    db.execute(STREAM + f"CREATE TABLE a AS {GROUPED}; CREATE TABLE b WITH (state_limit = '1 GB') AS {GROUPED}")
    assert db.sql("SET 'state_limit' = '500 kB'").message == "state_limit is 500 kB"
    append(db, 40_000)
    assert rows(db, "SELECT count(*) FROM b") == [(40_000,)]
    with pytest.raises(QueryFailed, match="its limit is 500 kB"):
        db.sql("SELECT * FROM a")
    db.execute("SET 'state_limit' = 'none'; RESUME a")
    assert rows(db, "SELECT count(*) FROM a") == [(40_000,)]
    append(db, 10, start=50_000)
    assert rows(db, "SELECT count(*) FROM a") == [(40_010,)]


def test_a_query_that_would_need_more_than_its_limit_for_what_is_there_is_not_made(db: Database) -> None:
    db.execute(STREAM)
    append(db, 40_000)
    with pytest.raises(QueryFailed, match='"a" fails on the rows there are: its state has .* its limit is 1 MB'):
        db.execute(f"CREATE TABLE a WITH (state_limit = '1 MB') AS {GROUPED}")
    assert [row[0] for row in rows(db, "SHOW TABLES")] == []


def test_the_limit_can_be_given_when_the_database_is_opened(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db", background=False, state_limit="1 MB") as db:
        db.execute(STREAM + f"CREATE TABLE a AS {GROUPED}")
        assert ("state_limit", "1 MB", "default") in rows(db, "SHOW PROPERTIES")
        append(db, 40_000)
        with pytest.raises(QueryFailed, match="its limit is 1 MB"):
            db.sql("SELECT * FROM a")
    with headwater.connect(tmp_path / "db", background=False) as db:
        with pytest.raises(QueryFailed, match="its limit is 1 MB"):
            db.sql("SELECT * FROM a")
        db.execute("RESUME a")
        assert rows(db, "SELECT count(*) FROM a") == [(40_000,)]
    with pytest.raises(DataError, match="cannot read 'much' as a size of state"):
        headwater.connect(state_limit="much")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE STREAM t (v INTEGER) WITH (state_limit = '1 GB')", "state_limit is about a continuous query"),
        ("CREATE TABLE t WITH (state_limit = 'much') AS SELECT k FROM s", "cannot read 'much' as a size of state"),
        ("SET 'state_limit' = 'much'", "state_limit cannot be 'much'"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(db: Database, statement: str, message: str) -> None:
    db.execute(STREAM)
    with pytest.raises(SqlError, match=message):
        db.execute(statement)


def test_what_a_query_holds_is_its_own_and_shown_by_operator(db: Database) -> None:
    db.execute(STREAM + "CREATE TABLE t (k BIGINT PRIMARY KEY, name VARCHAR)")
    db.execute(f"CREATE TABLE counts AS {GROUPED}")
    db.execute("CREATE TABLE named AS SELECT counts.k, name, n FROM counts JOIN t ON counts.k = t.k")
    db.execute("INSERT INTO t SELECT range, 'a name' FROM range(1000)")
    append(db, 1_000)
    described = dict((name, value) for name, value, _ in rows(db, "DESCRIBE named EXTENDED"))
    assert [name for name in described if "state of" in name] == [
        "· state of Join inner ON counts.k = t.k", "· state of the rows of the table"]  # fmt: skip
    assert described["· state of the rows of the table"].startswith("1,000 rows in ")
    total = int(described["· state"].partition(" bytes, no limit")[0].replace(",", ""))
    parts = [value.split()[-2].replace(",", "") for name, value in described.items() if "state of" in name]
    assert sum(map(int, parts)) == total
    shown = db.sql("SHOW QUERIES")
    by_name = {row[0]: dict(zip(shown.names, row, strict=True)) for row in shown.fetchall()}
    assert by_name["named"]["state bytes"] == total
    analyzed = "\n".join(line for (line,) in rows(db, "EXPLAIN ANALYZE named"))
    assert re.search(r"Join inner .* holds 2,000 rows in [\d,]+ bytes", analyzed)
