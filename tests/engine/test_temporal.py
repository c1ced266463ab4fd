"""FOR SYSTEM_TIME AS OF a column: a row of a stream meets the table as it was at the time that the row names."""

from __future__ import annotations

from typing import Any

import pytest

from headwater import Database, SqlError
from headwater.storage import SimulatedDisk

BEGINNING = 1_767_225_600_000_000  # 2026-01-01
Rows = list[tuple[Any, ...]]

DEFINITIONS = """
CREATE STREAM orders (id INTEGER, currency VARCHAR, at TIMESTAMP) WITH (timestamp = 'at');
CREATE TABLE rates (currency VARCHAR PRIMARY KEY, rate DOUBLE);
CREATE TABLE holidays (currency VARCHAR, name VARCHAR);
"""
CONVERTED = """
CREATE STREAM converted AS SELECT o.id, r.rate FROM orders o
  LEFT JOIN rates FOR SYSTEM_TIME AS OF o.at r ON o.currency = r.currency;
"""


class Clock:
    """A database whose clock is set by hand, in seconds since the beginning."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk()
        self.at(0)
        self.db = Database(self.disk, "db", None, background=False)
        self.db.execute(DEFINITIONS)

    def at(self, second: int) -> None:
        self.disk.clock_us = BEGINNING + second * 1_000_000

    def run(self, second: int, sql: str) -> None:
        self.at(second)
        self.db.execute(sql)

    def order(self, id: int, second: int) -> None:
        self.db.execute(f"INSERT INTO orders VALUES ({id}, 'EUR', '2026-01-01 00:00:{second:02}')")

    def rows(self, sql: str = "SELECT id, rate FROM converted ORDER BY id") -> Rows:
        return self.db.sql(sql).fetchall()


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.run(10, "INSERT INTO rates VALUES ('EUR', 1.1)")
    clock.run(20, "UPDATE rates SET rate = 1.2 WHERE currency = 'EUR'")
    clock.run(30, "DELETE FROM rates WHERE currency = 'EUR'")
    clock.run(40, "INSERT INTO rates VALUES ('EUR', 1.4)")
    return clock


def test_a_row_meets_the_version_of_its_time(clock: Clock) -> None:
    clock.db.execute(CONVERTED)
    for id, second in enumerate((5, 10, 19, 20, 30, 39, 40, 59)):
        clock.order(id, second)
    assert [rate for _, rate in clock.rows()] == [None, 1.1, 1.1, 1.2, None, None, 1.4, 1.4]


def test_a_query_over_old_events_gives_what_it_would_have_given(clock: Clock) -> None:
    for id, second in enumerate((5, 10, 19, 20, 30, 39, 40, 59)):
        clock.order(id, second)
    clock.run(50, "INSERT INTO rates VALUES ('EUR', 1.5)")
    clock.db.execute(CONVERTED)
    assert [rate for _, rate in clock.rows()] == [None, 1.1, 1.1, 1.2, None, None, 1.4, 1.4]
    clock.order(8, 55)
    assert clock.rows()[-1] == (8, 1.5)


def test_what_is_known_of_a_time_to_come_is_the_table_at_the_commit_of_the_row(clock: Clock) -> None:
    clock.db.execute(CONVERTED)
    clock.order(1, 59)
    clock.run(50, "INSERT INTO rates VALUES ('EUR', 1.5)")
    clock.order(2, 59)
    assert clock.rows() == [(1, 1.4), (2, 1.5)], "and what comes later does not change it"


def test_versions_outlive_a_checkpoint_and_a_restart(clock: Clock) -> None:
    clock.db.execute(CONVERTED)
    clock.db.execute("CHECKPOINT")
    clock.db.close()
    clock.db = Database(clock.disk, "db", None, background=False)
    clock.order(1, 15)
    clock.order(2, 25)
    assert clock.rows() == [(1, 1.1), (2, 1.2)]
    assert clock.rows("SELECT id, rate FROM converted AS OF OFFSET 1") == [(1, 1.1)]


def test_a_table_without_a_key_and_a_table_that_a_query_keeps_have_a_past_too(clock: Clock) -> None:
    clock.run(50, "INSERT INTO holidays VALUES ('EUR', 'a'), ('EUR', 'a'), ('EUR', 'b')")
    clock.run(52, "DELETE FROM holidays WHERE name = 'b'")
    clock.db.execute("""
        CREATE TABLE counts AS SELECT currency, count(*) AS n FROM holidays GROUP BY currency;
        CREATE STREAM named AS SELECT o.id, h.name FROM orders o
          JOIN holidays FOR SYSTEM_TIME AS OF o.at h ON o.currency = h.currency;
        CREATE STREAM counted AS SELECT o.id, c.n FROM orders o
          JOIN counts FOR SYSTEM_TIME AS OF o.at c ON o.currency = c.currency;
    """)
    clock.order(1, 49)
    clock.order(2, 51)
    clock.order(3, 52)
    named = clock.rows("SELECT * FROM named ORDER BY ALL")
    assert named == [(2, "a"), (2, "a"), (2, "b"), (3, "a"), (3, "a")]
    assert clock.rows("SELECT * FROM counted ORDER BY ALL") == [(2, 3), (3, 2)]


def test_who_watches_sees_the_same(clock: Clock) -> None:
    watched = clock.db.subscribe(
        "SELECT o.id, r.rate FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.at r ON o.currency = r.currency "
        "EMIT CHANGES"
    )
    clock.order(1, 15)
    batch = watched.poll(0)
    assert batch is not None
    assert [change.row for change in batch] == [(1, 1.1)]


def test_a_snapshot_query_refuses_it_and_says_what_to_do(clock: Clock) -> None:
    with pytest.raises(SqlError, match="continuous queries alone"):
        clock.rows("SELECT * FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.at r ON o.currency = r.currency")
