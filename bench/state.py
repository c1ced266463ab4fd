"""What state costs: whether a step takes as long however much is held, and how soon a change is seen.

    headwater bench state

A step takes 1,000 rows, whose keys are among those held; its p50 is compared with that of the fewest keys. While a
checkpoint is made, steps go on: the longest of them is compared with p50 too. So is the longest of as many steps
without a checkpoint, since now and then a step merges runs, or makes room. Databases are in memory, so that steps are
compared without the disk's times in them; the way of one row to its subscriber is measured in a directory, with syncs.
On a machine that others use, trust CPU time more than latency.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headwater.bench.machine import Machine
from headwater.bench.process import in_new_process
from headwater.bench.report import Figure, Report
from headwater.bench.state_worker import CASES, STEP_ROWS, Seconds, Steps, measure_latency, measure_steps
from headwater.errors import HeadwaterError

FLAT_GOAL = 1.5  # times as long as with the fewest keys
PAUSE_GOAL = 2.0  # steps: its own length, and as long again


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the figures; the program's exit code."""
    options = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        raise HeadwaterError("this benchmark reads /proc: run it on Linux")
    report = Report(Machine.of(Path(options.directory)), sys.stdout, sys.stderr)
    try:
        for case in CASES:
            _measure_case(report, case, options)
        _measure_latency(report, options)
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    finally:
        report.doing("")
    report.finish()
    if options.json is not None:
        Path(options.json).write_text(report.json(), encoding="utf-8")
    return 0


def _measure_case(report: Report, case: str, options: argparse.Namespace) -> None:
    report.begin(f"{case}: {CASES[case].query}")
    fewest: Steps | None = None
    for keys in sorted(options.keys):
        report.doing(f"filling a {case} with {keys:,} keys")
        steps = in_new_process(measure_steps, case, keys, options.steps, options.seed)
        fewest = fewest or steps
        report.add([*_figures(f"{case}, {keys:,} keys", steps), *_growth(f"{case}, {keys:,} keys", steps, fewest)])


def _growth(name: str, steps: Steps, fewest: Steps) -> list[Figure]:
    """How many times as long a step takes as with the fewest keys."""
    if steps is fewest:
        return []
    times = {"latency": (steps.seconds, fewest.seconds), "CPU time": (steps.cpu_seconds, fewest.cpu_seconds)}
    return [
        Figure(f"{name}: {what} to fewest", float(np.median(ours) / np.median(few)), "times", FLAT_GOAL)
        for what, (ours, few) in times.items()
    ]


def _figures(name: str, steps: Steps) -> list[Figure]:
    p50 = float(np.median(steps.seconds))
    return [
        *_percentiles(f"{name}: a step", steps.seconds),
        Figure(f"{name}: a step, CPU, p50", float(np.median(steps.cpu_seconds)) * 1e3, "ms"),
        Figure(f"{name}: state", steps.state_bytes / 1e6, "MB"),
        Figure(f"{name}: a checkpoint", steps.checkpoint_seconds * 1e3, "ms"),
        Figure(f"{name}: step beside it", steps.longest_beside / p50, "p50s", PAUSE_GOAL),
        Figure(f"{name}: of as many after it", steps.longest_after / p50, "p50s"),
    ]


def _measure_latency(report: Report, options: argparse.Namespace) -> None:
    report.begin("one durable row in, its change seen by a subscriber; the engine is idle before")
    for queries in options.queries:
        report.doing(f"watching 1 of {queries} queries")
        with tempfile.TemporaryDirectory(dir=options.directory, prefix="headwater-bench-") as scratch:
            taken = in_new_process(measure_latency, f"{scratch}/latency.hw", queries, options.rows)
        report.add(_percentiles(f"{queries} running {'query' if queries == 1 else 'queries'}", taken))


def _percentiles(name: str, taken: Seconds) -> list[Figure]:
    low, high = np.percentile(taken * 1e3, (50, 99))
    return [Figure(f"{name}, p50", float(low), "ms"), Figure(f"{name}, p99", float(high), "ms")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench state", description="Measure steps with much state, and the latency of one row."
    )
    parser.add_argument(
        "--keys",
        type=_keys,
        default=[10**5, 10**6, 10**7],
        help="how many to hold (default: 100000,1000000,10000000)",
    )
    parser.add_argument("--steps", type=int, default=200, help="steps to time (default: 200)")
    parser.add_argument("--rows", type=int, default=300, help="rows to follow to a subscriber (default: 300)")
    parser.add_argument("--queries", type=_running, default=[1, 100], help="that run meanwhile (default: 1,100)")
    parser.add_argument("--seed", type=int, default=1, help="of the keys (default: 1)")
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files (default: here)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    return parser


def _keys(text: str) -> list[int]:
    return _counts(text, STEP_ROWS)


def _running(text: str) -> list[int]:
    return _counts(text, 1)


def _counts(text: str, least: int) -> list[int]:
    counts = text.split(",")
    if not all(count.isdecimal() and int(count) >= least for count in counts):
        raise argparse.ArgumentTypeError(
            f'"{text}" is not a list of numbers of at least {least:,}: write it like 100000,1000000'
        )
    return [int(count) for count in counts]
