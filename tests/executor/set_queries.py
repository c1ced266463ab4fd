"""Random queries that put groups or queries together: ROLLUP, CUBE and GROUPING SETS; UNION, INTERSECT and EXCEPT."""

from __future__ import annotations

from random import Random

# Queries of three columns: an integer, a text, and a number.
SIDES = (
    "SELECT k, g, v FROM s",
    "SELECT id, name, w FROM t",
    "SELECT x, y, z FROM b",
    "SELECT k, g, max(v) AS v FROM s GROUP BY k, g",
    "SELECT DISTINCT z AS x, y, x AS z FROM b",
    "SELECT c.id, b.y, b.z FROM t c JOIN b ON c.id = b.x",
    "SELECT k, 'a' AS y, d FROM s",
)
OPERATORS = ("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL")
BY_NAME = ("UNION BY NAME", "UNION ALL BY NAME")


class SetQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> str:
        return self.random.choice([self.sets, self.combined, self.combined, self.grouped_union])()

    def combined(self) -> str:
        """One set operation, or two; sides may be the same query."""
        r = self.random
        first, second = self._side(), self._side()
        if r.random() < 0.15:
            return f"{first} {r.choice(BY_NAME)} {second}"
        if r.random() < 0.3:
            return f"{first} {r.choice(OPERATORS)} ({second} {r.choice(OPERATORS)} {self._side()})"
        return f"{first} {r.choice(OPERATORS)} {second}"

    def grouped_union(self) -> str:
        """Groups, and a condition, over a set operation."""
        r = self.random
        inner = f"{r.choice(SIDES)} {r.choice(OPERATORS)} {r.choice(SIDES)}"
        where = r.choice(["", " WHERE i > 0", " WHERE t = 'a' AND i < 4", " WHERE n IS NOT NULL"])
        items = r.choice(["t, count(*) AS c, sum(i) AS total", "t, median(i) AS m, count(DISTINCT n) AS c"])
        return f"SELECT {items} FROM ({inner}) q(i, t, n){where} GROUP BY t"

    def sets(self) -> str:
        """Several groupings at once, and which one a row is of."""
        r = self.random
        relation, a, b, c = r.choice([("s", "k", "g", "v"), ("t", "name", "w % 2", "id"), ("b", "x", "y", "z")])
        group = r.choice([
            f"ROLLUP ({a}, {b})", f"CUBE ({a}, {b})", f"{a}, ROLLUP ({b})", f"GROUPING SETS (({a}, {b}), {b}, ())",
            f"GROUPING SETS (ROLLUP ({a}), {a}, (), ({b}))", f"ROLLUP (({a}, {b}), {c})", f"CUBE ({a}), ROLLUP ({b})",
        ])  # fmt: skip
        options = ["count(*)", f"sum({c})", f"max({c})", f"count(DISTINCT {b})", f"median({c})", f"count({a})"]
        calls = r.sample(options, 2)
        numbers = r.choice(["", f", grouping({a})", f", grouping({a}, {b}) AS place"])
        having = r.choice(["", "", " HAVING count(*) > 1", f" HAVING grouping({b}) = 1"])
        items = f"{a}, {b}, {', '.join(f'{call} AS c{n}' for n, call in enumerate(calls))}{numbers}"
        return f"SELECT {items} FROM {relation} GROUP BY {group}{having}"

    def _side(self) -> str:
        side = self.random.choice(SIDES)
        return f"SELECT * FROM ({side}) q" if self.random.random() < 0.2 else side
