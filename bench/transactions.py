"""`headwater bench transactions`: transactions, consumer groups and queues, next to a bare write and sync."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from headwater.bench.log import count_of
from headwater.bench.report import Figure, Report, report_on
from headwater.engine.database import Database, connect
from headwater.errors import TransactionConflict

WRITERS = 8
_ACCOUNTS = 10_000
_FETCH = 10_000
_RECEIVE = 100


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    options = _parser().parse_args(arguments)
    return report_on(options.directory, partial(_measure, seconds=options.seconds, rows=options.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench transactions",
        description="Measure transactions, consumer groups and queues. Temporary files are removed.",
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each kind of transaction runs (default: 3)")
    parser.add_argument("--rows", type=count_of, default=1_000_000, help="that a group consumes (default: 1000000)")
    return parser


def _measure(directory: Path, report: Report, seconds: float, rows: int) -> None:
    with connect(directory / "shop.hw") as db:
        db.execute("""
            CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT);
            CREATE STREAM payments (payer BIGINT, payee BIGINT, amount BIGINT);
            CREATE STREAM orders (id BIGINT, amount DOUBLE) WITH (partitions = 4);
            CREATE QUEUE work ON orders;
        """)
        db.append("accounts", {"id": list(range(_ACCOUNTS)), "balance": [100] * _ACCOUNTS})
        report.begin("Transactions, per second")
        bare = rate(lambda _: bare_sync(directory), 1, seconds)
        figures = [Figure("a bare write and fdatasync, one after the other", bare, "/s")]
        for name, run in (("inserts into two streams", _inserting), ("transfers between two accounts", _transferring)):
            for writers in (1, WRITERS):
                report.doing(f"{name}, {writers} at a time")
                found = rate(partial(run, db), writers, seconds)
                figures.append(Figure(f"{name}, {writers} at a time", found, "/s"))
        report.add(figures)
        report.begin("Reading a stream on, rows per second")
        report.doing("appending")
        for start in range(0, rows, 100_000):
            ids = np.arange(start, min(start + 100_000, rows))
            db.append("orders", pa.table({"id": ids, "amount": ids * 0.5}))
        report.add([Figure("fetched and committed by a group", _fetched(db), "rows/s")])
        report.add([Figure("received from a queue and acknowledged", _worked_off(db, seconds), "rows/s")])


def rate(run: Callable[[int], Callable[[], None]], threads: int, seconds: float) -> float:
    """How often per second the functions that `run` makes, one for each thread, can be called."""
    until, counts = perf_counter() + seconds, [0] * threads

    def work(number: int) -> None:
        once = run(number)
        while perf_counter() < until:
            once()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def bare_sync(directory: Path) -> Callable[[], None]:
    """Writes 200 bytes to a file and syncs it, at each call."""
    file = os.open(directory / "bare", os.O_CREAT | os.O_WRONLY)

    def once() -> None:
        os.write(file, b"x" * 200)
        os.fdatasync(file)

    return once


def _inserting(db: Database, seed: int) -> Callable[[], None]:
    rows = [{"payer": seed, "payee": 1, "amount": 1}]
    order = [{"id": seed, "amount": 1.0}]

    def once() -> None:
        with db.transaction() as t:
            t.append("payments", rows)
            t.append("orders", order)

    return once


def _transferring(db: Database, seed: int) -> Callable[[], None]:
    chance = np.random.default_rng(seed)

    def once() -> None:
        while True:
            payer, payee = chance.integers(_ACCOUNTS, size=2).tolist()
            amount = int(chance.integers(1, 100))
            try:
                with db.transaction() as t:
                    t.sql("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, payer))
                    t.sql("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, payee))
                    t.append("payments", [{"payer": payer, "payee": payee, "amount": amount}])
                return
            except TransactionConflict:
                continue

    return once


def _fetched(db: Database) -> float:
    started, rows = perf_counter(), 0
    with db.consumer("orders", "bench") as consumer:
        while count := len(consumer.fetch(_FETCH)):
            rows += count
            consumer.commit()
    return rows / (perf_counter() - started)


def _worked_off(db: Database, seconds: float) -> float:
    started, rows = perf_counter(), 0
    while perf_counter() - started < seconds:
        received = db.sql(f"RECEIVE {_RECEIVE} FROM work").arrow()
        if not received.num_rows:
            break
        rows += received.num_rows
        receipts = ", ".join(f"'{receipt}'" for receipt in received.column("receipt").to_pylist())
        db.sql(f"ACK work ({receipts})")
    return rows / (perf_counter() - started)
