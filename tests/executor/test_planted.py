"""The differential harness is put to the test: it must find each bug that is planted in an operator.

HEADWATER_THOROUGH=1 also tries those that take many cases.
"""

from __future__ import annotations

import pytest

from tests.executor.bugs import BUGS
from tests.executor.planted import PlantedBug, planted
from tests.executor.search import run_case
from tests.thoroughness import THOROUGH

CASES_MAX = 80  # of six queries and ten steps each
SEED = 5000


TRIED = [bug for bug in BUGS if not bug.rare or THOROUGH]


@pytest.mark.parametrize("bug", TRIED, ids=lambda bug: bug.name)
def test_random_queries_find_that(bug: PlantedBug) -> None:
    with planted(bug):
        cases = (run_case(seed, 10, False, bug.kinds) for seed in range(SEED, SEED + CASES_MAX))
        assert any(sums.failures for sums, _ in cases)
