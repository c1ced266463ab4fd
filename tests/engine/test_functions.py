"""Scalar functions in Python: CREATE FUNCTION, create_function, and all places where one can be called."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import headwater
from headwater import Database, NameTaken, QueryFailed, SqlError, StorageError, UnknownName
from headwater.storage import SimulatedDisk

HALF = "CREATE FUNCTION half (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ return x / 2 $$"


@pytest.fixture
def db() -> Iterator[Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("""
            CREATE STREAM s (k INTEGER, x DOUBLE, t VARCHAR);
            INSERT INTO s VALUES (1, 2, 'a'), (2, 0, 'b'), (3, NULL, NULL), (4, 8, 'c');
        """)
        yield opened


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    """The answer in order, NULL last."""
    return sorted(db.sql(sql).fetchall(), key=lambda row: [(value is None, value) for value in row])


# ---------------------------------------------------------------- calling


def test_a_function_is_called_in_a_snapshot_query(db: Database) -> None:
    db.sql(HALF)
    assert rows(db, "SELECT k, half(x) FROM s WHERE half(k) < 2") == [(1, 1.0), (2, 0.0), (3, None)]


@pytest.mark.parametrize(
    ("own", "sql"),
    [
        ("SELECT k, half(x) AS h FROM s", "SELECT k, x / 2 AS h FROM s"),
        ("SELECT k FROM s WHERE half(x) > 0.5", "SELECT k FROM s WHERE x / 2 > 0.5"),
        ("SELECT half(k) AS h, count(*) AS n FROM s GROUP BY half(k)", "SELECT k / 2 AS h, 1 AS n FROM s"),
        ("SELECT max(half(x)) AS m FROM s", "SELECT max(x / 2) AS m FROM s"),
        ("SELECT k FROM s GROUP BY k HAVING half(sum(x)) >= 1", "SELECT k FROM s WHERE x >= 2"),
        ("SELECT a.k FROM s a JOIN s b ON half(a.x) = half(b.x)", "SELECT k FROM s WHERE x IS NOT NULL"),
        ("SELECT k, rank() OVER (ORDER BY half(x)) AS r FROM s", "SELECT k, rank() OVER (ORDER BY x) AS r FROM s"),
        ("SELECT k, CASE WHEN x <> 0 THEN half(half(x)) END AS h FROM s", "SELECT k, nullif(x, 0) / 4 AS h FROM s"),
    ],
)
def test_a_continuous_query_calls_it_wherever_an_expression_stands(db: Database, own: str, sql: str) -> None:
    db.sql(HALF)
    db.sql(f"CREATE TABLE before AS {own}")
    db.sql("INSERT INTO s VALUES (5, 4, 'd')")
    assert rows(db, "SELECT * FROM before") == rows(db, sql)


def test_a_function_gets_no_null_unless_it_asks_for_it(db: Database) -> None:
    db.execute("""
        CREATE FUNCTION plain (x DOUBLE) RETURNS VARCHAR LANGUAGE python AS 'return str(x)';
        CREATE FUNCTION told (x DOUBLE) RETURNS VARCHAR LANGUAGE python CALLED ON NULL INPUT AS 'return str(x)';
    """)
    assert rows(db, "SELECT plain(x), told(x) FROM s WHERE k > 2") == [("8.0", "8.0"), (None, "None")]


def test_a_function_without_parameters_is_a_constant(db: Database) -> None:
    db.sql("CREATE FUNCTION seven () RETURNS INTEGER LANGUAGE python AS $$ return 7 $$")
    db.sql("CREATE TABLE t AS SELECT k + seven() AS k FROM s WHERE seven() > 6")
    assert rows(db, "SELECT * FROM t") == [(8,), (9,), (10,), (11,)]
    db.sql("INSERT INTO s VALUES (seven(), 1, 'x')")
    assert rows(db, "SELECT k FROM s WHERE k = seven()") == [(7,)]


def test_a_body_may_define_what_has_its_name(db: Database) -> None:
    db.sql("""
        CREATE FUNCTION Area (width DOUBLE, height DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$
        import math

        def helper(x):
            return math.fabs(x)

        def area(a, b):
            return helper(a) * helper(b)
        $$
    """)
    assert rows(db, "SELECT AREA(-2, 3)") == [(6.0,)]


def test_named_types_can_be_parameters(db: Database) -> None:
    db.execute("""
        CREATE TYPE money AS DECIMAL(10, 2);
        CREATE FUNCTION cents (m money) RETURNS money LANGUAGE python AS $$ return m * 100 $$;
    """)
    assert str(db.sql("SELECT cents(1.25) AS c").arrow().schema.field(0).type) == "decimal128(10, 2)"


VALUES = [
    ("BOOLEAN", "true"), ("TINYINT", "-7"), ("BIGINT", "9007199254740993"), ("HUGEINT", "12345678901234567890123"),
    ("FLOAT", "1.5"), ("DOUBLE", "'nan'::DOUBLE"), ("DECIMAL(20,3)", "12345678901.125"), ("VARCHAR", "'grün'"),
    ("BLOB", "'\\xFF'::BLOB"), ("DATE", "DATE '2024-02-29'"), ("TIME", "TIME '10:11:12.5'"),
    ("TIMESTAMP", "TIMESTAMP '2024-02-29 10:11:12.123456'"), ("TIMESTAMPTZ", "TIMESTAMPTZ '2024-02-29 10:11:12+02'"),
    ("INTERVAL", "INTERVAL 3 DAYS"), ("UUID", "UUID '6ba7b810-9dad-11d1-80b4-00c04fd430c8'"),
    ("JSON", "'[1, 2]'::JSON"), ("BIGINT[]", "[1, NULL, 3]"),
    ("STRUCT(a INTEGER, b VARCHAR[])", "{'a': 1, 'b': ['x']}"),
    ("MAP(VARCHAR, INTEGER)", "MAP {'a': 1, 'b': 2}"), ("VARCHAR[2]", "['a', 'b']::VARCHAR[2]"),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "value"), VALUES)
@pytest.mark.parametrize("how", ["", "WITH (vectorized = true)"])
def test_a_value_of_every_type_comes_back_as_it_was(type_name: str, value: str, how: str) -> None:
    with headwater.connect(background=False) as db:
        db.execute(f"""
            CREATE FUNCTION same (x {type_name}) RETURNS {type_name} LANGUAGE python {how} AS $$ return x $$;
            CREATE TABLE v (id INTEGER PRIMARY KEY, x {type_name});
            INSERT INTO v VALUES (1, {value}), (2, NULL);
            CREATE TABLE kept AS SELECT id, same(x) AS x FROM v;
        """)
        assert db.sql("DESCRIBE kept").fetchall()[1][1] == db.sql("DESCRIBE v").fetchall()[1][1]
        assert repr(rows(db, "SELECT * FROM kept")) == repr(rows(db, "SELECT * FROM v"))
        assert repr(rows(db, "SELECT id, same(x) FROM v")) == repr(rows(db, "SELECT * FROM v"))


# ---------------------------------------------------------------- vectorized


def test_a_vectorized_function_gets_arrays_and_returns_one(db: Database) -> None:
    seen: list[tuple[type, int]] = []

    @db.create_function("up", parameters=["VARCHAR"], returns="VARCHAR", vectorized=True)
    def up(texts: pa.Array) -> pa.Array:
        seen.append((type(texts), texts.null_count))
        return pc.utf8_upper(texts)

    assert rows(db, "SELECT k, up(t) FROM s") == [(1, "A"), (2, "B"), (3, None), (4, "C")]
    assert seen == [(pa.StringArray, 0)]


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        (pa.array([1, 2, 3]), r"f\(\) returned 3 values for 1 row"),
        (7, r"f\(\) returned a int, not an Arrow array"),
        (pa.array(["x"]), r"f\(\) returned string, and not BIGINT"),
    ],
)
def test_a_vectorized_function_that_returns_something_else_is_told(db: Database, returned: Any, complaint: str) -> None:
    db.create_function("f", lambda x: returned, parameters=["INTEGER"], returns="BIGINT", vectorized=True)
    with pytest.raises(SqlError, match=complaint):
        db.sql("SELECT f(k) FROM s")
    db.sql("CREATE TABLE t AS SELECT f(k) AS f FROM s")
    assert rows(db, "SELECT * FROM t") == []
    described = {name: value for name, value, _ in db.sql("DESCRIBE t EXTENDED").fetchall()}
    assert described["· rows that failed"] == "4"


# ---------------------------------------------------------------- exceptions


@pytest.mark.parametrize("how", ["", "WITH (vectorized = true)"])
def test_a_row_on_which_a_function_raises_is_left_out_and_counted(db: Database, how: str) -> None:
    check = "if x == 0:" if not how else "if 0.0 in x.to_pylist():"
    db.execute(f"""
        CREATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python {how} AS $$
          {check}
              raise ValueError('zero is not wanted')
          return x
        $$;
        CREATE TABLE t AS SELECT k, f(x) AS x FROM s;
        INSERT INTO s VALUES (5, 0, 'no'), (6, 1, 'yes');
    """)
    assert rows(db, "SELECT * FROM t") == [(1, 2.0), (3, None), (4, 8.0), (6, 1.0)]
    described = {name: value for name, value, _ in db.sql("DESCRIBE t EXTENDED").fetchall()}
    assert described["· rows that failed"] == "2"
    assert described["· last failure"] == "f(): ValueError: zero is not wanted"


def test_an_exception_in_a_snapshot_query_is_its_error(db: Database) -> None:
    db.sql("CREATE FUNCTION inverse (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ return 1 / x $$")
    with pytest.raises(SqlError) as raised:
        db.sql("SELECT k, inverse(x) FROM s")
    assert raised.value.message == "inverse(): ZeroDivisionError: float division by zero"
    assert (raised.value.line, raised.value.column) == (1, 11)


@pytest.mark.parametrize(
    ("returns", "value", "shown"),
    [("BIGINT", "'x'", "'x'"), ("BIGINT", "1.5", "1.5"), ("VARCHAR", "1", "1"), ("DECIMAL(4,1)", "0.5", "0.5")],
)
def test_a_value_of_another_type_is_an_error(db: Database, returns: str, value: str, shown: str) -> None:
    db.sql(f"CREATE FUNCTION f (x DOUBLE) RETURNS {returns} LANGUAGE python AS $$ return {value} $$")
    with pytest.raises(SqlError) as raised:
        db.sql("SELECT f(x) FROM s")
    assert raised.value.message == f"f() returned {shown}, which is no {returns}"


def test_statements_that_change_rows_call_functions(db: Database) -> None:
    db.execute(f"""
        {HALF}; CREATE TABLE t (k INTEGER, x DOUBLE); INSERT INTO t SELECT k, half(x) FROM s;
        UPDATE t SET x = half(x) WHERE half(k) >= 2; DELETE FROM t WHERE half(k) = 1; INSERT INTO t VALUES (9, half(9));
    """)
    assert rows(db, "SELECT * FROM t") == [(1, 1.0), (3, None), (4, 2.0), (9, 4.5)]
    with pytest.raises(SqlError, match="cannot read half"):
        db.sql("INSERT INTO t VALUES (1, half('x'))")
    db.sql("CREATE FUNCTION inverse (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS 'return 1 / x'")
    with pytest.raises(SqlError, match=r"inverse\(\): ZeroDivisionError: float division by zero \(line 1, column 26\)"):
        db.sql("INSERT INTO t VALUES (1, inverse(0))")


def test_a_query_that_is_watched_calls_functions(db: Database) -> None:
    db.sql(HALF)
    with db.subscribe("SELECT k, half(x) AS h FROM s WHERE half(k) > 1") as watched:
        batch = watched.poll(0)
        assert batch is not None and [change.row for change in batch] == [(3, None), (4, 4.0)]
        db.sql("INSERT INTO s VALUES (7, 7, 'z')")
        batch = watched.poll(0)
        assert batch is not None and [change.row for change in batch] == [(7, 3.5)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT stop(x) FROM s", "SELECT try(stop(x)) FROM s", "CREATE TABLE t AS SELECT stop(x) AS x FROM s",
        "INSERT INTO s (x) VALUES (stop(1))",
    ],
)  # fmt: skip
def test_an_interrupt_in_a_function_ends_the_statement(db: Database, sql: str) -> None:
    def stop(x: float) -> float:
        signal.raise_signal(signal.SIGINT)
        return x

    db.create_function("stop", stop, parameters=["DOUBLE"], returns="DOUBLE")
    with pytest.raises(KeyboardInterrupt):
        db.sql(sql)
    assert [r.name for r in db.relations()] == ["s"]
    assert rows(db, "SELECT count(*) FROM s") == [(4,)]
    db.create_function("go_on", lambda x: x, parameters=["DOUBLE"], returns="DOUBLE")
    assert rows(db, "SELECT go_on(x) FROM s WHERE k = 1") == [(2.0,)]


def test_a_body_that_cannot_be_run_is_an_error_at_its_line(db: Database) -> None:
    with pytest.raises(SqlError) as raised:
        db.sql("""
            CREATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$
              import math
              import no_such_module
              def f(x):
                  return math.floor(x)
            $$
        """)
    assert raised.value.message == (
        "the body of f() cannot be run: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert (raised.value.line, raised.value.column) == (4, 15)
    assert db.sql("SHOW FUNCTIONS").fetchall() == []


# ---------------------------------------------------------------- the catalog


def test_functions_are_shown_and_described(db: Database) -> None:
    db.sql(HALF)
    db.create_function("plus", lambda a, b: a + b, parameters={"a": "BIGINT", "b": "BIGINT"}, returns="BIGINT")
    db.sql("CREATE TABLE t AS SELECT half(x) AS h FROM s")
    assert db.sql("SHOW FUNCTIONS").fetchall() == [
        ("half", "x DOUBLE", "DOUBLE", "scalar", "SQL"),
        ("plus", "a BIGINT, b BIGINT", "BIGINT", "scalar", "the program"),
    ]
    described = dict(db.sql("DESCRIBE FUNCTION half").fetchall())
    assert described["called by"] == "t"
    assert described["definition"] == (
        "CREATE FUNCTION half (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS ' return x / 2 '"
    )
    plan = "\n".join(line for (line,) in db.sql("EXPLAIN SELECT half(x) FROM s EMIT CHANGES").fetchall())
    assert 'half("x") AS half(x)' in plan


def test_a_function_that_is_called_is_not_dropped(db: Database) -> None:
    db.execute(f"{HALF}; CREATE VIEW v AS SELECT half(x) AS h FROM s; CREATE TABLE t AS SELECT max(h) AS m FROM v")
    with pytest.raises(NameTaken, match=r"half\(\) is called by v, t"):
        db.sql("DROP FUNCTION half")
    assert db.sql("DROP FUNCTION half CASCADE").message == "dropped t, v, half"
    with pytest.raises(UnknownName, match=r"there is no function half\(\)"):
        db.sql("SELECT half(x) FROM s")
    assert db.sql("DROP FUNCTION IF EXISTS half").message == "there is no half"


def test_replacing_a_function_makes_its_queries_anew(db: Database) -> None:
    db.execute(f"{HALF}; CREATE TABLE t AS SELECT k, half(x) AS h FROM s; CREATE TABLE u AS SELECT sum(h) AS h FROM t")
    version = db.version
    replaced = db.sql(HALF.replace("CREATE", "CREATE OR REPLACE").replace("/ 2", "/ 4"))
    assert replaced.message == "replaced function half, and t, u with it"
    assert db.version == version + 1
    assert rows(db, "SELECT * FROM u") == [(2.5,)]
    with pytest.raises(NameTaken, match=r"half\(\) cannot be replaced by this: the table u could not go on"):
        db.sql("CREATE OR REPLACE FUNCTION half (x DOUBLE) RETURNS VARCHAR LANGUAGE python AS 'return str(x)'")
    with pytest.raises(NameTaken, match='the function "half" exists already'):
        db.sql(HALF)
    assert db.sql(HALF.replace("FUNCTION", "FUNCTION IF NOT EXISTS")).message == "half exists already"
    assert rows(db, "SELECT * FROM u") == [(2.5,)]


def test_a_function_is_not_replaced_when_a_view_could_not_be_asked_any_more(db: Database) -> None:
    db.execute(f"{HALF}; CREATE VIEW v AS SELECT half(x) + 1 AS h FROM s")
    with pytest.raises(NameTaken, match='"half" cannot be replaced by this: the view v could not go on'):
        db.sql("CREATE OR REPLACE FUNCTION half (x DOUBLE) RETURNS VARCHAR[] LANGUAGE python AS 'return [x]'")
    assert rows(db, "SELECT max(h) FROM v") == [(5.0,)]


def test_who_watches_a_query_with_a_function_that_is_dropped_is_told(db: Database) -> None:
    db.sql(HALF)
    with db.subscribe("SELECT half(x) FROM s") as watched:
        watched.skip()
        db.execute("DROP FUNCTION half; INSERT INTO s VALUES (9, 9, 'z')")
        with pytest.raises(QueryFailed, match="dropped or replaced"):
            watched.poll(0)


def test_functions_survive_restarts_checkpoints_and_the_past() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute(f"""
            CREATE STREAM s (k INTEGER, x DOUBLE); {HALF};
            CREATE TABLE t AS SELECT k, sum(half(x)) AS h FROM s GROUP BY k;
            INSERT INTO s VALUES (1, 2), (1, 4); INSERT INTO s VALUES (2, 8); CHECKPOINT; INSERT INTO s VALUES (1, 1);
        """)
    with Database(disk, "db", None, background=False) as db:
        assert rows(db, "SELECT * FROM t") == [(1, 3.5), (2, 4.0)]
        assert rows(db, "SELECT * FROM t AS OF OFFSET 1") == [(1, 1.0)]
        assert rows(db, "SELECT half(h) FROM t AS OF OFFSET 2") == [(1.5,)]
        db.sql("INSERT INTO s VALUES (2, 2)")
        assert rows(db, "SELECT * FROM t") == [(1, 3.5), (2, 5.0)]
        assert rows(db, "SELECT name FROM t, (SELECT 'x' AS name) WHERE k = 1") == [("x",)]


# ---------------------------------------------------------------- functions that the program gives


def test_a_function_that_a_program_gave_must_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with headwater.connect(path, background=False) as db:
        db.create_function("plus", lambda a, b: a + b, parameters=["BIGINT", "BIGINT"], returns="BIGINT")
        db.execute(
            "CREATE STREAM s (k BIGINT); INSERT INTO s VALUES (1); CREATE TABLE t AS SELECT plus(k, 1) AS k FROM s"
        )
        version = db.version
    with pytest.raises(
        StorageError, match=r"t cannot be computed: the program has not given plus\(a BIGINT, b BIGINT\)"
    ):
        headwater.connect(path)
    with headwater.connect(path, background=False, functions={"plus": lambda a, b: a + b}) as db:
        assert db.version == version
        db.sql("INSERT INTO s VALUES (5)")
        assert rows(db, "SELECT * FROM t") == [(2,), (6,)]


def test_a_function_that_no_query_calls_can_be_given_later(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with headwater.connect(path, background=False) as db:
        db.create_function("plus", lambda a: a + 1, parameters={"a": "BIGINT"}, returns="BIGINT")
        db.sql("CREATE VIEW v AS SELECT plus(1) AS x")
        version = db.version
    with headwater.connect(path, background=False) as db:
        with pytest.raises(SqlError, match=r"the program has not given plus\(a BIGINT\) \(line 1, column 8\)"):
            db.sql("SELECT plus(1)")
        with pytest.raises(SqlError, match='in view "v": the program has not given plus'):
            db.sql("SELECT * FROM v")
        db.create_function("plus", lambda a: a + 1, parameters={"a": "BIGINT"}, returns="BIGINT")
        assert rows(db, "SELECT x, plus(2) FROM v") == [(2, 3)]
        assert db.version == version
        with pytest.raises(NameTaken, match="has been given before"):
            db.create_function("plus", lambda a: a + 2, parameters={"a": "BIGINT"}, returns="BIGINT")
        with pytest.raises(NameTaken, match='the function "plus" exists already'):
            db.create_function("plus", lambda a: a, parameters={"a": "VARCHAR"}, returns="VARCHAR")
        db.create_function("plus", lambda a: a + 2, parameters={"a": "BIGINT"}, returns="BIGINT", or_replace=True)
        assert rows(db, "SELECT x, plus(2) FROM v") == [(3, 4)]


def test_sql_can_name_a_function_that_the_program_gives() -> None:
    with headwater.connect(background=False, functions={"f": abs}) as db:
        db.sql("CREATE FUNCTION f (x BIGINT) RETURNS BIGINT LANGUAGE python")
        assert rows(db, "SELECT f(-3)") == [(3,)]
        with pytest.raises(SqlError, match="the program has not given g"):
            db.sql("CREATE FUNCTION g (x BIGINT) RETURNS BIGINT LANGUAGE python")
    with pytest.raises(SqlError, match="cannot be called"):
        headwater.connect(functions={"f": 7})


def test_two_databases_of_one_process_do_not_see_each_others_functions(db: Database) -> None:
    with headwater.connect(background=False) as other:
        for one, factor in ((db, 2), (other, 3)):
            one.create_function("times", lambda x, f=factor: x * f, parameters={"x": "BIGINT"}, returns="BIGINT")
        other.sql(HALF)
        assert [rows(one, "SELECT times(5)") for one in (db, other)] == [[(10,)], [(15,)]]
        with pytest.raises(UnknownName):
            db.sql("SELECT half(1)")
    assert rows(db, "SELECT times(5)") == [(10,)]


def test_functions_are_called_from_many_threads(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db") as db:
        db.execute(f"{HALF}; CREATE STREAM s (x DOUBLE); CREATE TABLE t AS SELECT sum(half(x)) AS h FROM s")
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for i in range(10):
                    db.sql("INSERT INTO s VALUES (2)")
                    name = f"f{number}_{i}"
                    db.create_function(name, lambda x: x + 1, parameters=["BIGINT"], returns="BIGINT")
                    assert db.sql(f"SELECT {name}(1), max(half(x)) FROM s").fetchall() == [(2, 1.0)]
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert rows(db, "SELECT * FROM t") == [(40.0,)]


def test_a_reader_beside_a_writer_takes_up_its_functions(tmp_path: Path) -> None:
    path = tmp_path / "db"
    with headwater.connect(path, background=False) as db:
        db.execute(f"CREATE STREAM s (x DOUBLE); {HALF}; CREATE TABLE t AS SELECT half(x) AS h FROM s")
        with headwater.connect(path, read_only=True) as reader:
            db.execute("INSERT INTO s VALUES (4)")
            db.sql(HALF.replace("half", "third").replace("/ 2", "/ 3"))
            db.execute("CREATE TABLE u AS SELECT third(x) AS h FROM s")
            assert rows(reader, "SELECT t.h, u.h, third(3) FROM t, u") == [(2.0, 4 / 3, 1.0)]


SPIN = """
import headwater
with headwater.connect(background=False) as db:
    db.execute('''
        CREATE STREAM s (x DOUBLE); INSERT INTO s VALUES (1);
        CREATE FUNCTION spin (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$
          print("spinning", flush=True)
          while True:
              pass
          return x
        $$
    ''')
    try:
        db.sql({sql!r})
    except KeyboardInterrupt:
        print(db.sql("SELECT count(*) FROM s").fetchall(), [r.name for r in db.relations()])
"""


@pytest.mark.parametrize("sql", ["SELECT spin(x) FROM s", "CREATE TABLE t AS SELECT spin(x) AS y FROM s"])
def test_ctrl_c_ends_a_function_that_does_not_end(sql: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SPIN.format(sql=sql)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spinning\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (output, errors, process.returncode) == ("[(1,)] ['s']\n", "", 0)
