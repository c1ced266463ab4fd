"""A database that another process writes can be read."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import headwater
from headwater import AlreadyOpen, NotADatabase, ReadOnly


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with headwater.connect(tmp_path / "shop.hw") as db:
        db.execute(
            "CREATE STREAM s (k INTEGER KEY, v INTEGER); CREATE TABLE sums AS SELECT k, sum(v) AS v FROM s GROUP BY k"
        )
        db.append("s", [{"k": 1, "v": 10}, {"k": 2, "v": 20}])
    return tmp_path / "shop.hw"


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_reading_changes_no_byte(path: Path) -> None:
    before = content(path)
    with headwater.connect(path, read_only=True) as db:
        assert db.sql("SELECT * FROM sums ORDER BY k").fetchall() == [(1, 10), (2, 20)]
        assert db.sql("SELECT count(*) FROM s AS OF VERSION 2").fetchall() == [(0,)]
    assert content(path) == before


def test_each_query_sees_what_the_writer_has_committed_by_then(path: Path) -> None:
    with headwater.connect(path) as writer, headwater.connect(path, read_only=True) as reader:
        with pytest.raises(AlreadyOpen):
            headwater.connect(path)
        for n in range(3):
            writer.append("s", [{"k": 1, "v": 1}])
            assert reader.sql("SELECT v FROM sums WHERE k = 1").fetchall() == [(11 + n,)]
        writer.execute(
            "CREATE TABLE n AS SELECT count(*) AS n FROM s; CREATE STREAM big AS SELECT * FROM s WHERE v > 5"
        )
        assert reader.sql("SELECT n FROM n").fetchall() == [(5,)]
        assert reader.sql("SELECT count(*) FROM big").fetchall() == [(2,)]
        writer.execute("DROP TABLE n")
        with pytest.raises(headwater.UnknownName):
            reader.sql("SELECT n FROM n")


def test_several_readers_may_be_there_at_once(path: Path) -> None:
    with headwater.connect(path, read_only=True) as one, headwater.connect(path, read_only=True) as other:
        query = "SELECT * FROM sums ORDER BY k"
        assert one.sql(query).fetchall() == other.sql(query).fetchall()


def test_a_watched_query_goes_on_as_the_writer_commits(path: Path) -> None:
    with headwater.connect(path) as writer, headwater.connect(path, read_only=True) as reader:
        with reader.subscribe("SELECT v FROM s WHERE v > 20") as watching:
            append = threading.Thread(target=lambda: (time.sleep(0.2), writer.append("s", [{"k": 3, "v": 33}])))
            append.start()
            batch = watching.poll(10)
            append.join()
        assert batch is not None and batch.rows.column(0).to_pylist() == [33]


@pytest.mark.parametrize(
    "statement",
    ["CREATE STREAM z (v INTEGER)", "DROP TABLE sums", "INSERT INTO s VALUES (1, 2)", "CHECKPOINT"],
)
def test_nothing_can_be_changed(path: Path, statement: str) -> None:
    with headwater.connect(path, read_only=True) as db:
        with pytest.raises(ReadOnly, match="is open for reading only"):
            db.execute(statement)
        assert db.sql("SELECT count(*) FROM s").fetchall() == [(2,)]


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotADatabase):
        headwater.connect(tmp_path / "none.hw", read_only=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(headwater.StorageError, match="in memory"):
        headwater.connect(read_only=True)
