"""A row of the table that `headwater bench nexmark` prints: a query's figures, each with its goal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headwater.bench import nexmark_peers
from headwater.bench.nexmark_worker import Outcome
from headwater.bench.report import Figure

HEADER = """\
                 |  CPU seconds per million events                                     |  MB at the peak
query  events/s  |    ours  goal          kept    DuckDB 1, 2 threads  best peer*      |   all  own  goal        rows"""


@dataclass(frozen=True, slots=True)
class Row:
    """What a query took, and what DuckDB took for its answer from scratch with one thread and with two."""

    query: str
    events: int
    ours: Outcome
    kept: Outcome | None  # as a table, with the commits of its changelog
    one_thread: Outcome
    two_threads: Outcome

    @property
    def is_right(self) -> bool:
        """Whether all gave the same rows."""
        contents = [outcome.content for outcome in (self.ours, self.kept, self.two_threads) if outcome is not None]
        return all(content == self.one_thread.content for content in contents)

    @property
    def cpu_goal(self) -> Figure:
        """CPU seconds per million events, with the goal."""
        return Figure(
            f"{self.query}, CPU", self._per_million(self.ours), "s/M events", nexmark_peers.cpu_goal(self.query)
        )

    @property
    def memory_goal(self) -> Figure:
        """Resident memory at the peak, with the goal."""
        peak = self.ours.spent.peak_bytes / 1e6
        return Figure(f"{self.query}, memory", peak, "MB", nexmark_peers.memory_goal(self.query))

    def __str__(self) -> str:
        spent, peer = self.ours.spent, nexmark_peers.BEST.get(self.query)
        kept = "" if self.kept is None else f"{self._per_million(self.kept):.3f}"
        scratch = f"{self._per_million(self.one_thread):.3f}  {self._per_million(self.two_threads):.3f}"
        best = "" if peer is None else f"{peer.cpu_seconds:.2f} {peer.name}"
        return (
            f"{self.query:<4} {self.events / spent.seconds:>11,.0f}  | {self.cpu_goal.value:>7.3f}  "
            f"{_goal(self.cpu_goal, '.3f'):<13} {kept:<7} {scratch:<20} {best:<15} | "
            f"{self.memory_goal.value:>5,.0f} {spent.peak_own_bytes / 1e6:>4,.0f}  "
            f"{_goal(self.memory_goal, ',.0f'):<11} {self.ours.content.rows:>9,}{'' if self.is_right else ' WRONG'}"
        )

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        peer = nexmark_peers.BEST.get(self.query)
        return {
            "query": self.query,
            "events": self.events,
            "is_right": self.is_right,
            "goals": [{**asdict(figure), "met": figure.met} for figure in (self.cpu_goal, self.memory_goal)],
            "peer": None if peer is None else {**asdict(peer), "recorded": nexmark_peers.RECORDED},
            **{name: asdict(outcome) for name, outcome in self._outcomes().items()},
        }

    def _outcomes(self) -> dict[str, Outcome]:
        found = {"ours": self.ours, "duckdb_1_thread": self.one_thread, "duckdb_2_threads": self.two_threads}
        return found if self.kept is None else found | {"kept": self.kept}

    def _per_million(self, outcome: Outcome) -> float:
        return outcome.spent.cpu_seconds / self.events * 1e6


def _goal(figure: Figure, form: str) -> str:
    return "" if figure.goal is None else f"≤{figure.goal:{form}} {'met' if figure.met else 'MISSED'}"
