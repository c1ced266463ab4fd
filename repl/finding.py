"""The commands that say what there is and how it is: \\d, \\dq, \\info and \\explain."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from headwater import __version__
from headwater.engine import query_facts
from headwater.engine.budgets import size
from headwater.engine.database import Database
from headwater.engine.query_pace import Pace, pace
from headwater.engine.render import count
from headwater.engine.result import Result
from headwater.errors import HeadwaterError
from headwater.planner import Catalog, Relation, View
from headwater.repl.history import history_file
from headwater.repl.items import catalog_here, item_named
from headwater.repl.output import Output
from headwater.repl.settings import config_file
from headwater.repl.sql_tokens import tokens
from headwater.values import Column

_BREAKS = frozenset("FROM WHERE GROUP HAVING QUALIFY WINDOW ORDER LIMIT UNION INTERSECT EXCEPT EMIT".split())


def show_items(database: Database, output: Output, argument: str) -> None:
    """\\d: all streams, tables and views; \\d NAME: one of them, and what it is made of."""
    catalog = catalog_here(database, output)
    if argument:
        _describe(item_named(argument, catalog), catalog, database, output)
        return
    counts = _row_counts(database)
    rows: list[tuple[object, ...]] = []
    for relation in catalog.ordered():
        key = ", ".join(relation.key or relation.partition_key) or None
        names = ", ".join(column.name for column in relation.columns)
        rows.append(
            (relation.name, relation.kind.lower(), key, counts.get(relation.name), names, _made_of(relation, catalog))
        )
    for view in sorted(catalog.views.values(), key=lambda view: view.id):
        rows.append((view.name, "view", None, None, None, _made_of(view, catalog)))
    if not rows:
        output.say("there are no streams or tables yet: CREATE STREAM …, or \\tutorial")
        return
    output.show(_table(("name", "kind", "key", "rows", "columns", "from"), rows, numbers=("rows",)))


def _row_counts(database: Database) -> dict[str, int]:
    """How many rows there are, by name, where that is known without computing it."""
    rows = [row for what in ("STREAMS", "TABLES") for row in database.sql(f"SHOW {what}").fetchall()]
    return {name: rows for name, _, _, _, rows, *_ in rows}


def _made_of(item: Relation | View, catalog: Catalog) -> str | None:
    """The names of what it reads; None of a source."""
    others: list[Relation | View] = [*catalog.relations.values(), *catalog.views.values()]
    return ", ".join(other.name for other in others if other.id in item.reads) or None


def _describe(item: Relation | View, catalog: Catalog, database: Database, output: Output) -> None:
    output.run(database, f"DESCRIBE {_quoted(item.name)}")
    facts = dict(_facts(item, catalog, database))
    widest = max(map(len, facts))
    for name, value in facts.items():
        lines = value.split("\n")
        output.say("\n".join([f"{name:<{widest}}  {lines[0]}", *(" " * (widest + 2) + line for line in lines[1:])]))


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _facts(item: Relation | View, catalog: Catalog, database: Database) -> Iterator[tuple[str, str]]:
    """What there is to say of it beside its columns."""
    yield "kind", item.kind.lower()
    if isinstance(item, Relation):
        if item.key or item.partition_key:
            yield "key", ", ".join(item.key or item.partition_key)
        if item.timestamp is not None:
            yield "event time", item.timestamp
        if item.partitions > 1:
            yield "partitions", f"{item.partitions:,}"
        pipeline, item = database.apart.of(item), item.seen_from(item.clock)
        stop = pipeline.stopped.get(item.id)
        if stop is not None:
            yield "state", f"{stop.state} at version {stop.version:,}: {stop.cause}"
        elif item.is_derived:
            yield "state", f"running, lag: {_lag(pace(item, pipeline, database.reader.points().now_us))}"
    made_of = _made_of(item, catalog)
    if made_of is not None:
        yield "made of", made_of
    readers = ", ".join(other.name for other in catalog.dependents(item))
    yield "read by", readers or "nothing"
    yield "made by", broken(item.definition)


def broken(statement: str) -> str:
    """A statement on several lines: a clause that stands in no parentheses begins a new one."""
    found, depth = "", 0
    for token in tokens(statement):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind == "keyword" and depth == 0 and token.text.upper() in _BREAKS and found.endswith(" "):
            found = found.rstrip() + "\n  "
        found += token.text
    return found


def show_queries(database: Database, output: Output, argument: str) -> None:
    """\\dq: the continuous queries, how fast they go, how far they are behind, what they hold and what failed."""
    now_us = database.reader.points().now_us
    found = [row for pipeline in database.apart.all for row in query_facts.queries(pipeline)]
    known = {row[0]: dict(zip(query_facts.NAMES, row, strict=True)) for row in found}
    rows: list[tuple[object, ...]] = []
    for relation, pipeline in [(r, p) for p in database.apart.all for r in p.derived()]:
        facts = known.get(relation.name)
        if facts is None:
            continue  # made between the two looks
        at = pace(relation, pipeline, now_us)
        held = facts["state bytes"]
        rows.append((
            relation.name, relation.kind.lower(), facts["status"], round(at.read_per_second),
            round(at.written_per_second), _lag(at), None if held is None else size(int(str(held))),
            facts["failed rows"], facts["cause"],
        ))  # fmt: skip
    if not rows:
        output.say("there are no continuous queries: CREATE TABLE name AS SELECT … makes one")
        return
    names = ["name", "kind", "state", "read/s", "written/s", "lag", "holds", "failed rows", "cause"]
    if not any(row[-1] for row in rows):
        names, rows = names[:-1], [row[:-1] for row in rows]
    output.show(_table(names, rows, numbers=("read/s", "written/s", "failed rows")))


def _lag(at: Pace) -> str:
    """`none`, or how much a query has not read yet, and for how long that waits."""
    if not at.waiting:
        return "none"
    return f"{count(at.waiting, 'row')}, {count(at.versions, 'version')}, {at.waits_us / 1e6:,.1f} s"


def show_info(database: Database, output: Output, argument: str) -> None:
    """\\info: which database this is, and where the shell keeps what is its own."""
    position = output.travel.position(database)
    running = sum(len(p.running()) for p in database.apart.all)
    stopped = sum(len(p.stopped) for p in database.apart.all)
    facts = [
        ("database", database.path or "in memory: it is gone when you leave"),
        ("version", f"{database.version:,}"),
        ("you stand at", "the present" if position is None else f"version {position:,}"),
        ("queries", f"{running:,} running, {stopped:,} stopped"),
        ("configuration", str(config_file())),
        ("history", str(history_file())),
        ("headwater", __version__),
        ("duckdb", duckdb.__version__),
        ("python", platform.python_version()),
    ]
    output.show(_table(("what", "value"), list(facts)))


def explain(database: Database, output: Output, argument: str) -> None:
    """\\explain [query]: how it is computed; without one, the last statement."""
    statement = argument or output.last
    if not statement:
        raise HeadwaterError("there is no statement to explain yet", hint="\\explain SELECT …")
    output.run(database, f"EXPLAIN {statement}")


def _table(names: Sequence[str], rows: list[tuple[object, ...]], numbers: tuple[str, ...] = ()) -> Result:
    columns = tuple(Column(name, "BIGINT" if name in numbers else "") for name in names)
    return Result.of_rows(columns, rows, [pa.int64() if name in numbers else pa.string() for name in names])
