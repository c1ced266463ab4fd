"""Where the rows go on which a query fails: into its error stream or a given one, or they are only counted. Likewise
those that violate a CHECK of it.

They are committed with the output of the step. Those in an error stream are counted by it; the counts of others are in
the notes of commits that change them, under a name of its own for each clock:

    failed_rows    {id of a query: rows that failed so far, "id number": rows that violate the check of that number, …}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.engine import ingest, violations
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Relation
from headwater.planner.catalog import error_stream
from headwater.storage import Append, Log

NOTE = "failed_rows"


class FailedRows:
    """The rows that failed, of all queries of a clock, whose notes have a `name`."""

    def __init__(self, log: Log, name: str = NOTE) -> None:
        self.log = log
        self._name = name
        self._counts: dict[int, int] = {}  # by the id of a query that has no error stream of its own
        self._violations: dict[int, dict[int, int]] = {}  # by the id of a query, and the number of a check

    def count(self, relation: Relation) -> int:
        """On how many rows, or groups of rows, a query has failed so far."""
        own = error_stream(relation)
        return self._counts.get(relation.id, 0) if own is None else self.log.row_count(own.id)

    def violations(self, relation: Relation) -> Mapping[int, int]:
        """How many rows each check of a query has left out so far, by its number."""
        return self._violations.get(relation.id, {})

    def appends(self, relation: Relation, trouble: Trouble, catalog: Catalog, to: int) -> list[Append]:
        """What a step that read up to version `to` adds to the streams of a query's errors and violations, at that
        version's time.
        """
        return [*self._errors(relation, trouble, catalog, to), *self._violating(relation, trouble, catalog, to)]

    def _violating(self, relation: Relation, trouble: Trouble, catalog: Catalog, to: int) -> list[Append]:
        appends, counts = violations.of_step(relation, trouble, catalog, self.log, to)
        if counts:
            known = self.violations(relation)
            self._violations[relation.id] = {**known, **{n: known.get(n, 0) + count for n, count in counts.items()}}
        return appends

    def _errors(self, relation: Relation, trouble: Trouble, catalog: Catalog, to: int) -> list[Append]:
        if not trouble.rows:
            return []
        assert relation.plan is not None
        rows = trouble.errors(relation.plan)
        if not rows.num_rows:
            return []
        own = error_stream(relation)
        if own is None:
            self._counts[relation.id] = self._counts.get(relation.id, 0) + rows.num_rows
        target = own or next((r for r in catalog.relations.values() if r.id == relation.errors_into), None)
        if target is None:
            return []
        return ingest.appends(target, ingest.fitted(rows, target), self.log, self.log.time_of(to))

    def note(self) -> dict[str, Any]:
        """What a commit has to say, so that the counts outlive the process."""
        counts = {str(id): count for id, count in self._counts.items()}
        for id, violated in self._violations.items():
            counts |= {f"{id} {number}": count for number, count in violated.items()}
        return {self._name: counts} if counts else {}

    def restore(self, note: Mapping[str, Any]) -> None:
        """Takes the counts from what `note` said."""
        self._counts, self._violations = {}, {}
        for name, count in note.get(self._name, {}).items():
            id, _, number = name.partition(" ")
            if number:
                self._violations.setdefault(int(id), {})[int(number)] = count
            else:
                self._counts[int(id)] = count

    def forget(self, present: set[int]) -> None:
        """Keeps the counts of relations that are there."""
        self._counts = {id: count for id, count in self._counts.items() if id in present}
        self._violations = {id: counts for id, counts in self._violations.items() if id in present}
