"""Where the time of a Nexmark query goes: by operator of its circuit, and by function of Python.

Operators count seconds of the clock, functions CPU seconds, which neighbours on the machine do not stretch.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from collections.abc import Sequence
from time import process_time

from headwater.bench.nexmark_worker import bound_query
from headwater.bench.spent import Spent
from headwater.engine.database import Database, connect
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.operators import Stateful
from headwater.planner import Plan, explain_plan

_FUNCTIONS = 40


def profile(path: str, query: str, ends: Sequence[int]) -> str:
    """Runs a query twice over a loaded database: with the operators' own counters, and under Python's profiler."""
    with connect(path, background=False, read_only=True) as database:
        plan, circuit = _made(query, database)
        spent = Spent()
        spent.measure(lambda: _advance(circuit, database, ends))
        operators = explain_plan(plan, lambda node: _measured(node, circuit))
        inside = sum(work.seconds for node, _ in circuit.operators_of(plan) if (work := circuit.work_of(node)))
        totals = (
            f"{spent.seconds:.3f} s, {spent.cpu_seconds:.3f} CPU s; "
            f"reading the log and what is between the operators: {spent.seconds - inside:.3f} s"
        )
        _, again = _made(query, database)
        profiler = cProfile.Profile(process_time)
        profiler.runcall(_advance, again, database, ends)
        return f"{query}: {totals}\n\n{operators}\n\n{_functions(profiler)}"


def _made(query: str, database: Database) -> tuple[Plan, Circuit]:
    plan = bound_query(query, database).plan
    return plan, Circuit([plan], keep=False)


def _advance(circuit: Circuit, database: Database, ends: Sequence[int]) -> None:
    for end in ends:
        circuit.advance(database.log, Cut(end))


def _measured(node: Plan, circuit: Circuit) -> str | None:
    """What the operator of a node took and holds; None for one that is part of the operator above it."""
    work = circuit.work_of(node)
    if work is None:
        return None
    operator = dict(circuit.operators_of(node))[node]
    note = f"{work.seconds:.3f} s; {work.rows_in:,} rows → {work.rows_out:,}"
    if not isinstance(operator, Stateful):
        return note
    return f"{note}; holds {operator.state_rows:,} rows in {operator.nbytes / 1e6:,.1f} MB"


def _functions(profiler: cProfile.Profile) -> str:
    text = io.StringIO()
    statistics = pstats.Stats(profiler, stream=text)
    statistics.strip_dirs().sort_stats("tottime").print_stats(_FUNCTIONS)
    return text.getvalue().strip()
