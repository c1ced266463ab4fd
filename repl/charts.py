"""\\chart: numbers over time as curves. Of a relation or a question, over the versions there were; of a query with EMIT
CHANGES, as its changes come.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine.database import Database
from headwater.engine.moments import moments
from headwater.engine.render import count, is_number
from headwater.engine.result import ChangeBatch
from headwater.engine.subscription import Subscription
from headwater.engine.terminal import Screen, cut, visible
from headwater.errors import HeadwaterError
from headwater.repl.output import Output
from headwater.repl.progress import Bar
from headwater.repl.scrub import Series, number_at, number_text, series_of
from headwater.repl.timeline import Heights, chart, place_of
from headwater.repl.travel import Travel, earliest_of, time_of, track

_EMIT_CHANGES = re.compile(r"\bEMIT\s+CHANGES\b[^']*$", re.IGNORECASE)
_QUERY = re.compile(r"\s*(SELECT|WITH|VALUES|\()\b", re.IGNORECASE)
_RELATION = re.compile(r'("(?:[^"]|"")+"|\S+)\s*(.*)', re.DOTALL)
_COLUMN = re.compile(r'(?:"(?:[^"]|"")+"|[^\s,(]+)(?:\([^)]*\))?')
_CURVES_MAX = 3  # that are drawn where the user has not named columns
_ROWS = 6  # lines of a curve
_ROWS_LOW = 3  # the same on a low screen
_SAMPLE_SECONDS = 0.25
_SAMPLES_MAX = 1024  # of a live curve; then every second one is forgotten
_POLL_SECONDS = 0.1


def draw_chart(database: Database, output: Output, argument: str) -> None:
    """\\chart RELATION [column …] | SELECT … [EMIT CHANGES]."""
    if not argument:
        raise HeadwaterError("\\chart needs a relation or a query", hint="\\chart hot n, or \\chart SELECT …")
    emit = _EMIT_CHANGES.search(argument)
    if emit is not None:
        _draw_live(database, output, _watched(argument[: emit.start()]))
        return
    named, columns = (argument, "") if _QUERY.match(argument) else _split(argument)
    travel = Travel(tracked=[track(named, database)])
    wanted = _COLUMN.findall(columns)
    found = [series for column in wanted for series in series_of(travel, database, column)]
    found = found or series_of(travel, database, "")
    shown = found if wanted else found[:_CURVES_MAX]
    _draw_past(database, output, travel, shown)
    if len(shown) < len(found):
        output.say(f"{count(len(found) - len(shown), 'curve')} more: \\chart {named} column names others")


def _split(argument: str) -> tuple[str, str]:
    found = _RELATION.match(argument)
    assert found is not None, "there is an argument"
    return found[1], found[2]


def _watched(text: str) -> str:
    """The query to watch: the one that is given, or columns of a relation."""
    if _QUERY.match(text):
        return text
    named, columns = _split(text.strip())
    return f"SELECT {', '.join(_COLUMN.findall(columns)) or '*'} FROM {named}"


# ---------------------------------------------------------------- over versions


def _draw_past(database: Database, output: Output, travel: Travel, found: Sequence[Series]) -> None:
    screen = Screen.of(output.stream)
    first = earliest_of([tracked.sql for tracked in travel.tracked], database)
    upto = travel.here(database)
    versions = [first, *moments(travel.reads(database), database.log, first, upto)]
    places = min(len(versions), screen.width or 80)
    asked = [versions[place_of(place, len(versions), places)] for place in range(places)]
    begin, end = f"version {asked[0]:,}", f"version {asked[-1]:,}, {time_of(asked[-1], database)}"
    with Bar(sys.stderr, "asking", lambda total: count(total, "version")) as bar:
        for number, series in enumerate(found):
            values: list[float | None] = []
            for at, version in enumerate(asked):
                values.append(number_at(series, version, database))
                bar.update(number * places + at, len(found) * places)
            lines = _curve(series.name, values, begin, end, _ROWS, screen)
            output.stream.write("".join(f"{line}\n" for line in lines))
    output.stream.flush()


def _curve(name: str, values: Heights, begin: str, end: str, rows: int, screen: Screen) -> list[str]:
    """A curve below its name and last number."""
    title = f"{visible(name)}: {number_text(values[-1] if values else None)}"
    bold = screen.paint(cut(title, screen.width or sys.maxsize, screen.ellipsis), "bold")
    return [bold, *chart(values, begin, end, rows, screen)]


# ---------------------------------------------------------------- live


class Sums:
    """The sum of each column of numbers over the rows of a query as they are now, from its changes; and their number.

    Nothing is kept of the rows. `samples` are what the sums were at times so far apart, the youngest last.
    """

    def __init__(self, subscription: Subscription) -> None:
        key = subscription.key
        columns = [
            (at, column.name)
            for at, column in enumerate(subscription.columns)
            if is_number(column.type) and column.name not in (key or ())
        ]
        self._columns = [at for at, _ in columns]
        self.names = [name if key == () else f"sum({name})" for _, name in columns] or ["count(*)"]
        self.now = [0.0] * len(self.names)
        self.samples: list[list[float | None]] = [[] for _ in self.names]
        self.every = _SAMPLE_SECONDS

    def take(self, batch: ChangeBatch) -> None:
        """Counts changes in."""
        if not self._columns:
            self.now[0] += float(batch.weights.sum())
        for place, at in enumerate(self._columns):
            numbers = pc.fill_null(pc.cast(batch.rows.column(at), pa.float64()), 0.0).to_numpy(zero_copy_only=False)
            self.now[place] += float(np.dot(numbers, batch.weights))

    def sample(self) -> None:
        """Notes what the sums are. When there are many, half of them go, and the next ones come half as often."""
        for number, samples in zip(self.now, self.samples, strict=True):
            samples.append(number if math.isfinite(number) else None)
        if len(self.samples[0]) > _SAMPLES_MAX:
            self.samples = [samples[::2] for samples in self.samples]
            self.every *= 2


def _draw_live(database: Database, output: Output, query: str) -> None:
    from headwater.repl.region import Keys, Region  # which need a terminal

    if not Screen.of(output.stream).can_move:
        raise HeadwaterError(
            "a chart of changes as they come needs a terminal",
            hint="without EMIT CHANGES, \\chart draws what was at each version, once",
        )
    subscription = database.subscribe(query)
    sums, began = Sums(subscription), perf_counter()

    def draw(*, is_live: bool) -> None:
        screen = replace(Screen.of(output.stream), width=region.size.columns)
        region.draw(_live_lines(sums, perf_counter() - began, screen, region.size.lines, is_live=is_live))

    with Keys() as keys, Region(output.stream) as region:
        try:
            due, key = began, None
            while not subscription.finished and key != "q":
                batch = subscription.poll(_POLL_SECONDS)
                if batch is not None:
                    sums.take(batch)
                is_due = perf_counter() >= due
                if is_due:
                    due = perf_counter() + sums.every
                    sums.sample()
                if is_due or region.is_resized:
                    draw(is_live=True)
                key = keys.wait(min(due - perf_counter(), _POLL_SECONDS))
        except KeyboardInterrupt:
            pass
        finally:
            subscription.close()
            sums.sample()
            draw(is_live=False)


def _live_lines(sums: Sums, seconds: float, screen: Screen, height: int, *, is_live: bool) -> list[str]:
    """As many curves as fit on a screen of so many lines, at least one."""
    rows = _ROWS if height >= len(sums.names) * (_ROWS + 3) + 2 else _ROWS_LOW
    fitting = max((height - 2) // (rows + 3), 1)
    lines: list[str] = []
    for name, samples in list(zip(sums.names, sums.samples, strict=True))[:fitting]:
        lines += _curve(name, samples, f"{seconds:,.0f} s ago", "now", rows, screen)
    if is_live:
        lines.append(screen.paint("q or Ctrl-C ends", "dim"))
    return lines[: max(height - 1, 1)]
