"""A subscription says of each batch what version it stands for, and another one goes on from there.

The law: what came up to a batch adds up to the query's answer AS OF the batch's version. So a client that keeps the
rows and the version can stop, come back in another process, and has missed nothing and counted nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from headwater import Database, OutOfRange, QueryFailed, Subscription
from headwater.storage import SimulatedDisk
from tests.engine.watching import Rows, fold, poll_all

DEFINITIONS = """
CREATE STREAM s (k INTEGER KEY, v INTEGER) WITH (partitions = 2);
CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER);
CREATE TABLE totals AS SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k;
CREATE TABLE many AS SELECT n, count(*) AS c FROM totals GROUP BY n;
CREATE STREAM big AS SELECT k, v FROM s WHERE v > 5;
"""
QUERIES = (
    "SELECT k, v FROM s WHERE v % 2 = 0",
    "SELECT * FROM totals",
    "SELECT k FROM totals WHERE n > 2",
    "SELECT max(total) AS top, count(*) AS n FROM totals",
    "SELECT t.w, m.c FROM t JOIN many m ON t.id = m.n",
    "SELECT totals.k, t.w FROM totals LEFT JOIN t ON totals.k = t.id",
    "SELECT k, total FROM totals ORDER BY total DESC LIMIT 2",
    "SELECT k, v FROM big",
    "SELECT count(*) AS n FROM big",
    "SELECT w FROM t UNION ALL SELECT n FROM many",
)


class Client:
    """Keeps the rows of a query, and the version that they stand for."""

    def __init__(self, query: str) -> None:
        self.query = query
        self.rows: Rows = Counter()
        self.version: int | None = None
        self.batches = 0

    def take(self, watched: Subscription, most: int) -> None:
        """Takes at most so many batches."""
        for _ in range(most):
            batch = watched.poll(0)
            if batch is None:
                return
            fold(batch, self.rows)
            self.version = batch.version
            self.batches += 1

    def check(self, db: Database) -> None:
        if self.version is not None:
            then = db.sql(f"SELECT * FROM ({self.query}) q AS OF VERSION {self.version}").fetchall()
            assert self.rows == Counter(then), self.query


@pytest.fixture
def db() -> Iterator[Database]:
    opened = Database(SimulatedDisk(seed=0), "db", None, background=False)
    opened.execute(DEFINITIONS)
    yield opened
    opened.close()


def write(db: Database, random: Random) -> None:
    for _ in range(random.choice([1, 2, 3])):
        if random.random() < 0.7:
            db.append(
                "s", [{"k": random.randrange(4), "v": random.randrange(10)} for _ in range(random.choice([1, 3]))]
            )
        else:
            db.append("t", [{"id": random.randrange(4), "w": random.randrange(3)}])
        if random.random() < 0.5:
            db.settle()


def test_clients_that_stop_and_come_back_miss_nothing_and_count_nothing_twice() -> None:
    """Also in another process: the database is closed and opened in between, and images are saved."""
    disk, random = SimulatedDisk(seed=0), Random(8)
    db = Database(disk, "db", None, background=False)
    db.execute(DEFINITIONS)
    clients = [Client(query) for query in QUERIES]
    watching = [db.subscribe(client.query) for client in clients]
    for number in range(8):
        write(db, random)
        if number in (2, 5):
            db.execute("CHECKPOINT")
        if number in (3, 6):
            db.close()
            db = Database(disk, "db", None, background=False)
        for place, client in enumerate(clients):
            if number in (3, 6) or random.random() < 0.4:
                watching[place] = db.subscribe(client.query, from_version=client.version)
            client.take(watching[place], random.choice([0, 1, 10]))
            client.check(db)
    assert sum(client.batches for client in clients) > 2 * len(clients)
    for client, watched in zip(clients, watching, strict=True):
        client.take(watched, 10)
        assert client.rows == Counter(db.sql(client.query).fetchall()), client.query
    db.close()


@pytest.mark.parametrize("query", ["SELECT * FROM totals", "SELECT k, v FROM s", "SELECT sum(total) AS x FROM totals"])
def test_one_can_go_on_from_any_version(db: Database, query: str) -> None:
    random = Random(3)
    for _ in range(6):
        write(db, random)
    now = Counter(db.sql(query).fetchall())
    for version in range(db.version + 1):
        rows = Counter(db.sql(f"{query} AS OF VERSION {version}").fetchall())
        assert poll_all(db.subscribe(query, from_version=version), rows) == now


def test_what_there_is_does_not_come_again(db: Database) -> None:
    db.append("s", [{"k": 1, "v": 1}])
    watched = db.subscribe("SELECT * FROM totals", from_version=db.version)
    assert watched.poll(0) is None
    db.append("s", [{"k": 1, "v": 2}])
    assert [(c.op, *c.row) for c in watched.poll(0) or ()] == [("-", 1, 1, 1), ("+", 1, 2, 3)]


def test_a_subscription_says_how_far_it_has_looked_also_where_nothing_changed(db: Database) -> None:
    watched = db.subscribe("SELECT k FROM totals WHERE n > 100")
    assert watched.version is None
    for v in range(3):
        version = db.append("s", [{"k": 1, "v": v}]).version
        assert watched.poll(0) is None
        assert watched.version is not None and watched.version >= version
    assert db.subscribe("SELECT k FROM totals WHERE n > 100", from_version=watched.version).poll(0) is None


def test_a_limit_counts_the_changes_of_each_subscription(db: Database) -> None:
    db.append("s", [{"k": 1, "v": v} for v in range(5)])
    version = db.version
    db.append("s", [{"k": 1, "v": v} for v in range(5, 10)])
    watched = db.subscribe("SELECT v FROM s EMIT CHANGES LIMIT 2", from_version=version)
    assert [change.row for change in watched] == [(5,), (6,)]
    assert watched.finished


def test_a_resumed_client_waits_where_a_paused_query_stands(db: Database) -> None:
    db.append("s", [{"k": 1, "v": 1}])
    watched = db.subscribe("SELECT * FROM totals")
    client = Client("SELECT * FROM totals")
    client.take(watched, 9)
    db.execute("PAUSE totals")
    db.append("s", [{"k": 1, "v": 2}])
    again = db.subscribe(client.query, from_version=client.version)
    assert again.poll(0) is None
    db.execute("RESUME totals")
    client.take(again, 9)
    client.check(db)
    assert client.rows == {(1, 2, 3): 1}


def test_one_cannot_go_on_from_where_a_query_had_failed(db: Database) -> None:
    db.execute("CREATE TABLE strict AS SELECT CAST(v::VARCHAR || k::VARCHAR AS TINYINT) AS x FROM s ON ERROR FAIL")
    client = Client("SELECT * FROM strict")
    db.append("s", [{"k": 1, "v": 1}])
    client.take(db.subscribe(client.query), 9)
    db.append("s", [{"k": 9, "v": 99}])
    db.settle()
    with pytest.raises(QueryFailed, match='"strict" stopped'):
        db.subscribe(client.query, from_version=db.version)
    with pytest.raises(QueryFailed, match='"strict" stopped'):
        db.subscribe(client.query, from_version=client.version).poll(0)


@pytest.mark.parametrize("version", [-1, 9999])
def test_a_version_that_is_not_there_is_an_error(db: Database, version: int) -> None:
    with pytest.raises(OutOfRange, match=rf"version {version} is not there: they go from 0 to \d+"):
        db.subscribe("SELECT * FROM totals", from_version=version)


def test_what_retention_took_cannot_be_resumed() -> None:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '1 hour')")
        early = db.append("s", [{"v": 1}]).version
        for v in range(8):
            disk.clock_us += 3_600_000_000
            db.append("s", [{"v": v}])
        db.execute("CHECKPOINT")
        for query in ("SELECT v FROM s", "SELECT count(*) AS n FROM s"):
            with pytest.raises(OutOfRange, match="retention has taken what came after it") as caught:
                db.subscribe(query, from_version=early)
            assert "the earliest is version" in (caught.value.hint or "")
