"""What is left of a failure: the rows and the words that it takes, as a test that can be pasted."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from headwater import connect
from tests.executor.bugs import BUGS
from tests.executor.differential import Case, canonical
from tests.executor.history import Append, Create, Step
from tests.executor.planted import planted
from tests.executor.query import Query
from tests.executor.reduction import Failure, as_test, failed, reduced, simpler

FORGOTTEN_PAIRS = next(bug for bug in BUGS if bug.name.startswith("a join forgets the pairs"))


def first_failure() -> Failure:
    """A random case that goes wrong."""
    for seed in range(5000, 5020):
        case = Case(seed)
        try:
            for _ in range(10):
                case.step()
        except AssertionError as error:
            return failed(case, error)
    raise AssertionError("nothing goes wrong")


def test_a_failure_is_cut_down_to_a_test_that_fails_as_long_as_the_bug_is_there() -> None:
    with planted(FORGOTTEN_PAIRS):
        found = first_failure()
        left = reduced(found)
        rows = [event.rows for event in left.events if isinstance(event, Append)]
        assert len(left.events) <= 5 < len(found.events)
        assert sum(map(len, rows)) <= 3
        test = pasted(as_test(left))
        with pytest.raises(AssertionError):
            test()
    test()


def pasted(text: str) -> Any:
    """The function of a test that was printed, in a module that imports what it needs."""
    import datetime
    from decimal import Decimal

    module: dict[str, Any] = {
        "connect": connect, "duckdb": duckdb, "canonical": canonical, "datetime": datetime, "Decimal": Decimal,
    }  # fmt: skip
    exec(text, module)
    return next(value for name, value in module.items() if name.startswith("test_"))


def test_an_error_is_a_failure_too_and_another_error_is_not_the_same() -> None:
    case = Case(1, given=[Query("SELECT x FROM b", "SELECT x FROM b")])
    case.do(Append("b", ({"x": 1, "y": "a", "z": 2}, {"x": 2, "y": None, "z": None})))
    with pytest.raises(Exception) as caught:
        case.do(Create("wrong", Query("SELECT x FROM b", "SELECT nothing FROM b")))
        case.do(Step())
    left = reduced(failed(case, caught.value))
    assert left.kind == "BinderException"
    assert [type(event) for event in left.events] == [Create, Step]


@pytest.mark.parametrize(
    ("sql", "some"),
    [
        ("SELECT a, b FROM t WHERE a > 1", ["SELECT a, b FROM t", "SELECT b FROM t WHERE a > 1"]),
        ("SELECT a, count(*) AS n FROM (SELECT a FROM t WHERE b) q GROUP BY a HAVING count(*) > 1",
         ["SELECT a, count(*) AS n FROM (SELECT a FROM t) AS q GROUP BY a HAVING count(*) > 1",
          "SELECT a, count(*) AS n FROM (SELECT a FROM t WHERE b) AS q GROUP BY a"]),
    ],
)  # fmt: skip
def test_simpler_queries_lack_a_clause_or_an_item(sql: str, some: list[str]) -> None:
    assert set(some) <= set(simpler(sql))
