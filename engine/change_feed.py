"""The changes of a relation that is watched: from a point on, further with every look, without a gap or a repeat."""

from __future__ import annotations

from headwater.engine.changelogs import as_rows, changes_in, records_at, written_between
from headwater.executor.feed import Cut
from headwater.executor.ranges import BEGINNING, Changes, is_within
from headwater.executor.state import empty_delta
from headwater.executor.upserts import Upserts
from headwater.planner import Relation
from headwater.planner.change_rows import ChangeSource
from headwater.planner.logical import TableSource
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import Delta


class ChangeFeed:
    """Gives what a `ChangeSource` stands for, piece by piece, from `start` on."""

    def __init__(self, log: Log, relation: Relation, leaf: ChangeSource, start: Cut) -> None:
        self._log = log
        self._relation = relation
        self._leaf = leaf
        self._at = start
        self._written: int | None = None  # how far the log of a derived relation was read, if to the end of a step
        plan = relation.content()
        self._table = Upserts(log, plan, start) if isinstance(plan, TableSource) and plan.primary_key else None

    def upto(self, version: int, written: int | None = None) -> Delta:
        """The changes up to a version of the input, a row each; none while that is before the start.

        `written` is up to where the steps that had read this version wrote, where it is one at which a step ended.
        """
        if not is_within(self._log, self._at, Cut(version)):
            return empty_delta(arrow_schema(self._leaf.columns))
        changes = self._changes(Cut(version), written)
        self._at, self._written = Cut(version), written
        return Delta(as_rows(self._log, changes, self._leaf.columns))

    def _changes(self, end: Cut, written: int | None) -> Changes:
        relation, shown = self._relation, self._relation.columns
        if relation.is_stream:
            shown = tuple(c for c in relation.source().columns if c in self._leaf.columns) or shown[:1]
        if self._table is not None:
            return self._table.through(end)
        if relation.is_derived and written is not None and self._written is not None:
            return written_between(self._log, relation, shown, self._written, written)
        records = None
        if relation.is_stream and relation.is_derived:
            last = self._records(end) if written is None else Cut(written)
            records = self._records(self._at), last
        return changes_in(self._log, relation, relation.content(), self._at, end, shown, records)

    def _records(self, cut: Cut) -> Cut:
        """A cut of the sources of a derived stream in its own log."""
        if cut is BEGINNING:
            return cut
        return records_at(self._log, self._relation, cut, self._leaf.since, self._log.version)
