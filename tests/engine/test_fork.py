"""A fork is a database that begins as another was; DIFF says what has become of the two since."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater
from headwater.engine.database import Database
from headwater.engine.forking import fork_log
from headwater.errors import HeadwaterError, OutOfRange, PositionGone, SqlError, StorageError, TypeProblem, UnknownName
from headwater.storage import Log, SimulatedDisk
from headwater.storage.check import Check

HOUR_US = 3_600_000_000


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database "shop.hw" in the working directory, at version 7."""
    monkeypatch.chdir(tmp_path)
    with headwater.connect("shop.hw", background=False) as database:
        database.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE)")
        database.execute("CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR)")
        database.execute("CREATE TABLE hot AS SELECT auction, count(*) AS n FROM bids GROUP BY auction")
        database.execute("INSERT INTO bids VALUES (1, 10.5), (2, NULL)")
        database.execute("INSERT INTO people VALUES (1, 'Ada'), (2, 'Bo')")
        database.settle()
        database.execute("INSERT INTO bids VALUES (1, 3)")
        yield database


def opened(path: str) -> Database:
    return headwater.connect(path, background=False)


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return db.sql(sql).fetchall()


def error_of(db: Database, sql: str) -> HeadwaterError:
    with pytest.raises(HeadwaterError) as caught:
        db.sql(sql)
    return caught.value


# ---------------------------------------------------------------- FORK


def test_a_fork_goes_on_with_all_queries_and_neither_changes_the_other(db: Database) -> None:
    assert db.sql("FORK DATABASE TO 'what.hw'").message == 'forked version 7 to "what.hw"'
    with opened("what.hw") as fork:
        assert rows(fork, "SELECT * FROM hot ORDER BY ALL") == [(1, 2), (2, 1)]
        fork.execute("INSERT INTO bids VALUES (3, 1); DELETE FROM people")
        db.execute("INSERT INTO bids VALUES (4, 1)")
        assert rows(fork, "SELECT * FROM hot ORDER BY ALL") == [(1, 2), (2, 1), (3, 1)]
        assert rows(db, "SELECT * FROM hot ORDER BY ALL") == [(1, 2), (2, 1), (4, 1)]
        assert rows(db, "SELECT count(*) FROM people") == [(2,)]
        assert rows(fork, "SELECT * FROM hot AS OF VERSION 5 ORDER BY ALL") == [(1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("point", "hot"),
    [
        ("AS OF VERSION 3", []),
        ("AS OF VERSION 4", [(1, 1), (2, 1)]),
        ("AS OF OFFSET (bids => 2)", [(1, 1), (2, 1)]),
        ("AS OF OFFSET 3", [(1, 2), (2, 1)]),
        ("AS OF '0 seconds ago'", [(1, 2), (2, 1)]),
        ("AS OF TIMESTAMP '2001-01-01 00:00:00'", None),
    ],
)
def test_a_fork_can_be_as_of_any_point_between_commits(db: Database, point: str, hot: list[object] | None) -> None:
    db.sql(f"FORK DATABASE TO 'then.hw' {point}")
    with opened("then.hw") as fork:
        if hot is None:
            assert fork.relations() == []
        else:
            assert rows(fork, "SELECT * FROM hot ORDER BY ALL") == hot


def test_python_forks_too(db: Database) -> None:
    assert db.fork(Path("a.hw")) == 7
    assert db.fork("b.hw", version=4) == 4
    with opened("b.hw") as fork:
        assert rows(fork, "SELECT count(*) FROM bids") == [(2,)]
    with pytest.raises(StorageError, match="there is no version 99: the latest is 7"):
        db.fork("c.hw", version=99)


def test_a_database_that_is_read_only_can_be_forked(db: Database) -> None:
    with headwater.connect("shop.hw", read_only=True) as reader:
        reader.sql("FORK DATABASE TO 'what.hw'")
    with opened("what.hw") as fork:
        assert rows(fork, "SELECT count(*) FROM bids") == [(3,)]


def test_a_fork_that_cannot_be_made_is_one_clear_error(db: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = {
        "FORK DATABASE TO 'shop.hw'": "is inside the database",
        "FORK DATABASE TO 'file'": "is a file: give the name of a directory that does not exist",
        "FORK DATABASE TO 'no/such'": "there is no directory",
        "FORK DATABASE TO 'x' AS OF VERSION 99": "version 99 is not there yet: the latest is 7",
        "FORK DATABASE TO 'x' AS OF OFFSET 9": 'offset 9 is beyond the end of "bids", which has 3 records',
        "FORK DATABASE TO 'x' AS OF TIMESTAMP '2222-01-01'": "has not come yet",
    }
    for statement, message in expected.items():
        error = error_of(db, statement)
        assert message in error.message and ("^" in str(error) or isinstance(error, StorageError))
    assert not (tmp_path / "x").exists()


def test_a_point_inside_a_commit_is_refused_with_those_around_it(db: Database) -> None:
    error = error_of(db, "FORK DATABASE TO 'x' AS OF OFFSET 1")
    assert isinstance(error, OutOfRange) and "inside one" in error.message
    assert error.hint == "AS OF VERSION 3 is before it, AS OF VERSION 4 after it"


def test_a_database_in_memory_cannot_be_forked() -> None:
    with headwater.connect(background=False) as db, pytest.raises(StorageError, match="in memory has no files"):
        db.sql("FORK DATABASE TO 'x'")


def test_a_dropped_table_is_there_in_a_fork_of_before(db: Database) -> None:
    db.execute("DROP TABLE hot; INSERT INTO bids VALUES (1, 1)")
    db.fork("before.hw", 7)
    with opened("before.hw") as fork:
        assert rows(fork, "SELECT * FROM hot ORDER BY ALL") == [(1, 2), (2, 1)]


def test_a_database_can_be_forked_while_rows_come(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "busy.hw") as db:
        db.execute("CREATE STREAM s (v BIGINT); CREATE TABLE total AS SELECT sum(v) AS v, count(*) AS n FROM s")
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                db.append("s", {"v": list(range(3000))})

        thread = threading.Thread(target=write)
        thread.start()
        made = [db.fork(tmp_path / f"{number}.hw") for number in range(5)]
        stop.set()
        thread.join()
        for number, version in enumerate(made):
            expected = rows(db, f"SELECT count(*), sum(v) FROM s AS OF VERSION {version}")
            with opened(str(tmp_path / f"{number}.hw")) as fork:
                assert rows(fork, "SELECT count(*), sum(v) FROM s") == expected
                assert rows(fork, "SELECT n, v FROM total WHERE n > 0") == [row for row in expected if row[0]]


def test_a_fork_of_the_past_has_what_as_of_gives_however_much_retention_has_taken() -> None:
    """Retention takes what is behind the older of two images; of what is left there is a fork at each version."""
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    db = Database(disk, "shop.hw", None, background=False)
    db.execute("CREATE STREAM s (k INTEGER, v INTEGER) WITH (retention = '3 hours')")
    db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER) WITH (retention = '3 hours')")
    db.execute("CREATE TABLE sums AS SELECT s.k, sum(s.v) AS v, count(*) AS n FROM s GROUP BY s.k")
    queries = ("SELECT * FROM sums", "SELECT * FROM t")
    answers = {}
    for hour in range(12):
        db.append("s", [{"k": hour % 3, "v": hour}])
        db.append("t", [{"k": hour % 2, "v": hour}])
        db.settle()
        answers[db.version] = [rows(db, f"{query} ORDER BY ALL") for query in queries]
        if hour in (3, 7, 9):
            db.sql("CHECKPOINT")
        disk.clock_us += HOUR_US
    earliest = db.log.images()[0].note["frontier"]
    assert 20 < earliest < db.version - 5
    for version in range(4, db.version + 1):
        path = f"{version}.hw"
        if version < earliest:
            for query, answer in zip(queries, answers.get(version, ()), strict=False):  # a changelog may reach further
                asked = f"{query} AS OF VERSION {version} ORDER BY ALL"
                assert is_gone(db, asked) or rows(db, asked) == answer
            with pytest.raises(PositionGone, match=f"version {version} is no more"):
                fork_log(db.log, "shop.hw", path, version)
            assert not disk.exists(path)
            continue
        fork_log(db.log, "shop.hw", path, version)
        assert not any(finding.is_damage for finding in Check(disk, path).findings())
        fork = Database(disk, path, None, background=False)
        expected = [rows(db, f"{query} AS OF VERSION {version} ORDER BY ALL") for query in queries]
        assert [rows(fork, f"{query} ORDER BY ALL") for query in queries] == expected
        fork.append("s", [{"k": 0, "v": 1}])
        fork.sql("CHECKPOINT")
        fork.close()
    db.close()


def is_gone(db: Database, query: str) -> bool:
    try:
        db.sql(query)
    except OutOfRange:
        return True
    return False


# ---------------------------------------------------------------- DIFF


@pytest.fixture
def two(db: Database) -> Database:
    """A database of which "what.hw" is a fork, and both were changed since."""
    db.sql("FORK DATABASE TO 'what.hw'")
    with opened("what.hw") as fork:
        fork.execute("INSERT INTO bids VALUES (1, 7), (5, 5); UPDATE people SET name = 'Bob' WHERE id = 2")
    db.execute("INSERT INTO bids VALUES (3, 7)")
    return db


def test_rows_that_differ_are_told_with_the_side_that_has_them_those_of_a_key_together(two: Database) -> None:
    answer = two.sql("DIFF TABLE people WITH 'what.hw'")
    assert answer.names == ["_in", "id", "name"]
    assert answer.fetchall() == [("here", 2, "Bo"), ("there", 2, "Bob")]


def test_tables_of_queries_are_compared_as_they_are_now_on_both_sides(two: Database) -> None:
    assert rows(two, "DIFF TABLE hot WITH 'what.hw'") == [
        ("here", 1, 2), ("there", 1, 3), ("here", 3, 1), ("there", 5, 1),
    ]  # fmt: skip


def test_records_of_streams_are_compared_place_by_place(two: Database) -> None:
    answer = two.sql("DIFF STREAM bids WITH 'what.hw'")
    assert answer.names == ["_in", "ROWPARTITION", "ROWOFFSET", "auction", "price"]
    assert answer.fetchall() == [("here", 0, 3, 3, 7.0), ("there", 0, 3, 1, 7.0), ("there", 0, 4, 5, 5.0)]


def test_the_common_beginning_of_streams_is_not_read(two: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    scan = Log.scan

    def watched(log: Log, stream: int, after: int = 0, *arguments: object) -> object:
        read.append(after)
        return scan(log, stream, after, *arguments)  # type: ignore[arg-type]

    two.settle()
    monkeypatch.setattr(Log, "scan", watched)
    two.sql("DIFF STREAM bids WITH 'what.hw'")
    assert read[-2:] == [7, 7]


def test_what_is_the_same_has_no_difference(db: Database) -> None:
    db.sql("FORK DATABASE TO 'what.hw'")
    for relation in ("STREAM bids", "TABLE people", "TABLE hot"):
        assert rows(db, f"DIFF {relation} WITH 'what.hw'") == []
        assert rows(db, f"DIFF {relation} WITH 'shop.hw'") == []


def test_rows_without_a_key_count_as_often_as_they_come(db: Database) -> None:
    db.execute("CREATE TABLE bag AS SELECT n FROM hot")
    db.sql("FORK DATABASE TO 'what.hw'")
    db.execute("INSERT INTO bids VALUES (8, 1), (9, 1)")
    assert rows(db, "DIFF TABLE bag WITH 'what.hw'") == [("here", 1), ("here", 1)]


def test_a_column_that_one_side_lacks_is_null_there(two: Database) -> None:
    with opened("what.hw") as fork:
        fork.execute("ALTER TABLE people ADD COLUMN town VARCHAR; INSERT INTO people VALUES (3, 'Cy', 'Ulm')")
    assert rows(two, "DIFF TABLE people WITH 'what.hw'") == [
        ("here", 2, "Bo", None), ("there", 2, "Bob", None), ("there", 3, "Cy", "Ulm"),
    ]  # fmt: skip


def test_a_database_that_is_open_elsewhere_and_one_that_is_read_only_can_be_compared(two: Database) -> None:
    with opened("what.hw") as fork, headwater.connect("shop.hw", read_only=True) as reader:
        fork.execute("INSERT INTO people VALUES (4, 'Di')")
        two.execute("INSERT INTO people VALUES (5, 'Ed')")
        assert rows(reader, "DIFF TABLE people WITH 'what.hw'") == [
            ("here", 2, "Bo"), ("there", 2, "Bob"), ("there", 4, "Di"), ("here", 5, "Ed"),
        ]  # fmt: skip


def test_databases_that_have_nothing_in_common_can_be_compared(two: Database) -> None:
    with opened("other.hw") as other:
        other.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE); INSERT INTO bids VALUES (1, 10.5), (2, 2)")
    assert rows(two, "DIFF STREAM bids WITH 'other.hw'") == [
        ("here", 0, 1, 2, None), ("there", 0, 1, 2, 2.0), ("here", 0, 2, 1, 3.0), ("here", 0, 3, 3, 7.0),
    ]  # fmt: skip


def test_what_cannot_be_compared_is_one_clear_error(two: Database) -> None:
    with opened("what.hw") as fork:
        fork.execute("DROP TABLE hot; CREATE STREAM hot (auction BIGINT); DROP TABLE people")
        fork.execute("CREATE TABLE people (id VARCHAR PRIMARY KEY, name VARCHAR)")
    expected: dict[str, tuple[type[HeadwaterError], str]] = {
        "DIFF TABLE nobody WITH 'what.hw'": (UnknownName, 'no stream or table "nobody" in this database'),
        "DIFF TABLE bids WITH 'what.hw'": (SqlError, '"bids" is a stream in this database'),
        "DIFF TABLE hot WITH 'what.hw'": (SqlError, '"hot" is a stream in "what.hw"'),
        "DIFF TABLE people WITH 'what.hw'": (TypeProblem, 'column "id" is BIGINT here and VARCHAR in "what.hw"'),
        "DIFF TABLE people WITH 'nowhere'": (StorageError, "there is no database at"),
    }
    for statement, (kind, message) in expected.items():
        error = error_of(two, statement)
        assert isinstance(error, kind) and message in error.message
        assert "^" in str(error) or isinstance(error, StorageError)
