"""Ledgers with all else that adds records to a stream, or takes them away: each works, or is refused clearly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater
from headwater.engine.database import Database
from headwater.errors import AssertionViolated, CheckViolated, HeadwaterError
from headwater.executor.canonical import record_hashes
from headwater.storage import SimulatedDisk
from headwater.storage.check import Check

LEDGER = "WITH (ledger = true)"


@pytest.fixture
def db() -> Iterator[Database]:
    """A database whose ledgers are all intact at the end, as a check has it."""
    disk = SimulatedDisk()
    with Database(disk, "memory", None, background=False) as db:
        yield db
    assert [found for found in Check(disk, "memory", hashed=record_hashes).findings() if found.is_damage] == []


def size(db: Database, name: str) -> int:
    return sum(row[1] for row in db.sql(f"SHOW ROOT OF {name}"))


def test_a_transaction_enters_all_its_records_into_their_ledgers_at_once_or_none(db: Database) -> None:
    db.execute(f"CREATE STREAM debit (id BIGINT) {LEDGER}; CREATE STREAM credit (id BIGINT) {LEDGER}")
    before = db.log.version
    db.execute("BEGIN; INSERT INTO debit VALUES (1); INSERT INTO credit VALUES (1), (2); INSERT INTO debit VALUES (3)")
    assert db.log.version == before
    db.execute("COMMIT")
    assert (size(db, "debit"), size(db, "credit"), db.log.version) == (2, 2, before + 1)
    root = db.sql("SHOW ROOT OF debit").fetchall()
    db.execute("BEGIN; INSERT INTO debit VALUES (4); ROLLBACK")
    assert db.sql("SHOW ROOT OF debit").fetchall() == root


@pytest.mark.parametrize(
    "sql", ["VERIFY STREAM pay", "SHOW ROOT OF pay", "SHOW PROOF OF pay OFFSET 0", "STATE ROOT OF pay"]
)
def test_what_asks_for_hashes_is_no_part_of_a_transaction(db: Database, sql: str) -> None:
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}; INSERT INTO pay VALUES (1); BEGIN")
    with pytest.raises(HeadwaterError, match="this cannot be part of a transaction"):
        db.execute(sql)
    db.execute("ROLLBACK")


def test_what_a_check_leaves_out_is_not_hashed_and_where_it_goes_can_be_a_ledger(db: Database) -> None:
    db.execute(f"CREATE STREAM bad (id BIGINT) {LEDGER}")
    db.execute(f"CREATE STREAM dropped (id BIGINT) {LEDGER} CHECK (id > 0) ON VIOLATION DROP")
    db.execute(f"CREATE STREAM moved (id BIGINT) {LEDGER} CHECK (id > 0) ON VIOLATION INSERT INTO bad")
    db.execute(f"CREATE STREAM failed (id BIGINT CHECK (id > 0)) {LEDGER}")
    db.execute("INSERT INTO dropped VALUES (1), (-1), (2); INSERT INTO moved VALUES (-1), (1), (-2)")
    with pytest.raises(CheckViolated):
        db.execute("INSERT INTO failed VALUES (1), (-1)")
    assert [size(db, name) for name in ("dropped", "moved", "bad", "failed")] == [2, 1, 2, 0]
    db.execute(f"CREATE STREAM large {LEDGER} AS SELECT id FROM dropped CHECK (id > 1) ON VIOLATION INSERT INTO bad")
    assert (size(db, "large"), size(db, "bad")) == (1, 3)


def test_what_an_assertion_rejects_and_what_was_written_before_is_not_hashed_again(db: Database) -> None:
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}")
    db.execute("CREATE ASSERTION few CHECK (NOT EXISTS (SELECT * FROM pay WHERE id > 9)) ON VIOLATION REJECT")
    with pytest.raises(AssertionViolated):
        db.execute("INSERT INTO pay VALUES (1), (10)")
    for _ in range(2):
        db.execute("INSERT INTO pay WITH (idempotency_key = 'k') VALUES (1)")
    assert size(db, "pay") == 1


def test_queries_loops_and_queries_with_a_clock_of_their_own_write_ledgers(db: Database) -> None:
    db.execute(f"CREATE STREAM ring (n BIGINT) {LEDGER}")
    db.execute("INSERT INTO ring SELECT n + 1 AS n FROM ring WHERE n < 5 WITH (feedback = '1 step', max_hops = 10)")
    db.execute("CREATE STREAM apart WITH (ledger = true, clock = 'own', compression = 'zstd') AS SELECT n FROM ring")
    db.execute("INSERT INTO ring VALUES (1)")
    assert db.sql("SELECT count(*) FROM ring").fetchall() == [(5,)] and size(db, "ring") == 5
    assert db.sql("SELECT count(*) FROM apart").fetchall() == [(5,)] and size(db, "apart") == 5


def test_records_from_before_a_column_was_added_stay_as_they_were_hashed(db: Database) -> None:
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}; INSERT INTO pay VALUES (1)")
    ((_, _, root),) = db.sql("SHOW ROOT OF pay").fetchall()
    db.execute("ALTER STREAM pay ADD COLUMN note VARCHAR; INSERT INTO pay VALUES (2, 'new')")
    assert {row[4] for row in db.sql(f"VERIFY STREAM pay AGAINST '{root}' SIZE 1")} == {"intact"}
    records = [db.sql(f"SHOW PROOF OF pay OFFSET {offset}").fetchall()[0][0] for offset in (0, 1)]
    assert "note" not in records[0] and r"\"note\":\"new\"" in records[1]


def test_files_are_followed_into_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"a": 1}\n{"a": 2}\n')
    with headwater.connect(tmp_path / "x.hw", background=False) as db:
        options = f"connector = 'file', path = '{tmp_path}/in.json', format = 'ndjson', ledger = true"
        db.execute(f"CREATE STREAM f (a BIGINT) WITH ({options})")
        assert [row[1:5:3] for row in db.sql("VERIFY STREAM f")] == [(2, "intact")]


def test_a_ledger_that_was_dropped_is_not_missed_by_a_check(db: Database) -> None:
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}; INSERT INTO pay VALUES (1); DROP STREAM pay")
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}; INSERT INTO pay VALUES (2); CHECKPOINT")
    assert size(db, "pay") == 1


@pytest.mark.parametrize("kept", ["retention = '1 day'", "retention_size = '1 MB'"])
@pytest.mark.parametrize("made", ["CREATE STREAM s (a INT) WITH (ledger = true, {})",
                                  "CREATE STREAM s WITH (ledger = true, {}) AS SELECT a FROM t"])  # fmt: skip
def test_a_ledger_has_no_retention_whoever_writes_it(db: Database, made: str, kept: str) -> None:
    db.execute("CREATE STREAM t (a INT)")
    with pytest.raises(HeadwaterError, match="a ledger keeps all its records"):
        db.execute(made.format(kept))
    db.execute("CREATE STREAM s (a INT) WITH (ledger = true, retention = 'forever')")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE pay SET id = 2", '"pay" is a stream: its rows stay as they are'),
        ("DELETE FROM pay", '"pay" is a stream: its rows stay as they are'),
        ("CREATE OR REPLACE STREAM pay AS SELECT 1 AS id", '"pay" cannot be replaced'),
    ],
)
def test_nobody_changes_what_is_in_a_ledger(db: Database, sql: str, message: str) -> None:
    db.execute(f"CREATE STREAM pay (id BIGINT) {LEDGER}; INSERT INTO pay VALUES (1)")
    with pytest.raises(HeadwaterError, match=message):
        db.execute(sql)
