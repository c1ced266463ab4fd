"""What the shell shows, and how soon: a live table at a given rate of changes, and the first screen of a large result.

A thread appends rows for keys in turn, so that each row takes one of the table's rows away and adds another: two
changes. The table is drawn as at a terminal of 100 × 40, into nothing. Writer, query and drawing share the process.
"""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep

import numpy as np
import pyarrow as pa

import headwater
from headwater.engine.render import Look, print_result
from headwater.engine.terminal import Screen
from headwater.repl.live_view import View, follow
from headwater.repl.region import Keys, Region

KEYS = 20_000
_COMMITS_PER_SECOND = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; lags are in seconds, from a commit until the table shows it."""

    changes_per_second: float
    frames_per_second: float
    lag: float  # the median over the frames
    worst_lag: float
    rows_left: int  # that were appended, and not counted in the last picture


class _Screenful(io.StringIO):
    """Takes the lines of one screen, and then no more, as a pager that is left."""

    lines_left = 40

    def write(self, text: str) -> int:
        self.lines_left -= text.count("\n")
        if self.lines_left <= 0:
            raise BrokenPipeError
        return len(text)


def first_screen(rows: int = 100_000, rounds: int = 5) -> tuple[float, float]:
    """The seconds that a query for so many rows of four columns takes, and those until the first screen is written."""
    asked, shown = [], []
    with headwater.connect() as database:
        database.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE, bidder VARCHAR, at TIMESTAMP)")
        numbers = np.arange(rows)
        names = pa.array([f"bidder {number}" for number in numbers])
        times = pa.array(numbers * 1_000_000, pa.timestamp("us"))
        database.append("bids", pa.table({"auction": numbers, "price": numbers / 7, "bidder": names, "at": times}))
        database.sql("SELECT 1")
        for _ in range(rounds):
            begun = perf_counter()
            result = database.sql("SELECT * FROM bids")
            asked.append(perf_counter() - begun)
            with suppress(BrokenPipeError):
                print_result(result, stream=_Screenful(), look=Look(screen=Screen(100, True)))
            shown.append(perf_counter() - begun)
    return median(asked), median(shown)


class _Recorder(View):
    """Notes the lag of each frame."""

    def __init__(self, subscription: headwater.Subscription) -> None:
        super().__init__(subscription)
        self.lags: list[float] = []

    def lines(self, screen: Screen, height: int, *, ended: bool = False) -> list[str]:
        lines = super().lines(screen, height, ended=ended)
        self.lags.append(self.lag)
        return lines


class _Window(Region):
    """A region that is drawn into nothing."""

    @property
    def size(self) -> os.terminal_size:
        return os.terminal_size((100, 40))


def measure(changes_per_second: int = 50_000, seconds: float = 10.0) -> Figures:
    """Runs a live table while rows arrive at a rate, each of which makes two changes, for so many seconds."""
    with headwater.connect() as database:
        database.execute(
            "CREATE STREAM bids (auction BIGINT, price DOUBLE);"
            "CREATE TABLE hot AS SELECT auction, count(*) AS n, max(price) AS top FROM bids GROUP BY auction"
        )
        database.append("bids", _rows(0, KEYS))
        subscription = database.subscribe("SELECT * FROM hot")
        view = _Recorder(subscription)
        view.take(subscription.poll(10.0) or _nothing())
        appended: list[int] = []

        def feed() -> None:
            appended.append(_feed(database, changes_per_second // 2, seconds))
            database.settle()
            sleep(1.0)  # what is on the way comes
            subscription.close()

        feeder = threading.Thread(target=feed)
        begun = perf_counter()
        feeder.start()
        follow(subscription, view, Keys(), _Window(io.StringIO()), Screen(100, True))
        feeder.join()
        spent = perf_counter() - begun - 1.0
        content = view.table.content()
        counted = sum(content.rows.column("n").to_pylist())
        lags = sorted(view.lags[1:])
        return Figures((view.table.changes - KEYS) / spent, len(lags) / spent, median(lags), lags[-1],
                       KEYS + appended[0] - counted)  # fmt: skip


def _feed(database: headwater.Database, rows_per_second: int, seconds: float) -> int:
    """Appends rows at a steady rate; gives how many."""
    at_once, begun, appended = rows_per_second // _COMMITS_PER_SECOND, perf_counter(), 0
    while (now := perf_counter() - begun) < seconds:
        if appended > now * rows_per_second:
            sleep(appended / rows_per_second - now)
        database.append("bids", _rows(appended, at_once))
        appended += at_once
    return appended


def _rows(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    return pa.table({"auction": numbers % KEYS, "price": (numbers % 9973).astype(np.float64)})


def _nothing() -> headwater.ChangeBatch:
    raise AssertionError("the rows that are there come at once")
