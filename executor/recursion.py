"""WITH RECURSIVE: rows are followed level by level until nothing changes any more, inside one step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from headwater.errors import QueryFailed
from headwater.executor.aggregate import GroupBy
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import consolidate, empty_delta, repeat_rows, select_rows
from headwater.planner.logical import LEVEL, Aggregate, AggregateCall, Recursion
from headwater.planner.recursion_nodes import LEVELS_MAX
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, concat_deltas

if TYPE_CHECKING:
    from headwater.executor.circuit import Circuit

_WEIGHT_MAX = 1 << 40  # equal rows; cycles that share a node double them at each level


class Fixpoint:
    """The operator of `Recursion`. `body`, the circuit of the recursive term, takes changes of the rows so far; what
    it keeps, the circuit around saves too.

    A row made of one of level 2 is one of level 3; rows of the base are of level 0. A step goes up the levels: what
    changed on one decides, with what changed beside, what is derived on the next. Nothing comes back to a level that
    has been passed, so a step ends with the last level on which something changes, also where rows derive each other
    in a circle: when they lose their base, each of them loses its lowest level first.

    With UNION ALL a row is there once for each derivation. With UNION it is there once, on the lowest level on which it
    has one, and derives others from there alone. So there are counts to keep, of its derivations on each level:

        edges a→b→c→b, from a   a on level 0, b on 1, c on 2; and b has another derivation on 3, from c
        the edge a→b goes       1: b has none left there, so it goes to 3;  2: c has none;  3: b has none either
    """

    def __init__(self, node: Recursion, body: Circuit) -> None:
        self.schema = arrow_schema(node.columns)
        self._node = node
        self.body = body
        self._levelled = arrow_schema(node.reference.columns)
        lowest = AggregateCall(LEVEL, "min", LEVEL, "BIGINT")
        self._lowest = GroupBy(Aggregate(node.reference, node.names, (lowest,))) if node.distinct else None

    @property
    def nbytes(self) -> int:
        return self._lowest.nbytes if self._lowest else 0

    @property
    def state_rows(self) -> int:
        return self._lowest.state_rows if self._lowest else 0

    def step(self, base: Delta, *outside: Delta) -> Delta:
        """Takes what changed of the base, and of what the recursive term reads beside its own rows."""
        derived = _Levels(self._levelled)  # changes of derivations
        derived.add(0, self._on_level(base, 0))
        if any(len(delta) for delta in outside):
            for level, delta in _by_level(self._derived(empty_delta(self._levelled), outside)):
                derived.add(level + 1, self._on_level(delta, level + 1))
        moved = _Levels(self._levelled)  # changes of the level that a row is on, with UNION
        changes = list[Delta]()
        landmark = empty_delta(self.schema)  # what changed on the last level that is a power of two, if that is all
        unchanged = tuple(empty_delta(delta.rows.schema) for delta in outside)
        while (level := min(derived.lowest, moved.lowest)) < _NONE:
            change = derived.take(level)
            if self._lowest is not None:
                for other, delta in _by_level(self._lowest.step(change)):
                    moved.add(other, delta)
                change = moved.take(level)
            if len(change):
                changes.append(change.select(self.schema.names))
                alone = derived.lowest == moved.lowest == _NONE  # all that is to come follows from this change
                if level >= LEVELS_MAX or _overflows(change) or (alone and _is_same(changes[-1], landmark)):
                    raise self._endless(level)
                if alone and level & (level - 1) == 0:
                    landmark = changes[-1]
                derived.add(level + 1, self._on_level(self._derived(change, unchanged), level + 1))
        result = consolidate(concat_deltas(self.schema, changes))
        return Delta(repeat_rows(result)) if self._node.append_only else result

    def _derived(self, rows: Delta, outside: tuple[Delta, ...]) -> Delta:
        """What the recursive term makes of changes of the rows, and of what it reads beside."""
        given = dict(zip(self._node.outside, outside, strict=True))
        return self.body.step({}, given={self._node.reference: rows, **given})[self._node.body]

    def _on_level(self, delta: Delta, level: int) -> Delta:
        levels = pa.array(np.full(len(delta), level, dtype=np.int64))
        columns = [*delta.rows.columns[: len(self.schema)], levels]
        return Delta(pa.RecordBatch.from_arrays(columns, schema=self._levelled), delta.weights)

    def _endless(self, level: int) -> QueryFailed:
        union = "" if self._node.distinct else "write UNION instead of UNION ALL, or "
        return QueryFailed(
            f'WITH RECURSIVE "{self._node.name}" did not come to an end after {level:,} levels',
            hint=f"{union}bound its depth: count it in a column, and add WHERE depth < …",
        )

    def save(self) -> ChunkedParts:
        return self._lowest.save() if self._lowest else {}

    def restore(self, parts: Parts) -> None:
        if self._lowest is not None:
            self._lowest.restore(parts)


def _overflows(change: Delta) -> bool:
    return int(np.abs(change.weight_array).max()) >= _WEIGHT_MAX


def _is_same(change: Delta, earlier: Delta) -> bool:
    """Whether the same changed as on an earlier level. If it follows from that, it will for ever."""
    if len(change) != len(earlier):
        return False
    both = [change, Delta(earlier.rows, -earlier.weight_array)]
    return not len(consolidate(concat_deltas(change.rows.schema, both)))


_NONE = 1 << 62  # above all levels


class _Levels:
    """Changes to come, by the level at which it is their turn."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._waiting: dict[int, list[Delta]] = {}

    @property
    def lowest(self) -> int:
        return min(self._waiting, default=_NONE)

    def add(self, level: int, delta: Delta) -> None:
        if len(delta):
            self._waiting.setdefault(level, []).append(delta)

    def take(self, level: int) -> Delta:
        """The changes of a level, in normal form."""
        return consolidate(concat_deltas(self._schema, self._waiting.pop(level, [])))


def _by_level(delta: Delta) -> Iterator[tuple[int, Delta]]:
    """The rows of a delta by their levels."""
    levels = delta.rows.column(LEVEL).to_numpy()
    if not len(levels):
        return
    order = np.argsort(levels, kind="stable")
    found, begins = np.unique(levels[order], return_index=True)
    for level, places in zip(found.tolist(), np.split(order, begins[1:]), strict=True):
        yield level, select_rows(delta, places)
