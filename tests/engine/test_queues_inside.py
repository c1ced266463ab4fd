"""Queues in the body of a pipeline: made, replaced and dropped with the instance, seen from outside as a port only."""

from __future__ import annotations

import pytest

import headwater

REVIEW = """
CREATE PIPELINE review (
    IN payments STREAM (id BIGINT, amount DOUBLE), OUT work QUEUE (id BIGINT, amount DOUBLE),
    OUT unsolved STREAM (id BIGINT, amount DOUBLE), PARAM least DOUBLE DEFAULT 50
) AS BEGIN
    CREATE STREAM large AS SELECT id, amount FROM payments WHERE amount >= $least;
    CREATE STREAM unsolved (id BIGINT, amount DOUBLE);
    CREATE QUEUE work ON large WITH (visibility = '30 seconds', retry = 0, dead_letter = 'unsolved');
    CREATE QUEUE others ON payments;
    CREATE TABLE at_work AS SELECT count(*) AS n FROM work;
END
"""
INSTANCE = "CREATE INSTANCE r OF review (payments => payments)"


@pytest.fixture
def db(db: headwater.Database) -> headwater.Database:
    db.execute(f"""
        CREATE STREAM payments (id BIGINT KEY, amount DOUBLE) WITH (partitions = 2);
        INSERT INTO payments VALUES (1, 10), (2, 60), (3, 70);
        {REVIEW};
    """)
    return db


def received(db: headwater.Database, queue: str = "r.work") -> list[int]:
    return sorted(message["id"] for message in db.queue(queue).receive(10))


def refused(db: headwater.Database, sql: str) -> str:
    with pytest.raises(headwater.SqlError) as caught:
        db.execute(sql)
    return caught.value.message


@pytest.mark.parametrize("clock", ["shared", "own"])
def test_a_queue_that_is_a_port_hands_out_records_to_workers_outside(db: headwater.Database, clock: str) -> None:
    db.execute(f"{INSTANCE} WITH (clock = '{clock}')")
    queue = db.queue("r.work")
    one, other = queue.receive(10, timeout=5)
    assert {one["id"], other["id"]} == {2, 3}
    one.ack()
    db.settle()
    assert db.sql("SELECT n FROM INSPECT r.at_work").fetchall() == [(1,)], "queries of the body read its state"
    other.nack()
    assert queue.receive() == []
    assert db.sql("SELECT id FROM r.unsolved").fetchall() == [(other["id"],)]


def test_any_other_queue_is_private(db: headwater.Database) -> None:
    db.execute(INSTANCE)
    private = '"r.others" is private to the instance r, of which others see r.unsolved, r.work'
    assert refused(db, "RECEIVE 1 FROM r.others") == private
    assert refused(db, "ACK r.others ('1')") == private
    assert refused(db, "SELECT * FROM r.others") == private
    with pytest.raises(headwater.SqlError, match="is private"):
        db.queue("r.others")
    assert [row[0] for row in db.sql("SHOW QUEUES")] == ["r.work"]
    assert [row[:2] for row in db.sql("DESCRIBE INSTANCE r")][2:5] == [
        ("r.unsolved", "stream"), ("r.work", "queue"), ("r.large", "private stream"),
    ]  # fmt: skip
    assert db.sql("SELECT * FROM INSPECT r.others").fetchall() == []


def test_what_it_has_handed_out_survives_a_replacement_that_leaves_it_as_it_is(db: headwater.Database) -> None:
    db.execute(INSTANCE)
    first, *_ = db.queue("r.work").receive(10)
    db.execute(REVIEW.replace("CREATE PIPELINE", "CREATE OR REPLACE PIPELINE").replace("count(*)", "count(*) + 1"))
    assert received(db) == []
    first.ack()


def test_with_another_stream_it_begins_anew_and_knows_no_receipt_of_before(db: headwater.Database) -> None:
    db.execute(INSTANCE)
    first, *_ = db.queue("r.work").receive(10)
    db.execute("CREATE OR REPLACE INSTANCE r OF review (payments => payments, least => 65)")
    assert received(db) == [3]
    with pytest.raises(headwater.NotHeld):
        first.ack()


def test_it_is_there_after_a_restart_and_goes_with_the_instance(tmp_path: object) -> None:
    path = f"{tmp_path}/bank.hw"
    with headwater.connect(path) as db:
        db.execute(f"CREATE STREAM payments (id BIGINT, amount DOUBLE); {REVIEW}; {INSTANCE}")
        db.append("payments", [(1, 60.0), (2, 70.0)])
        (message,) = db.queue("r.work").receive()
    with headwater.connect(path) as db:
        assert received(db) == [2]
        db.execute(f"ACK r.work ('{message.receipt}')")
        db.execute("DROP INSTANCE r")
        assert refused(db, "RECEIVE 1 FROM r.work") == 'there is no queue "r.work"'
        db.execute(INSTANCE)
        assert received(db) == [1, 2]


def test_an_instance_that_is_paused_hands_out_what_is_there_and_no_more(db: headwater.Database) -> None:
    db.execute(f"{INSTANCE}; PAUSE INSTANCE r; INSERT INTO payments VALUES (4, 80)")
    assert received(db) == [2, 3]
    db.execute("RESUME INSTANCE r")
    assert received(db) == [4]


def test_a_body_makes_a_queue_on_what_an_instance_inside_gives(db: headwater.Database) -> None:
    db.execute("""
        CREATE PIPELINE twice (IN a STREAM (id BIGINT, amount DOUBLE), OUT q QUEUE (id BIGINT, amount DOUBLE))
        AS BEGIN
            CREATE INSTANCE inner_one OF review (payments => a);
            CREATE QUEUE q ON inner_one.unsolved;
        END;
        CREATE INSTANCE t OF twice (a => payments);
    """)
    assert received(db, "t.q") == []
    assert refused(db, "RECEIVE 1 FROM t.inner_one.work").startswith('"t.inner_one.work" is private')


def test_dead_letters_of_a_queue_outside_do_not_go_into_an_instance(db: headwater.Database) -> None:
    db.execute(REVIEW.replace("review", "closed").replace("OUT unsolved STREAM (id BIGINT, amount DOUBLE), ", ""))
    db.execute("CREATE INSTANCE c OF closed (payments => payments)")
    sql = "CREATE QUEUE q ON payments WITH (dead_letter = 'c.unsolved')"
    assert refused(db, sql) == '"c.unsolved" is private to the instance c, of which others see c.work'


def test_a_group_reads_a_port_like_any_other_stream(db: headwater.Database) -> None:
    db.execute(f"{INSTANCE}; INSERT INTO payments VALUES (4, 80)")
    db.queue("r.work").nack(*db.queue("r.work").receive(10))
    assert db.queue("r.work").receive(10) == []
    with db.consumer("r.unsolved", "g") as consumer:
        assert sorted(row[0] for row in consumer.fetch()) == [2, 3, 4]
    with pytest.raises(headwater.SqlError, match="is private"):
        db.consumer("r.large", "g")
