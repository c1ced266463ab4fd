"""What EXPLAIN says of state: what is kept, with what it grows, what bounds it, and what would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import Plan, bind_query, explain_plan, explain_warnings, plan_document, walk_plan
from headwater.planner.logical import Aggregate
from headwater.planner.state_bounds import keeps_state, state_of
from tests.golden import check
from tests.planner.shop import shop

CATALOG = shop()


def plan(sql: str) -> Plan:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, CATALOG).plan


def described(sql: str) -> str:
    """Each operator that keeps something: what, with what it grows, its bound or its remedy; then the warnings."""
    found = plan(sql)
    lines = []
    for node in dict.fromkeys(walk_plan(found)):
        state = state_of(node)
        if state is not None:
            bound = f"bounded by {state.bounded_by}" if state.bounded_by else f"unbounded; {state.remedy}"
            lines.append(f"{type(node).__name__}: {state.what}; grows with {state.grows_with}; {state.cost}; {bound}")
    return "\n".join([*lines, *explain_warnings(found)]) or "nothing is kept"


def test_state_is_described_as_the_golden_file_has_it() -> None:
    check(Path(__file__).with_name("state.golden"), described)


def test_every_state_either_has_a_bound_or_says_what_would_bound_it() -> None:
    for sql in (
        "SELECT note, max(price) FROM bids GROUP BY note",
        "SELECT * FROM people p, notes n WHERE p.id = n.person",
    ):
        states = [state for node in walk_plan(plan(sql)) if (state := state_of(node)) is not None]
        assert states and all((state.bounded_by is None) == (state.remedy is not None) for state in states)


def test_a_filter_keeps_nothing() -> None:
    assert not keeps_state(plan("SELECT auction FROM bids WHERE price > 1"))
    assert keeps_state(plan("SELECT DISTINCT auction FROM bids"))


def test_a_document_has_every_operator_with_its_columns_key_and_state() -> None:
    found = plan("SELECT auction, count(*) AS n FROM bids GROUP BY auction")
    document = json.loads(json.dumps(plan_document(found)))
    assert document["operator"] == "Project" and document["key"] == ["auction"] and document["state"] is None
    assert document["columns"] == [{"name": "auction", "type": "INTEGER"}, {"name": "n", "type": "BIGINT"}]
    (aggregate,) = document["inputs"]
    assert aggregate["operator"] == "Aggregate" and aggregate["incremental"] and not aggregate["append_only"]
    assert aggregate["state"] == {
        "what": "one row per group",
        "grows_with": "each new value of auction",
        "cost": "O(1) per row",
        "bounded_by": None,
        "remedy": "a WINDOW, whose groups are forgotten after its GRACE PERIOD",
    }
    operators = []
    while document["inputs"]:
        (document,) = document["inputs"]
        operators.append(document["operator"])
    assert operators == [type(node).__name__ for node in walk_plan(found)][1:]


def test_notes_of_ones_own_stand_in_the_tree() -> None:
    tree = explain_plan(
        plan("SELECT DISTINCT auction FROM bids"), lambda node: "here" if isinstance(node, Aggregate) else None
    )
    assert [line.endswith("[here]") for line in tree.splitlines()] == [True, False, False]


@pytest.mark.parametrize("sql", ["SELECT * FROM people", "SELECT name, count(*) FROM people GROUP BY name"])
def test_nothing_is_warned_of_where_tables_are_the_bound(sql: str) -> None:
    assert explain_warnings(plan(sql)) == []
