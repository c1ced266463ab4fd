"""COPY: what goes into a file comes out of it, all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import headwater
from headwater.errors import SqlError, UnknownName

TYPES = {
    "i": "INTEGER", "h": "HUGEINT", "d": "DECIMAL(20,4)", "f": "DOUBLE", "s": "VARCHAR", "b": "BLOB", "u": "UUID",
    "v": "INTERVAL", "t": "TIMESTAMP", "z": "TIMESTAMPTZ", "da": "DATE", "ti": "TIME", "bo": "BOOLEAN",
    "l": "INTEGER[]", "st": "STRUCT(a INTEGER, b VARCHAR)", "m": "MAP(VARCHAR, INTEGER)", "j": "JSON",
}  # fmt: skip
ROWS = r"""
    (1, 170141183460469231731687303715884105727, 1234567890123456.7891, 'NaN', 'a,"b"
c', '\xAA\x00b', '123e4567-e89b-12d3-a456-426614174000', INTERVAL '1 month 2 days 3 seconds',
     '2024-01-02 03:04:05.123456', '2024-01-02 03:04:05.123456+02', '2024-01-01', '12:13:14.5', true, [1, NULL, 3],
     {'a': 1, 'b': 'x, ''y'''}, MAP {'k, 1': 1, 'z': NULL}, '{"q":[1,2]}'),
    (NULL, NULL, NULL, 'inf', '', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, [], {'a': NULL, 'b': NULL},
     MAP {}, NULL),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, -5, -0.0001, 1e308, 'NULL', 'x', NULL, NULL, '0001-01-01', NULL, '9999-12-31', '00:00:00', false, [2],
     {'a': 2, 'b': ''}, MAP {'': 5}, '"x"')
"""


def rows(db: headwater.Database, name: str) -> list[str]:
    return sorted(map(repr, db.sql(f"SELECT * FROM {name}").fetchall()))  # NaN equals NaN as a text


@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "ndjson", "arrow", "parquet"])
def test_every_type_comes_back_as_it_went(db: headwater.Database, tmp_path: Path, ending: str) -> None:
    left_out = {"v"} if ending == "parquet" else set()
    whole, some = (", ".join(f"{n} {t}" for n, t in TYPES.items() if n not in out) for out in (set(), left_out))
    db.execute(f"CREATE TABLE whole ({whole}); INSERT INTO whole VALUES {ROWS};")
    db.execute(f"CREATE TABLE t ({some}); CREATE TABLE back ({some});")
    db.execute(f"INSERT INTO t SELECT {', '.join(n for n in TYPES if n not in left_out)} FROM whole;")
    db.sql(f"COPY t TO '{tmp_path}/rows.{ending}'")
    assert db.sql(f"COPY back FROM '{tmp_path}/rows.{ending}'").message == "copied 4 rows"
    assert rows(db, "back") == rows(db, "t")


def test_a_type_that_parquet_lacks_is_named(db: headwater.Database, tmp_path: Path) -> None:
    with pytest.raises(SqlError, match='Parquet has no type for "v", which is INTERVAL'):
        db.sql(f"COPY (SELECT INTERVAL 1 DAY AS v) TO '{tmp_path}/x.parquet'")
    assert list(tmp_path.iterdir()) == []


def test_columns_are_found_by_name_and_those_a_file_lacks_are_null(db: headwater.Database, tmp_path: Path) -> None:
    db.sql("CREATE STREAM s (a INTEGER, b VARCHAR, c DOUBLE)")
    (tmp_path / "x.csv").write_text("B,a\nx,1\n")
    (tmp_path / "x.ndjson").write_text('{"a": 2}\n{"c": 1.5, "B": "y"}\n')
    db.sql(f"COPY s FROM '{tmp_path}/x.csv'")
    db.sql(f"COPY s FROM '{tmp_path}/x.ndjson'")
    assert db.sql("SELECT * FROM s").fetchall() == [(1, "x", None), (2, None, None), (None, "y", 1.5)]


def test_without_a_header_columns_go_by_their_places(db: headwater.Database, tmp_path: Path) -> None:
    db.sql("CREATE STREAM s (a INTEGER, b VARCHAR)")
    (tmp_path / "x.txt").write_text("x;1\n-;2")
    db.sql(f"COPY s (b, a) FROM '{tmp_path}/x.txt' (FORMAT csv, HEADER false, DELIMITER ';', NULL '-')")
    assert db.sql("SELECT * FROM s").fetchall() == [(1, "x"), (2, None)]


def test_a_pattern_copies_all_its_files_in_one_commit(db: headwater.Database, tmp_path: Path) -> None:
    db.sql("CREATE STREAM s (a INTEGER)")
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(f"a\n{i}\n")
    before = db.version
    assert db.sql(f"COPY s FROM '{tmp_path}/*.csv'").message == "copied 3 rows from 3 files"
    assert db.version == before + 1
    assert db.sql("SELECT * FROM s").fetchall() == [(0,), (1,), (2,)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "a,b\n1,2\nx,3\n", '''row 2: cannot read 'x' as INTEGER for column "a"'''),
        ("x.csv", "a,b\n1,2\n2,0.5\n", """row 2: cannot read '0.5' as INTEGER for column "b\""""),
        ("x.csv", "a,b\n1,2\n1\n", "row 2: 1 fields, and there should be 2"),
        ("x.csv", "a,b\n,2\n", 'row 1: "a" cannot be NULL'),
        ("x.csv", "a,bb\n1,2\n", 'has "bb", and "s" has no such column'),
        ("x.ndjson", '{"a": 1}\n{"a": [1]}\n', '''row 2: cannot read '[1]' as INTEGER for column "a"'''),
        ("x.ndjson", '{"a": 1}\n{"a": \n', "row 2: this is not a JSON object"),
        ("x.json", '[{"a": 1}, {"a": "x"}]', '''row 2: cannot read 'x' as INTEGER'''),
        ("x.json", '[{"a": 1}, {"a"', "this is not a JSON array"),
        ("x.parquet", "a,b", "Parquet"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_named_and_nothing_is_copied(
    db: headwater.Database, tmp_path: Path, name: str, text: str, message: str
) -> None:
    db.sql("CREATE STREAM s (a INTEGER NOT NULL, b INTEGER)")
    (tmp_path / name).write_text(text)
    before = db.version
    with pytest.raises(SqlError) as caught:
        db.sql(f"COPY s FROM '{tmp_path / name}'")
    assert message in str(caught.value)
    assert name in caught.value.message
    assert db.version == before


@pytest.mark.parametrize(
    ("statement", "message", "hint"),
    [
        ("COPY s FROM 'x.csv' (HEADR true)", 'COPY has no option "headr"', 'did you mean "HEADER"?'),
        ("COPY s FROM 'x.dat'", "does not tell the format", "write FORMAT: csv"),
        ("COPY s FROM 'x' (FORMAT jsn)", 'there is no format "jsn"', "json"),
        ("COPY s FROM 'x.json' (HEADER true)", "HEADER is about CSV", "leave it out"),
        ("COPY s FROM '/nowhere/x.csv'", "there is no file", "a pattern may have"),
        ("COPY d FROM 'x.csv'", 'the rows of "d" come from its query', "change the streams"),
        ("COPY (SELECT 1 AS a, 2 AS a) TO 'x.csv'", "two columns have one name", "AS name"),
    ],
)
def test_what_cannot_be_copied_is_said(db: headwater.Database, statement: str, message: str, hint: str) -> None:
    db.execute("CREATE STREAM s (a INTEGER); CREATE STREAM d AS SELECT a FROM s;")
    error = UnknownName if "there is no format" in message or "has no option" in message else SqlError
    with pytest.raises(error) as caught:
        db.sql(statement)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_query_of_the_past_goes_into_a_file(db: headwater.Database, tmp_path: Path) -> None:
    db.execute("CREATE STREAM s (a INTEGER); INSERT INTO s VALUES (1), (2);")
    then = db.version
    db.sql("INSERT INTO s VALUES (3)")
    db.sql(f"COPY (SELECT sum(a) AS total FROM s AS OF VERSION {then}) TO '{tmp_path}/x.csv'")
    assert (tmp_path / "x.csv").read_text() == "total\n3\n"


def test_a_copy_that_fails_leaves_the_file_that_was_there(db: headwater.Database, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("before")
    with pytest.raises(SqlError, match="lose digits"):
        db.sql(f"COPY (SELECT [1.0::DECIMAL(38, 2)] AS d) TO '{tmp_path}/x.json'")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert (tmp_path / "x.json").read_text() == "before"


def test_a_table_with_a_key_takes_the_last_row_of_each(db: headwater.Database, tmp_path: Path) -> None:
    db.sql("CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR)")
    (tmp_path / "x.csv").write_text("k,v\n1,a\n2,b\n1,c\n")
    db.sql(f"COPY t FROM '{tmp_path}/x.csv'")
    assert rows(db, "t") == ["(1, 'c')", "(2, 'b')"]
