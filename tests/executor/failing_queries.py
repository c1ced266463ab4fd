"""Random queries with expressions that fail on some rows. The oracle leaves these out by TRY, and says which they are.

A row fails where its condition fails, or where that holds and an expression of the select list fails.
"""

from __future__ import annotations

from random import Random

# Expressions over the columns of each relation, each failing on some of the rows of the generator.
EXPRESSIONS = {
    "s": (
        "CAST(g AS INTEGER)", "10 // v", "v % k", "CAST(v AS TINYINT)", "v * 9223372036854775", "CAST(d AS INTEGER)",
        "length(g) // (k - 1)", "CAST(CAST(v AS VARCHAR) AS SMALLINT)", "chr(CAST(v AS INTEGER))",
        "CASE WHEN k > 1 THEN CAST(g AS DATE) END", "coalesce(TRY_CAST(g AS INTEGER), 7 // k)",
    ),
    "t": ("10 // w", "CAST(w * 30 AS TINYINT)", "CAST(name AS INTEGER)", "w % (id - 2)"),
    "b": ("10 // z", "CAST(y AS INTEGER)", "x % (z - 5)", "CAST(z * 60 AS TINYINT)"),
}  # fmt: skip
CONDITIONS = {
    "s": ("10 // k > 1", "CAST(g AS DATE) IS NULL", "v IS NOT NULL", "v % (k + 1) = 0"),
    "t": ("12 // w > 1", "w IS NOT NULL"),
    "b": ("12 // z > 1", "CAST(y AS INTEGER) IS NULL", "x > 1"),
}
KEYS = {"s": "k", "t": "name", "b": "x"}


class FailingQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str, str | None]:
        """A query, what it must hold, and which records of s (part, place) must be in its error stream."""
        relation = self.random.choice(["s", "s", "s", "t", "b"])
        return self.random.choice([self._projected, self._grouped, self._nested])(relation)

    def _projected(self, relation: str) -> tuple[str, str, str | None]:
        items = self._items(relation)
        where = self._where(relation)
        key = KEYS[relation]
        listed = ", ".join(f"{e} AS {name}" for name, e in items.items())
        values = ", ".join(f"tried.{name}" for name in items)
        return (
            f"SELECT {key}, {listed} FROM {relation}{where and f' WHERE {where}'}",
            f"SELECT {key}, {values} FROM ({self._tried(relation, items, where)}) WHERE NOT failed",
            self._failing(relation, items, where),
        )

    def _grouped(self, relation: str) -> tuple[str, str, str | None]:
        (name, expression), *_ = self._items(relation).items()
        where, key = self._where(relation), KEYS[relation]
        calls = "count(*) AS n, min({0}) AS least, count(DISTINCT {0}) AS c"
        return (
            f"SELECT {key}, {calls.format(expression)} FROM {relation}{where and f' WHERE {where}'} GROUP BY {key}",
            f"SELECT {key}, {calls.format(f'tried.{name}')} FROM ({self._tried(relation, {name: expression}, where)}) "
            f"WHERE NOT failed GROUP BY {key}",
            self._failing(relation, {name: expression}, where),
        )

    def _nested(self, relation: str) -> tuple[str, str, str | None]:
        """A condition that fails on what a group has: on the way there, groups come and go."""
        key, limit = KEYS[relation], self.random.randint(1, 4)
        inner = f"SELECT {key}, count(*) AS n FROM {relation} GROUP BY {key}"
        return (
            f"SELECT {key}, 12 // (n - {limit}) AS a FROM ({inner}) q",
            f"SELECT {key}, 12 // (n - {limit}) AS a FROM ({inner}) q WHERE n <> {limit}",
            None,
        )

    # ---------------------------------------------------------------- parts

    def _items(self, relation: str) -> dict[str, str]:
        chosen = self.random.sample(EXPRESSIONS[relation], self.random.randint(1, 2))
        return {f"e{i}": expression for i, expression in enumerate(chosen)}

    def _where(self, relation: str) -> str:
        return self.random.choice(["", *CONDITIONS[relation]])

    def _tried(self, relation: str, items: dict[str, str], where: str) -> str:
        """The rows for which the condition holds or fails, with `tried` and whether they have `failed`."""
        struct = ", ".join(f"{name}: {e}" for name, e in items.items())
        held = f"TRY({{p: {where or 'true'}}})"
        tried = f"SELECT *, {held} AS held, TRY({{{struct}}}) AS tried FROM {self._source(relation)}"
        return f"SELECT *, held IS NULL OR tried IS NULL AS failed FROM ({tried}) WHERE held IS NULL OR held.p"

    def _source(self, relation: str) -> str:
        if relation != "s":
            return relation
        return "(SELECT *, row_number() OVER (PARTITION BY part ORDER BY seq) - 1 AS place FROM s)"

    def _failing(self, relation: str, items: dict[str, str], where: str) -> str | None:
        if relation != "s":
            return None
        return f"SELECT part, place FROM ({self._tried(relation, items, where)}) WHERE failed"
