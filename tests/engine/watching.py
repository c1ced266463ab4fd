"""What a subscriber makes of changes: a multiset of rows, to which each batch is added."""

from __future__ import annotations

from collections import Counter
from typing import Any

from headwater import ChangeBatch, Subscription

Rows = Counter[tuple[Any, ...]]


def fold(batch: ChangeBatch, rows: Rows) -> None:
    """Adds the changes of `batch` to `rows`; a row that is removed must be there."""
    for change in batch:
        rows[change.row] += 1 if change.op == "+" else -1
        assert rows[change.row] >= 0, f"{change.row} was removed and is not there"
        if not rows[change.row]:
            del rows[change.row]


def poll_all(subscription: Subscription, rows: Rows | None = None) -> Rows:
    """All changes there are, added to `rows`."""
    rows = Counter() if rows is None else rows
    while (batch := subscription.poll(0)) is not None:
        fold(batch, rows)
    return rows
