"""`headwater bench shell`: what the user of the shell waits for, part by part."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from headwater.bench.machine import Machine
from headwater.bench.report import Figure, Report
from headwater.bench.shell_live import KEYS, first_screen, measure
from headwater.bench.timing import in_turns, seconds
from headwater.parser import following, hopeless, pieces
from headwater.repl.names import Named, Names
from headwater.repl.place import place_of
from headwater.repl.ranking import suggestions
from headwater.values import Column

ROOT = Path(__file__).resolve().parents[1]
RELATIONS, COLUMNS = 1_000, 20
COMPLETION_GOAL_MS = 30.0
START_GOAL_MS = 300.0
LIVE_CHANGES = 50_000  # a second

_SHOWN = 100
_STARTS = 7
# Typed letter by letter; %d is the number of a relation.
_STATEMENTS = (
    "SELECT r.column_3, sum(r.column_4) AS total FROM relation_%d r WHERE column_7 > 10 GROUP BY 1 ORDER BY total",
    "SELECT * FROM relation_%d a JOIN relation_7 b ON a.column_1 = b.column_1 WHERE a.column_2 IS NOT NULL LIMIT 10",
    "CREATE TABLE hourly AS SELECT column_2, count(*) FROM relation_%d WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY column_2",
    "INSERT INTO relation_%d (column_1, column_2) SELECT column_1, coalesce(column_2, 0) FROM relation_3",
    "SELECT column_5 FROM relation_%d AS OF VERSION 7",
)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments."""
    parser = argparse.ArgumentParser(prog="headwater bench shell", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each text is typed (default: 3)")
    options = parser.parse_args(arguments)
    report = Report(Machine.of(Path(".")), sys.stdout, sys.stderr)
    for part in PARTS:
        part(report, options.rounds)
    report.finish()
    return 0


def measure_completion(report: Report, rounds: int) -> None:
    """Report how long a completion takes behind each letter of some statements."""
    report.begin(f"Completion, {RELATIONS:,} relations of {COLUMNS} columns")
    report.doing("typing")
    names = _names()
    following("")  # reads the tables of the grammar, once
    taken = sorted(
        _complete(text[:end], names)
        for number in range(rounds)
        for statement in _STATEMENTS
        for text in [statement % (number * 37 + 11)]
        for end in range(1, len(text) + 1)
    )
    at = {"p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100], "longest": taken[-1]}
    report.add([Figure(f"a completion, {name}", at[name] * 1e3, "ms", goal) for name, goal in _GOALS.items()])


_GOALS = {"p50": None, "p99": COMPLETION_GOAL_MS, "longest": None}


def _complete(before: str, names: Names) -> float:
    def complete() -> None:
        place = place_of(before)
        if place is not None:
            for number, _ in enumerate(suggestions(place, names, {})):
                if number == _SHOWN:
                    break

    return seconds(complete)


def _names() -> Names:
    columns = tuple(Column(f"column_{number}", "BIGINT") for number in range(COLUMNS))
    return Names({f"relation_{n}": Named(f"relation_{n}", "stream", columns) for n in range(RELATIONS)})


def measure_errors(report: Report, rounds: int) -> None:
    """Report how long the look for errors takes behind each letter."""
    report.begin("Errors that are underlined while typing")
    texts = [(statement % 7)[:end] for statement in _STATEMENTS for end in range(1, len(statement % 7))]
    taken = sorted(seconds(lambda text=text: [hopeless(text, piece) for piece in pieces(text)]) for text in texts)  # type: ignore[misc]
    report.add([Figure("a look for errors, p99", taken[len(taken) * 99 // 100] * 1e3, "ms", COMPLETION_GOAL_MS)])


def measure_start(report: Report, rounds: int) -> None:
    """Report how long it takes from the command to the prompt, at a terminal, beside what is not ours of that."""
    report.begin("Start")
    report.doing("starting")
    python, headwater = [sys.executable, "-c"], [sys.executable, "-m", "headwater"]
    libraries = "import numpy, pyarrow.compute, duckdb, prompt_toolkit.shortcuts"
    measured = {
        "python alone": lambda: _until([*python, "print('>')"], b">"),
        "python with the libraries": lambda: _until([*python, f"{libraries}; print('>')"], b">"),
        "headwater, to the prompt": lambda: _until([*headwater], b"headwater>"),
        "headwater, to an answer typed at once": lambda: _until([*headwater], b"1 row", b"SELECT 1;\r"),
        "headwater -c, to the answer": lambda: _until([*headwater, "-c", "SELECT 1"], b"1 row"),
    }
    taken = in_turns(measured, _STARTS)
    goals = {"headwater, to the prompt": START_GOAL_MS}
    report.add([Figure(name, median(spent) * 1e3, "ms", goals.get(name)) for name, spent in taken.items()])


def _until(command: list[str], shown: bytes, typed: bytes = b"") -> float:
    """The seconds until a command has written something to its terminal, where something may have been typed first."""
    terminal, end = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": ""}
    begun = perf_counter()
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment) as process:
        os.close(end)
        os.write(terminal, typed)
        read = b""
        while shown not in read:
            read += os.read(terminal, 4096)
        taken = perf_counter() - begun
        process.kill()
    os.close(terminal)
    return taken


def measure_results(report: Report, rounds: int) -> None:
    """Report how long a large result takes until its first screen is written."""
    report.begin("A result of 100,000 rows")
    asked, shown = first_screen()
    figures = (("until it is answered", asked), ("until the first screen is written", shown))
    report.add([Figure(name, spent * 1e3, "ms") for name, spent in figures])


def measure_live(report: Report, rounds: int) -> None:
    """Report whether a live table keeps up with changes that come at a rate, in the same process as these."""
    report.begin(f"A live table of {KEYS:,} rows at {LIVE_CHANGES:,} changes a second")
    report.doing("watching")
    found = measure(LIVE_CHANGES)
    report.add(
        [
            Figure("changes", found.changes_per_second, "/s"),
            Figure("pictures", found.frames_per_second, "/s"),
            Figure("from a commit until the table shows it, median", found.lag * 1e3, "ms"),
            Figure("the same, worst", found.worst_lag * 1e3, "ms"),
            Figure("rows left behind at the end", found.rows_left, "rows", 0),
        ]
    )


PARTS: tuple[Callable[[Report, int], None], ...] = (
    measure_completion,
    measure_errors,
    measure_start,
    measure_results,
    measure_live,
)
