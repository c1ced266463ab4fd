"""Random queries of streams read as tables, TABLE(s), and of tables read as streams, CHANGES OF t.

The oracle takes the latest record of each key; and what a table is at each version at which something was committed to
what it is computed from, next to what it was before.
"""

from __future__ import annotations

from random import Random

VIEWS = """
CREATE VIEW sums AS SELECT k, count(*) AS n, max(v) AS top FROM s GROUP BY k;
CREATE VIEW names AS SELECT sum(w) AS w, name, count(*) AS n FROM t GROUP BY name;
CREATE VIEW pairs AS SELECT t.id, t.w, b.y FROM t JOIN b ON t.id = b.x;
"""

_THERE = "{0}.born <= moment AND ({0}.died IS NULL OR {0}.died > moment)"
_T, _B = _THERE.format("t"), _THERE.format("b")
# Relations whose changes are asked for: their columns; their rows at the `moments`; these versions.
TABLES = {
    "t": (("id", "name", "w"), f"SELECT moment, id, name, w FROM moments JOIN th t ON {_T}", ("t",)),
    "b": (("x", "y", "z"), f"SELECT moment, x, y, z FROM moments JOIN bh b ON {_B}", ("b",)),
    "sums": (
        ("k", "n", "top"),
        "SELECT moment, k, count(*), max(v) FROM moments JOIN s ON version <= moment GROUP BY moment, k",
        ("s",),
    ),
    "names": (
        ("w", "name", "n"),
        f"SELECT moment, sum(w), name, count(*) FROM moments JOIN th t ON {_T} GROUP BY moment, name",
        ("t",),
    ),
    "pairs": (
        ("id", "w", "y"),
        f"SELECT moment, id, w, y FROM moments JOIN th t ON {_T} JOIN bh b ON {_B} AND t.id = b.x",
        ("t", "b"),
    ),
}
LATEST = "(FROM s QUALIFY row_number() OVER (PARTITION BY k ORDER BY seq DESC) = 1)"


def changes(name: str) -> str:
    """SQL for the changes of a table: those of its rows that were not there before, and those that are no more."""
    columns, rows, sources = TABLES[name]
    born = [f"SELECT {'version' if s == 's' else 'born'} AS moment FROM {s if s == 's' else s + 'h'}" for s in sources]
    died = [f"SELECT died FROM {s}h WHERE died IS NOT NULL" for s in sources if s != "s"]
    names = ", ".join(columns)
    return f"""(
        WITH moments AS (SELECT DISTINCT * FROM ({" UNION ".join([*born, *died])})),
          new (_version, {names}) AS ({rows}),
          next AS (SELECT moment, lead(moment) OVER (ORDER BY moment) AS next FROM moments),
          old AS (SELECT next, {names} FROM new JOIN next ON moment = _version WHERE next IS NOT NULL)
        SELECT 'INSERT' AS _op, * FROM (FROM new EXCEPT ALL FROM old)
        UNION ALL SELECT 'DELETE', * FROM (FROM old EXCEPT ALL FROM new))"""


class ChangeQueries:
    """Makes the queries, each with its oracle; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def latest(self) -> tuple[str, str]:
        sql = self.random.choice([
            "SELECT k, g, v FROM TABLE(s) q",
            "SELECT g, count(*) AS n, max(v) AS top FROM TABLE(s) q WHERE v > 0 GROUP BY g",
            "SELECT q.k, q.v, c.name FROM TABLE(s) q JOIN t c ON q.k = c.id",
            "SELECT a.k, a.v, q.v AS last FROM s a JOIN TABLE(s) q ON a.k = q.k",
        ])  # fmt: skip
        latest = LATEST
        if "FROM s a" in sql:  # each record meets the table as of its own version
            latest = "LATERAL (FROM s e WHERE e.version <= a.version AND e.k = a.k ORDER BY seq DESC LIMIT 1)"
        return sql, sql.replace("TABLE(s)", latest)

    def changes(self) -> tuple[str, str, bool]:
        """A query, its oracle, and whether its rows are those of a stream."""
        r = self.random
        name = r.choice(list(TABLES))
        columns = TABLES[name][0]
        shown = ", ".join(["c._op", *(f"c.{column}" for column in r.sample(columns, r.randint(1, 3)))])
        where = r.choice(["", "", " WHERE c._op = 'INSERT'", f" WHERE c.{columns[2]} IS NOT NULL"])
        kind = r.choice(["rows", "rows", "groups", "joined"])
        if kind == "groups":
            sql = (
                f"SELECT c._op, c.{columns[1]}, count(*) AS n, max(c._version) AS last FROM CHANGES OF {name} c{where}"
            )
            sql += f" GROUP BY c._op, c.{columns[1]}"
        elif kind == "joined":
            sql = f"SELECT {shown}, e.name AS found FROM CHANGES OF {name} c JOIN t e ON c.{columns[0]} = e.id{where}"
        else:
            sql = f"SELECT c._version, {shown} FROM CHANGES OF {name} c{where}"
        then = "JOIN th e ON e.born <= c._version AND (e.died IS NULL OR e.died > c._version) AND"
        oracle = sql.replace(f"CHANGES OF {name}", changes(name)).replace("JOIN t e ON", then)
        return sql, oracle, kind != "groups"
