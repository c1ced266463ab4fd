"""Searches for queries whose incremental answer is not DuckDB's: `python -m tests.executor.search --queries 20000`.

Runs random cases in several processes, with a line that says how far it is, and ends with the sums. A failure is cut
down and printed as a test. The exit code is 0 if nothing failed and few queries were refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context

from tests.executor.differential import Case
from tests.executor.limits import limits_of
from tests.executor.reduction import Failure, as_test, failed, reduced

QUERIES_PER_CASE = 6
REFUSED_MAX = 0.05  # of the queries that the generator makes


@dataclass
class Sums:
    """What was run."""

    queries: int = 0
    steps: int = 0  # of queries: each query is compared after each step
    comparisons: int = 0
    refused: int = 0  # queries that Headwater or DuckDB does not take
    failures: int = 0

    def add(self, other: Sums) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        share = self.refused / max(1, self.queries + self.refused)
        return (
            f"{self.queries:,} queries, {self.steps:,} steps, {self.comparisons:,} comparisons, "
            f"{self.refused:,} generator errors ({share:.1%}), {self.failures:,} mismatches"
        )

    @property
    def is_good(self) -> bool:
        return not self.failures and self.refused <= REFUSED_MAX * (self.queries + self.refused)


def run_case(seed: int, steps: int, cut_down: bool, kinds: Sequence[str] = ()) -> tuple[Sums, str]:
    """One case, of queries of these kinds; its sums, and what is to be said of a failure."""
    with limits_of(seed):
        return _run_case(seed, steps, cut_down, kinds)


def _run_case(seed: int, steps: int, cut_down: bool, kinds: Sequence[str]) -> tuple[Sums, str]:
    sums = Sums()
    case = Case(seed, given=[])
    try:
        made = [case.generator.query(kinds) for _ in range(QUERIES_PER_CASE)]
        queries = [query for query in made if case.accepts(query)]
        sums.refused = len(made) - len(queries)
        case.begin(queries, late=len(queries) // 2)
        for _ in range(steps):
            case.step()
            sums.steps += len(case.made)
    except Exception as error:
        sums.failures = 1
        found = failed(case, error)
        return sums, described(reduced(found) if cut_down else found)
    finally:
        sums.queries, sums.comparisons = len(case.made), case.comparisons
    return sums, ""


def described(failure: Failure) -> str:
    return f"{failure.text}\n\n{as_test(failure)}"


def search(
    seeds: Sequence[int], steps: int, processes: int, cut_down: bool, kinds: Sequence[str] = ()
) -> Iterator[tuple[Sums, str]]:
    """The results of the cases, as they come."""
    if processes == 1:
        yield from (run_case(seed, steps, cut_down, kinds) for seed in seeds)
        return
    waiting = iter(seeds)
    with ProcessPoolExecutor(processes, max_tasks_per_child=200, mp_context=get_context("spawn")) as pool:

        def started(count: int) -> set[Future[tuple[Sums, str]]]:
            return {pool.submit(run_case, seed, steps, cut_down, kinds) for seed in islice(waiting, count)}

        running = started(2 * processes)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= started(len(done))
            yield from (future.result() for future in done)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.executor.search", description=__doc__)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first case; the others follow it")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kinds", nargs="*", default=(), help="of queries, by their names in generator.py: sets over")
    parser.add_argument("--first", action="store_true", help="stop at the first failure, and do not cut it down")
    options = parser.parse_args()
    cases = -(-options.queries // QUERIES_PER_CASE)
    seeds = range(options.seed, options.seed + cases)
    sums, began = Sums(), time.monotonic()
    for number, (one, text) in enumerate(
        search(seeds, options.steps, options.processes, not options.first, options.kinds), 1
    ):
        sums.add(one)
        if text:
            print(f"\r{' ' * 110}\r{text}", flush=True)
            if options.first:
                break
        if sys.stderr.isatty() or number % 100 == 0:
            left = (time.monotonic() - began) * (cases - number) / number
            line = f"\r{number:,} of {cases:,} cases, {left / 60:.0f} min left: {sums}"
            print(line, end="", file=sys.stderr, flush=True)
    print(f"\n{sums}", flush=True)
    return 0 if sums.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
