"""Idempotency keys: of the commits with one key the first is made, and the others are answered as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import headwater

KEYED = "WITH (idempotency_key = 'k')"


@pytest.fixture
def db(db: headwater.Database) -> headwater.Database:
    db.execute("CREATE STREAM payments (id BIGINT); CREATE TABLE stock (item BIGINT PRIMARY KEY, n BIGINT)")
    return db


def count(db: headwater.Database, name: str = "payments") -> int:
    return int(db.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0])


@pytest.mark.parametrize(
    "statement",
    [f"INSERT INTO payments VALUES (1), (2) {KEYED}", f"INSERT INTO payments (id) {KEYED} VALUES (1), (2)"],
)
def test_an_insert_that_is_sent_again_does_nothing_and_says_so(db: headwater.Database, statement: str) -> None:
    assert db.sql(statement).message == "inserted 2 rows"
    version = db.version
    again = db.sql(statement)
    assert again.message == f"nothing was written: a commit with the key 'k' was made before, as version {version}"
    assert (again.rowcount, count(db), db.version) == (0, 2, version)


def test_insert_select_and_an_insert_of_nothing_have_keys_too(db: headwater.Database) -> None:
    select = "INSERT INTO stock SELECT id, 1 FROM payments WITH (idempotency_key = 'nothing')"
    assert db.sql(select).message == "inserted 0 rows"
    db.execute("INSERT INTO payments VALUES (1)")
    assert db.sql(select).rowcount == 0
    assert count(db, "stock") == 0, "the first had the key, and nothing to insert"


def test_append_answers_as_the_first_time_also_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "db.hw")
    with headwater.connect(path) as db:
        db.execute("CREATE STREAM s (id BIGINT) WITH (partitions = 2)")
        first = db.append("s", [(1,), (2,), (3,)], idempotency_key="a")
        db.append("s", [(9,)])
    with headwater.connect(path) as db:
        again = db.append("s", [(4,)], idempotency_key="a")
        assert (again.version, again.offsets, again.rows) == (first.version, first.offsets, first.rows)
        assert (first.repeated, again.repeated) == (False, True)
        assert count(db, "s") == 4


def test_of_several_at_once_one_is_made(db: headwater.Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: db.append("payments", [(n,)], idempotency_key="a"), range(8)))
    assert [answer.repeated for answer in answers].count(False) == 1
    assert len({answer.version for answer in answers}) == 1
    assert count(db) == 1


def test_a_transaction_is_made_once_as_a_whole(db: headwater.Database) -> None:
    db.execute("INSERT INTO stock VALUES (7, 3)")
    versions = []
    for expected in (False, True, True):
        with db.transaction(idempotency_key="order 1") as t:
            assert t.is_repeated == expected
            t.append("payments", [(1,)])
            t.execute("UPDATE stock SET n = n - 1 WHERE item = 7")
            versions.append(t.commit())
            assert t.is_repeated == expected
    assert len(set(versions)) == 1
    assert db.sql("SELECT n, (SELECT count(*) FROM payments) FROM stock").fetchall() == [(2, 1)]


def test_two_transactions_with_one_key_are_one_and_no_conflict(db: headwater.Database) -> None:
    db.execute("INSERT INTO stock VALUES (7, 3)")
    both = [db.transaction(idempotency_key="a") for _ in range(2)]
    for t in both:
        t.execute("UPDATE stock SET n = n - 1 WHERE item = 7")
    assert both[0].commit() == both[1].commit()
    assert [t.is_repeated for t in both] == [False, True]
    assert db.sql("SELECT n FROM stock").fetchall() == [(2,)]


def test_begin_has_a_key_and_says_what_became_of_it(db: headwater.Database) -> None:
    script = f"BEGIN {KEYED}; INSERT INTO payments VALUES (1); COMMIT"
    first, again = [r.message for r in db.run(script)], [r.message for r in db.run(script)]
    assert first[-1] == f"committed 1 row as version {db.version}"
    assert again[0] is not None and "was committed before with this key" in again[0]
    assert again[-1] == f"nothing was written: a commit with the key 'k' was made before, as version {db.version}"
    assert count(db) == 1


def test_rows_that_a_repeated_transaction_has_consumed_come_again(db: headwater.Database) -> None:
    db.append("payments", [(1,)], idempotency_key="a")
    with db.consumer("payments", "g") as consumer:
        with db.transaction(idempotency_key="a") as t:
            t.consume(consumer)
            assert len(consumer.fetch()) == 1
        assert len(consumer.fetch()) == 1, "the commit that was made has not consumed them"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("INSERT INTO payments VALUES (1) WITH (key = 'a')", 'no property "key"'),
        ("INSERT INTO payments VALUES (1) WITH (idempotency_key = '')", "1 to 200 characters"),
        (f"BEGIN WITH (idempotency_key = '{'x' * 201}')", "this one has 201"),
        (f"BEGIN; INSERT INTO payments VALUES (1) {KEYED}", "a transaction is made once as a whole"),
    ],
)
def test_what_cannot_be_is_said(db: headwater.Database, statement: str, message: str) -> None:
    with pytest.raises(headwater.SqlError, match=message):
        db.execute(statement)
    db.rollback()
    assert count(db) == 0


def test_a_key_is_of_one_commit(db: headwater.Database) -> None:
    with pytest.raises(headwater.DataError, match="is one commit"):
        db.append("payments", [(1,), (2,)], commit_every=1, idempotency_key="a")
    assert count(db) == 0
