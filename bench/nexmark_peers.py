"""What other engines reached on Nexmark, and so the goals.

Recorded on 2026-11-23 on a machine of this kind (2 cores, 24 GB), 10 million events, or 1 million where there was no
more; each ran the query as a continuous one, with a sink that throws rows away. Figures drift from run to run. The best
peer of a query is the one with the fewest CPU seconds. LaminarDB counts where its input is one stream and it gave the
right rows: not for joins, which match only within one of its ticks.
"""

from __future__ import annotations

from dataclasses import dataclass

RECORDED = "2026-11-23"


@dataclass(frozen=True, slots=True)
class Peer:
    """The best peer of a query."""

    name: str
    cpu_seconds: float  # per million events
    peak_mb: float


BEST = {
    "q0": Peer("clink", 0.11, 521),
    "q1": Peer("ubik", 0.45, 77),
    "q2": Peer("clink", 0.17, 502),
    "q3": Peer("clink", 0.73, 259),
    "q4": Peer("Flink", 3.32, 7729),
    "q5": Peer("ubik", 1.05, 77),
    "q7": Peer("clink", 3.11, 1219),
    "q8": Peer("clink", 2.02, 516),
    "q9": Peer("Flink", 7.41, 12005),
    "q11": Peer("clink", 0.31, 753),
    "q12": Peer("clink", 0.26, 844),
    "q15": Peer("LaminarDB", 0.63, 452),
    "q16": Peer("Flink", 8.29, 9827),
    "q17": Peer("ubik", 1.43, 92),
    "q18": Peer("Flink", 2.50, 9639),
    "q19": Peer("Flink", 3.18, 13678),
    "q20": Peer("clink", 3.47, 1261),
}

_AHEAD = {query: 1.0 for query in ("q0", "q2", "q11", "q12")}
_TWICE = {query: 2.0 for query in ("q1", "q3", "q5")}
_TEN_TIMES = {query: 10.0 for query in ("q4", "q7", "q8", "q9", "q15", "q16", "q17", "q18", "q19", "q20")}
TIMES_BETTER = _AHEAD | _TWICE | _TEN_TIMES  # than the best peer


def cpu_goal(query: str) -> float | None:
    """The most CPU seconds per million events that a query should take; None where no peer was measured."""
    return BEST[query].cpu_seconds / TIMES_BETTER[query] if query in BEST else None


def memory_goal(query: str) -> float | None:
    """The most MB that should be resident: half of what the best peer takes; None where no peer was measured."""
    return BEST[query].peak_mb / 2 if query in BEST else None
