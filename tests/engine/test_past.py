"""AS OF: what was it then. Every answer equals what the same question was answered with at the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from headwater import Database, HeadwaterError, OutOfRange, SqlError, UnknownName
from headwater.storage import SimulatedDisk

NOON = datetime(2026, 1, 1, 12)


class Shop:
    """A database whose clock stands still until it is moved, a minute per append."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk()
        self.disk.clock_us = int((NOON - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
        self.db = Database(self.disk, "db", None, background=False)
        self.db.execute("""
            CREATE STREAM bids (auction INTEGER KEY, price INTEGER) WITH (partitions = 2);
            CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR);
            CREATE TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total FROM bids GROUP BY auction;
            CREATE STREAM high AS SELECT auction, price FROM bids WHERE price >= 10;
            CREATE TABLE named AS SELECT name, sum(price) AS spent FROM bids JOIN people ON auction = id GROUP BY name;
        """)

    def wait(self, **duration: float) -> None:
        assert self.disk.clock_us is not None
        self.disk.clock_us += int(timedelta(**duration).total_seconds() * 1_000_000)

    def bid(self, *some: tuple[int, int]) -> int:
        """Appends bids in one commit, a minute after the last; gives the version."""
        self.wait(minutes=1)
        return self.db.append("bids", [{"auction": a, "price": p} for a, p in some]).version

    def name(self, id: int, name: str) -> int:
        self.wait(minutes=1)
        return self.db.append("people", [{"id": id, "name": name}]).version

    def ask(self, sql: str) -> Counter[tuple[Any, ...]]:
        return Counter(self.db.sql(sql).fetchall())


@pytest.fixture
def shop() -> Iterator[Shop]:
    opened = Shop()
    yield opened
    opened.db.close()


@pytest.fixture
def history(shop: Shop) -> Shop:
    """Ten bids with the prices 0 to 9 and ten of 10 to 19, two a commit, with steps and names in between."""
    for n in range(0, 20, 2):
        shop.bid((5 + n % 3, n), (5 + (n + 1) % 3, n + 1))
        if n in (4, 12):
            shop.name(5 + n % 3, f"name{n}")
        if n % 6 == 0:
            shop.db.settle()
    return shop


QUESTIONS = [
    "SELECT * FROM bids{}",
    "SELECT auction, price, ROWPARTITION, ROWOFFSET, ROWTIME FROM bids{}",
    "SELECT * FROM people{}",
    "SELECT * FROM totals{}",
    "SELECT * FROM high{}",
    "SELECT * FROM named{}",
    "SELECT count(*), sum(price) FROM high{}",
    "SELECT n, count(*) FROM totals{} GROUP BY n",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_as_of_a_version_or_a_time_gives_what_was_answered_then(shop: Shop, question: str) -> None:
    answers = {}
    for n in range(12):
        shop.bid((n % 3, n), (n % 2, 20 - n))
        if n % 4 == 0:
            shop.name(n % 3, f"name{n}")
        answers[shop.db.version, shop.disk.now_us()] = shop.ask(question.format(""))
        if n == 6:
            shop.db.execute("CHECKPOINT")
    for (version, time_us), answer in answers.items():
        time = datetime(1970, 1, 1) + timedelta(microseconds=time_us)
        assert shop.ask(question.format(f" AS OF VERSION {version}")) == answer
        assert shop.ask(question.format(f" AS OF TIMESTAMP '{time}'")) == answer
        assert shop.ask(question.format(f" FOR SYSTEM_TIME AS OF '{time}'")) == answer


@pytest.mark.parametrize("count", [0, 1, 2, 7, 13, 20])
def test_as_of_an_offset_is_the_result_over_exactly_the_first_so_many_records(history: Shop, count: int) -> None:
    """Also where the offset lies inside a commit, which has two bids, and inside a step."""
    prices = sorted(price for (price,) in history.db.sql(f"SELECT price FROM bids AS OF OFFSET {count}").fetchall())
    assert len(prices) == count
    assert prices[: count // 2 * 2] == list(range(count // 2 * 2))
    grouped = "SELECT auction, count(*), sum(price) FROM bids AS OF OFFSET {} GROUP BY auction"
    assert history.ask(f"SELECT * FROM totals AS OF OFFSET {count}") == history.ask(grouped.format(count))
    above = f"SELECT auction, price FROM bids AS OF OFFSET {count} WHERE price >= 10"
    assert history.ask(f"SELECT * FROM high AS OF OFFSET (bids => {count})") == history.ask(above)


def test_offsets_of_partitions_cut_each_of_them(history: Shop) -> None:
    ends = dict(history.db.sql("SELECT ROWPARTITION, count(*) FROM bids GROUP BY 1").fetchall())
    assert ends.keys() == {0, 1}
    for zero in (0, 3, ends[0]):
        cut = f"AS OF OFFSET (0 => {zero}, 1 => 2)"
        in_range = f"(ROWPARTITION = 0 AND ROWOFFSET < {zero}) OR (ROWPARTITION = 1 AND ROWOFFSET < 2)"
        assert history.ask(f"SELECT * FROM bids {cut}") == history.ask(f"SELECT * FROM bids WHERE {in_range}")
        groups = f"SELECT auction, count(*), sum(price) FROM bids WHERE {in_range} GROUP BY auction"
        assert history.ask(f"SELECT * FROM totals {cut}") == history.ask(groups)


def test_a_partition_that_is_not_named_stands_where_it_stood_then(shop: Shop) -> None:
    versions = [shop.bid((5, 1), (6, 2), (7, 3), (8, 4)) for _ in range(3)]
    ends = dict(
        shop.db.sql(f"SELECT ROWPARTITION, count(*) FROM bids AS OF VERSION {versions[1]} GROUP BY 1").fetchall()
    )
    cut = f"AS OF OFFSET (0 => {ends[0]})"
    assert dict(shop.db.sql(f"SELECT ROWPARTITION, count(*) FROM bids {cut} GROUP BY 1").fetchall()) == ends


def test_several_sources_are_named_and_each_is_cut_by_itself(history: Shop) -> None:
    counts = "SELECT b.n, p.n FROM (SELECT count(*) AS n FROM bids) b, (SELECT count(*) AS n FROM people) p WHERE true"
    for bids, people in ((20, 2), (7, 1), (20, 0), (0, 2)):
        assert history.ask(f"{counts} AS OF OFFSET (bids => {bids}, people => {people})") == {(bids, people): 1}
    assert history.ask("SELECT * FROM named AS OF OFFSET (bids => 20, people => 0)") == {}
    now = history.ask("SELECT * FROM named")
    assert now and history.ask("SELECT * FROM named AS OF OFFSET (bids => 20, people => 2)") == now


def test_an_offset_of_a_join_counts_its_one_stream(history: Shop) -> None:
    assert history.ask("SELECT * FROM named AS OF OFFSET 20") == history.ask("SELECT * FROM named")


def test_a_derived_stream_that_is_asked_alone_counts_its_own_records(history: Shop) -> None:
    prices = history.db.sql("SELECT price FROM high AS OF OFFSET 4").fetchall()
    assert sorted(prices) == [(10,), (11,), (12,), (13,)]


def test_the_past_of_a_table_counts_its_records(history: Shop) -> None:
    assert history.ask("SELECT name FROM people AS OF OFFSET 1") == {("name4",): 1}


def test_at_the_end_a_position_is_for_all_and_behind_a_name_for_that_relation(history: Shop) -> None:
    then = history.bid((0, 100))
    history.bid((0, 200))
    both = f"SELECT t.n, (SELECT count(*) FROM bids) FROM totals t WHERE auction = 0 AS OF VERSION {then}"
    assert history.ask(both) == {(1, 21): 1}
    one = f"SELECT old.n, new.n FROM totals AS OF VERSION {then} AS old JOIN totals new USING (auction)"
    assert history.ask(f"{one} WHERE auction = 0") == {(1, 2): 1}
    difference = f"SELECT * FROM bids EXCEPT SELECT * FROM (SELECT * FROM bids) old AS OF VERSION {then}"
    assert history.ask(f"SELECT * FROM ({difference}) d") == {(0, 200): 1}


def test_the_innermost_position_counts(history: Shop) -> None:
    inner = "SELECT (SELECT count(*) FROM bids AS OF OFFSET 3) AS own, count(*) AS n FROM bids"
    outer = "SELECT own, n, (SELECT count(*) FROM bids) FROM ({}) q AS OF OFFSET 5"
    assert history.ask(outer.format(inner)) == {(3, 5, 20): 1}
    assert history.ask(f"WITH old AS ({inner} AS OF OFFSET 4) SELECT own, n FROM old") == {(3, 4): 1}


@pytest.mark.parametrize(
    ("ago", "count"),
    [
        ("0 seconds ago", 4), ("30 seconds ago", 2), ("1 minute ago", 2), ("61 SECONDS AGO", 0), ("1.5 minutes ago", 0),
        ("100 milliseconds ago", 2), ("2 minutes ago", 0), ("1 hour ago", 0), ("3 days ago", 0), ("1 week ago", 0),
    ],
)  # fmt: skip
def test_a_while_ago(shop: Shop, ago: str, count: int) -> None:
    shop.bid((1, 1), (2, 2))
    shop.bid((1, 1), (2, 2))
    assert shop.ask(f"SELECT count(*) FROM bids AS OF '{ago}'") == {(count,): 1}


def test_a_relation_is_empty_before_it_was_made_and_a_derived_one_has_what_its_query_gives(shop: Shop) -> None:
    version = shop.bid((1, 1))
    shop.db.execute("CREATE STREAM later (v INTEGER); INSERT INTO later VALUES (1)")
    shop.bid((1, 2))
    shop.db.execute("CREATE TABLE sums AS SELECT sum(price) AS n FROM bids")
    assert shop.ask(f"SELECT * FROM later AS OF VERSION {version}") == {}
    assert shop.ask(f"SELECT * FROM sums AS OF VERSION {version}") == {(1,): 1}
    assert shop.ask("SELECT * FROM sums AS OF OFFSET 0") == {(None,): 1}


def test_before_the_first_commit_there_is_nothing(shop: Shop) -> None:
    shop.bid((1, 1))
    for position in ("VERSION 0", "TIMESTAMP '1970-01-01'", "OFFSET 0", "'10 weeks ago'"):
        assert shop.ask(f"SELECT * FROM bids AS OF {position}") == {}
        assert shop.ask(f"SELECT * FROM totals AS OF {position}") == {}


def test_a_windowed_query_can_be_asked_as_of(shop: Shop) -> None:
    query = "SELECT auction, count(*) AS n FROM bids WINDOW TUMBLING (SIZE 1 DAY) GROUP BY auction"
    then = [shop.bid((1, 1)), shop.bid((1, 2)), shop.bid((2, 3))]
    assert shop.ask(f"{query} AS OF VERSION {then[1]}") == {(1, 2): 1}
    assert shop.ask(query.replace("FROM bids", "FROM bids AS OF OFFSET 1")) == {(1, 1): 1}


def test_the_past_does_not_change_with_what_comes_later(history: Shop) -> None:
    asked = "SELECT * FROM totals AS OF OFFSET 7"
    before = history.ask(asked)
    history.bid((0, 1000))
    history.db.execute("CHECKPOINT; CREATE TABLE more AS SELECT price FROM bids; DROP TABLE more")
    assert history.ask(asked) == before


@pytest.mark.parametrize(
    ("position", "error", "message"),
    [
        ("VERSION 9999", OutOfRange, r"version 9999 is not there yet: the latest is \d+"),
        ("OFFSET 21", OutOfRange, 'offset 21 is beyond the end of "bids", which has 20 records'),
        ("OFFSET (bids => 21)", OutOfRange, 'offset 21 is beyond the end of "bids", which has 20 records'),
        (
            "OFFSET (0 => 99)",
            OutOfRange,
            r'offset 99 is beyond the end of partition 0 of "bids", which has \d+ records',
        ),
        ("OFFSET (7 => 1)", OutOfRange, 'there is no partition 7 of "bids", which has 2 partitions'),
        ("OFFSET (bid => 1)", UnknownName, '"bid" is not a source of what is asked'),
        ("TIMESTAMP '2999-01-01'", OutOfRange, "'2999-01-01' has not come yet: now is 2026-01-01 12:12:00"),
        ("TIMESTAMP 'yesterday'", SqlError, "cannot read 'yesterday' as a timestamp"),
        ("'yesterday'", SqlError, "cannot read 'yesterday' as a time"),
        ("'5 fortnights ago'", SqlError, "cannot read '5 fortnights ago' as a time"),
    ],
)
@pytest.mark.parametrize("relation", ["bids", "totals"])
def test_a_point_that_is_not_there_is_named(
    history: Shop, relation: str, position: str, error: type[HeadwaterError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        history.db.sql(f"SELECT * FROM {relation} AS OF {position}")
    assert "^" in str(caught.value)


def test_an_offset_of_several_sources_needs_their_names(history: Shop) -> None:
    history.db.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    history.db.execute("CREATE TABLE both AS SELECT o.id FROM other o JOIN people p ON o.id = p.id")
    with pytest.raises(OutOfRange, match="an offset of which source") as caught:
        history.db.sql("SELECT * FROM both AS OF OFFSET 1")
    assert caught.value.hint == "AS OF OFFSET (other => 1, people => 1)"


def test_an_offset_of_a_derived_stream_counts_what_the_last_step_gave(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE STREAM twice AS SELECT 2 * v AS w FROM s")
    db.append("s", [{"v": 1}, {"v": 2}])
    assert db.sql("SELECT w FROM twice AS OF OFFSET 2").fetchall() == [(2,), (4,)]
    assert db.sql("SELECT w FROM twice AS OF OFFSET (0 => 1)").fetchall() == [(2,)]
