"""Settings for all tests, and a summary of what they counted."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# In CI the generated examples are the same each time; at a desk they are new each time, and find new things.
settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the sum of each number that tests gave to `record_property`, with failures and duration of these tests."""
    sums: dict[str, tuple[int, int, float]] = {}
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, value in report.user_properties:
            number, failures, seconds = sums.get(name, (0, 0, 0.0))
            sums[name] = number + int(str(value)), failures + report.failed, seconds + report.duration
    for name, (number, failures, seconds) in sums.items():
        terminalreporter.write_line(f"{name}: {number:,}, failures: {failures}, {seconds:.0f} s")
