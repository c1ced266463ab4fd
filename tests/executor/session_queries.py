"""Random queries over SESSION and CUMULATE windows, with the DuckDB SQL that says what each must hold."""

from __future__ import annotations

from random import Random

from tests.executor.closing_queries import WATERMARK
from tests.executor.within_queries import rows_on_time

# What DuckDB gets right for any order of rows; the order of the log within a session is no part of it.
CALLS = (
    "count(*)", "count({i})", "sum({i})", "min({i})", "max({i})", "avg({i})", "max({t})", "median({i})",
    "count(DISTINCT {i})", "list({t} ORDER BY {t} NULLS FIRST)", "sum({i}) FILTER (WHERE {i} > 0)", "bit_xor({i})",
)  # fmt: skip
OF_STREAM = ("sum(d)", "avg(d)", "min(d)", "max(ts)", "count(d)")


def sessions(rows: str, keys: str, time: str, gap: int) -> str:
    """SQL for `rows` with windowstart and windowend, the first and the last time of the session of each."""
    by = f"PARTITION BY {keys}" if keys else ""
    begun = f"coalesce({time} - lag({time}) OVER ({by} ORDER BY {time}) > to_seconds({gap}), true)"
    rows = f"SELECT *, {begun} AS begins FROM {rows}"
    numbered = f"SELECT *, sum(begins::INT) OVER ({by} ORDER BY {time}) AS number FROM ({rows})"
    within = f"PARTITION BY {keys + ', ' if keys else ''}number"
    bounds = f"min({time}) OVER ({within}) AS windowstart, max({time}) OVER ({within}) AS windowend"
    return f"(SELECT *, {bounds} FROM ({numbered}))"


class SessionQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        """A query, and DuckDB SQL with the same answer."""
        return self.random.choice([self.windowed, self.windowed, self.windowed, self.function, self.cumulated])()

    def windowed(self) -> tuple[str, str]:
        """GROUP BY in sessions of the stream, without what is late."""
        r = self.random
        gap, grace = r.choice([3, 10, 20, 60]), r.choice([None, 0, 0, 5, 30])
        late = "" if grace is None else f", GRACE PERIOD {grace} SECONDS"
        key = r.choice(["", "k", "g", "d", "k, g", "k % 2", "k", "g"])
        where = r.choice(["", "", " WHERE v > 0", " WHERE g IS NOT NULL", " WHERE d < 2"])
        having = r.choice(["", "", "", " HAVING count(*) > 1"])
        select = ", ".join([*([key] if key else []), *self._calls("v", "g", OF_STREAM)])
        rows = rows_on_time("s", gap + (24 * 3600 if grace is None else grace))
        found = sessions(f"(FROM {rows}{where})", key, "ts", gap)
        group = f"windowstart, windowend{', ' + key if key else ''}"
        window, by = f"WINDOW SESSION ({gap} SECONDS{late})", f"GROUP BY {key or 'windowstart'}"
        sql = f"SELECT {select} FROM s {window}{where} {by}{having}"
        oracle = f"SELECT windowstart, windowend, {select} FROM {found} GROUP BY {group}{having}"
        if r.random() < 0.3:
            reach = 2 * gap + (24 * 3600 if grace is None else grace)
            return f"{sql} EMIT FINAL", f"FROM ({oracle}) WHERE windowend + INTERVAL {reach} SECONDS < {WATERMARK}"
        return sql, oracle

    def function(self) -> tuple[str, str]:
        """SESSION in FROM: over the stream without anything late, or over a table whose rows change."""
        r = self.random
        gap = r.choice([1, 3, 10, 20])
        relation, time, keys, items = r.choice([
            ("s", "ts", ["", "k", "g"], "k, g, v, ts"),
            ("h", "moment", ["", "name", "id % 2"], "id, name, moment"),
        ])  # fmt: skip
        key = r.choice(keys)
        table = f"TABLE {relation} PARTITION BY {key}" if key else f"TABLE {relation}"
        inner = "WITH h AS (SELECT id, name, TIMESTAMP '2026-01-01' + to_seconds(w) AS moment FROM t) "
        prefix = inner if relation == "h" else ""
        window = f"SESSION({table}, DESCRIPTOR({time}), INTERVAL '{gap}' SECOND)"
        rows = sessions(f"(FROM {relation} WHERE {time} IS NOT NULL)", key, time, gap)
        end = f"windowend + to_seconds({gap})"
        if r.random() < 0.4:
            group = "count(*) AS n, max(window_start) AS latest"
            return (
                f"{prefix}SELECT window_end, {group} FROM {window} GROUP BY window_end",
                f"{prefix}SELECT {end}, {group.replace('window_start', 'windowstart')} FROM {rows} GROUP BY ALL",
            )
        return (
            f"{prefix}SELECT {items}, window_start, window_end FROM {window}",
            f"{prefix}SELECT {items}, windowstart, {end} FROM {rows}",
        )

    def cumulated(self) -> tuple[str, str]:
        r = self.random
        step, count = r.choice([1, 5, 10]), r.choice([1, 2, 6])
        size = step * count
        whole = f"time_bucket(to_seconds({size}), ts, TIMESTAMP '1970-01-01')"
        ends = f"unnest(list_transform(range(1, {count} + 1), LAMBDA i: {whole} + to_seconds({step}) * i))"
        rows = f"(SELECT *, {whole} AS window_start, {ends} AS window_end FROM s)"
        select = ", ".join(["window_start", "window_end", *self._calls("v", "g", OF_STREAM)])
        window = f"CUMULATE(s, ts, INTERVAL '{step}' SECOND, INTERVAL '{size}' SECOND)"
        return (
            f"SELECT {select} FROM {window} GROUP BY window_start, window_end",
            f"SELECT {select} FROM {rows} WHERE ts < window_end GROUP BY window_start, window_end",
        )

    def _calls(self, integer: str, text: str, others: tuple[str, ...]) -> list[str]:
        options = [*self.random.sample(CALLS, 4), self.random.choice(others)]
        chosen = self.random.sample(options, self.random.randint(1, 4))
        return [f"{call.format(i=integer, t=text)} AS c{n}" for n, call in enumerate(chosen)]
