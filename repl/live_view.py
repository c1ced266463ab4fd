"""A continuous query whose rows can be taken back, at a terminal: its rows as they are now, in a table that is updated
in place, with what changed marked for a moment.

It is drawn some ten times a second at most, whatever the rate of the changes, and takes the screen's last lines only.
Everything happens in the thread that was called, so Ctrl-C arrives there, and leaves the last table where it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import TextIO

from headwater.engine.render import count
from headwater.engine.result import ChangeBatch
from headwater.engine.subscription import Subscription
from headwater.engine.terminal import Screen, cut, width
from headwater.parser import syntax
from headwater.repl.live_table import LiveTable, Order
from headwater.repl.pictures import painted, table
from headwater.repl.region import Keys, Region

_FRAME_SECONDS = 0.08  # from one picture to the next, at least
_SHARE = 4  # a picture that takes long is followed by that many times as long a pause
_POLL_SECONDS = 0.1  # bounds how long a key waits
_STATUS_SECONDS = 0.5  # the status is drawn anew after that, though nothing changed
_RATE_SECONDS = 2.0  # the rate is that of the last so many seconds
_BEHIND_MIN = 5  # versions: a row and the step that takes it in are commits of their own, and always on their way
_AROUND = 8  # lines of the screen that are no rows: four of the table, what is left out, the status, the cursor
_HELP = ("left right: sort by · r: reverse · up down: scroll · q: end", "q: end")


def watch_table(subscription: Subscription, stream: TextIO) -> None:
    """Shows the table until the query is finished, or until Ctrl-C or q; then closes the subscription."""
    view = View(subscription)
    with Keys() as keys, Region(stream) as region:
        try:
            follow(subscription, view, keys, region, Screen.of(stream))
        except KeyboardInterrupt:
            pass
        finally:
            subscription.close()
            region.draw(view.lines(Screen.of(stream), region.size.lines, ended=True))


def follow(subscription: Subscription, view: View, keys: Keys, region: Region, screen: Screen) -> None:
    """Takes changes and keys, and draws, until the query is finished or q is pressed."""
    due = 0.0
    while not subscription.finished:
        batch = subscription.poll(_POLL_SECONDS)
        if batch is not None:
            view.take(batch)
        now = perf_counter()
        if now >= due and (view.is_stale(now) or region.is_resized):
            screen = replace(screen, width=region.size.columns)
            region.draw(view.lines(screen, region.size.lines))
            cost = perf_counter() - now
            due = perf_counter() + max(_FRAME_SECONDS, _SHARE * cost)
        key = keys.wait(due - perf_counter())
        if key == "q":
            return
        if key is not None:
            view.press(key)


class View:
    """The lines that are drawn of a subscription: the table, and what is known of its pace."""

    def __init__(self, subscription: Subscription, clock: Callable[[], float] = perf_counter) -> None:
        self.table = LiveTable(subscription.columns, subscription.key, _order_of(subscription))
        self._subscription = subscription
        self._clock = clock
        self._began = clock()
        self._drawn_at = -1.0
        self._is_changed = True
        self._widths: list[int] = []
        self._newest: ChangeBatch | None = None
        self._pace: deque[tuple[float, int]] = deque([(self._began, 0)])  # when there had been how many changes
        self._lag = 0.0
        self._page = 1

    def take(self, batch: ChangeBatch) -> None:
        """Takes the changes of a step."""
        self.table.take(batch)
        self._newest, self._is_changed = batch, True

    def press(self, key: str) -> None:
        """Does what a key is for."""
        actions: dict[str, Callable[[], None]] = {
            "right": lambda: self.table.sort(1),
            "left": lambda: self.table.sort(-1),
            "r": self.table.reverse,
            "down": lambda: self._scroll(1),
            "up": lambda: self._scroll(-1),
            "pagedown": lambda: self._scroll(self._page),
            "pageup": lambda: self._scroll(-self._page),
            "home": lambda: self._scroll(-self.table.first),
        }
        if key in actions:
            actions[key]()
            self._is_changed = True

    def _scroll(self, rows: int) -> None:
        self.table.first = max(self.table.first + rows, 0)

    def is_stale(self, now: float) -> bool:
        """Whether a picture of now would be another one than that which was drawn last."""
        return self._is_changed or self.table.is_marked or now - self._drawn_at >= _STATUS_SECONDS

    def lines(self, screen: Screen, height: int, *, ended: bool = False) -> list[str]:
        """The picture for a screen of so many lines."""
        now = self._clock()
        self._page = max(height - _AROUND, 1)
        picture = self.table.picture(self._page, now)
        self._note_pace(now)
        self._drawn_at, self._is_changed = now, False
        arrow = ("▼" if self.table.order.descending else "▲") if screen.has_unicode else "*"
        columns = tuple(
            replace(column, name=f"{column.name} {arrow}" if at == self.table.order.column else column.name)
            for at, column in enumerate(self.table.columns)
        )
        if ended:
            picture = replace(picture, rows=tuple(replace(r, sign="", changed=frozenset()) for r in picture.rows))
        lines = painted(table(replace(picture, columns=columns), screen, least=self._widths), screen).splitlines()
        hidden = picture.total - len(picture.rows)
        notes = [f"{screen.ellipsis} {hidden:,} more"] if hidden else []
        notes += [self._summary(picture.total, now, screen)] if ended else self._status(picture.total, now, screen)
        return lines + [screen.paint(cut(note, screen.width or 80, screen.ellipsis), "dim") for note in notes]

    def _note_pace(self, now: float) -> None:
        self._pace.append((now, self.table.changes))
        while len(self._pace) > 2 and now - self._pace[1][0] > _RATE_SECONDS:
            self._pace.popleft()
        if self._newest is not None:
            self._lag = max((datetime.now(UTC).replace(tzinfo=None) - self._newest.time).total_seconds(), 0.0)
            self._newest = None

    @property
    def lag(self) -> float:
        """The seconds from the commit of the newest change to the moment at which it was drawn."""
        return self._lag

    def _status(self, total: int, now: float, screen: Screen) -> list[str]:
        (then, before), (last, changes) = self._pace[0], self._pace[-1]
        rate = (changes - before) / max(last - then, 0.001)
        behind = self._subscription.behind
        parts = [
            count(total, "row"),
            f"{rate:,.0f} changes/s",
            f"lag {seconds_text(self._lag)}" + (f", {behind:,} versions behind" if behind > _BEHIND_MIN else ""),
            f"version {self._subscription.version or 0:,}",
            seconds_text(now - self._began, whole=True),
        ]
        columns = (screen.width or 80) - 1
        dot = separator(screen)
        while len(parts) > 2 and width(dot.join(parts)) > columns:
            parts.pop()
        help = next((text for text in _HELP if width(text) <= columns), _HELP[-1])
        return [dot.join(parts), help.replace(" · ", dot)]

    def _summary(self, total: int, now: float, screen: Screen) -> str:
        said = [count(total, "row"), f"{count(self.table.changes, 'change')} in {seconds_text(now - self._began)}"]
        version = f"version {self._subscription.version or 0:,}"
        whole = separator(screen).join([*said, version])
        return whole if width(whole) <= (screen.width or 80) else separator(screen).join(said)


def separator(screen: Screen) -> str:
    """What stands between the parts of a line."""
    return " · " if screen.has_unicode else " | "


def _order_of(subscription: Subscription) -> Order:
    """The query's own ORDER BY, where it begins with a column that is shown; else the first column of the key."""
    names = [column.name.lower() for column in subscription.columns]
    if subscription.order_by:
        first = subscription.order_by[0]
        at = _place(first.expression, names)
        if at is not None:
            return Order(at, first.direction == "DESC")
    key = subscription.key or ()
    return Order(names.index(key[0].lower()) if key else 0)


def _place(expression: syntax.Expression, names: list[str]) -> int | None:
    """Which of the columns an item of ORDER BY names, by its name or its number."""
    match expression:
        case syntax.Name(parts=parts) if parts[-1].text.lower() in names:
            return names.index(parts[-1].text.lower())
        case syntax.Literal(kind="number", text=text) if text.isdecimal() and 0 < int(text) <= len(names):
            return int(text) - 1
    return None


def seconds_text(seconds: float, *, whole: bool = False) -> str:
    """`42 ms`, `1.2 s`, `3 min 20 s`."""
    if whole or seconds >= 60:
        minutes, rest = divmod(int(seconds), 60)
        return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
