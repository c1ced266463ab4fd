"""The law of composition: however a computation is cut into pipelines, it gives what it gives when written by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import headwater
from headwater.engine.database import Database
from headwater.storage import SimulatedDisk

_COLUMNS = "STREAM (k BIGINT, v BIGINT)"
_STEPS = (
    "SELECT k, v + {n} AS v FROM {a}",
    "SELECT k, v FROM {a} WHERE v % 5 <> {n} % 5",
    "SELECT v % 7 AS k, k + v AS v FROM {a}",
    "SELECT x.k, x.v * {n} AS v FROM {a} x WHERE x.k + {n} > 3",
    "WITH odd AS (SELECT * FROM {a} WHERE v % 2 = 1) SELECT k, v - 1 AS v FROM odd",
    "SELECT k, v FROM {a} UNION ALL SELECT k, v + {n} AS v FROM {a} WHERE k = 1",
)
# How a body makes {b} of a query: at once, by inserting into it, and with checks, also with what violates them.
_FORMS = (
    "CREATE STREAM {b}{clock} AS {sql};",
    "CREATE STREAM {b} (k BIGINT, v BIGINT); INSERT INTO {b} {sql};",
    "CREATE STREAM {b}{clock} AS {sql} CHECK (v % 4 <> {n} % 4) ON VIOLATION DROP;",
    "CREATE STREAM {b}_bad (v BIGINT, k BIGINT); "
    "CREATE STREAM {b}_ok{clock} AS {sql} CHECK (v > {n} * 9) ON VIOLATION INSERT INTO {b}_bad; "
    "CREATE STREAM {b} AS SELECT k, v FROM {b}_ok UNION ALL SELECT v % 3 AS k, -v AS v FROM {b}_bad;",
    "CREATE STREAM {b} (k BIGINT, v BIGINT) CHECK (v <> {n}) ON VIOLATION DROP; INSERT INTO {b} {sql};",
)
_OWN = " WITH (clock = 'own')"
_TOTALS = "SELECT k, count(*) AS n, sum(v)::BIGINT AS total, max(v) AS top FROM {a} GROUP BY k"


@dataclass(frozen=True)
class Step:
    """A query over one stream, and how its rows come into another."""

    sql: str
    form: str

    def statements(self, a: str, b: str, n: str, clock: str = "") -> str:
        """What makes the stream `b` of the stream `a`."""
        return self.form.format(sql=self.sql.format(a=a, n=n), b=b, n=n, clock=clock)


@dataclass(frozen=True)
class Chain:
    """Parts one after the other, each given a number that is larger by one."""

    parts: tuple[Step | Chain, ...]


def tree(choose: random.Random, depth: int) -> Step | Chain:
    if depth == 0:
        return Step(choose.choice(_STEPS), choose.choice(_FORMS))
    least = 0 if depth < 3 else depth - 1  # one part is as deep as it may be
    depths = [depth - 1, *(choose.randrange(least, depth) for _ in range(choose.randrange(2)))]
    return Chain(tuple(tree(choose, d) for d in depths))


def declared(part: Step | Chain, name: str, clocks: random.Random | None = None) -> Iterator[str]:
    """The pipelines that a part is, those inside it first; with `clocks`, some instances and queries have their own."""

    def clock() -> str:
        return _OWN if clocks is not None and clocks.random() < 0.5 else ""

    if isinstance(part, Step):
        body = part.statements("a", "b", "$n", clock())
    else:
        body, last = "", "a"
        for i, inner in enumerate(part.parts):
            yield from declared(inner, f"{name}_{i}", clocks)
            body += f"CREATE INSTANCE i{i} OF {name}_{i} (a => {last}, n => $n + {i}){clock()}; "
            last = f"i{i}.b"
        body += f"CREATE STREAM b AS SELECT * FROM {last};"
    yield f"CREATE PIPELINE {name} (IN a {_COLUMNS}, OUT b {_COLUMNS}, PARAM n BIGINT) AS BEGIN {body} END"


def by_hand(part: Step | Chain, source: str, n: int, name: str) -> Iterator[str]:
    """The same as statements one after the other, of which the last makes `name`."""
    if isinstance(part, Step):
        yield part.statements(source, name, str(n))
        return
    for i, inner in enumerate(part.parts):
        yield from by_hand(inner, source, n + i, f"{name}_{i}")
        source = f"{name}_{i}"
    yield f"CREATE STREAM {name} AS SELECT * FROM {source}"


@pytest.mark.parametrize("seed", range(5))
def test_inlined_and_nested_instances_give_the_same(seed: int) -> None:
    choose = random.Random(seed)
    part = tree(choose, 3)
    with headwater.connect(background=False) as db:
        db.execute("CREATE SCHEMA given; CREATE STREAM given.s (k BIGINT KEY, v BIGINT, note VARCHAR)")
        add(db, choose)
        for pipeline in declared(part, "p"):
            db.execute(pipeline)
        for statement in by_hand(part, "given.s", 2, "flat"):
            db.execute(statement)
        db.execute("CREATE INSTANCE nested OF p (a => given.s, n => 2)")
        db.execute(f"CREATE TABLE flat_totals AS {_TOTALS.format(a='flat')}")
        db.execute(f"CREATE TABLE nested_totals AS {_TOTALS.format(a='nested.b')}")
        for _ in range(4):
            add(db, choose)
            check(db)
        for pipeline in declared(part, "p"):
            db.execute(in_other_words(pipeline))
            check(db)
        add(db, choose)
        check(db)


@pytest.mark.parametrize("seed", range(3))
def test_clocks_of_their_own_change_nothing(seed: int) -> None:
    choose = random.Random(seed)
    part = tree(choose, 2)
    disk = SimulatedDisk(seed=seed)
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE SCHEMA given; CREATE STREAM given.s (k BIGINT KEY, v BIGINT, note VARCHAR)")
        add(db, choose)
        inside = list(declared(part, "q", choose))
        for statement in (*declared(part, "p"), *inside, *by_hand(part, "given.s", 2, "flat")):
            db.execute(statement)
        db.execute("CREATE INSTANCE nested OF p (a => given.s, n => 2)")
        db.execute("CREATE INSTANCE inside OF q (a => given.s, n => 2)")
        db.execute(f"CREATE INSTANCE apart OF q (a => given.s, n => 2){_OWN}")
        for name in ("flat", "nested.b", "inside.b", "apart.b"):
            db.execute(f"CREATE TABLE {name.partition('.')[0]}_totals AS {_TOTALS.format(a=name)}")
    for round in range(3):
        with Database(disk, "db", None, background=False) as db:
            for _ in range(2):
                add(db, choose)
                db.settle()
                for name in ("nested", "inside", "apart"):
                    check(db, name)
            if round == 1:
                db.sql("CHECKPOINT")
                db.execute(in_other_words(inside[0]))


def in_other_words(pipeline: str) -> str:
    """The statement that replaces a pipeline by one that is equal."""
    other = pipeline.replace("CREATE", "CREATE OR REPLACE", 1)
    return re.sub(r"(b AS|ok AS|INTO b) SELECT ", r"\1 SELECT ALL ", other)


def add(db: headwater.Database, choose: random.Random) -> None:
    rows = [(choose.randrange(4), choose.randrange(50), choose.choice("xyz")) for _ in range(choose.randrange(1, 30))]
    db.append("given.s", rows)


def check(db: headwater.Database, instance: str = "nested") -> None:
    for flat, nested in (("flat", f"{instance}.b"), ("flat_totals", f"{instance}_totals")):
        by_hand_, in_instance = (sorted(db.sql(f"SELECT * FROM {name}").fetchall()) for name in (flat, nested))
        assert in_instance == by_hand_, nested
