"""The rewrites of plans: what each does, and that a plan gives the same rows with it and without it."""

from __future__ import annotations

from collections import Counter

import pytest

from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.parser import parse_statement
from headwater.parser.syntax import Identifier, Query
from headwater.planner import Plan, bind_query, walk_plan
from headwater.planner.fold_constants import folded
from headwater.planner.logical import Expression, Filter, Join, Source, StreamSource, StreamTime, WindowAssign
from headwater.planner.optimize import REWRITES
from tests.executor.differential import Case, canonical
from tests.executor.generator import Query as OracleQuery
from tests.executor.oracle import differences
from tests.planner.shop import shop

NAMES = frozenset(rewrite.name for rewrite in REWRITES)
CATALOG = shop()


def plan(sql: str, without: frozenset[str] = frozenset()) -> Plan:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, CATALOG, without=without).plan


def conditions(node: Plan) -> list[tuple[str, str]]:
    """Each condition of a plan, with what stands directly below it."""
    return [(f.predicate.sql, type(f.source).__name__) for f in walk_plan(node) if isinstance(f, Filter)]


# ---------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a > 60 * 60", "a > CAST('3600' AS INTEGER)"),
        ("a > 1 + 2 * 3", "a > CAST('7' AS INTEGER)"),
        ("a = upper('x')", "a = CAST('X' AS VARCHAR)"),
        ("t > DATE '2020-01-01' + INTERVAL 1 DAY", "t > CAST('2020-01-02 00:00:00' AS TIMESTAMP)"),
        ("d > 0.1 + 0.2", "d > CAST('0.3' AS DECIMAL(3,1))"),
        ("a > 1 AND 1 = 1", "a > 1"),
        ("1 = 2 AND a > 1", "false"),
        ("a > 1 OR 1 = 1", "true"),
        ("a > 1 OR 2 < 1", "a > 1"),
        ("a > 1 OR (b AND 1 = 2)", "a > 1"),
        ("a = -1", "a = -1"),
        ("a = 5", "a = 5"),
        ("a > CAST('x' AS INTEGER) + 1", "a > CAST('x' AS INTEGER) + 1"),
        ("a > [1, 2][1] + 0", "a > CAST('1' AS INTEGER)"),
        ("a IS NULL", "a IS NULL"),
    ],
)
def test_what_is_computed_from_constants_is_computed_once(before: str, after: str) -> None:
    assert folded(Expression(before, "BOOLEAN", ("a",))).sql.replace('"', "").lower() == after.lower()


def test_a_condition_that_is_always_true_is_dropped() -> None:
    assert conditions(plan("SELECT auction FROM bids WHERE 1 = 1 AND 'a' < 'b'")) == []


def test_conditions_that_say_the_same_of_constants_are_one_computation() -> None:
    one, two = (plan(f"SELECT auction FROM bids WHERE auction > {n}") for n in ("2 * 30", "50 + 10"))
    assert one.digest == two.digest


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a FROM (SELECT auction AS a, price FROM bids) q WHERE a > 1", [('"auction" > 1', "StreamSource")]),
        ("SELECT p.name FROM people p JOIN notes n ON p.id = n.person WHERE p.age > 17 AND n.text <> ''",
         [('"age" > 17', "TableSource"), ("\"text\" <> ''", "TableSource")]),
        ("SELECT p.name FROM people p JOIN notes n ON p.id = n.person WHERE p.name <> n.text",
         [('"p.name" <> "n.text"', "Join")]),
        ("SELECT a FROM (SELECT auction AS a, count(*) AS n FROM bids GROUP BY auction) q WHERE a > 1 AND n > 2",
         [('"count(*)" > 2', "Aggregate"), ('"auction" > 1', "StreamSource")]),
        ("SELECT a FROM (SELECT auction + 1 AS a FROM bids) q WHERE a > 1", [('"a" > 1', "Project")]),
        ("SELECT DISTINCT auction FROM bids", []),
        ("SELECT a FROM (SELECT DISTINCT auction AS a FROM bids) q WHERE a = 5", [('"auction" = 5', "StreamSource")]),
    ],
)  # fmt: skip
def test_a_condition_moves_as_near_to_the_log_as_it_goes(sql: str, expected: list[tuple[str, str]]) -> None:
    assert conditions(plan(sql)) == expected


def test_a_condition_on_a_group_of_floats_stays_above_it() -> None:
    """0.0 and -0.0 are one group: a condition that tells them apart sees the group, not its rows."""
    inner = "SELECT CAST(price AS DOUBLE) AS d, count(*) AS n FROM bids GROUP BY CAST(price AS DOUBLE)"
    assert conditions(plan(f"SELECT n FROM ({inner}) q WHERE CAST(d AS VARCHAR) = '0.0'"))[0][1] == "Aggregate"


def test_a_condition_of_having_on_a_key_moves_below_windows_but_not_below_stream_time() -> None:
    sql = "SELECT auction, count(*) FROM bids WINDOW TUMBLING (SIZE 1 DAY) GROUP BY auction HAVING auction > 1"
    kinds = [type(node) for node in walk_plan(plan(sql))]
    assert kinds.index(WindowAssign) < kinds.index(Filter) < kinds.index(StreamTime)


def test_a_condition_on_another_table_does_not_change_what_that_table_computes_already() -> None:
    """The operators of `totals` run: a second GROUP BY over fewer rows would be one more to keep."""
    shared = CATALOG.find(Identifier("totals")).content()
    for sql in ("SELECT top FROM totals WHERE auction = 7", "SELECT t.top FROM totals t JOIN people p ON t.n = p.id"):
        assert shared in set(walk_plan(plan(sql)))


# ---------------------------------------------------------------- joins


@pytest.mark.parametrize(
    ("sql", "keys", "rest"),
    [
        ("SELECT p.name FROM people p, notes n WHERE p.id = n.person", [("p.id", "n.person")], []),
        ("SELECT p.name FROM people p CROSS JOIN notes n WHERE n.person = p.id AND p.name <> n.text",
         [("p.id", "n.person")], ['"p.name" <> "n.text"']),
        ("SELECT p.name FROM people p JOIN notes n ON p.id = n.person WHERE p.name = n.text",
         [("p.id", "n.person"), ("p.name", "n.text")], []),
        ("SELECT p.name FROM people p, notes n WHERE p.id + 1 = n.person",
         [('$l0."p.id" + 1', "n.person")], []),
        ("SELECT p.name FROM people p, notes n WHERE p.age = n.person",
         [('$l0.CAST("p.age" AS INTEGER)', "n.person")], []),
        ("SELECT p.name FROM people p, notes n WHERE p.name = n.person", [], ['"p.name" = "n.person"']),
        ("SELECT p.name FROM people p, notes n WHERE p.id > n.person", [], ['"p.id" > "n.person"']),
        ("SELECT 1 FROM people p, notes n WHERE (p.id = n.person AND p.age > 5) OR (p.id = n.person AND p.age < 2)",
         [("p.id", "n.person")], ['"age" > 5 OR "age" < 2']),
        ("SELECT p.name FROM people p, notes n WHERE p.id = n.person OR p.age > 5",
         [], ['"p.id" = "n.person" OR "p.age" > 5']),
    ],
)  # fmt: skip
def test_an_equality_between_the_sides_becomes_a_key(sql: str, keys: list[tuple[str, str]], rest: list[str]) -> None:
    found = plan(sql)
    (join,) = {node for node in walk_plan(found) if isinstance(node, Join)}
    assert list(zip(join.left_keys, join.right_keys, strict=True)) == keys
    assert [sql for sql, _ in conditions(found)] == rest


def joined(sql: str) -> list[tuple[str, ...]]:
    """The tables below each join, the innermost join first."""
    joins = [node for node in walk_plan(plan(sql)) if isinstance(node, Join)]
    return [tuple(leaf.name for leaf in walk_plan(join) if isinstance(leaf, Source)) for join in reversed(joins)]


def test_joins_are_ordered_so_that_each_has_a_key() -> None:
    sql = "SELECT p.name FROM people p, totals t, notes n WHERE p.id = n.person AND n.person = t.auction"
    assert joined(sql) == [("people", "notes"), ("people", "notes", "bids")]
    assert all(node.left_keys for node in walk_plan(plan(sql)) if isinstance(node, Join))


def test_an_order_that_connects_stays_as_it_was_written() -> None:
    sql = "SELECT p.name FROM people p, notes n, totals t WHERE p.id = n.person AND p.id = t.auction"
    assert joined(sql) == [("people", "notes"), ("people", "notes", "bids")]


def test_an_input_that_nothing_connects_is_paired_with_every_row() -> None:
    sql = "SELECT p.name FROM people p, totals t, notes n WHERE p.id = n.person"
    assert joined(sql) == [("people", "notes"), ("people", "notes", "bids")]
    assert [bool(node.left_keys) for node in walk_plan(plan(sql)) if isinstance(node, Join)] == [False, True]


# ---------------------------------------------------------------- columns


def test_only_the_columns_that_are_needed_are_read() -> None:
    sql = "SELECT q.n FROM (SELECT auction, note, count(*) AS n FROM bids GROUP BY auction, note) q"
    read = {"prune columns": ["auction", "note", "price"], "": ["auction", "note"]}
    (source,) = {node for node in walk_plan(plan(sql)) if isinstance(node, StreamSource)}
    assert list(source.names) == read[""]
    (source,) = {node for node in walk_plan(plan(sql, frozenset({"prune columns"}))) if isinstance(node, StreamSource)}
    assert set(source.names) > set(read["prune columns"])


# ---------------------------------------------------------------- all of them


def test_a_plan_that_was_rewritten_stays_as_it_is() -> None:
    shared = frozenset({CATALOG.find(Identifier("totals")).content()})
    for sql in (
        "SELECT t.top FROM totals t, people p WHERE t.auction = p.id AND p.age > 1 + 1",
        "SELECT * FROM totals",
    ):
        again = plan(sql)
        for rewrite in REWRITES:
            again = rewrite.apply(again, shared)
        assert again == plan(sql)


def compare(case: Case) -> int:
    """Holds every query of a case against the oracle, with all rewrites off and with each; gives how many were held."""
    compared = 0
    for query in case.made.values():
        for without in [NAMES, *(frozenset({name}) for name in NAMES)]:
            statement = parse_statement(query.sql)
            assert isinstance(statement, Query)
            bound = bind_query(statement, case.db.pipeline.catalog, as_table=True, without=without)
            circuit = Circuit([bound.plan], keep=False)
            rows: Counter[tuple[object, ...]] = Counter()
            for delta in circuit.advance(case.db.log, Cut(case.db.version))[bound.plan]:
                values = zip(*(delta.rows.column(c.name).to_pylist() for c in bound.columns), strict=True)
                for row, weight in zip(values, delta.weight_array.tolist(), strict=True):
                    rows[next(iter(canonical([row])))] += weight
            expected = case.oracle.answer(query.oracle)
            assert not any(differences(+rows, expected, query.rounding)), (sorted(without), query.sql)
            compared += 1
    return compared


@pytest.mark.parametrize("seed", range(9000, 9012))
def test_random_queries_give_the_same_rows_with_each_rewrite_and_without_it(seed: int) -> None:
    case = Case(seed)
    for _ in range(4):
        case.step()
    assert compare(case) == len(case.made) * (1 + len(NAMES))


# What random queries seldom have: conditions far above what they speak about, and equalities in WHERE.
FAR = [
    "SELECT c.id, b.z FROM t c, b WHERE c.id = b.x AND c.w > 1 - 3 AND b.z IS NOT NULL",
    "SELECT c.id, b.z FROM t c CROSS JOIN b WHERE c.id + 1 = b.x OR 1 = 2",
    "SELECT c.name, count(*) AS n FROM t c, b WHERE c.w = b.z AND c.name = b.y GROUP BY c.name HAVING c.name <> 'x'",
    "SELECT q.k, q.n FROM (SELECT k, count(*) AS n FROM s GROUP BY k) q WHERE q.k % 2 = 0 AND q.n > 2 AND 'a' < 'b'",
    "SELECT q.d, q.n FROM (SELECT d, count(*) AS n FROM s GROUP BY d) q WHERE q.d = 0 OR q.d > 1",
    "SELECT q.k, e.name FROM (SELECT k, max(v) AS top FROM s GROUP BY k) q, t e WHERE q.k = e.id AND q.top > e.w",
    "SELECT q.a FROM (SELECT DISTINCT g AS a, k FROM s) q WHERE q.a LIKE '%a%' AND q.k IS NOT NULL",
    "SELECT c.id, e.id AS other FROM t c, t e WHERE c.w = e.w AND c.id < e.id",
    "SELECT c.id, e.w, b.y FROM t c, t e, b WHERE c.id = b.x AND b.z = e.w AND e.w > 0",
    "SELECT c.id, b.y FROM t c, b WHERE (c.id = b.x AND b.z > 1) OR (c.id = b.x AND c.w IS NULL AND b.y = 'a')",
]


@pytest.mark.parametrize("seed", range(9100, 9104))
def test_conditions_that_move_far_give_the_same_rows(seed: int) -> None:
    case = Case(seed, given=[OracleQuery(sql, sql) for sql in FAR])
    for _ in range(4):
        case.step()
    assert compare(case) == len(FAR) * (1 + len(NAMES))
