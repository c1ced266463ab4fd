"""Streams that follow files: each whole line once, whatever becomes of the file and of the process."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import headwater
from headwater.errors import HeadwaterError, SqlError


class Files:
    """A directory with files, and a database that follows them; it reads when `read` asks."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.db = headwater.connect(directory / "db.hw", background=False)

    def write(self, name: str, text: str, mode: str = "a") -> None:
        with (self.directory / name).open(mode) as file:
            file.write(text)

    def create(self, pattern: str, columns: str = "(a INTEGER)", more: str = "") -> None:
        path = self.directory / pattern
        self.db.sql(f"CREATE STREAM s {columns} WITH (connector = 'file', path = '{path}', follow = true{more})")

    def read(self) -> list[object]:
        self.db.settle()
        return [row[0] for row in self.db.sql("SELECT * FROM s").fetchall()]

    def errors(self) -> list[tuple[object, ...]]:
        return self.db.sql('SELECT cause, "offset", row FROM s_errors').fetchall()

    def restart(self) -> None:
        self.db.close()
        self.db = headwater.connect(self.directory / "db.hw", background=False)


@pytest.fixture
def files(tmp_path: Path):  # type: ignore[no-untyped-def]
    files = Files(tmp_path)
    yield files
    files.db.close()


def test_what_is_there_is_read_when_the_stream_is_made(files: Files) -> None:
    files.write("x.jsonl", '{"a": 1}\n{"a": 2}\n')
    files.create("*.jsonl")
    assert files.db.sql("SELECT a FROM s").fetchall() == [(1,), (2,)]


def test_a_line_is_read_when_it_is_whole(files: Files) -> None:
    files.create("x.jsonl")
    files.write("x.jsonl", '{"a": 1}\n{"a"')
    assert files.read() == [1]
    files.write("x.jsonl", ": 2}")
    assert files.read() == [1]
    files.write("x.jsonl", "\n")
    assert files.read() == [1, 2]


def test_new_files_that_match_are_read_and_others_are_not(files: Files) -> None:
    files.create("*.jsonl")
    files.write("x.jsonl", '{"a": 1}\n')
    assert files.read() == [1]
    files.write("y.jsonl", '{"a": 2}\n')
    files.write("y.txt", '{"a": 3}\n')
    assert files.read() == [1, 2]


def test_nothing_is_read_twice_after_a_restart(files: Files) -> None:
    files.create("*.jsonl")
    files.write("x.jsonl", '{"a": 1}\n')
    assert files.read() == [1]
    files.restart()
    files.write("x.jsonl", '{"a": 2}\n')
    assert files.read() == [1, 2]


def test_rows_and_how_far_they_go_are_one_commit(files: Files) -> None:
    files.create("x.jsonl")
    files.write("x.jsonl", '{"a": 1}\n{"a": 2}\nnot JSON\n')
    before = files.db.version
    assert files.read() == [1, 2]
    assert files.db.version == before + 1


def test_a_file_that_is_renamed_goes_on_under_its_new_name(files: Files) -> None:
    files.create("x.log*")
    files.write("x.log", '{"a": 1}\n')
    assert files.read() == [1]
    os.rename(files.directory / "x.log", files.directory / "x.log.1")
    files.write("x.log.1", '{"a": 2}\n')
    files.write("x.log", '{"a": 3}\n')
    assert sorted(files.read(), key=str) == [1, 2, 3]


@pytest.mark.parametrize("new", ['{"a": 9}\n', '{"a": 8}\n{"a": 9}\n{"a": 10}\n'], ids=["shorter", "longer"])
def test_a_file_that_is_written_anew_is_read_from_its_beginning(files: Files, new: str) -> None:
    files.create("x.log")
    files.write("x.log", '{"a": 1}\n{"a": 2}\n')
    assert files.read() == [1, 2]
    files.write("x.log", new, "w")
    assert files.read() == [1, 2, *([9] if len(new) < 12 else [8, 9, 10])]


def test_a_file_that_takes_the_place_of_another_is_a_new_one(files: Files) -> None:
    files.create("x.log")
    files.write("x.log", '{"a": 1}\n')
    assert files.read() == [1]
    files.write("new", '{"a": 1}\n{"a": 2}\n')
    os.replace(files.directory / "new", files.directory / "x.log")
    assert files.read() == [1, 1, 2]


def test_lines_that_cannot_be_read_are_in_the_error_stream(files: Files) -> None:
    files.create("x.jsonl", "(a INTEGER NOT NULL)")
    files.write("x.jsonl", '{"a": 1}\n{"a": "x"}\nnope\n{}\n{"a": 2, "b": 3}\n')
    assert files.read() == [1, 2]
    assert files.errors() == [
        ("""cannot read 'x' as INTEGER for column "a\"""", 9, '{"a": "x"}'),
        ("this is not a JSON object", 20, "nope"),
        ('row 0: the NOT NULL column "a" of "s" cannot be NULL', 0, '{"a": null}'),
    ]
    assert ("· rows that failed", "3", None) in files.db.sql("DESCRIBE s EXTENDED").fetchall()


def test_csv_has_a_header_in_each_file_and_line_ends_in_quotes(files: Files) -> None:
    files.create("*.csv", "(a INTEGER, b VARCHAR)")
    files.write("x.csv", 'b,a\n"one\n')
    assert files.read() == []
    files.write("x.csv", 'two",1\n')
    files.write("y.csv", "a,b,c\n2,,x\n3\n")
    assert files.read() == [1, 2]
    assert files.db.sql("SELECT * FROM s").fetchall() == [(1, "one\ntwo"), (2, None)]
    assert files.errors() == [("1 fields, and there should be 3", 11, "3")]


def test_parquet_is_read_as_a_whole_and_once(files: Files) -> None:
    files.create("*.parquet")
    pyarrow.parquet.write_table(pa.table({"a": [1, 2]}), files.directory / "x.parquet")
    files.write("y.parquet", "not there yet")
    assert files.read() == [1, 2]
    files.restart()
    pyarrow.parquet.write_table(pa.table({"a": [3]}), files.directory / "y.parquet")
    assert files.read() == [1, 2, 3]


def test_a_file_that_cannot_be_read_is_shown_and_the_others_go_on(files: Files) -> None:
    files.create("*.csv")
    files.write("x.csv", "z\n1\n")
    files.write("y.csv", "a\n2\n")
    assert files.read() == [2]
    facts = {name: value for name, value, _ in files.db.sql("DESCRIBE s EXTENDED").fetchall()}
    assert facts[f"· trouble with {files.directory / 'x.csv'}"] == "its header has no column of s: z"


def test_without_follow_the_files_are_read_once(files: Files) -> None:
    files.write("x.jsonl", '{"a": 1}\n{"a": 2}')
    path = files.directory / "*.jsonl"
    files.db.sql(f"CREATE STREAM s (a INTEGER) WITH (connector = 'file', path = '{path}')")
    assert files.read() == [1, 2]
    files.write("x.jsonl", '\n{"a": 3}\n')
    files.write("y.jsonl", '{"a": 4}\n')
    assert files.read() == [1, 2]


def test_columns_that_are_left_out_are_those_of_the_file(files: Files) -> None:
    files.write("x.csv", "id,price,at\n1,2.5,2024-01-02 03:04:05\n")
    files.create("*.csv", "")
    files.restart()
    described = files.db.sql("DESCRIBE s").fetchall()
    assert [row[:2] for row in described] == [("id", "BIGINT"), ("price", "DOUBLE"), ("at", "TIMESTAMP")]


def test_a_query_over_the_stream_counts_each_line_once(files: Files) -> None:
    files.create("*.jsonl")
    files.db.sql("CREATE TABLE n AS SELECT a % 2 AS odd, count(*) AS n FROM s GROUP BY a % 2")
    for i in range(10):
        files.write(f"{i % 3}.jsonl", f'{{"a": {i}}}\n')
        files.read()
    assert sorted(files.db.sql("SELECT * FROM n").fetchall()) == [(0, 5), (1, 5)]


def test_the_thread_of_the_database_reads_what_comes(files: Files) -> None:
    files.db.close()
    with headwater.connect(files.directory / "db.hw") as files.db:
        files.create("x.jsonl", more=", poll = '10 milliseconds'")
        with files.db.subscribe("SELECT a FROM s") as changes:
            files.write("x.jsonl", '{"a": 7}\n')
            assert next(iter(changes)).row == (7,)


def test_rows_come_from_the_files_alone_until_the_stream_is_dropped(files: Files) -> None:
    files.create("x.jsonl")
    with pytest.raises(SqlError, match='the rows of "s" come from files'):
        files.db.sql("INSERT INTO s VALUES (1)")
    files.db.sql("DROP STREAM s")
    files.write("x.jsonl", '{"a": 1}\n')
    version = files.db.version
    files.db.settle()
    assert files.db.version == version
    assert files.db.sql("SHOW GROUPS").fetchall() == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE STREAM s (a INTEGER) WITH (connector = 'fil', path = 'x.csv')", 'there is no connector "fil"'),
        ("CREATE STREAM s (a INTEGER) WITH (connector = 'file')", "needs to know what files"),
        ("CREATE STREAM s (a INTEGER) WITH (path = 'x.csv')", "path is about files"),
        ("CREATE TABLE s (a INTEGER) WITH (connector = 'file', path = 'x.csv')", "the rows of files are a stream"),
        ("CREATE STREAM s WITH (connector = 'file', path = '/nowhere/*.csv')", "to tell the columns"),
        ("CREATE STREAM s (a INTEGER) WITH (connector = 'file', path = 'x.csv', poll = 'x')", "a length of time"),
        ("CREATE STREAM s (a INTEGER) WITH (connector = 'file', path = 'x.csv', folow = true)", 'no property "folow"'),
    ],
)
def test_what_cannot_be_followed_is_said(db: headwater.Database, statement: str, message: str) -> None:
    with pytest.raises(HeadwaterError, match=message):
        db.sql(statement)
