"""Random queries that call functions in Python, each with the same query in DuckDB's own words."""

from __future__ import annotations

import random

# One of every kind; `checked` raises an exception for 1, and `py_sum` and `py_range` can take rows back.
DEFINITIONS = """
    CREATE FUNCTION plus_one (x BIGINT) RETURNS BIGINT LANGUAGE python AS $$ return x + 1 $$;
    CREATE FUNCTION or_zero (x BIGINT) RETURNS BIGINT LANGUAGE python CALLED ON NULL INPUT AS $$
      return 0 if x is None else x
    $$;
    CREATE FUNCTION checked (x BIGINT) RETURNS BIGINT LANGUAGE python AS $$
      if x == 1:
          raise ValueError("one is not wanted")
      return x
    $$;
    CREATE FUNCTION shout (s VARCHAR) RETURNS VARCHAR LANGUAGE python WITH (vectorized = true) AS $$
      import pyarrow.compute as pc
      return pc.binary_join_element_wise(s, "!", "")
    $$;
    CREATE FUNCTION twice (x BIGINT, y BIGINT) RETURNS BIGINT LANGUAGE python WITH (vectorized = true) AS $$
      import pyarrow.compute as pc
      return pc.add_checked(x, y)
    $$;
    CREATE AGGREGATE FUNCTION py_sum (x BIGINT) RETURNS HUGEINT LANGUAGE python AS $$
    class py_sum:
        def __init__(self):
            self.total, self.count = 0, 0

        def accumulate(self, x):
            self.total, self.count = self.total + sum(x.to_pylist()), self.count + len(x)

        def retract(self, x):
            self.total, self.count = self.total - sum(x.to_pylist()), self.count - len(x)

        def finish(self):
            return self.total if self.count else None
    $$;
    CREATE AGGREGATE FUNCTION py_range (x BIGINT, y BIGINT) RETURNS BIGINT LANGUAGE python AS $$
    from collections import Counter

    class py_range:
        def __init__(self):
            self.xs, self.ys = Counter(), Counter()

        def accumulate(self, x, y):
            self.xs += Counter(x.to_pylist())
            self.ys += Counter(y.to_pylist())

        def retract(self, x, y):
            self.xs -= Counter(x.to_pylist())
            self.ys -= Counter(y.to_pylist())

        def finish(self):
            return max(self.xs) - min(self.ys) if self.xs else None
    $$;
    CREATE AGGREGATE FUNCTION py_list (x BIGINT) RETURNS BIGINT[] LANGUAGE python CALLED ON NULL INPUT AS $$
      return x.to_pylist() or None
    $$;
    CREATE AGGREGATE FUNCTION py_texts (s VARCHAR, n BIGINT) RETURNS VARCHAR LANGUAGE python AS $$
      return "|".join(f"{a}:{b}" for a, b in zip(s.to_pylist(), n.to_pylist())) if len(s) else None
    $$;
"""

# Of each relation: a key, a whole number, another one, a text.
_COLUMNS = {"s": ("k", "v", "k", "g"), "t": ("id", "w", "id", "name"), "b": ("x", "z", "x", "y")}


class FunctionQueries:
    """Random queries; each is made in two spellings at once."""

    def __init__(self, r: random.Random) -> None:
        self.random = r

    def query(self) -> tuple[str, str]:
        """A query, and DuckDB SQL that gives the same rows."""
        make = self.random.choice([self._rows, self._groups, self._groups, self._joined, self._checked, self._window])
        relation = self.random.choice("sstb")
        return make(*_COLUMNS[relation], relation)

    def _value(self, key: str, number: str, text: str) -> tuple[str, str]:
        return self.random.choice([
            (f"plus_one({number})", f"({number} + 1)"),
            (f"or_zero({number})", f"coalesce({number}, 0)"),
            (f"shout({text})", f"({text} || '!')"),
            (f"twice({number}, {key})", f"({number}::BIGINT + {key})"),
            (f"plus_one(or_zero({number}) * 2)", f"(coalesce({number}, 0)::BIGINT * 2 + 1)"),
            (f"CASE WHEN {number} <> 1 THEN checked({number}) END", f"nullif({number}, 1)"),
        ])  # fmt: skip

    def _condition(self, number: str, text: str) -> tuple[str, str]:
        return self.random.choice([
            ("", ""),
            (f" WHERE plus_one({number}) > 1", f" WHERE {number} > 0"),
            (f" WHERE or_zero({number}) < 3 OR shout({text}) = 'a!'",
             f" WHERE coalesce({number}, 0) < 3 OR {text} = 'a'"),
            (f" WHERE checked({number}) >= 0", f" WHERE {number} >= 0 AND {number} <> 1"),
        ])  # fmt: skip

    def _rows(self, key: str, number: str, _: str, text: str, relation: str) -> tuple[str, str]:
        values = [self._value(key, number, text) for _ in range(self.random.randint(1, 3))]
        where = self._condition(number, text)
        own, others = (", ".join(f"{value[i]} AS c{n}" for n, value in enumerate(values)) for i in (0, 1))
        return f"SELECT {own} FROM {relation}{where[0]}", f"SELECT {others} FROM {relation}{where[1]}"

    def _aggregate(self, key: str, number: str, text: str) -> tuple[str, str]:
        r = self.random
        distinct = r.choice(["", "", "DISTINCT "])
        only, kept = r.choice([("", ""), ("", ""), (f" FILTER (WHERE {key} > 0)", f" AND {key} > 0")])
        both = f"{number} IS NOT NULL AND {key} IS NOT NULL{kept}"
        return r.choice([
            (f"py_sum({distinct}{number}){only}", f"sum({distinct}{number}){only}"),
            (f"py_sum({distinct}plus_one({number})){only}", f"sum({distinct}{number}::BIGINT + 1){only}"),
            (f"py_range({distinct}{number}, {key}){only}",
             f"(max({number}) FILTER (WHERE {both}) - min({key}) FILTER (WHERE {both}))::BIGINT"),
            (f"py_list({distinct}{number}){only}", f"list({distinct}{number} ORDER BY {number}){only}"),
            (f"py_list({number} ORDER BY {key}, {number} DESC){only}",
             f"list({number} ORDER BY {key}, {number} DESC){only}"),
            (f"py_texts({text}, {number}){only}",
             f"string_agg({text} || ':' || {number}, '|' ORDER BY {text}, {number}){only}"),
            ("count(*)", "count(*)"),
        ])  # fmt: skip

    def _select(self, key: str, number: str, text: str) -> tuple[str, str]:
        calls = [self._aggregate(key, number, text) for _ in range(self.random.randint(1, 3))]
        own, others = (", ".join(f"{call[i]} AS c{n}" for n, call in enumerate(calls)) for i in (0, 1))
        return own, others

    def _groups(self, key: str, number: str, _: str, text: str, relation: str) -> tuple[str, str]:
        select, where = self._select(key, number, text), self._condition(number, text)
        groups = self.random.choice([
            None, (text, text), (f"shout({text})", f"{text} || '!'"), (f"plus_one({key})", f"{key}::BIGINT + 1"),
            (f"or_zero({number}) % 3", f"coalesce({number}, 0) % 3"),
        ])  # fmt: skip
        if groups is None:
            return f"SELECT {select[0]} FROM {relation}{where[0]}", f"SELECT {select[1]} FROM {relation}{where[1]}"
        having = self.random.choice([
            ("", ""), ("", ""), (f" HAVING py_sum({number}) > 0", f" HAVING sum({number}) > 0"),
            (" HAVING plus_one(count(*)) > 2", " HAVING count(*) > 1"),
        ])  # fmt: skip
        own, other = (
            f"SELECT {groups[i]} AS grp, {select[i]} FROM {relation}{where[i]} GROUP BY {groups[i]}{having[i]}"
            for i in (0, 1)
        )
        return own, other

    def _joined(self, *_: str) -> tuple[str, str]:
        kind = self.random.choice(["JOIN", "LEFT JOIN", "FULL JOIN", "SEMI JOIN"])
        own, other = self.random.choice([
            ("plus_one(c.id) = or_zero(b.x)", "c.id + 1 = coalesce(b.x, 0)"),
            ("c.id = b.x AND plus_one(c.w) > b.z", "c.id = b.x AND c.w + 1 > b.z"),
            ("c.id = b.x AND shout(c.name) < shout(b.y)", "c.id = b.x AND c.name || '!' < b.y || '!'"),
        ])  # fmt: skip
        rest = "" if kind == "SEMI JOIN" else ", b.y, b.z"
        return (
            f"SELECT c.id, plus_one(c.w) AS w{rest} FROM t c {kind} b ON {own}",
            f"SELECT c.id, c.w + 1 AS w{rest} FROM t c {kind} b ON {other}",
        )

    def _checked(self, key: str, number: str, _: str, text: str, relation: str) -> tuple[str, str]:
        """A row on which a function raises an exception is left out."""
        return (
            f"SELECT {key}, checked({number}) AS v, shout({text}) AS s FROM {relation}",
            f"SELECT {key}, {number} AS v, {text} || '!' AS s FROM {relation} WHERE {number} IS DISTINCT FROM 1",
        )

    def _window(self, key: str, number: str, _: str, text: str, relation: str) -> tuple[str, str]:
        over = f"OVER (PARTITION BY {text})"
        return (
            f"SELECT {key}, {number}, py_sum({number}) {over} AS s, py_list({number}) {over} AS l FROM {relation}",
            f"SELECT {key}, {number}, sum({number}) {over} AS s, list({number} ORDER BY {number}) {over} AS l "
            f"FROM {relation}",
        )
