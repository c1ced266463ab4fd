"""The command `headwater generate`: sample data at a rate, into a database or as text on standard output."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from threading import Event
from time import perf_counter

import pyarrow as pa

from headwater.engine.database import connect
from headwater.errors import HeadwaterError
from headwater.repl.sample_data import SAMPLES, Rows
from headwater.repl.writers import WRITERS, RowWriter
from headwater.values import Column

_EXAMPLES = """\
examples:
  headwater generate orders shop.hw --rate 1000             1,000 rows a second until Ctrl-C
  headwater generate orders shop.hw --count 100000          100,000 rows as fast as it can
  headwater generate clickstream --count 10 --format csv    rows on standard output
  headwater generate nexmark --count 1000 --format ndjson   with several relations, each row says of which it is

The same seed gives the same rows.
"""

_COMMITS_PER_SECOND = 20  # with a rate, so that rows come evenly
_LARGEST = 10_000  # rows of a commit
_NOTICED_SECONDS = 0.1  # within which Ctrl-C ends a wait

Write = Callable[[str, pa.Table], object]


def run(arguments: Sequence[str]) -> int:
    """`headwater generate`."""
    options = _parser().parse_args(arguments)
    sample = SAMPLES[options.what]
    summary = sys.stderr if options.directory is None else sys.stdout
    done = 0
    with _Stop() as stop, ExitStack() as stack:
        if options.directory is None:
            write = _to_text(options.format, sample.schema.count("CREATE STREAM") > 1)
        else:
            database = stack.enter_context(connect(options.directory))
            database.execute(sample.schema)
            write = database.append
        started = perf_counter()
        for name, rows in _paced(sample.rows(options.seed), options.count, options.rate, stop):
            write(name, rows)
            done += rows.num_rows
    seconds = perf_counter() - started
    print(f"{done:,} rows in {seconds:.1f} s, {done / seconds:,.0f} a second", file=summary)
    return 0


class _Stop:
    """Ctrl-C as a wish, so that it cuts no commit short and what was written is counted. A second one is as ever."""

    def __init__(self) -> None:
        self.is_wished = False
        self._never = Event()

    def sleep_until(self, moment: float) -> None:
        """Waits for a moment of `perf_counter`, or for the wish."""
        while not self.is_wished and (left := moment - perf_counter()) > 0:
            self._never.wait(min(left, _NOTICED_SECONDS))

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGINT, self._wish)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _wish(self, *_: object) -> None:
        self.is_wished = True
        signal.signal(signal.SIGINT, self._before)


def _paced(source: Iterator[Rows], count: int | None, rate: float | None, stop: _Stop) -> Iterator[Rows]:
    """The first `count` rows (None: all), in pieces, until it is to stop. With a rate each piece is what is due,
    counted from the beginning: where writing is slow the next pieces are larger, so that a delay is caught up.
    """
    started, given = perf_counter(), 0
    for name, rows in source:
        start = 0
        while start < rows.num_rows and given != count:
            size = _LARGEST if count is None else min(_LARGEST, count - given)
            if rate is not None:
                due = int((perf_counter() - started + 1 / _COMMITS_PER_SECOND) * rate) - given
                size = max(1, min(size, due, rows.num_rows - start))
                stop.sleep_until(started + (given + size) / rate)
            if stop.is_wished:
                return
            piece = rows.slice(start, size)
            start, given = start + piece.num_rows, given + piece.num_rows
            yield name, piece
        if given == count:
            return


def _to_text(format: str, says_relation: bool) -> Write:
    writers: dict[str, RowWriter] = {}

    def write(name: str, rows: pa.Table) -> None:
        if says_relation:
            if format == "csv":
                raise HeadwaterError("csv has one kind of row only", hint="use --format ndjson, or give a directory")
            rows = rows.add_column(0, "relation", pa.array([name] * rows.num_rows, pa.string()))
        if name not in writers:
            columns = tuple(Column(field.name, "") for field in rows.schema)
            writers[name] = WRITERS[format](columns, sys.stdout.write)
        for batch in rows.to_batches():
            writers[name].add(batch)
        sys.stdout.flush()

    return write


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:12} {sample.about}" for name, sample in SAMPLES.items())
    parser = argparse.ArgumentParser(
        prog="headwater generate",
        description="Make sample data, at a rate.",
        epilog=f"data:\n{listed}\n\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=SAMPLES, metavar="DATA", help=f"one of {', '.join(SAMPLES)}")
    parser.add_argument("directory", nargs="?", metavar="DIR", help="a database (default: standard output)")
    parser.add_argument("--rate", type=_positive(float), metavar="N", help="rows a second (default: no limit)")
    parser.add_argument("--count", type=_positive(int), metavar="N", help="how many rows (default: until Ctrl-C)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed gives other rows (default: 1)")
    parser.add_argument("--format", choices=("ndjson", "csv"), default="ndjson", help="of standard output")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError("it must be more than 0")
        return value

    return number
