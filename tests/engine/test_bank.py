"""The bank test of internal consistency: money moves between accounts, so all balances add up to zero, always.

Queries stand on queries: transfers that count, credits and debits by account, balances by a full join and by a union,
totals. Each output of each of them must be one of the same transfers: a total that is not zero, for however short a
time, was made of credits and debits of different moments.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headwater import Database, connect
from headwater.engine.subscription import Subscription

ACCOUNTS = 12
QUERIES = """
    CREATE TABLE credits AS SELECT dst AS account, sum(amount) AS credits FROM accepted GROUP BY dst;
    CREATE TABLE debits AS SELECT src AS account, sum(amount) AS debits FROM accepted GROUP BY src;
    CREATE TABLE balance AS
      SELECT coalesce(c.account, d.account) AS account, coalesce(c.credits, 0) - coalesce(d.debits, 0) AS balance
      FROM credits c FULL JOIN debits d ON c.account = d.account;
    CREATE TABLE balance2 AS
      SELECT account, sum(amount) AS balance
      FROM (SELECT dst AS account, amount FROM accepted UNION ALL SELECT src, -amount FROM accepted) q GROUP BY account;
    CREATE TABLE total AS SELECT sum(balance) AS total FROM balance;
    CREATE TABLE total2 AS SELECT sum(balance) AS total FROM balance2;
    CREATE TABLE difference AS
      SELECT b.account, b.balance AS one, c.balance AS other
      FROM balance b FULL JOIN balance2 c ON b.account = c.account WHERE b.balance IS DISTINCT FROM c.balance;
"""
SOURCES = {
    "stream": """
        CREATE STREAM transfers (id BIGINT KEY, src INTEGER, dst INTEGER, amount BIGINT, at TIMESTAMP)
          WITH (partitions = 3, timestamp = 'at');
        CREATE STREAM accepted AS SELECT id, src, dst, amount FROM transfers WHERE amount < 900;
    """,
    "table": """
        CREATE TABLE transfers (id BIGINT PRIMARY KEY, src INTEGER, dst INTEGER, amount BIGINT, at TIMESTAMP);
        CREATE TABLE accepted AS SELECT id, src, dst, amount FROM transfers WHERE amount < 900;
    """,
}
CHANGES = (
    "UPDATE transfers SET amount = amount + 1 WHERE id % 7 = {n}",
    "UPDATE transfers SET dst = src, src = dst WHERE id % 7 = {n}",
    "UPDATE transfers SET dst = (dst + {n}) % 12 WHERE id % 5 = 1",
    "UPDATE transfers SET amount = 1800 - amount WHERE id % 7 = {n}",  # many are accepted now, others no longer
    "DELETE FROM transfers WHERE id % 11 = {n}",
    "DELETE FROM transfers WHERE src = {n}",
)


def transfers(random: Random, first: int, count: int) -> list[dict[str, Any]]:
    """Transfers with the ids from `first` on, the times of which are out of order."""
    noon = datetime(2026, 1, 1, 12)
    return [
        {
            "id": id, "src": random.randrange(ACCOUNTS), "dst": random.randrange(ACCOUNTS),
            "amount": random.randrange(1, 1000), "at": noon + timedelta(seconds=id - random.randrange(60)),
        }
        for id in range(first, first + count)
    ]  # fmt: skip


class Bank:
    """A database in which money moves, and somebody who watches the totals."""

    def __init__(self, source: str, path: Path | None = None, *, background: bool = False) -> None:
        self.random = Random(source)
        self.source = source
        self.path, self.background = path, background
        self.db = self._open()
        self.db.execute(SOURCES[source] + QUERIES)
        self.watch()

    def _open(self) -> Database:
        return connect(self.path, background=self.background)

    def watch(self) -> None:
        self.watched = {name: self.db.subscribe(f"SELECT * FROM {name}") for name in ("total", "total2", "difference")}

    def reopen(self) -> None:
        self.check_watched()
        self.db.close()
        self.db = self._open()
        self.watch()

    def change(self) -> None:
        """Something that a stream cannot do, to a table."""
        if self.source == "table":
            self.db.execute(self.random.choice(CHANGES).format(n=self.random.randrange(7)))

    # ---------------------------------------------------------------- what must be true

    def check_watched(self) -> None:
        for name in ("total", "total2"):
            for change in changes(self.watched[name]):
                assert change.row[0] in (None, 0), (name, change)
        assert list(changes(self.watched["difference"])) == []

    def check_changelogs(self) -> None:
        """Every row that was ever a total, and at each version the sum of all balances."""
        for name in ("total", "total2"):
            for _, rows in self._changes(name):
                assert {row["total"] for row in rows} <= {None, 0}, name
        assert list(self._changes("difference")) == []
        for name in ("balance", "balance2"):
            content: Counter[tuple[int, int]] = Counter()
            for version, rows in self._changes(name):
                for row in rows:
                    content[row["account"], row["balance"]] += row["$weight"]
                assert sum(balance * weight for (_, balance), weight in content.items()) == 0, (name, version)
                assert len(+content) == len({account for account, _ in +content}), (name, version)

    def _changes(self, name: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The stored changes of a table, by version."""
        relation = self.db.pipeline.catalog.get(name)
        assert relation is not None
        for chunk in self.db.log.scan(relation.id):
            yield chunk.version, chunk.rows.to_pylist()

    def check_now(self, where: str = "") -> None:
        """One query over all of the tables."""
        row = self.db.sql(f"""
            SELECT (SELECT sum(balance) FROM balance), (SELECT sum(balance) FROM balance2),
                   (SELECT total FROM total), t.total,
                   (SELECT sum(credits) FROM credits) - (SELECT sum(debits) FROM debits),
                   (SELECT sum(amount) FROM accepted) - (SELECT sum(credits) FROM credits),
                   (SELECT nullif(count(*), 0) FROM difference)
            FROM total2 t WHERE true {where}
        """).fetchone()
        assert row is not None and set(row) <= {None, 0}, (where, row)

    def check_past(self, most: int) -> None:
        """The same as of every version, or of so many of them."""
        (first,) = self._changes("total2").__next__()[:1]
        versions = range(first, self.db.version + 1)
        for version in versions if len(versions) <= most else sorted(self.random.sample(versions, most)):
            self.check_now(f"AS OF VERSION {version}")


def changes(subscription: Subscription) -> Iterator[Any]:
    while (batch := subscription.poll(0)) is not None:
        yield from batch


@pytest.mark.parametrize("step", [1, 3, 50])
@pytest.mark.parametrize("source", SOURCES)
def test_the_total_is_zero_in_every_output(source: str, step: int) -> None:
    bank = Bank(source)
    for number in range(30):
        bank.db.append("transfers", transfers(bank.random, number * 5, bank.random.randint(1, 8)))
        if number % 4 == 3:
            bank.change()
        if number % step == 0:
            bank.db.settle()
            bank.check_watched()
            bank.check_now()
        if number == 15:
            bank.db.execute("CHECKPOINT")
    bank.check_now()
    bank.check_watched()
    bank.check_changelogs()
    bank.check_past(15)
    bank.db.close()


@pytest.mark.parametrize("source", SOURCES)
def test_the_total_is_zero_while_many_threads_append_and_after_a_restart(source: str, tmp_path: Path) -> None:
    bank = Bank(source, tmp_path / "bank.hw", background=True)
    for round_ in range(2):

        def append(thread: int, first: int = 10_000 * round_) -> None:
            random = Random(first + thread)
            for number in range(12):
                start = first + 1_000 * thread + 20 * number
                bank.db.append("transfers", transfers(random, start, random.randint(1, 20)))

        threads = [threading.Thread(target=append, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            bank.check_now()
            bank.change()
            bank.check_watched()
        for thread in threads:
            thread.join()
        bank.check_now()
        bank.check_watched()
        if not round_:
            bank.reopen()
    bank.check_changelogs()
    bank.check_past(15)
    bank.db.close()
