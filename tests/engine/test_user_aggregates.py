"""Aggregates in Python: those that are computed again from a group's rows, and those that can take rows back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import headwater
from headwater import Database, SqlError, TypeProblem
from headwater.engine.database import Database as Engine
from headwater.storage import SimulatedDisk

TOTAL = """
    CREATE AGGREGATE FUNCTION total (x BIGINT) RETURNS BIGINT LANGUAGE python AS $$
    class total:
        def __init__(self):
            self.sum, self.count = 0, 0

        def accumulate(self, x):
            self.sum, self.count = self.sum + sum(x.to_pylist()), self.count + len(x)

        def retract(self, x):
            self.sum, self.count = self.sum - sum(x.to_pylist()), self.count - len(x)

        def finish(self):
            return self.sum if self.count else None
    $$
"""
WEIGHTED = """
    CREATE AGGREGATE FUNCTION weighted (x BIGINT, w BIGINT) RETURNS DOUBLE LANGUAGE python AS $$
      import pyarrow.compute as pc
      return pc.sum(pc.multiply(x, w)).as_py() / pc.sum(w).as_py() if len(x) else None
    $$
"""


@pytest.fixture
def db() -> Iterator[Database]:
    with headwater.connect(background=False) as opened:
        opened.execute(f"""
            CREATE TABLE t (id INTEGER PRIMARY KEY, g VARCHAR, x BIGINT, w BIGINT);
            INSERT INTO t VALUES (1, 'a', 1, 1), (2, 'a', 4, 2), (3, 'b', NULL, 1), (4, NULL, 7, NULL), (5, 'a', 4, 1);
            {TOTAL}; {WEIGHTED};
        """)
        yield opened


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return sorted(db.sql(sql).fetchall(), key=lambda row: [(value is None, value) for value in row])


@pytest.mark.parametrize(
    ("own", "sql"),
    [
        (
            "g, total(x) AS s, weighted(x, w) AS m FROM t GROUP BY g",
            "g, sum(x) AS s, sum(x * w) / sum(w) FILTER (WHERE x IS NOT NULL) AS m FROM t GROUP BY g",
        ),
        ("total(x), weighted(x, w) FROM t", "sum(x), sum(x * w) / sum(w) FILTER (WHERE x IS NOT NULL) FROM t"),
        ("g, total(DISTINCT x) FROM t GROUP BY g", "g, sum(DISTINCT x) FROM t GROUP BY g"),
        (
            "g, total(x) FILTER (WHERE w = 1) AS s FROM t GROUP BY g",
            "g, sum(x) FILTER (WHERE w = 1) AS s FROM t GROUP BY g",
        ),
        ("g, total(x + w) AS s FROM t GROUP BY ROLLUP (g)", "g, sum(x + w) AS s FROM t GROUP BY ROLLUP (g)"),
        ("g FROM t GROUP BY g HAVING total(x) > 8", "g FROM t GROUP BY g HAVING sum(x) > 8"),
        ("id, total(x) OVER (PARTITION BY g) AS s FROM t", "id, sum(x) OVER (PARTITION BY g) AS s FROM t"),
    ],
)  # fmt: skip
def test_an_aggregate_equals_the_one_in_sql(db: Database, own: str, sql: str) -> None:
    db.sql(f"CREATE TABLE kept AS SELECT {own}")
    for change in (
        "SELECT 1", "INSERT INTO t VALUES (6, 'b', 5, 5), (7, 'c', 1, 1)", "UPDATE t SET x = 10 WHERE id IN (1, 3)",
        "DELETE FROM t WHERE g = 'a' AND x = 4", "DELETE FROM t",
    ):  # fmt: skip
        db.sql(change)
        expected = rows(db, f"SELECT {sql}")
        assert rows(db, "SELECT * FROM kept") == expected, change
        assert rows(db, f"SELECT {own}") == expected, change


def test_windows_take_aggregates_in_python(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (x BIGINT, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE TABLE sums AS
          SELECT total(x) AS s, count(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY 1 + 1;
        INSERT INTO s VALUES (1, '2024-01-01 00:00:01'), (2, '2024-01-01 00:00:09'), (5, '2024-01-01 00:00:11');
    """)
    assert rows(db, "SELECT s, n FROM sums") == [(3, 2), (5, 1)]


def test_the_state_of_an_incremental_aggregate_is_kept_and_not_its_rows(db: Database) -> None:
    db.sql("CREATE TABLE folded AS SELECT g, total(x) AS s FROM t GROUP BY g")
    db.sql("CREATE TABLE again AS SELECT g, weighted(x, w) AS s FROM t GROUP BY g")
    kinds = {name: kind for name, _, _, kind, _ in db.sql("SHOW FUNCTIONS").fetchall()}
    assert kinds == {"total": "aggregate, incremental", "weighted": "aggregate"}
    plans = ["\n".join(line for (line,) in db.sql(f"EXPLAIN {name}").fetchall()) for name in ("folded", "again")]
    assert "[one row per group, and the state of total(); O(1) per row]" in plans[0]
    assert "[the rows of each group; O(rows of its group) per step]" in plans[1]


def test_only_the_groups_that_a_step_touches_are_computed() -> None:
    calls: list[int] = []

    class Total:
        def __init__(self) -> None:
            self.sum = 0

        def accumulate(self, x: pa.Array) -> None:
            calls.append(len(x))
            self.sum += pc.sum(x).as_py()

        def retract(self, x: pa.Array) -> None:
            calls.append(-len(x))
            self.sum -= pc.sum(x).as_py()

        def finish(self) -> int:
            return self.sum

    def largest(x: pa.Array) -> int | None:
        calls.append(len(x))
        return pc.max(x).as_py()  # type: ignore[no-any-return]

    with headwater.connect(background=False) as db:
        db.create_aggregate("total", Total, parameters=["BIGINT"], returns="BIGINT")
        db.create_aggregate("largest", largest, parameters=["BIGINT"], returns="BIGINT")
        db.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, g INTEGER, x BIGINT)")
        db.append("t", {"id": range(100), "g": [i // 10 for i in range(100)], "x": range(100)})
        for function, touched in (("total", [-1, 1, 1]), ("largest", [10])):
            db.sql(f"CREATE TABLE by_{function} AS SELECT g, {function}(x) AS x FROM t GROUP BY g")
            db.settle()
            calls.clear()
            db.sql("UPDATE t SET x = x + 1 WHERE id = 57")
            db.settle()
            assert sorted(calls) == touched, function  # a row that goes is first given to a fresh object
            db.sql(f"DROP TABLE by_{function}")


def test_states_come_back_from_an_image() -> None:
    disk = SimulatedDisk()
    with Engine(disk, "db", None, background=False) as db:
        db.execute(f"""
            {TOTAL}; {WEIGHTED}; CREATE TABLE t (id INTEGER PRIMARY KEY, g VARCHAR, x BIGINT, w BIGINT);
            CREATE TABLE kept AS
              SELECT g, total(x) AS s, total(DISTINCT x) AS d, weighted(x, w) AS m FROM t GROUP BY g;
            INSERT INTO t VALUES (1, 'a', 1, 1), (2, 'a', 4, 2), (3, 'b', 2, 1); DELETE FROM t WHERE id = 3;
            CHECKPOINT; INSERT INTO t VALUES (4, 'a', 4, 1);
        """)
    for _ in range(2):
        with Engine(disk, "db", None, background=False) as db:
            expected = rows(db, "SELECT g, sum(x), sum(DISTINCT x), sum(x * w) / sum(w) FROM t GROUP BY g")
            assert rows(db, "SELECT * FROM kept") == expected
            db.execute("UPDATE t SET x = x + 1; CHECKPOINT; DELETE FROM t WHERE id = 1")


def test_the_order_of_the_values_is_theirs_or_the_one_that_is_asked_for(db: Database) -> None:
    db.create_aggregate("texts", lambda s: "".join(s.to_pylist()), parameters=["VARCHAR"], returns="VARCHAR")
    db.execute("CREATE STREAM s (n INTEGER, s VARCHAR); INSERT INTO s VALUES (2, 'c'), (3, 'a'), (1, NULL)")
    own = "texts(s) AS own, texts(s ORDER BY n) AS asked FROM s"
    db.sql(f"CREATE TABLE kept AS SELECT {own}")
    db.sql("INSERT INTO s VALUES (1, 'b')")
    assert rows(db, f"SELECT {own}") == rows(db, "SELECT * FROM kept") == [("abc", "bca")]


def test_no_rows_are_a_group_without_groups(db: Database) -> None:
    def count(x: pa.Array) -> int:
        return len(x)

    db.create_aggregate("plain", count, parameters=["BIGINT"], returns="BIGINT")
    db.create_aggregate("all_of", count, parameters=["BIGINT"], returns="BIGINT", called_on_null=True)
    db.sql("CREATE TABLE kept AS SELECT plain(x) AS p, all_of(x) AS a, total(x) AS t FROM t")
    assert rows(db, "SELECT * FROM kept") == [(4, 5, 16)]
    db.sql("DELETE FROM t")
    assert rows(db, "SELECT * FROM kept") == rows(db, "SELECT plain(x), all_of(x), total(x) FROM t") == [(0, 0, None)]


def test_a_subquery_of_no_rows_has_the_value_of_no_rows(db: Database) -> None:
    db.execute("""
        CREATE FUNCTION or_zero (x HUGEINT) RETURNS HUGEINT LANGUAGE python CALLED ON NULL INPUT AS 'return x or 0';
        CREATE AGGREGATE FUNCTION number_of (x BIGINT) RETURNS BIGINT LANGUAGE python AS 'return len(x)';
    """)
    for value in ("number_of(x)", "or_zero(sum(x))", "total(x)", "number_of(x) + count(*)"):
        own = f"SELECT id, (SELECT {value} FROM t b WHERE b.w = a.id) AS v FROM t a"
        db.sql(f"CREATE OR REPLACE TABLE kept AS {own}")
        assert rows(db, "SELECT * FROM kept") == rows(db, own), value


def test_a_row_or_a_group_on_which_an_aggregate_raises_is_left_out(db: Database) -> None:
    class Careful:
        def __init__(self) -> None:
            self.sum = 0

        def accumulate(self, x: pa.Array) -> None:
            if 7 in x.to_pylist():
                raise ValueError("seven")
            self.sum += pc.sum(x).as_py()

        def retract(self, x: pa.Array) -> None:
            self.sum -= pc.sum(x).as_py()

        def finish(self) -> int:
            return self.sum

    db.create_aggregate("careful", Careful, parameters=["BIGINT"], returns="BIGINT")
    db.create_aggregate("picky", lambda x: 7 // (7 not in x.to_pylist()), parameters=["BIGINT"], returns="BIGINT")
    db.sql("CREATE TABLE kept AS SELECT g, careful(x) AS c, picky(x) AS p FROM t GROUP BY g")
    assert rows(db, "SELECT * FROM kept") == [("a", 9, 7), ("b", 0, 7), (None, 0, None)]
    db.sql("INSERT INTO t VALUES (6, 'a', 7, 0), (7, NULL, 8, 0)")
    assert rows(db, "SELECT * FROM kept") == [("a", 9, None), ("b", 0, 7), (None, 8, None)]
    db.sql("DELETE FROM t WHERE x = 7")
    assert rows(db, "SELECT * FROM kept") == [("a", 9, 7), ("b", 0, 7), (None, 8, 7)]
    described = {name: value for name, value, _ in db.sql("DESCRIBE kept EXTENDED").fetchall()}
    assert described["· rows that failed"] == "5"  # two rows, and a group, then two
    assert described["· last failure"] == "careful(): ValueError: seven"
    with pytest.raises(SqlError, match=r"careful\(\): ValueError: seven"):
        db.sql("SELECT careful(x + 3) FROM t")


def test_a_group_whose_value_cannot_be_computed_is_null_until_it_can(db: Database) -> None:
    made = TOTAL.replace("total", "inverse")
    db.sql(made.replace("return self.sum if self.count else None", "return 12 // self.sum"))
    db.sql("CREATE TABLE kept AS SELECT g, inverse(x) AS i FROM t GROUP BY g")
    assert rows(db, "SELECT * FROM kept") == [("a", 1), ("b", None), (None, 1)]
    db.sql("UPDATE t SET x = 3 WHERE g = 'b'")
    assert rows(db, "SELECT * FROM kept") == [("a", 1), ("b", 4), (None, 1)]


def test_what_cannot_be_stored_is_told(db: Database) -> None:
    class Odd:
        def __init__(self) -> None:
            self.made = lambda: 1

        def accumulate(self, x: pa.Array) -> None: ...

        def retract(self, x: pa.Array) -> None: ...

        def finish(self) -> int:
            return 1

    db.create_aggregate("odd", Odd, parameters=["BIGINT"], returns="BIGINT")
    db.sql("CREATE TABLE kept AS SELECT g, odd(x) AS o FROM t GROUP BY g")
    assert rows(db, "SELECT * FROM kept") == [("a", None), ("b", None), (None, None)]


def test_an_aggregate_stands_where_aggregates_do(db: Database) -> None:
    for sql in ("SELECT g FROM t WHERE total(x) > 1", "SELECT count(*) AS n FROM t GROUP BY total(x)"):
        with pytest.raises(TypeProblem, match="aggregate"):
            db.sql(f"CREATE TABLE kept AS {sql}")
    with pytest.raises(TypeProblem, match=r"total\(\) does not take"):
        db.sql("CREATE TABLE kept AS SELECT total(g) AS s FROM t")
