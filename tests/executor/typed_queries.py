"""Random queries over relations whose columns have random types, such that their answer is determined.

They speak of columns by what any type can do (be equal, be NULL, be ordered), and of some by what theirs can.
"""

from __future__ import annotations

from random import Random

from tests.executor.sources import NESTED, VALUES, Source, literal

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UBIGINT")


class TypedQueries:
    """Makes the queries over `sources`, which have the same columns; `random` decides."""

    def __init__(self, random: Random, sources: tuple[Source, ...]) -> None:
        self.random = random
        self.tables = tuple(source.name for source in sources if source.kind != "stream")
        self.relations = tuple(source.name for source in sources)
        self.types = dict(sources[0].columns)
        self.names = tuple(self.types)

    def query(self) -> str:
        r = self.random
        return r.choice(
            [self.filtered, self.grouped, self.grouped, self.distinct, self.joined, self.joined, self.joined_group,
             self.combined, self.first, self.first, self.numbered, self.subquery]
        )()  # fmt: skip

    def filtered(self) -> str:
        return f"SELECT {self._columns()} FROM {self._relation()}{self._where()}"

    def distinct(self) -> str:
        return f"SELECT DISTINCT {self._columns()} FROM {self._relation()}{self._where()}"

    def grouped(self) -> str:
        keys = self.random.sample(self.names, self.random.choice([0, 1, 1, 2]))
        items = ", ".join([*keys, *self._calls("")])
        tail = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = self.random.choice(["", "", " HAVING count(*) > 1"]) if keys else ""
        return f"SELECT {items} FROM {self._relation()}{self._where()}{tail}{having}"

    def joined(self) -> str:
        """A join of two tables on columns of one type, NULL and NaN among them."""
        r = self.random
        kind = r.choice(["", "LEFT ", "RIGHT ", "FULL ", "SEMI ", "ANTI "])
        own = [f"l.{name} AS l{name}" for name in r.sample(self.names, r.randint(1, 3))]
        other = [f"o.{name} AS o{name}" for name in r.sample(self.names, r.randint(1, 3))]
        items = own if kind in ("SEMI ", "ANTI ") else own + other
        return f"SELECT {', '.join(items)} FROM {self._join(kind)}"

    def joined_group(self) -> str:
        key = self.random.choice(self.names)
        join = self._join(self.random.choice(["", "LEFT ", "FULL "]))
        return f"SELECT l.{key} AS x, count(*) AS n, count(o.a) AS m FROM {join} GROUP BY l.{key}"

    def combined(self) -> str:
        r = self.random
        columns = self._columns()
        operator = r.choice(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
        one, other = (f"SELECT {columns} FROM {self._relation()}{self._where()}" for _ in range(2))
        return f"{one} {operator} {other}"

    def first(self) -> str:
        order, limit, table = self._order(), self.random.choice([1, 1, 2, 4]), self.random.choice(self.tables)
        return self.random.choice([
            f"SELECT {', '.join(self.names)} FROM {table} ORDER BY {order} LIMIT {limit}",
            f"SELECT DISTINCT ON (b) a, b, c, d FROM {self._relation()}{self._where()} ORDER BY {order}",
        ])  # fmt: skip

    def numbered(self) -> str:
        """Numbers and neighbours in an order of all columns, within a partition by one."""
        r = self.random
        key, shown = r.choice(self.names), ", ".join(self.names)
        call = r.choice(["row_number()", "row_number()", "lag(b)", "lead(a, 2)", "first_value(d)", "count(c)"])
        over = f"{call} OVER (PARTITION BY {key} ORDER BY {self._order()})"
        return f"SELECT {shown}, {over} AS f FROM {self._relation()}{self._where()}"

    def subquery(self) -> str:
        r = self.random
        name, (one, other) = r.choice(self.names), (r.choice(self.tables) for _ in range(2))
        where = self._condition("o.")
        return r.choice([
            f"SELECT l.a, l.b FROM {one} l WHERE l.{name} IN (SELECT o.{name} FROM {other} o WHERE {where})",
            f"SELECT l.a, l.b FROM {one} l WHERE l.{name} NOT IN (SELECT o.{name} FROM {other} o WHERE {where})",
            f"SELECT a, c FROM {one} l WHERE EXISTS (SELECT 1 FROM {other} o WHERE o.{name} = l.{name} AND {where})",
            f"SELECT l.a, (SELECT count(*) FROM {other} o WHERE o.{name} = l.{name}) AS n FROM {one} l",
        ])  # fmt: skip

    # ---------------------------------------------------------------- parts

    def _relation(self) -> str:
        return self.random.choice(self.relations)

    def _columns(self) -> str:
        return ", ".join(self.random.sample(self.names, self.random.randint(1, len(self.names))))

    def _join(self, kind: str) -> str:
        r = self.random
        left, right = r.choice(self.tables), r.choice(self.tables)
        on = [f"l.{name} = o.{name}" for name in r.sample(self.names, r.choice([1, 1, 2]))]
        if r.random() < 0.2:
            on[0] = on[0].replace("=", "IS NOT DISTINCT FROM")
        if r.random() < 0.3:
            on.append(self._condition(r.choice(["l.", "o."])))
        return f"{left} l {kind}JOIN {right} o ON {' AND '.join(on)}"

    def _calls(self, prefix: str) -> list[str]:
        r = self.random
        options = ["count(*)"]
        for name, type_ in self.types.items():
            options += [f"count({prefix}{name})", f"count(DISTINCT {prefix}{name})"]
            if type_ not in NESTED:
                options += [f"min({prefix}{name})", f"max({prefix}{name})"]
            if type_ in INTEGERS or type_.startswith("DECIMAL(9"):
                options += [f"sum({prefix}{name})", f"avg({prefix}{name})"]
            if type_ == "BOOLEAN":
                options += [f"bool_and({prefix}{name})", f"count_if({prefix}{name})"]
        chosen = r.sample(options, r.randint(1, 4))
        return [f"{call} AS c{n}" for n, call in enumerate(chosen)]

    def _order(self) -> str:
        names = self.random.sample(self.names, len(self.names))
        return ", ".join(name + self.random.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]) for name in names)

    def _where(self) -> str:
        return f" WHERE {self._condition('')}" if self.random.random() < 0.5 else ""

    def condition(self) -> str:
        """A random predicate over the columns, by their names alone."""
        return self._condition("")

    def _condition(self, prefix: str) -> str:
        r = self.random
        name = r.choice(self.names)
        type_, column = self.types[name], prefix + name
        value = literal(r.choice(VALUES[type_]), type_)
        options = [
            f"{column} IS NOT NULL", f"{column} IS NULL", f"{column} = {value}", f"{column} <> {value}",
            f"{column} > {value}", f"{column} <= {value}", f"{column} IS DISTINCT FROM {value}",
            f"{column} IN ({value}, {literal(r.choice(VALUES[type_]), type_)})",
            f"coalesce({column}, {value}) = {value}",
            f"CASE WHEN {column} = {value} THEN {column} > {value} ELSE {column} IS NOT NULL END",
        ]  # fmt: skip
        if type_ == "VARCHAR":
            options += [f"{column} LIKE '%a%'", f"length({column}) > 1", f"upper({column}) = 'A'"]
        elif type_ == "BOOLEAN":
            options += [column, f"NOT {column}"]
        elif type_ in ("REAL", "DOUBLE"):
            options += [f"isnan({column})", f"{column} > 0"]
        elif type_.endswith("[]"):
            options += [f"len({column}) > 1", f"{column}[1] IS NULL"]
        elif type_.startswith("STRUCT"):
            options += [f"{column}.p > 0", f"{column}.q IS NULL"]
        return r.choice(options)
