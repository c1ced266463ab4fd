"""What the scrubber looks at, and what it wants to know next. Nothing is drawn here.

The moments of a time line are the versions that wrote something of what is tracked. Keys move the place among them and
return at once; a thread asks, always what is wanted most at that time: the picture of where the user is now, then the
numbers of the sparkline, so what was passed over is never asked.
"""

from __future__ import annotations

import math
import sys
import threading
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.engine.database import Database
from headwater.engine.moments import moments
from headwater.engine.render import is_number
from headwater.errors import HeadwaterError, SqlError
from headwater.parser import quote
from headwater.repl.marking import Marked, marked
from headwater.repl.report import as_ours
from headwater.repl.timeline import Heights, coarse_to_fine, place_of
from headwater.repl.travel import Tracked, Travel, ask, earliest_of, question_of

_ROWS = 200  # of a table; more are not looked at on one screen


@dataclass(frozen=True, slots=True)
class Series:
    """A number over time: the answer to a query as of each moment."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What is tracked as of a version, marked `against` the one that was shown before; or why it cannot be shown."""

    version: int
    against: int | None = None
    tables: tuple[tuple[Tracked, Marked], ...] = ()
    problem: str | None = None


class Scrub:
    """A place among the `moments`. All but `ask_next` returns at once; safe to use from several threads."""

    def __init__(self, database: Database, travel: Travel, series: Sequence[Series]) -> None:
        reads = travel.reads(database)
        earliest = earliest_of([tracked.sql for tracked in travel.tracked], database)
        self.latest = database.version
        self.moments = [earliest, *moments(reads, database.log, earliest, self.latest)]
        self.picture: Picture | None = None
        self.curve_problem: str | None = None  # why a number could not be asked
        self.series = series[0]
        self._all_series = series
        self._database = database
        self._travel = travel
        self._columns = 1
        self._numbers: dict[tuple[Series, int], float | None] = {}
        self._closed = False
        self._wanting = threading.Condition()
        self._place = self.place_at(travel.here(database))

    # ---------------------------------------------------------------- where the user is

    @property
    def place(self) -> int:
        """Which of the moments is looked at."""
        return self._place

    @property
    def version(self) -> int:
        """The version that is looked at."""
        return self.moments[self._place]

    def place_at(self, version: int) -> int:
        """The place of the last moment at or before a version."""
        return max(bisect_right(self.moments, version) - 1, 0)

    def go(self, place: int) -> None:
        """Looks at a moment, the first or last for a place beyond these."""
        with self._wanting:
            self._place = min(max(place, 0), len(self.moments) - 1)
            self._wanting.notify_all()

    def next_series(self) -> None:
        """Shows another number over time."""
        with self._wanting:
            self.series = self._all_series[(self._all_series.index(self.series) + 1) % len(self._all_series)]
            self._wanting.notify_all()

    def heights(self, columns: int) -> tuple[Heights, int]:
        """The numbers for a sparkline of so many columns, and how many of them are still to be asked."""
        with self._wanting:
            if columns != self._columns:
                self._columns = columns
                self._wanting.notify_all()
            keys = [self._key(column) for column in range(columns)]
            return [self._numbers.get(key) for key in keys], len({key for key in keys if key not in self._numbers})

    @property
    def number(self) -> str:
        """The number of the series where the user is; `…` until it is known."""
        key = (self.series, self.version)
        return number_text(self._numbers[key]) if key in self._numbers else "…"

    def _key(self, column: int) -> tuple[Series, int]:
        return self.series, self.moments[place_of(column, len(self.moments), self._columns)]

    # ---------------------------------------------------------------- asking

    def ask_when_wanted(self) -> bool:
        """Waits until something is wanted, and asks it; False once `close` was called."""
        with self._wanting:
            self._wanting.wait_for(lambda: self._closed or self._wanted() is not None)
            if self._closed:
                return False
        self.ask_next()
        return True

    def ask_next(self) -> bool:
        """Asks what is wanted most; False if nothing is."""
        with self._wanting:
            wanted = self._wanted()
        if wanted is None:
            return False
        try:
            if isinstance(wanted, int):
                self.picture = self._picture(wanted)
            else:
                self._numbers[wanted] = number_at(*wanted, self._database)
        except Exception as error:  # also one of ours that nobody foresaw: it is shown, and the thread goes on
            problem = as_ours(error, sys.stderr).message
            if isinstance(wanted, int):
                self.picture = Picture(wanted, problem=problem)
            else:
                self._numbers[wanted], self.curve_problem = None, problem
        return True

    def close(self) -> None:
        """Ends `ask_when_wanted` after the question that is under way."""
        with self._wanting:
            self._closed = True
            self._wanting.notify_all()

    def _wanted(self) -> int | tuple[Series, int] | None:
        """The version to show, or the number to ask."""
        if self.picture is None or self.picture.version != self.version:
            return self.version
        own = (self.series, self.version)
        keys = (own, *map(self._key, coarse_to_fine(self._columns)))
        return next((key for key in keys if key not in self._numbers), None)

    def _picture(self, version: int) -> Picture:
        before = self.picture.version if self.picture is not None else None
        return Picture(version, before, tuple((t, self._marked(t, version, before)) for t in self._travel.tracked))

    def _marked(self, tracked: Tracked, version: int, before: int | None) -> Marked:
        after = self._travel.at(self._database, tracked, version)
        was = self._travel.before(self._database, tracked, before)
        return marked(was, after, tracked.key, _ROWS, ends_last=tracked.ends_last)


def number_at(series: Series, version: int, database: Database) -> float | None:
    """What a curve can show of an answer: nothing of NULL, or of what is not finite."""
    row = ask(database, series.sql, version).fetchone()
    number = None if row is None or row[0] is None else float(row[0])
    return number if number is not None and math.isfinite(number) else None


def number_text(number: float | None) -> str:
    """`1,200`, `0.25`; NULL where there is none."""
    return "NULL" if number is None else f"{number:,.10g}"


def series_of(travel: Travel, database: Database, wanted: str) -> list[Series]:
    """The numbers over time that can be shown: the one that is wanted, a column or an aggregate; or else the sum of
    each column of numbers that is no key, and how many rows there are. Raises HeadwaterError for what is no number.
    """
    if wanted:
        return [_wanted_series(travel, database, wanted)]
    found: list[Series] = []
    for tracked in travel.tracked:
        columns = question_of(tracked.sql, database)[1]
        numeric = [c.name for c in columns if is_number(c.type) and c.name not in (tracked.key or ())]
        found += [_series(tracked, f"sum({quote(name)})") for name in dict.fromkeys(numeric)]
    return [*found, *(_series(tracked, "count(*)") for tracked in travel.tracked)]


def _wanted_series(travel: Travel, database: Database, wanted: str) -> Series:
    problem: HeadwaterError | None = None
    for tracked in travel.tracked:
        names = {column.name.lower(): column.name for column in question_of(tracked.sql, database)[1]}
        name = names.get(wanted.strip('"').lower())
        series = _series(tracked, wanted if name is None else f"sum({quote(name)})")
        try:
            columns = question_of(series.sql, database)[1]
            rows = len(ask(database, series.sql, travel.here(database)))
        except SqlError as error:
            problem = problem or HeadwaterError(error.message, hint=error.hint)
            continue
        if len(columns) == 1 and is_number(columns[0].type) and rows == 1:
            return series
        problem = HeadwaterError(f"{wanted} is not one number", hint="\\scrub balance, or \\scrub avg(balance)")
    assert problem is not None, "something is tracked"
    raise problem


def _series(tracked: Tracked, expression: str) -> Series:
    return Series(f"{expression} of {tracked.name}", f"SELECT {expression} FROM ({tracked.sql}) AS tracked")
