"""WITH RECURSIVE as a table that is kept: rows that lose their base go, in circles too; a step costs what changes."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headwater import Database, QueryFailed, connect
from headwater.executor.circuit import Circuit
from headwater.executor.recursion import Fixpoint
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import Plan, bind_query
from headwater.planner.logical import Recursion
from headwater.planner.optimize import REWRITES
from headwater.storage import SimulatedDisk
from headwater.values import Delta
from tests.planner.shop import catalog_of

CATALOG = catalog_of("""
    CREATE TABLE edges (a BIGINT, b BIGINT);
    CREATE TABLE entries (a BIGINT);
    CREATE STREAM links (a BIGINT, b BIGINT);
""")
REACHED = """
    WITH RECURSIVE r(a) AS (SELECT a FROM entries UNION SELECT e.b FROM r JOIN edges e ON r.a = e.a) SELECT a FROM r"""
WAYS = """
    WITH RECURSIVE r(a, n) AS (SELECT a, 0 FROM entries UNION ALL SELECT e.b, n + 1 FROM r, edges e WHERE r.a = e.a)
    SELECT a, n FROM r"""
CLOSURE = """
    WITH RECURSIVE r(a, b) AS (SELECT a, b FROM edges UNION SELECT r.a, e.b FROM r JOIN edges e ON r.b = e.a)
    SELECT a, b FROM r"""
SCHEMA = {
    "edges": pa.schema([("a", pa.int64()), ("b", pa.int64())]),
    "entries": pa.schema([("a", pa.int64())]),
}

Edge = tuple[int, int]


def plan(sql: str) -> Plan:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, CATALOG).plan


class Kept:
    """A query over edges and entries, kept in a circuit; `step` changes these and checks nothing."""

    def __init__(self, sql: str) -> None:
        self.circuit = Circuit([plan(sql)])

    def step(self, edges: list[tuple[Edge, int]] | None = None, entries: list[tuple[int, int]] | None = None) -> int:
        """Applies changes with their weights; gives how many rows of the result changed."""
        given = {
            "edges": [(edge, weight) for edge, weight in edges or []],
            "entries": [((entry,), weight) for entry, weight in entries or []],
        }
        deltas = {leaf: _delta(SCHEMA[leaf.name], given[leaf.name]) for leaf in self.circuit.leaves}
        return len(self.circuit.step(deltas)[self.root])

    @property
    def root(self) -> Plan:
        return self.circuit.roots[0]

    @property
    def rows(self) -> Counter[tuple[Any, ...]]:
        return Counter(tuple(row.values()) for row in self.circuit.rows(self.root).to_pylist())

    @property
    def fixpoint(self) -> Fixpoint:
        (found,) = [o for _, o in self.circuit.operators_of(self.root) if isinstance(o, Fixpoint)]
        return found


def _delta(schema: pa.Schema, changes: list[tuple[tuple[int, ...], int]]) -> Delta:
    columns = zip(*(row for row, _ in changes), strict=True) if changes else ([] for _ in schema)
    batch = pa.RecordBatch.from_arrays([pa.array(c, pa.int64()) for c in columns], schema=schema)
    return Delta(batch, np.array([weight for _, weight in changes], dtype=np.int64))


def ring(nodes: int) -> list[tuple[Edge, int]]:
    return [((i, (i + 1) % nodes), 1) for i in range(nodes)]


def reached(edges: Counter[Edge], entries: Counter[int]) -> set[int]:
    found, waiting = set[int](), list(entries)
    while waiting:
        if (node := waiting.pop()) not in found:
            found.add(node)
            waiting += [b for a, b in edges if a == node]
    return found


# ---------------------------------------------------------------- circles


def test_a_ring_whose_entry_goes_is_gone() -> None:
    kept = Kept(REACHED)
    kept.step(ring(50), [(7, 1)])
    assert kept.rows == Counter((i,) for i in range(50))
    kept.step(entries=[(7, -1)])
    assert not kept.rows


def test_a_ring_whose_entry_edge_goes_is_gone() -> None:
    kept = Kept(REACHED)
    kept.step([*ring(50), ((100, 3), 1)], [(100, 1)])
    assert len(kept.rows) == 51
    kept.step([((100, 3), -1)])
    assert kept.rows == Counter([(100,)])


def test_a_ring_with_two_entries_lives_until_both_are_gone() -> None:
    kept = Kept(REACHED)
    kept.step([*ring(50), ((100, 3), 1), ((100, 30), 1)], [(100, 1)])
    assert kept.step([((100, 3), -1)]) == 0
    assert len(kept.rows) == 51
    kept.step([((100, 30), -1)])
    assert kept.rows == Counter([(100,)])


def test_rows_stay_when_their_shortest_way_goes_and_a_longer_one_is_left() -> None:
    kept = Kept(REACHED)
    detour = [((0, 10), 1), ((10, 11), 1), ((11, 12), 1), ((12, 2), 1)]
    kept.step([((0, 1), 1), ((1, 2), 1), ((2, 3), 1), ((3, 1), 1), *detour], [(0, 1)])
    assert kept.step([((0, 1), -1)]) == 0  # 1 is reached by 2 and 3 now
    assert kept.step([((12, 2), -1)]) == 3
    assert kept.rows == Counter([(0,), (10,), (11,), (12,)])


def test_nothing_is_held_of_rows_that_are_gone() -> None:
    kept = Kept(CLOSURE)
    kept.step(ring(12))
    assert len(kept.rows) == 144
    kept.step([(edge, -1) for edge, _ in ring(12)])
    assert not kept.rows
    kept.step([((1, 2), 1)])
    assert kept.rows == Counter([(1, 2)])


# ---------------------------------------------------------------- UNION ALL


def test_with_union_all_a_row_is_there_once_for_each_way() -> None:
    kept = Kept(WAYS)
    kept.step([((0, 1), 2), ((0, 2), 1), ((1, 3), 1), ((2, 3), 1)], [(0, 1)])
    assert kept.rows == Counter({(0, 0): 1, (1, 1): 2, (2, 1): 1, (3, 2): 3})
    kept.step([((0, 1), -1), ((1, 3), 1)])
    assert kept.rows == Counter({(0, 0): 1, (1, 1): 1, (2, 1): 1, (3, 2): 3})
    kept.step(entries=[(0, -1)])
    assert not kept.rows


def test_the_same_change_on_two_levels_may_be_an_end() -> None:
    kept = Kept(WAYS.replace("a, n", "a").replace("a, 0", "a").replace("e.b, n + 1", "e.b"))
    kept.step([((0, 1), 1), ((1, 2), 1), ((0, 2), 1)], [(0, 1)])
    assert kept.rows == Counter({(0,): 1, (1,): 1, (2,): 2})
    kept.step([((0, 2), -1), ((1, 2), -1)])  # 2 goes from level 1, and from level 2
    assert kept.rows == Counter([(0,), (1,)])


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_edges_gives_all_ways(seed: int) -> None:
    random = Random(seed)
    kept = Kept(WAYS.replace("a, n", "a").replace("a, 0", "a").replace("e.b, n + 1", "e.b"))
    kept.step(entries=[(0, 1)])
    edges = Counter[Edge]()
    for _ in range(30):
        changes = Counter[Edge]()
        for _ in range(random.choice([0, 1, 2, 5])):
            a, b = sorted(random.sample(range(8), 2))
            changes[a, b] += 1
        for edge in random.sample(sorted(edges), min(len(edges), random.choice([0, 1, 2, 5]))):
            changes[edge] -= random.randint(1, edges[edge])
        edges.update(changes)
        edges = +edges
        kept.step([change for change in changes.items() if change[1]])
        ways = Counter({0: 1})
        for a, b in sorted(edges):
            ways[b] += ways[a] * edges[a, b]
        assert kept.rows == Counter({(node,): count for node, count in ways.items() if count})


@pytest.mark.parametrize("circle", [ring(3), [((0, 1), 1), ((1, 0), 1), ((0, 2), 1), ((2, 0), 1)]])
def test_union_all_that_has_no_end_says_so(circle: list[tuple[Edge, int]]) -> None:
    endless = "WITH RECURSIVE r AS (SELECT a FROM entries UNION ALL SELECT e.b FROM r, edges e WHERE r.a = e.a) FROM r"
    kept = Kept(endless.replace(") FROM r", ") SELECT * FROM r"))
    with pytest.raises(QueryFailed, match='"r" did not come to an end .*\nhint: write UNION instead of UNION ALL'):
        kept.step(circle, [(0, 1)])


def test_whether_it_has_an_end_does_not_depend_on_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.executor.recursion.LEVELS_MAX", 20)
    for sql in (REACHED, WAYS):
        kept = Kept(sql)
        kept.step([((i, i + 1), 1) for i in range(10)], [(0, 1)])
        kept.step([((i, i + 1), 1) for i in range(10, 19)])
        with pytest.raises(QueryFailed):
            kept.step([((19, 20), 1)])


# ---------------------------------------------------------------- cost, and any history


def test_a_step_costs_in_proportion_to_what_changes() -> None:
    kept = Kept(REACHED)
    kept.step([((i, i + 1), 1) for i in range(300)], [(0, 1)])
    body = kept.fixpoint.body
    work = {node: done for node, _ in body.operators_of(body.roots[0]) if (done := body.work_of(node)) is not None}
    assert work
    before = {node: done.rows_in for node, done in work.items()}
    kept.step([((290, 5000), 1), ((5000, 5001), 1)])
    kept.step([((290, 5000), -1)])
    assert all(done.rows_in - before[node] < 20 for node, done in work.items())


@pytest.mark.parametrize("seed", range(5))
def test_any_history_of_edges_gives_what_is_reached(seed: int) -> None:
    random = Random(seed)
    nodes = random.choice([4, 8, 20])
    kept, closed = Kept(REACHED), Kept(CLOSURE)
    edges, entries = Counter[Edge](), Counter[int]()
    for _ in range(30):
        changes = Counter[Edge]()
        for _ in range(random.choice([0, 1, 1, 2, 6])):
            changes[random.randrange(nodes), random.randrange(nodes)] += 1
        for edge in random.sample(sorted(edges), min(len(edges), random.choice([0, 1, 1, 3, 6]))):
            changes[edge] -= random.randint(1, edges[edge])
        turned = Counter({random.randrange(nodes): 1}) if random.random() < 0.3 else Counter[int]()
        if entries and random.random() < 0.3:
            turned[random.choice(sorted(entries))] -= 1
        edges.update(changes)
        entries.update(turned)
        edges, entries = +edges, +entries
        kept.step([c for c in changes.items() if c[1]], [c for c in turned.items() if c[1]])
        closed.step([c for c in changes.items() if c[1]])
        assert kept.rows == Counter((node,) for node in reached(edges, entries))
        ways = {(a, b) for a in range(nodes) for b in reached(edges, Counter(b for x, b in edges if x == a))}
        assert closed.rows == Counter(ways)


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("rewrite", [rewrite.name for rewrite in REWRITES])
def test_a_recursion_is_the_same_without_a_rewrite(rewrite: str) -> None:
    query = parse_statement(WAYS + " WHERE n < 3 AND a > 0")
    assert isinstance(query, Query)
    kept = Kept(WAYS)
    kept.circuit = Circuit([bind_query(query, CATALOG, without=frozenset({rewrite})).plan])
    kept.step([((0, 1), 1), ((1, 2), 1), ((1, 3), 1), ((3, 4), 1)], [(0, 1)])
    assert kept.rows == Counter([(1, 1), (2, 2), (3, 2)])


def test_a_recursion_over_streams_only_grows() -> None:
    over_streams = CLOSURE.replace("edges", "links")
    assert plan(over_streams).append_only
    assert not plan(CLOSURE).append_only
    anti = over_streams.replace("r.b = e.a)", "r.b = e.a WHERE r.b NOT IN (SELECT a FROM links))")
    assert not plan(anti).append_only


def test_the_columns_of_a_recursion_are_those_of_its_first_part() -> None:
    small = "SELECT a::SMALLINT AS y FROM edges UNION SELECT x + 1000 FROM r WHERE x < 9"
    sql = f"WITH RECURSIVE r(x) AS ({small}) SELECT * FROM r"
    assert [(c.name, c.type) for c in plan(sql).columns] == [("x", "SMALLINT")]
    twice = "WITH RECURSIVE r AS (SELECT a, a, b FROM edges UNION SELECT * FROM r) SELECT * FROM r"
    assert len({c.name for c in plan(twice).columns}) == 3


def test_a_query_that_does_not_read_itself_is_an_ordinary_one() -> None:
    sql = "WITH RECURSIVE r AS (SELECT a FROM edges UNION SELECT a FROM entries) SELECT * FROM r"
    assert plan(sql) == plan(sql.replace("RECURSIVE ", ""))
    inner = "WITH RECURSIVE r AS (SELECT a FROM (WITH r AS (SELECT a FROM edges) SELECT a FROM r) q) SELECT * FROM r"
    assert not isinstance(plan(inner), Recursion)


# ---------------------------------------------------------------- in a database


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk(seed=1)


def opened(disk: SimulatedDisk) -> Database:
    db = Database(disk, "db", None, background=False)
    return db


def staff(db: Database) -> list[tuple[Any, ...]]:
    return sorted(db.sql("SELECT name, depth, path FROM staff").fetchall())


STAFF = """
    CREATE TABLE people (name VARCHAR PRIMARY KEY, boss VARCHAR);
    CREATE TABLE staff AS WITH RECURSIVE below(name, depth, path) AS (
        SELECT name, 0, name FROM people WHERE boss IS NULL
        UNION ALL SELECT p.name, depth + 1, path || '/' || p.name FROM below b JOIN people p ON p.boss = b.name)
      SELECT * FROM below;
    INSERT INTO people VALUES ('ada', NULL), ('bob', 'ada'), ('cyd', 'bob'), ('dan', 'bob');
"""


def test_a_hierarchy_follows_updates_and_is_there_after_a_restart_and_as_it_was(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(STAFF)
        first = staff(db)
        assert first[2:] == [("cyd", 2, "ada/bob/cyd"), ("dan", 2, "ada/bob/dan")]
        version = db.version
        db.execute("UPDATE people SET boss = 'ada' WHERE name = 'dan'; CHECKPOINT")
        db.execute("UPDATE people SET boss = 'dan' WHERE name = 'bob'")
        second = staff(db)
        assert second[1:3] == [("bob", 2, "ada/dan/bob"), ("cyd", 3, "ada/dan/bob/cyd")]
    with opened(disk) as db:
        assert staff(db) == second
        then = db.sql(f"SELECT name, depth, path FROM staff AS OF VERSION {version}").fetchall()
        assert sorted(then) == first
        db.execute("DELETE FROM people WHERE name = 'dan'")
        assert staff(db) == [("ada", 0, "ada")]


def test_a_query_without_an_end_is_not_made() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE edges (a INTEGER, b INTEGER); INSERT INTO edges VALUES (1, 2), (2, 1)")
        endless = "WITH RECURSIVE r AS (SELECT a FROM edges UNION ALL SELECT e.b FROM r, edges e WHERE r.a = e.a)"
        db.settle()
        before = db.version
        with pytest.raises(QueryFailed, match="did not come to an end"):
            db.execute(f"CREATE TABLE r AS {endless} SELECT * FROM r")
        assert db.version == before
        db.execute(f"CREATE TABLE r AS {endless.replace('UNION ALL', 'UNION')} SELECT * FROM r")
        assert sorted(db.sql("SELECT * FROM r").fetchall()) == [(1,), (2,)]


def test_a_query_that_comes_to_have_no_end_stops_alone() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE edges (a INTEGER, b INTEGER); INSERT INTO edges VALUES (1, 2)")
        db.execute("CREATE TABLE n AS SELECT count(*) AS n FROM edges")
        endless = "WITH RECURSIVE r AS (SELECT a FROM edges UNION ALL SELECT e.b FROM r, edges e WHERE r.a = e.a)"
        db.execute(f"CREATE TABLE r AS {endless} SELECT * FROM r")
        db.execute("INSERT INTO edges VALUES (2, 1)")
        assert db.sql("SELECT n FROM n").fetchall() == [(2,)]
        with pytest.raises(QueryFailed, match="did not come to an end"):
            db.sql("SELECT * FROM r")


def test_a_recursion_stands_wherever_a_query_does() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE edges (a INTEGER, b INTEGER); INSERT INTO edges VALUES (1, 2), (2, 3), (5, 6)")
        closure = "r AS (SELECT a, b FROM edges UNION SELECT r.a, e.b FROM r JOIN edges e ON r.b = e.a)"
        db.execute(f"CREATE VIEW ways AS WITH RECURSIVE {closure} SELECT * FROM r")
        db.execute("CREATE TABLE far AS SELECT a, count(*) AS n FROM ways GROUP BY a")
        db.execute("CREATE TABLE pairs AS SELECT p.a, q.b FROM ways p JOIN ways q ON p.b = q.a")
        db.execute("""
            CREATE TABLE chosen AS WITH RECURSIVE r AS (
                SELECT min(a) AS a FROM edges UNION SELECT w.b FROM r JOIN (SELECT * FROM ways) w ON w.a = r.a)
              SELECT * FROM r""")
        assert sorted(db.sql("SELECT * FROM far").fetchall()) == [(1, 2), (2, 1), (5, 1)]
        db.execute("INSERT INTO edges VALUES (3, 5)")
        assert sorted(db.sql("SELECT * FROM far").fetchall()) == [(1, 4), (2, 3), (3, 2), (5, 1)]
        assert sorted(db.sql("SELECT * FROM chosen").fetchall()) == [(1,), (2,), (3,), (5,), (6,)]
        db.execute("DELETE FROM edges WHERE a = 2")
        assert db.sql("SELECT * FROM pairs").fetchall() == [(3, 6)]
        assert sorted(db.sql("SELECT * FROM chosen").fetchall()) == [(1,), (2,)]
        db.execute(f"CREATE OR REPLACE TABLE far AS WITH RECURSIVE {closure} SELECT a, max(b) AS b FROM r GROUP BY a")
        assert sorted(db.sql("SELECT * FROM far").fetchall()) == [(1, 2), (3, 6), (5, 6)]


def test_a_recursion_is_watched() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE edges (a INTEGER, b INTEGER); INSERT INTO edges VALUES (1, 2)")
        watched = db.subscribe("""
            WITH RECURSIVE r AS (SELECT 1 AS a FROM edges UNION SELECT e.b FROM r JOIN edges e ON r.a = e.a)
            SELECT * FROM r EMIT CHANGES""")
        seen = [(change.op, *change.row) for change in watched.poll(0) or ()]
        assert sorted(seen) == [("+", 1), ("+", 2)]
        db.execute("UPDATE edges SET b = 3")
        db.settle()
        assert sorted((change.op, *change.row) for change in watched.poll(0) or ()) == [("+", 3), ("-", 2)]


def test_rows_of_a_recursive_term_that_fail_are_left_out_and_counted() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE names (a INTEGER, name VARCHAR)")
        db.execute("INSERT INTO names VALUES (1, '2'), (2, 'x'), (2, '3')")
        db.execute("""
            CREATE TABLE read AS WITH RECURSIVE r AS (
                SELECT min(a) AS a FROM names UNION SELECT CAST(n.name AS INTEGER) FROM r JOIN names n ON n.a = r.a)
              SELECT * FROM r""")
        assert sorted(db.sql("SELECT * FROM read").fetchall()) == [(1,), (2,), (3,)]
        (facts,) = db.sql("SHOW QUERIES").fetchall()
        assert facts[6] == 1


def test_streams_are_read_whole_in_a_recursive_term() -> None:
    with connect(background=False) as db:
        db.execute("CREATE TABLE entries (a INTEGER PRIMARY KEY); CREATE STREAM links (a INTEGER KEY, b INTEGER)")
        db.execute("""
            CREATE TABLE reached AS WITH RECURSIVE r AS (
                SELECT a FROM entries UNION SELECT l.b FROM r JOIN entries e ON e.a >= 0 JOIN links l ON l.a = r.a)
              SELECT * FROM r""")
        db.execute("INSERT INTO links VALUES (1, 2), (2, 3)")
        db.execute("INSERT INTO entries VALUES (1)")
        assert sorted(db.sql("SELECT * FROM reached").fetchall()) == [(1,), (2,), (3,)]
