"""A circuit at a cut of the log is the same however it got there; images only shorten the way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.past import IMAGE_ROWS_MIN, circuit_at, image_is_due, save_image
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import Plan, bind_query
from headwater.storage import Append, FaultyStorage, Log, SimulatedDisk
from headwater.values import ROWTIME, WEIGHT
from tests.planner.shop import catalog_of

CATALOG = catalog_of("""
    CREATE STREAM s (k INTEGER, v INTEGER) WITH (partitions = 2);
    CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER);
""")
QUERIES = [
    "SELECT k, count(*) AS n, sum(v) AS total, min(v) FROM s GROUP BY k",
    "SELECT id, w FROM t WHERE w > 2",
    "SELECT w, max(id) AS top FROM t GROUP BY w",
    "SELECT t.w, count(*) AS n FROM s JOIN t ON s.k = t.id GROUP BY t.w",
    "SELECT q.n, t.w FROM (SELECT k, count(*) AS n FROM s GROUP BY k) q JOIN t ON q.k = t.id",
    "SELECT k, count(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k",
    "SELECT DISTINCT v % 3 AS r FROM s",
]


def plan(sql: str) -> Plan:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, CATALOG).plan


PLANS = [plan(sql) for sql in QUERIES]


@dataclass
class History:
    """A log with random commits, and where its partitions ended at each version."""

    storage: FaultyStorage = field(default_factory=lambda: FaultyStorage(SimulatedDisk()))
    random: random.Random = field(default_factory=lambda: random.Random(5))

    def __post_init__(self) -> None:
        self.log = Log.open(self.storage, "db")

    def commit(self) -> None:
        if self.random.random() < 0.3:
            rows = {"id": [self.random.randrange(4)], "w": [self.random.randrange(5)], WEIGHT: [1]}
            self.log.commit([Append(2, 0, record_batch(rows))])
            return
        for partition in self.random.sample([0, 1], self.random.randint(1, 2)):
            count = self.random.randint(1, 4)
            rows = {name: [self.random.randrange(5) for _ in range(count)] for name in "kv"}
            times = [self.random.randrange(60) * 1_000_000 for _ in range(count)]
            batch = record_batch(rows).append_column(ROWTIME, pa.array(times).cast(pa.timestamp("us")))
            self.log.commit([Append(1, partition, batch)])


def record_batch(columns: dict[str, list[int]]) -> pa.RecordBatch:
    types = {WEIGHT: pa.int64()}
    return pa.record_batch({name: pa.array(values, types.get(name, pa.int32())) for name, values in columns.items()})


@pytest.fixture
def history() -> Iterator[History]:
    made = History()
    for _ in range(16):
        made.commit()
    yield made
    made.log.close()


def contents(circuit: Circuit) -> list[Counter[tuple[Any, ...]]]:
    return [Counter(tuple(row.values()) for row in circuit.rows(p).to_pylist()) for p in PLANS]


def from_the_beginning(log: Log, cut: Cut) -> Circuit:
    circuit = Circuit(PLANS)
    circuit.advance(log, cut)
    return circuit


def save_images(log: Log, every: int) -> None:
    circuit = Circuit(PLANS)
    for version in range(every, log.version, every):
        circuit.advance(log, Cut(version))
        save_image(log, circuit.states, {})


@pytest.mark.parametrize("steps", [2, 7])
def test_a_circuit_is_the_same_however_many_steps_it_took(history: History, steps: int) -> None:
    circuit = Circuit(PLANS)
    for version in [*range(0, history.log.version, steps), history.log.version]:
        circuit.advance(history.log, Cut(version))
        assert contents(circuit) == contents(from_the_beginning(history.log, Cut(version)))


def test_from_an_image_a_circuit_comes_to_the_same_content_at_every_version(history: History) -> None:
    end = history.log.version
    save_images(history.log, every=5)
    for version in range(end + 1):
        found = circuit_at(history.log, PLANS, Cut(version))
        assert found.version == version
        assert contents(found) == contents(from_the_beginning(history.log, Cut(version)))


def test_from_an_image_a_circuit_comes_to_the_same_content_at_every_offset(history: History) -> None:
    end, ends = history.log.version, history.log.ends(1)
    save_images(history.log, every=5)
    for _ in range(12):
        limits = {partition: history.random.randint(0, last) for partition, last in ends.items()}
        cut = Cut(end, {1: limits})
        assert contents(circuit_at(history.log, PLANS, cut)) == contents(from_the_beginning(history.log, cut))


def test_a_circuit_that_was_restored_goes_on_as_if_it_had_never_stopped(history: History) -> None:
    save_images(history.log, every=5)
    one, two = circuit_at(history.log, PLANS, Cut(history.log.version)), Circuit(PLANS)
    for _ in range(10):
        history.commit()
        for circuit in (one, two):
            circuit.advance(history.log, Cut(history.log.version))
        assert contents(one) == contents(two)


def test_queries_that_no_image_has_are_computed_from_the_beginning_beside_those_that_one_has(history: History) -> None:
    known = Circuit(PLANS[:3])
    known.advance(history.log, Cut(10))
    save_image(history.log, known.states, {})
    end = Cut(history.log.version)
    assert contents(circuit_at(history.log, PLANS, end)) == contents(from_the_beginning(history.log, end))


def test_the_way_from_an_image_does_not_grow_with_history(history: History) -> None:
    def reads_after_an_image() -> int:
        """Reads of a circuit that begins with an image and goes on for two commits."""
        save_image(history.log, from_the_beginning(history.log, Cut(history.log.version)).states, {})
        for _ in range(2):
            history.log.commit([Append(2, 0, record_batch({"id": [1], "w": [2], WEIGHT: [1]}))])
        history.storage.counts.clear()
        circuit_at(history.log, PLANS, Cut(history.log.version))
        return history.storage.counts["view"] + history.storage.counts["read"]

    short = reads_after_an_image()
    for _ in range(40):
        history.commit()
    assert reads_after_an_image() == short


@pytest.mark.parametrize(
    ("rows", "state", "due"),
    [
        (IMAGE_ROWS_MIN - 1, 0, False),
        (IMAGE_ROWS_MIN, 0, True),
        (IMAGE_ROWS_MIN, IMAGE_ROWS_MIN + 1, False),
        (10 * IMAGE_ROWS_MIN, 10 * IMAGE_ROWS_MIN, True),
    ],
)
def test_an_image_is_due_after_as_many_rows_as_the_state_has(rows: int, state: int, due: bool) -> None:
    assert image_is_due(rows, state) is due
