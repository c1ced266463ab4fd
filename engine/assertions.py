"""What assertions say: that they begin to be violated and that it is over, as alerts; and the queries that they PAUSE.

The rows that violate an assertion are a table that the circuit keeps. A step ends at each commit that may change one of
these tables, so an alert names the commit that made it so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from headwater.engine import ingest
from headwater.engine.catching_up import Changes
from headwater.engine.counts import counted
from headwater.engine.stops import Stop
from headwater.executor.circuit import Circuit
from headwater.executor.row_errors import json_of
from headwater.planner import Catalog, Relation, paused_by
from headwater.planner.alerts import COLUMNS, OVER, VIOLATED
from headwater.planner.catalog import alert_stream
from headwater.planner.error_streams import sources_of
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Log

NAMES = ("name", "reaction", "state", "rows", "violations", "since", "condition")
NUMBERS = frozenset({"rows", "violations", "since"})


def step_end(running: Sequence[Relation], log: Log, after: int, upto: int) -> int:
    """Where a step ends that would end at version `upto`: at the first commit that an assertion reads."""
    sources = {id for relation in running if relation.reaction is not None for id in sources_of(relation.plan)}
    return min((version for id in sources for version, _ in log.extents(id, after, upto)), default=upto)


def has_begun(relation: Relation, circuit: Circuit, changes: Changes) -> bool:
    """Whether an assertion is violated by what a circuit has come to, and was not before these changes."""
    now, before = _rows(relation, circuit, changes)
    return relation.reaction is not None and now > 0 and before == 0


def alerts(relation: Relation, circuit: Circuit, changes: Changes, log: Log, to: int) -> list[Append]:
    """What an assertion has to tell of a step that read up to version `to`."""
    stream = alert_stream(relation)
    if stream is None:
        return []
    now, before = _rows(relation, circuit, changes)
    if (now > 0) == (before > 0):
        return []
    row = _first(relation, circuit) if now else None
    told = [[VIOLATED if now else OVER], [to], [now], [row]]
    rows = pa.RecordBatch.from_arrays([pa.array(column) for column in told[:3]] + [pa.array(told[3], pa.string())],
                                      schema=arrow_schema(COLUMNS))  # fmt: skip
    return ingest.appends(stream, rows, log, log.time_of(to))


def pauses(relations: Sequence[Relation], catalog: Catalog, circuit: Circuit, changes: Changes, to: int) -> list[Stop]:
    """The queries among `relations` that stand still since a step that read up to version `to`."""
    found: dict[int, Stop] = {}
    running = {relation.id for relation in relations}
    for assertion in relations:
        if assertion.reaction == "PAUSE" and has_begun(assertion, circuit, changes):
            cause = f'the assertion "{assertion.name}" is violated: {_first(assertion, circuit)}'
            for query in paused_by(assertion, catalog):
                if query.id in running:
                    found.setdefault(query.id, Stop(query.id, "paused", to, cause))
    return list(found.values())


def shown(
    relations: Sequence[Relation], rows_of: Mapping[int, int | None], log: Log, version: int | None = None
) -> list[tuple[object, ...]]:
    """Values for `NAMES` of each assertion as of a version (default: now), given how many rows violate it; None for one
    that stands still.
    """
    shown: list[tuple[object, ...]] = []
    for relation in relations:
        stream = alert_stream(relation)
        if stream is None:
            continue
        rows, told = rows_of[relation.id], log.row_count(stream.id, version)  # violated and over come in turn
        is_violated = told % 2 == 1 if rows is None else rows > 0
        state = f"{VIOLATED if is_violated else 'holds'}{', and stands still' if rows is None else ''}"
        since = _last_version(stream, log, version) if told else None
        condition = relation.definition.partition(" CHECK ")[2].rpartition(" ON VIOLATION ")[0][1:-1]
        shown.append((relation.name, relation.reaction, state, rows, (told + 1) // 2, since, condition))
    return shown


def facts(
    relation: Relation, catalog: Catalog, rows: int | None, log: Log, version: int | None = None
) -> list[tuple[str, str]]:
    """What DESCRIBE says of an assertion as of a version (default: now), which `rows` violate; nothing of any other."""
    stream = alert_stream(relation)
    if stream is None:
        return []
    ((_, reaction, state, _, violations, since, condition),) = shown([relation], {relation.id: rows}, log, version)
    by = f" by {counted(rows, 'row')}" if rows else ""
    at = "" if since is None else f", since version {since}"
    paused = ", ".join(query.name for query in paused_by(relation, catalog)) if reaction == "PAUSE" else ""
    return [
        ("checks", str(condition)),
        ("on violation", f"{reaction} {paused}".strip()),
        ("state", f"{state}{by}{at}"),
        ("violations so far", str(violations)),
        ("alerts", stream.name),
    ]


def _last_version(stream: Relation, log: Log, version: int | None) -> int:
    end = log.ends(stream.id, version)[0]
    version = log.version_of(stream.id, 0, end - 1)
    *_, last = log.scan(stream.id, version - 1, version, ["version"])
    return int(last.rows.column("version")[-1].as_py())


def _rows(relation: Relation, circuit: Circuit, changes: Changes) -> tuple[int, int]:
    """How many rows violate an assertion now, and how many did before these changes."""
    assert relation.plan is not None
    now = circuit.row_count(relation.plan)
    return now, now - sum(int(delta.weight_array.sum()) for delta in changes[relation.plan])


def _first(relation: Relation, circuit: Circuit) -> str:
    assert relation.plan is not None
    rows = circuit.rows(relation.plan).slice(0, 1)
    return str(json_of(relation.columns, rows)[0].as_py())
