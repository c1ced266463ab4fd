"""Nexmark: all queries give DuckDB's answers, as snapshot queries and as continuous ones.

The texts are those that `headwater bench nexmark` measures; see bench/nexmark_queries.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from headwater.bench.nexmark_queries import QUERIES, asked, continuous, for_duckdb, schema
from headwater.engine.database import Database, connect
from headwater.engine.result import python_rows
from headwater.executor.feed import Cut
from headwater.executor.lineage import Tracer, content_at
from tests.executor.differential import canonical
from tests.sql.events import Events

COUNT = 4_000

# A stream is joined with a table as it was when the row came (`stream JOIN table`), so as a continuous query this one
# finds each bid that was the highest so far, and not only the highest of all; what is kept is worded in another way.
OTHER_MEANING = "q7"


@pytest.fixture(scope="module")
def events() -> Events:
    return Events(COUNT)


@pytest.fixture(scope="module")
def db(events: Events) -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute(schema())
        for name, table in events.tables.items():
            db.append(name, table)
        yield db


@pytest.fixture(scope="module")
def oracle(events: Events) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        for name, table in events.tables.items():
            con.register(name, table)
        yield con


@pytest.mark.parametrize("name", QUERIES)
def test_a_snapshot_query_gives_duckdbs_answer(name: str, db: Database, oracle: duckdb.DuckDBPyConnection) -> None:
    found = canonical(db.sql(asked(name)).fetchall())
    assert found and found == canonical(oracle.execute(for_duckdb(name)).fetchall())


@pytest.mark.parametrize("name", QUERIES)
def test_a_continuous_query_gives_duckdbs_answer_as_the_events_come(name: str, events: Events) -> None:
    with connect(None, background=False) as db, duckdb.connect(config={"threads": 1}) as con:
        db.execute(schema())
        db.append("side_input", events.tables["side_input"])
        con.register("side_input", events.tables["side_input"])
        db.execute(f"CREATE TABLE {name} AS {continuous(name)}")
        for share in (3, 2, 1):
            so_far = {table: rows.slice(0, len(rows) // share) for table, rows in events.tables.items()}
            for table in ("person", "auction", "bid"):
                before = len(con.table(table)) if share < 3 else 0
                db.append(table, so_far[table].slice(before))
                con.register(table, so_far[table])
            answer = canonical(con.execute(for_duckdb(name)).fetchall())
            assert canonical(db.sql(f"SELECT * FROM {name}").fetchall()) == answer


def test_a_stream_meets_a_table_as_it_was_then(db: Database, oracle: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"CREATE TABLE highest AS {asked(OTHER_MEANING)}")
    found = canonical(db.sql("SELECT * FROM highest").fetchall())
    db.execute("DROP TABLE highest")
    assert found >= canonical(oracle.execute(for_duckdb(OTHER_MEANING)).fetchall())


@pytest.mark.parametrize("name", ["q3", "q4", "q8", "q9", "q20"])
def test_the_records_that_rows_are_made_of_make_them(name: str, events: Events, db: Database) -> None:
    db.execute(f"CREATE TABLE {name} AS {continuous(name)}")
    relation = db.pipeline.catalog.get(name)
    assert relation is not None and relation.plan is not None
    cut = Cut(db.pipeline.circuit.version)
    rows = content_at(db.log, relation.plan, cut).slice(0, 3)
    tracer = Tracer(db.log)
    records: dict[str, set[int]] = {table: set() for table in events.tables}
    for origin in tracer.trace(relation.plan, rows, cut).to_pylist():
        records[tracer.vias[origin["via"]].source.name].add(origin["offset"])
    db.execute(f"DROP TABLE {name}")
    with duckdb.connect(config={"threads": 1}) as con:
        for table, all_rows in events.tables.items():
            con.register(table, all_rows.take(pa.array(sorted(records[table]), pa.int64())))
        answer = canonical(con.execute(for_duckdb(name)).fetchall())
    assert canonical(python_rows(relation.columns, rows.columns)) <= answer
