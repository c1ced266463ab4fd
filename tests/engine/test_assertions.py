"""CREATE ASSERTION: the rows that violate it are a table; ALERT tells of them, PAUSE stops queries, REJECT refuses."""

from __future__ import annotations

import errno
import threading
from random import Random
from typing import Any

import pytest

from headwater import Database, HeadwaterError, SqlError, connect
from headwater.engine.transactions import Transaction
from headwater.errors import AssertionViolated, NameTaken, NoSpace, TransactionConflict
from headwater.storage import Fault, FaultyStorage, SimulatedDisk


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


@pytest.fixture
def accounts(db: Database) -> Database:
    db.execute("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT); INSERT INTO accounts VALUES (1, 50), (2, 50)")
    return db


# ---------------------------------------------------------------- the rows that violate it, and alerts


def test_an_assertion_is_the_table_of_the_rows_that_violate_it_now_and_then(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0))")
    accounts.execute("UPDATE accounts SET balance = -1 WHERE id = 1")
    broken = accounts.version
    assert rows(accounts, "SELECT * FROM debt") == [(1, -1)]
    accounts.execute("UPDATE accounts SET balance = 1 WHERE id = 1")
    assert rows(accounts, "SELECT * FROM debt") == []
    assert rows(accounts, f"SELECT * FROM debt AS OF VERSION {broken}") == [(1, -1)]


def test_alerts_tell_at_which_commit_it_begins_to_be_violated_and_when_it_is_over(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0))")
    versions = []
    for balance in (-1, -2, 5, 7, -3):  # in one go: no step between these commits
        accounts.append("accounts", [(1, balance)])
        versions.append(accounts.version)
    began, _, over, _, again = versions
    assert rows(accounts, "SELECT * FROM debt_alerts") == [
        ("violated", began, 1, '{"id":1,"balance":-1}'),
        ("over", over, 0, None),
        ("violated", again, 1, '{"id":1,"balance":-3}'),
    ]
    assert rows(accounts, "SHOW ASSERTIONS") == [
        ("debt", "ALERT", "violated", 1, 2, again, "NOT EXISTS (SELECT * FROM accounts WHERE balance < 0)")
    ]


def test_describe_assertion_says_what_it_checks_and_how_it_stands_now_and_then(accounts: Database) -> None:
    accounts.execute("""
        CREATE TABLE sums AS SELECT sum(balance) AS total FROM accounts;
        CREATE ASSERTION enough CHECK ((SELECT total FROM sums) >= 100) ON VIOLATION PAUSE;
    """)
    held = accounts.version
    said = rows(accounts, "DESCRIBE ASSERTION enough")
    assert said == [
        ("checks", "(SELECT total FROM sums) >= 100"),
        ("on violation", "PAUSE sums"),
        ("state", "holds"),
        ("violations so far", "0"),
        ("alerts", "enough_alerts"),
    ]
    accounts.append("accounts", [(1, -1)])
    broken = accounts.version
    assert dict(rows(accounts, "DESCRIBE ASSERTION enough"))["state"] == (
        f"violated, and stands still, since version {broken}"
    )
    assert rows(accounts, f"DESCRIBE ASSERTION enough AS OF VERSION {held}") == said
    assert {("· on violation", "PAUSE sums", None)} <= set(rows(accounts, "DESCRIBE enough EXTENDED"))
    with pytest.raises(SqlError, match='there is no assertion "sums"'):
        accounts.sql("DESCRIBE ASSERTION sums")


def test_show_assertions_tells_what_was_so_then(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0))")
    accounts.append("accounts", [(1, -1)])
    broken = accounts.version
    accounts.settle()
    told = accounts.version
    accounts.append("accounts", [(1, 1)])
    assert rows(accounts, "SHOW ASSERTIONS")[0][2:4] == ("holds", 0)
    assert rows(accounts, f"SHOW ASSERTIONS AS OF VERSION {told}")[0][2:6] == ("violated", 1, 1, broken)
    assert rows(accounts, "EXPLAIN DROP ASSERTION debt") == [("DROP ASSERTION debt",)]


def test_one_that_is_violated_when_it_is_made_tells_so_at_once(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION poor CHECK (NOT EXISTS (SELECT id FROM accounts WHERE balance < 60))")
    ((state, _, count, _),) = rows(accounts, "SELECT * FROM poor_alerts")
    assert (state, count) == ("violated", 2)


def test_alerts_are_watched_as_any_stream(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0))")
    with accounts.subscribe("SELECT state, row FROM debt_alerts") as alerts:
        assert alerts.poll(0) is None
        accounts.execute("UPDATE accounts SET balance = -7 WHERE id = 2")
        assert [change.row for change in alerts.poll(1)] == [("violated", '{"id":2,"balance":-7}')]


@pytest.mark.parametrize(
    ("condition", "balances", "holds"),
    [
        ("(SELECT sum(balance) FROM accounts) = 100", [], True),
        ("(SELECT sum(balance) FROM accounts) = 100", [(3, 1)], False),
        ("(SELECT sum(balance) FROM accounts WHERE id > 9) = 100", [], True),  # NULL
        ("(SELECT count(*) FROM accounts) = (SELECT count(DISTINCT balance) FROM accounts)", [], False),
        ("EXISTS (SELECT * FROM accounts WHERE id = 3)", [], False),
        ("EXISTS (SELECT * FROM accounts WHERE id = 3)", [(3, 0)], True),
        ("(SELECT max(id) FROM accounts) < 9 AND (SELECT min(balance) FROM accounts) > 0", [], True),
        ("(SELECT max(id) FROM accounts) < 9 AND (SELECT min(balance) FROM accounts) > 0", [(9, 1)], False),
    ],
)
def test_any_condition_over_queries_can_be_asserted(
    accounts: Database, condition: str, balances: list[tuple[int, int]], holds: bool
) -> None:
    accounts.execute(f"CREATE ASSERTION a CHECK ({condition})")
    accounts.append("accounts", balances)
    assert rows(accounts, "SELECT * FROM a") == ([] if holds else [(False,)])


def test_it_goes_on_after_a_restart_and_tells_nothing_twice() -> None:
    disk = SimulatedDisk()
    for balance in (5, -1, -2, 3, -4, 1):
        with Database(disk, "db", None, background=False) as db:
            if db.pipeline.catalog.get("t") is None:
                db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
                db.execute("CREATE ASSERTION a CHECK (NOT EXISTS (SELECT * FROM t WHERE n < 0))")
            db.append("t", [(1, balance)])
            if balance % 2:
                db.settle()
    with Database(disk, "db", None, background=False) as db:
        told = rows(db, "SELECT state, row FROM a_alerts")
        assert told == [
            ("violated", '{"id":1,"n":-1}'), ("over", None), ("violated", '{"id":1,"n":-4}'), ("over", None),
        ]  # fmt: skip


def test_it_is_replaced_and_dropped_with_its_alerts(accounts: Database) -> None:
    accounts.execute("CREATE ASSERTION a CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0))")
    accounts.execute("CREATE OR REPLACE ASSERTION a CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance > 0))")
    assert len(rows(accounts, "SELECT * FROM a")) == 2
    with pytest.raises(SqlError, match='"a" is an assertion'):
        accounts.execute("DROP TABLE a")
    with pytest.raises(NameTaken, match='"accounts" is read by a'):
        accounts.execute("DROP TABLE accounts")
    accounts.execute("DROP ASSERTION a; CREATE TABLE a_alerts (x INT)")


# ---------------------------------------------------------------- PAUSE


def test_queries_that_it_names_stand_still_from_the_commit_that_broke_it_and_go_on_when_they_may(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (k INT, n INT);
        CREATE STREAM doubled AS SELECT k, 2 * n AS n FROM s;
        CREATE TABLE reader AS SELECT k, sum(n) AS n FROM doubled GROUP BY k;
        CREATE TABLE other AS SELECT count(*) AS n FROM s;
        CREATE ASSERTION small CHECK (NOT EXISTS (SELECT k FROM doubled WHERE n > 10)) ON VIOLATION PAUSE;
    """)
    for n in (1, 9, 2):
        db.append("s", [(n, n)])
    assert rows(db, "SELECT k FROM doubled") == [(1,), (9,)]
    assert rows(db, "SELECT * FROM other") == [(3,)]
    said = {name: (status, cause) for name, _, status, *_, cause, _ in rows(db, "SHOW QUERIES")}
    assert said["doubled"] == ("paused", 'the assertion "small" is violated: {"k":9}')
    assert said["reader"] == ("paused", '"doubled", which it reads, is paused')
    assert said["other"] == ("running", None)
    db.execute("RESUME doubled")
    assert rows(db, "SELECT k FROM doubled") == [(1,), (9,), (2,)]
    assert rows(db, "SELECT k FROM reader ORDER BY k") == [(1,), (2,), (9,)]
    assert {status for _, _, status, *_ in rows(db, "SHOW QUERIES")} == {"running"}


def test_of_a_source_that_it_names_the_queries_that_read_it_stand_still(accounts: Database) -> None:
    accounts.execute("""
        CREATE TABLE total AS SELECT sum(balance) AS n FROM accounts;
        CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0)) ON VIOLATION PAUSE;
        INSERT INTO accounts VALUES (1, -10);
        INSERT INTO accounts VALUES (1, 10);
    """)
    assert rows(accounts, "SELECT * FROM total") == [(40,)]
    assert rows(accounts, "SELECT state FROM debt_alerts") == [("violated",), ("over",)]
    accounts.execute("RESUME total")
    assert rows(accounts, "SELECT * FROM total") == [(60,)]


# ---------------------------------------------------------------- REJECT


@pytest.fixture
def guarded(accounts: Database) -> Database:
    accounts.execute("""
        CREATE ASSERTION debt CHECK (NOT EXISTS (SELECT * FROM accounts WHERE balance < 0)) ON VIOLATION REJECT;
        CREATE ASSERTION constant CHECK ((SELECT sum(balance) FROM accounts) = 100) ON VIOLATION REJECT;
    """)
    return accounts


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("INSERT INTO accounts VALUES (3, -5), (4, 5)", r'"debt": \{"id":3,"balance":-5\}'),
        ("INSERT INTO accounts VALUES (3, 5)", r'"constant": \{"holds":false\}'),
        ("UPDATE accounts SET balance = balance - 60 WHERE id = 1", r'"debt": \{"id":1,"balance":-10\}'),
        ("DELETE FROM accounts WHERE id = 1", '"constant"'),
        ("INSERT INTO accounts SELECT id + 2, balance FROM accounts", '"constant"'),
        ("BEGIN; UPDATE accounts SET balance = balance - 1 WHERE id = 1; COMMIT", '"constant"'),
    ],
)
def test_what_would_break_an_assertion_is_refused_with_the_rows_that_would(
    guarded: Database, statement: str, row: str
) -> None:
    before = guarded.version
    for _ in range(2):  # the first one leaves no trace in what looks at the second
        with pytest.raises(AssertionViolated, match=f"^this would break the assertion {row}"):
            guarded.execute(statement)
    assert guarded.version == before
    assert rows(guarded, "SELECT * FROM accounts ORDER BY id") == [(1, 50), (2, 50)]
    guarded.execute(
        "BEGIN; UPDATE accounts SET balance = 60 WHERE id = 1; UPDATE accounts SET balance = 40 WHERE id = 2"
    )
    guarded.execute("COMMIT")
    assert rows(guarded, "SELECT * FROM accounts ORDER BY id") == [(1, 60), (2, 40)]


def test_append_is_refused_too_and_a_refused_row_of_a_stream_leaves_no_trace(db: Database) -> None:
    db.execute("CREATE STREAM s (k INT)")
    db.execute("""CREATE ASSERTION few CHECK (NOT EXISTS (SELECT k FROM s GROUP BY k HAVING count(*) > 2))
        ON VIOLATION REJECT""")
    for key, taken in ((1, True), (1, True), (1, False), (2, True), (1, False), (2, True), (2, False)):
        if taken:
            db.append("s", [(key,)])
        else:
            with pytest.raises(AssertionViolated):
                db.append("s", [(key,)])
    assert rows(db, "SELECT k FROM s") == [(1,), (1,), (2,), (2,)]


def test_what_a_query_would_hold_can_be_asserted(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (k INT, n INT);
        CREATE TABLE totals AS SELECT k, sum(n) AS n FROM s GROUP BY k;
        CREATE ASSERTION a CHECK (NOT EXISTS (SELECT * FROM totals WHERE n < 0)) ON VIOLATION REJECT;
        INSERT INTO s VALUES (1, 5), (2, 1);
    """)
    with pytest.raises(AssertionViolated, match=r'\{"k":1,"n":-1\}'):
        db.execute("INSERT INTO s VALUES (1, -6)")
    assert rows(db, "SELECT n FROM totals ORDER BY k") == [(5,), (1,)]


def test_one_that_is_violated_already_is_not_made(accounts: Database) -> None:
    with pytest.raises(SqlError, match=r'"rich" is violated already: \{"id":\d\}, \{"id":\d\}'):
        accounts.execute("""CREATE ASSERTION rich CHECK (NOT EXISTS (SELECT id FROM accounts WHERE balance < 99))
            ON VIOLATION REJECT""")
    assert rows(accounts, "SHOW ASSERTIONS") == []
    accounts.execute("DELETE FROM accounts")


def test_it_holds_after_a_restart_and_no_more_once_it_is_dropped() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1)")
        db.execute("CREATE ASSERTION a CHECK ((SELECT sum(n) FROM t) < 9) ON VIOLATION REJECT; CHECKPOINT")
        db.execute("INSERT INTO t VALUES (2, 2)")
    with Database(disk, "db", None, background=False) as db:
        with pytest.raises(AssertionViolated):
            db.execute("INSERT INTO t VALUES (3, 6)")
        db.execute("DROP ASSERTION a; INSERT INTO t VALUES (3, 6)")


def test_a_query_that_is_replaced_must_not_break_an_assertion_about_it(accounts: Database) -> None:
    accounts.execute("""
        CREATE TABLE seen AS SELECT id, balance FROM accounts;
        CREATE ASSERTION a CHECK (NOT EXISTS (SELECT * FROM seen WHERE balance < 0)) ON VIOLATION REJECT;
    """)
    with pytest.raises(SqlError, match='"a" is violated already'):
        accounts.execute("CREATE OR REPLACE TABLE seen AS SELECT id, balance - 70 AS balance FROM accounts")
    accounts.execute("CREATE OR REPLACE TABLE seen AS SELECT id, balance - 30 AS balance FROM accounts")
    with pytest.raises(AssertionViolated):
        accounts.execute("UPDATE accounts SET balance = 20")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("1 = 1", "an assertion is about the rows of streams and tables, and this names none"),
        ("NOT EXISTS (SELECT * FROM nowhere)", 'there is no stream or table "nowhere"'),
        ("NOT EXISTS (SELECT * FROM s WHERE ROWTIME > now() - INTERVAL 1 DAY)", "REJECT cannot foresee what follows"),
        ("NOT EXISTS (SELECT * FROM taker)", 'REJECT cannot refuse the rows of "taker", whose rows come from queries'),
        ("NOT EXISTS (SELECT * FROM q_errors)", 'REJECT cannot refuse the rows of "q_errors", whose rows come from'),
        ("NOT EXISTS (SELECT * FROM jobs)", 'REJECT cannot refuse the rows of "jobs", which is a queue'),
        ("(SELECT a FROM s) = 1", "a subquery that stands for a value is one aggregate of all rows"),
    ],
)
def test_an_assertion_that_cannot_be_is_refused_where_it_stands(db: Database, condition: str, message: str) -> None:
    db.execute("""
        CREATE STREAM s (a INT); CREATE STREAM taker (a INT); CREATE QUEUE jobs ON s;
        CREATE STREAM q AS SELECT a FROM s CHECK (a > 0) ON VIOLATION INSERT INTO taker;
    """)
    with pytest.raises(SqlError, match=message) as caught:
        db.execute(f"CREATE ASSERTION a CHECK ({condition}) ON VIOLATION REJECT")
    assert caught.value.span is not None


def test_no_query_may_put_rows_where_an_assertion_refuses_some(db: Database) -> None:
    db.execute("CREATE STREAM s (a INT); CREATE STREAM t (a INT)")
    db.execute("CREATE ASSERTION few CHECK ((SELECT count(*) FROM s) < 3) ON VIOLATION REJECT")
    with pytest.raises(SqlError, match='no query can put rows into "s": the assertion "few" could not refuse them'):
        db.execute("CREATE STREAM q AS SELECT a FROM t CHECK (a > 0) ON VIOLATION INSERT INTO s")


# ---------------------------------------------------------------- random histories

BROKEN = {
    "debt": "SELECT * FROM accounts{} WHERE balance < 0",
    "busy": "SELECT id FROM sales{} GROUP BY id HAVING sum(n) > 12",
    "rich": "SELECT sum(balance) AS s FROM accounts{} HAVING sum(balance) > 60",
}


class History:
    """Interleaved transactions over accounts and sales, and what the tables must hold."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db = db
        self.random = Random(seed)
        self.refused = self.committed = 0
        db.execute("CREATE TABLE accounts (id INT PRIMARY KEY, balance INT); CREATE STREAM sales (id INT, n INT)")
        for name, query in BROKEN.items():
            db.execute(f"CREATE ASSERTION {name} CHECK (NOT EXISTS ({query.format('')})) ON VIOLATION REJECT")

    def write(self, transaction: Transaction) -> None:
        id, n = self.random.randint(1, 4), self.random.randint(-12, 20)
        transaction.execute(self.random.choice([
            f"INSERT INTO accounts VALUES ({id}, {n})", f"INSERT INTO sales VALUES ({id}, {n % 9})",
            f"UPDATE accounts SET balance = balance + {n} WHERE id = {id}", f"DELETE FROM accounts WHERE id = {id}",
        ]))  # fmt: skip

    def commit(self, transaction: Transaction) -> None:
        """Commits, and sees that what is refused would have broken an assertion, and what is not does not."""
        before = {name: rows(self.db, f"SELECT * FROM {name}") for name in ("accounts", "sales")}
        try:
            transaction.commit()
        except TransactionConflict:
            return
        except AssertionViolated as error:
            self.refused += 1
            broken = error.message.split('"')[1]
            assert before == {name: rows(self.db, f"SELECT * FROM {name}") for name in before}
            assert self.with_writes(transaction, broken), error
        else:
            self.committed += 1
            self.check(self.db.version)

    def with_writes(self, transaction: Transaction, broken: str) -> list[tuple[Any, ...]]:
        """The rows that would violate an assertion if the transaction had been committed."""
        with connect(background=False) as other:
            other.execute(
                "CREATE TABLE accounts (id INT PRIMARY KEY, balance INT); CREATE STREAM sales (id INT, n INT)"
            )
            for name in ("accounts", "sales"):
                other.append(name, rows(self.db, f"SELECT * FROM {name}"))
            for append in transaction._own.appends:
                stored = append.rows.to_pylist()
                for row in stored:
                    if "balance" in row and row["$weight"] < 0:
                        other.execute(f"DELETE FROM accounts WHERE id = {row['id']}")
                    elif "balance" in row:
                        other.append("accounts", [(row["id"], row["balance"])])
                    else:
                        other.append("sales", [(row["id"], row["n"])])
            return rows(other, BROKEN[broken].format(""))

    def check(self, version: int) -> None:
        for query in BROKEN.values():
            assert rows(self.db, query.format(f" AS OF VERSION {version}")) == []


@pytest.mark.parametrize("seed", range(2))
def test_no_version_violates_an_assertion_and_what_is_refused_would_have(seed: int) -> None:
    with connect(background=False) as db:
        history, open_ones = History(db, seed), list[Transaction]()
        for _ in range(100):
            choice = history.random.random()
            if not open_ones or (choice < 0.2 and len(open_ones) < 3):
                open_ones.append(db.transaction())
                continue
            transaction = history.random.choice(open_ones)
            if choice < 0.6:
                history.write(transaction)
                continue
            open_ones.remove(transaction)
            if choice < 0.65:
                transaction.rollback()
            else:
                history.commit(transaction)
        assert history.refused and history.committed
        for name in BROKEN:
            assert rows(db, f"SELECT * FROM {name}") == []


def test_writers_on_several_threads_never_break_it_together() -> None:
    with connect() as db:
        db.execute("CREATE TABLE seats (id INT PRIMARY KEY, n INT)")
        db.execute("CREATE ASSERTION few CHECK ((SELECT sum(n) FROM seats) <= 20) ON VIOLATION REJECT")
        refused = []

        def book(first: int) -> None:
            for seat in range(first, first + 10):
                try:
                    db.append("seats", [(seat, 1)])
                except HeadwaterError as error:
                    refused.append(type(error))

        threads = [threading.Thread(target=book, args=(100 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rows(db, "SELECT sum(n) FROM seats") == [(20,)]
        assert refused == [AssertionViolated] * 20


@pytest.mark.parametrize("relation", ["t", "s"])
def test_rows_that_did_not_get_on_the_disk_do_not_count(relation: str) -> None:
    disk = FaultyStorage(SimulatedDisk())
    with Database(disk, "db", None, background=False) as db:
        db.execute(f"""
            CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE STREAM s (id INT, n INT);
            CREATE ASSERTION few CHECK ((SELECT count(*) FROM {relation}) < 3) ON VIOLATION REJECT
        """)
        for id in (1, 2):
            disk.plan = (Fault("pwrite", disk.counts["pwrite"] + 1, errno.ENOSPC),)
            with pytest.raises(NoSpace):
                db.append(relation, [(id, 0)])
            disk.plan = ()
            db.append(relation, [(id, 0)])
        with pytest.raises(AssertionViolated):
            db.append(relation, [(3, 0)])
        assert rows(db, f"SELECT count(*) FROM {relation}") == [(2,)]
