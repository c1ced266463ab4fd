"""The differential harness: after every step, what Headwater keeps equals what DuckDB answers from scratch.

`Case` makes a database with a stream, a table with a key and a bag, and random continuous queries over them; each query
comes with the DuckDB SQL that says what its table must hold. The oracle shares nothing with the engine: it sees all
records ever appended, with the version that committed them, and computes everything again, event time included.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.subscription import Subscription
from headwater.storage import SimulatedDisk
from tests.executor.generator import BEGINNING, Generator, Query

Rows = Counter[tuple[Any, ...]]

STREAM = pa.schema(
    [("k", pa.int32()), ("g", pa.string()), ("v", pa.int64()), ("d", pa.float64()), ("ts", pa.timestamp("us"))]
)


def _microseconds(clock: int) -> int:
    """What a clock shows, in µs since 1970, that many seconds after the beginning."""
    return int(BEGINNING.replace(tzinfo=UTC).timestamp() + clock) * 1_000_000


class Oracle:
    """Everything that was ever appended, as plain DuckDB tables, and views of it at a cut of the log.

    s: the records of the stream with `version`, `part` and `seq`. t: the rows of the keyed table. th: all rows that it
    ever had, with the half-open ranges of versions and of times in which each was there. b: the bag; bh: its rows so.
    """

    def __init__(self) -> None:
        self.con = duckdb.connect(":memory:", config={"threads": 1})
        self.con.execute("""
            CREATE TABLE s_all (k INTEGER, g VARCHAR, v BIGINT, d DOUBLE, ts TIMESTAMP,
                                version BIGINT, part INTEGER, seq BIGINT);
            CREATE TABLE th_all (id INTEGER, name VARCHAR, w BIGINT, born BIGINT, died BIGINT,
                                 born_at TIMESTAMP, died_at TIMESTAMP);
            CREATE TABLE b_all (x INTEGER, y VARCHAR, z SMALLINT, version BIGINT, time TIMESTAMP);
            CREATE VIEW s AS FROM s_all WHERE version <= getvariable('version') AND seq <= getvariable('records');
            CREATE VIEW th AS SELECT id, name, w, born, born_at,
                                     CASE WHEN died <= getvariable('version') THEN died END AS died,
                                     CASE WHEN died <= getvariable('version') THEN died_at END AS died_at
                              FROM th_all WHERE born <= getvariable('version');
            CREATE VIEW t AS SELECT id, name, w FROM th WHERE died IS NULL;
            CREATE VIEW bh AS SELECT x, y, z, version AS born, NULL::BIGINT AS died, time AS born_at,
                                     NULL::TIMESTAMP AS died_at FROM b_all WHERE version <= getvariable('version');
            CREATE VIEW b AS SELECT x, y, z FROM b_all WHERE version <= getvariable('version');
        """)
        self.records = 0

    def add_stream(self, rows: list[dict[str, Any]], parts: list[int], version: int) -> None:
        for row, part in zip(rows, parts, strict=True):
            self.records += 1
            self.con.execute("INSERT INTO s_all VALUES (?,?,?,?,?,?,?,?)", [*row.values(), version, part, self.records])

    def add_table(self, rows: list[dict[str, Any]], version: int, at: datetime) -> None:
        for row in {r["id"]: r for r in rows}.values():
            died = "UPDATE th_all SET died = ?, died_at = ? WHERE id = ? AND died IS NULL"
            self.con.execute(died, [version, at, row["id"]])
            self.con.execute("INSERT INTO th_all VALUES (?,?,?,?,NULL,?,NULL)", [*row.values(), version, at])

    def add_bag(self, rows: list[dict[str, Any]], version: int, at: datetime) -> None:
        for row in rows:
            self.con.execute("INSERT INTO b_all VALUES (?,?,?,?,?)", [*row.values(), version, at])

    def version_of(self, record: int) -> int:
        """The version that committed the record of that number, counted from 1."""
        found = self.con.execute("SELECT version FROM s_all WHERE seq = ?", [record]).fetchone()
        return int(found[0]) if found else 0

    def answer(self, sql: str, version: int = 2**62, records: int = 2**62) -> Rows:
        """The rows of `sql` at a version, over that many records of the stream."""
        self.con.execute(f"SET VARIABLE version = {version}; SET VARIABLE records = {records}")
        return canonical(self.con.execute(sql).fetchall())


def canonical(rows: list[tuple[Any, ...]]) -> Rows:
    """A multiset of rows in which floats that differ by rounding are equal, NaN equals itself, and lists are tuples."""
    return Counter(tuple(_canonical(v) for v in row) for row in rows)


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return float(f"{value:.9g}") + 0.0
    if isinstance(value, dict):
        value = list(value.items())
    if isinstance(value, list | tuple):
        return tuple(_canonical(item) for item in value)
    return value


class Case:
    """One random database with its oracle; `step` appends at random and checks every table."""

    def __init__(self, seed: int, queries: int = 6, given: list[Query] | None = None) -> None:
        self.seed = seed
        self.generator = Generator(seed)
        self.random = self.generator.random
        self.disk = SimulatedDisk(seed=seed)
        self.oracle = Oracle()
        self.partitions = self.random.choice([1, 1, 2, 3])
        self.clock = 0
        self.disk.clock_us = _microseconds(0)
        self.db = self._open()
        self.db.execute(f"""
            CREATE STREAM s (k INTEGER KEY, g VARCHAR, v BIGINT, d DOUBLE, ts TIMESTAMP)
              WITH (partitions = {self.partitions}, timestamp = 'ts');
            CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR, w BIGINT);
            CREATE TABLE b (x INTEGER, y VARCHAR, z SMALLINT);
        """)
        self.queries = given if given is not None else [self.generator.query() for _ in range(queries)]
        self.late = self.queries[len(self.queries) // 2 :] if given is None else []  # made once there are rows already
        self.made: dict[str, Query] = {}
        self.history: list[tuple[int, dict[str, Rows]]] = []
        for query in self.queries:
            if query not in self.late:
                self.create(query)

    def _open(self) -> Database:
        return Database(self.disk, "db", None, background=False)

    def create(self, query: Query) -> None:
        name = f"q{len(self.made)}"
        self.db.execute(f"CREATE TABLE {name} AS {query.sql}")
        self.made[name] = query

    def step(self) -> None:
        """Some commits, one step, and the comparison; now and then a late query, a checkpoint or a restart."""
        self.step_without_restart()
        if self.random.random() < 0.15:
            self.reopen()

    def step_without_restart(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self._append()
        if self.late and self.random.random() < 0.4:
            self.create(self.late.pop())
        self.db.settle()
        self.check()
        if self.random.random() < 0.2:
            self.db.execute("CHECKPOINT")

    def reopen(self) -> None:
        self.db.close()
        self.db = self._open()
        self.check()

    def _append(self) -> None:
        which = self.random.choice("sssttb")
        if which == "s":
            rows = self.generator.stream_rows(self.clock)
            self._append_stream(rows)
            self.clock += self.random.choice([0, 3, 10, 40])
            self.disk.clock_us = _microseconds(self.clock)
        elif which == "t":
            rows = self.generator.table_rows()
            if rows:
                version = self.db.append("t", rows).version
                self.oracle.add_table(rows, version, self._time_of(version))
        else:
            rows = self.generator.bag_rows()
            if rows:
                version = self.db.append("b", rows).version
                self.oracle.add_bag(rows, version, self._time_of(version))

    def _append_stream(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        before = self.db.log.version
        acknowledged = self.db.append("s", pa.Table.from_pylist(rows, schema=STREAM))
        assert acknowledged.version > before
        stored = [
            (c.partition, row)
            for c in self.db.log.scan(1, before)
            for row in c.rows.drop_columns(["ROWTIME"]).to_pylist()
        ]
        assert canonical([tuple(r.values()) for _, r in stored]) == canonical([tuple(r.values()) for r in rows])
        self.oracle.add_stream([row for _, row in stored], [p for p, _ in stored], acknowledged.version)

    def _time_of(self, version: int) -> datetime:
        return BEGINNING + timedelta(microseconds=self.db.log.time_of(version) - _microseconds(0))

    def contents(self) -> dict[str, Rows]:
        return {name: canonical(self.db.sql(f"SELECT * FROM {name}").fetchall()) for name in self.made}

    def as_of(self, name: str, position: str) -> Rows:
        return canonical(self.db.sql(f"SELECT * FROM {name} AS OF {position}").fetchall())

    def check(self) -> None:
        """Every table equals the oracle's answer."""
        contents = self.contents()
        for name, rows in contents.items():
            expected = self.oracle.answer(self.made[name].oracle)
            assert rows == expected, self.report(name, rows, expected)
            folded = self.folded(name)
            assert folded == rows, self.report(f"changelog of {name}", folded, rows)
        self.history.append((self.db.version, contents))

    def watch(self, name: str) -> Subscription:
        return self.db.subscribe(f"SELECT * FROM {name} EMIT CHANGES")

    def check_offset(self, records: int) -> None:
        """Every table as of that many records of the stream equals the oracle's answer over just these."""
        version = self.oracle.version_of(records)
        for name, query in self.made.items():
            if "FROM s" not in query.sql:
                continue  # the stream is not a source of it
            rows = self.as_of(name, f"OFFSET (s => {records})")
            expected = self.oracle.answer(query.oracle, version, records)
            assert rows == expected, self.report(f"{name} as of record {records}", rows, expected)

    def folded(self, name: str) -> Rows:
        """The stored changelog, added up by a reader that knows nothing else."""
        relation = self.db.pipeline.catalog.get(name)
        assert relation is not None
        rows: Rows = Counter()
        for chunk in self.db.log.scan(relation.id):
            for row in chunk.rows.to_pylist():
                weight = row.pop("$weight")
                values = tuple(int(v) if isinstance(v, Decimal) else v for v in row.values())
                rows[tuple(_canonical(v) for v in values)] += weight
        assert all(weight >= 0 for weight in rows.values())
        return +rows

    def report(self, name: str, rows: Rows, expected: Rows) -> str:
        (query,) = (made for word, made in self.made.items() if word in name.split())
        return (
            f"seed {self.seed}, {name}: {self.made[name.partition(' ')[0]].sql}\n"
            f"  too many: {dict(rows - expected)}\n  missing: {dict(expected - rows)}"
        )
