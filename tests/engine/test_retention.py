"""Retention takes the oldest out of logs, and nothing out of results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.engine.database import Database
from headwater.errors import OutOfRange, QueryFailed, SqlError
from headwater.storage import GroupOffsets, SimulatedDisk

HOUR_US = 3_600_000_000


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    return disk


@pytest.fixture
def db(disk: SimulatedDisk) -> Iterator[Database]:
    database = opened(disk)
    yield database
    database.close()


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "shop.hw", None, background=False)


def pass_hours(disk: SimulatedDisk, hours: int) -> None:
    assert disk.clock_us is not None
    disk.clock_us += hours * HOUR_US


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return db.sql(sql).fetchall()


def test_a_stream_loses_what_is_older_than_its_retention(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '2 hours'); CREATE STREAM kept (v INTEGER)")
    for v in range(5):
        db.append("s", [{"v": v}])
        db.append("kept", [{"v": v}])
        pass_hours(disk, 1)
    db.sql("CHECKPOINT")
    assert rows(db, "SELECT v, ROWOFFSET FROM s") == [(3, 3), (4, 4)]
    assert rows(db, "SELECT count(*) FROM kept") == [(5,)]
    assert rows(db, "SHOW STREAMS")[0][-1] == 2
    db.append("s", [{"v": 5}])
    assert rows(db, "SELECT max(ROWOFFSET) FROM s") == [(5,)], "offsets go on"


def test_a_table_that_is_kept_longer_than_what_it_is_computed_from_loses_its_history_too(
    disk: SimulatedDisk, db: Database
) -> None:
    db.execute("""
        CREATE TABLE u (k INTEGER PRIMARY KEY, v INTEGER) WITH (retention = '1 hour');
        CREATE TABLE d WITH (retention = '2 hours') AS SELECT v, count(*) AS n FROM u GROUP BY v;
        CREATE TABLE b WITH (retention = '2 hours') AS SELECT v FROM u;
    """)
    answers = {}
    for hour in range(10):
        for k in range(4):
            db.execute(f"INSERT INTO u VALUES ({k}, {hour % 3})")
            db.settle()
            answers |= {(name, db.version): rows(db, f"SELECT * FROM {name} ORDER BY ALL") for name in ("d", "b")}
        pass_hours(disk, 1)
        db.execute("CHECKPOINT")
    begins = {relation.name: db.log.start(relation.id).version for relation in db.pipeline.derived()}
    assert all(0 < begin < db.version - 10 for begin in begins.values())
    start = db.log.start(1).version  # of u: what was computed before is known where a step had read just that
    for (name, version), answer in answers.items():
        if version >= start:
            assert rows(db, f"SELECT * FROM {name} AS OF VERSION {version} ORDER BY ALL") == answer
        elif version > begins[name]:
            assert rows(db, f"SELECT * FROM {name} AS OF VERSION {version - 1} ORDER BY ALL") == answer


def test_a_table_loses_its_history_and_no_rows(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER) WITH (retention = '1 hour')")
    for v in range(6):
        db.append("t", [{"k": v % 2, "v": v}])
        pass_hours(disk, 1)
    db.sql("CHECKPOINT")
    db.sql("CHECKPOINT")
    now = rows(db, "SELECT * FROM t ORDER BY k")
    assert now == [(0, 4), (1, 5)]
    db.append("t", [{"k": 0, "v": 9}])
    assert rows(db, "SELECT * FROM t ORDER BY k") == [(0, 9), (1, 5)]
    db.close()
    db = opened(disk)
    assert rows(db, "SELECT * FROM t ORDER BY k") == [(0, 9), (1, 5)]
    with pytest.raises(OutOfRange, match="retention has taken") as caught:
        db.sql("SELECT * FROM t AS OF VERSION 2")
    assert caught.value.hint is not None and "the earliest is AS OF VERSION" in caught.value.hint
    earliest = caught.value.hint.removeprefix("the earliest is ")
    assert rows(db, f"SELECT count(*) FROM t {earliest}") == [(2,)]
    db.close()


def test_results_of_running_queries_outlive_the_rows_they_were_made_of(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER, v INTEGER) WITH (retention = '1 hour')")
    db.execute("CREATE TABLE sums AS SELECT k, sum(v) AS v FROM s GROUP BY k")
    for v in range(8):
        db.append("s", [{"k": v % 2, "v": v}])
        pass_hours(disk, 1)
        db.sql("CHECKPOINT")
    assert rows(db, "SELECT count(*) < 8 FROM s") == [(True,)]
    expected = rows(db, "SELECT * FROM sums ORDER BY k")
    assert expected == [(0, 12), (1, 16)]
    db.close()
    db = opened(disk)
    assert rows(db, "SELECT * FROM sums ORDER BY k") == expected
    db.append("s", [{"k": 0, "v": 100}])
    assert rows(db, "SELECT * FROM sums ORDER BY k") == [(0, 112), (1, 16)]
    with pytest.raises(OutOfRange):
        db.sql("SELECT * FROM sums AS OF VERSION 4")
    db.close()


def test_retention_stays_behind_the_older_of_two_images(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '1 hour')")
    db.execute("CREATE TABLE n AS SELECT count(*) AS n FROM s")
    for v in range(4):
        db.append("s", [{"v": v}])
        pass_hours(disk, 2)
        db.sql("CHECKPOINT")
    newest = db.log.images()[-1]
    db.close()
    disk.remove(f"shop.hw/images/{newest.name}")
    db = opened(disk)
    assert rows(db, "SELECT n FROM n") == [(4,)], "the image before the lost one, and the log after it, are enough"
    db.close()


def test_a_query_made_later_begins_with_what_is_there(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '90 minutes')")
    for v in range(4):
        db.append("s", [{"v": v}])
        pass_hours(disk, 1)
    db.sql("CHECKPOINT")
    db.execute("CREATE TABLE n AS SELECT count(*) AS n FROM s")
    there = rows(db, "SELECT count(*) FROM s")
    assert rows(db, "SELECT n FROM n") == there == [(1,)]
    db.close()
    db = opened(disk)
    assert rows(db, "SELECT n FROM n") == there
    db.close()


def test_a_stream_can_be_kept_up_to_a_size(db: Database) -> None:
    db.execute("CREATE STREAM s (v VARCHAR) WITH (retention_size = '10 kB', compression = 'zstd')")
    for n in range(40):
        db.append("s", [{"v": f"{n} " + "x" * 100} for _ in range(100)])
    before = rows(db, "SELECT count(*) FROM s")
    db.sql("CHECKPOINT")
    assert before == [(4000,)]
    ((left,),) = rows(db, "SELECT count(*) FROM s")
    assert isinstance(left, int) and 0 < left < 4000


def test_a_clock_that_jumps_forward_takes_nothing(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '1 day')")
    db.append("s", [{"v": 1}])
    steady = disk.monotonic()
    disk.monotonic = lambda: steady + 1  # type: ignore[method-assign]
    pass_hours(disk, 24 * 365)
    db.sql("CHECKPOINT")
    assert rows(db, "SELECT count(*) FROM s") == [(1,)]


def test_a_watched_query_that_fell_behind_says_so(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '1 hour')")
    db.append("s", [{"v": 0}])
    with db.subscribe("SELECT * FROM s") as watching:
        assert next(iter(watching)).row == (0,)
        for v in range(1, 6):
            db.append("s", [{"v": v}])
            pass_hours(disk, 1)
        db.sql("CHECKPOINT")
        with pytest.raises(QueryFailed, match="fell so far behind"):
            watching.poll(0)


@pytest.mark.parametrize(
    ("property", "message"),
    [
        ("retention = 'a while'", "cannot read 'a while' as a time to keep rows for"),
        ("retention = '0 days'", "cannot read '0 days'"),
        ("retention_size = 'much'", "cannot read 'much' as a size to keep"),
        ("compression = 'zip'", "there is no compression 'zip'"),
    ],
)
def test_a_property_that_cannot_be_read_is_named(db: Database, property: str, message: str) -> None:
    with pytest.raises(SqlError, match=message) as caught:
        db.execute(f"CREATE STREAM s (v INTEGER) WITH ({property})")
    assert caught.value.span is not None and caught.value.hint


def test_nothing_is_removed_by_default(tmp_path: Path) -> None:
    with Database(SimulatedDisk(), "shop.hw", None, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER) WITH (retention = 'forever')")
        db.append("s", [{"v": 1}])
        db.sql("CHECKPOINT")
        assert rows(db, "SELECT count(*) FROM s AS OF VERSION 1") == [(0,)]


def test_the_log_of_a_relation_is_shown_on_request(disk: SimulatedDisk, db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '2 hours'); CREATE TABLE t (k INTEGER PRIMARY KEY)")
    for v in range(4):
        db.append("s", [{"v": v}])
        pass_hours(disk, 1)
    db.sql("CHECKPOINT")
    db.append("s", [{"v": v} for v in range(120)])
    shown = db.sql("SHOW STREAMS EXTENDED")
    assert [column.name for column in shown.columns][-5:] == [
        "offsets", "segments", "bytes", "rows per second", "kept since",
    ]  # fmt: skip
    ((*_, kept, offsets, segments, nbytes, rate, since),) = shown.fetchall()
    assert (kept, offsets, segments, rate, since) == (122, "0: 2 to 124", 0, 2, "2023-11-14 23:13:20")
    assert isinstance(nbytes, int) and nbytes > 122 * 12
    assert rows(db, "SHOW TABLES EXTENDED")[0][-5:] == (None, 0, 0, 0, None)


def test_consumer_groups_are_shown_with_their_lag(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER)")
    db.append("s", [{"v": v} for v in range(5)])
    stream = db.pipeline.catalog.ordered()[0].id
    db.log.commit([], offsets=[GroupOffsets("billing", 1, {(stream, 0): 2})])
    assert rows(db, "SHOW GROUPS") == [("billing", 1, "s", 0, 2, 3)]
