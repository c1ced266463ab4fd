"""Random queries over windows that close: EMIT FINAL and RETENTION, with the DuckDB SQL that says what each must hold.

The oracle's watermark is the least of the largest times of the partitions of s, NULL while one has had no record.
"""

from __future__ import annotations

import random
from collections.abc import Callable

WATERMARK = """(SELECT CASE WHEN count(*) = getvariable('partitions') THEN min(latest) END
                FROM (SELECT max(ts) AS latest FROM s GROUP BY part))"""


class ClosingQueries:
    """Random queries from a source of chance; `rows` is `generator.windowed_rows`."""

    def __init__(self, chance: random.Random, rows: Callable[[int, int, int], str]) -> None:
        self.random = chance
        self.rows = rows

    def query(self) -> tuple[str, str]:
        """A query and its oracle."""
        r = self.random
        size, grace = r.choice([10, 15, 60]), r.choice([0, 5, 30])
        advance = r.choice([size, size, 5, 4])
        kind = r.choice(["FINAL", "FINAL", "RETENTION", "RETENTION", "BOTH", "NESTED"])
        retention = None if kind == "FINAL" else grace + r.choice([0, 5, 60])
        window = self.window(size, advance, grace, retention)
        where = r.choice(["", "", " WHERE v > 0", " WHERE g IN ('a', 'b')"])
        having = r.choice(["", "", " HAVING count(*) > 1"])
        key = r.choice(["", "k", "g", "k % 2", "ROLLUP (k, g)"])
        shown_keys = [f"{name} AS key{i}" for i, name in enumerate(key.removeprefix("ROLLUP").strip("( )").split(", "))]
        select = ", ".join([*(shown_keys if key else []), self.aggregates()])
        sql = f"SELECT {select} FROM s WINDOW {window}{where} GROUP BY {key or 'windowstart'}{having}"
        group = f"windowstart, windowend{', ' + key if key else ''}"
        oracle = (
            f"SELECT windowstart, windowend, {select} FROM ({self.rows(size, advance, grace)}){where} "
            f"GROUP BY {group}{having}"
        )
        shown = []
        if kind in ("FINAL", "BOTH"):
            shown.append(f"windowend + INTERVAL {grace} SECONDS <= {WATERMARK}")
            sql += " EMIT FINAL"
        if retention is not None:
            shown.append(f"coalesce(windowend + INTERVAL {retention} SECONDS > {WATERMARK}, true)")
        oracle = f"SELECT * FROM ({oracle}) WHERE {' AND '.join(shown)}"
        if kind != "NESTED":
            return sql, oracle
        total = "SELECT n, count(*) AS windows, sum(n) AS total"
        return f"{total} FROM ({sql}) q GROUP BY n", f"{total} FROM ({oracle}) q GROUP BY n"

    def window(self, size: int, advance: int, grace: int, retention: int | None) -> str:
        """The text of the window, its lengths in seconds."""
        hops = "" if advance == size else f", ADVANCE BY {advance} SECONDS"
        kept = "" if retention is None else f", RETENTION {retention} SECONDS"
        return f"{'HOPPING' if hops else 'TUMBLING'} (SIZE {size} SECONDS{hops}{kept}, GRACE PERIOD {grace} SECONDS)"

    def aggregates(self) -> str:
        """A select list of aggregates with a count called n."""
        others = ["sum(v)", "max(v)", "min(d)", "avg(v)", "count(DISTINCT v)", "median(v)", "count(g)", "max(ts)"]
        chosen = self.random.sample(others, self.random.randint(0, 3))
        return ", ".join(["count(*) AS n", *(f"{call} AS c{i}" for i, call in enumerate(chosen))])
