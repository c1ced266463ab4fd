"""What is measured of the past: questions about a table of many keys, as of points of its history, and now.

A history is built in one process and asked in another, so that nothing is in memory that a question needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.bench.content import Content
from headwater.bench.unsynced import UnsyncedStorage
from headwater.engine.database import Database
from headwater.errors import HeadwaterError

COMMIT_ROWS = 2_500  # of changes; each commit is a step, but for those that come in pairs
PAIR_EVERY = 10  # of so many steps one reads two commits
_FILL_ROWS = 250_000  # of a commit that adds keys

_TABLE = "SELECT auction, count(*) AS bids, sum(price) AS total, max(price) AS highest FROM {} GROUP BY auction"
_SCHEMA = f"""
CREATE STREAM bids (auction BIGINT, price BIGINT);
CREATE TABLE totals AS {_TABLE.format("bids")};
"""

ONE_KEY = "one key"
QUESTIONS = {
    "all rows": "SELECT * FROM totals{point}",
    "a sum": "SELECT count(*), sum(bids), sum(total) FROM totals{point}",
    ONE_KEY: "SELECT * FROM totals{point} WHERE auction = {key}",
}
SHARES = {"1 %": 0.01, "50 %": 0.5, "99 %": 0.99}  # of history
ANYWHERE = "anywhere"  # at random
INSIDE = "inside a step"  # at random, at the first of two commits that one step has read
COLD = "cold"  # at random, with nothing kept from questions before
NOW = "now"
DUCKDB = "DuckDB"  # all rows, computed from the records up to the middle

Costs = Mapping[tuple[str, str], npt.NDArray[np.float64]]  # question, when → per round: seconds, CPU seconds


@dataclass(frozen=True, slots=True)
class History:
    """The versions at which the changes of a history were committed: those at which steps end, and those inside."""

    whole: tuple[int, ...] = ()
    inside: tuple[int, ...] = ()


def extend_history(directory: str, keys: int, changes: int, seed: int, known: History) -> History:
    """Makes a database, if there is none, with a row for each key, and then changes to random keys, as far as there
    are fewer; gives its history.
    """
    random = np.random.Generator(np.random.PCG64([seed, len(known.whole)]))
    storage = UnsyncedStorage()
    whole, inside = list(known.whole), list(known.inside)
    with _opened(storage, directory) as database:
        if not database.relations():
            database.execute(_SCHEMA)
            for begin in range(0, keys, _FILL_ROWS):
                _commit(database, np.arange(begin, min(begin + _FILL_ROWS, keys)))
                database.settle()
        while (len(whole) + len(inside)) * COMMIT_ROWS < changes:
            if len(whole) % PAIR_EVERY == 0:
                inside.append(_commit(database, random.integers(0, keys, COMMIT_ROWS)))
            whole.append(_commit(database, random.integers(0, keys, COMMIT_ROWS)))
            database.settle()
    storage.make_durable()
    return History(tuple(whole), tuple(inside))


@contextmanager
def _opened(storage: UnsyncedStorage, directory: str) -> Iterator[Database]:
    with Database(storage, directory, directory, background=False) as database:
        yield database


def _commit(database: Database, auctions: npt.NDArray[np.int64]) -> int:
    return database.append("bids", pa.table({"auction": auctions, "price": auctions * 7919 % 9973})).version


def measure_questions(directory: str, keys: int, history: History, rounds: int, seed: int) -> Costs:
    """What each question costs at each point, so many times; each round asks about other versions."""
    random = np.random.Generator(np.random.PCG64([seed, rounds]))
    costs: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def measure(question: str, when: str, version: int | None) -> None:
        point = "" if version is None else f" AS OF VERSION {version}"
        asked = QUESTIONS[question].format(point=point, key=random.integers(0, keys))
        costs.setdefault((question, when), []).append(_cost(lambda: _answer(database, asked)))

    with _opened(UnsyncedStorage(), directory) as database, duckdb.connect() as recomputing:
        for sql in QUESTIONS.values():
            _answer(database, sql.format(point="", key=0))  # what runs is restored before anything is measured
        duckdb_sql = _recomputed_by(recomputing, database, history)
        _check(database, recomputing, duckdb_sql, history)
        for number in range(rounds):
            for question in QUESTIONS:
                for when, version in _versions(history, number, random).items():
                    measure(question, when, version)
            computed = _cost(lambda: recomputing.sql(duckdb_sql).to_arrow_table())
            costs.setdefault(("all rows", DUCKDB), []).append(computed)
        for question in [*QUESTIONS] * rounds:
            database.reader.past.forget()
            measure(question, COLD, history.whole[random.integers(0, len(history.whole))])
    return {name: np.array(spent) for name, spent in costs.items()}


def _answer(database: Database, sql: str) -> pa.Table:
    return database.sql(sql).arrow()


def _versions(history: History, number: int, random: np.random.Generator) -> dict[str, int | None]:
    """The versions that a round asks about, by name; None for now."""
    last = len(history.whole) - 1
    versions: dict[str, int | None] = {NOW: None}
    versions |= {name: history.whole[min(int(share * last) + number, last)] for name, share in SHARES.items()}
    versions[ANYWHERE] = history.whole[random.integers(0, last + 1)]
    versions[INSIDE] = history.inside[random.integers(0, len(history.inside))]
    return versions


def _recomputed_by(con: duckdb.DuckDBPyConnection, database: Database, history: History) -> str:
    """Gives DuckDB the log; the SELECT that computes the table as it was in the middle of history."""
    log = database.sql("SELECT auction, price, ROWOFFSET AS place FROM bids").arrow()
    con.register("arrow", log)
    con.execute("CREATE TABLE log AS SELECT * FROM arrow")
    middle = history.whole[len(history.whole) // 2]
    ((end,),) = database.sql(f"SELECT count(*) FROM bids AS OF VERSION {middle}").fetchall()
    return _TABLE.format(f"log WHERE place < {end}")


def _check(database: Database, con: duckdb.DuckDBPyConnection, sql: str, history: History) -> None:
    """Raises HeadwaterError unless the table in the middle of history is what DuckDB makes of the log."""
    middle = history.whole[len(history.whole) // 2]
    ours = database.sql(f"SELECT * FROM totals AS OF VERSION {middle}").arrow()
    if Content.of(ours) != Content.of(con.sql(sql).to_arrow_table()):
        raise HeadwaterError(f"the table as of version {middle} is not what DuckDB makes of the log")


def _cost(action: Callable[[], object]) -> tuple[float, float]:
    began, began_cpu = perf_counter(), process_time()
    action()
    return perf_counter() - began, process_time() - began_cpu
