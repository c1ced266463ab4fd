"""Transactions: one commit or nothing, one version throughout, and as if each had run alone when it committed."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

import pytest

import headwater


@pytest.fixture
def db(db: headwater.Database) -> headwater.Database:
    db.execute("""
        CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT);
        CREATE STREAM payments (id BIGINT, amount BIGINT);
        CREATE TABLE bag (v INTEGER);
        CREATE TABLE total AS SELECT sum(balance) AS balance FROM accounts;
        INSERT INTO accounts VALUES (1, 100), (2, 100), (3, 100);
        INSERT INTO bag VALUES (1), (1), (2);
    """)
    db.settle()
    return db


def rows(asked: headwater.Database | headwater.Transaction, sql: str) -> list[tuple[object, ...]]:
    return asked.sql(sql).fetchall()


def test_all_of_a_transaction_is_one_commit(db: headwater.Database) -> None:
    before = db.version
    db.execute("""
        BEGIN;
        UPDATE accounts SET balance = balance - 10 WHERE id = 1;
        UPDATE accounts SET balance = balance + 10 WHERE id = 2;
        INSERT INTO payments VALUES (1, -10), (2, 10);
    """)
    assert db.version == before, "nothing is in the log before COMMIT"
    assert db.sql("COMMIT").message == f"committed 4 rows as version {before + 1}"
    assert rows(db, f"SELECT * FROM accounts AS OF VERSION {before + 1} ORDER BY id") == [(1, 90), (2, 110), (3, 100)]
    assert rows(db, f"SELECT count(*) FROM payments AS OF VERSION {before + 1}") == [(2,)]
    assert rows(db, "SELECT balance FROM total") == [(300,)]


def test_what_is_rolled_back_was_never_there(db: headwater.Database) -> None:
    before = db.version
    db.execute("BEGIN; DELETE FROM accounts; INSERT INTO payments VALUES (1, 1); ROLLBACK")
    assert db.version == before
    assert rows(db, "SELECT count(*) FROM accounts") == [(3,)]


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(db: headwater.Database) -> None:
    with db.transaction() as t:
        t.execute("DELETE FROM accounts WHERE id = 3; UPDATE accounts SET id = 7 WHERE id = 1")
        t.append("accounts", [{"id": 2, "balance": 5}, {"id": 9, "balance": 9}])
        t.execute("INSERT INTO payments VALUES (9, 9); INSERT INTO bag SELECT balance FROM accounts WHERE id = 7")
        t.execute("DELETE FROM bag WHERE v = 2; INSERT INTO bag VALUES (1)")
        assert rows(t, "SELECT * FROM accounts ORDER BY id") == [(2, 5), (7, 100), (9, 9)]
        assert rows(t, "SELECT balance FROM accounts WHERE id = 2") == [(5,)]
        assert rows(t, "SELECT id, ROWOFFSET FROM payments") == [(9, 0)]
        assert rows(t, "SELECT v, count(*) FROM bag GROUP BY v ORDER BY v") == [(1, 3), (100, 1)]
        assert rows(db, "SELECT count(*) FROM accounts WHERE id = 3") == [(1,)]
    assert rows(db, "SELECT * FROM accounts ORDER BY id") == [(2, 5), (7, 100), (9, 9)]
    assert rows(db, "SELECT v, count(*) FROM bag GROUP BY v ORDER BY v") == [(1, 3), (100, 1)]


def test_what_is_computed_from_its_writes_is_what_it_will_be_after_commit(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM large AS SELECT p.id, p.amount, a.balance FROM payments p JOIN accounts a ON p.id = a.id;
        CREATE TABLE hours AS SELECT count(*) AS n FROM payments WINDOW TUMBLING (SIZE 1 HOUR) EMIT FINAL;
        INSERT INTO payments VALUES (1, 5);
    """)
    asked = ["SELECT * FROM total", "SELECT * FROM large ORDER BY ROWOFFSET", "SELECT * FROM hours"]
    asked += ["SELECT count(*) FROM payments WINDOW TUMBLING (SIZE 365 DAYS) GROUP BY true"]
    with db.transaction() as t:
        t.execute("INSERT INTO payments VALUES (2, 7); UPDATE accounts SET balance = 1 WHERE id = 2")
        t.execute("INSERT INTO bag SELECT balance FROM total")
        db.execute("INSERT INTO bag VALUES (0)")
        seen = [rows(t, sql) for sql in asked]
        assert seen[0] == [(201,)] and seen[1] == [(1, 5, 100), (2, 7, 1)]
        assert rows(db, asked[0]) == [(300,)]
    assert [rows(db, sql) for sql in asked] == seen
    assert rows(db, "SELECT v FROM bag WHERE v > 9") == [(201,)]


def test_what_stands_still_is_not_moved_by_a_transaction(db: headwater.Database) -> None:
    db.execute("PAUSE total; BEGIN; INSERT INTO accounts VALUES (9, 9)")
    assert rows(db, "SELECT * FROM total") == [(300,)]
    db.execute("COMMIT")
    assert rows(db, "SELECT * FROM total") == [(300,)]


def test_it_sees_one_version_whatever_is_committed_meanwhile(db: headwater.Database) -> None:
    with db.transaction() as t:
        db.execute("UPDATE accounts SET balance = 0; INSERT INTO payments VALUES (1, 1)")
        assert rows(t, "SELECT sum(balance) FROM accounts") == [(300,)]
        assert rows(t, "SELECT balance FROM total") == [(300,)]
        assert rows(t, "SELECT count(*) FROM payments") == [(0,)]
        later = f"SELECT balance FROM accounts AS OF VERSION {db.version} WHERE id = 1"
        assert rows(t, later) == [(0,)], "unless it asks for another"
    assert rows(db, "SELECT balance FROM total") == [(0,)]


def test_what_was_read_must_still_be_so_at_commit(db: headwater.Database) -> None:
    first, second = db.transaction(), db.transaction()
    for t in (first, second):
        t.execute("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
    assert first.commit() == db.version
    with pytest.raises(headwater.TransactionConflict, match='"accounts" was written since'):
        second.commit()
    assert rows(db, "SELECT balance FROM accounts WHERE id = 1") == [(101,)]
    assert second.is_over


def test_reading_one_row_and_inserting_do_not_conflict_with_other_rows(db: headwater.Database) -> None:
    one, other, inserting = db.transaction(), db.transaction(), db.transaction()
    one.execute("UPDATE accounts SET balance = 1 WHERE id = 1")
    other.execute("UPDATE accounts SET balance = 2 WHERE id = 2")
    inserting.execute("INSERT INTO accounts VALUES (1, 7)")
    for t in (one, other, inserting):
        t.commit()
    assert rows(db, "SELECT * FROM accounts ORDER BY id") == [(1, 7), (2, 2), (3, 100)]


def test_reading_what_is_computed_is_reading_what_it_is_computed_from(db: headwater.Database) -> None:
    t = db.transaction()
    assert rows(t, "SELECT balance FROM total") == [(300,)]
    t.append("payments", [{"id": 1, "amount": 300}])
    db.execute("INSERT INTO accounts VALUES (4, 1)")
    with pytest.raises(headwater.TransactionConflict):
        t.commit()
    assert rows(db, "SELECT count(*) FROM payments") == [(0,)]


def test_after_a_statement_that_fails_there_is_only_rollback(db: headwater.Database) -> None:
    db.execute("BEGIN; INSERT INTO payments VALUES (1, 1)")
    with pytest.raises(headwater.SqlError):
        db.sql("INSERT INTO payments VALUES (1, 'x')")
    with pytest.raises(headwater.SqlError, match="nothing more can be done in it"):
        db.sql("SELECT 1")
    assert db.sql("SHOW TABLES"), "what is about the catalog can be asked"
    with pytest.raises(headwater.SqlError, match="cannot be committed"):
        db.sql("COMMIT")
    assert rows(db, "SELECT count(*) FROM payments") == [(0,)]


def test_an_error_in_the_block_rolls_back(db: headwater.Database) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction() as t:
        t.append("payments", [{"id": 1, "amount": 1}])
        raise ZeroDivisionError
    assert rows(db, "SELECT count(*) FROM payments") == [(0,)]
    with pytest.raises(headwater.SqlError, match="is over"):
        t.sql("SELECT 1")


@pytest.mark.parametrize(
    ("before", "statement", "message"),
    [
        ("", "COMMIT", "there is no transaction to end"),
        ("", "ROLLBACK", "there is no transaction to end"),
        ("BEGIN", "BEGIN", "has begun already"),
        ("BEGIN", "CREATE STREAM s (a INTEGER)", "cannot be part of a transaction"),
        ("BEGIN", "SELECT * FROM payments EMIT CHANGES", "cannot be part of a transaction"),
        ("BEGIN", "INSERT INTO total VALUES (1)", "total"),
        ("BEGIN; INSERT INTO accounts VALUES (8, 8)", "SELECT * FROM recent", "depends on when the writes"),
        ("SET 'as_of' = 'VERSION 3'", "BEGIN", "nothing can be changed there"),
    ],
)
def test_what_cannot_be_is_said(db: headwater.Database, before: str, statement: str, message: str) -> None:
    db.execute("CREATE TABLE recent AS SELECT id FROM accounts WHERE TIMESTAMP '2026-01-01' < now()")
    db.execute(before)
    with pytest.raises(headwater.SqlError, match=message):
        db.sql(statement)


# ---------------------------------------------------------------- as if each had run alone


@dataclass
class Ran:
    """A transaction that committed: what it read of each account, and what it wrote."""

    version: int
    read: list[tuple[int, int | None]] = field(default_factory=list)
    total: int | None = None
    wrote: dict[int, int | None] = field(default_factory=dict)


def run_one(db: headwater.Database, chance: random.Random) -> Ran | None:
    """Runs a random transaction; None if it rolled back, or met another."""
    t = db.transaction()
    ran = Ran(0)
    for _ in range(chance.randint(1, 4)):
        id = chance.randrange(6)
        match chance.choice(("read", "read", "add", "put", "delete", "sum")):
            case "read":
                found = rows(t, f"SELECT balance FROM accounts WHERE id = {id}")
                if id not in ran.wrote:
                    ran.read.append((id, int(str(found[0][0])) if found else None))
            case "add":
                found = rows(t, f"SELECT balance FROM accounts WHERE id = {id}")
                if found:
                    before = int(str(found[0][0]))
                    if id not in ran.wrote:
                        ran.read.append((id, before))
                    t.execute(f"UPDATE accounts SET balance = balance + 1 WHERE id = {id}")
                    ran.wrote[id] = before + 1
            case "put":
                ran.wrote[id] = chance.randrange(100)
                t.append("accounts", [{"id": id, "balance": ran.wrote[id]}])
            case "delete":
                t.execute(f"DELETE FROM accounts WHERE id = {id}")
                ran.wrote[id] = None
            case "sum" if not ran.wrote and ran.total is None:
                ran.total = int(str(rows(t, "SELECT coalesce(sum(balance), 0) FROM accounts")[0][0]))
    if chance.random() < 0.2:
        t.rollback()
        return None
    try:
        ran.version = t.commit()
    except headwater.TransactionConflict:
        return None
    return ran if ran.version else None


def test_committed_transactions_are_as_if_each_had_run_alone() -> None:
    """Four threads; what each transaction read is what the ones with lower versions had written."""
    with headwater.connect() as db:
        db.execute("CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT)")
        history: list[Ran] = []

        def work(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(25):
                ran = run_one(db, chance)
                if ran is not None:
                    history.append(ran)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model: dict[int, int] = {}
        for ran in sorted(history, key=lambda ran: ran.version):
            assert ran.total is None or ran.total == sum(model.values()), ran
            assert all(model.get(id) == balance for id, balance in ran.read), ran
            for id, balance in ran.wrote.items():
                if balance is None:
                    model.pop(id, None)
                else:
                    model[id] = balance
        assert len(history) > 20
        assert rows(db, "SELECT id, balance FROM accounts ORDER BY id") == sorted(model.items())
