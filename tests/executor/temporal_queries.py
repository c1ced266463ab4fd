"""Random joins of the stream with a table as it was at a time that each row of the stream names.

The oracle takes the rows that the table ever had (th, bh): those whose commit the stream's row knew of, and that were
there at its time by the times of the commits.
"""

from __future__ import annotations

from random import Random

KNOWN = (
    "(SELECT * FROM {history} WHERE born <= a.version AND born_at <= {time} "
    "AND (died IS NULL OR died > a.version OR died_at > {time}))"
)
# The right side; what it is computed from; the columns by which it is looked up; others.
RIGHTS = (
    ("t", "t", ("id", "w"), ("name", "w")),
    ("t", "t", ("id",), ("name", "w")),
    ("t", "t", ("w",), ("id", "name")),
    ("b", "b", ("x", "z"), ("y", "z")),
    ("(SELECT id, name, w FROM t WHERE w > 0)", "t", ("id",), ("name", "w")),
    ("(SELECT w % 3 AS r, count(*) AS n, max(id) AS id FROM t GROUP BY 1)", "t", ("r",), ("n", "id")),
    ("(SELECT count(*) AS n, sum(z) AS z FROM b)", "b", ("n",), ("z", "n")),
)
TIMES = ("a.ts", "a.ts", "a.ts", "ROWTIME")


class TemporalQueries:
    """Makes the queries, each with its oracle; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        r = self.random
        right, table, keys, others = r.choice(RIGHTS)
        kind = r.choice(["JOIN", "JOIN", "LEFT JOIN"])
        on = [f"a.{r.choice(['k', 'v % 7'])} = c.{key}" for key in r.sample(keys, r.randint(1, len(keys)))]
        on += r.sample([f"c.{others[0]} IS NOT NULL", "a.v > 0", f"a.v > c.{keys[0]}"], r.choice([0, 0, 0, 1]))
        columns = ["a.k", "a.v", *(f"c.{name}" for name in others)]
        select = ", ".join(f"{name} AS c{i}" for i, name in enumerate(r.sample(columns, r.randint(1, len(columns)))))
        tail = r.choice(["", "", " WHERE a.v IS NOT NULL", f" WHERE c.{others[0]} IS NOT NULL"])
        if r.random() < 0.3:
            select, tail = f"c.{others[0]} AS c, count(*) AS n, max(a.v) AS top", f"{tail} GROUP BY c.{others[0]}"
        time = r.choice(TIMES)
        known = KNOWN.format(history=f"{table}h", time="a.ts")
        then = known if right == table else right.replace(f"FROM {table}", f"FROM {known}")
        sql = f"SELECT {select} FROM s a {kind} {right} FOR SYSTEM_TIME AS OF {time} c ON {' AND '.join(on)}{tail}"
        return sql, f"SELECT {select} FROM s a {kind} LATERAL {then} c ON {' AND '.join(on)}{tail}"
