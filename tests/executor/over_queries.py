"""Random queries over the rows of a partition in order, such that their answer is determined.

Where a function tells rows apart that ORDER BY leaves equal, the order is by all columns of the relation; rows that are
equal in all of them may change places unseen.
"""

from __future__ import annotations

from random import Random

RELATIONS = {"s": ("k", "g", "v", "d", "ts"), "t": ("id", "name", "w"), "b": ("x", "y", "z")}
INTEGERS = {"s": "v", "t": "w", "b": "z"}
ROWS_FRAMES = (
    "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
    "ROWS UNBOUNDED PRECEDING",
    "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
)
PEER_FRAMES = (
    "",
    "",
    "RANGE BETWEEN 3 PRECEDING AND CURRENT ROW",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
    "RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE TIES",
    "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
)


class OverQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> str:
        return self.random.choice(
            [self.functions, self.functions, self.functions, self.ranked, self.first, self.grouped]
        )()

    def functions(self) -> str:
        """Each row with functions over several windows.

        Of rows that are equal, one may come first in one window and another in the next. So, where there are such, one
        function at most tells them apart.
        """
        relation = self._relation()
        calls = [self._call(relation, by_rows=not n or relation == "t") for n in range(self.random.randint(1, 3))]
        items = ", ".join(f"{call} AS f{i}" for i, call in enumerate(calls))
        columns = self.random.choice([", ".join(RELATIONS[relation]), INTEGERS[relation], RELATIONS[relation][0]])
        return f"SELECT {columns}, {items} FROM {relation}{self._where(relation)}{self._window(relation, items)}"

    def ranked(self) -> str:
        """The rows whose rank in their partition is small, by QUALIFY or by WHERE around it."""
        relation = self._relation()
        number = self.random.choice(["row_number()", "row_number()", "rank()", "dense_rank()"])
        order = self._total(relation) if number == "row_number()" else self._order(INTEGERS[relation])
        call = f"{number} OVER ({self._partition(relation)} ORDER BY {order})"
        few = self.random.choice(["<= 1", "= 1", "<= 3", "< 3", "BETWEEN 2 AND 4", "> 2"])
        shown = self.random.choice(["", ", rn"])
        columns = ", ".join(RELATIONS[relation])
        if self.random.random() < 0.5:
            item = f", {call} AS rn" if shown else ""
            return f"SELECT {columns}{item} FROM {relation} QUALIFY {'rn' if shown else call} {few}"
        return f"SELECT {columns}{shown} FROM (SELECT *, {call} AS rn FROM {relation}) q WHERE rn {few}"

    def first(self) -> str:
        """The first rows of an order: LIMIT, DISTINCT ON, or both."""
        relation = self._relation()
        columns, limit = RELATIONS[relation], f"LIMIT {self.random.randint(1, 5)}"
        one, two, *_ = columns
        order, where = self._total(relation), self._where(relation)
        limit += self.random.choice(["", "", f" OFFSET {self.random.randint(0, 3)}"])
        shown = ", ".join(columns[: self.random.randint(1, len(columns))])
        first = f"SELECT {', '.join(columns)} FROM {relation}{where} ORDER BY {order} {limit}"
        return self.random.choice([
            f"SELECT {shown} FROM {relation}{where} ORDER BY {order} {limit}",
            f"SELECT DISTINCT {two}, {one} AS a FROM {relation} ORDER BY 2 DESC, {two} {limit}",
            f"SELECT DISTINCT ON ({one}) {shown} FROM {relation}{where} ORDER BY {order}",
            f"SELECT DISTINCT ON ({two}) {two} FROM {relation} ORDER BY {two} {limit}",
            f"SELECT {two}, count(*) AS n FROM {relation} GROUP BY 1 ORDER BY n DESC, 1 {limit}",
            f"SELECT {two}, count(*) AS n FROM ({first}) q GROUP BY {two}",
        ])  # fmt: skip

    def of_groups(self) -> str:
        """Functions of the groups of a GROUP BY, and what QUALIFY leaves of them."""
        inner = "(SELECT k, count(*) AS n, max(v) AS top FROM s GROUP BY k) q"
        return self.random.choice([
            f"SELECT k, n, sum(n) OVER (ORDER BY k) AS so_far, top - lag(top) OVER (ORDER BY k) AS more FROM {inner}",
            f"SELECT n, k, row_number() OVER (PARTITION BY n ORDER BY k DESC NULLS FIRST) AS p FROM {inner}",
            f"SELECT p, count(*) AS c FROM (SELECT ntile(3) OVER (ORDER BY k, n) AS p FROM {inner}) r GROUP BY p",
        ])  # fmt: skip

    def grouped(self) -> str:
        rank = self.random.choice(["rank()", "dense_rank()", "cume_dist()", "sum(count(*))", "max(sum(v))"])
        over = self.random.choice(["ORDER BY sum(v) DESC", "PARTITION BY count(*) % 2 ORDER BY sum(v)", "ORDER BY k"])
        tail = self.random.choice(["", " QUALIFY r > 1", " HAVING count(*) > 1", " QUALIFY count(*) OVER () > 2"])
        return f"SELECT k, sum(v) AS total, {rank} OVER ({over}) AS r FROM s GROUP BY k{tail}"

    # ---------------------------------------------------------------- parts

    def _relation(self) -> str:
        return self.random.choice(["s", "s", "t", "b"])

    def _where(self, relation: str) -> str:
        return self.random.choice(["", "", f" WHERE {INTEGERS[relation]} > 0"])

    def _window(self, relation: str, items: str) -> str:
        return f" WINDOW win AS (PARTITION BY {RELATIONS[relation][1]})" if "(win" in items else ""

    def _partition(self, relation: str) -> str:
        first, second, *_ = RELATIONS[relation]
        return self.random.choice(
            ["", f"PARTITION BY {first}", f"PARTITION BY {second}", f"PARTITION BY {first}, {second}",
             f"PARTITION BY {first} % 2", "PARTITION BY d" if relation == "s" else f"PARTITION BY {second}"]
        )  # fmt: skip

    def _order(self, column: str) -> str:
        return column + self.random.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])

    def _total(self, relation: str) -> str:
        columns = list(RELATIONS[relation])
        self.random.shuffle(columns)
        return ", ".join(self._order(column) for column in columns)

    def _call(self, relation: str, by_rows: bool) -> str:
        r = self.random
        number, text = INTEGERS[relation], RELATIONS[relation][1]
        base = r.choice([self._partition(relation), self._partition(relation), "win"])
        if by_rows and r.random() < 0.5:
            column = r.choice(RELATIONS[relation])
            nulls = r.choice(["", "", " IGNORE NULLS"])
            frame = r.choice(ROWS_FRAMES)
            plain = [
                "row_number()", "ntile(3)", f"lag({column}{nulls})", f"lead({column}, 2)", f"lag({number}, 1, 7)",
            ]  # fmt: skip
            framed = [
                f"first_value({column}{nulls})", f"last_value({column}{nulls})", f"nth_value({column}, 2)",
                f"sum({number})", f"avg({number})", f"min({column})", "count(*)", f"count({text})",
                f"sum({number}) FILTER (WHERE {number} > 0)", f"stddev({number} % 1000)",
            ]  # fmt: skip
            if relation == "s":
                framed += ["sum(d)", "avg(d)", "max(d)"]
            if r.random() < 0.4:
                return f"{r.choice(plain)} OVER ({base} ORDER BY {self._total(relation)})"
            return f"{r.choice(framed)} OVER ({base} ORDER BY {self._total(relation)} {frame})"
        equal = [
            "rank()", "dense_rank()", "percent_rank()", "cume_dist()", "count(*)", f"sum({number})",
            f"max({text})", f"avg({number})", f"count(DISTINCT {text})",
        ]  # fmt: skip
        function = r.choice(equal)
        if relation == "s" and r.random() < 0.2:
            return f"sum(v) OVER ({base} ORDER BY ts RANGE BETWEEN INTERVAL 15 SECONDS PRECEDING AND CURRENT ROW)"
        if r.random() < 0.2 and function[:4] in ("coun", "sum(", "max(", "avg("):
            return f"{function} OVER ({base})"
        frame = "" if function.endswith("()") else r.choice(PEER_FRAMES)
        return f"{function} OVER ({base} ORDER BY {self._order(number)} {frame})"
