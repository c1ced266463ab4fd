"""CHANGES: what happened to a relation between two points of the log, as rows.

A relation that is written has an entry per commit. One that a query keeps has an entry per step: its changelog as it
was written, whose entries have the version of the input that the step had read, so that AS OF that version is the
relation right after them. A point inside a step divides the entry of that step; the parts are computed. A view has no
changelog: its changes are computed, an entry per commit of its input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine.stops import NOTE
from headwater.errors import Unsupported
from headwater.executor.clocks import commit_time
from headwater.executor.feed import Cut, read_chunks, rows_of, with_weights
from headwater.executor.past import circuit_at
from headwater.executor.ranges import BEGINNING, Changes, by_commit, is_within, joined, moved, per_version, recorded
from headwater.parser import syntax
from headwater.planner import Plan, Relation
from headwater.planner.change_rows import CHANGE_COLUMNS
from headwater.planner.logical import Changelog, StreamSource, TableSource, has_order_of_log
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import Column

Versions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Range:
    """From where and up to where changes are asked for, when the log was at version `written`. Of a derived stream
    `records` are the same two places in its own log.
    """

    start: Cut
    end: Cut
    written: int
    records: tuple[Cut, Cut] | None = None


def change_rows(log: Log, relation: Relation | None, plan: Plan, asked: Range, columns: tuple[Column, ...]) -> pa.Table:
    """The changes of a relation, or without one of a view's plan, by version, removals first.

    `columns` are CHANGE_COLUMNS and those that are shown of the relation. Raises `PositionGone` for what is no more.
    """
    shown = columns[len(CHANGE_COLUMNS) :]
    changes = _changes(log, relation, plan, asked, shown)
    weights = changes.delta.weight_array
    order = np.lexsort((weights > 0, changes.versions))
    places = np.repeat(order, np.abs(weights[order]))
    versions, is_added = changes.versions[places], weights[places] > 0
    words = pa.array(["DELETE", "INSERT"]).take(pa.array(is_added.astype(np.int8)))
    rows = changes.delta.rows.take(pa.array(places))
    arrays = [words, pa.array(versions), _times(log, versions), *(rows.column(c.name) for c in shown)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def _times(log: Log, versions: Versions) -> pa.Array:
    """When each version was committed; NULL before the first commit."""
    distinct, numbers = np.unique(versions, return_inverse=True)
    times = [commit_time(log, version) for version in distinct.tolist()]
    return pa.array(times, type=pa.int64()).cast(pa.timestamp("us")).take(pa.array(numbers))


def _changes(log: Log, relation: Relation | None, plan: Plan, asked: Range, shown: tuple[Column, ...]) -> Changes:
    start, end = asked.start, asked.end
    if relation is None:
        return by_commit(log, plan, start, end)
    if relation.is_stream:
        records = recorded(log, StreamSource(relation.id, relation.name, shown), *(asked.records or (start, end)))
        return _by_step(log, relation, records, end) if relation.is_derived else records
    if relation.is_derived:
        return _stored(log, relation, plan, start, end)
    if isinstance(plan, TableSource) and not plan.primary_key:
        return recorded(log, plan, start, end)
    return by_commit(log, plan, start, end)


def records_at(log: Log, relation: Relation, cut: Cut, point: syntax.AsOf) -> Cut:
    """The cut of a stream's own log at a cut of its sources: of a derived one, the first so many records."""
    if relation.plan is None or relation.id in cut.limits:
        return cut
    if cut.limits and has_order_of_log(relation.plan):
        raise Unsupported(
            f'"{relation.name}" has the records of several streams in the order of the log, so offsets of its '
            "sources are no place in it", point.span, hint="use its own OFFSET, or a VERSION",
        )  # fmt: skip
    return Cut(log.version, {relation.id: circuit_at(log, [relation.plan], cut).ends(relation.plan)})


# ---------------------------------------------------------------- what steps wrote


def steps_of(log: Log, relation: Relation, after: int) -> Iterator[tuple[int, int]]:
    """The commits after a version that made a relation, or brought it further, each with the version of the input that
    its log had the output of by then.
    """
    made = next((v, note["frontier"]) for v, note in log.kept("ddl") if relation.id in _ids(note))
    still = _standing_still(log, relation)
    if made[0] > after:
        yield made
    for version, step in log.notes("step", max(after, made[0])):
        if not any(begin <= version < end for begin, end in still):
            yield version, step["to"]


def _ids(note: dict[str, object]) -> list[object]:
    made = note.get("replace", [note])
    assert isinstance(made, list)
    return [item.get("id") for item in made]


def _standing_still(log: Log, relation: Relation) -> list[tuple[int, float]]:
    """From which commits on the query of a relation stood still, and at which it went on."""
    found: list[tuple[int, float]] = []
    for version, note in log.kept(NOTE):
        if any(stop["id"] == relation.id for stop in note.get("stop", ())):
            found.append((version, float("inf")))
        if relation.id in note.get("resume", ()):
            found[-1] = (found[-1][0], version)
    return found


def _stored(log: Log, relation: Relation, plan: Plan, start: Cut, end: Cut) -> Changes:
    """The changelog of a derived table; what lies inside a step is computed."""
    begin = log.start(relation.id).version
    found = takewhile(lambda step: step[1] <= end.version, steps_of(log, relation, max(start.version, 0)))
    steps = [
        (written, to)
        for written, to in found
        if written >= begin and is_within(log, start, Cut(to)) and is_within(log, Cut(to), end)
    ]
    if not steps:
        return moved(log, plan, start, end)
    (first, first_to), (last, last_to) = steps[0], steps[-1]
    is_whole = start is BEGINNING
    leaf = Changelog(relation.id, relation.name, relation.columns, None)
    chunks = read_chunks(log, leaf, 0 if is_whole else first, Cut(last))
    written = np.repeat([c.version for c in chunks], [c.rows.num_rows for c in chunks]).astype(np.int64)
    stored = Changes(with_weights(rows_of(chunks, leaf)), _inputs_of(written, steps))
    parts = [] if is_whole else [moved(log, plan, start, Cut(first_to))]
    return joined(arrow_schema(plan.columns), [*parts, per_version(stored), moved(log, plan, Cut(last_to), end)])


def _by_step(log: Log, relation: Relation, records: Changes, end: Cut) -> Changes:
    """Records of a derived stream, with the versions of the input that they come from."""
    if not len(records):
        return records
    steps = [(written, min(to, end.version)) for written, to in steps_of(log, relation, int(records.versions[0]) - 1)]
    return replace(records, versions=_inputs_of(records.versions, steps))


def _inputs_of(written: Versions, steps: list[tuple[int, int]]) -> Versions:
    """For the versions of commits the input versions of the steps that they belong to."""
    commits, inputs = np.array(steps, dtype=np.int64).T
    found: Versions = inputs[np.searchsorted(commits, written)]
    return found
