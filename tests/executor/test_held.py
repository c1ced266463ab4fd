"""What operators say that they hold is what they hold: all arrays and buffers in reach, within a tenth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

import headwater
from headwater import Database
from headwater.executor.operators import Stateful
from tests.executor.held import held_bytes

QUERIES = [
    "SELECT k, count(*) n, sum(v) s, avg(d) a, min(v) m, max(g) x FROM s GROUP BY k",
    "SELECT g, count(DISTINCT v) n, median(v) md, string_agg(g, ',') l FROM s GROUP BY g",
    "SELECT name, min(w) m, max(w) x, sum(w) s, mode(w) o FROM t GROUP BY name",
    "SELECT g, count(*) n FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY g",
    "SELECT DISTINCT g, v FROM s",
    "SELECT s.k, name, v FROM s JOIN t ON s.k = t.id",
    "SELECT s.k, name FROM s LEFT JOIN t ON s.k = t.id",
    "SELECT t.name, b.y FROM t JOIN b ON t.id = b.x",
    "SELECT t.name, b.y FROM t FULL JOIN b ON t.id = b.x",
    "SELECT name FROM t WHERE id NOT IN (SELECT x FROM b)",
    "SELECT name, w, rank() OVER (PARTITION BY name ORDER BY w) r FROM t",
    "SELECT name, w FROM t ORDER BY w LIMIT 1000",
    "SELECT k, v FROM s ORDER BY v DESC LIMIT 1000",
    "SELECT DISTINCT ON (name) name, w FROM t ORDER BY name, w",
    "SELECT id FROM t EXCEPT ALL SELECT x FROM b",
    "SELECT id, name FROM t",
    "SELECT * FROM t",
    "SELECT * FROM b",
    "SELECT t.name, b.y FROM t ASOF JOIN b ON t.id = b.x AND t.w >= b.x",
]


@pytest.fixture(scope="module")
def lived() -> Iterator[Database]:
    """Some thousand rows in large and small commits, of which some change and some go."""
    random = np.random.default_rng(1)
    with headwater.connect(background=False) as db:
        db.execute("""
            CREATE STREAM s (k BIGINT KEY, g VARCHAR, v BIGINT, d DOUBLE, at TIMESTAMP)
                WITH (partitions = 3, timestamp = 'at');
            CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR, w BIGINT);
            CREATE TABLE b (x BIGINT, y VARCHAR);
        """)
        for number, query in enumerate(QUERIES):
            db.execute(f"CREATE TABLE q{number} AS {query}")
        db.execute("CREATE STREAM copies AS SELECT k, v FROM s")
        for count in (5000, 1000, 300, 10):
            keys, ids = random.integers(0, 30_000, count), random.integers(0, 9_000, count)
            db.append("s", {
                "k": keys, "g": [f"group {k % 2000}" for k in keys], "v": random.integers(0, 10**6, count),
                "d": random.random(count), "at": pa.array(1_767_225_600_000_000 + np.arange(count), pa.timestamp("us")),
            })  # fmt: skip
            names = [f"name {i % 1000}" for i in ids]
            db.append("t", {"id": ids, "name": names, "w": random.integers(0, 10**6, count)})
            db.append("b", {"x": ids // 2, "y": [f"y {i}" for i in ids % 50]})
            db.settle()
        db.execute("DELETE FROM t WHERE id % 3 = 0")
        db.execute("UPDATE t SET w = w + 1 WHERE id % 3 = 1")
        db.settle()
        yield db


@pytest.mark.parametrize("number", range(len(QUERIES) + 1))
def test_the_bytes_that_an_operator_tells_are_those_that_it_holds(lived: Database, number: int) -> None:
    relation = lived.pipeline.derived()[number]
    assert relation.plan is not None
    circuit = lived.pipeline.circuit
    states = [operator for _, operator in circuit.operators_of(relation.plan) if isinstance(operator, Stateful)]
    table = circuit.kept_table(relation.plan)
    for state in [*states, *([table] if table is not None else [])]:
        held = held_bytes(state)
        assert abs(state.nbytes - held) <= 0.1 * held + 2048, (type(state).__name__, state.nbytes, held)


def test_a_state_that_is_frozen_shares_with_the_operators_whatever_is_large(lived: Database) -> None:
    states = lived.pipeline.circuit.states
    held = held_bytes(states.holders)
    frozen = states.frozen()
    assert held_bytes([states.holders, frozen.holders]) < 1.01 * held
    for _ in frozen.copying():
        pass
    assert held_bytes([states.holders, frozen.holders]) > 1.1 * held, "now there are copies"


def test_the_measure_sees_arrays_behind_views_and_buffers_behind_slices() -> None:
    batch = pa.record_batch({"a": pa.array(range(1000), pa.int64())})
    assert held_bytes([batch.slice(0, 1)]) >= 8000
    assert held_bytes([np.zeros(1000)[:1]]) >= 8000
    assert held_bytes({"twice": batch, "again": batch}) < 9000
