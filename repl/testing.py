"""The command `headwater test`: runs tests written in SQL, and says which fail and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from time import perf_counter
from typing import TextIO

import pyarrow as pa

from headwater.engine.render import TableWriter
from headwater.engine.terminal import Screen
from headwater.errors import AssertionFailed, HeadwaterError, excerpt
from headwater.repl.selection import choice
from headwater.repl.sql_tests import SqlTest, find_files, read_tests, run_test
from headwater.values import Column

Values = tuple[str | None, ...]

_EXAMPLES = """\
examples:
  headwater test tests/             run the tests in the *.sql files below a directory
  headwater test orders.sql -v      those of one file, with a line for each
  headwater test tests/ -k "late and not slow" -x

Exit code: 0 if all pass, 1 if not. See docs/testing.md for how to write tests.
"""


def run(arguments: Sequence[str]) -> int:
    """`headwater test`: 1 if a test fails."""
    parser = argparse.ArgumentParser(
        prog="headwater test",
        description="Run tests written in SQL, each on a new database in memory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", metavar="DIR|FILE", help="where the tests are")
    parser.add_argument("-k", dest="expression", metavar="EXPR", help="only tests whose file or name has these words")
    parser.add_argument("-x", dest="stops", action="store_true", help="stop after the first test that fails")
    parser.add_argument("-v", dest="is_verbose", action="store_true", help="a line for each test")
    options = parser.parse_args(arguments)
    try:
        is_chosen = choice(options.expression) if options.expression is not None else lambda name: True
    except ValueError as error:
        parser.error(f"-k: {error}")
    tests = [test for file in find_files(options.paths) for test in read_tests(file)]
    chosen = [test for test in tests if is_chosen(test.id)]
    if not tests:
        raise HeadwaterError(f"there are no tests in {', '.join(options.paths)}", hint="see docs/testing.md")
    if not chosen:
        raise HeadwaterError(f"none of {len(tests)} tests is chosen by -k {options.expression}")
    return _Run(sys.stdout, options.is_verbose, options.stops).run(chosen, len(tests) - len(chosen))


class _Run:
    """A run of tests, and what it shows."""

    def __init__(self, stream: TextIO, is_verbose: bool, stops: bool) -> None:
        self._stream = stream
        self._screen = Screen.of(stream)
        self._is_verbose = is_verbose
        self._stops = stops
        self._failed: list[tuple[SqlTest, HeadwaterError]] = []
        self._passed = 0

    def run(self, tests: Sequence[SqlTest], left_out: int) -> int:
        """Runs the tests and gives the exit code."""
        started = perf_counter()
        for file, of_file in groupby(tests, lambda test: test.file):
            if self._failed and self._stops:
                break
            self._run_file(file, of_file)
        for test, failure in self._failed:
            self._show(test, failure)
        counts = [(len(self._failed), "failed"), (self._passed, "passed"), (left_out, "left out by -k")]
        counts.append((len(tests) - self._passed - len(self._failed), "not run"))
        summary = ", ".join(f"{count:,} {what}" for count, what in counts if count)
        colour = "red" if self._failed else "green"
        self._write("\n" + self._screen.paint(f"{summary} in {perf_counter() - started:.2f} s", colour) + "\n")
        return 1 if self._failed else 0

    def _run_file(self, file: str, tests: Iterable[SqlTest]) -> None:
        if not self._is_verbose:
            self._write(f"{file} ")
        for test in tests:
            started = perf_counter()
            failure = run_test(test)
            seconds = perf_counter() - started
            if failure is None:
                self._passed += 1
            else:
                self._failed.append((test, failure))
            self._mark(test, failure is None, seconds)
            if failure is not None and self._stops:
                break
        if not self._is_verbose:
            self._write("\n")

    def _mark(self, test: SqlTest, passes: bool, seconds: float) -> None:
        """Says that a test has been run: a line, or one character in the line of its file."""
        colour = "green" if passes else "red"
        if self._is_verbose:
            word = self._screen.paint("PASSED" if passes else "FAILED", colour)
            self._write(f"{test.id} {word} ({seconds * 1000:.0f} ms)\n")
        else:
            self._write(self._screen.paint("." if passes else "F", colour))

    def _show(self, test: SqlTest, failure: HeadwaterError) -> None:
        """Why a test fails: where, what, the statement, and what was expected beside what is there."""
        self._write(f"\n{self._screen.paint(f'{test.file}: {test.name}', 'bold')}\n")
        where = f"{failure.file}:{failure.line}: " if failure.line is not None else ""
        self._write(self._screen.paint(f"{where}{failure.message}", "red") + "\n")
        if failure.sql is not None and failure.span is not None:
            self._write(excerpt(failure.sql, failure.span) + "\n")
        if isinstance(failure, AssertionFailed) and failure.expected is not None:
            self._show_rows(failure.columns, failure.expected, failure.actual)
        if failure.hint:
            self._write(f"hint: {failure.hint}\n")

    def _show_rows(self, names: tuple[str, ...], expected: Values, actual: Values | None) -> None:
        rows = [("expected", *expected)] + ([("actual", *actual)] if actual is not None else [])
        columns = tuple(Column(name, "VARCHAR") for name in ("", *names))
        arrays = [pa.array(values, type=pa.string()) for values in zip(*rows, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, names=[f"c{place}" for place in range(len(arrays))])
        table = TableWriter(columns, replace(self._screen, width=None), self._write)
        table.measure(batch)
        table.add(batch)
        table.close()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
