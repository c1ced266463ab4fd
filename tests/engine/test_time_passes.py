"""What time alone brings about: rows that now() lets go, windows that close in silence. All of it is in the log."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import headwater
from headwater import Change, Database, SqlError, Unsupported
from headwater.executor.clocks import TICK
from headwater.storage import SimulatedDisk

START_US = 1_767_225_600_000_000  # 2026-01-01

RECENT = """
CREATE STREAM s (k INTEGER KEY, ts TIMESTAMP) WITH (timestamp = 'ts', partitions = 2);
CREATE TABLE recent AS SELECT k FROM s WHERE ts > now() - INTERVAL 5 SECONDS AND ts <= now();
CREATE TABLE counted AS SELECT count(*) AS n FROM recent;
"""
SILENT = """
CREATE STREAM s (k INTEGER KEY, ts TIMESTAMP) WITH (timestamp = 'ts', partitions = 2);
CREATE TABLE closed WITH (idle_timeout = '10 seconds') AS SELECT k, count(*) AS n
    FROM s WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 20 SECONDS) GROUP BY k EMIT FINAL;
CREATE TABLE patient AS SELECT k, count(*) AS n
    FROM s WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 20 SECONDS) GROUP BY k EMIT FINAL;
"""


class Clocked:
    """A database whose clock stands still until it is set, in seconds."""

    def __init__(self, definitions: str) -> None:
        self.disk = SimulatedDisk()
        self.at(0)
        self.db = self.opened()
        self.db.execute(definitions)

    def opened(self) -> Database:
        return Database(self.disk, "db", None, background=False)

    def reopen(self) -> None:
        self.db.close()
        self.db = self.opened()

    def at(self, seconds: float) -> None:
        self.disk.clock_us = START_US + int(seconds * 1e6)

    def insert(self, *rows: tuple[int, int]) -> None:
        """Records in one commit: key, second of the event."""
        values = ", ".join(f"({k}, TIMESTAMP '2026-01-01' + INTERVAL ({second}) SECONDS)" for k, second in rows)
        self.db.execute(f"INSERT INTO s VALUES {values}")

    def rows(self, table: str, tail: str = "") -> list[Any]:
        columns = "*" if table in ("recent", "counted") else "epoch(WINDOWSTART)::BIGINT % 86400 AS w, k, n"
        found = self.db.sql(f"SELECT {columns} FROM {table} {tail}").fetchall()
        return sorted(row[0] if len(row) == 1 else row for row in found)

    @property
    def ticks(self) -> int:
        return sum(1 for _ in self.db.log.notes(TICK))


@pytest.fixture
def recent() -> Iterator[Clocked]:
    clocked = Clocked(RECENT)
    yield clocked
    clocked.db.close()


@pytest.fixture
def silent() -> Iterator[Clocked]:
    clocked = Clocked(SILENT)
    yield clocked
    clocked.db.close()


# ---------------------------------------------------------------- now()


def test_a_row_comes_and_goes_when_it_is_due_though_nothing_is_written(recent: Clocked) -> None:
    found = []
    recent.at(1)
    recent.insert((1, 1), (2, 3))
    for second in (1, 2.9, 3, 5.9, 6, 7.9, 8, 100):
        recent.at(second)
        found.append((recent.rows("recent"), recent.rows("counted")))
    assert found == [([1], [1]), ([1], [1]), ([1, 2], [2]), ([1, 2], [2]), ([2], [1]), ([2], [1]), ([], [0]), ([], [0])]


def test_time_is_written_down_once_for_what_is_due_and_never_otherwise(recent: Clocked) -> None:
    recent.at(1)
    recent.insert((1, 1), (2, 1), (3, 4))
    for second in range(1, 60):
        recent.at(second)
        for _ in range(3):
            recent.rows("recent")
    assert recent.ticks == 3  # 3 comes at 4; 1 and 2 go at 6; 3 goes at 9


def test_a_database_without_such_queries_writes_nothing_when_time_passes(recent: Clocked) -> None:
    recent.insert((1, 1))
    recent.db.execute("DROP TABLE counted; DROP TABLE recent")
    recent.db.settle()
    version = recent.db.version
    recent.at(100)
    recent.db.settle()
    assert recent.db.version == version


def test_a_table_at_a_version_is_what_it_was_when_that_was_committed(recent: Clocked) -> None:
    then = {}
    for second in range(0, 30, 2):
        recent.at(second)
        if second % 3 == 0:
            recent.insert((second, second + 1))
        rows = recent.rows("recent"), recent.rows("counted")  # asking may be what lets time pass
        then[recent.db.version] = rows
        if second == 16:
            recent.db.execute("CHECKPOINT")
    for _ in range(2):
        for version, rows in then.items():
            tail = f"AS OF VERSION {version}"
            assert (recent.rows("recent", tail), recent.rows("counted", tail)) == rows
        recent.reopen()
    assert (
        recent.rows("recent", "AS OF TIMESTAMP '2026-01-01 00:00:07'")
        == then[recent.db.log.version_at(START_US + 7_000_000)][0]
    )


def test_a_watched_query_sees_rows_go(recent: Clocked) -> None:
    watching = recent.db.subscribe("SELECT k FROM s WHERE now() BETWEEN ts AND ts + INTERVAL 3 SECONDS")
    found: list[tuple[str, int]] = []
    recent.insert((7, 1))
    for second in (0, 1, 4, 4.1, 9):
        recent.at(second)
        while (batch := watching.poll(0)) is not None:
            found += [(change.op, int(second * 10)) for change in batch if isinstance(change, Change)]
    assert found == [("+", 10), ("-", 41)]


def test_a_watched_query_over_a_table_that_a_query_keeps_sees_rows_go(recent: Clocked) -> None:
    recent.db.execute("CREATE TABLE latest AS SELECT k, max(ts) AS at FROM s GROUP BY k")
    watching = recent.db.subscribe("SELECT k FROM latest WHERE at > now() - INTERVAL 3 SECONDS")
    found: list[tuple[str, int, int]] = []
    for second in range(10):
        recent.at(second)
        if second in (1, 2):
            recent.insert((7, second), (8, 1))
        while (batch := watching.poll(0)) is not None:
            found += [(change.op, change.row[0], second) for change in batch]
    assert sorted(found, key=lambda change: change[2:] + change[1:2]) == [
        ("+", 7, 1),
        ("+", 8, 1),
        ("-", 8, 4),
        ("-", 7, 5),
    ]


def test_a_running_database_lets_rows_come_by_itself() -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM s (k INTEGER)")
        db.execute("CREATE TABLE ripe AS SELECT k FROM s WHERE ROWTIME + INTERVAL 1 SECOND <= now()")
        watching = db.subscribe("SELECT k FROM ripe")
        db.execute("INSERT INTO s VALUES (1)")
        batch = watching.poll(60)
        assert batch is not None and [change.row for change in batch] == [(1,)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT now() AS n FROM s", "stands in WHERE alone"),
        ("SELECT k FROM s WHERE ts > now() OR k > 1", "as a condition of its own"),
        ("SELECT k FROM s WHERE NOT ts > now()", "as a condition of its own"),
        ("SELECT k FROM s WHERE now() > now() - INTERVAL 1 SECOND", "as a condition of its own"),
        ("SELECT k FROM s WHERE k > now()", "compared with a time, and this is INTEGER"),
        ("SELECT k FROM s WHERE ts > now() - INTERVAL '1 month'", "not a fixed length of time"),
        ("SELECT k, count(*) AS n FROM s GROUP BY k HAVING max(ts) > now()", "stands in WHERE alone"),
        ("SELECT s.k FROM s JOIN recent r ON s.k = r.k", "cannot be joined with rows that come and go by now"),
        ("SELECT count(*) AS n FROM s WINDOW TUMBLING (SIZE 1 DAY) WHERE ts > now() GROUP BY k", "needs a stream"),
    ],
)
def test_now_elsewhere_is_refused_with_the_form_that_works(recent: Clocked, sql: str, message: str) -> None:
    with pytest.raises((Unsupported, SqlError), match=message):
        recent.db.execute(f"CREATE TABLE q AS {sql}")


# ---------------------------------------------------------------- silence


def test_the_last_window_closes_when_nothing_has_come_for_the_timeout(silent: Clocked) -> None:
    silent.at(1)
    silent.insert((1, 5), (1, 59), (2, 65))
    silent.at(10.9)
    assert silent.rows("closed") == []
    silent.at(11)
    assert silent.rows("closed") == [(0, 1, 2), (60, 2, 1)]
    assert silent.rows("patient") == []
    silent.at(500)
    silent.rows("closed")
    assert silent.ticks == 1


@pytest.mark.parametrize("idle, closed", [("10 seconds", [(1, 2), (2, 1)]), ("none", [])])
def test_silence_closes_the_windows_of_a_query_that_is_watched_if_that_is_set(
    silent: Clocked, idle: str, closed: list[tuple[int, int]]
) -> None:
    silent.db.execute(f"SET 'idle_timeout' = '{idle}'")
    window = "WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 20 SECONDS)"
    watching = silent.db.subscribe(f"SELECT k, count(*) AS n FROM s {window} GROUP BY k EMIT FINAL")
    silent.at(1)
    silent.insert((1, 5), (1, 59), (2, 65))
    silent.at(10.9)
    assert watching.poll(0) is None
    silent.at(11)
    assert [change.row for change in watching.poll(0) or ()] == closed


def test_a_record_of_a_window_that_silence_closed_is_late(silent: Clocked) -> None:
    silent.insert((1, 5), (2, 5))
    silent.at(20)
    assert silent.rows("closed") == [(0, 1, 1), (0, 2, 1)]
    silent.insert((1, 6), (3, 7), (1, 70), (2, 80))
    silent.at(40)
    assert silent.rows("closed") == [(0, 1, 1), (0, 2, 1), (60, 1, 1), (60, 2, 1)]


def test_a_silent_partition_does_not_hold_back_the_others(silent: Clocked) -> None:
    one, other = keys_of_two_partitions(silent)
    silent.at(100)
    silent.insert((one, 1000), (other, 1000))
    silent.at(109)
    silent.insert((one, 1200))
    assert (960, one, 1) not in silent.rows("closed")
    silent.at(110)
    assert [row for row in silent.rows("closed") if row[0] >= 960] == [(960, key, 1) for key in sorted((one, other))]
    assert [row for row in silent.rows("patient") if row[0] >= 960] == []
    silent.insert((other, 1001), (other, 1150))
    silent.at(130)
    assert [row for row in silent.rows("closed") if row[0] > 960] == sorted([(1140, other, 1), (1200, one, 1)])


def keys_of_two_partitions(clocked: Clocked) -> tuple[int, int]:
    """A key of each partition; their records are of the first minute."""
    clocked.insert(*((k, 0) for k in range(8)))
    partitions = {c.partition: c.rows.column("k").to_pylist() for c in clocked.db.log.scan(1)}
    return partitions[0][0], partitions[1][0]


def final_rows(log: Any, upto: int) -> Counter[tuple[int, int, int]]:
    """What `closed` holds at a version: the definition, a commit at a time."""
    size, grace, idle = 60_000_000, 20_000_000, 10_000_000
    never = -(2**62)
    ticks = {version for version, _ in log.notes(TICK)}
    stream_time, arrived, began, latest = [never, never], [never, never], None, never
    groups: Counter[tuple[int, int]] = Counter()
    final: Counter[tuple[int, int, int]] = Counter()
    for version in range(1, upto + 1):
        now = log.time_of(version)
        for chunk in log.scan(1, version - 1, version):
            began, arrived[chunk.partition] = began or now, now
            for k, ts in zip(
                chunk.rows.column("k").to_pylist(), chunk.rows.column("ts").cast("int64").to_pylist(), strict=True
            ):
                start = ts // size * size
                if stream_time[chunk.partition] < start + size + grace:
                    groups[start, k] += 1
                stream_time[chunk.partition] = max(stream_time[chunk.partition], ts)
                latest = max(latest, ts)
        if version in ticks and began is not None:
            silent = [max(arrived[p], began) <= now - idle for p in (0, 1)]
            active = [stream_time[p] for p in (0, 1) if not silent[p]]
            target = min(active) if active else latest + size + grace
            stream_time = [max(stream_time[p], target) if silent[p] else stream_time[p] for p in (0, 1)]
        for (start, k), n in list(groups.items()):
            if start + size + grace <= min(stream_time):
                final[start // 1_000_000 % 86400, k, n] += 1
                del groups[start, k]
    return final


@pytest.mark.parametrize("seed", range(12))
def test_silence_closes_what_the_definition_says_at_every_version(seed: int) -> None:
    chance, clocked, now, event = random.Random(seed), Clocked(SILENT), 0.0, 100
    then: dict[int, list[Any]] = {}
    for _ in range(25):
        now += chance.choice([0, 0.5, 3, 9, 10, 11, 25])
        event += chance.choice([0, 5, 30, 90])
        clocked.at(now)
        if chance.random() < 0.7:
            keys = chance.choice([range(4), [chance.randint(0, 3)]])
            clocked.insert(*((k, event + chance.randint(-60, 10)) for k in keys))
        rows = clocked.rows("closed")
        then[clocked.db.version] = rows
        assert Counter(rows) == final_rows(clocked.db.log, clocked.db.version)
        if chance.random() < 0.15:
            clocked.db.execute("CHECKPOINT")
        if chance.random() < 0.15:
            clocked.reopen()
    for version, rows in then.items():
        assert clocked.rows("closed", f"AS OF VERSION {version}") == rows
    assert clocked.ticks > 1
    clocked.db.execute(  # a query that is made afterwards reads the same log, in other steps
        """CREATE TABLE later WITH (idle_timeout = '10 seconds') AS SELECT k, n FROM (SELECT k, count(*) AS n
           FROM s WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 20 SECONDS) WHERE k >= 0 GROUP BY k EMIT FINAL) q"""
    )
    assert Counter(clocked.db.sql("SELECT k, n FROM later").fetchall()) == Counter(
        row[1:] for row in clocked.rows("closed")
    )
    changes = clocked.db.log.scan(2)
    assert all(weight == 1 for chunk in changes for weight in chunk.rows.column("$weight").to_pylist())
    clocked.db.close()
