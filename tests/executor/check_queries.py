"""Random queries with a CHECK that leaves rows out: what they must hold are the rows for which it is not false."""

from __future__ import annotations

from random import Random

# Queries by the columns that their checks speak of.
QUERIES = {
    ("k", "g", "v"): "SELECT k, g, v, ts FROM s",
    ("n", "least", "most"): "SELECT k, count(*) AS n, min(v) AS least, max(k) AS most FROM s GROUP BY k",
    ("id", "name", "w"): "SELECT id, name, w FROM t",
    ("x", "n", "most"): "SELECT x, count(z) AS n, max(z) AS most FROM b GROUP BY x",
    ("id", "name", "z"): "SELECT t.id, t.name, b.z FROM t JOIN b ON t.id = b.x",
}
TEXTS = ("g", "name")


class CheckQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str, str]:
        """A query, its one or two checks, and what it must hold with them."""
        columns, sql = self.random.choice(list(QUERIES.items()))
        checks = [self._condition(columns) for _ in range(self.random.randint(1, 2))]
        clauses = " ".join(f"CHECK ({check}) ON VIOLATION DROP" for check in checks)
        passing = " AND ".join(f"({check}) IS NOT FALSE" for check in checks)
        return sql, clauses, f"SELECT * FROM ({sql}) WHERE {passing}"

    def _condition(self, columns: tuple[str, ...]) -> str:
        first, second = (self._compared(self.random.choice(columns)) for _ in range(2))
        return self.random.choice([first, first, f"{first} OR {second}", f"NOT ({first} AND {second})"])

    def _compared(self, column: str) -> str:
        r = self.random
        if column in TEXTS:
            return r.choice([f"{column} <> 'a'", f"{column} IN ('x', 'b', '')", f"{column} IS NOT NULL"])
        return r.choice([
            f"{column} > {r.randint(-3, 4)}", f"{column} % 3 <> {r.randint(0, 2)}", f"{column} IS NOT NULL",
            f"{column} BETWEEN -1 AND {r.randint(0, 9)}", f"abs({column}) < {r.randint(1, 100)}",
        ])  # fmt: skip
