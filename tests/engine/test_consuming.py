"""Consumer groups, in SQL and in programs: each row of a stream is read on from where the group has come."""

from __future__ import annotations

import threading

import pytest

import headwater


@pytest.fixture
def db(db: headwater.Database) -> headwater.Database:
    db.execute("""
        CREATE STREAM orders (id BIGINT KEY, amount BIGINT) WITH (partitions = 4);
        CREATE STREAM bills (id BIGINT, amount BIGINT);
        CREATE STREAM large AS SELECT * FROM orders WHERE amount > 5;
        CREATE TABLE stock (id BIGINT PRIMARY KEY, n BIGINT);
    """)
    db.append("orders", [{"id": id, "amount": id} for id in range(10)])
    return db


def ids(result: headwater.Result) -> list[int]:
    return sorted(row[0] for row in result.fetchall())


def test_fetch_goes_on_and_commit_group_makes_that_last(db: headwater.Database) -> None:
    first = db.sql("FETCH 4 FROM orders GROUP billing")
    assert first.names == ["id", "amount", "ROWTIME", "ROWPARTITION", "ROWOFFSET"]
    assert len(first) == 4
    db.sql("COMMIT GROUP billing")
    rest = db.sql("FETCH 100 FROM orders GROUP billing")
    assert sorted(ids(first) + ids(rest)) == list(range(10))
    assert len(db.sql("FETCH 100 FROM orders GROUP billing")) == 0
    assert len(db.sql("FETCH 100 FROM orders GROUP shipping")) == 10, "another group is not concerned"


def test_what_was_not_committed_comes_again(db: headwater.Database) -> None:
    with db.consumer("orders", "billing") as consumer:
        assert ids(consumer.fetch(3)) != []
        consumer.commit()
        assert len(consumer.fetch()) == 7
    with db.consumer("orders", "billing") as consumer:
        assert len(consumer.fetch()) == 7
        consumer.rewind()
        assert len(consumer.fetch()) == 7


def test_members_share_the_partitions(db: headwater.Database) -> None:
    with db.consumer("orders", "billing") as one, db.consumer("orders", "billing") as other:
        assert sorted(ids(one.fetch()) + ids(other.fetch())) == list(range(10))
        assert sorted((*one.partitions, *other.partitions)) == [0, 1, 2, 3]
        one.commit()
        other.commit()


def test_a_derived_stream_is_read_like_any_other(db: headwater.Database) -> None:
    with db.consumer("large", "alerts") as consumer:
        assert ids(consumer.fetch()) == [6, 7, 8, 9]


def test_a_group_can_begin_with_what_comes(db: headwater.Database) -> None:
    with db.consumer("orders", "late", start="latest") as consumer:
        assert len(consumer.fetch()) == 0
        db.append("orders", [{"id": 11, "amount": 1}])
        assert ids(consumer.fetch()) == [11]


def test_what_is_made_of_rows_and_how_far_they_were_read_is_one_commit(db: headwater.Database) -> None:
    with db.consumer("orders", "billing") as consumer:
        with pytest.raises(ZeroDivisionError), db.transaction() as t:
            t.consume(consumer)
            t.append("bills", consumer.fetch().arrow().select(["id", "amount"]))
            raise ZeroDivisionError
        before = db.version
        with db.transaction() as t:
            t.consume(consumer)
            t.append("bills", consumer.fetch().arrow().select(["id", "amount"]))
        assert db.version == before + 1
        assert len(consumer.fetch()) == 0
    assert ids(db.sql("SELECT id FROM bills")) == list(range(10))
    assert [row[5] for row in db.sql("SHOW GROUPS").fetchall()] == [0, 0, 0, 0]


def test_the_same_in_sql(db: headwater.Database) -> None:
    db.execute("BEGIN; FETCH 100 FROM orders GROUP g; COMMIT GROUP g; INSERT INTO bills VALUES (1, 1); ROLLBACK")
    assert len(db.sql("FETCH 100 FROM orders GROUP g")) == 10
    db.execute("BEGIN; COMMIT GROUP g; INSERT INTO bills VALUES (1, 1); COMMIT")
    assert len(db.sql("FETCH 100 FROM orders GROUP g")) == 0
    assert len(db.sql("SELECT * FROM bills")) == 1


def test_a_transaction_that_meets_another_gives_its_rows_back(db: headwater.Database) -> None:
    with db.consumer("orders", "billing") as consumer:
        t = db.transaction()
        t.consume(consumer)
        assert len(consumer.fetch()) == 10
        t.execute("UPDATE stock SET n = 1")
        t.append("bills", [{"id": 1, "amount": 1}])
        db.execute("INSERT INTO stock VALUES (1, 1)")
        with pytest.raises(headwater.TransactionConflict):
            t.commit()
        assert len(consumer.fetch()) == 10


def test_a_group_is_moved(db: headwater.Database) -> None:
    db.execute("FETCH 100 FROM orders GROUP g; COMMIT GROUP g")
    version = db.version
    db.append("orders", [{"id": 20, "amount": 1}])
    for point, count in (("EARLIEST", 11), ("LATEST", 0), (f"VERSION {version}", 1), ("OFFSET 4", 7)):
        db.execute(f"SEEK GROUP g TO {point}")
        assert len(db.sql("FETCH 100 FROM orders GROUP g")) == count, point
    assert db.sql("SEEK GROUP g ON orders TO EARLIEST").message == "moved g in orders"


def test_who_waits_is_woken_by_a_row_and_by_close() -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM orders (id BIGINT)")
        seen: list[int] = []
        consumer = db.consumer("orders", "billing")

        def work() -> None:
            for batch in consumer:
                seen.extend(ids(batch))
                arrived.set()

        arrived = threading.Event()
        worker = threading.Thread(target=work)
        worker.start()
        db.append("orders", [{"id": 7}])
        assert arrived.wait(30)
        consumer.close()
        worker.join(30)
        assert not worker.is_alive()
        assert seen == [7]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("FETCH 10 FROM stock GROUP g", '"stock" is a table'),
        ("FETCH 10 FROM nothing GROUP g", "nothing"),
        ("FETCH 0 FROM orders GROUP g", "at least one row"),
        ("COMMIT GROUP g", "nothing was fetched"),
        ("SEEK GROUP g TO EARLIEST", 'no group "g"'),
    ],
)
def test_what_cannot_be_is_said(db: headwater.Database, statement: str, message: str) -> None:
    with pytest.raises(headwater.SqlError, match=message):
        db.sql(statement)
