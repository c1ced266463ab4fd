"""What is measured of state: steps of a query that holds many keys, and the way of one row to a subscriber.

Each runs in a process of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine.database import Database, connect
from headwater.executor.operators import Stateful

Seconds = npt.NDArray[np.float64]

STEP_ROWS = 1_000
_FILL_ROWS = 250_000  # of a commit while the state is filled

_SOURCES = """
CREATE STREAM bids (auction BIGINT, price BIGINT);
CREATE TABLE auctions (id BIGINT PRIMARY KEY, seller BIGINT);
CREATE TABLE reserves (id BIGINT PRIMARY KEY, price BIGINT);
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A query, the sources that are filled with a row for each key, and the one that each step's rows go to."""

    kind: str  # what keeps it: STREAM or TABLE
    query: str
    filled: tuple[str, ...]
    stepped: str


CASES = {
    "count": Case("TABLE", "SELECT auction, count(*) FROM bids GROUP BY auction", ("bids",), "bids"),
    "table join": Case(
        "TABLE",
        "SELECT a.id, a.seller, r.price FROM auctions a JOIN reserves r ON a.id = r.id",
        ("auctions", "reserves"),
        "reserves",
    ),
    "stream join": Case(
        "STREAM",
        "SELECT b.auction, b.price, a.seller FROM bids b JOIN auctions a ON b.auction = a.id",
        ("auctions",),
        "bids",
    ),
}


@dataclass(frozen=True, slots=True)
class Steps:
    """How long steps took, in seconds, and what the state holds."""

    seconds: Seconds
    cpu_seconds: Seconds
    longest_beside: float  # seconds of the longest of the steps made while an image was saved
    longest_after: float  # of as many steps made after that
    checkpoint_seconds: float
    state_bytes: int  # of the query's operators


def measure_steps(case: str, keys: int, steps: int, seed: int) -> Steps:
    """Fill the state of a query with `keys` keys, then time steps of STEP_ROWS rows with keys that are there.

    A step reads the rows from the log, brings the query up to date, and commits its changes; all of it in memory.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = CASES[case]
    with connect(background=False) as database:
        database.execute(_SOURCES)
        database.execute(f"CREATE {chosen.kind} kept AS {chosen.query}")
        for source in chosen.filled:
            for rows in _every_key(database, source, keys):
                database.append(source, rows)
                database.settle()

        def step() -> tuple[float, float]:
            database.append(chosen.stepped, _rows(database, chosen.stepped, random.integers(0, keys, STEP_ROWS)))
            began, began_cpu = perf_counter(), process_time()
            database.settle()
            return perf_counter() - began, process_time() - began_cpu

        for _ in range(5):
            step()
        taken = np.array([step() for _ in range(steps)])
        beside, checkpoint_seconds = _beside_a_checkpoint(database, lambda: step()[0])
        after = [step()[0] for _ in beside]
        nbytes = _state_bytes(database)
        return Steps(taken[:, 0], taken[:, 1], max(beside), max(after), checkpoint_seconds, nbytes)


def _every_key(database: Database, source: str, keys: int) -> Iterator[pa.Table]:
    for begin in range(0, keys, _FILL_ROWS):
        yield _rows(database, source, np.arange(begin, min(begin + _FILL_ROWS, keys)))


def _rows(database: Database, source: str, keys: npt.NDArray[np.int64]) -> pa.Table:
    """Rows with the given keys; the other column has numbers that follow from how much there is already."""
    names = next([column.name for column in r.columns] for r in database.relations() if r.name == source)
    return pa.table({names[0]: keys, names[1]: keys * 7 + database.version})


def _beside_a_checkpoint(database: Database, step: Callable[[], float]) -> tuple[list[float], float]:
    """The seconds of the steps that are made while another thread saves an image, and of that."""
    spent: list[float] = []

    def checkpoint() -> None:
        began = perf_counter()
        database.sql("CHECKPOINT")
        spent.append(perf_counter() - began)

    thread = threading.Thread(target=checkpoint)
    thread.start()
    beside = [step()]
    while thread.is_alive():
        beside.append(step())
    thread.join()
    return beside, spent[0]


def _state_bytes(database: Database) -> int:
    circuit = database.pipeline.circuit
    operators = {id(op): op for root in circuit.roots for _, op in circuit.operators_of(root)}
    return sum(operator.nbytes for operator in operators.values() if isinstance(operator, Stateful))


# ---------------------------------------------------------------- a row to its subscriber


def measure_latency(directory: str, queries: int, rows: int) -> Seconds:
    """The seconds from handing in one row to holding the change that it makes, with so many queries over its stream.

    The rows come one after the other, so that the engine is idle when one arrives; each is on disk before that.
    """
    taken = np.empty(rows)
    with connect(directory) as database:
        database.execute(_SOURCES)
        database.execute("CREATE TABLE watched AS SELECT auction, count(*) AS bids FROM bids GROUP BY auction")
        for number in range(1, queries):
            database.execute(
                f"CREATE TABLE other_{number} AS SELECT auction % {number + 1} AS part, sum(price) AS total "
                "FROM bids GROUP BY part"
            )
        with database.subscribe("SELECT * FROM watched") as changes:
            for number in range(-5, rows):
                began = perf_counter()
                database.append("bids", {"auction": [number % 100], "price": [number]})
                assert changes.poll(10) is not None
                if number >= 0:
                    taken[number] = perf_counter() - began
    return taken
