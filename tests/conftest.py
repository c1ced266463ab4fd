"""Settings for all tests, their order, and a summary of what they counted."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import settings

# In CI the generated examples are the same each time; at a desk they are new each time, and find new things.
settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


# The files that take longest, in that order. They begin first: a worker takes a file as a whole, and one that began
# last would leave all other workers without work.
LONGEST = (
    "storage/test_workloads.py", "storage/test_damage.py", "kill/test_kill.py", "kill/test_history.py",
    "engine/test_pasts.py",
    "storage/test_planted.py", "executor/test_differential.py", "executor/test_planted.py", "engine/test_crashes.py",
    "storage/test_protocol.py", "parser/test_fuzz.py", "sql/test_tpch.py", "storage/test_properties.py",
    "engine/test_bank.py", "demo/test_demo.py", "engine/test_crashing_errors.py", "executor/test_laws.py",
    "bench/test_nexmark.py", "engine/test_restart.py", "bench/test_state.py", "engine/test_time_passes.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, all others as they are."""
    items.sort(key=lambda item: _place(item.path.parts))


def _place(parts: Sequence[str]) -> int:
    name = "/".join(parts[-2:])
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sum of each number that tests gave to `record_property`, with failures and duration of these tests."""
    sums: dict[str, tuple[int, int, float]] = {}
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            number, failures, seconds = sums.get(name, (0, 0, 0.0))
            sums[name] = number + int(str(value)), failures + report.failed, seconds + report.duration
    for name, (number, failures, seconds) in sums.items():
        terminalreporter.write_line(f"{name}: {number:,}, failures: {failures}, {seconds:.0f} s")
