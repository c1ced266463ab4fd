"""How fast a continuous query goes, and how far it is behind: counted in the log, so looking holds up no steps."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.engine.pipeline import Pipeline
from headwater.planner import Relation, walk_plan
from headwater.planner.logical import Source
from headwater.storage import Log

WINDOW_US = 10_000_000  # rates are those of the last ten seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows a second that a query has read and written lately; rows that it has not read yet, the versions from the
    oldest of these to the end of the log, and for how long that one has waited.
    """

    read_per_second: float
    written_per_second: float
    waiting: int
    versions: int
    waits_us: int


def pace(relation: Relation, pipeline: Pipeline, now_us: int) -> Pace:
    """The pace of the query of a derived relation, at a time in µs since 1970."""
    assert relation.plan is not None
    log = pipeline.log
    sources = {node.id for node in walk_plan(relation.plan) if isinstance(node, Source)}
    stop = pipeline.stopped.get(relation.id)
    read = pipeline.position if stop is None else stop.version
    end = log.version
    before = log.version_at(now_us - WINDOW_US)
    seconds = _seconds(log, now_us)
    unread = [version for id in sources if (version := _first_after(log, id, read)) is not None]
    return Pace(
        sum(_rows(log, id, before, read) for id in sources) / seconds,
        _rows(log, relation.id, before, end) / seconds,
        sum(_rows(log, id, read, end) for id in sources),
        end - min(unread) + 1 if unread else 0,
        max(now_us - log.time_of(min(unread)), 0) if unread else 0,
    )


def _seconds(log: Log, now_us: int) -> float:
    """How long the window is: shorter in a log that has just begun."""
    age = now_us - log.time_of(log.first_version) if log.version >= log.first_version > 0 else WINDOW_US
    return max(min(age, WINDOW_US), 1_000_000) / 1e6


def _rows(log: Log, id: int, after: int, upto: int) -> int:
    """How many rows a log gained in the versions (after, upto], as far as they are still there."""
    begin = max(after, log.start(id).version, log.first_version - 1)
    return log.row_count(id, upto) - log.row_count(id, begin) if upto > begin else 0


def _first_after(log: Log, id: int, version: int) -> int | None:
    """The first version after one that wrote rows to a log which are still there."""
    begin = max(version, log.start(id).version, log.first_version - 1)
    found = log.first(id, log.row_count(id, begin) + 1) if begin < log.version else None
    return None if found is None else found[0]
