"""Comparing things on a machine that does not stand still: in turns, so that all meet the same disk and neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

Timed = Callable[[], float]  # does something and returns the seconds that count


def seconds(action: Callable[[], object]) -> float:
    """How long something takes."""
    begun = perf_counter()
    action()
    return perf_counter() - begun


def in_turns(contestants: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """The seconds of each in each round, after one round that does not count. Whoever began is last the next time."""
    names = list(contestants)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        for name in names:
            spent = contestants[name]()
            if number:
                taken[name].append(spent)
        names.append(names.pop(0))
    return taken


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times as long ours took: the median over the rounds, each compared with its own."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))
