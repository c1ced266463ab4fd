"""Ledgers through all that happens to a database: forks, copies, repairs, checkpoints, many files, writers at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import headwater
from headwater.engine.database import Database
from headwater.executor.canonical import record_hashes
from headwater.storage import Log, OsStorage
from headwater.storage.backup import back_up
from headwater.storage.check import Check
from headwater.storage.merkle import Frontier
from headwater.storage.repair import LostRows, prospect, repair
from tests.engine.test_ledgers import program

PARTITIONS = 3
WORDS = "x" * 2_000


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two ledgers, one with partitions, and a plain stream: commits of all sizes, in two files, by eight threads."""
    monkeypatch.chdir(tmp_path)
    with opened("shop.hw") as db:
        db.execute(f"CREATE STREAM pay (id BIGINT, who VARCHAR KEY) WITH (ledger = true, partitions = {PARTITIONS})")
        db.execute("CREATE STREAM audit (id BIGINT, who VARCHAR) WITH (ledger = true)")
        db.execute("CREATE STREAM plain (id BIGINT, who VARCHAR)")
        db.execute("CREATE TABLE counts AS SELECT who, count(*) AS n FROM pay GROUP BY who")
        write_at_once(db)
    return tmp_path / "shop.hw"


def opened(path: str | Path) -> Database:
    return headwater.connect(path, background=False)


def write_at_once(db: Database) -> None:
    def write(thread: int) -> None:
        for turn, rows in enumerate([1, 14, 14, 120, 14, 14, 14, 14, 14]):
            for stream in ("pay", "audit", "plain"):
                db.append(stream, [{"id": n, "who": f"{(thread + n) % 20}{WORDS}"} for n in range(rows)])
            if thread == 0 and turn in (2, 5):
                db.execute("CHECKPOINT")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def roots(db: Database, stream: str) -> list[tuple[Any, ...]]:
    return db.sql(f"SHOW ROOT OF {stream}").fetchall()


def recomputed(path: str | Path) -> dict[int, list[tuple[int, int, str]]]:
    """The roots by stream, from nothing but the records of the log."""
    log = Log.open(OsStorage(read_only=True), str(path), read_only=True)
    found = {}
    for stream, known in log.state.streams.items():
        leaves = dict.fromkeys(range(PARTITIONS), b"")
        for chunk in log.scan(stream) if known.ledgers else ():
            leaves[chunk.partition] += record_hashes(chunk.rows, chunk.partition)
        trees = {partition: Frontier().extended(hashes) for partition, hashes in leaves.items() if hashes}
        if trees:
            found[stream] = [(partition, tree.size, tree.root.hex()) for partition, tree in trees.items()]
    log.close()
    return found


def assert_holds(path: str | Path) -> dict[str, list[tuple[Any, ...]]]:
    """All ledgers are intact, their roots are those of their records, and proofs convince."""
    holds = program()["holds"]
    with opened(path) as db:
        known = {stream: roots(db, stream) for stream in ("pay", "audit")}
        for stream, found in known.items():
            assert {row[4] for row in db.sql(f"VERIFY STREAM {stream}").fetchall()} == {"intact"}
            for partition, size, root in found:
                for what in (f"OFFSET {size // 2}", f"FROM SIZE {size // 3}"):
                    ((text,),) = db.sql(f"SHOW PROOF OF {stream} {what} PARTITION {partition}").fetchall()
                    proof = json.loads(text)
                    assert (proof["size"], proof["root"]) == (size, root) and holds(proof)
    assert sorted(map(tuple, known.values())) == sorted(map(tuple, recomputed(path).values()))
    return known


def test_ledgers_hold_over_many_files_partitions_and_writers_and_go_on(path: Path) -> None:
    before = assert_holds(path)
    assert len(list(path.glob("commits/*.log"))) > 1 and list(path.glob("streams/*/*.seg"))
    assert [len(found) for found in before.values()] == [PARTITIONS, 1]
    with opened(path) as db:
        write_at_once(db)
    after = assert_holds(path)
    with opened(path) as db:
        for stream, found in before.items():
            for partition, size, root in found:
                rows = db.sql(f"VERIFY STREAM {stream} AGAINST '{root}' SIZE {size} PARTITION {partition}").fetchall()
                assert {row[4] for row in rows} == {"intact"} and after[stream][partition][1] > size


def test_a_copy_and_a_fork_have_the_same_roots_and_each_goes_on_with_its_own(path: Path) -> None:
    before = assert_holds(path)
    back_up(OsStorage(), str(path), "copy.hw")
    with opened(path) as db:
        db.sql("FORK DATABASE TO 'fork.hw'")
    assert assert_holds("copy.hw") == assert_holds("fork.hw") == before
    with opened("fork.hw") as fork:
        fork.execute("INSERT INTO audit VALUES (1, 'fork')")
    with opened("copy.hw") as copy:
        copy.execute("INSERT INTO audit VALUES (1, 'copy')")
    changed = {str(assert_holds(name)["audit"]) for name in ("copy.hw", "fork.hw", path)}
    assert len(changed) == 3 and assert_holds(path) == before


def test_records_that_a_repair_gives_up_stay_missing_for_verify(path: Path) -> None:
    file = path / "streams" / str(min(recomputed(path))) / "0.seg"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    storage = OsStorage()
    lost = prospect(storage, str(path), Check(storage, str(path)).findings()).losses
    assert len(lost) == 1 and isinstance(lost[0], LostRows)
    repair(storage, str(path), lost)
    with opened(path) as db:
        damaged = [
            (row[0], row[5], row[7])
            for name in ("pay", "audit")
            for row in db.sql(f"VERIFY STREAM {name}").fetchall()
            if row[4] == "damaged"
        ]
        ((partition, offset, problem),) = damaged
    assert (partition, offset) == (lost[0].partition, lost[0].first) and "a repair has given them up" in problem
