"""Crashes, chains of lives and faults of all workloads, in several processes: `python -m tests.storage.crashes`.

Without arguments it is the gate that every change has to pass; `--states 5000000 --lives 2000000` is a weekend. Every
failure is printed with the arguments that do it again.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing import get_context

from headwater.storage import CRASH_MODELS, Fault
from tests.storage.chains import LIVES, run_chain
from tests.storage.enumerator import Crash, Explorer, every_crash
from tests.storage.faulting import FOR_EVER, OPERATIONS, enumerate_faults, every_fault
from tests.storage.workloads import WORKLOADS

STATES, CHAINED_LIVES = 50_000, 5_000
PROCESSES = os.cpu_count() or 1
FRUITLESS_SEEDS = 30  # after so many in a row that left nothing new, a workload has shown all it has


@dataclass(frozen=True, slots=True)
class Share:
    """The part of the work on one workload that one process does: the `number`th of `shares`."""

    workload: str
    number: int
    shares: int
    seed: int = 0


def explore(workload: str, states: int, seed: int = 0) -> int:
    """Check so many states, if there are as many, and at least every crash once; the number of different ones.

    One process does this for a workload: several would come upon the same states, and count them twice.
    """
    explorer = Explorer(WORKLOADS[workload])
    fruitless = 0
    for next_seed in count(seed):
        before, again = explorer.states, next_seed != seed
        for crash in every_crash(explorer.operations, next_seed, again=again):
            explorer.explore([crash])
            if again and explorer.states >= states:
                return explorer.states
        fruitless = fruitless + 1 if explorer.states == before else 0
        if explorer.states >= states or fruitless == FRUITLESS_SEEDS:
            break
    return explorer.states


def chain(share: Share, lives: int) -> int:
    """Live at least so many lives, in chains that each have a seed of their own; the number of lives."""
    seeds = islice(count(share.seed + share.number, share.shares), -(-lives // LIVES))
    return sum(run_chain(WORKLOADS[share.workload], seed) for seed in seeds)


def starve(share: Share) -> int:
    """Try every fault; the number of faults."""
    workload = WORKLOADS[share.workload]
    return enumerate_faults(workload, islice(every_fault(workload), share.number, None, share.shares))


def pool(processes: int = PROCESSES) -> ProcessPoolExecutor:
    """Processes that share nothing with this one; they must be able to import `tests`, so it must be on the path."""
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def shares_of(workload: str, shares: int, seed: int = 0) -> Iterator[Share]:
    """The parts of the work on one workload."""
    return (Share(workload, number, shares, seed) for number in range(shares))


def main() -> int:
    arguments = _arguments()
    started = time.perf_counter()
    failures = _repeat(arguments) if _is_repetition(arguments) else _run_all(arguments)
    print(f"{time.perf_counter() - started:.0f} s, {failures} failures")
    return min(failures, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storage.crashes", description=__doc__)
    parser.add_argument("--states", type=int, default=STATES, metavar="N", help="different crash states, in all")
    parser.add_argument("--lives", type=int, default=CHAINED_LIVES, metavar="N", help="lives in chains, in all")
    parser.add_argument("--faults", action=argparse.BooleanOptionalAction, default=True, help="also try every fault")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed of all that is random")
    parser.add_argument("--processes", type=int, default=PROCESSES, metavar="N")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="only this one; can be repeated")
    again = parser.add_argument_group("to do one thing again, with one --workload")
    again.add_argument(
        "--operation", type=int, metavar="K", help="crash before this operation, with --model and --seed"
    )
    again.add_argument("--model", choices=CRASH_MODELS)
    again.add_argument("--chain", type=int, metavar="S", help="the chain with this seed")
    again.add_argument("--fault", metavar="OPERATION/NTH/ERROR/TIMES", help="for instance sync/3/EIO/once")
    return parser.parse_args()


def _run_all(arguments: argparse.Namespace) -> int:
    names = arguments.workload or list(WORKLOADS)
    shares = {name: list(shares_of(name, arguments.processes, arguments.seed)) for name in names}
    states, lives = -(-arguments.states // len(names)), -(-arguments.lives // (len(names) * arguments.processes))
    failures = 0
    with pool(arguments.processes) as processes:
        submit = processes.submit
        if states:
            found = {name: [submit(explore, name, states, arguments.seed)] for name in names}
            failures += _finish("crash states", found)
        if lives:
            failures += _finish(
                "lives", {name: [submit(chain, share, lives) for share in shares[name]] for name in names}
            )
        if arguments.faults:
            failures += _finish("faults", {name: [submit(starve, share) for share in shares[name]] for name in names})
    return failures


def _finish(what: str, submitted: Mapping[str, Sequence[Future[int]]]) -> int:
    """Wait for all work of one kind, and print how many of what there were. The number of failures."""
    started = time.perf_counter()
    total = failures = 0
    for name, futures in submitted.items():
        done = 0
        for future in futures:
            try:
                done += future.result()
            except AssertionError as failure:
                failures += 1
                traceback.print_exception(failure)
        print(f"{name:>24}: {done:>9,} {what}", flush=True)
        total += done
    print(f"{'all':>24}: {total:>9,} {what}, {total / (time.perf_counter() - started):,.0f} a second", flush=True)
    return failures


def _is_repetition(arguments: argparse.Namespace) -> bool:
    return any(given is not None for given in (arguments.operation, arguments.chain, arguments.fault))


def _repeat(arguments: argparse.Namespace) -> int:
    (name,) = arguments.workload
    workload = WORKLOADS[name]
    try:
        if arguments.fault is not None:
            enumerate_faults(workload, [_fault(arguments.fault)])
        elif arguments.chain is not None:
            run_chain(workload, arguments.chain)
        else:
            Explorer(workload).explore([Crash(arguments.operation, arguments.model, arguments.seed)])
    except AssertionError as failure:
        traceback.print_exception(failure)
        return 1
    return 0


def _fault(text: str) -> Fault:
    operation, nth, effect, times = text.split("/")
    assert operation in (*OPERATIONS, "any"), f"there is no operation {operation}"
    return Fault(
        operation,  # type: ignore[arg-type]  # it was looked up
        int(nth),
        "short" if effect == "short" else getattr(errno, effect),
        1 if times == "once" else FOR_EVER,
    )


if __name__ == "__main__":
    sys.exit(main())
