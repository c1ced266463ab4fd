"""The differential harness: after every step, what Headwater keeps equals what DuckDB answers from scratch.

`Case` makes a database with a stream, a table with a key and a bag, and random continuous queries over them; each query
comes with the DuckDB SQL that says what its table must hold. The oracle shares nothing with the engine: it sees all
records ever appended, with the version that committed them, and computes everything again, event time included.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.subscription import Subscription
from headwater.storage import SimulatedDisk

Rows = Counter[tuple[Any, ...]]

# The records of the stream in log order, each with the stream time of its partition before it.
TIMED = """(SELECT *, max(ts) OVER (PARTITION BY part ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS st
            FROM s)"""


@dataclass(frozen=True)
class Query:
    """A continuous query, and DuckDB SQL over the oracle's relations that gives the same rows."""

    sql: str
    oracle: str


class Oracle:
    """Everything that was ever appended, as plain DuckDB tables, and views of it at a cut of the log.

    s: the records of the stream with `version`, `part` and `seq`. t: the rows of the keyed table. th: all rows that it
    ever had, with the half-open range of versions in which each was there. b: the bag.
    """

    def __init__(self) -> None:
        self.con = duckdb.connect(":memory:", config={"threads": 1})
        self.con.execute("""
            CREATE TABLE s_all (k INTEGER, g VARCHAR, v BIGINT, d DOUBLE, ts TIMESTAMP,
                                version BIGINT, part INTEGER, seq BIGINT);
            CREATE TABLE th_all (id INTEGER, name VARCHAR, w BIGINT, born BIGINT, died BIGINT);
            CREATE TABLE b_all (x INTEGER, y VARCHAR, z SMALLINT, version BIGINT);
            CREATE VIEW s AS FROM s_all WHERE version <= getvariable('version') AND seq <= getvariable('records');
            CREATE VIEW th AS SELECT id, name, w, born, CASE WHEN died <= getvariable('version') THEN died END AS died
                              FROM th_all WHERE born <= getvariable('version');
            CREATE VIEW t AS SELECT id, name, w FROM th WHERE died IS NULL;
            CREATE VIEW b AS SELECT x, y, z FROM b_all WHERE version <= getvariable('version');
        """)
        self.records = 0

    def add_stream(self, rows: list[dict[str, Any]], parts: list[int], version: int) -> None:
        for row, part in zip(rows, parts, strict=True):
            self.records += 1
            self.con.execute("INSERT INTO s_all VALUES (?,?,?,?,?,?,?,?)", [*row.values(), version, part, self.records])

    def add_table(self, rows: list[dict[str, Any]], version: int) -> None:
        for row in {r["id"]: r for r in rows}.values():
            self.con.execute("UPDATE th_all SET died = ? WHERE id = ? AND died IS NULL", [version, row["id"]])
            self.con.execute("INSERT INTO th_all VALUES (?,?,?,?,NULL)", [*row.values(), version])

    def add_bag(self, rows: list[dict[str, Any]], version: int) -> None:
        for row in rows:
            self.con.execute("INSERT INTO b_all VALUES (?,?,?,?)", [*row.values(), version])

    def version_of(self, record: int) -> int:
        """The version that committed the record of that number, counted from 1."""
        found = self.con.execute("SELECT version FROM s_all WHERE seq = ?", [record]).fetchone()
        return int(found[0]) if found else 0

    def answer(self, sql: str, version: int = 2**62, records: int = 2**62) -> Rows:
        """The rows of `sql` at a version, over that many records of the stream."""
        self.con.execute(f"SET VARIABLE version = {version}; SET VARIABLE records = {records}")
        return canonical(self.con.execute(sql).fetchall())


def canonical(rows: list[tuple[Any, ...]]) -> Rows:
    """A multiset of rows in which floats that differ by rounding are equal, and NaN equals itself."""
    return Counter(tuple(_canonical(v) for v in row) for row in rows)


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return float(f"{value:.9g}") + 0.0
    return value


class Generator:
    """Random rows and queries from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    # ---------------------------------------------------------------- rows

    def stream_rows(self, clock: int) -> list[dict[str, Any]]:
        r = self.random
        return [
            {
                "k": r.choice([None, *range(-2, 6)]),
                "g": r.choice([None, "", "a", "b", "ü", "a longer string than eight bytes"]),
                "v": r.choice([None, 0, 1, -1, r.randint(-100, 100), 2**40, -(2**40)]),
                "d": r.choice([None, 0.0, -0.0, 0.1, 1e3, r.uniform(-5, 5), float("nan"), float("inf"), float("-inf")]),
                "ts": _timestamp(clock + r.randint(-40, 20)),
            }
            for _ in range(r.choice([0, 1, 1, 2, 5, 20, 60]))
        ]

    def table_rows(self) -> list[dict[str, Any]]:
        r = self.random
        return [
            {
                "id": r.randint(-1, 6),
                "name": r.choice([None, "x", "y", "z"]),
                "w": r.choice([None, 1, 2, r.randint(-9, 9)]),
            }
            for _ in range(r.choice([0, 1, 1, 3, 8]))
        ]

    def bag_rows(self) -> list[dict[str, Any]]:
        r = self.random
        return [
            {
                "x": r.choice([None, 1, 2, 3]),
                "y": r.choice([None, "a", "b"]),
                "z": r.choice([None, 5, r.randint(-3, 3)]),
            }
            for _ in range(r.choice([0, 1, 2, 6]))
        ]

    # ---------------------------------------------------------------- queries

    def query(self) -> Query:
        make = self.random.choice([
            self.filtered, self.grouped_stream, self.grouped_stream, self.grouped_table, self.grouped_bag, self.windowed,
            self.windowed, self.stream_table, self.stream_table_grouped, self.table_table, self.table_bag_grouped,
            self.nested, self.distinct, self.total,
        ])  # fmt: skip
        return make()

    def condition(self, names: dict[str, str]) -> str:
        """A random predicate; `names` maps the kinds int, text and float to columns."""
        r = self.random
        options = [f"{names['int']} > {r.randint(-3, 4)}", f"{names['int']} IS NOT NULL", f"NOT {names['int']} = 1"]
        if "text" in names:
            options += [
                f"{names['text']} IN ('a', 'x', 'b')",
                f"{names['text']} LIKE '%a%'",
                f"{names['text']} IS NULL",
            ]
        if "float" in names:
            options += [f"{names['float']} < {r.uniform(-2, 2):.3f}", f"{names['float']} BETWEEN -1 AND 10"]
        first = r.choice(options)
        return first if r.random() < 0.6 else f"({first} {r.choice(['AND', 'OR'])} {r.choice(options)})"

    def where(self, names: dict[str, str]) -> str:
        return f" WHERE {self.condition(names)}" if self.random.random() < 0.5 else ""

    def aggregates(self, columns: dict[str, str]) -> str:
        """A select list of aggregates over columns of the kinds int, float, text, time."""
        options = ["count(*) AS n"]
        for kind, column in columns.items():
            options += [f"count({column})", f"min({column})", f"max({column})"]
            if kind in ("int", "float"):
                options += [f"sum({column})", f"avg({column})", f"sum({column}) FILTER (WHERE {column} > 0)"]
            if kind == "int":
                options.append(f"sum({column} * 2 + 1) / count(*)")
        chosen = self.random.sample(options, self.random.randint(1, min(5, len(options))))
        return ", ".join(f"{c} AS c{i}" if " AS " not in c else c for i, c in enumerate(chosen))

    STREAM = {"int": "v", "float": "d", "text": "g"}

    def filtered(self) -> Query:
        items = self.random.choice(
            ["k, g, v", "*", "k + 1 AS k1, upper(g) AS u, d", "v, v AS w, coalesce(g, 'none') AS g"]
        )
        where = self.where(self.STREAM)
        oracle = items.replace("*", "k, g, v, d, ts") if items == "*" else items
        return Query(f"SELECT {items} FROM s{where}", f"SELECT {oracle} FROM s{where}")

    def grouped_stream(self) -> Query:
        keys = self.random.choice(["k", "g", "k, g", "k % 2", "d"])
        where, having = self.where(self.STREAM), self.random.choice(["", " HAVING count(*) > 2", " HAVING max(v) > 0"])
        tail = f"{self.aggregates({**self.STREAM, 'time': 'ts'})} FROM s{where} GROUP BY {keys}{having}"
        return Query(f"SELECT {keys}, {tail}", f"SELECT {keys}, {tail}")

    def grouped_table(self) -> Query:
        sql = f"SELECT name, {self.aggregates({'int': 'w', 'key': 'id'})} FROM t{self.where({'int': 'w', 'text': 'name'})} GROUP BY name"
        return Query(sql, sql)

    def grouped_bag(self) -> Query:
        sql = f"SELECT x, {self.aggregates({'int': 'z', 'text': 'y'})} FROM b{self.where({'int': 'z', 'text': 'y'})} GROUP BY x"
        return Query(sql, sql)

    def total(self) -> Query:
        source, columns = self.random.choice([("s", dict(self.STREAM)), ("t", {"int": "w", "text": "name"})])
        sql = f"SELECT {self.aggregates(columns)} FROM {source}{self.where(columns)}"
        return Query(sql, sql)

    def distinct(self) -> Query:
        sql = self.random.choice(
            ["SELECT DISTINCT k, g FROM s", "SELECT DISTINCT name FROM t", "SELECT DISTINCT y, z FROM b"]
        )
        return Query(sql, sql)

    def windowed(self) -> Query:
        r = self.random
        size, grace = r.choice([10, 15, 60]), r.choice([None, 0, 5, 30])
        advance = r.choice([size, size, 5, 4])
        clause = (
            f"TUMBLING (SIZE {size} SECONDS"
            if advance == size
            else f"HOPPING (SIZE {size} SECONDS, ADVANCE BY {advance} SECONDS"
        )
        clause += ")" if grace is None else f", GRACE PERIOD {grace} SECONDS)"
        where, aggregates = self.where(self.STREAM), self.aggregates(self.STREAM)
        keys = r.choice(["", "k", "g"])
        select, group = (f"{keys}, {aggregates}", keys) if keys else (aggregates, "windowstart")
        sql = f"SELECT {select} FROM s WINDOW {clause}{where} GROUP BY {group}"
        if not keys:
            sql = f"SELECT {aggregates} FROM s WINDOW {clause}{where} GROUP BY windowstart"
        us = 1_000_000
        starts = f"generate_series(epoch_us(ts) // {advance * us} * {advance * us} - {(-(-size // advance) - 1) * advance * us}, epoch_us(ts) // {advance * us} * {advance * us}, {advance * us})"
        late = (24 * 3600 if grace is None else grace) * us
        oracle = f"""WITH w AS (SELECT *, make_timestamp(ws) AS windowstart, make_timestamp(ws + {size * us}) AS windowend
                                FROM (SELECT *, unnest({starts}) AS ws FROM {TIMED})
                                WHERE ws + {size * us} > epoch_us(ts) AND (st IS NULL OR epoch_us(st) < ws + {size * us} + {late}))
                     SELECT windowstart, windowend, {select} FROM w{where} GROUP BY windowstart, windowend{", " + keys if keys else ""}"""
        return Query(sql, oracle)

    def stream_table(self) -> Query:
        extra = self.random.choice(["", " AND a.v > c.w", " AND c.name IS NOT NULL"])
        where = self.where({"int": "a.v", "text": "c.name"})
        columns = "a.k, a.v, c.name, c.w"
        return Query(
            f"SELECT {columns} FROM s a JOIN t c ON a.k = c.id{extra}{where}",
            f"SELECT {columns} FROM s a JOIN th c ON a.k = c.id AND c.born <= a.version AND (c.died IS NULL OR c.died > a.version){extra}{where}",
        )

    def stream_table_grouped(self) -> Query:
        tail = f"{self.aggregates({'int': 'a.v', 'float': 'a.d', 'right': 'c.w'})} FROM s a JOIN"
        group = self.random.choice(["c.name", "a.k"])
        return Query(
            f"SELECT {group} AS grp, {tail} t c ON a.k = c.id GROUP BY {group}",
            f"SELECT {group} AS grp, {tail} th c ON a.k = c.id AND c.born <= a.version AND (c.died IS NULL OR c.died > a.version) GROUP BY {group}",
        )

    def table_table(self) -> Query:
        sql = self.random.choice([
            "SELECT c.id, c.name, e.w FROM t c JOIN t e ON c.w = e.id",
            "SELECT c.name, b.y, b.z FROM t c JOIN b ON c.id = b.x",
            "SELECT c.id, b.z FROM t c JOIN b ON c.w = b.z AND c.name = b.y",
            "SELECT b.y, c.w + b.z AS wz FROM b JOIN t c ON c.id = b.x + 1",
        ])  # fmt: skip
        sql += self.where({"int": "c.id"})
        return Query(sql, sql)

    def table_bag_grouped(self) -> Query:
        sql = f"SELECT b.y, {self.aggregates({'int': 'c.w', 'right': 'b.z', 'text': 'c.name'})} FROM t c JOIN b ON c.id = b.x GROUP BY b.y"
        return Query(sql, sql)

    def nested(self) -> Query:
        inner = f"SELECT k, count(*) AS n, max(v) AS top FROM s{self.where(self.STREAM)} GROUP BY k"
        sql = self.random.choice([
            f"SELECT n, {self.aggregates({'int': 'top', 'key': 'k'})} FROM ({inner}) q GROUP BY n",
            f"SELECT q.k, q.top, c.name FROM ({inner}) q JOIN t c ON q.k = c.id",
            f"SELECT k, top + n AS both FROM ({inner}) q WHERE n > 1",
        ])  # fmt: skip
        return Query(sql, sql)


def _timestamp(seconds: int) -> Any:
    return datetime(2026, 1, 1) + timedelta(seconds=seconds)


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
        self.db = self._open()
        self.db.execute(f"""
            CREATE STREAM s (k INTEGER KEY, g VARCHAR, v BIGINT, d DOUBLE, ts TIMESTAMP) WITH (partitions = {self.partitions}, timestamp = 'ts');
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
            self.clock += self.random.choice([0, 3, 10, 40])
            self._append_stream(rows)
        elif which == "t":
            rows = self.generator.table_rows()
            if rows:
                self.oracle.add_table(rows, self.db.append("t", rows).version)
        else:
            rows = self.generator.bag_rows()
            if rows:
                self.oracle.add_bag(rows, self.db.append("b", rows).version)

    def _append_stream(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        before = self.db.log.version
        schema = pa.schema(
            [("k", pa.int32()), ("g", pa.string()), ("v", pa.int64()), ("d", pa.float64()), ("ts", pa.timestamp("us"))]
        )
        acknowledged = self.db.append("s", pa.Table.from_pylist(rows, schema=schema))
        assert acknowledged.version > before
        stored = [
            (c.partition, row)
            for c in self.db.log.scan(1, before)
            for row in c.rows.drop_columns(["ROWTIME"]).to_pylist()
        ]
        assert canonical([tuple(r.values()) for _, r in stored]) == canonical([tuple(r.values()) for r in rows])
        self.oracle.add_stream([row for _, row in stored], [p for p, _ in stored], acknowledged.version)

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
        return (
            f"seed {self.seed}, {name}: {self.made[name].sql}\n"
            f"  too many: {dict(rows - expected)}\n  missing: {dict(expected - rows)}"
        )
