"""What the past costs: questions about a table as it was, next to the same questions about what it is now.

    headwater bench past

For each number of keys a table is kept over a history that grows: questions are asked after each number of changes, of
all rows, of sums over them, and of one key; as of 1 %, 50 % and 99 % of history, at random, and at random with nothing
kept from questions before ("cold"). Of each it is said how many times as long it took as the same question about now,
and how that grew with history. Each question is asked at other versions in each round, in a process that has just
opened the database; beside it DuckDB computes the table again from the records. On a machine that others use, trust CPU
time more than latency.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headwater.bench.machine import Machine
from headwater.bench.past_worker import (
    ANYWHERE,
    COLD,
    COMMIT_ROWS,
    DUCKDB,
    INSIDE,
    NOW,
    ONE_KEY,
    PAIR_EVERY,
    QUESTIONS,
    SHARES,
    Costs,
    History,
    extend_history,
    measure_questions,
)
from headwater.bench.process import in_new_process
from headwater.bench.report import Figure, Report
from headwater.errors import HeadwaterError

NOW_GOAL = 3.0  # times as long as the same question about now
GROWTH_GOAL = 1.2  # times as long for each ten times as many changes
KEY_GOAL_MS = 10.0  # for one key


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the figures; the program's exit code."""
    options = _parser().parse_args(arguments)
    report = Report(Machine.of(Path(options.directory)), sys.stdout, sys.stderr)
    try:
        for keys in options.keys:
            _measure_table(report, keys, options)
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    finally:
        report.doing("")
    report.finish()
    if options.json is not None:
        Path(options.json).write_text(report.json(), encoding="utf-8")
    return 0


def _measure_table(report: Report, keys: int, options: argparse.Namespace) -> None:
    history, fewest = History(), dict[int, Costs]()
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="headwater-bench-") as scratch:
        for changes in sorted(options.changes):
            report.begin(f"a table of {keys:,} keys, after {changes:,} changes")
            report.doing("making the changes")
            directory = f"{scratch}/past.hw"
            history = in_new_process(extend_history, directory, keys, changes, options.seed, history)
            report.doing("asking")
            costs = in_new_process(measure_questions, directory, keys, history, options.rounds, options.seed)
            fewest[changes] = costs
            for question in QUESTIONS:
                report.add(_figures(question, costs))
            report.add(_growth(changes, fewest))


def _figures(question: str, costs: Costs) -> list[Figure]:
    """What a question costs at each point, and next to now."""
    figures = []
    now_latency, now_cpu = _medians(costs, question, NOW)
    for when in (NOW, *SHARES, ANYWHERE, COLD, INSIDE, DUCKDB):
        if (question, when) not in costs:
            continue
        latency, cpu = _medians(costs, question, when)
        is_found = when in SHARES or when == ANYWHERE
        goal = KEY_GOAL_MS if question == ONE_KEY and (is_found or when == NOW) else None
        figures.append(Figure(f"{question}, {when}", latency, "ms", goal))
        figures.append(Figure(f"{question}, {when}, CPU", cpu, "ms", goal))
        if is_found and question != ONE_KEY:
            figures.append(Figure(f"{question}, {when}, to now", latency / now_latency, "times", NOW_GOAL))
            figures.append(Figure(f"{question}, {when}, CPU to now", cpu / now_cpu, "times", NOW_GOAL))
    return figures


def _growth(changes: int, measured: dict[int, Costs]) -> list[Figure]:
    """How many times as long questions take as after the fewest changes, for each ten times as many.

    Each next to the same question about now, which history does not matter to, but what else the machine does.
    """
    fewest = min(measured)
    if changes == fewest:
        return []
    decades = float(np.log10(changes / fewest))
    figures = []
    for question in QUESTIONS:
        for when in ("50 %", COLD):
            ours, few = (_to_now(measured[number], question, when) for number in (changes, fewest))
            for name, our, their in zip(("latency", "CPU"), ours, few, strict=True):
                growth = (our / their) ** (1 / decades)
                figures.append(Figure(f"{question}, {when}, {name} growth", growth, "a decade", GROWTH_GOAL))
    return figures


def _to_now(costs: Costs, question: str, when: str) -> list[float]:
    """Latency and CPU time, how many times that of the question about now."""
    then, now = (_medians(costs, question, point) for point in (when, NOW))
    return [a / b for a, b in zip(then, now, strict=True)]


def _medians(costs: Costs, question: str, when: str) -> tuple[float, float]:
    """Milliseconds of latency and of CPU time."""
    latency, cpu = np.median(costs[question, when], axis=0) * 1e3
    return float(latency), float(cpu)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench past", description="Measure questions about the past of a table."
    )
    parser.add_argument(
        "--keys", type=_counts, default=[10**4, 10**5, 10**6],
        help="of the table (default: 10000,100000,1000000)",
    )  # fmt: skip
    parser.add_argument(
        "--changes", type=_changes, default=[10**6, 10**7],
        help="lengths of history, in records (default: 1000000,10000000)",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9, help="of questions (default: 9)")
    parser.add_argument("--seed", type=int, default=1, help="of the keys and of the points (default: 1)")
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files (default: here)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    return parser


def _counts(text: str) -> list[int]:
    return _numbers(text, 1)


def _changes(text: str) -> list[int]:
    return _numbers(text, (PAIR_EVERY + 1) * COMMIT_ROWS)


def _numbers(text: str, least: int) -> list[int]:
    counts = text.split(",")
    if not all(count.isdecimal() and int(count) >= least for count in counts):
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a list of numbers of at least {least:,}: write it like 100000,1000000'
        )
    return [int(count) for count in counts]
