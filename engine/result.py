"""What a statement gives back: rows, a message, or a stream of changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from headwater.errors import Unsupported
from headwater.values import Column, Weights

if TYPE_CHECKING:
    import pandas


_ROWS_AT_ONCE = 1000  # as Python objects, when somebody iterates


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Rows are durable: the version that made them so, and where each partition's rows begin.

    `offsets` maps a partition to the offset of the first and the one after the last row appended to it. If it is
    `repeated`, nothing was written: a commit with the same idempotency key was made before, and this is its answer.
    """

    version: int
    offsets: dict[int, tuple[int, int]]
    rows: int
    repeated: bool = False


class Result:
    """The rows that a statement answered with; or, for a statement without rows, its `message`.

    Iterating and `fetchall` give all rows, each time; `fetchone` and `fetchmany` go forward through them.

    >>> import headwater
    >>> with headwater.connect() as db:
    ...     result = db.sql("SELECT * FROM (VALUES (1, 'one'), (2, NULL)) AS t (n, name) ORDER BY n")
    >>> result.names, len(result)
    (['n', 'name'], 2)
    >>> [name for n, name in result]
    ['one', None]
    >>> result.fetchone(), result.fetchone(), result.fetchone()
    ((1, 'one'), (2, None), None)
    """

    def __init__(
        self, columns: tuple[Column, ...], table: pa.Table, message: str | None = None, *, changed: int | None = None
    ) -> None:
        self.columns = columns
        self.message = message
        self.changed = changed  # rows, by INSERT, UPDATE and DELETE
        self._table = table
        self._fetched = 0

    @classmethod
    def of_message(cls, message: str, *, changed: int | None = None) -> Result:
        """A result without rows that says what was done, and how many rows were `changed`, if that was it."""
        return cls((), pa.table({}), message, changed=changed)

    @classmethod
    def of_rows(cls, columns: tuple[Column, ...], rows: list[tuple[Any, ...]], types: list[pa.DataType]) -> Result:
        """A result from Python rows, for the catalog statements."""
        arrays = [pa.array([row[i] for row in rows], type=t) for i, t in enumerate(types)]
        return cls(columns, pa.Table.from_arrays(arrays, names=[c.name for c in columns]))

    @property
    def names(self) -> list[str]:
        """The column names, in order; two columns may share one."""
        return [c.name for c in self.columns]

    @property
    def rowcount(self) -> int:
        """How many rows there are, or were changed; −1 where a statement has none of either."""
        if self.columns:
            return len(self)
        return -1 if self.changed is None else self.changed

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __bool__(self) -> bool:
        return True  # also without rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        if self.columns:
            for batch in self._table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                yield from python_rows(self.columns, batch.columns)

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self._table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface: polars, pandas, DuckDB and others read a result without a copy."""
        return self._table.__arrow_c_stream__(requested_schema)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of Python values."""
        if not self.columns:
            return []
        return python_rows(self.columns, self._table.columns)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None after the last."""
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int = 1) -> list[tuple[Any, ...]]:
        """The next `size` rows, fewer at the end."""
        part = self._table.slice(self._fetched, size)
        self._fetched += part.num_rows
        return Result(self.columns, part).fetchall()

    def pl(self) -> Any:
        """The rows as a Polars DataFrame (needs polars), without a copy where the types allow it."""
        import polars  # only who calls this has it

        for field in self._table.schema:
            if pa.types.is_interval(field.type):
                hint = f'select CAST("{field.name}" AS VARCHAR), or take arrow()'
                raise Unsupported(f'Polars has no type for column "{field.name}", an INTERVAL', hint=hint)
        return polars.from_arrow(self._table)

    def df(self) -> pandas.DataFrame:
        """The rows as a pandas DataFrame (needs pandas); HUGEINT as float64, as DuckDB does."""
        wide = pa.decimal128(38, 0)
        fields = [f.with_type(pa.float64()) if f.type == wide else f for f in self._table.schema]
        return self._table.cast(pa.schema(fields)).to_pandas()

    def show(self, limit: int = 40) -> None:
        """Print the first `limit` rows as a table."""
        from headwater.engine.render import print_result  # which is made of results

        print_result(self, limit=limit)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from headwater.engine.notebook_html import html_of  # which is made of results

        return html_of(self)

    def __repr__(self) -> str:
        if self.message is not None:
            return f"<Result: {self.message}>"
        return f"<Result: {len(self)} rows × {len(self.columns)} columns>"


@dataclass(frozen=True, slots=True)
class Change:
    """One row added ('+') or removed ('-'), at a version and the time (UTC) of that version's commit."""

    op: str
    row: tuple[Any, ...]
    version: int
    time: datetime


@dataclass(frozen=True, slots=True, eq=False)
class ChangeBatch:
    """The changes of one step. `weights` has +1 or −1 per row."""

    version: int
    time: datetime
    columns: tuple[Column, ...]
    rows: pa.RecordBatch
    weights: Weights

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def arrow(self) -> pa.RecordBatch:
        """The changes as an Arrow batch: `_op` ('+' or '-') and `_version` in front of the query's columns."""
        signs = pa.array(np.where(self.weights > 0, "+", "-").tolist(), pa.string())
        versions = pa.repeat(pa.scalar(self.version, pa.int64()), len(self))
        names = ["_op", "_version", *(c.name for c in self.columns)]
        return pa.RecordBatch.from_arrays([signs, versions, *self.rows.columns], names=names)

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface, for what `arrow` gives."""
        return self.arrow().__arrow_c_array__(requested_schema)

    def __iter__(self) -> Iterator[Change]:
        values = python_rows(self.columns, self.rows.columns)
        for row, weight in zip(values, self.weights.tolist(), strict=True):
            yield Change("+" if weight > 0 else "-", row, self.version, self.time)


def python_rows(columns: Sequence[Column], arrays: Sequence[pa.Array | pa.ChunkedArray]) -> list[tuple[Any, ...]]:
    """Arrow columns as rows of Python values: HUGEINT as int, UUID as uuid.UUID, times without a zone (UTC)."""
    return list(zip(*(_python_values(c.type, a) for c, a in zip(columns, arrays, strict=True)), strict=True))


def _python_values(type_name: str, array: pa.Array | pa.ChunkedArray) -> list[Any]:
    values: list[Any] = array.to_pylist()
    if type_name in ("HUGEINT", "UHUGEINT"):
        return [None if v is None else int(v) for v in values]
    if type_name == "UUID":
        return [None if v is None else UUID(v) for v in values]
    return values
