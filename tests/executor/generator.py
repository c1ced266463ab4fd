"""Random rows, and random continuous queries with the DuckDB SQL that says what each must hold.

The relations are those of sources.py: the stream s, the keyed table t (its history: th), the bag b; and e, u and r,
whose columns have random types.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.executor.aggregate_queries import AggregateQueries
from tests.executor.asof_queries import AsofQueries
from tests.executor.change_queries import ChangeQueries
from tests.executor.check_queries import CheckQueries
from tests.executor.closing_queries import ClosingQueries
from tests.executor.failing_queries import FailingQueries
from tests.executor.function_queries import FunctionQueries
from tests.executor.history import Delete, Update
from tests.executor.lateral_queries import LateralQueries
from tests.executor.now_queries import NowQueries
from tests.executor.over_queries import OverQueries
from tests.executor.query import Query
from tests.executor.recursive_queries import RecursiveQueries
from tests.executor.row_queries import RowQueries
from tests.executor.session_queries import SessionQueries
from tests.executor.set_queries import SetQueries
from tests.executor.sources import VALUES, Row, Source, literal, typed_rows, typed_sources
from tests.executor.subquery_queries import SubqueryQueries
from tests.executor.temporal_queries import TemporalQueries
from tests.executor.typed_queries import TypedQueries
from tests.executor.within_queries import WithinQueries


def windowed_rows(size: int, advance: int, grace: int) -> str:
    """SQL for the records of s, each once per window that takes it, with windowstart and windowend. All in seconds.

    `st` is the stream time of the record's partition before the record.
    """
    second = 1_000_000
    last = f"epoch_us(ts) // {advance * second} * {advance * second}"
    first = f"{last} - {(-(-size // advance) - 1) * advance * second}"
    return f"""
        SELECT *, make_timestamp(ws) AS windowstart, make_timestamp(ws + {size * second}) AS windowend
        FROM (SELECT *, unnest(generate_series({first}, {last}, {advance * second})) AS ws
              FROM (SELECT *, max(ts) OVER (PARTITION BY part ORDER BY seq
                                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS st FROM s))
        WHERE ws + {size * second} > epoch_us(ts)
          AND (st IS NULL OR epoch_us(st) < ws + {(size + grace) * second})"""


TABLES = ((("id", "name", "w"), "t"), (("x", "y", "z"), "b"))


class Generator:
    """Random rows and queries from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.typed_sources = typed_sources(self.random)

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
            for _ in range(r.choice([0, 1, 3, 8, 8]))
        ]

    def bag_rows(self) -> list[dict[str, Any]]:
        r = self.random
        return [
            {
                "x": r.choice([None, 1, 2, 3]),
                "y": r.choice([None, "a", "b"]),
                "z": r.choice([None, 5, r.randint(-3, 3)]),
            }
            for _ in range(r.choice([0, 1, 3, 8, 20]))
        ]

    def new_rows(self, source: Source, clock: int) -> list[Row]:
        """Random rows for a source relation; event times are about `clock`."""
        fixed = {"s": lambda: self.stream_rows(clock), "t": self.table_rows, "b": self.bag_rows}
        return fixed[source.name]() if source.name in fixed else typed_rows(self.random, source)

    def change(self, source: Source) -> Update | Delete:
        """An UPDATE or DELETE of some rows of a table."""
        r, name = self.random, source.name
        if source in self.typed_sources:
            queries = TypedQueries(r, self.typed_sources)
            condition = queries.condition()
            column, type_ = r.choice([c for c in source.columns if c[0] != source.key])
            updates = [(column, literal(r.choice(VALUES[type_]), type_)), (column, column)]
        elif name == "t":
            options = [f"id = {r.randint(-1, 6)}", "name = 'x'", "w IS NULL", f"w > {r.randint(-9, 9)}"]
            condition = r.choice([*options, "name IN ('y', 'z') OR id > 3"])
            updates = [("w", "w + 1"), ("w", "NULL"), ("name", "'x'"), ("name", "CASE name WHEN 'x' THEN 'y' END")]
            if r.random() < 0.2:
                condition, updates = "true", [("id", "-id")]
        else:
            options = [f"x = {r.randint(1, 3)}", "y = 'a'", "z IS NULL", f"z > {r.randint(-3, 5)}"]
            condition = r.choice([*options, "x = 1 AND y = 'b'", "z = 5"])
            updates = [("z", "-z"), ("z", "coalesce(z, x)"), ("x", "x % 3 + 1"), ("y", "NULL"), ("y", "'a'")]
        column, value = r.choice(updates)
        if r.random() < 0.1:
            condition = "true"
        return Update(name, column, value, condition) if r.random() < 0.6 else Delete(name, condition)

    # ---------------------------------------------------------------- queries

    def query(self, kinds: Sequence[str] = ()) -> Query:
        """A query of any kind, or of one of these, which are names of methods here."""
        make = self.random.choice([getattr(self, kind) for kind in kinds] or [
            self.over, self.over, self.now, self.functions, self.functions,
            self.filtered, self.grouped_stream, self.grouped_stream, self.grouped_table, self.grouped_bag,
            self.closing, self.closing, self.windowed, self.windowed, self.stream_table,
            self.stream_table_grouped, self.table_table,
            self.table_bag_grouped, self.nested, self.distinct, self.total, self.matched_tables,
            self.matched_tables, self.matched_stream, self.two_streams, self.subquery,
            self.subquery, self.subquery_of_stream,
            self.aggregates_of_all_rows, self.aggregates_of_all_rows, self.sets, self.sets, self.within, self.within,
            self.failing, self.failing, self.recursive, self.recursive, self.typed, self.typed, self.typed,
            self.sessions, self.sessions, self.first_rows, self.first_rows, self.asof, self.temporal, self.rows,
            self.marks, self.laterals, self.checked, self.latest, self.changes, self.changes,
        ])  # fmt: skip
        return make()

    def kept(self, sql: str, oracle: str) -> Query:
        """A query over windows; a table keeps it or, where its rows are final for good, a stream."""
        is_final = sql.endswith("EMIT FINAL") and "RETENTION" not in sql
        return Query(sql, oracle, is_stream=is_final and self.random.random() < 0.5)

    def over(self) -> Query:
        sql = OverQueries(self.random).query()
        return Query(sql, sql)

    def functions(self) -> Query:
        return Query(*FunctionQueries(self.random).query())

    def first_rows(self) -> Query:
        queries = OverQueries(self.random)
        sql = self.random.choice([queries.first, queries.first, queries.ranked, queries.of_groups])()
        return Query(sql, sql)

    def aggregates_of_all_rows(self) -> Query:
        return Query(*AggregateQueries(self.random).query())

    def closing(self) -> Query:
        return self.kept(*ClosingQueries(self.random, windowed_rows).query())

    def now(self) -> Query:
        return Query(*NowQueries(self.random).query())

    def checked(self) -> Query:
        sql, checks, oracle = CheckQueries(self.random).query()
        return Query(sql, oracle, checks=checks)

    def failing(self) -> Query:
        return Query(*FailingQueries(self.random).query())

    def asof(self) -> Query:
        sql = AsofQueries(self.random).query()
        return Query(sql, sql)

    def temporal(self) -> Query:
        return Query(*TemporalQueries(self.random).query())

    def rows(self) -> Query:
        sql = RowQueries(self.random).query()
        return Query(sql, sql)

    def marks(self) -> Query:
        return Query(*SubqueryQueries(self.random).query())

    def laterals(self) -> Query:
        return Query(*LateralQueries(self.random).query())

    def latest(self) -> Query:
        return Query(*ChangeQueries(self.random).latest())

    def changes(self) -> Query:
        sql, oracle, is_stream = ChangeQueries(self.random).changes()
        return Query(sql, oracle, is_stream=is_stream and self.random.random() < 0.5)

    def sets(self) -> Query:
        sql = SetQueries(self.random).query()
        return Query(sql, sql)

    def recursive(self) -> Query:
        sql = RecursiveQueries(self.random).query()
        return Query(sql, sql)

    def typed(self) -> Query:
        sql = TypedQueries(self.random, self.typed_sources).query()
        return Query(sql, sql)

    def sessions(self) -> Query:
        return self.kept(*SessionQueries(self.random).query())

    def within(self) -> Query:
        return Query(*WithinQueries(self.random).query())

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
                options += [f"sum({column} * 2 + 1) / count(*)", f"median({column})", f"count(DISTINCT {column})"]
        chosen = self.random.sample(options, self.random.randint(1, min(5, len(options))))
        return ", ".join(f"{c} AS c{i}" if " AS " not in c else c for i, c in enumerate(chosen))

    STREAM = {"int": "v", "float": "d", "text": "g"}

    def filtered(self) -> Query:
        items = self.random.choice(
            ["k, g, v", "*", "k + 1 AS k1, upper(g) AS u, d", "v, v AS w, coalesce(g, 'none') AS g"]
        )
        where = self.where(self.STREAM)
        oracle = items.replace("*", "k, g, v, d, ts") if items == "*" else items
        is_stream = self.random.random() < 0.3
        return Query(f"SELECT {items} FROM s{where}", f"SELECT {oracle} FROM s{where}", is_stream=is_stream)

    def grouped_stream(self) -> Query:
        keys = self.random.choice(["k", "g", "k, g", "k % 2", "d"])
        where, having = self.where(self.STREAM), self.random.choice(["", " HAVING count(*) > 2", " HAVING max(v) > 0"])
        aggregates = self.aggregates({**self.STREAM, "time": "ts"})
        sql = f"SELECT {keys}, {aggregates} FROM s{where} GROUP BY {keys}{having}"
        return Query(sql, sql)

    def grouped_table(self) -> Query:
        where = self.where({"int": "w", "text": "name"})
        sql = f"SELECT name, {self.aggregates({'int': 'w', 'key': 'id'})} FROM t{where} GROUP BY name"
        return Query(sql, sql)

    def grouped_bag(self) -> Query:
        columns = {"int": "z", "text": "y"}
        sql = f"SELECT x, {self.aggregates(columns)} FROM b{self.where(columns)} GROUP BY x"
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
        hops = "" if advance == size else f", ADVANCE BY {advance} SECONDS"
        late = "" if grace is None else f", GRACE PERIOD {grace} SECONDS"
        window = f"{'HOPPING' if hops else 'TUMBLING'} (SIZE {size} SECONDS{hops}{late})"
        where = self.where(self.STREAM)
        aggregates = "count(*) AS n" if r.random() < 0.4 else self.aggregates(self.STREAM)
        key = r.choice(["", "k", "g"])
        select = f"{key}, {aggregates}" if key else aggregates
        group = f"windowstart, windowend{', ' + key if key else ''}"
        rows = windowed_rows(size, advance, 24 * 3600 if grace is None else grace)
        return Query(
            f"SELECT {select} FROM s WINDOW {window}{where} GROUP BY {key or 'windowstart'}",
            f"SELECT windowstart, windowend, {select} FROM ({rows}){where} GROUP BY {group}",
        )

    def stream_table(self) -> Query:
        extra = self.random.choice(["", " AND a.v > c.w", " AND c.name IS NOT NULL"])
        tail = f"ON a.k = c.id{extra}{self.where({'int': 'a.v', 'text': 'c.name'})}"
        return self.looked_up("SELECT a.k, a.v, c.name, c.w", tail)

    def stream_table_grouped(self) -> Query:
        group = self.random.choice(["c.name", "a.k"])
        aggregates = self.aggregates({"int": "a.v", "float": "a.d", "right": "c.w"})
        return self.looked_up(f"SELECT {group} AS grp, {aggregates}", f"ON a.k = c.id GROUP BY {group}")

    def looked_up(self, select: str, tail: str, kind: str = "") -> Query:
        """A join of the stream with the table as it was at each row's version."""
        then = "ON c.born <= a.version AND (c.died IS NULL OR c.died > a.version) AND"
        joined = f"{select} FROM s a {kind} JOIN"
        return Query(f"{joined} t c {tail}", f"{joined} th c {tail.replace('ON', then, 1)}")

    def table_table(self) -> Query:
        sql = self.random.choice([
            "SELECT c.id, c.name, e.w FROM t c JOIN t e ON c.w = e.id",
            "SELECT c.name, b.y, b.z FROM t c JOIN b ON c.id = b.x",
            "SELECT c.id, b.z FROM t c JOIN b ON c.w = b.z AND c.name = b.y",
            "SELECT b.y, c.w + b.z AS wz FROM b JOIN t c ON c.id = b.x + 1",
        ])  # fmt: skip
        sql += self.where({"int": "c.id"})
        return Query(sql, sql)

    def matched_tables(self) -> Query:
        """An outer, semi or anti join of tables, with conditions besides the key or without a key."""
        r = self.random
        kind = r.choice(["LEFT", "RIGHT", "FULL", "LEFT", "SEMI", "ANTI"])
        left, right = r.choice([("t c", "b e"), ("b c", "t e"), ("b c", "b e"), ("t c", "t e")])
        names = {"t": ("id", "name", "w"), "b": ("x", "y", "z")}
        (a, b, c), (d, e, f) = names[left[0]], names[right[0]]
        keys = [f"c.{a} = e.{d}", f"c.{c} = e.{f}", f"c.{a} = e.{f} + 1", f"c.{b} = e.{e}"]
        others = [f"c.{c} > e.{f}", f"c.{c} > 0", f"e.{e} IS NOT NULL", f"c.{b} IS DISTINCT FROM e.{e}", f"e.{f} > 1"]
        on = " AND ".join([*r.sample(keys, r.choice([0, 1, 1, 1, 2])), *r.sample(others, r.choice([0, 0, 1, 2]))])
        tail = f"FROM {left} {kind} JOIN {right} ON {on or 'true'}"
        columns = [f"c.{a}", f"c.{b}", f"c.{c}"] + (
            [f"e.{d}", f"e.{e}", f"e.{f}"] if kind not in ("SEMI", "ANTI") else []
        )
        if r.random() < 0.3:
            aggregates = self.aggregates({"int": r.choice(columns[2::3]), "key": columns[0]})
            sql = f"SELECT c.{b} AS grp, {aggregates} {tail} GROUP BY c.{b}"
        else:
            where = r.choice(["", f" WHERE c.{a} > 0", f" WHERE {columns[-1]} IS NULL"])
            sql = f"SELECT {', '.join(r.sample(columns, r.randint(1, len(columns))))} {tail}{where}"
        return Query(sql, sql)

    def matched_stream(self) -> Query:
        kind = self.random.choice(["LEFT", "LEFT", "SEMI", "ANTI"])
        extra = self.random.choice(["", " AND a.v > c.w", " AND c.name IS NOT NULL", " AND a.d > 0"])
        columns = ["a.k", "a.v", "a.g"] + (["c.name", "c.w"] if kind == "LEFT" else [])
        select = ", ".join(self.random.sample(columns, self.random.randint(1, len(columns))))
        return self.looked_up(f"SELECT {select}", f"ON a.k = c.id{extra}{self.where({'int': 'a.v'})}", kind)

    def subquery(self) -> Query:
        """A table with a condition on a subquery."""
        r = self.random
        (a, left), (b, right) = r.choice(TABLES), r.choice([*TABLES, (("k", "g", "v"), "s")])
        tied = r.choice(["", f" AND e.{b[0]} = c.{a[0]}", f" AND e.{b[1]} = c.{a[1]}", f" AND e.{b[2]} <> c.{a[2]}"])
        rest = f"{right} e WHERE {r.choice(['true', f'e.{b[2]} > 0', f'e.{b[1]} IS NOT NULL'])}{tied}"
        one, other = (r.choice([0, 2]) for _ in range(2))
        tied_equal = "" if "<>" in tied else tied
        total = r.choice([f"max(e.{b[2]})", "count(*)", f"sum(e.{b[2]}) + 1", f"coalesce(min(e.{b[0]}), 1)"])
        condition = r.choice([
            f"EXISTS (SELECT 1 FROM {rest})",
            f"NOT EXISTS (SELECT * FROM {rest})",
            f"c.{a[one]} IN (SELECT e.{b[other]} FROM {rest})",
            f"c.{a[one]} NOT IN (SELECT e.{b[other]} FROM {rest})",
            f"NOT c.{a[one]} IN (SELECT {b[other]} + 1 FROM {rest})",
            f"(c.{a[0]}, c.{a[2]}) IN (SELECT {b[0]}, {b[2]} FROM {right})",
            f"c.{a[2]} >= (SELECT {total} FROM {right} e WHERE e.{b[2]} > 0{tied_equal})",
            f"c.{a[0]} IN (SELECT {b[0]} FROM {right} GROUP BY {b[0]} HAVING count(*) > 1)",
            f"c.{a[0]} IN (SELECT e.{b[0]} FROM {rest}) AND c.{a[2]} NOT IN (SELECT w FROM t WHERE w IS NOT NULL)",
        ])  # fmt: skip
        value = f"(SELECT {total} FROM {right} e WHERE e.{b[2]} > 0{tied_equal})"
        sql = r.choice([
            f"SELECT c.{a[0]}, c.{a[1]}, c.{a[2]} FROM {left} c WHERE {condition}",
            f"SELECT c.{a[0]}, c.{a[1]}, c.{a[2]} FROM {left} c WHERE {condition}",
            f"SELECT c.{a[1]}, c.{a[2]}, {value} AS value FROM {left} c",
            f"SELECT {a[1]}, max({a[0]}) FROM {left} GROUP BY 1 HAVING count(*) <= (SELECT {total} FROM {right} e)",
        ])  # fmt: skip
        return Query(sql, sql)

    def subquery_of_stream(self) -> Query:
        """A stream with a condition on a subquery over a table, which is that of the row's version."""
        condition = self.random.choice([
            "a.k IN (SELECT e.id FROM t e WHERE e.w > 0)",
            "a.k NOT IN (SELECT e.w FROM t e)",
            "NOT EXISTS (SELECT 1 FROM t e WHERE e.id = a.k AND e.w > a.v)",
            "a.v > (SELECT max(e.w) FROM t e WHERE e.id = a.k)",
            "a.v > (SELECT count(e.w) FROM t e WHERE e.w = a.k)",
            "EXISTS (SELECT e.id FROM t e WHERE e.name = 'x')",
        ])  # fmt: skip
        sql = f"SELECT a.k, a.g, a.v FROM s a WHERE {condition}"
        then = "FROM (FROM th WHERE born <= a.version AND (died IS NULL OR died > a.version)) e"
        return Query(sql, sql.replace("FROM t e", then))

    def two_streams(self) -> Query:
        r = self.random
        kind = r.choice(["", "", "LEFT", "FULL", "SEMI", "ANTI"])
        on = r.choice(["a.v = e.k", "a.v = e.k AND a.g = e.g", "a.v = e.k AND a.d > e.d"])
        select = "a.k, a.g, count(*) AS n" if kind in ("SEMI", "ANTI") else "a.k, a.g, count(*) AS n, max(e.v) AS top"
        sql = f"SELECT {select} FROM s a {kind} JOIN s e ON {on}{self.where({'int': 'a.v'})} GROUP BY a.k, a.g"
        if r.random() < 0.4:
            sql = f"SELECT a.v, a.g FROM s a {kind} JOIN s e ON {on}"
        return Query(sql, sql)

    def table_bag_grouped(self) -> Query:
        aggregates = self.aggregates({"int": "c.w", "right": "b.z", "text": "c.name"})
        sql = f"SELECT b.y, {aggregates} FROM t c JOIN b ON c.id = b.x GROUP BY b.y"
        return Query(sql, sql)

    def nested(self) -> Query:
        inner = f"SELECT k, count(*) AS n, max(v) AS top FROM s{self.where(self.STREAM)} GROUP BY k"
        sql = self.random.choice([
            f"SELECT n, {self.aggregates({'int': 'top', 'key': 'k'})} FROM ({inner}) q GROUP BY n",
            f"SELECT q.k, q.top, c.name FROM ({inner}) q JOIN t c ON q.k = c.id",
            f"SELECT k, top + n AS both FROM ({inner}) q WHERE n > 1",
            "SELECT sum(total) AS total, avg(total) AS mean FROM (SELECT k, sum(v) AS total FROM s GROUP BY k) q",
            "SELECT k, sum(m) AS total, avg(m) AS a FROM (SELECT k, g, min(d) AS m FROM s GROUP BY k, g) q GROUP BY k",
            "SELECT sum(w) AS total FROM (SELECT CAST(v AS DECIMAL(30,2)) AS w FROM s) q",
        ])  # fmt: skip
        return Query(sql, sql)


def _timestamp(seconds: int) -> Any:
    return datetime(2026, 1, 1) + timedelta(seconds=seconds)
