"""The past of a table from what the log has stored of it is what a circuit computes, wherever the log says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from headwater import Database
from headwater.engine.past import Past
from headwater.engine.stored import stored_at
from headwater.errors import PositionGone
from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from headwater.planner import Relation
from headwater.storage import SimulatedDisk

Rows = Counter[tuple[Any, ...]]


class Shop:
    """Bids, and tables that are computed from them; each commit is a step, and now and then there is an image."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], Rows] = {}  # what tables were at versions
        self.disk = SimulatedDisk()
        self.disk.clock_us = 1_700_000_000_000_000
        self.db = self._open()
        self.db.execute("""
            CREATE STREAM bids (auction BIGINT, price INTEGER);
            CREATE TABLE people (name VARCHAR PRIMARY KEY, age INTEGER);
            CREATE TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total FROM bids GROUP BY auction;
            CREATE TABLE prices AS SELECT price % 3 AS part FROM bids;
        """)

    def _open(self) -> Database:
        return Database(self.disk, "db", None, background=False)

    def reopen(self) -> None:
        self.db.close()
        self.db = self._open()

    def work(self, commits: int = 6) -> None:
        for number in range(commits):
            price = self.db.version
            self.db.append("bids", [{"auction": price % 4, "price": price}, {"auction": number, "price": 1}])
            self.db.append("people", [{"name": f"name{number % 3}", "age": price}])
            if number % 3 == 2:
                self.db.execute("DELETE FROM people WHERE name = 'name1'")
            self.db.settle()

    def relation(self, name: str) -> Relation:
        relation = self.db.pipeline.catalog.get(name)
        assert relation is not None
        return relation

    def stored(self, name: str) -> list[bool]:
        """Of each version, whether what the log has stored makes a table then."""
        return [stored_at(self.db.log, self.relation(name), Cut(v)) is not None for v in range(self.db.log.version + 1)]

    def compare(self, *names: str) -> None:
        """The past of tables at every version is what a circuit computes or, where retention has taken what that
        needs, what it has computed before; or it is no more.
        """
        past = Past(self.db.log)
        for name in names:
            for version in range(self.db.log.version + 1):
                relation, cut = self.relation(name), Cut(version)
                gone = False
                try:
                    circuit = circuit_at(self.db.log, [relation.content()], cut)
                    self.known[name, version] = counted(circuit.rows(relation.content()))
                except PositionGone:
                    gone = True
                if gone and stored_at(self.db.log, relation, cut) is None:
                    with pytest.raises(PositionGone):
                        past.rows(relation.content(), relation, cut)
                else:
                    found = past.rows(relation.content(), relation, cut)
                    assert counted(found) == self.known[name, version], (name, version)

    def ask(self, sql: str) -> Rows:
        return Counter(self.db.sql(sql).fetchall())


def counted(rows: Any) -> Rows:
    return Counter(tuple(row.values()) for row in rows.to_pylist())


@pytest.fixture
def shop() -> Iterator[Shop]:
    opened = Shop()
    yield opened
    opened.db.close()


TABLES = ("totals", "prices", "people")


def test_where_steps_end_the_log_has_the_table_and_after_a_restart_too(shop: Shop) -> None:
    shop.work()
    shop.db.execute("CHECKPOINT")
    shop.work()
    for _ in range(2):
        shop.compare(*TABLES)
        assert shop.stored("totals")[-1] and sum(shop.stored("totals")) > 12
        shop.reopen()
    assert all(shop.stored("people")), "each commit of a source table is in its log"


def test_inside_a_step_a_circuit_computes_it(shop: Shop) -> None:
    shop.db.append("bids", [{"auction": 1, "price": 1}])
    inside = shop.db.append("bids", [{"auction": 1, "price": 2}]).version
    shop.db.append("bids", [{"auction": 1, "price": 3}])
    shop.db.settle()
    assert [shop.stored("totals")[v] for v in (inside, inside + 1, inside + 2)] == [False, True, True]
    shop.compare(*TABLES)


@pytest.mark.parametrize("order", [1, -1])
def test_versions_that_are_asked_one_after_the_other_are_the_same_from_a_circuit_that_goes_on(
    shop: Shop, order: int
) -> None:
    for price in range(12):
        shop.db.append("bids", [{"auction": price % 3, "price": price}])
    shop.db.settle()
    past, totals = Past(shop.db.log), shop.relation("totals")
    assert not any(shop.stored("totals")[8:14])
    for version in list(range(8, 14))[::order]:
        expected = circuit_at(shop.db.log, [totals.content()], Cut(version)).rows(totals.content())
        assert counted(past.rows(totals.content(), totals, Cut(version))) == counted(expected)


def test_images_that_are_no_more_and_none_at_all(shop: Shop) -> None:
    for _ in range(3):
        shop.work(3)
        shop.db.execute("CHECKPOINT")
    shop.work(2)
    for image in shop.db.log.images():
        file = shop.disk.open(f"db/images/{image.name}")
        file.pwrite(100, b"damaged")
        shop.compare(*TABLES)


def test_a_query_that_stood_still_is_computed_for_that_time(shop: Shop) -> None:
    shop.work(2)
    shop.db.execute("CHECKPOINT; PAUSE totals")
    paused = shop.db.version
    shop.work(3)
    shop.db.execute("CHECKPOINT")
    shop.compare("totals", "prices")
    shop.work(1)
    shop.db.execute("RESUME totals")
    resumed = shop.db.version
    shop.db.execute("CHECKPOINT")
    shop.work(2)
    shop.compare("totals", "prices")
    stored = shop.stored("totals")
    assert stored[paused - 1] and stored[-1] and not any(stored[paused + 1 : resumed - 1])


def test_a_query_that_fails_and_goes_on(shop: Shop) -> None:
    shop.db.execute("""
        CREATE STREAM texts (v VARCHAR);
        CREATE TABLE strict AS SELECT CAST(v AS INTEGER) AS n, count(*) AS times FROM texts GROUP BY n ON ERROR FAIL;
        INSERT INTO texts VALUES ('1'), ('2');
    """)
    shop.db.settle()
    good = shop.db.version
    shop.db.execute("CHECKPOINT; INSERT INTO texts VALUES ('x')")
    shop.db.settle()
    assert shop.ask(f"SELECT * FROM strict AS OF VERSION {good}") == {(1, 1): 1, (2, 1): 1}
    assert not shop.stored("strict")[-1] and shop.stored("strict")[good]


def test_a_query_that_is_made_late_or_anew_is_computed_for_the_time_before(shop: Shop) -> None:
    shop.work(3)
    shop.db.execute("CREATE TABLE late AS SELECT price, count(*) AS n FROM bids GROUP BY price")
    shop.db.execute(
        "CREATE TABLE again AS SELECT auction, count(*) AS n, sum(price) AS total FROM bids GROUP BY auction"
    )
    made = shop.db.version
    shop.db.execute("CHECKPOINT")
    shop.work(3)
    shop.compare("late", "again")
    assert not any(shop.stored("late")[: made - 2]) and shop.stored("late")[-1]
    shop.db.execute("CREATE OR REPLACE TABLE late AS SELECT price, sum(auction) AS n FROM bids GROUP BY price")
    shop.work(2)
    shop.compare("late", *TABLES)


@pytest.mark.parametrize("tables", ["bids", "totals", "people", "bids, totals"])
def test_what_retention_took_is_gone_as_before(shop: Shop, tables: str) -> None:
    for table in tables.split(", "):
        name = {"bids": "old_bids", "totals": "old_totals", "people": "old_people"}[table]
        shop.db.execute({
            "bids": f"CREATE STREAM {name} (auction BIGINT, price INTEGER) WITH (retention = '1 hour')",
            "totals": f"CREATE TABLE {name} WITH (retention = '1 hour') AS SELECT * FROM totals",
            "people": f"CREATE TABLE {name} (name VARCHAR PRIMARY KEY, age INTEGER) WITH (retention = '1 hour')",
        }[table])  # fmt: skip
    if "bids" in tables:
        shop.db.execute("CREATE TABLE of_old AS SELECT auction, count(*) AS n FROM old_bids GROUP BY auction")
    derived = {"bids": "of_old", "totals": "old_totals", "people": "old_people"}
    names = [derived[table] for table in tables.split(", ")]
    for hour in range(4):
        for number in range(4):
            shop.work(1)
            if "bids" in tables:
                shop.db.append("old_bids", [{"auction": number, "price": hour}])
            if "people" in tables:
                shop.db.append("old_people", [{"name": f"name{number}", "age": hour}])
        shop.disk.clock_us += 3_600_000_000
        shop.db.execute("CHECKPOINT")
        shop.compare(*names)


LOOK_UPS = [
    "SELECT * FROM totals{point} WHERE {auction} = 2",
    "SELECT n FROM totals{point} AS t WHERE 2 = {t.auction} AND n > 1",
    "SELECT * FROM people{point} WHERE {name} = 'name2'",
    "SELECT * FROM people{point} WHERE {name} = 'name1'",
    "SELECT (SELECT n FROM totals{point} WHERE {auction} = 2) AS one, count(*) FROM totals{point}",
    "SELECT * FROM totals{point} WHERE {auction} = 99",
    "SELECT * FROM totals{point} WHERE {auction} = -1",
    "SELECT * FROM totals{point} WHERE {auction} = '2'",
    "SELECT * FROM totals{point} WHERE {auction} = 2.0",
    "SELECT * FROM totals{point} WHERE {auction} = 99999999999999999999",
    "SELECT * FROM totals{point} WHERE {auction} = 2 AND {auction} = 3",
    "SELECT count(*) FROM totals{point} WHERE {auction} = 2 OR {auction} = 3",
    "SELECT n AS auction FROM totals{point} WHERE {auction} = 2",
    "WITH totals AS (SELECT 2 AS auction, 5 AS n) SELECT * FROM totals WHERE {auction} = 2",
    "SELECT a.n, b.n FROM totals{point} a JOIN totals{point} b USING (auction) WHERE {a.auction} = 2",
]


@pytest.mark.parametrize("question", LOOK_UPS)
def test_a_question_for_one_key_is_answered_as_one_that_reads_all_rows(shop: Shop, question: str) -> None:
    def asked(point: str, *, is_hidden: bool) -> str:
        """The question, in which a key may be hidden in an expression, so that nobody knows that it is one."""
        filled = question.replace("{point}", point)
        for name, hidden in (
            ("auction", "{} + 0"),
            ("t.auction", "{} + 0"),
            ("a.auction", "{} + 0"),
            ("name", "{} || ''"),
        ):
            filled = filled.replace(f"{{{name}}}", hidden.format(name) if is_hidden else name)
        return filled

    shop.work()
    shop.db.execute("CHECKPOINT")
    shop.work()
    for version in (None, 0, 10, 17, shop.db.version - 3, shop.db.version):
        point = "" if version is None else f" AS OF VERSION {version}"
        assert shop.ask(asked(point, is_hidden=False)) == shop.ask(asked(point, is_hidden=True))
