"""Random queries with LATERAL subqueries, which read columns of what stands before them."""

from __future__ import annotations

from random import Random

RELATIONS = {"t": ("id", "name", "w"), "b": ("x", "y", "z"), "s": ("k", "g", "v")}  # an integer, a text, an integer
THEN = "(FROM th WHERE born <= a.version AND (died IS NULL OR died > a.version)) e"  # t as a row of s meets it


class LateralQueries:
    """Makes the queries, each with its oracle; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        r = self.random
        if r.random() < 0.25:
            return self.value()
        left = r.choice(["t", "b", "t", "b", "s"])
        right = "t" if left == "s" else r.choice(["t", "b", "s"])
        a, b, c = (f"a.{name}" for name in RELATIONS[left])
        inner, shown = self.inner(right, (a, b, c))
        join = r.choice([", LATERAL {} q", " CROSS JOIN LATERAL {} q", " LEFT JOIN LATERAL {} q ON true"])
        is_aggregate = "GROUP BY" not in inner and ("count(" in inner or "sum(" in inner)
        if r.random() < 0.3:
            join = " JOIN LATERAL {} q ON q.n > 0" if is_aggregate else " LEFT JOIN LATERAL {} q ON q.n > 0"
        columns = r.sample([a, b, c, *(f"q.{name}" for name in shown[1:])], r.randint(0, 2 + len(shown)))
        columns.append(f"q.{shown[0]}")  # else the subquery may be no source of the result at all
        select = ", ".join(f"{name} AS c{i}" for i, name in enumerate(columns))
        where = r.choice(["", "", f" WHERE {c} > 0", " WHERE q.n IS NOT NULL"])
        sql = f"SELECT {select} FROM {left} a{join.format(f'({inner})')}{where}"
        return sql, sql.replace("FROM t e", f"FROM {THEN}") if left == "s" else sql

    def value(self) -> tuple[str, str]:
        """A subquery that stands for a value."""
        r = self.random
        left = r.choice(["t", "b", "s"])
        a, b, c = (f"a.{name}" for name in RELATIONS[left])
        value = r.choice([
            f"(SELECT e.name FROM t e WHERE e.id = {a})",
            f"(SELECT e.w + 1 FROM t e WHERE e.id = {a} AND e.w > {c})",
            f"(SELECT max(e.w) FROM t e WHERE e.w < {c})",
            f"(SELECT count(*) FROM t e WHERE e.w <> {c} AND e.name = {b})",
            f"ARRAY(SELECT e.w FROM t e WHERE e.name = {b} ORDER BY e.w DESC NULLS LAST)",
            f"(SELECT e.w FROM t e WHERE e.name = {b} ORDER BY e.w DESC NULLS LAST LIMIT 1)",
        ])  # fmt: skip
        sql = f"SELECT {a}, {b}, {value} AS v FROM {left} a WHERE {c} > 0 OR {value} IS NOT NULL"
        return sql, sql.replace("FROM t e", f"FROM {THEN}") if left == "s" else sql

    def inner(self, relation: str, columns: tuple[str, str, str]) -> tuple[str, tuple[str, ...]]:
        """A subquery over a relation that reads the columns, and what it gives."""
        r = self.random
        a, b, c = columns
        d, e, f = (f"e.{name}" for name in RELATIONS[relation])
        tied = r.choice([f"{d} = {a}", f"{e} = {b}", f"{f} < {c}", f"{d} = {a} AND {f} <> {c}", f"{d} = {a} + 1"])
        rest = f"FROM {relation} e WHERE {tied}"
        return r.choice([
            (f"SELECT {f} AS n, {e} AS m {rest}", ("n", "m")),
            (f"SELECT DISTINCT {f} + {a} AS n {rest}", ("n",)),
            (f"SELECT count(*) AS n, max({f}) AS m {rest}", ("n", "m")),
            (f"SELECT coalesce(sum({f}), 7) AS n {rest}", ("n",)),
            (f"SELECT {e} AS m, count(*) AS n {rest} GROUP BY {e}", ("n", "m")),
            (f"SELECT {d} AS n, {e} AS m, {f} AS o {rest} ORDER BY {f} DESC, {d}, {e} LIMIT 2", ("n", "m", "o")),
            (f"SELECT {f} AS n, rank() OVER (ORDER BY {f}) AS m {rest}", ("n", "m")),
            (f"SELECT u.n FROM unnest([{a}, {c}, 3]) u(n) WHERE u.n > 0", ("n",)),
            (f"SELECT {a} + {c} AS n, {b} AS m", ("n", "m")),
            (f"SELECT max({f}) AS n FROM {relation} e WHERE {f} > 0", ("n",)),
        ])  # fmt: skip
