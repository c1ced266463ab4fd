"""Random ASOF joins whose answer is determined.

Where several right rows have the nearest time, which of them it is is up to the database. So a query shows their keys
and times alone, unless each of them is the only one of its key and time.
"""

from __future__ import annotations

from random import Random

# Relations as FROM reads them; a column that says who, one that says when, and others. Whether (who, when) is unique.
INPUTS = (
    ("s", "k", "ts", ("g", "v", "d"), False),
    ("s", "g", "ts", ("k", "v"), False),
    ("s", "k", "v", ("g", "ts"), False),
    ("s", "g", "d", ("k", "v"), False),
    ("t", "name", "w", ("id",), False),
    ("t", "id", "w", ("name",), True),
    ("b", "x", "z", ("y",), False),
    ("b", "y", "x", ("z",), False),
    ("(SELECT k, ts, count(*) AS n, max(v) AS v FROM s GROUP BY k, ts)", "k", "ts", ("n", "v"), True),
    ("(SELECT g, v, min(k) AS k, max(ts) AS ts FROM s GROUP BY g, v)", "g", "v", ("k", "ts"), True),
    ("(SELECT name, w, max(id) AS id FROM t WHERE w > 0 GROUP BY name, w)", "name", "w", ("id",), True),
    ("(SELECT x, z, count(*) AS n FROM b GROUP BY x, z)", "x", "z", ("n",), True),
    ("(SELECT k AS id, max(v) AS w, max(ts) AS ts FROM s GROUP BY k)", "id", "w", ("ts",), True),
    ("(SELECT k AS id, max(v) AS w, max(ts) AS ts FROM s GROUP BY k)", "id", "ts", ("w",), True),
)
KINDS = {"ts": "time", "k": "number", "id": "number", "x": "number", "g": "text", "name": "text", "y": "text"}


class AsofQueries:
    """Makes the queries; `random` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def query(self) -> str:
        r = self.random
        left, right = r.choice(INPUTS), r.choice(INPUTS)
        while _kind(left[2]) != _kind(right[2]):
            right = r.choice(INPUTS)
        (a, own, at, others, _), (b, other, then, values, unique) = left, right
        keyed = _kind(own) == _kind(other) and r.random() < 0.85
        on = [f"l.{own} = r.{other}"] if keyed else []
        comparison = r.choice([">=", ">=", ">", "<=", "<"])
        turned = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}[comparison]
        on.append(r.choice([f"l.{at} {comparison} r.{then}", f"r.{then} {turned} l.{at}"]))
        on += r.sample([f"l.{others[0]} IS NOT NULL", f"r.{values[0]} IS NOT NULL"], r.choice([0, 0, 0, 1, 2]))
        kind = r.choice(["ASOF", "ASOF LEFT"])
        tail = f"FROM {a} l {kind} JOIN {b} r ON {' AND '.join(on)}"
        if keyed and own == other and at == then and comparison == ">=" and len(on) == 2 and r.random() < 0.5:
            tail = f"FROM {a} l {kind} JOIN {b} r USING ({own}, {at})"
        shown = [f"l.{own}", f"l.{at}", *(f"l.{name}" for name in others), f"r.{then}"]
        shown += [f"r.{name}" for name in ([other, *values] if unique and keyed else [other] if keyed else [])]
        where = r.choice(
            ["", "", f" WHERE l.{others[0]} IS NOT NULL", f" WHERE r.{then} IS NULL", f" WHERE l.{at} > r.{then}"]
        )
        if "USING" in tail:
            where, shown = "", [name for name in shown if name not in (f"r.{other}", f"r.{then}")]
        if r.random() < 0.25:
            aggregates = f"count(*) AS n, count({shown[-1]}) AS c, max({shown[-1]}) AS m"
            return f"SELECT {shown[0]} AS who, {aggregates} {tail}{where} GROUP BY 1"
        columns = r.sample(shown, r.randint(1, len(shown)))
        return f"SELECT {', '.join(f'{c} AS c{i}' for i, c in enumerate(columns))} {tail}{where}"


def _kind(column: str) -> str:
    return KINDS.get(column, "number")
