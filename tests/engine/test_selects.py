"""What SELECT can say in a snapshot query, and that what cannot be run yet is refused and not tried.

selects.golden has queries and their rows; `UPDATE_GOLDEN=1 pytest tests/engine/test_selects.py` writes the rows anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import Database, HeadwaterError, connect
from headwater.errors import Unsupported
from tests.golden import cases, check

PARSER_TESTS = Path(__file__).parent.parent / "parser"
SHOP = """
CREATE STREAM bids (auction BIGINT KEY, price DOUBLE, at TIMESTAMP, tags VARCHAR[]) WITH (timestamp = 'at');
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR, home STRUCT<city VARCHAR, zip VARCHAR>);
INSERT INTO bids VALUES
  (1, 10, '2026-01-01 00:00:00', ['a', 'b']), (2, 20, '2026-01-01 00:00:05', ['c']), (1, 30, '2026-01-01 00:00:12', []);
INSERT INTO people VALUES
  (1, 'Ann', {'city': 'Bonn', 'zip': '1'}), (2, 'Bob', {'city': 'Rome', 'zip': '2'}), (3, 'Cid', NULL);
CREATE TABLE hot AS SELECT auction, count(*) AS n, max(price) AS top FROM bids GROUP BY auction;
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Database]:
    with connect(background=False) as db:
        db.execute(SHOP)
        yield db


def test_a_snapshot_query_may_be_any_select(shop: Database) -> None:
    check(Path(__file__).with_name("selects.golden"), lambda sql: "\n".join(map(repr, shop.sql(sql).fetchall())))


@pytest.mark.parametrize("name", ["define", "ask", "past", "consume", "operate", "expressions", "types"])
def test_whatever_is_read_is_run_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some of it writes files
    with connect(background=False) as db:
        db.execute(SHOP)
        for sql, _ in cases(PARSER_TESTS / f"{name}.golden"):
            for run in (db.sql, db.subscribe):
                with contextlib.suppress(HeadwaterError):
                    run(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM bids PARTITION BY price",
        "CREATE TABLE t (a INT DEFAULT 1)",
        "CREATE TABLE t (a INT, b AS a + 1)",
        "CREATE TABLE t (a TIMESTAMP, WATERMARK FOR a AS a)",
    ],
)
def test_a_clause_that_cannot_be_run_yet_is_refused_at_its_place(shop: Database, sql: str) -> None:
    with pytest.raises(Unsupported, match="is not supported yet") as caught:
        shop.sql(sql)
    assert caught.value.span is not None and caught.value.span.start > 0
