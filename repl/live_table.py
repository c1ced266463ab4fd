"""The rows of a query as they are now, folded from its changes, and what changed of them a moment ago.

Changes are kept as they come and folded when a picture is wanted, all at once and in columns; only the rows that are
shown become text. So the price of a picture depends on how many are drawn, not on how many changes there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kind

from headwater.engine.cells import texts
from headwater.engine.result import ChangeBatch
from headwater.executor.key_index import numbered
from headwater.executor.keys import Words
from headwater.executor.state import TableState, consolidate
from headwater.planner.sql_types import arrow_schema
from headwater.repl.marking import Marked, Row
from headwater.values import Column, Delta, concat_deltas

MARKED_SECONDS = 0.8  # how long a change stays marked

Places = npt.NDArray[np.int64]
Identity = tuple[int, int]  # what a row is known by: the words of its key, or of all of it


@dataclass(frozen=True, slots=True)
class Order:
    """By which column rows are sorted."""

    column: int = 0
    descending: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is shown of a change: '+' a new row, '*' one whose columns `changed`; until when."""

    until: float
    sign: str
    changed: frozenset[int] = frozenset()


class LiveTable:
    """Takes changes, and gives the picture of any number of rows. `key` tells rows apart; without one, they are a bag.

    `order` and `first`, the first row that is shown, may be set at any time.
    """

    def __init__(self, columns: tuple[Column, ...], key: Sequence[str] | None, order: Order | None = None) -> None:
        self.columns = columns
        self.order = order or Order()
        self.first = 0
        self.changes = 0
        self._table = TableState(arrow_schema(columns), key)
        self._taken: list[Delta] = []
        self._marks: dict[Identity, _Mark] = {}
        self._is_drawn = False

    def take(self, batch: ChangeBatch) -> None:
        """Takes the changes of a step."""
        self._taken.append(Delta(batch.rows, batch.weights))
        self.changes += len(batch)

    def content(self) -> Delta:
        """All rows there are, with their weights."""
        self._fold()
        return self._table.content()

    def sort(self, by: int) -> None:
        """Sorts by the column so many to the right of the one that rows are sorted by now."""
        self.order = replace(self.order, column=(self.order.column + by) % len(self.columns))

    def reverse(self) -> None:
        """Turns the order around."""
        self.order = replace(self.order, descending=not self.order.descending)

    def picture(self, room: int, now: float) -> Marked:
        """At most `room` rows from `first` on, with marks on what changed within the last moment before `now`."""
        delta = self._fold()
        content = self._table.content()
        total = int(content.weight_array.sum())
        self.first = max(min(self.first, total - room), 0)
        shown = content.rows.take(pa.array(self._places(content, self.first + room)[self.first :]))
        words, cells = self._table.words(shown), _cells(shown)
        if self._is_drawn:
            self._mark(delta, words, cells, now)
        self._is_drawn = True
        self._marks = {identity: mark for identity, mark in self._marks.items() if mark.until > now}
        rows = (self._row(identity, row) for identity, row in zip(_identities(words), cells, strict=True))
        return Marked(self.columns, tuple(rows), total)

    @property
    def is_marked(self) -> bool:
        """Whether the last picture had marks, which go with time."""
        return bool(self._marks)

    def _fold(self) -> Delta:
        """Brings the table up to date; gives what changed of it."""
        delta = consolidate(concat_deltas(self._table.schema, self._taken))
        self._taken.clear()
        self._table.apply(delta)
        if self._table.is_sparse:
            self._table.compact()
        return delta

    def _places(self, content: Delta, count: int) -> Places:
        """The places of the first `count` rows in order; one of weight n stands n times."""
        column = content.rows.column(self.order.column)
        if _is_sortable(column.type):
            direction = "descending" if self.order.descending else "ascending"
            keys = [(str(at), direction if at == 0 else "ascending") for at in range(2)]
            ranked = pa.table({"0": column, "1": pa.array(np.arange(len(column)))})  # equal ones keep their places
            places = pc.select_k_unstable(ranked, min(count, len(column)), sort_keys=keys).to_numpy()
        else:
            places = np.arange(min(count, len(column)))
        return np.repeat(places, content.weight_array[places])[:count]

    def _mark(self, delta: Delta, words: Words, cells: list[tuple[str | None, ...]], now: float) -> None:
        """Marks those of the rows with these words that are in a delta."""
        numbers, firsts = numbered(np.concatenate([words, self._table.words(delta.rows)]))
        shown, changed = numbers[: len(words)], numbers[len(words) :]
        met = np.flatnonzero(np.isin(changed, shown))  # few: no more than fit on the screen
        removed = met[delta.weight_array[met] < 0]
        before = dict(zip(changed[removed].tolist(), _cells(delta.rows.take(pa.array(removed))), strict=True))
        added = set(changed[met[delta.weight_array[met] > 0]].tolist())
        for number, identity, row in zip(shown.tolist(), _identities(words), cells, strict=True):
            if number in added:
                self._marks[identity] = self._mark_of(identity, before.get(number), row, now)

    def _mark_of(self, identity: Identity, before: tuple[str | None, ...] | None, row: tuple[str | None, ...],
                 now: float) -> _Mark:  # fmt: skip
        """The mark of a row that came, or that was something else before; a mark that is still shown goes on."""
        until = now + MARKED_SECONDS
        known = self._marks.get(identity)
        if before is None or (known is not None and known.sign == "+"):
            return _Mark(until, "+")
        changed = frozenset(at for at, (was, now) in enumerate(zip(before, row, strict=True)) if was != now)
        return _Mark(until, "*", changed if known is None else changed | known.changed)

    def _row(self, identity: Identity, cells: tuple[str | None, ...]) -> Row:
        mark = self._marks.get(identity)
        return Row("", cells) if mark is None else Row(mark.sign, cells, mark.changed)


def _cells(rows: pa.RecordBatch) -> list[tuple[str | None, ...]]:
    return list(zip(*(texts(column) for column in rows.columns), strict=True))


def _identities(words: Words) -> list[Identity]:
    return [(int(a), int(b)) for a, b in words]


def _is_sortable(type: pa.DataType) -> bool:
    return not (kind.is_nested(type) or kind.is_boolean(type) or kind.is_interval(type) or kind.is_null(type))
