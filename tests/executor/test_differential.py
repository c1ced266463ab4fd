"""Random queries over random histories: incremental = DuckDB from scratch, after every step."""

from __future__ import annotations

import os

import pytest
from tests.executor.differential import Case

CASES = int(os.environ.get("HEADWATER_CASES", "60"))
STEPS = 10


@pytest.mark.parametrize("seed", range(CASES))
def test_every_table_equals_duckdb_after_every_step(seed: int) -> None:
    case = Case(seed)
    for _ in range(STEPS):
        case.step()


@pytest.mark.parametrize("seed", range(0, CASES, 6))
def test_as_of_a_version_gives_what_was_there_then(seed: int) -> None:
    case = Case(seed)
    for _ in range(STEPS):
        case.step()
    for version, contents in case.history:
        for name, rows in contents.items():
            assert case.as_of(name, f"VERSION {version}") == rows, case.report(name, case.as_of(name, f"VERSION {version}"), rows)
