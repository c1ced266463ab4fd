"""What is measured of one Nexmark query: kept up to date, kept as a table, and computed by DuckDB from scratch.

Each of the three runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from headwater.bench.content import Content
from headwater.bench.nexmark_queries import continuous, for_duckdb, schema
from headwater.bench.spent import Spent, resident_bytes
from headwater.engine.database import Database, connect
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.parser import parse, syntax
from headwater.planner import BoundQuery, bind_query
from headwater.repl.nexmark_data import SCHEMAS, Events, side_input
from headwater.values import Delta

_FIRST_ROWS = 1000  # of a partition, which wake up what is loaded when it is first used


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a query cost, and what it gave."""

    spent: Spent
    content: Content
    before_bytes: int = 0  # resident before the first event: the program, and the database opened
    before_own_bytes: int = 0


def load(database: Database, events: Events, step: int, partitions: int) -> list[int]:
    """Append events to a new database, a step after the other; gives the version at the end of each step."""
    database.execute(schema(partitions))
    database.append("side_input", side_input())
    return [_append(database, chunk) for chunk in events.chunks(step)]


def _append(database: Database, chunk: dict[str, Any]) -> int:
    for name in SCHEMAS:
        database.append(name, chunk[name])
    return database.version


def keep_up(path: str, query: str, ends: Sequence[int]) -> Outcome:
    """Read a loaded database from its beginning and keep a query up to date, in steps that end at the versions `ends`.

    Only that is timed, once a few events have gone through a circuit of the same plan: start-up does not count. The
    changes go into the content of the result, and are thrown away.
    """
    with connect(path, background=False, read_only=True) as database:
        bound = bound_query(query, database)
        Circuit([bound.plan], keep=False).advance(database.log, _first_rows(database, ends[0]))
        circuit = Circuit([bound.plan], keep=False)
        shown = [column.name for column in bound.columns]
        content, spent, before = Content(), Spent(), resident_bytes()
        for end in ends:
            changes = spent.measure(lambda: circuit.advance(database.log, Cut(end)))[bound.plan]  # noqa: B023
            _count(content, changes, shown)
        return Outcome(spent, content, *before)


def keep(path: str, query: str, count: int, seed: int, step: int, partitions: int) -> Outcome:
    """Make a database that keeps a query, as a stream where that can be, append events, and settle after each step.

    Only the latter is timed: bringing the query up to date, and the commit of what that gave.
    """
    with connect(path, background=False) as database:
        database.execute(schema(partitions))
        database.append("side_input", side_input())
        kind = "STREAM" if bound_query(query, database).is_stream else "TABLE"
        database.execute(f"CREATE {kind} kept AS {continuous(query)}")
        spent, before = Spent(), resident_bytes()
        for chunk in Events(count, seed).chunks(step):
            _append(database, chunk)
            del chunk
            spent.measure(database.settle)
        content = Content.of(database.sql("SELECT * FROM kept").arrow())
        return Outcome(spent, content, *before)


def from_scratch(queries: Sequence[str], count: int, seed: int) -> dict[str, list[Outcome]]:
    """What DuckDB answers over the same events, loaded into tables of its own: with one thread, and with two."""
    with duckdb.connect() as con:
        tables = Events(count, seed).tables() | {"side_input": side_input()}
        for name in list(tables):
            con.register("rows", tables.pop(name))
            con.execute(f"CREATE TABLE {name} AS FROM rows")
            con.unregister("rows")
        return {query: [_answer(con, query, threads) for threads in (1, 2)] for query in queries}


def _answer(con: duckdb.DuckDBPyConnection, query: str, threads: int) -> Outcome:
    con.execute(f"SET threads = {threads}")
    spent, before = Spent(), resident_bytes()
    answer = spent.measure(lambda: con.sql(for_duckdb(query)).to_arrow_table())
    return Outcome(spent, Content.of(answer), *before)


def bound_query(query: str, database: Database) -> BoundQuery:
    """The plan of a Nexmark query over a database."""
    [statement] = parse(continuous(query))
    assert isinstance(statement, syntax.Query)
    return bind_query(statement, database.pipeline.catalog)


def _first_rows(database: Database, end: int) -> Cut:
    """A cut with a few records of each partition."""
    relations = database.pipeline.catalog.ordered()
    return Cut(end, {relation.id: dict.fromkeys(range(relation.partitions), _FIRST_ROWS) for relation in relations})


def _count(content: Content, changes: Sequence[Delta], shown: Sequence[str]) -> None:
    for delta in changes:
        content.add(delta.rows.select(shown), delta.weight_array)
