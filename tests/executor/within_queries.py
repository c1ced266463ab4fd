"""Random joins of the stream with itself WITHIN a time, with the DuckDB SQL that says what each must hold.

A row is on time if the stream time of its partition before it had not passed what is near to it, and the grace. The
result is all pairs of rows on time that match, and in outer joins rows on time without a match that can have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SECOND = 1_000_000


@dataclass(frozen=True)
class Bounds:
    """Seconds: from `before` before the left row to `after` after it, and the grace."""

    before: int
    after: int
    grace: int

    def near(self) -> str:
        """Whether the row e is near the row a."""
        since = "epoch_us(e.ts) - epoch_us(a.ts)"
        return f"({since} BETWEEN {-self.before * SECOND} AND {self.after * SECOND})"


def rows_on_time(source: str, allowed: int) -> str:
    """SQL for the rows of `source` that are not late: no more than `allowed` seconds behind stream time."""
    before = "PARTITION BY part ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    timed = f"SELECT *, max(ts) OVER ({before}) AS st FROM {source}"
    return f"(SELECT * FROM ({timed}) WHERE st IS NULL OR epoch_us(st) <= epoch_us(ts) + {allowed * SECOND})"


def watermark(source: str) -> str:
    """SQL for the watermark in microseconds: NULL until each partition has a row."""
    latest = f"SELECT max(ts) AS latest FROM {source} GROUP BY part"
    return f"(SELECT CASE WHEN count(*) = getvariable('partitions') THEN epoch_us(min(latest)) END FROM ({latest}))"


class WithinQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        """A query, and DuckDB SQL with the same answer."""
        r = self.random
        before, after = r.choice([(5, 5), (10, 10), (0, 0), (0, 15), (15, 0), (30, 5)])
        bounds = Bounds(before, after, r.choice([0, 0, 5, 20, 86400]))
        kind = r.choice(["", "", "LEFT", "RIGHT", "FULL", "LEFT", "ANTI"])
        sources = [r.choice(["s", "s", "s", "(SELECT * FROM s WHERE v > 0)"]) for _ in range(2)]
        keys = r.choice(["a.k = e.k", "a.k = e.k", "a.g = e.g", "a.v = e.k AND a.g = e.g", "a.k = e.k + 1", ""])
        rest = r.choice(["", "", "", "a.v > e.v", "a.v > 0", "e.g IS NOT NULL AND a.d <> e.d"])
        on = " AND ".join(part for part in (keys, rest) if part) or "true"
        items = ["a.k", "a.g", "a.v", "a.ts", "e.g", "e.v", "e.d", "e.ts"]
        select = ", ".join(f"{item} AS c{n}" for n, item in enumerate(r.sample(items, r.randint(1, 5))))
        tail = r.choice(["", "", " WHERE a.v > 0", " WHERE e.v > 0 AND a.g IS NOT NULL"])
        if kind == "ANTI":
            select = ", ".join(f"{item} AS c{n}" for n, item in enumerate(r.sample(items[:4], r.randint(1, 4))))
            tail = r.choice(["", " WHERE a.v > 0"])
        elif r.random() < 0.4:
            key = r.choice(["a.k", "e.g"])
            select = f"{key} AS c, count(*) AS n, count(e.v) AS m, sum(a.v) AS total, max(e.ts) AS last"
            tail += f" GROUP BY {key}"
        joined = f"FROM {sources[0]} a {kind} JOIN {sources[1]} e {self._within(bounds)} ON {on}"
        if kind != "ANTI":
            return f"SELECT {select} {joined}{tail}", f"SELECT {select} {_oracle(sources, bounds, kind, on)}{tail}"
        alone = f"(SELECT a {_oracle(sources, bounds, 'LEFT', on)} WHERE e.ts IS NULL)"
        return f"SELECT {select} {joined}{tail}", f"SELECT {select} FROM {alone}{tail}"

    def _within(self, bounds: Bounds) -> str:
        before, after = f"{bounds.before} SECONDS", f"{bounds.after} SECONDS"
        grace = "" if bounds.grace == 86400 else f" GRACE PERIOD {bounds.grace} SECONDS"
        if bounds.before == bounds.after and self.random.random() < 0.5:
            return f"WITHIN {before}{grace}"
        return f"WITHIN ({before}, {after}){grace}"


def _oracle(sources: list[str], bounds: Bounds, kind: str, on: str) -> str:
    """FROM and WHERE: the join in which rows that stand alone are there only if nothing can match them any more."""
    sides = (
        rows_on_time(sources[0], bounds.after + bounds.grace),
        rows_on_time(sources[1], bounds.before + bounds.grace),
    )
    joined = f"{sides[0]} a {kind} JOIN {sides[1]} e ON {on} AND {bounds.near()}"
    reach = (bounds.before + bounds.after + bounds.grace) * SECOND
    waits = [
        f"({other}.seq IS NULL AND coalesce(epoch_us({own}.ts) >= {watermark(source)} - {reach}, true))"
        for own, other, source in (("a", "e", sources[1]), ("e", "a", sources[0]))
    ]
    names = ", ".join(f"{side}.{name} AS {side}_{name}" for side in "ae" for name in ("k", "g", "v", "d", "ts"))
    rows = f"SELECT {names} FROM {joined} WHERE NOT ({' OR '.join(waits)})"
    parts = ", ".join(
        f"{{{', '.join(f'{name}: {side}_{name}' for name in ('k', 'g', 'v', 'd', 'ts'))}}} AS {side}" for side in "ae"
    )
    return f"FROM (SELECT {parts} FROM ({rows})) pairs"
