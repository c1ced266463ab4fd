"""Queries that have stopped: why, and up to which version what they gave is right.

A query stops alone, with those that read it: the others go on. That is a note in the log, so it outlives a restart:

    control    {"stop": [a `Stop` as a mapping, …]}, or {"resume": [ids of relations that go on]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from headwater.engine.budgets import Budget
from headwater.engine.violations import why_stopped
from headwater.errors import HeadwaterError, QueryFailed
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Relation
from headwater.planner.qualified import as_a_whole
from headwater.storage import Log

NOTE = "control"


@dataclass(frozen=True, slots=True)
class Stop:
    """That the query with an `id` stopped: what it gave is right up to `version`.

    `because` is the id of a relation that it reads and that stopped first.
    """

    id: int
    state: Literal["failed", "paused", "terminated"]
    version: int
    cause: str
    hint: str | None = None
    because: int | None = None

    def error(self, relation: Relation, catalog: Catalog) -> QueryFailed:
        """What is told to who asks for more than the query has given."""
        name, owner = relation.name, catalog.owner(relation.name)
        anew = f"{relation.kind} {name} AS" if owner is None else f"PIPELINE {owner.pipeline}"
        ways = [f"AS OF VERSION {self.version} reads what it was"]
        if self.state != "terminated" and self.because is None:
            ways.append(f"RESUME {as_a_whole(name, catalog)} tries again")
        ways.append(f"CREATE OR REPLACE {anew} … makes it anew")
        hint = "; ".join([*([self.hint] if self.hint else []), *ways])
        return QueryFailed(f'"{name}" stopped at version {self.version}: {self.cause}', hint=hint)


def stops_of(log: Log, catalog: Catalog, upto: int | None = None) -> dict[int, Stop]:
    """The queries that stand still as of a version (default: now), by the ids of their relations: a fold of the log.

    They are those of the clock that the catalog is seen from.
    """
    present = {relation.id for relation in catalog.relations.values() if relation.is_derived}
    return {id: stop for id, (_, stop) in _noted(log, upto).items() if id in present}


def stop_of(relation: Relation, stopped: Mapping[int, Stop], log: Log) -> Stop | None:
    """Where the query of a relation stopped, if it stands still; `stopped` are those of the clock it is seen from.

    One of another clock is read from its log: what it gave is there by the version of the commit that says so.
    """
    if relation.apart is None:
        return stopped.get(relation.id)
    noted = _noted(log, None).get(relation.id)
    return None if noted is None else replace(noted[1], version=noted[0])


def _noted(log: Log, upto: int | None) -> dict[int, tuple[int, Stop]]:
    """All stops as of a version, of all clocks, with the versions of the commits that say so."""
    stopped: dict[int, tuple[int, Stop]] = {}
    for version, note in log.kept(NOTE, upto):
        for stop in note.get("stop", ()):
            stopped[stop["id"]] = version, Stop(**stop)
        for id in note.get("resume", ()):
            stopped.pop(id, None)
    return stopped


def stop_note(stops: Sequence[Stop]) -> dict[str, Any]:
    """How stops stand in the log."""
    return {"stop": [{name: value for name, value in asdict(stop).items() if value is not None} for stop in stops]}


def with_dependents(stops: Sequence[Stop], running: Sequence[Relation], catalog: Catalog) -> list[Stop]:
    """The stops, and those of the queries among `running` that read what stops, directly or not."""
    if not stops:
        return []
    found = {stop.id: stop for stop in stops}
    names = {relation.id: relation.name for relation in catalog.relations.values()}
    for relation in running:  # in the order of their making: what is read comes first
        source = next((id for id in relation.reads if id in found), None)
        if relation.id not in found and source is not None:
            first = found[source]
            what = {"failed": "stopped", "paused": "is paused", "terminated": "was terminated"}[first.state]
            cause = f'"{names[source]}", which it reads, {what}'
            found[relation.id] = Stop(relation.id, first.state, first.version, cause, because=first.because or first.id)
    return list(found.values())


def refuse_stopped(made: Sequence[Relation], catalog: Catalog, stopped: Mapping[int, Stop]) -> None:
    """Raises QueryFailed if one of the relations that are made reads a query that stopped."""
    for relation in catalog.ordered():
        if relation.id in stopped and any(relation.id in item.reads for item in made):
            raise stopped[relation.id].error(relation, catalog)


def resumed_with(wanted: Sequence[Relation], stopped: Mapping[int, Stop], catalog: Catalog) -> list[Relation]:
    """What goes on when the `wanted` do, in the order of their making: with what stopped because of these and reads
    nothing else that stands still.
    """
    going = {relation.id for relation in wanted}
    for relation in catalog.ordered():
        stop = stopped.get(relation.id)
        waits = any(id in stopped and id not in going for id in relation.reads)
        if stop is not None and stop.because in going and not waits:
            going.add(relation.id)
    return [relation for relation in catalog.ordered() if relation.id in going]


def failed(running: Sequence[Relation], trouble: Trouble, budgets: Mapping[int, Budget], version: int) -> list[Stop]:
    """Those of the running queries that cannot go on after a step that began at `version`."""
    stops = []
    for relation in running:
        found = _cause(relation, trouble) or _overdrawn(budgets.get(relation.id))
        if found is not None:
            stops.append(Stop(relation.id, "failed", version, *found))
    return stops


def _cause(relation: Relation, trouble: Trouble) -> tuple[str, str | None] | None:
    assert relation.plan is not None
    broken = trouble.cause(relation.plan)
    if broken is not None:
        node, error = broken
        message = error.message if isinstance(error, HeadwaterError) else f"{type(error).__name__}: {error}".strip(": ")
        return f"{message}, in {type(node).__name__} {node.label()}", None
    violated = why_stopped(relation, trouble)
    if violated is not None:
        return violated, "ON VIOLATION DROP leaves such rows out"
    if relation.on_error == "FAIL":
        rows = trouble.errors(relation.plan)
        if rows.num_rows:
            return _first_error(rows), "ON ERROR SKIP leaves such rows out"
    return None


def _first_error(rows: pa.RecordBatch) -> str:
    first = rows.slice(0, 1).to_pylist()[0]
    where = f"the row {first['row']}"
    if first["offset"] is not None:
        where = f"the record at offset {first['offset']} of partition {first['partition']} of {first['relation']}"
    return f"{first['cause']}, in {first['expression']} of {where}"


def _overdrawn(budget: Budget | None) -> tuple[str, str | None] | None:
    return None if budget is None or budget.is_kept else (budget.complaint(), budget.remedy())
