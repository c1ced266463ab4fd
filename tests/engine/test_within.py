"""JOIN … WITHIN: rows of two streams that are near each other in time, and rows that nothing is near to."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from headwater import Database, SqlError, Unsupported
from headwater.executor.operators import Stateful
from headwater.storage import SimulatedDisk

START = datetime(2026, 1, 1)
DEFINITIONS = """
CREATE STREAM orders (id INTEGER KEY, item VARCHAR, at TIMESTAMP) WITH (timestamp = 'at', partitions = {partitions});
CREATE STREAM shipped (id INTEGER KEY, lorry INTEGER, at TIMESTAMP) WITH (timestamp = 'at', partitions = {partitions});
"""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def order(db: Database, *some: tuple[int | None, float]) -> None:
    db.append("orders", [{"id": id, "item": f"item {id}", "at": at(seconds)} for id, seconds in some])


def ship(db: Database, *some: tuple[int | None, float]) -> None:
    db.append("shipped", [{"id": id, "lorry": n, "at": at(seconds)} for n, (id, seconds) in enumerate(some)])


def seconds(db: Database, sql: str) -> list[tuple[Any, ...]]:
    """The rows, with times as seconds since the start."""
    rows = db.sql(sql).fetchall()
    return [tuple((v - START).total_seconds() if isinstance(v, datetime) else v for v in row) for row in rows]


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute(DEFINITIONS.format(partitions=1))
    return db


def joined(db: Database, join: str, *, name: str = "found") -> None:
    db.execute(f"""
        CREATE STREAM {name} AS SELECT o.id, o.at AS ordered, s.at AS shipped
        FROM orders o {join} ON o.id = s.id
    """)


@pytest.mark.parametrize("apart", [-5, 0, 10])
def test_a_row_is_near_from_before_to_after_both_ends_included(shop: Database, apart: float) -> None:
    joined(shop, "JOIN shipped s WITHIN (5 SECONDS, 10 SECONDS)")
    order(shop, (1, 100))
    ship(shop, (1, 100 + apart))
    assert seconds(shop, "SELECT * FROM found") == [(1, 100, 100 + apart)]


@pytest.mark.parametrize("apart", [-5.001, 10.001])
def test_a_row_that_is_further_off_is_not(shop: Database, apart: float) -> None:
    joined(shop, "JOIN shipped s WITHIN (5 SECONDS, 10 SECONDS)")
    order(shop, (1, 100))
    ship(shop, (1, 100 + apart))
    assert seconds(shop, "SELECT * FROM found") == []


def test_either_side_may_come_first_and_null_matches_nothing(shop: Database) -> None:
    joined(shop, "JOIN shipped s WITHIN 10 SECONDS")
    ship(shop, (1, 3), (None, 4))
    order(shop, (1, 5), (None, 4), (2, 6))
    ship(shop, (2, 6), (1, 15))
    assert sorted(seconds(shop, "SELECT * FROM found")) == [(1, 5, 3), (1, 5, 15), (2, 6, 6)]


def test_a_pair_happens_at_the_later_time_in_the_partition_of_the_left_row(db: Database) -> None:
    db.execute(DEFINITIONS.format(partitions=3))
    joined(db, "JOIN shipped s WITHIN 10 SECONDS")
    order(db, *((id, 10) for id in range(6)))
    ship(db, *((id, 5 + id) for id in range(6)))
    partitions = dict(db.sql("SELECT id, ROWPARTITION FROM orders").fetchall())
    found = seconds(db, "SELECT id, ROWTIME, ROWPARTITION FROM found ORDER BY id")
    assert found == [(id, max(10, 5 + id), partitions[id]) for id in range(6)]


def test_a_record_is_late_once_stream_time_has_passed_what_is_near_to_it_and_the_grace(shop: Database) -> None:
    joined(shop, "JOIN shipped s WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS")
    ship(shop, (1, 50), (1, 100), (2, 85), (3, 84))
    order(shop, (1, 100), (2, 85), (3, 84))
    assert sorted(seconds(shop, "SELECT * FROM found")) == [(1, 100, 100), (2, 85, 85)]


def test_without_a_grace_period_a_record_may_be_a_day_late(shop: Database) -> None:
    day = 24 * 3600
    joined(shop, "JOIN shipped s WITHIN 10 SECONDS")
    ship(shop, (9, day + 110), (1, 100), (2, 99))
    order(shop, (1, 100), (2, 99))
    assert seconds(shop, "SELECT id FROM found") == [(1,)]


def test_an_outer_join_gives_a_row_without_a_match_once_none_can_come(shop: Database) -> None:
    joined(shop, "LEFT JOIN shipped s WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS")
    order(shop, (1, 100), (2, 101))
    ship(shop, (2, 110), (9, 125))
    assert seconds(shop, "SELECT * FROM found") == [(2, 101, 110)]
    ship(shop, (9, 125.001))
    assert seconds(shop, "SELECT *, ROWTIME FROM found") == [(2, 101, 110, 110), (1, 100, None, 100)]
    ship(shop, (1, 102))  # too late for what was given already
    assert len(seconds(shop, "SELECT * FROM found")) == 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("LEFT", {(1, 100, 100), (2, 100, None)}),
        ("RIGHT", {(1, 100, 100), (None, None, 100)}),
        ("FULL", {(1, 100, 100), (2, 100, None), (None, None, 100)}),
    ],
)
def test_each_outer_join_keeps_its_sides(shop: Database, kind: str, expected: set[tuple[Any, ...]]) -> None:
    joined(shop, f"{kind} JOIN shipped s WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS")
    order(shop, (1, 100), (2, 100))
    ship(shop, (1, 100), (3, 100))
    order(shop, (8, 1000))
    ship(shop, (9, 1000))
    assert {row for row in seconds(shop, "SELECT * FROM found") if 1000 not in row} == expected


def test_an_anti_join_gives_the_rows_that_nothing_was_near_to_once_nothing_can_be(shop: Database) -> None:
    shop.execute("""
        CREATE STREAM waiting AS
          SELECT * FROM orders o ANTI JOIN shipped s WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS ON o.id = s.id;
        CREATE STREAM first AS
          SELECT id FROM orders ANTI JOIN shipped WITHIN 10 SECONDS GRACE PERIOD 5 SECONDS USING (id) WHERE id < 2;
    """)
    order(shop, (1, 100), (2, 101), (1, 100))
    ship(shop, (2, 110), (9, 125))
    assert seconds(shop, "SELECT * FROM waiting") == []
    ship(shop, (9, 125.001))
    assert seconds(shop, "SELECT *, ROWTIME FROM waiting") == [(1, "item 1", 100, 100)] * 2
    assert seconds(shop, "SELECT * FROM first") == [(1,)] * 2


def test_using_names_the_column_of_whichever_side_is_there(shop: Database) -> None:
    shop.execute("""
        CREATE STREAM found AS SELECT id, item, lorry
        FROM orders FULL JOIN shipped WITHIN 10 SECONDS GRACE PERIOD 0 SECONDS USING (id)
    """)
    order(shop, (1, 100), (2, 1000))
    ship(shop, (3, 100), (4, 1000))
    assert sorted(shop.sql("SELECT * FROM found WHERE id IN (1, 3)").fetchall()) == [(1, "item 1", None), (3, None, 0)]


def test_the_stream_has_the_same_order_however_its_input_was_cut_into_steps() -> None:
    def lived(settle: bool, restart: bool) -> list[tuple[Any, ...]]:
        disk = SimulatedDisk(seed=1)
        db = Database(disk, "db", None, background=False)
        db.execute(DEFINITIONS.format(partitions=2))
        joined(db, "FULL JOIN shipped s WITHIN 5 SECONDS GRACE PERIOD 0 SECONDS")
        for step in range(12):
            order(db, *((id, 3 * step + id % 7) for id in range(8)))
            ship(db, *((id, 3 * step + id % 5) for id in (0, 2, 3, 3, 6, 7, 9)))
            if settle:
                db.settle()
            if restart and step % 4 == 3:
                db.execute("CHECKPOINT")
                db.close()
                db = Database(disk, "db", None, background=False)
        return seconds(db, "SELECT *, ROWPARTITION, ROWOFFSET FROM found ORDER BY ROWPARTITION, ROWOFFSET")

    found = lived(settle=False, restart=False)
    assert len(found) > 50 and any(row[2] is None for row in found)
    assert lived(settle=True, restart=False) == found
    assert lived(settle=True, restart=True) == found


def test_joins_of_three_streams_and_windows_over_a_join(shop: Database) -> None:
    shop.execute("""
        CREATE STREAM paid (id INTEGER, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE TABLE done AS SELECT count(*) AS n
        FROM orders o JOIN paid p WITHIN 10 SECONDS ON o.id = p.id JOIN shipped s WITHIN 20 SECONDS ON s.id = p.id
        WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY 1 = 1
    """)
    order(shop, (1, 10), (2, 10), (3, 10))
    shop.append("paid", [{"id": 1, "at": at(15)}, {"id": 2, "at": at(19)}])
    ship(shop, (1, 35), (2, 61), (2, 39))
    assert seconds(shop, "SELECT WINDOWSTART, n FROM done") == [(0, 2)]


def test_what_nothing_can_match_any_more_is_forgotten(shop: Database) -> None:
    joined(shop, "LEFT JOIN shipped s WITHIN 1 SECOND GRACE PERIOD 0 SECONDS")
    for step in range(10):
        order(shop, *((id, step * 100 + id / 10) for id in range(1000)))
        ship(shop, *((id, step * 100 + id / 10) for id in range(0, 1000, 2)))
        shop.settle()
    assert shop.sql("SELECT count(*), count(shipped) FROM found").fetchone() == (9989, 5000)
    relation = shop.pipeline.catalog.get("found")
    assert relation is not None and relation.plan is not None
    for _, operator in shop.pipeline.circuit.operators_of(relation.plan):
        assert not isinstance(operator, Stateful) or operator.state_rows < 100


def test_a_snapshot_query_joins_within_a_time_too(shop: Database) -> None:
    order(shop, (1, 10), (2, 10))
    ship(shop, (1, 12), (2, 30))
    sql = "SELECT o.id, s.lorry FROM orders o JOIN shipped s WITHIN 5 SECONDS ON o.id = s.id"
    assert shop.sql(sql).fetchall() == [(1, 0)]
    ship(shop, (2, 9))
    assert Counter(shop.sql(f"{sql} ORDER BY 1").fetchall()) == {(1, 0): 1, (2, 0): 1}
    assert shop.sql(f"SELECT count(*) FROM ({sql}) q").fetchall() == [(2,)]
    assert shop.sql(f"{sql} AS OF OFFSET (orders => 2, shipped => 2)").fetchall() == [(1, 0)]


def test_a_watched_join_gives_its_pairs_as_they_come(shop: Database) -> None:
    within = "WITHIN 5 SECONDS GRACE PERIOD 0 SECONDS"
    watched = shop.subscribe(
        f"SELECT o.id, s.lorry FROM orders o LEFT JOIN shipped s {within} ON o.id = s.id EMIT CHANGES"
    )
    order(shop, (1, 10), (2, 10))
    ship(shop, (1, 12), (7, 100))
    given = []
    while (batch := watched.poll(0)) is not None:
        given += [(change.op, change.row) for change in batch]
    assert given == [("+", (1, 0)), ("+", (2, None))]


@pytest.mark.parametrize(
    ("join", "message"),
    [
        ("orders o JOIN t WITHIN 1 SECOND ON o.id = t.id", "one side of this join is a table"),
        ("orders o SEMI JOIN shipped s WITHIN 1 SECOND ON o.id = s.id", "SEMI JOIN … WITHIN is not supported"),
    ],
)
def test_a_join_that_cannot_have_within_says_so_there(shop: Database, join: str, message: str) -> None:
    shop.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    sql = f"SELECT o.id FROM {join}"
    for ask in (f"CREATE TABLE x AS {sql}", f"{sql} EMIT CHANGES", sql):
        with pytest.raises((SqlError, Unsupported), match=message) as caught:
            shop.sql(ask)
        assert caught.value.span is not None and ask[caught.value.span.start :].startswith("WITHIN")
