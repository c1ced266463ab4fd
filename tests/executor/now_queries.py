"""Random queries with now() in WHERE, and the DuckDB SQL that says what each must hold when the clock shows `now`."""

from __future__ import annotations

import random

NOW = "getvariable('now')"


class NowQueries:
    """Random queries from a source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.random = chance

    def query(self) -> tuple[str, str]:
        """A query and its oracle."""
        r = self.random
        conditions = r.sample(self.conditions(), r.choice([1, 1, 2]))
        if r.random() < 0.3:
            conditions.append(r.choice(["v > 0", "g IS NOT NULL"]))
        rows = f"FROM s WHERE {' AND '.join(conditions)}"
        sql = r.choice([
            f"SELECT k, g, v, ts {rows}",
            f"SELECT * {rows}",
            f"SELECT DISTINCT k {rows}",
            f"SELECT k, count(*) AS n, max(v) AS top, count(DISTINCT g) AS c {rows} GROUP BY k",
            f"SELECT g, n, latest FROM (SELECT g, count(*) AS n, max(ts) AS latest FROM s GROUP BY g) q "
            f"WHERE latest {r.choice(['>', '>='])} now() - INTERVAL {r.choice([5, 20])} SECONDS",
            f"SELECT c.name, q.v FROM (SELECT k, v {rows}) q JOIN t c ON c.id = q.k",
        ])  # fmt: skip
        return sql, sql.replace("now()", NOW).replace("SELECT * ", "SELECT k, g, v, d, ts ")

    def conditions(self) -> list[str]:
        """Conditions with now()."""
        r = self.random
        length = f"INTERVAL {r.choice([1, 5, 20, 60])} SECONDS"
        return [
            f"ts {r.choice(['>', '>='])} now() - {length}",
            f"ts + {length} {r.choice(['>', '>='])} now()",
            f"ts {r.choice(['<', '<='])} now()",
            f"now() - {length} {r.choice(['<', '<='])} ts",
            f"ts {r.choice(['<', '<='])} now() + {length}",
            f"ts BETWEEN now() - {length} AND now()",
            f"now() BETWEEN ts AND ts + {length}",
            f"CASE WHEN v > 0 THEN ts END >= now() - {length}",
        ]
