"""The law of changes: those between two points of the log add up to the difference of what there was at the two."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from headwater import Database
from tests.executor.oracle import Rows, canonical


def summed(rows: list[tuple[Any, ...]]) -> Rows:
    """The changes added up: how many more, or fewer, there are of each row."""
    total: Rows = Counter()
    for op, version, time, *row in rows:
        assert op in ("INSERT", "DELETE") and isinstance(version, int) and isinstance(time, datetime | None)
        (key,) = canonical([tuple(row)])
        total[key] += 1 if op == "INSERT" else -1
    return without_zeros(total)


def without_zeros(rows: Rows) -> Rows:
    return Counter({row: count for row, count in rows.items() if count})


def difference(before: Rows, after: Rows) -> Rows:
    total = Counter(after)
    total.subtract(before)
    return without_zeros(total)


def content(db: Database, relation: str, point: str) -> Rows:
    return canonical(db.sql(f"SELECT * FROM {relation} AS OF {point}").fetchall())


def check_changes(db: Database, relation: str, start: str, end: str) -> int:
    """Raises AssertionError where the law does not hold, or changes are out of order; gives how many there are."""
    rows = db.sql(f"SELECT * FROM {relation} CHANGES FROM {start} TO {end}").fetchall()
    told = f"{relation} from {start} to {end}"
    assert summed(rows) == difference(content(db, relation, start), content(db, relation, end)), told
    places = [(row[1], row[0] == "INSERT") for row in rows]
    if not any(other.is_stream and other.name == relation for other in db.pipeline.catalog.ordered()):
        assert places == sorted(places), f"{told}: by version, removals first"
    return len(rows)


def check_versions(db: Database, relation: str) -> None:
    """Each entry's version is one at which the relation is what all entries up to it add up to."""
    rows = db.sql(f"SELECT * FROM CHANGES OF {relation}").fetchall()
    for version in sorted({row[1] for row in rows}):
        so_far = summed([row for row in rows if row[1] <= version])
        assert so_far == content(db, relation, f"VERSION {version}"), f"{relation} after version {version}"
