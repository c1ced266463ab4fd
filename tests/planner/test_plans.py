"""The plans of continuous queries, as EXPLAIN shows them, and what a plan knows of its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.parser import parse_statement
from headwater.parser.syntax import CreateRelation, Query
from headwater.planner import BoundQuery, Catalog, Plan, bind_query, define, explain_plan, plan_document, walk_plan
from headwater.planner.logical import StreamSource
from tests.golden import check
from tests.planner.shop import DEFINITIONS, catalog_of, shop


def bound(sql: str, catalog: Catalog | None = None, *, stored: bool = False) -> BoundQuery:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, catalog or shop(), stored=stored)


def plan(sql: str, catalog: Catalog | None = None) -> Plan:
    return bound(sql, catalog).plan


def test_plans_are_as_the_golden_file_has_them() -> None:
    catalog = shop()
    check(Path(__file__).with_name("plans.golden"), lambda sql: explain_plan(plan(sql, catalog)))


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("SELECT * FROM people", ("id",)),
        ("SELECT name, id AS number FROM people", ("number",)),
        ("SELECT id, id AS again FROM people", ("id",)),
        ("SELECT name FROM people", None),
        ("SELECT id + 1 AS id FROM people", None),
        ("SELECT id FROM people WHERE age > 1", ("id",)),
        ("SELECT * FROM notes", None),
        ("SELECT * FROM bids", None),
        ("SELECT auction, count(*) FROM bids GROUP BY auction", ("auction",)),
        ("SELECT count(*) FROM bids GROUP BY auction", None),
        ("SELECT auction, note, count(*) FROM bids GROUP BY note, auction", ("note", "auction")),
        ("SELECT count(*) FROM bids", ()),
        ("SELECT DISTINCT auction, note FROM bids", ("auction", "note")),
        ("SELECT * FROM totals", ("auction",)),
        ("SELECT a.id, b.id AS other FROM people a JOIN people b ON a.age = b.age", ("id", "other")),
        ("SELECT a.id FROM people a JOIN people b ON a.age = b.age", None),
        ("SELECT p.id, n.text FROM people p JOIN notes n ON p.id = n.person", None),
        ("SELECT b.auction, p.id FROM bids b JOIN people p ON b.auction = p.id", None),
        (
            "SELECT auction, WINDOWSTART, WINDOWEND, count(*) FROM bids WINDOW TUMBLING (SIZE 1 DAY) GROUP BY auction",
            ("WINDOWSTART", "WINDOWEND", "auction"),
        ),
    ],
)
def test_a_plan_knows_what_identifies_its_rows(sql: str, key: tuple[str, ...] | None) -> None:
    assert plan(sql).key == key


@pytest.mark.parametrize(
    ("sql", "append_only"),
    [
        ("SELECT * FROM bids", True),
        ("SELECT price FROM bids WHERE price > 1", True),
        ("SELECT price FROM high", True),
        ("SELECT b.price, p.name FROM bids b JOIN people p ON b.auction = p.id", True),
        ("SELECT * FROM people", False),
        ("SELECT * FROM notes", False),
        ("SELECT DISTINCT auction FROM bids", False),
        ("SELECT count(*) FROM bids", False),
        ("SELECT * FROM people JOIN notes ON id = person", False),
    ],
)
def test_a_plan_knows_whether_its_rows_stay(sql: str, append_only: bool) -> None:
    assert plan(sql).append_only is append_only


# ---------------------------------------------------------------- pruning


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT note FROM bids", ["note"]),
        ("SELECT count(*) FROM bids", ["auction"]),
        ("SELECT auction FROM bids WHERE price > 1", ["auction", "price"]),
        ("SELECT sum(price) FROM bids GROUP BY note", ["price", "note"]),
        ("SELECT b.price FROM bids b JOIN people p ON b.auction = p.id", ["auction", "price"]),
        ("SELECT count(*) FROM bids WINDOW TUMBLING (SIZE 1 DAY) GROUP BY note", ["note", "ROWTIME", "ROWPARTITION"]),
        ("SELECT q.a FROM (SELECT auction AS a, count(*) AS n, max(price) AS top FROM bids GROUP BY auction) q",
         ["auction", "price"]),
        ("SELECT place.zip FROM bids", ["place"]),
    ],
)  # fmt: skip
def test_a_plan_reads_only_the_columns_that_it_needs(sql: str, read: list[str]) -> None:
    (source,) = {node for node in walk_plan(plan(sql)) if isinstance(node, StreamSource)}
    carried = ["ROWTIME", "ROWPARTITION"] if bound(sql).is_stream else []
    assert list(source.names) == read + [name for name in carried if name not in read]


@pytest.mark.parametrize("sql", ["SELECT note, auction FROM bids", "SELECT text FROM notes", "SELECT n FROM totals"])
def test_pruning_leaves_the_output_as_it_is(sql: str) -> None:
    names = sql.removeprefix("SELECT ").partition(" FROM")[0].split(", ")
    assert [c.name for c in bound(sql).columns] == names


# ---------------------------------------------------------------- digests


def test_equal_queries_are_one_computation_and_others_are_not() -> None:
    same = ["SELECT auction, count(*) FROM bids GROUP BY auction", "select AUCTION, COUNT(*) from BIDS b group by 1"]
    one, two = (plan(sql) for sql in same)
    assert one.source == two.source and one.source.digest == two.source.digest  # type: ignore[union-attr]
    other = [
        "SELECT auction, count(note) FROM bids GROUP BY auction",
        "SELECT note, count(*) FROM bids GROUP BY note",
        "SELECT auction, count(*) FROM bids WHERE price > 1 GROUP BY auction",
        "SELECT auction, count(*) FROM high GROUP BY auction",
        "SELECT auction, count(*) FROM clicks GROUP BY auction",
    ]
    digests = {plan(sql).digest for sql in [*same[:1], *other]}
    assert len(digests) == 1 + len(other)


def test_a_digest_is_the_same_in_every_process() -> None:
    """Images file the state of an operator under its digest."""
    digests = [plan(sql).digest for sql in ("SELECT * FROM totals", "SELECT note FROM bids WHERE price > 1")]
    assert digests == ["2cfe565f9b33a68479f71f9e", "ed40db4d5e243295aee8b37b"]


def test_a_relation_made_anew_under_its_name_is_another_computation() -> None:
    before = catalog_of("CREATE STREAM s (v INTEGER)")
    statement = parse_statement("CREATE STREAM s (v INTEGER)")
    assert isinstance(statement, CreateRelation)
    dropped = before.remove("s")
    after = dropped.add(define(statement, dropped))
    assert plan("SELECT v FROM s", before).digest != plan("SELECT v FROM s", after).digest


def test_queries_share_what_they_have_in_common() -> None:
    catalog = shop()
    one = plan("SELECT auction, top FROM totals WHERE top > 5", catalog)
    two = plan("SELECT n, count(*) FROM totals GROUP BY n", catalog)
    assert set(walk_plan(one)) & set(walk_plan(two))


# ---------------------------------------------------------------- parts that are shared


def outer_joins(count: int) -> Plan:
    """A plan that is twice as large as a tree with each join more: both sides of an outer join stand in it twice."""
    joins = " ".join(f"LEFT JOIN people p{i} ON p{i}.id = n.person AND p{i}.age > {i}" for i in range(count))
    return plan(f"SELECT n.text, {', '.join(f'p{i}.name' for i in range(count))} FROM notes n {joins}")


def objects(plan: Plan) -> dict[int, Plan]:
    """All the objects that a plan is made of, equal or not."""
    found, waiting = {}, [plan]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += node.inputs
    return found


def operators(document: dict[str, Any]) -> int:
    return 1 + sum(map(operators, document["inputs"]))


@pytest.mark.parametrize(
    "size",
    [
        lambda plan: len(objects(plan)),
        lambda plan: len(list(walk_plan(plan))),
        lambda plan: len(explain_plan(plan).splitlines()),
        lambda plan: operators(plan_document(plan)),
    ],
    ids=["objects", "nodes that are walked", "lines of EXPLAIN", "operators of its JSON"],
)
def test_each_outer_join_adds_as_much_to_a_plan_as_the_one_before(size: Callable[[Plan], int]) -> None:
    one, two, three = (size(outer_joins(count)) for count in (10, 11, 12))
    assert two - one == three - two <= 8


def test_plans_with_many_outer_joins_are_compared_without_going_through_them_as_trees() -> None:
    one, two = outer_joins(40), outer_joins(40)
    assert one == two and len({one, two}) == 1
    assert one != outer_joins(39)


def test_what_is_told_of_twice_says_so_and_has_no_inputs_again() -> None:
    (document,) = plan_document(outer_joins(1))["inputs"]
    joined, side = document["inputs"]
    assert "repeated" not in joined and side["repeated"] and side["inputs"] == []
    assert explain_plan(outer_joins(1)).splitlines()[-1].endswith("[as above]")


# ---------------------------------------------------------------- stored relations, output columns


def test_who_only_watches_reads_what_queries_stored() -> None:
    assert explain_plan(bound("SELECT n FROM totals", stored=True).plan).endswith(
        "Changelog totals #5 [auction, n, top]"
    )
    assert "StreamSource high #6" in explain_plan(bound("SELECT price FROM high", stored=True).plan)
    assert "bids" not in explain_plan(bound("SELECT price FROM high", stored=True).plan)


@pytest.mark.parametrize(
    ("items", "columns"),
    [
        ("auction, auction, auction AS x", ["auction INTEGER", "auction_1 INTEGER", "x INTEGER"]),
        ("price * 2, price", ["price * 2 DECIMAL(18,2)", "price DECIMAL(9,2)"]),
        ("CAST(price AS INTEGER), upper(note)", ["CAST(price AS INTEGER) INTEGER", "upper(note) VARCHAR"]),
        ("b.*", [
            "auction INTEGER", "price DECIMAL(9,2)", "note VARCHAR", "at TIMESTAMP", "tags VARCHAR[]",
            "place STRUCT(city VARCHAR, zip INTEGER)",
        ]),
        ("ROWOFFSET AS o, ROWTIME AS t, ROWPARTITION AS p", ["o BIGINT", "t TIMESTAMP", "p INTEGER"]),
        ("1 = 1 AS yes, [1] AS list", ["yes BOOLEAN", "list INTEGER[]"]),
    ],
)  # fmt: skip
def test_output_columns_have_names_of_their_own_and_duckdb_types(items: str, columns: list[str]) -> None:
    assert [f"{c.name} {c.type}" for c in bound(f"SELECT {items} FROM bids b").columns] == columns


def test_a_windowed_table_begins_with_its_bounds_unless_they_are_named() -> None:
    catalog = shop()
    window = "FROM bids WINDOW TUMBLING (SIZE 1 DAY) GROUP BY auction"
    for items, names in [
        ("auction, count(*) AS n", ["WINDOWSTART", "WINDOWEND", "auction", "n"]),
        ("WINDOWSTART AS start, auction", ["WINDOWEND", "start", "auction"]),
        ("auction, WINDOWEND, WINDOWSTART", ["auction", "WINDOWEND", "WINDOWSTART"]),
    ]:
        statement = parse_statement(f"CREATE TABLE w AS SELECT {items} {window}")
        assert isinstance(statement, CreateRelation)
        assert [c.name for c in define(statement, catalog).columns] == names


def test_definitions_are_kept_as_text_that_defines_the_same_again() -> None:
    catalog = shop()
    again = catalog_of(";".join(r.definition for r in catalog.ordered()))
    assert again == catalog
    assert len(catalog.ordered()) == DEFINITIONS.count("CREATE")
