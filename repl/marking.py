"""What is different between two answers to one question: rows added and removed, and cells that changed.

Rows are the same if all their values are; of equal rows, as many as there are on both sides. An added and a removed row
with the same key are one row whose cells changed. The key is the table's own; else the first columns, as few as tell
the rows of either answer apart. All of that is done in columns: only the rows that are shown become text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine.cells import texts
from headwater.engine.result import Result
from headwater.executor.key_index import numbered
from headwater.executor.keys import Words, key_words
from headwater.values import Column

Places = npt.NDArray[np.int64]  # of rows in an answer

_NONE: Places = np.empty(0, dtype=np.int64)
_NO_PAIRS: Places = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as text, None for NULL. `sign` is '+' added, '-' removed, '*' changed in the columns `changed`, or ''."""

    sign: str
    cells: tuple[str | None, ...]
    changed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer with what is different from the one before: the rows to show, how many there are, and the counts."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: int
    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def is_different(self) -> bool:
        """Whether anything is."""
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class _Difference:
    """Places of rows: those gone from the answer before, those new in the one after, and pairs that are one row."""

    removed: Places
    added: Places
    pairs: Places  # shape (n, 2)
    stays: Places  # by place before: the same row's place after, -1 for one that is gone


def is_same(before: Result, after: Result) -> bool:
    """Whether two answers have the same rows, in whatever order."""
    if before is after:
        return True
    if before.columns != after.columns or len(before) != len(after):
        return False
    left, right = _identities(before, after)
    return bool(np.array_equal(np.sort(left), np.sort(right)))


def marked(
    before: Result | None, after: Result, key: Sequence[str] | None, limit: int, *, ends_last: bool = False
) -> Marked:
    """`after` with what is different from `before`; None, or one of other columns, means that nothing is marked.

    At most `limit` rows are shown: the marked ones, then others from the top or, where the answer `ends_last`, as the
    log of a stream does, from its end. Removed rows stand where they stood.
    """
    if before is None or before is after or before.columns != after.columns:
        before, found = after, _Difference(_NONE, _NONE, _NO_PAIRS, np.arange(len(after)))
    else:
        found = _difference(before, after, key)
    order = _order(found, len(after))
    is_marked = np.isin(order, np.concatenate([found.added, found.pairs[:, 1]])) | (order < 0)
    chosen = order[_chosen(is_marked, limit, ends_last)]
    return Marked(
        after.columns, _rows(before, after, found, chosen), len(after),
        len(found.added), len(found.removed), len(found.pairs),
    )  # fmt: skip


def changes(before: Result, after: Result, key: Sequence[str] | None, limit: int) -> Marked:
    """What is different alone: a row whose cells changed stands there as it was (-) and as it is now (+)."""
    found = _difference(before, after, key)
    taken = found.pairs[: limit // 2]
    pairs = zip(_texts(before, taken[:, 0]), _texts(after, taken[:, 1]), strict=True)
    rows = [Row(sign, cells, _unlike(*pair)) for pair in pairs for sign, cells in zip("-+", pair, strict=True)]
    rows += [Row("-", cells) for cells in _texts(before, found.removed[: max(limit - len(rows), 0)])]
    rows += [Row("+", cells) for cells in _texts(after, found.added[: max(limit - len(rows), 0)])]
    counts = (len(found.added), len(found.removed), len(found.pairs))
    return Marked(after.columns, tuple(rows), len(found.added) + len(found.removed) + 2 * len(found.pairs), *counts)


def _difference(before: Result, after: Result, key: Sequence[str] | None) -> _Difference:
    old, new = _identities(before, after)
    is_there = np.isin(old, new)
    by_identity = np.argsort(new)
    stays = np.full(len(old), -1, dtype=np.int64)
    stays[is_there] = by_identity[np.searchsorted(new, old[is_there], sorter=by_identity)]
    removed, added = np.flatnonzero(~is_there), np.flatnonzero(~np.isin(new, old))
    pairs = _pairs(before, after, removed, added, key)
    stays[pairs[:, 0]] = pairs[:, 1]
    return _Difference(np.setdiff1d(removed, pairs[:, 0]), np.setdiff1d(added, pairs[:, 1]), pairs, stays)


def _identities(before: Result, after: Result) -> tuple[Places, Places]:
    """A number for each row: equal ones have equal numbers, but each of those within one answer has its own."""
    numbers, first = numbered(np.concatenate([_words(before), _words(after)]))
    old, new = numbers[: len(before)], numbers[len(before) :]
    return _counted(old) * len(first) + old, _counted(new) * len(first) + new


def _counted(numbers: Places) -> Places:
    """By place, how many equal numbers stand before it."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    begins = np.flatnonzero(np.diff(ordered, prepend=-1))
    counts = np.arange(len(numbers)) - np.repeat(begins, np.diff(begins, append=len(numbers)))
    result = np.empty(len(numbers), dtype=np.int64)
    result[order] = counts
    return result


def _pairs(before: Result, after: Result, removed: Places, added: Places, key: Sequence[str] | None) -> Places:
    """Places of rows that are gone, each with that of the new row of the same key."""
    if not len(removed) or not len(added):
        return _NO_PAIRS
    columns = [before.names.index(name) for name in key] if key is not None else _telling(before, after)
    if columns is None:
        return _NO_PAIRS
    gone = dict(zip(_tuples(_words(before, columns)[removed]), removed.tolist(), strict=True))
    new = zip(_tuples(_words(after, columns)[added]), added.tolist(), strict=True)
    return np.array([(gone[k], place) for k, place in new if k in gone], dtype=np.int64).reshape(-1, 2)


def _telling(before: Result, after: Result) -> list[int] | None:
    """The first columns, as few as tell the rows of either answer apart; None if it takes all of them."""
    for count in range(len(after.columns)):
        columns = list(range(count))
        if all(len(numbered(_words(answer, columns))[1]) == len(answer) for answer in (before, after)):
            return columns
    return None


def _words(answer: Result, columns: Sequence[int] | None = None) -> Words:
    table = answer.arrow()
    chosen = range(len(answer.columns)) if columns is None else columns
    return key_words([_array(table.column(i)) for i in chosen], len(answer))


def _array(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], type=column.type)


def _tuples(words: Words) -> list[tuple[int, int]]:
    return [(a, b) for a, b in words.tolist()]


def _order(found: _Difference, rows: int) -> Places:
    """The rows of the answer after, by place, and between them those that were removed, as -1 - place before."""
    stays = np.append(found.stays, -1)
    last = np.maximum.accumulate(np.where(found.stays >= 0, np.arange(len(found.stays)), -1))
    behind = stays[last[found.removed]] if len(found.removed) else found.removed  # where the row above it is now
    places = np.concatenate([np.arange(rows), behind])
    minor = np.concatenate([np.zeros(rows, dtype=np.int64), 1 + np.arange(len(found.removed))])
    entries: Places = np.concatenate([np.arange(rows), -1 - found.removed])
    return entries[np.lexsort((minor, places))]


def _chosen(is_marked: npt.NDArray[np.bool_], limit: int, ends_last: bool) -> Places:
    """The places of at most `limit` entries: marked ones first, in order."""
    kept = np.flatnonzero(is_marked)[:limit]
    others, room = np.flatnonzero(~is_marked), limit - len(kept)
    fill = others[max(len(others) - room, 0) :] if ends_last else others[:room]
    return np.sort(np.concatenate([kept, fill]))


def _rows(before: Result, after: Result, found: _Difference, chosen: Places) -> tuple[Row, ...]:
    """The chosen entries of `_order` as text."""
    now = iter(_texts(after, chosen[chosen >= 0]))
    gone = iter(_texts(before, -1 - chosen[chosen < 0]))
    was_at = {new: old for old, new in found.pairs.tolist()}
    shown = [place for place in chosen.tolist() if place in was_at]
    was = dict(zip(shown, _texts(before, np.array([was_at[p] for p in shown], dtype=np.int64)), strict=True))
    added = set(found.added.tolist())
    rows = []
    for place in chosen.tolist():
        if place < 0:
            rows.append(Row("-", next(gone)))
        elif place in was:
            cells = next(now)
            rows.append(Row("*", cells, _unlike(was[place], cells)))
        else:
            rows.append(Row("+" if place in added else "", next(now)))
    return tuple(rows)


def _texts(answer: Result, places: Places) -> list[tuple[str | None, ...]]:
    if not len(places):
        return []
    taken = answer.arrow().take(pa.array(places))
    return list(zip(*(texts(_array(column)) for column in taken.columns), strict=True))


def _unlike(before: tuple[str | None, ...], after: tuple[str | None, ...]) -> frozenset[int]:
    return frozenset(i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
