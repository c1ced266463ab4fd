"""Random queries with rows that no relation has: elements of lists, and constants."""

from __future__ import annotations

from random import Random

# Relations, lists of their rows, an integer, a text.
RELATIONS = (
    (
        "s",
        ("[r.k, r.v]", "string_split(r.g, ' ')", "generate_series(1, r.k)", "[r.d]", "nullif([r.g], [''])"),
        "v",
        "g",
    ),
    (
        "t",
        ("[r.id, r.w]", "range(r.id)", "[r.name, 'x', r.name]", "CASE WHEN r.w > 0 THEN [r.w] ELSE [] END"),
        "w",
        "name",
    ),
    ("b", ("[r.z, r.x]", "[r.y, NULL]", "generate_series(r.x, 4, 2)"), "z", "y"),
)  # fmt: skip
CONSTANTS = (
    "(VALUES (1, 'a', 5), (2, 'x', NULL), (NULL, 'b', 1), (2, 'x', NULL)) c(n, u, w)",
    "(VALUES (1 + 1, lower('A'), 2.5e0)) c(n, u, w)",
    "(SELECT 2 AS n, 'x' AS u, 1 AS w) c",
    "(SELECT n, CASE WHEN n > 1 THEN 'x' ELSE 'a' END AS u, n * 2 AS w FROM range(3) q(n)) c",
)


class RowQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> str:
        return self.random.choice([self.elements, self.elements, self.selected, self.constants, self.alone])()

    def elements(self) -> str:
        """The elements of lists, in FROM."""
        r = self.random
        relation, lists, number, text = r.choice(RELATIONS)
        function = r.choice(lists)
        call = function if function.startswith(("range", "generate")) else f"unnest({function})"
        if r.random() < 0.3:
            source = f"{relation} r LEFT JOIN LATERAL {call} u(e) ON true"
        elif r.random() < 0.3:
            source = f"{relation} r CROSS JOIN unnest({function}) WITH ORDINALITY u(e, n)"
        else:
            source = r.choice([f"{relation} r, {call} u(e)", f"{relation} r, LATERAL {call} AS u(e)"])
            source += r.choice(["", "", ", unnest([u.e, NULL]) AS w(f)"])
        where = r.choice(["", "", f" WHERE r.{number} > 0", " WHERE u.e IS NOT NULL", f" WHERE r.{text} IS NOT NULL"])
        shown = [f"r.{number}", f"r.{text}", "u.e"] + (["u.n"] if "ORDINALITY" in source else [])
        shown += ["w.f"] if "w(f)" in source else []
        if r.random() < 0.4:
            return f"SELECT {shown[-1]} AS e, count(*) AS n, max(r.{number}) AS top FROM {source}{where} GROUP BY 1"
        columns = r.sample(shown, r.randint(1, len(shown)))
        return f"SELECT {', '.join(f'{c} AS c{i}' for i, c in enumerate(columns))} FROM {source}{where}"

    def selected(self) -> str:
        """The elements of a list, in the select list."""
        r = self.random
        relation, lists, number, text = r.choice(RELATIONS)
        items = r.choice(lists)
        return r.choice([
            f"SELECT {text}, unnest({items}) AS e FROM {relation} r WHERE {number} > 0",
            f"SELECT DISTINCT unnest({items}) AS e FROM {relation} r",
            f"SELECT {text}, unnest([min({number}), max({number})]) AS e FROM {relation} GROUP BY {text}",
            f"SELECT e, count(*) AS n FROM (SELECT unnest({items}) AS e FROM {relation} r) q GROUP BY e",
        ])  # fmt: skip

    def constants(self) -> str:
        """Tables with constants: joined, or as a side of a set operation."""
        r = self.random
        relation, _, number, text = r.choice(RELATIONS[1:])
        constant = r.choice(CONSTANTS)
        kind = r.choice(["", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
        on = r.choice([f"r.{number} = c.n", f"r.{text} = c.u", f"r.{text} = c.u AND r.{number} > c.w"])
        columns = f"r.{text}, r.{number}" + ("" if kind in ("SEMI", "ANTI") else ", c.n, c.w")
        return r.choice([
            f"SELECT {columns} FROM {relation} r {kind} JOIN {constant} ON {on}",
            f"SELECT {text}, {number} FROM {relation} {r.choice(['UNION', 'EXCEPT', 'INTERSECT ALL'])} "
            f"SELECT u, n FROM {constant}",
            f"SELECT c.u, count(r.{number}) AS n FROM {constant} LEFT JOIN {relation} r ON {on} GROUP BY c.u",
        ])  # fmt: skip

    def alone(self) -> str:
        """Constants alone."""
        constant = self.random.choice(CONSTANTS)
        return self.random.choice([
            f"SELECT * FROM {constant}", f"SELECT u, count(*) AS n, max(w) AS top FROM {constant} GROUP BY u",
            "SELECT 1 AS one, 'a' AS text, NULL AS nothing", "VALUES (1, 'a'), (2, NULL)",
            "SELECT unnest([1, 2, NULL]) AS e", "SELECT * FROM generate_series(1, 3) g(n), range(n) q(m)",
        ])  # fmt: skip
