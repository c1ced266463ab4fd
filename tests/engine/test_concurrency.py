"""Many threads at once: whoever looks sees one consistent cut. The bound is on work, not on time.

The bank: each commit moves money between two accounts, as two rows that cancel. So the sum of all balances is nought
in every answer, at every version, after every change that a subscriber sees.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import headwater
from headwater import Acknowledgement, Database
from tests.engine.watching import Rows, fold

ACCOUNTS = 10
APPENDERS = 4
TRANSFERS = 30  # by each appender
LONG = 60.0  # seconds without a change after which a subscriber gives up; only a deadlock takes so long

DEFINITIONS = """
CREATE STREAM entries (account INTEGER KEY, amount INTEGER) WITH (partitions = 3);
CREATE TABLE accounts (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE balances AS SELECT account, sum(amount) AS balance, count(*) AS n FROM entries GROUP BY account;
CREATE TABLE counted AS SELECT count(*) AS n FROM entries;
CREATE TABLE total AS SELECT sum(CAST(balance AS BIGINT)) AS total, sum(n) AS n FROM balances;
CREATE STREAM withdrawals AS SELECT account, amount FROM entries WHERE amount < 0;
CREATE TABLE withdrawn AS SELECT count(*) AS n FROM withdrawals;
"""


@pytest.fixture(params=[True, False], ids=["background", "asked"])
def bank(request: pytest.FixtureRequest) -> Iterator[Database]:
    with headwater.connect(background=request.param) as db:
        db.execute(DEFINITIONS)
        for account in range(ACCOUNTS):
            db.execute(f"INSERT INTO accounts VALUES ({account}, 'owner {account}')")
        yield db


def transfer(db: Database, chance: random.Random) -> Acknowledgement:
    source, target = chance.sample(range(ACCOUNTS), 2)
    amount = chance.randint(1, 100)
    return db.append("entries", [{"account": source, "amount": -amount}, {"account": target, "amount": amount}])


def append_all(db: Database, seed: int) -> list[Acknowledgement]:
    chance = random.Random(seed)
    return [transfer(db, chance) for _ in range(TRANSFERS)]


def look(db: Database, seed: int) -> None:
    """Asks for every view of the bank in one query, which must all stand at one point; now and in the past."""
    chance = random.Random(seed)
    for _ in range(20):
        version = db.version
        for position in ("", f" AS OF VERSION {chance.randint(0, version)}"):
            ((records, counted, total, withdrawn, balances),) = db.sql(f"""
                SELECT e.n, c.n, t.total, w.n, b.total
                FROM (SELECT count(*) AS n FROM entries) e, counted c, total t, withdrawn w,
                     (SELECT sum(balance) AS total FROM balances) b
                WHERE true{position}
            """).fetchall()
            assert records == counted == 2 * withdrawn
            assert (total or 0) == (balances or 0) == 0


def watch(db: Database, query: str) -> Rows:
    """The rows of account, balance and number of entries that `query` gives in the end."""
    rows: Rows = Rows()
    with db.subscribe(query) as watched:
        while sum(n for _, _, n in rows) < 2 * APPENDERS * TRANSFERS:
            batch = watched.poll(LONG)
            assert batch is not None, "the subscriber waits in vain"
            fold(batch, rows)
            assert sum(balance for _, balance, _ in rows) == 0
    return rows


def define(db: Database, seed: int) -> None:
    """Makes queries while rows arrive, and drops them again: each begins complete and stays so."""
    for n in range(6):
        name = f"late_{seed}_{n}"
        db.execute(f"CREATE TABLE {name} AS SELECT account, sum(amount) AS balance FROM entries GROUP BY account")
        pair = f"(SELECT sum(balance) FROM {name}) AS late, (SELECT sum(balance) FROM balances) AS early"
        ((late, early, missing),) = db.sql(
            f"SELECT {pair}, (SELECT count(*) FROM balances) - (SELECT count(*) FROM {name})"
        ).fetchall()
        assert (late or 0) == (early or 0) == missing == 0
        db.execute(f"DROP TABLE {name}")


BALANCES = "SELECT account, balance, n FROM balances"
JOINED = "SELECT a.id, b.balance, b.n FROM accounts a JOIN balances b ON a.id = b.account"


def test_every_snapshot_and_every_change_is_consistent(bank: Database) -> None:
    with ThreadPoolExecutor(APPENDERS + 5) as threads:
        appending = [threads.submit(append_all, bank, seed) for seed in range(APPENDERS)]
        watching = [threads.submit(watch, bank, query) for query in (BALANCES, JOINED)]
        looking = [*(threads.submit(look, bank, seed) for seed in range(2)), threads.submit(define, bank, 0)]
        acknowledged = [ack for future in appending for ack in future.result()]
        one, two = (future.result() for future in watching)
        for future in looking:
            future.result()
    assert one == two == Rows(bank.sql(BALANCES).fetchall())
    assert bank.sql("SELECT total, n FROM total").fetchall() == [(0, 2 * APPENDERS * TRANSFERS)]
    assert len({ack.version for ack in acknowledged}) == APPENDERS * TRANSFERS, "each append is a version"
