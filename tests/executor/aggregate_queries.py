"""Random queries with aggregates that are computed again, beside ones that are folded; their answer is determined.

The order of rows shows only where ORDER BY is by the values themselves, or where it is that of the log.
"""

from __future__ import annotations

from random import Random

# By relation: its keys to group by, an integer, a text.
RELATIONS = {"s": (("k", "g", "k % 2"), "v", "g"), "t": (("name", "w"), "w", "name"), "b": (("x", "y"), "z", "y")}

OF_INTEGER = (
    "median({i})", "quantile_disc({i}, 0.25)", "quantile_cont({i}, [0.1, 0.5])", "stddev({i} % 100)",
    "var_pop({i} % 7)",
    "list({i} ORDER BY {i})", "list({i} ORDER BY {i} DESC NULLS LAST)", "max({i}, 2)", "min({i}, 3)",
    "bit_xor({i})", "count_if({i} > 0)", "bool_or({i} > 1)", "histogram({i})", "approx_count_distinct({i})",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY {i})", "arg_max({i}, {i})", "regr_count({i}, {i})",
    "first({i} ORDER BY {i})", "list(DISTINCT {i} ORDER BY {i})", "median(DISTINCT {i})", "any_value({i} ORDER BY {i})",
    "covar_pop({i} % 5, {i} % 3)", "mad({i} % 10)", "corr({i} % 5, {i} % 3)",
)  # fmt: skip
OF_TEXT = (
    "string_agg({t}, ',' ORDER BY {t})", "list({t} ORDER BY {t} NULLS FIRST)", "last({t} ORDER BY {t})",
    "string_agg(DISTINCT {t}, '' ORDER BY {t})", "arg_min({t}, {t})",
)  # fmt: skip
DISTINCT = ("count(DISTINCT {i})", "count(DISTINCT {t})", "sum(DISTINCT {i})", "avg(DISTINCT {i})", "max(DISTINCT {i})")
FOLDED = ("count(*)", "sum({i})", "max({t})", "avg({i})", "count({t})")

# The order of the log, which the oracle knows as `nth`, the place of a record in its partition, and the partition.
OF_LOG = ("list({i})", "string_agg({t}, '|')", "first({i})", "last({t})", "array_agg({i})")


class AggregateQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        """A query, and DuckDB SQL with the same answer."""
        return self.random.choice([self.grouped, self.grouped, self.grouped, self.of_log, self.of_nested])()

    def grouped(self) -> tuple[str, str]:
        relation = self.random.choice("stb")
        keys, integer, text = RELATIONS[relation]
        key = self.random.choice(["", *keys, keys[0]])
        items = [key] if key else []
        items += [f"{call} AS c{n}" for n, call in enumerate(self._calls(integer, text, relation == "s"))]
        tail = self._where(integer) + (f" GROUP BY {key}" if key else "")
        sql = f"SELECT {', '.join(items)} FROM {relation}{tail}"
        return sql, sql

    def of_log(self) -> tuple[str, str]:
        """Aggregates in the order of the stream."""
        calls = self.random.sample(OF_LOG, self.random.randint(1, 3))
        items = ", ".join(f"{call.format(i='v', t='g')} AS c{n}" for n, call in enumerate(calls))
        ordered = items.replace(") AS", " ORDER BY nth, part) AS")
        placed = "(SELECT *, row_number() OVER (PARTITION BY part ORDER BY seq) AS nth FROM s)"
        where = self._where("v")
        return (
            f"SELECT k, {items} FROM s{where} GROUP BY k",
            f"SELECT k, {ordered} FROM {placed}{where} GROUP BY k",
        )

    def of_nested(self) -> tuple[str, str]:
        """Aggregates over groups, whose rows change all the time."""
        calls = ", ".join(f"{call} AS c{n}" for n, call in enumerate(self._calls("top", "g", False)))
        inner = f"SELECT k, g, max(v) AS top, count(*) AS n FROM s{self._where('v')} GROUP BY k, g"
        sql = f"SELECT n % 3 AS n3, {calls} FROM ({inner}) q GROUP BY n % 3"
        return sql, sql

    def _calls(self, integer: str, text: str, floats: bool) -> list[str]:
        options = [*self.random.sample(OF_INTEGER, 4), self.random.choice(OF_TEXT), *DISTINCT, *FOLDED]
        if floats:
            options += ["count(DISTINCT d)", "max(d, 2)", "quantile_disc(d, 0.5)"]
        chosen = self.random.sample(options, self.random.randint(1, 5))
        return [call.format(i=integer, t=text) + self._filter(call, integer) for call in chosen]

    def _filter(self, call: str, integer: str) -> str:
        if self.random.random() < 0.8 or "WITHIN" in call:
            return ""
        return f" FILTER (WHERE {integer} {self.random.choice(['> 0', 'IS NULL', '< 3', '= 1'])})"

    def _where(self, integer: str) -> str:
        return self.random.choice(["", "", f" WHERE {integer} > 0", f" WHERE {integer} IS NOT NULL"])
