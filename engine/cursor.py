"""Cursors as DB-API 2.0 (PEP 249) has them, over a database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from headwater.engine.result import Result
from headwater.engine.scripts import Scripts
from headwater.errors import InterfaceError
from headwater.parser import Parameters

if TYPE_CHECKING:
    from headwater.engine.database import Database

# Of a column: name and type; what PEP 249 has further (sizes, precision, whether it may be NULL) is not known: None.
ColumnDescription: TypeAlias = tuple[str, str, None, None, None, None, None]


class Cursor:
    """Runs statements one at a time, and gives the rows of the last one.

    A statement is a commit of its own, made when `execute` returns; between BEGIN and COMMIT it is part of that one.

    >>> import headwater
    >>> with headwater.connect() as db, db.cursor() as cursor:
    ...     _ = cursor.execute("CREATE TABLE stock (item VARCHAR PRIMARY KEY, n INTEGER)")
    ...     _ = cursor.executemany("INSERT INTO stock VALUES (?, ?)", [("pears", 3), ("plums", 8)])
    ...     cursor.execute("SELECT item, n FROM stock WHERE n > ?", [5]).fetchall()
    [('plums', 8)]
    """

    def __init__(self, database: Database, scripts: Scripts) -> None:
        self.connection = database
        self._scripts = scripts
        self.arraysize = 1  # how many rows `fetchmany` gives
        self._result: Result | None = None
        self._changed = -1
        self._closed = False

    @property
    def description(self) -> list[ColumnDescription] | None:
        """The columns of the last statement, None if it has no rows."""
        if self._result is None or not self._result.columns:
            return None
        return [(column.name, column.type, None, None, None, None, None) for column in self._result.columns]

    @property
    def rowcount(self) -> int:
        """How many rows the last statement gave or changed; −1 if it did neither."""
        return self._changed if self._result is None else self._result.rowcount

    def execute(self, operation: str, parameters: Parameters = ()) -> Cursor:
        """Runs one statement, with values for its `?` or `$name`. Gives the cursor back."""
        self._check_open()
        self._result, self._changed = None, -1
        self._result = self.connection.sql(operation, parameters)
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Parameters]) -> Cursor:
        """Runs one statement for each of several sets of values; INSERT … VALUES with all rows in one commit."""
        self._check_open()
        self._result, self._changed = None, -1
        self._changed = self._scripts.run_each(operation, list(seq_of_parameters))
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        return self._rows().fetchone()

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next `size` rows (None: `arraysize`), fewer at the end."""
        return self._rows().fetchmany(self.arraysize if size is None else size)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        rows = self._rows()
        return rows.fetchmany(len(rows))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self

    def __next__(self) -> tuple[Any, ...]:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Does nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Gives the rows up. The database stays open."""
        self._closed, self._result = True, None

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self) -> Result:
        self._check_open()
        if self._result is None or not self._result.columns:
            raise InterfaceError("there are no rows to fetch", hint="execute a query first")
        return self._result

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed", hint="make another one with cursor()")
