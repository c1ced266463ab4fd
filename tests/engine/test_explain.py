"""EXPLAIN and EXPLAIN ANALYZE: of a query that is given, and of one that runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from headwater import SqlError, Unsupported
from headwater.engine.database import Database, connect


@pytest.fixture
def db() -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute("""
            CREATE STREAM bids (auction INTEGER, price DOUBLE);
            CREATE TABLE totals AS SELECT auction, count(*) AS n FROM bids WHERE price > 1 GROUP BY auction;
            INSERT INTO bids VALUES (1, 5), (1, 6), (2, 7), (2, 0);
        """)
        yield db


def lines(db: Database, sql: str) -> list[str]:
    return [line for (line,) in db.sql(sql).fetchall()]


def document(db: Database, sql: str) -> Any:
    return json.loads("\n".join(lines(db, sql)))


def operators(node: Any) -> Iterator[Any]:
    yield node
    for source in node["inputs"]:
        yield from operators(source)


def test_a_running_query_is_explained_by_its_name_as_by_its_text(db: Database) -> None:
    by_name = lines(db, "EXPLAIN totals")
    by_text = lines(db, "EXPLAIN SELECT auction, count(*) AS n FROM bids WHERE price > 1 GROUP BY auction EMIT CHANGES")
    assert by_name == by_text
    assert by_name[-1].startswith("warning: nothing bounds the state of Aggregate by auction: count(*)")


def test_json_has_the_tree_and_the_warnings(db: Database) -> None:
    found = document(db, "EXPLAIN (FORMAT json) totals")
    assert [node["operator"] for node in operators(found)] == [
        "Project", "Aggregate", "Project", "Filter", "StreamSource",
    ]  # fmt: skip
    assert len(found["warnings"]) == 1 and "milliseconds" not in found


def test_json_of_a_snapshot_query_has_what_duckdb_runs_and_the_plans_of_its_inputs(db: Database) -> None:
    found = document(db, "EXPLAIN (FORMAT json) SELECT max(n) FROM totals")
    assert found["operator"] == "DuckDB" and not found["incremental"] and "max(n)" in found["detail"]
    assert [(i["name"], i["plan"]["operator"]) for i in found["inputs"]] == [("totals$0", "Project")]


@pytest.mark.parametrize(
    "sql",
    ["totals", "SELECT auction, count(*) AS n FROM bids WHERE price > 1 GROUP BY auction EMIT CHANGES",
     "CREATE TABLE again AS SELECT auction, count(*) AS n FROM bids WHERE price > 1 GROUP BY auction"],
)  # fmt: skip
def test_analyze_counts_the_rows_of_every_operator(db: Database, sql: str) -> None:
    found = list(operators(document(db, f"EXPLAIN ANALYZE (FORMAT json) {sql}")))
    counted = [(n["operator"], n["rows_in"], n["rows_out"]) for n in found if "rows_in" in n]
    assert counted == [("Project", 2, 2), ("Aggregate", 3, 2), ("Project", 4, 3), ("StreamSource", 4, 4)]
    (aggregate,) = (n for n in found if n["operator"] == "Aggregate")
    assert aggregate["state_rows"] == 2 and aggregate["state_bytes"] > 0
    assert all(n["milliseconds"] >= 0 for n in found if "rows_in" in n)


def test_analyze_goes_on_counting_as_rows_come_and_relations_are_made(db: Database) -> None:
    db.execute("CREATE TABLE other AS SELECT max(price) AS top FROM bids; INSERT INTO bids VALUES (3, 9)")
    assert re.search(r"StreamSource .*\[5 rows → 5; [\d.]+ ms\]$", lines(db, "EXPLAIN ANALYZE totals")[-1])


def test_analyze_shows_what_is_held(db: Database) -> None:
    (line,) = (line for line in lines(db, "EXPLAIN ANALYZE totals") if "Aggregate" in line)
    assert re.search(r"\[3 rows → 2; [\d.]+ ms; holds 2 rows in [\d,]+ bytes\]$", line)


def test_what_no_query_computes_is_not_explained(db: Database) -> None:
    with pytest.raises(SqlError, match='"bids" is not computed by a query'):
        db.sql("EXPLAIN bids")
    with pytest.raises(SqlError, match='there is no stream or table "total"'):
        db.sql("EXPLAIN ANALYZE total")
    with pytest.raises(Unsupported, match="EXPLAIN ANALYZE of a snapshot query"):
        db.sql("EXPLAIN ANALYZE SELECT * FROM totals")
