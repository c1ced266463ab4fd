"""Random recursive queries over the edges that the relations of the harness hold: x → z of b, id → w of t, k → v of s.

Edges come and go, make circles and lead nowhere. What could go on for ever is UNION, or counts its depth.
"""

from __future__ import annotations

from random import Random

EDGES = (
    "b",
    "b",
    "(SELECT id AS x, name AS y, w AS z FROM t)",
    "(SELECT DISTINCT k AS x, g AS y, v % 7 AS z FROM s)",
    "(SELECT x, max(y) AS y, min(z) AS z FROM b GROUP BY x)",
    "(SELECT z AS x, y, id AS z FROM b JOIN t ON x = w)",
)
NODES = (
    "SELECT DISTINCT x FROM b",
    "SELECT id FROM t",
    "SELECT id FROM t WHERE w > 0",
    "SELECT max(id) FROM t",
    "SELECT x FROM b WHERE y = 'a' UNION SELECT w FROM t",
    "SELECT DISTINCT k FROM s WHERE v > 0",
)


class RecursiveQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> str:
        return self.random.choice([self.closure, self.reached, self.reached, self.counted, self.paths, self.computed])()

    def closure(self) -> str:
        """All pairs that a way connects."""
        r = self.random
        edges = f"SELECT x::BIGINT, z::BIGINT FROM {self._edges()} e{self._where('e')}"
        step = r.choice([
            f"SELECT r.a, e.z FROM r JOIN {self._edges()} e ON r.c = e.x",
            f"SELECT e.x, r.c FROM {self._edges()} e, r WHERE r.a = e.z",
            f"SELECT r.a, e.z FROM r JOIN {self._edges()} e ON r.c = e.x AND e.z >= r.a",
            "SELECT c, a FROM r",
            f"SELECT p.a, e.z FROM (SELECT a, c + 1 AS d FROM r WHERE c < 3) p JOIN {self._edges()} e ON p.d = e.x",
        ])  # fmt: skip
        return self._asked(f"r(a, c) AS ({edges} UNION {self._several(step)})", ("a", "c"))

    def reached(self) -> str:
        """The nodes to which a way leads, under conditions of all kinds."""
        r = self.random
        one = r.choice(["SELECT x::BIGINT FROM b", "SELECT id::BIGINT FROM t", "SELECT k::BIGINT FROM s"])
        edges, nodes = self._edges(), r.choice(NODES)
        met = f"SELECT e.z FROM r JOIN {edges} e ON r.a = e.x"
        step = r.choice([
            f"{met}{self._where('e')}",
            f"SELECT e.z FROM {edges} e, r WHERE r.a = e.x AND e.z <> r.a",
            f"{met} WHERE r.a IN ({nodes})",
            f"{met} WHERE r.a NOT IN (SELECT w FROM t WHERE w IS NOT NULL)",
            f"{met} WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = r.a AND t.w < e.z)",
            f"{met} WHERE EXISTS (SELECT 1 FROM b WHERE b.z > r.a)",
            f"SELECT e.z FROM r LEFT JOIN {edges} e ON r.a = e.x AND e.y IS NOT NULL",
            f"SELECT e.z FROM {edges} e RIGHT JOIN r ON r.a = e.x AND e.z > r.a",
            f"SELECT e.z FROM r JOIN {edges} e ON r.a > e.x",
            f"{met} WHERE r.a <= (SELECT max(w) FROM t)",
            f"{met} JOIN t c ON c.id = e.z",
            f"SELECT e.z + c.w FROM r, {edges} e, t c WHERE r.a = e.x AND c.id = r.a AND e.z + c.w BETWEEN -5 AND 9",
        ])  # fmt: skip
        return self._asked(f"r(a) AS ({one} UNION {self._several(step)})", ("a",))

    def counted(self) -> str:
        """Ways of a bounded length, each as often as there are such ways."""
        r = self.random
        most = r.randint(1, 3)
        union = r.choice(["UNION ALL", "UNION ALL", "UNION"])
        one = f"SELECT {r.choice(['x AS a, 0 AS n FROM b', 'id AS a, 1 AS n FROM t', 'k AS a, 0 AS n FROM s'])}"
        edges = r.choice(["(SELECT DISTINCT x, y, z FROM b)", *EDGES[2:5]])
        step = r.choice([
            f"SELECT e.z, n + 1 FROM r JOIN {edges} e ON r.a = e.x WHERE n < {most}",
            f"SELECT e.z, n + 1 FROM r JOIN {edges} e ON r.a = e.x AND r.n < {most}{self._where('e')}",
            f"SELECT e.z, n + 1 FROM r LEFT JOIN {edges} e ON r.a = e.x WHERE n < {most}",
            f"SELECT r.a + 1, n + 1 FROM r WHERE n < {most} AND r.a NOT IN (SELECT id FROM t)",
            f"SELECT e.z, n + 1 FROM (SELECT * FROM r WHERE n < {most}) q JOIN {edges} e ON q.a = e.x",
        ])  # fmt: skip
        return self._asked(f"r AS ({one} {union} {step})", ("a", "n"))

    def paths(self) -> str:
        """Ways that come to no node twice, as text or as a list."""
        r = self.random
        edges = r.choice(["(SELECT DISTINCT x, z FROM b)", "(SELECT id AS x, w AS z FROM t)"])
        union, name = r.choice(["UNION ALL", "UNION"]), r.choice(["p", "path"])
        if r.random() < 0.5:
            one, step = f"[id] AS {name} FROM t", f"list_append({name}, e.z::INTEGER)"
            where = f"NOT list_contains({name}, e.z)"
        else:
            one, step = f"'' || id AS {name} FROM t WHERE w IS NOT NULL", f"{name} || ',' || e.z"
            where = f"length({name}) < 8"
        term = f"SELECT e.z, {step} FROM r JOIN {edges} e ON r.a = e.x WHERE {where}"
        return self._asked(f"r AS (SELECT id AS a, {one} {union} {term})", ("a", name))

    def computed(self) -> str:
        """Numbers that follow from each other."""
        body = self.random.choice([
            "SELECT w AS a FROM t UNION SELECT a + 1 FROM r WHERE a < 6",
            "SELECT w AS a FROM t UNION ALL SELECT a + 2 FROM r WHERE a < 6",
            "SELECT z::BIGINT AS a FROM b UNION SELECT (a * 7 + 3) % 11 FROM r",
            "SELECT w AS a FROM t UNION (SELECT a + 3 FROM r WHERE a < 9 UNION ALL SELECT a - 2 FROM r WHERE a > 0)",
            "SELECT w AS a FROM t UNION SELECT a // 2 FROM r",
            "SELECT v AS a FROM s UNION SELECT a // 16 FROM r",
            "SELECT z::BIGINT AS a FROM b UNION ALL SELECT a - 1 FROM (SELECT * FROM r WHERE a > 0) q",
        ])  # fmt: skip
        return self._asked(f"r AS ({body})", ("a",))

    # ---------------------------------------------------------------- parts

    def _edges(self) -> str:
        return self.random.choice(EDGES)

    def _where(self, edges: str) -> str:
        conditions = [f"{edges}.y IS NOT NULL", f"{edges}.z > 0", f"{edges}.y IN ('a', 'x')", f"{edges}.x <> {edges}.z"]
        return self.random.choice(["", "", f" WHERE {self.random.choice(conditions)}"])

    def _several(self, step: str) -> str:
        """The step, or now and then two at once."""
        if self.random.random() < 0.8:
            return step
        if "FROM (SELECT a," in step:
            return step
        other = step.replace("SELECT e.z", "SELECT e.z + 1", 1)
        other += (" AND" if " WHERE " in step else " WHERE") + " r.a < 4"
        return f"({step} {self.random.choice(['UNION ALL', 'UNION'])} {other})"

    def _asked(self, table: str, columns: tuple[str, ...]) -> str:
        """A query of the recursive table."""
        r, first = self.random, columns[0]
        last = columns[-1]
        asked = r.choice([
            "SELECT * FROM r", "SELECT * FROM r", f"SELECT {last}, {first} AS b FROM r q WHERE {first} > 0",
            f"SELECT {first}, count(*) AS n, max({last}) AS top FROM r GROUP BY {first}",
            "SELECT count(*) AS n FROM r",
            f"SELECT r.*, c.name FROM r JOIN t c ON c.id = r.{first}",
            f"SELECT c.id, c.w FROM t c WHERE c.id NOT IN (SELECT {first} FROM r WHERE {first} IS NOT NULL)",
            f"SELECT p.{first}, count(*) AS n FROM r p JOIN r q ON p.{first} = q.{first} GROUP BY p.{first}",
            f"SELECT {first} FROM r EXCEPT SELECT id FROM t",
            f"SELECT c.name, r.* FROM t c LEFT JOIN r ON c.w = r.{first}",
            f"SELECT {first} FROM r QUALIFY row_number() OVER (ORDER BY {first} DESC) <= 3",
        ])  # fmt: skip
        before = r.choice(["", "", "", "spare AS (SELECT 1 FROM t), "])
        if r.random() < 0.1 and first == "a":
            again = f"u AS (SELECT {first}::BIGINT AS a FROM r UNION SELECT a // 3 FROM u)"
            return f"WITH RECURSIVE {before}{table}, {again} SELECT a, count(*) AS n FROM u GROUP BY a"
        return f"WITH RECURSIVE {before}{table} {asked}"
