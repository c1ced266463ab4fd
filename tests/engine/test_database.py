"""The public interface: open, define, append from whatever a program has, ask, get values back."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import headwater
from headwater import Database, DataError, HeadwaterError, SqlError, StorageError, UnknownName, Unsupported, errors

ROWS = [(1, "a", 1.5), (2, None, None), (3, "ü", -2.0)]


class StreamOnly:
    """Any object that speaks the Arrow PyCapsule interface, as DataFrames of other libraries do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


COLUMNS = {"id": [1, 2, 3], "name": ["a", None, "ü"], "price": [1.5, None, -2.0]}
TABLE = pa.table(COLUMNS)
MAPPINGS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
NARROW = pa.schema([("id", pa.int8()), ("name", pa.large_string()), ("price", pa.float32())])

INPUTS: dict[str, Callable[[], Any]] = {
    "Arrow table": lambda: TABLE,
    "Arrow table in chunks": lambda: pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]),
    "Arrow batch": lambda: TABLE.to_batches()[0],
    "Arrow reader": lambda: TABLE.to_reader(),
    "Arrow stream": lambda: StreamOnly(TABLE),
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas, filtered": lambda: pd.DataFrame([{"id": 0}, *MAPPINGS]).query("id > 0"),
    "dict of lists": lambda: COLUMNS,
    "dict of arrays": lambda: {"id": np.array([1, 2, 3]), "name": TABLE["name"], "price": (1.5, None, -2.0)},
    "list of dicts": lambda: MAPPINGS,
    "list of dicts with gaps": lambda: [MAPPINGS[0], {"id": 2}, {"price": -2, "name": "ü", "id": 3}],
    "other order and case": lambda: TABLE.select(["price", "name", "id"]).rename_columns(["PRICE", "Name", "ID"]),
    "other widths": lambda: TABLE.cast(NARROW),
}


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("kind", ["STREAM", "TABLE"])
def test_rows_are_taken_in_every_usual_form(db: Database, given: str, kind: str) -> None:
    db.execute(f"CREATE {kind} items (id BIGINT, name VARCHAR, price DOUBLE)")
    acknowledged = db.append("items", INPUTS[given]())
    assert acknowledged.rows == 3
    assert db.sql("SELECT * FROM items ORDER BY id").fetchall() == ROWS


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"id": 1, "nam": "x"}], '"items" has no column "nam"\nhint: did you mean "name"?'),
        ([{"id": 1}, {"id": "x"}], "row 1: cannot read 'x' as BIGINT for column \"id\""),
        ([{"id": 2**63}], f'row 0: cannot read {2**63} as BIGINT for column "id"'),
        ({"id": [1, "x"]}, "row 1: cannot read 'x' as BIGINT for column \"id\""),
        ([{"id": 1}, 2], "row 1 is a int, neither a dict nor a tuple"),
        ({"id": [1, 2], "name": ["a"]}, 'cannot read the rows given for "items": '),
        ({"id": 1}, 'cannot read the rows given for "items": '),
        (pd.Series([1]), 'cannot read the rows given for "items": '),
        (pa.table({"id": ["x"]}), 'cannot read column "id" (string) as BIGINT: '),
        (pa.table([[1], [2]], names=["id", "ID"]), 'two columns given for "items" have one name'),
        ([{"name": "x"}], 'row 0: the PRIMARY KEY "id" of "items" cannot be NULL'),
        (
            "abc",
            'cannot append a str to "items"\nhint: give an Arrow table, a DataFrame, or dicts or tuples',
        ),
        (None, 'cannot append a NoneType to "items"'),
        ((row for row in [{"id": 1}, 2]), "row 1 is a int, neither a dict nor a tuple"),
        ([(1, "a"), (2,)], 'row 1 has 1 values, but "items" has 2 columns'),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "__next__") else str(value),
)
def test_rows_that_do_not_fit_are_refused_whole_and_change_nothing(db: Database, rows: Any, complaint: str) -> None:
    db.execute("CREATE TABLE items (id BIGINT PRIMARY KEY, name VARCHAR); INSERT INTO items VALUES (7, 'seven')")
    version = db.version
    with pytest.raises(DataError) as caught:
        db.append("items", rows)
    assert str(caught.value).startswith(complaint)
    assert db.version == version
    assert db.sql("SELECT * FROM items").fetchall() == [(7, "seven")]


@pytest.mark.parametrize(("type_", "value"), [("UUID", "xyz"), ("JSON", "{"), ("JSON", "a: 1")])
def test_text_that_no_query_could_read_later_is_refused(db: Database, type_: str, value: str) -> None:
    db.execute(f"CREATE STREAM s (v {type_})")
    for rows in ([{"v": None}, {"v": value}], {"v": [None, value]}, pa.table({"v": [None, value]})):
        with pytest.raises(DataError, match=f"row 1: cannot read '{value}' as {type_} for column \"v\""):
            db.append("s", rows)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [("soon", 'cannot read "at" as a time: '), (None, 'row 0: the event time "at" of "s" cannot be NULL')],
)
def test_a_row_without_an_event_time_is_refused(db: Database, value: str | None, complaint: str) -> None:
    db.execute("CREATE STREAM s (at VARCHAR) WITH (timestamp = 'at')")
    with pytest.raises(DataError, match=complaint):
        db.append("s", [{"at": value}])


ID = uuid.UUID("12345678-ABCD-0000-0000-000000000001")
VALUES: list[tuple[str, Any]] = [
    ("BOOLEAN", True),
    ("TINYINT", -128),
    ("UBIGINT", 2**64 - 1),
    ("HUGEINT", 2**100),
    ("HUGEINT", -(10**37)),
    ("FLOAT", 0.5),
    ("DOUBLE", 1e-300),
    ("DOUBLE", float("inf")),
    ("DECIMAL(9,2)", Decimal("-1.50")),
    ("DECIMAL(38,9)", Decimal("12345678901234567890.123456789")),
    ("VARCHAR", "a\0b'\"ü"),
    ("VARCHAR", ""),
    ("BLOB", b"\0\xff"),
    ("UUID", ID),
    ("JSON", '{"a": [1, null, "x"]}'),
    ("DATE", date(1, 1, 1)),
    ("TIME", time(23, 59, 59, 999999)),
    ("TIMESTAMP", datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("TIMESTAMPTZ", datetime(2026, 1, 1, tzinfo=UTC)),
    ("INTEGER[]", [1, None, 3]),
    ("INTEGER[]", []),
    ("VARCHAR[][]", [["a"], None, []]),
    ("INTEGER[2]", [1, 2]),
    ("STRUCT(a INTEGER, b STRUCT(c VARCHAR))", {"a": None, "b": {"c": "x"}}),
    ("MAP(VARCHAR, INTEGER)", [("a", 1), ("b", None)]),
]


@pytest.mark.parametrize(("type_", "value"), VALUES, ids=[f"{t} {v!r}" for t, v in VALUES])
def test_a_value_comes_back_as_it_was_given(db: Database, type_: str, value: Any) -> None:
    """From a list, from columns, through a stream, a bag, a continuous query that groups by it, and through Arrow."""
    db.execute(f"""
        CREATE STREAM s (v {type_});
        CREATE TABLE bag (v {type_});
        CREATE TABLE groups AS SELECT v, count(*) AS n FROM s GROUP BY v;
    """)
    db.append("s", [{"v": value}, {"v": None}])
    db.append("s", {"v": [value]})
    db.append("bag", [{"v": value}])
    db.append("s", db.sql("SELECT v FROM bag"))
    assert db.sql("SELECT v FROM s ORDER BY ROWOFFSET").fetchall() == [(value,), (None,), (value,), (value,)]
    assert db.sql("SELECT v FROM groups WHERE n = 3").fetchall() == [(value,)]
    assert db.sql("SELECT v FROM bag").fetchone() == (value,)


def test_equal_uuids_are_one_key_however_they_are_written(db: Database) -> None:
    db.execute("CREATE TABLE t (id UUID PRIMARY KEY, n INTEGER)")
    for n, text in enumerate([str(ID).upper(), str(ID), ID.hex]):
        db.append("t", [{"id": text, "n": n}])
    assert db.sql("SELECT * FROM t").fetchall() == [(ID, 2)]


def test_an_acknowledgement_tells_the_version_and_where_the_rows_are(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER)")
    assert db.append("s", {"v": [1, 2]}) == headwater.Acknowledgement(version=2, offsets={0: (0, 2)}, rows=2)
    assert db.append("s", {"v": [3]}) == headwater.Acknowledgement(version=3, offsets={0: (2, 3)}, rows=1)
    assert db.append("s", []).offsets == {}
    assert db.sql("SELECT v FROM s AS OF VERSION 2 WHERE ROWOFFSET >= 0 ORDER BY v").fetchall() == [(1,), (2,)]


def test_a_key_decides_the_partition_and_without_one_rows_take_turns(db: Database) -> None:
    db.execute("""
        CREATE STREAM keyed (k VARCHAR KEY, v INTEGER) WITH (partitions = 4);
        CREATE STREAM turns (v INTEGER) WITH (partitions = 2);
    """)
    for stream in ("keyed", "turns"):
        names = ["a", "b", "c", "d", None] * 3
        rows = [{"k": name, "v": n} if stream == "keyed" else {"v": n} for n, name in enumerate(names)]
        acknowledged = [db.append(stream, rows[:4]), db.append(stream, rows[4:])]
        ends = dict(db.sql(f"SELECT ROWPARTITION, max(ROWOFFSET) + 1 FROM {stream} GROUP BY 1").fetchall())
        for a in acknowledged:
            assert sum(end - first for first, end in a.offsets.values()) == a.rows
        assert {p: end for a in acknowledged for p, (_, end) in a.offsets.items()} == ends
    assert db.sql("SELECT k FROM keyed GROUP BY k HAVING count(DISTINCT ROWPARTITION) > 1").fetchall() == []
    assert db.sql("SELECT v, ROWPARTITION FROM turns WHERE v % 2 <> ROWPARTITION").fetchall() == []


def test_rows_of_one_append_become_one_version_however_many_partitions(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (partitions = 3)")
    version = db.version
    assert db.append("s", {"v": list(range(10))}).version == version + 1 == db.version


def test_a_query_sees_every_append_that_was_acknowledged_before_it(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT count(*) AS n FROM s")
    for n in range(1, 6):
        db.append("s", [{"v": n}])
        assert db.sql("SELECT n FROM t").fetchall() == [(n,)]


def test_the_forms_of_a_result(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    result = db.sql("SELECT 1 AS n, 'a' AS x UNION ALL SELECT 2, NULL ORDER BY n")
    assert result.names == ["n", "x"]
    assert [c.type for c in result.columns] == ["INTEGER", "VARCHAR"]
    assert len(result) == 2
    assert result.fetchall() == [(1, "a"), (2, None)]
    assert result.fetchone() == (1, "a")
    assert result.arrow().to_pylist() == [{"n": 1, "x": "a"}, {"n": 2, "x": None}]
    assert pa.table(result).equals(result.arrow())
    assert result.df()["n"].tolist() == [1, 2]
    assert repr(result) == "<Result: 2 rows × 2 columns>"
    result.show(limit=1)
    shown = capsys.readouterr().out
    assert "2 rows, the first 1 shown" in shown and "a" in shown and "NULL" not in shown


def test_a_statement_without_rows_says_what_it_did(db: Database) -> None:
    made = db.sql("CREATE STREAM s (v INTEGER)")
    assert (made.message, made.fetchall(), made.fetchone(), len(made)) == ("created stream s", [], None, 0)
    assert db.sql("INSERT INTO s VALUES (1), (2)").message == "inserted 2 rows"
    assert repr(db.sql("DROP STREAM s")) == "<Result: dropped s>"


def test_hugeints_become_floats_in_pandas_as_duckdb_has_it(db: Database) -> None:
    assert db.sql("SELECT 5::HUGEINT AS h").df()["h"].tolist() == [5.0]


def test_an_empty_result_has_its_columns(db: Database) -> None:
    result = db.sql("SELECT 1 AS a, 'x' AS b WHERE false")
    assert (result.names, result.fetchall(), result.fetchone()) == (["a", "b"], [], None)


def test_a_script_stops_at_the_first_error_and_keeps_what_was_done(db: Database) -> None:
    with pytest.raises(UnknownName) as caught:
        db.execute("CREATE STREAM a (v INTEGER);\nINSERT INTO b VALUES (1);\nCREATE STREAM c (v INTEGER)")
    assert (caught.value.line, caught.value.column) == (2, 13)
    assert [r.name for r in db.relations()] == ["a"]


def test_a_script_that_does_not_parse_does_nothing(db: Database) -> None:
    with pytest.raises(SqlError):
        db.execute("CREATE STREAM a (v INTEGER); SELEC 1")
    assert db.relations() == [] and db.version == 0


def test_the_results_of_a_script_come_one_by_one(db: Database) -> None:
    results = db.run("CREATE STREAM s (v INTEGER); INSERT INTO s VALUES (1); SELECT * FROM s")
    assert db.relations() == []
    first, second, third = results
    assert isinstance(first, headwater.Result) and first.message == "created stream s"
    assert isinstance(third, headwater.Result) and third.fetchall() == [(1,)]


def test_a_script_cannot_watch(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER)")
    with pytest.raises(Unsupported, match="a script cannot watch a query that does not end"):
        db.execute("SELECT * FROM s EMIT CHANGES")


def test_relations_are_told_in_the_order_of_their_making(db: Database) -> None:
    db.execute("CREATE STREAM Sales (v INTEGER); CREATE TABLE a AS SELECT v FROM sales; CREATE TABLE b (x INTEGER)")
    assert [(r.name, r.kind, [c.name for c in r.columns], r.query is not None) for r in db.relations()] == [
        ("Sales", "STREAM", ["v"], False),
        ("a", "TABLE", ["v"], True),
        ("b", "TABLE", ["x"], False),
    ]


def test_rows_cannot_be_appended_to_what_a_query_makes(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT v FROM s")
    with pytest.raises(SqlError, match='the rows of "t" come from its query'):
        db.append("t", [{"v": 1}])
    with pytest.raises(UnknownName, match='there is no stream or table "nope"'):
        db.append("nope", [{"v": 1}])


@pytest.mark.parametrize(
    "use",
    [
        lambda db: db.sql("SELECT 1"),
        lambda db: db.execute("SELECT 1"),
        lambda db: db.append("s", [{"v": 1}]),
        lambda db: db.subscribe("SELECT * FROM s"),
        lambda db: db.settle(),
    ],
    ids=["sql", "execute", "append", "subscribe", "settle"],
)
@pytest.mark.parametrize("background", [True, False])
def test_a_closed_database_says_so(use: Callable[[Database], Any], background: bool) -> None:
    with headwater.connect(background=background) as db:
        db.execute("CREATE STREAM s (v INTEGER)")
    db.close()  # once more does nothing
    with pytest.raises(StorageError, match="the database is closed"):
        use(db)


def test_an_error_inside_the_with_block_closes_the_database(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), headwater.connect(tmp_path / "x.hw") as db:
        db.execute("CREATE STREAM s (v INTEGER)")
        raise ZeroDivisionError
    with headwater.connect(tmp_path / "x.hw") as again:
        assert [r.name for r in again.relations()] == ["s"]


def test_a_path_may_be_text_or_a_path(tmp_path: Path) -> None:
    for path in (tmp_path / "a.hw", str(tmp_path / "b.hw")):
        with headwater.connect(path) as db:
            assert db.path == str(path)
    with headwater.connect() as db:
        assert db.path is None


def test_databases_in_memory_know_nothing_of_each_other() -> None:
    with headwater.connect() as one, headwater.connect() as two:
        one.execute("CREATE STREAM s (v INTEGER)")
        assert two.relations() == []


def test_every_error_is_public_and_of_one_family() -> None:
    public = {name: getattr(headwater, name) for name in headwater.__all__}
    classes = {name: e for name, e in public.items() if isinstance(e, type) and issubclass(e, Exception)}
    del classes["Warning"]  # which DB-API 2.0 asks for, and nothing raises
    assert all(issubclass(e, HeadwaterError) for e in classes.values())
    defined = {name for name, e in vars(errors).items() if isinstance(e, type) and issubclass(e, HeadwaterError)}
    assert classes.keys() == defined


def test_settle_brings_every_query_up_to_date(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT sum(v) AS n FROM s")
    version = db.append("s", [{"v": 1}]).version
    assert db.version == version
    db.settle()
    assert db.version == version + 1, "the step that read the rows is a commit as well"
    db.settle()
    assert db.version == version + 1, "and with nothing to do there is none"


def test_reading_changes_nothing(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT sum(v) AS n FROM s; INSERT INTO s VALUES (1)")
    db.settle()
    version = db.version
    for statement in ("SELECT * FROM t", "SHOW TABLES", "DESCRIBE t EXTENDED", "SELECT * FROM s AS OF OFFSET 1"):
        db.sql(statement)
    db.subscribe("SELECT * FROM t").poll(0)
    assert db.version == version


def test_a_query_sees_no_files_and_no_variables_of_the_program(db: Database, tmp_path: Path) -> None:
    secret = pa.table({"x": [1]})
    (tmp_path / "file.csv").write_text("x\n1\n")
    for source in ("secret", f"'{tmp_path}/file.csv'", f"read_csv('{tmp_path}/file.csv')"):
        with pytest.raises(HeadwaterError):
            db.sql(f"SELECT * FROM {source}")
    assert secret.num_rows == 1


def test_a_program_may_end_with_the_database_open() -> None:
    program = """
import headwater
db = headwater.connect()
db.execute("CREATE STREAM s (k BIGINT); CREATE TABLE t AS SELECT k + 1 AS k1 FROM s; INSERT INTO s VALUES (1)")
print(db.sql("SELECT * FROM t").fetchall())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[(2,)]\n", "")


def test_an_append_of_no_rows_commits_nothing(db: Database) -> None:
    db.execute("CREATE STREAM s (k BIGINT)")
    assert db.append("s", []) == headwater.Acknowledgement(db.version, {}, 0)
    assert db.version == 1


def test_two_values_for_one_column_are_refused(db: Database) -> None:
    db.execute("CREATE STREAM s (k BIGINT)")
    with pytest.raises(DataError, match='row 0: two values for one column of "s"'):
        db.append("s", [{"k": 1, "K": 2}])


def test_columns_keep_the_spelling_of_their_definition_and_null_has_a_type(db: Database) -> None:
    db.execute("CREATE STREAM s (Amount BIGINT); CREATE TABLE t AS SELECT amount, NULL AS nothing FROM s")
    assert [(c.name, c.type) for c in db.relations()[1].columns] == [("Amount", "BIGINT"), ("nothing", "INTEGER")]
    assert db.sql("SELECT amount FROM s").names == ["Amount"]


@pytest.mark.parametrize(
    ("kind", "time", "message"),
    [
        ("BIGINT", 2**62, 'cannot read "at" as a time: overflow'),
        ("BIGINT", 2**53, 'row 0: the event time of "s" is infinite or too far from now'),
        ("TIMESTAMP", np.datetime64(2**63 - 1, "us"), 'row 0: the event time of "s" is infinite or too far from now'),
        ("VARCHAR", "infinity", 'row 0: the event time of "s" is infinite or too far from now'),
        ("VARCHAR", "soon", 'cannot read "at" as a time: '),
    ],
)
def test_an_event_time_that_no_window_can_hold_is_refused(db: Database, kind: str, time: Any, message: str) -> None:
    db.execute(f"CREATE STREAM s (at {kind}) WITH (timestamp = 'at')")
    with pytest.raises(DataError, match=message):
        db.append("s", [{"at": time}])
    assert db.version == 1
