"""ASOF joins, operator by operator: each left row has the nearest right row, whatever comes, goes and is restored."""

from __future__ import annotations

import math
from collections import Counter
from decimal import Decimal
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import SqlError
from headwater.engine.database import Database
from headwater.executor.asof import NearestRows
from headwater.executor.chunks import combined
from headwater.executor.timeline import time_words
from headwater.planner.logical import AsofJoin, Changelog
from headwater.planner.past_nodes import Comparison
from headwater.storage import SimulatedDisk
from headwater.values import Column, Delta

LEFT = Changelog(1, "l", (Column("k", "INTEGER"), Column("t", "BIGINT")), None)
RIGHT = Changelog(2, "r", (Column("rk", "INTEGER"), Column("rt", "BIGINT")), None)
SCHEMAS = tuple(pa.schema([(f"{side}k", pa.int32()), (f"{side}t", pa.int64())]) for side in ("", "r"))
EXTREMES = (-(2**63), 2**63 - 1)

Row = tuple[int | None, int | None]
rows = st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, *range(8), *EXTREMES]))
changes = st.lists(st.tuples(rows, st.integers(-2, 2).filter(bool)), max_size=6)


def possible(content: Counter[Row], wanted: list[tuple[Row, int]]) -> list[tuple[Row, int]]:
    """The wanted changes, but for rows removed that are not there; adds them to `content`."""
    done = []
    for row, weight in wanted:
        if content[row] + weight >= 0:
            content[row] += weight
            done.append((row, weight))
    return done


def delta(wanted: list[tuple[Row, int]], schema: pa.Schema) -> Delta:
    columns = [pa.array([row[i] for row, _ in wanted], type=field.type) for i, field in enumerate(schema)]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return Delta(batch, np.array([weight for _, weight in wanted], dtype=np.int64))


def nearest(left: Counter[Row], right: Counter[Row], node: AsofJoin) -> Counter[tuple[Any, ...]]:
    holds = {">=": lambda a, b: a >= b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b, "<": lambda a, b: a < b}
    found: Counter[tuple[Any, ...]] = Counter()
    for (k, t), weight in (+left).items():
        fitting = [r for r in +right if None not in (k, t, *r) and r[0] == k and holds[node.comparison](t, r[1])]
        if fitting:
            pick = max if node.comparison in (">=", ">") else min
            found[(k, t, *pick(fitting, key=lambda r: r[1] or 0))] += weight
        elif node.outer:
            found[(k, t, None, None)] += weight
    return found


@given(
    steps=st.lists(st.tuples(changes, changes, st.booleans()), max_size=8),
    comparison=st.sampled_from(get_args(Comparison)),
    outer=st.booleans(),
)
def test_each_left_row_has_the_nearest_right_row_after_every_step(
    steps: list[Any], comparison: Comparison, outer: bool
) -> None:
    node = AsofJoin(LEFT, RIGHT, ("k",), ("rk",), "t", "rt", comparison, outer)
    operator = NearestRows(node)
    left: Counter[Row] = Counter()
    right: Counter[Row] = Counter()
    content: Counter[tuple[Any, ...]] = Counter()
    for of_left, of_right, restart in steps:
        given_left, given_right = possible(left, of_left), possible(right, of_right)
        changed = operator.step(delta(given_left, SCHEMAS[0]), delta(given_right, SCHEMAS[1]))
        for row, weight in zip(changed.rows.to_pylist(), changed.weight_array.tolist(), strict=True):
            content[tuple(row.values())] += weight
        assert all(weight >= 0 for weight in content.values())
        assert +content == nearest(left, right, node)
        if restart:
            saved = combined(operator.save())
            operator = NearestRows(node)
            operator.restore(saved)


def test_a_change_touches_no_left_rows_but_those_up_to_the_next_right_row() -> None:
    operator = NearestRows(AsofJoin(LEFT, RIGHT, ("k",), ("rk",), "t", "rt", ">=", outer=True))
    nothing = [delta([], schema) for schema in SCHEMAS]
    operator.step(delta([((1, t), 1) for t in range(100)], SCHEMAS[0]), delta([((1, 0), 1), ((1, 50), 1)], SCHEMAS[1]))
    assert len(operator.step(nothing[0], delta([((1, 48), 1)], SCHEMAS[1]))) == 4, "48 and 49, out and in"
    assert len(operator.step(nothing[0], delta([((1, 50), -1)], SCHEMAS[1]))) == 100
    assert len(operator.step(nothing[0], delta([((2, 3), 1)], SCHEMAS[1]))) == 0


def test_rows_that_change_all_the_time_do_not_stay_in_memory() -> None:
    operator = NearestRows(AsofJoin(LEFT, RIGHT, ("k",), ("rk",), "t", "rt", ">=", outer=False))
    keys = range(200)
    operator.step(delta([((k, 10**6), 1) for k in keys], SCHEMAS[0]), delta([((k, 0), 1) for k in keys], SCHEMAS[1]))
    sizes = []
    for now in range(1, 120):
        moved = [((k, now - 1), -1) for k in keys] + [((k, now), 1) for k in keys]
        operator.step(delta([], SCHEMAS[0]), delta(moved, SCHEMAS[1]))
        sizes.append(operator.nbytes)
    assert max(sizes[60:]) <= 1.2 * max(sizes[:60])
    assert operator.state_rows == 400


@pytest.mark.parametrize(
    ("kind", "ordered"),
    [
        (pa.int8(), [-128, -1, 0, 127]),
        (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
        (pa.float64(), [-math.inf, -1.5, -5e-324, 0.0, 5e-324, 1.5, math.inf, math.nan]),
        (pa.float32(), [-math.inf, -1.5, 0.0, 1.5, math.inf, math.nan]),
        (pa.timestamp("us"), [-(2**62), -1, 0, 2**62]),
        (pa.decimal128(18, 2), [Decimal("-9999999999999999.99"), Decimal("-0.01"), Decimal(0), Decimal("0.01")]),
        (pa.date32(), [-(2**31), -1, 0, 2**31 - 1]),
    ],
)
def test_times_are_ordered_as_their_words(kind: pa.DataType, ordered: list[Any]) -> None:
    words = time_words(pa.array(ordered, type=kind)).tolist()
    assert words == sorted(set(words))


def test_the_words_of_zeros_are_equal_whatever_their_sign() -> None:
    assert len(set(time_words(pa.array([0.0, -0.0])).tolist())) == 1


# ---------------------------------------------------------------- in a database

TRADES = """
CREATE STREAM trades (symbol VARCHAR KEY, price DOUBLE, at TIMESTAMP) WITH (timestamp = 'at');
CREATE TABLE quotes (id BIGINT PRIMARY KEY, symbol VARCHAR, bid DOUBLE, at TIMESTAMP);
INSERT INTO trades VALUES ('a', 10, '2026-01-01 00:00:10'), ('a', 11, '2026-01-01 00:00:20');
INSERT INTO quotes VALUES (1, 'a', 9, '2026-01-01 00:00:05');
CREATE TABLE priced AS SELECT t.symbol, t.price, q.bid FROM trades t ASOF LEFT JOIN quotes q
  ON t.symbol = q.symbol AND t.at >= q.at;
"""


@pytest.fixture
def db() -> Database:
    db = Database(SimulatedDisk(), "db", None, background=False)
    db.execute(TRADES)
    return db


def bids(db: Database) -> list[tuple[Any, ...]]:
    return db.sql("SELECT price, bid FROM priced ORDER BY price").fetchall()


def test_a_nearer_row_takes_the_place_of_the_one_before_and_gives_it_back(db: Database) -> None:
    assert bids(db) == [(10, 9), (11, 9)]
    db.execute("INSERT INTO quotes VALUES (2, 'a', 8, '2026-01-01 00:00:15')")
    assert bids(db) == [(10, 9), (11, 8)]
    db.execute("UPDATE quotes SET at = '2026-01-01 00:00:25' WHERE id = 1")
    assert bids(db) == [(10, None), (11, 8)]
    db.execute("DELETE FROM quotes WHERE id = 2")
    assert bids(db) == [(10, None), (11, None)]


def test_of_rows_with_the_same_time_it_is_always_the_first_by_their_columns(db: Database) -> None:
    for bid in (5, 3, 4):
        db.execute(f"INSERT INTO quotes VALUES ({10 - bid}, 'a', {bid}, '2026-01-01 00:00:10')")
    assert bids(db) == [(10, 3), (11, 3)]
    db.execute("CREATE OR REPLACE TABLE priced AS SELECT t.symbol, t.price, q.bid FROM trades t "
               "ASOF LEFT JOIN quotes q ON t.symbol = q.symbol AND q.at <= t.at")  # fmt: skip
    assert bids(db) == [(10, 3), (11, 3)]


def test_a_condition_between_both_sides_is_refused_with_its_place(db: Database) -> None:
    with pytest.raises(SqlError, match="put it into WHERE"):
        db.execute("CREATE TABLE p AS SELECT t.price FROM trades t ASOF JOIN quotes q "
                   "ON t.symbol = q.symbol AND t.at >= q.at AND t.price <> q.bid")  # fmt: skip
