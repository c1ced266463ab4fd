"""The table of a continuous query that is watched, against the engine: its rows, its order, and what is marked."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import headwater
from headwater.engine.terminal import Screen
from headwater.repl.live_table import MARKED_SECONDS, LiveTable, Order
from headwater.repl.live_view import View
from headwater.repl.marking import Marked


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE)")
        opened.append("bids", [{"auction": a, "price": 1.0} for a in (1, 2, 2, 3)])
        yield opened


def bid(database: headwater.Database, auction: int, price: float = 1.0) -> None:
    database.append("bids", [{"auction": auction, "price": price}])


COUNTS = "SELECT auction, count(*) AS n, max(price) AS top FROM bids GROUP BY auction"


class Watched:
    """A query and the table of it."""

    def __init__(self, database: headwater.Database, query: str = COUNTS) -> None:
        self.subscription = database.subscribe(query)
        self.table = LiveTable(self.subscription.columns, self.subscription.key)
        self.now = 0.0

    def picture(self, room: int = 10) -> Marked:
        while (batch := self.subscription.poll(0)) is not None:
            self.table.take(batch)
        return self.table.picture(room, self.now)


def shown(picture: Marked) -> list[tuple[str, ...]]:
    return [(row.sign, *(str(cell) for cell in row.cells)) for row in picture.rows]


def test_the_rows_that_are_there_first_are_not_marked(database: headwater.Database) -> None:
    assert shown(Watched(database).picture()) == [("", "1", "1", "1.0"), ("", "2", "2", "1.0"), ("", "3", "1", "1.0")]


def test_changed_cells_and_new_rows_are_marked_for_a_moment(database: headwater.Database) -> None:
    watched = Watched(database)
    watched.picture()
    bid(database, 2)
    bid(database, 4)
    picture = watched.picture()
    assert [(row.sign, row.changed) for row in picture.rows] == [
        ("", frozenset()), ("*", frozenset({1})), ("", frozenset()), ("+", frozenset())]  # fmt: skip
    bid(database, 2, 9.0)
    assert watched.picture().rows[1].changed == {1, 2}
    watched.now += MARKED_SECONDS
    assert {row.sign for row in watched.picture().rows} == {""}


def test_a_row_that_was_below_the_screen_is_not_new_when_it_comes_up(database: headwater.Database) -> None:
    watched = Watched(database)
    watched.table.order = Order(1, descending=True)
    assert shown(watched.picture(room=1)) == [("", "2", "2", "1.0")]
    for _ in range(2):
        bid(database, 3)
    assert [(row.sign, row.cells[0], row.changed) for row in watched.picture(room=1).rows] == [("*", "3", {1})]


def test_rows_without_a_key_stand_as_often_as_they_are_there(database: headwater.Database) -> None:
    database.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, x BIGINT); INSERT INTO t VALUES (1, 5), (2, 5), (3, 4)")
    watched = Watched(database, "SELECT x FROM t")
    assert shown(watched.picture()) == [("", "4"), ("", "5"), ("", "5")]
    database.execute("DELETE FROM t WHERE id = 2")
    assert shown(watched.picture()) == [("", "4"), ("", "5")]


def test_the_picture_is_a_part_of_the_answer_in_any_order_after_any_changes(database: headwater.Database) -> None:
    chosen = random.Random(7)
    watched = Watched(database)
    for _ in range(20):
        for _ in range(chosen.randrange(5)):
            bid(database, chosen.randrange(12), chosen.randrange(100) / 4)
        watched.table.order = Order(chosen.randrange(3), chosen.random() < 0.5)
        watched.table.first = first = chosen.randrange(3)
        direction = "DESC" if watched.table.order.descending else "ASC"
        rows = database.sql(f"{COUNTS} ORDER BY {watched.table.order.column + 1} {direction}").fetchall()
        picture = watched.picture(room=4)
        column = watched.table.order.column
        first = min(first, max(len(rows) - 4, 0))
        assert picture.total == len(rows)
        assert [row.cells[column] for row in picture.rows] == [str(row[column]) for row in rows[first : first + 4]]
        assert {row.cells for row in picture.rows} <= {tuple(map(str, row)) for row in rows}


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (COUNTS, Order(0)),
        (f"{COUNTS} ORDER BY n DESC LIMIT 2", Order(1, descending=True)),
        (f"{COUNTS} ORDER BY 3 LIMIT 2", Order(2)),
        ("SELECT max(price) AS top FROM bids", Order(0)),
    ],
)
def test_it_begins_in_the_order_of_the_query(database: headwater.Database, query: str, order: Order) -> None:
    assert View(database.subscribe(query)).table.order == order


def test_the_view_fits_any_screen_and_says_what_is_left_out(database: headwater.Database) -> None:
    database.append("bids", [{"auction": a, "price": 123456789.125} for a in range(100)])
    view = View(database.subscribe(COUNTS), clock=lambda: 0.0)
    batch = view._subscription.poll(0)
    assert batch is not None
    view.take(batch)
    for columns, lines in ((80, 24), (40, 12), (200, 60)):
        drawn = view.lines(Screen(columns), lines)
        assert len(drawn) <= lines - 1
        assert max(map(len, drawn)) <= columns
        assert f"… {100 - (lines - 8)} more" in drawn
        assert drawn[-2].startswith("100 rows · ")
    view.press("right")
    view.press("r")
    assert "n ▼" in view.lines(Screen(80), 24)[1]


def test_changes_that_do_not_begin_with_the_rows_there_are_make_no_table(database: headwater.Database) -> None:
    assert database.subscribe(COUNTS).adds_up
    assert not database.subscribe(COUNTS, from_version=1).adds_up
    later = database.subscribe(COUNTS)
    later.skip()
    assert not later.adds_up
