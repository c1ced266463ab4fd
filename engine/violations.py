"""Rows that violate a CHECK: found among those to be written, counted, and put into the stream that takes them.

How many rows each check of a source relation has left out is in the log as the offsets of a consumer group: that of
the "partition" n is the count of the check with the number n. So it is committed with what it counts. What queries
leave out is counted as rows that fail are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine import ingest
from headwater.errors import CheckViolated
from headwater.executor.arrow_path import values_of
from headwater.executor.expressions import run_sql, run_tried_sql
from headwater.executor.row_errors import ROW_ERRORS, json_of
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Check, Relation, checked_nodes
from headwater.planner.rewrite import tree_of
from headwater.planner.sql_types import cast_from_arrow
from headwater.storage import Append, GroupOffsets, Log

CHECK_GROUP = "$check "  # what begins the names of the groups

Counts = Mapping[tuple[int, int], int]  # by the id of a relation and the number of a check
Stored = Callable[[Relation, pa.RecordBatch], list[Append]]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows as the checks of a relation sort them: those that pass, by their places, and those of each check that do
    not and are left out, by its number.
    """

    passing: npt.NDArray[np.int64]
    left_out: Mapping[int, pa.RecordBatch]

    @property
    def counts(self) -> Mapping[int, int]:
        """How many rows each check leaves out."""
        return {number: rows.num_rows for number, rows in self.left_out.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """What is written: rows by the relation that gets them, and how many violate which check and are left out."""

    parts: Sequence[tuple[Relation, Sequence[Append]]]
    counts: Counts

    @property
    def appends(self) -> list[Append]:
        """The rows of all relations."""
        return [append for _, appends in self.parts for append in appends]

    @property
    def left_out(self) -> int:
        """How many rows are left out."""
        return sum(self.counts.values())


def sort_out(relation: Relation, rows: pa.RecordBatch) -> Sorted:
    """Looks at rows that are to be written. Raises CheckViolated for one that a check FAILs on."""
    passing, left_out = np.arange(rows.num_rows), dict[int, pa.RecordBatch]()
    for number, check in enumerate(relation.checks):
        wrong = _violating(relation, check, rows.take(pa.array(passing)) if left_out else rows)
        if not len(wrong):
            continue
        if check.action == "FAIL":
            first = int(passing[wrong[0]])
            row = json_of(relation.columns, rows.slice(first, 1))[0].as_py()
            raise CheckViolated(
                f'row {first} violates {check.text} of "{relation.name}": {row}',
                hint=f"nothing was written; {len(wrong):,} of {rows.num_rows:,} rows violate it",
            )
        left_out[number] = rows.take(pa.array(passing[wrong]))
        passing = np.delete(passing, wrong)
    return Sorted(passing, left_out)


def written(relation: Relation, found: Sorted, own: Sequence[Append], catalog: Catalog, stored: Stored) -> Written:
    """What becomes of rows that were sorted, of which those that pass are `own` appends of their relation."""
    parts = [(relation, own)]
    for number, rows in found.left_out.items():
        target = _target(relation.checks[number], catalog)
        if target is not None:
            parts.append((target, stored(target, ingest.fitted(rows, target))))
    return Written(parts, {(relation.id, number): count for number, count in found.counts.items()})


def together(parts: Sequence[Written]) -> Written:
    """Several pieces of what is written as one."""
    counts = Counter[tuple[int, int]]()
    for part in parts:
        counts.update(part.counts)
    return Written([pair for part in parts for pair in part.parts], counts)


def of_step(
    relation: Relation, trouble: Trouble, catalog: Catalog, log: Log, to: int
) -> tuple[list[Append], dict[int, int]]:
    """What a step of a query that read up to version `to` puts into other streams, at that version's time; and how
    many rows each check has left out, by its number.
    """
    appends, counts = list[Append](), dict[int, int]()
    for number, (check, node) in enumerate(zip(relation.checks, checked_nodes(relation), strict=True)):
        rows = trouble.violating(node)
        if rows is not None:
            counts[number] = rows.num_rows
            target = _target(check, catalog)
            if target is not None:
                appends += ingest.appends(target, ingest.fitted(rows, target), log, log.time_of(to))
    return appends, counts


def why_stopped(relation: Relation, trouble: Trouble) -> str | None:
    """The check that stops a query, with the first row that violates it; None if none does."""
    for check, node in zip(relation.checks, checked_nodes(relation), strict=True):
        rows = trouble.violating(node) if check.action == "FAIL" else None
        if rows is not None:
            return f"the row {json_of(node.columns, rows.slice(0, 1))[0].as_py()} violates {check.text}"
    return None


def offsets_of(counts: Counts, log: Log) -> list[GroupOffsets]:
    """What a commit says of rows that are left out by it, which nobody else counts meanwhile."""
    found: list[GroupOffsets] = []
    for id in sorted({id for id, _ in counts}):
        group = f"{CHECK_GROUP}{id}"
        known = log.group_offsets(group)
        added = {key: known.get(key, 0) + count for key, count in counts.items() if key[0] == id}
        found.append(GroupOffsets(group, 0, added))
    return found


def counted(relation: Relation, log: Log) -> dict[int, int]:
    """How many rows each check of a source relation has left out, by its number."""
    return {number: count for (_, number), count in log.group_offsets(f"{CHECK_GROUP}{relation.id}").items()}


def facts(relation: Relation, catalog: Catalog, counts: Mapping[int, int]) -> list[tuple[str, str]]:
    """What DESCRIBE says of each check: what becomes of a row that violates it, and of how many that has been so."""
    found: list[tuple[str, str]] = []
    for number, check in enumerate(relation.checks):
        count, target = f"{counts.get(number, 0):,}", _target(check, catalog)
        if check.action == "FAIL":
            way = "stops the query" if relation.is_derived else "is refused"
            way = f"goes into {relation.name}_errors" if relation.files is not None else way
            found.append((check.text, f"what violates it {way}"))
        else:
            way = "left out" if target is None else f"put into {target.name}"
            found.append((check.text, f"rows {way} so far: {count}"))
    return found


def _target(check: Check, catalog: Catalog) -> Relation | None:
    return None if check.into is None else catalog.by_id(check.into)


def _violating(relation: Relation, check: Check, rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The places of rows that violate a check, or on which it cannot be computed."""
    quick = values_of([(tree_of(check.predicate.sql), "BOOLEAN")], relation.columns, rows)
    if quick is not None:
        return np.flatnonzero(~quick[0].to_numpy(zero_copy_only=False))
    given = [c for c in relation.columns if c.name in check.condition.reads]
    sql = f'SELECT {", ".join([*map(cast_from_arrow, given), """ "$place" """])} FROM delta'
    numbered = rows.select([c.name for c in given]).append_column("$place", pa.array(np.arange(rows.num_rows)))
    try:
        found = run_sql(f'SELECT "$place" FROM ({sql}) WHERE NOT {check.predicate.sql} ORDER BY 1', numbered)
    except ROW_ERRORS:
        tried = f"TRY({{p: {check.predicate.sql}}})"
        found = run_tried_sql(
            f'SELECT "$place" FROM (SELECT "$place", {tried} AS tried FROM ({sql})) '
            "WHERE tried IS NULL OR NOT tried.p ORDER BY 1", numbered,
        )  # fmt: skip
    return np.asarray(found.column(0).to_numpy(), dtype=np.int64)
