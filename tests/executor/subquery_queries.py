"""Random queries with subqueries inside expressions: under OR, NOT and CASE, and in the select list."""

from __future__ import annotations

from random import Random

RELATIONS = {"t": ("id", "name", "w"), "b": ("x", "y", "z"), "s": ("k", "g", "v")}  # an integer, a text, an integer
THEN = "(FROM th WHERE born <= a.version AND (died IS NULL OR died > a.version))"  # t as a row of s meets it


class SubqueryQueries:
    """Makes the queries, each with its oracle; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> tuple[str, str]:
        r = self.random
        if r.random() < 0.2:
            return self.of_stream()
        left = r.choice(["t", "b"])
        a, b, c = (f"a.{name}" for name in RELATIONS[left])
        condition = self.condition((a, b, c))
        sql = r.choice([
            f"SELECT {a}, {b}, {c} FROM {left} a WHERE {condition}",
            f"SELECT {a}, {b}, {c} FROM {left} a WHERE {condition}",
            f"SELECT {b}, {c}, {self.mark((a, b, c))} AS mark FROM {left} a",
            f"SELECT {b}, CASE WHEN {self.mark((a, b, c))} THEN {a} ELSE -1 END AS n FROM {left} a",
            f"SELECT {b}, count(*) AS n FROM {left} a WHERE {condition} GROUP BY {b}",
            f"SELECT {b}, max({c}) AS top FROM {left} a GROUP BY {b} "
            f"HAVING count(*) > 2 OR max({c}) IN (SELECT e.w FROM t e)",
        ])  # fmt: skip
        return sql, sql

    def of_stream(self) -> tuple[str, str]:
        """A stream, whose rows meet the tables of subqueries as they were then."""
        r = self.random
        mark = self.mark(("a.k", "a.g", "a.v"), relations=("t",))
        while "(a.k, a.g)" in mark:  # which DuckDB cannot compare with what is correlated, as all is here
            mark = self.mark(("a.k", "a.g", "a.v"), relations=("t",))
        sql = r.choice([
            f"SELECT a.k, a.v FROM s a WHERE a.v > 0 OR {mark}",
            f"SELECT a.k, a.v, {mark} AS mark FROM s a",
        ])  # fmt: skip
        return sql, sql.replace("FROM t e", f"FROM {THEN} e")

    def condition(self, columns: tuple[str, str, str]) -> str:
        """Marks under NOT, OR and AND."""
        r = self.random
        one, two = self.mark(columns), self.mark(columns)
        plain = r.choice([f"{columns[2]} > 0", f"{columns[1]} IS NULL", f"{columns[0]} = 1"])
        return r.choice([
            f"{plain} OR {one}", f"NOT ({plain} AND {one})", f"({one}) = ({two})", f"{one} OR {two}",
            f"({plain} OR {one}) AND ({two}) IS NOT TRUE", f"({one}) IS NULL",
            f"CASE WHEN {plain} THEN {one} ELSE {two} END",
        ])  # fmt: skip

    def mark(self, columns: tuple[str, str, str], relations: tuple[str, ...] = ("t", "b", "s")) -> str:
        """A subquery that stands for a truth value."""
        r = self.random
        a, b, c = columns
        relation = r.choice(relations)
        d, e, f = (f"e.{name}" for name in RELATIONS[relation])
        tied = r.choice(["", "", f"{d} = {a}", f"{e} = {b}", f"{f} <> {c}", f"{d} = {a} AND {f} > {c}"])
        where = " AND ".join(part for part in (r.choice(["", f"{f} > 0", f"{e} IS NOT NULL"]), tied) if part)
        rest = f"FROM {relation} e" + (f" WHERE {where}" if where else "")
        negation = r.choice(["", "NOT "])
        operator = r.choice(["=", "<>", "<", ">=", ">"])
        return r.choice([
            f"{negation}EXISTS (SELECT 1 {rest})",
            f"{negation}EXISTS (SELECT 1 {rest})",
            f"{a} {negation}IN (SELECT {d} {rest})",
            f"{c} {negation}IN (SELECT {f} {rest})",
            f"{b} {negation}IN (SELECT {e} {rest})",
            f"({a}, {b}) {negation}IN (SELECT {d}, {e} FROM {relation} e)",
            f"{c} {operator} {r.choice(['ANY', 'ALL'])} (SELECT {f} {rest})",
        ])  # fmt: skip
