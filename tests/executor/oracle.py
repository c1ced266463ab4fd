"""What every query must hold, according to DuckDB: everything that was ever put in, and views of it at a cut.

It shares nothing with the engine: it sees all records with the version that committed them, and computes everything
again, event time included.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa

from tests.executor.history import Delete, Update
from tests.executor.sources import Row, Source

Rows = Counter[tuple[Any, ...]]

_LAST_DIGIT = 1.001e-8  # of the nine digits that canonical floats have: what one more or less of it can make


class Oracle:
    """A DuckDB database with the relations of `sources`.

    s: the records of the stream with `version`, `part` and `seq`, their number. t: the rows of a table. th: all rows
    that it ever had, with the half-open ranges of versions and of times in which each was there, from `born` to `died`.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.con = duckdb.connect(":memory:", config={"threads": 1})
        self.sources = {source.name: source for source in sources}
        self.schemas: dict[str, pa.Schema] = {}
        for source in sources:
            self._create(source)
        self.records = 0  # of s

    def _create(self, source: Source) -> None:
        name, names = source.name, ", ".join(source.names)
        columns = ", ".join(f"{column} {type_}" for column, type_ in source.columns)
        if source.kind == "stream":
            limit = "AND seq <= getvariable('records')" if name == "s" else ""
            self.con.execute(f"""
                CREATE TABLE {name}_all ({columns}, version BIGINT, part INTEGER, seq BIGINT);
                CREATE VIEW {name} AS FROM {name}_all WHERE version <= getvariable('version') {limit};
            """)
        else:
            self.con.execute(f"""
                CREATE TABLE {name}_all ({columns}, born BIGINT, died BIGINT, born_at TIMESTAMP, died_at TIMESTAMP);
                CREATE VIEW {name}h AS
                  SELECT {names}, born, CASE WHEN died <= getvariable('version') THEN died END AS died,
                         born_at, CASE WHEN died <= getvariable('version') THEN died_at END AS died_at
                  FROM {name}_all WHERE born <= getvariable('version');
                CREATE VIEW {name} AS SELECT {names} FROM {name}h WHERE died IS NULL;
            """)
        self.schemas[name] = self.con.sql(f"SELECT {names} FROM {name}_all").to_arrow_table().schema

    def rows(self, name: str, rows: Sequence[Row]) -> pa.Table:
        """Rows as a table with the columns of a relation."""
        return pa.Table.from_pylist(list(rows), schema=self.schemas[name])

    def add_stream(self, rows: Sequence[Row], parts: Sequence[int], version: int, name: str = "s") -> None:
        ((count,),) = self.con.execute(f"SELECT count(*) FROM {name}_all").fetchall()
        table = self.rows(name, rows).append_column("part", pa.array(parts, pa.int32()))
        numbers = pa.array(range(count + 1, count + 1 + len(rows)), pa.int64())
        self._insert(name, f"{version}, part, seq", table.append_column("seq", numbers))
        self.records += len(rows) if name == "s" else 0

    def add_table(self, rows: Sequence[Row], version: int, name: str = "t", at_us: int = 0) -> None:
        """Each row replaces the one of its key; of several with one key, the last counts."""
        key = self.sources[name].key
        assert key is not None
        given = self.rows(name, list({row[key]: row for row in rows}.values()))
        with_given(self.con, given, f"""
            UPDATE {name}_all SET died = {version}, died_at = make_timestamp({at_us})
            FROM given WHERE died IS NULL AND {name}_all.{key} = given.{key}
        """)  # fmt: skip
        self._insert(name, f"{version}, NULL, make_timestamp({at_us}), NULL", given)

    def add_bag(self, rows: Sequence[Row], version: int, name: str = "b", at_us: int = 0) -> None:
        self._insert(name, f"{version}, NULL, make_timestamp({at_us}), NULL", self.rows(name, rows))

    def change(self, event: Update | Delete, version: int, at_us: int = 0) -> None:
        """What UPDATE and DELETE do, by the same words."""
        name = event.relation
        those = f"{name}_all WHERE died IS NULL AND ({event.condition})"
        changed = None
        if isinstance(event, Update):
            type_ = dict(self.sources[name].columns)[event.column]
            value = f"CAST({event.value} AS {type_}) AS {event.column}"
            names = ", ".join(value if n == event.column else n for n in self.sources[name].names)
            changed = self.con.sql(f"SELECT {names} FROM {those}").to_arrow_table()
        dies = f"died = {version}, died_at = make_timestamp({at_us})"
        self.con.execute(f"UPDATE {name}_all SET {dies} WHERE died IS NULL AND ({event.condition})")
        if changed is not None:
            self._insert(name, f"{version}, NULL, make_timestamp({at_us}), NULL", changed)

    def set_now(self, time_us: int | None) -> None:
        """What now() is, in µs since 1970: the time of the version that is asked about."""
        now = "NULL::TIMESTAMP" if time_us is None else f"make_timestamp({time_us})"
        self.con.execute(f"SET VARIABLE now = {now}")

    def _insert(self, name: str, places: str, table: pa.Table) -> None:
        names = ", ".join(self.sources[name].names)
        with_given(self.con, table, f"INSERT INTO {name}_all SELECT {names}, {places} FROM given")

    def version_of(self, record: int) -> int:
        """The version that committed the record of s of that number, counted from 1."""
        found = self.con.execute("SELECT version FROM s_all WHERE seq = ?", [record]).fetchall()
        return int(found[0][0]) if found else 0

    def answer(self, sql: str, version: int = 2**62, records: int = 2**62) -> Rows:
        """The rows of `sql` at a version, over that many records of the stream s."""
        self.con.execute(f"SET VARIABLE version = {version}; SET VARIABLE records = {records}")
        return canonical(self.con.execute(sql).fetchall())


def with_given(con: duckdb.DuckDBPyConnection, table: pa.Table, sql: str) -> None:
    con.register("given", table)
    con.execute(sql)
    con.unregister("given")


def canonical(rows: Sequence[tuple[Any, ...]]) -> Rows:
    """A multiset of rows in which floats that differ by rounding are equal, NaN equals itself, and lists are tuples."""
    return Counter(tuple(canonical_value(v) for v in row) for row in rows)


def canonical_value(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return float(f"{value:.9g}") + 0.0
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, list | tuple):
        return tuple(canonical_value(item) for item in value)
    return value


def differences(rows: Rows, expected: Rows, rounding: float) -> tuple[Rows, Rows]:
    """The rows that are too many, and those that are missing; floats no further apart than `rounding` are equal."""
    many, missing = rows - expected, expected - rows
    for row in list(missing.elements()):
        same = next((other for other in many if _is_close(other, row, rounding)), None)
        if same is not None:
            many -= Counter([same])
            missing -= Counter([row])
    return many, missing


def _is_close(one: Any, other: Any, rounding: float) -> bool:
    """Whether two canonical values are the same, but for the last of the digits of floats."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_is_close(a, b, rounding) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= max(rounding, _LAST_DIGIT * min(abs(one), abs(other)))
    return bool(one == other)
