"""Work queues: each record to one worker at a time, again until there is an ACK, and then no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import headwater
from headwater.engine.database import Database
from tests.engine.clock import SECOND, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(clock: Clock) -> Iterator[headwater.Database]:
    with Database(clock, "memory", None, background=False) as opened:
        opened.execute("""
            CREATE STREAM orders (id BIGINT, item VARCHAR);
            CREATE STREAM dead (id BIGINT, item VARCHAR);
            CREATE STREAM done (id BIGINT);
            CREATE QUEUE work ON orders WITH (visibility = '30 seconds', retry = 1, dead_letter = 'dead');
            INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c');
        """)
        yield opened


def received(db: headwater.Database, count: int = 10) -> dict[int, str]:
    """The ids of what is handed out, each with its receipt."""
    return {row[2]: row[0] for row in db.sql(f"RECEIVE {count} FROM work").fetchall()}


def test_a_record_is_handed_out_once_while_somebody_has_it(db: headwater.Database) -> None:
    first = db.sql("RECEIVE 2 FROM work")
    assert first.names == ["receipt", "attempt", "id", "item", "ROWTIME", "ROWPARTITION", "ROWOFFSET"]
    assert [row[1:4] for row in first.fetchall()] == [(1, 1, "a"), (1, 2, "b")]
    assert list(received(db)) == [3]
    assert received(db) == {}


def test_what_is_acknowledged_does_not_come_again(db: headwater.Database, clock: Clock) -> None:
    receipts = received(db)
    assert db.sql(f"ACK work ('{receipts[1]}', '{receipts[3]}')").message == "done with: 2 rows of work"
    clock.passed_us += 31 * SECOND
    assert list(received(db)) == [2]


def test_what_is_given_back_comes_at_once_with_another_receipt(db: headwater.Database) -> None:
    receipts = received(db)
    db.sql(f"NACK work ('{receipts[2]}')")
    again = received(db)
    assert list(again) == [2]
    with pytest.raises(headwater.SqlError, match="is no receipt that work waits for"):
        db.sql(f"ACK work ('{receipts[2]}')")
    db.sql(f"ACK work ('{again[2]}')")


def test_after_its_retries_a_record_goes_to_the_dead_letters(db: headwater.Database, clock: Clock) -> None:
    for attempt in (1, 2):
        assert [row[1] for row in db.sql("RECEIVE 10 FROM work").fetchall()] == [attempt] * 3
        clock.passed_us += 31 * SECOND
    assert received(db) == {}
    assert db.sql("SELECT id, item FROM dead ORDER BY id").fetchall() == [(1, "a"), (2, "b"), (3, "c")]
    assert len(db.sql("SELECT * FROM work")) == 0


def test_its_state_is_a_table_that_has_a_past(db: headwater.Database) -> None:
    receipts = received(db)
    version = db.version
    db.sql(f"ACK work ('{receipts[1]}')")
    assert db.sql("SELECT record, attempts FROM work ORDER BY record").fetchall() == [(1, 1), (2, 1)]
    assert db.sql(f"SELECT count(*) FROM work AS OF VERSION {version}").fetchall() == [(3,)]


def test_an_ack_can_be_part_of_what_is_made_of_the_record(db: headwater.Database, clock: Clock) -> None:
    receipts = received(db)
    db.execute(f"BEGIN; INSERT INTO done VALUES (1); ACK work ('{receipts[1]}'); ROLLBACK")
    db.execute(f"BEGIN; INSERT INTO done VALUES (2); ACK work ('{receipts[2]}'); COMMIT")
    clock.passed_us += 31 * SECOND
    assert list(received(db)) == [1, 3]
    assert db.sql("SELECT id FROM done").fetchall() == [(2,)]


def test_a_transaction_with_an_ack_that_came_too_late_is_refused(db: headwater.Database, clock: Clock) -> None:
    receipts = received(db)
    t = db.transaction()
    t.execute(f"INSERT INTO done VALUES (1); ACK work ('{receipts[1]}')")
    clock.passed_us += 31 * SECOND
    assert 1 in received(db), "another worker has it by now"
    with pytest.raises(headwater.TransactionConflict):
        t.commit()
    assert len(db.sql("SELECT * FROM done")) == 0


def test_it_goes_on_where_it_was_after_a_restart(tmp_path: object) -> None:
    path = f"{tmp_path}/shop.hw"
    with headwater.connect(path) as db:
        db.execute("CREATE STREAM orders (id BIGINT); CREATE QUEUE work ON orders; INSERT INTO orders VALUES (1), (2)")
        receipts = received(db, 1)
    with headwater.connect(path) as db:
        assert list(received(db)) == [2]
        db.sql(f"ACK work ('{receipts[1]}')")
        assert db.sql("SELECT record FROM work").fetchall() == [(1,)]


def test_who_waits_is_woken_by_a_record() -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM orders (id BIGINT); CREATE QUEUE work ON orders")
        found: list[int] = []

        def work() -> None:
            found.extend(row[2] for row in db.sql("RECEIVE 1 FROM work WAIT 30 SECONDS").fetchall())

        worker = threading.Thread(target=work)
        worker.start()
        db.append("orders", [{"id": 7}])
        worker.join(30)
        assert found == [7]


def test_workers_share_and_lose_nothing() -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM orders (id BIGINT) WITH (partitions = 3); CREATE QUEUE work ON orders")
        db.append("orders", {"id": list(range(300))})
        done: list[int] = []

        def work() -> None:
            while rows := db.sql("RECEIVE 7 FROM work").fetchall():
                done.extend(row[2] for row in rows)
                db.sql(f"ACK work ({', '.join(repr(row[0]) for row in rows)})")

        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(done) == list(range(300))
        assert len(db.sql("SELECT * FROM work")) == 0


def test_the_queues_are_shown(db: headwater.Database) -> None:
    received(db, 1)
    assert db.sql("SHOW QUEUES").fetchall() == [("work", "orders", 2, 1)]


def test_a_queue_is_dropped_and_keeps_its_stream(db: headwater.Database) -> None:
    with pytest.raises(headwater.NameTaken, match="is read by work"):
        db.sql("DROP STREAM orders")
    assert db.sql("DROP QUEUE work").message == "dropped work"
    with pytest.raises(headwater.SqlError, match='no queue "work"'):
        db.sql("RECEIVE 1 FROM work")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("RECEIVE 1 FROM orders", 'no queue "orders"'),
        ("RECEIVE 0 FROM work", "at least one record"),
        ("ACK work ('1.2.3')", "is no receipt that work waits for"),
        ("ACK work (NULL)", "is no receipt"),
        ("INSERT INTO work VALUES (0, 0, 'x', 1, NULL)", '"work" is a queue'),
        ("DELETE FROM work", '"work" is a queue'),
        ("DROP TABLE work", '"work" is a queue'),
        ("CREATE QUEUE q ON orders WITH (retry = 3)", "has to go somewhere"),
        ("CREATE QUEUE q ON orders WITH (visible = '1 second')", "no property"),
        ("CREATE QUEUE q ON orders WITH (visibility = 'soon')", "cannot read 'soon'"),
        ("CREATE QUEUE q ON orders WITH (dead_letter = 'nowhere')", 'no stream "nowhere"'),
        ("CREATE QUEUE q ON orders WITH (dead_letter = 'done')", "not the columns"),
        ("CREATE QUEUE q ON work", "is a table"),
        ("CREATE OR REPLACE QUEUE work ON orders", "is not replaced"),
    ],
)
def test_what_cannot_be_is_said(db: headwater.Database, statement: str, message: str) -> None:
    with pytest.raises(headwater.HeadwaterError, match=message):
        db.sql(statement)
