"""The first version at which an assertion is false."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater
from headwater.errors import HeadwaterError
from headwater.repl.bisection import Found, Search, assertion

FEW = "(SELECT sum(x) FROM t) < 100"


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE STREAM t (x BIGINT); CREATE STREAM other (x BIGINT)")
        yield opened


def add(database: headwater.Database, *numbers: int) -> list[int]:
    """The versions that append them, with commits of others between."""
    versions = []
    for number in numbers:
        versions.append(database.append("t", [{"x": number}]).version)
        database.append("other", [{"x": number}])
    return versions


def search(
    database: headwater.Database, condition: str, *, since: int = 0, linear: bool = False
) -> tuple[Found, list[int]]:
    """What is found, and the versions that were asked."""
    asked: list[int] = []
    sql = assertion(condition, database)
    found = Search(sql, database, lambda version, _: asked.append(version)).run(since, database.version, linear=linear)
    assert found.asked == len(asked)
    return found, asked


def test_it_is_found_with_few_questions(database: headwater.Database) -> None:
    versions = add(database, *([1] * 50), 100, *([1] * 50))
    found, asked = search(database, FEW)
    assert (found.first, found.before) == (versions[50], versions[49])
    assert len(asked) <= 9  # the two ends, and 7 to halve 101
    assert set(asked) <= {0, *versions}


@pytest.mark.parametrize("linear", [False, True])
def test_where_it_holds_to_the_end_nothing_is_found(database: headwater.Database, linear: bool) -> None:
    add(database, 1, 2, 3)
    found, asked = search(database, FEW, linear=linear)
    assert found.first is None
    assert len(asked) == (4 if linear else 1)


@pytest.mark.parametrize("linear", [False, True])
def test_where_it_is_false_from_the_beginning_the_beginning_is_found(
    database: headwater.Database, linear: bool
) -> None:
    versions = add(database, 1, 2, 3)
    found, _ = search(database, "EXISTS (SELECT * FROM other WHERE x > 5)", linear=linear)
    assert (found.first, found.before) == (0, None)
    found, _ = search(database, "(SELECT count(*) FROM t) < 2", since=versions[1], linear=linear)
    assert (found.first, found.before) == (versions[1], None)


def test_since_leaves_out_what_came_before(database: headwater.Database) -> None:
    versions = add(database, 1, 2, 3)
    has_some = "(SELECT count(*) FROM t) BETWEEN 1 AND 2"
    found, _ = search(database, has_some, since=versions[0])
    assert (found.first, found.before) == (versions[2], versions[1])


def test_linear_finds_a_failure_that_was_mended(database: headwater.Database) -> None:
    versions = add(database, 1, 200, -200, 1)
    assert search(database, FEW)[0].first is None
    assert search(database, FEW, linear=True)[0].first == versions[1]


def test_null_holds_as_in_a_check(database: headwater.Database) -> None:
    versions = add(database, 200)
    assert search(database, FEW)[0].first == versions[0]


@pytest.mark.parametrize(
    "condition",
    ["SELECT count(*) < 3 AS few FROM t", "count(*) < 3 FROM t", "NOT EXISTS (SELECT * FROM t WHERE x > 2)"],
)
def test_an_assertion_is_a_condition_or_a_query_of_one(database: headwater.Database, condition: str) -> None:
    versions = add(database, 1, 2, 3)
    assert search(database, condition)[0].first == versions[2]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("3", "one BOOLEAN, but this is INTEGER"),
        ("true, false", "one BOOLEAN, but this is BOOLEAN, BOOLEAN"),
        ("SELECT x > 1 FROM t", "has 2 rows"),
        ("nothing > 1", "nothing"),
    ],
)
def test_what_is_no_assertion_is_refused(database: headwater.Database, condition: str, message: str) -> None:
    add(database, 1, 2)
    with pytest.raises(HeadwaterError, match=message):
        search(database, condition)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=20))
def test_halving_and_looking_at_every_version_agree_where_it_stays_false(numbers: list[int]) -> None:
    with headwater.connect(background=False) as database:
        database.execute("CREATE STREAM t (x BIGINT); CREATE STREAM other (x BIGINT)")
        add(database, *numbers)
        halved, scanned = search(database, FEW)[0], search(database, FEW, linear=True)[0]
        assert halved.first == scanned.first
        assert halved.asked <= 2 + len(numbers).bit_length()
