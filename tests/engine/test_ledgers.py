"""Ledgers: what was written is what is there, and who has kept a root can tell."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import headwater
from headwater.engine.database import Database
from headwater.errors import OutOfRange, SqlError
from headwater.storage import SimulatedDisk
from headwater.storage.merkle import Frontier, consistency, inclusion, leaf_hashes

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "verify.py"


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "memory", None, background=False)


@pytest.fixture
def db(disk: SimulatedDisk) -> Iterator[headwater.Database]:
    with opened(disk) as database:
        database.execute("CREATE STREAM pay (id BIGINT, who VARCHAR, amount DECIMAL(9, 2)) WITH (ledger = true)")
        for begin in range(0, 300, 100):
            database.append("pay", [{"id": i, "who": f'w"{i}', "amount": i} for i in range(begin, begin + 100)])
        database.execute("INSERT INTO pay VALUES (300, NULL, 1.5)")
        yield database


def proof(db: headwater.Database, sql: str) -> dict[str, Any]:
    row = db.sql(sql).fetchone()
    assert row is not None
    found: dict[str, Any] = json.loads(row[0])
    return found


def root(db: headwater.Database) -> tuple[int, str]:
    ((_, size, found),) = db.sql("SHOW ROOT OF pay").fetchall()
    return size, found


def states(db: headwater.Database, sql: str = "VERIFY STREAM pay") -> list[str]:
    return [row[4] for row in db.sql(sql)]


def program() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "verify"}
    exec(compile(PROGRAM.read_text(), str(PROGRAM), "exec"), names)
    return names


def documented(leaves: list[bytes]) -> bytes:
    """The root of a tree, as docs/ledgers.md has it."""
    if len(leaves) == 1:
        return leaves[0]
    size = 1
    while size * 8 < len(leaves):
        size *= 8
    below = [documented(leaves[begin : begin + size]) for begin in range(0, len(leaves), size)]
    return sha256(b"\1" + b"".join(below)).digest()


def test_trees_are_the_documented_ones_however_they_grew() -> None:
    records = [str(n).encode() for n in range(600)]
    leaves, dice = leaf_hashes(records), random.Random(0)
    for size in [1, 2, 7, 8, 9, 63, 64, 65, 73, 511, 512, 513, 600]:
        root = documented([sha256(b"\0" + record).digest() for record in records[:size]])
        tree = Frontier()
        while tree.size < size:
            upto = min(size, tree.size + dice.randint(1, 80))
            tree, complete = tree.grown(leaves[tree.size * 32 : upto * 32])
            for height, nodes in enumerate(complete):
                width = 8**height
                last = [
                    documented(split(leaves[(place - width) * 32 : place * 32])) for place in (upto // width * width,)
                ]
                assert nodes == b"" or nodes[-32:] == last[0]
        assert tree == Frontier().extended(leaves[: size * 32]) and tree.root == root


def split(leaves: bytes) -> list[bytes]:
    return [leaves[begin : begin + 32] for begin in range(0, len(leaves), 32)]


def test_the_program_believes_the_proofs_of_any_tree_for_the_right_size_and_record_alone() -> None:
    holds, dice = program()["holds"], random.Random(0)
    leaves = leaf_hashes(str(n).encode() for n in range(600))
    for size in [1, 2, 8, 9, 15, 64, 65, 73, 512, 513, 600]:

        def subtree(first: int, last: int) -> bytes:
            return Frontier().extended(leaves[first * 32 : last * 32]).root

        for number in {0, size - 1, dice.randrange(size)}:
            found, grown = inclusion(subtree, number, 0, size), consistency(subtree, number + 1, 0, size)
            tree = {"size": size, "root": subtree(0, size).hex()}
            assert grown.before == subtree(0, number + 1)
            of_record = {**tree, "offset": number, "record": str(number), "path": [node.hex() for node in found.path]}
            older = {"size": number + 1, "root": grown.before.hex()}
            of_growth = {**tree, "before": older, "path": [node.hex() for node in grown.path]}
            assert holds(of_record) and holds(of_growth)
            for off in (number - 1, number + 1, -1, size):
                assert not holds({**of_record, "offset": off})
                assert not holds({**of_growth, "before": {**older, "size": off + 1}}) or off + 1 == number + 1
            joined = ["", *of_record["path"]] if size > 2 else ["00"]
            assert not holds({**of_record, "path": joined}) and not holds({**of_growth, "path": of_growth["path"][1:]})


def test_the_program_verifies_what_headwater_proves_and_nothing_that_is_forged(db: headwater.Database) -> None:
    holds = program()["holds"]
    size, found = root(db)
    for offset in (0, 1, 100, 255, 256, 300):
        given = proof(db, f"SHOW PROOF OF pay OFFSET {offset}")
        assert (given["size"], given["root"]) == (size, found) and holds(given)
        assert not holds({**given, "offset": offset + 1}) and not holds({**given, "record": given["record"] + " "})
        assert not holds({**given, "root": "00" * 32}) and not holds({**given, "path": given["path"][1:]})
        assert not holds({**given, "path": [*given["path"], found]})
    for before in (1, 2, 64, 100, 256, 300, 301):
        given = proof(db, f"SHOW PROOF OF pay FROM SIZE {before}")
        assert given["root"] == found and holds(given)
        other = {"size": before, "root": "00" * 32}
        assert not holds({**given, "before": other}) and not holds({**given, "root": "00" * 32})
        assert not holds({**given, "path": [*given["path"], found]})


def test_the_program_is_told_by_its_exit_code_and_compares_with_what_was_kept(db: headwater.Database) -> None:
    size, found = root(db)
    given = json.dumps(proof(db, "SHOW PROOF OF pay OFFSET 7"))

    def code(*known: str) -> int:
        command = [sys.executable, str(PROGRAM), "-", *known]
        return subprocess.run(command, input=given, text=True, check=False).returncode

    assert (code(), code(str(size), found), code(str(size - 1), found)) == (0, 0, 1)


def test_a_record_is_hashed_as_json_that_anybody_can_write(db: headwater.Database) -> None:
    record = json.loads(proof(db, "SHOW PROOF OF pay OFFSET 7")["record"])
    assert (record["id"], record["who"], record["amount"], record["ROWPARTITION"]) == (7, 'w"7', "7.00", 0)
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    assert proof(db, "SHOW PROOF OF pay OFFSET 7")["record"] == text


def test_every_flipped_bit_of_the_rows_is_found_and_located(db: headwater.Database, disk: SimulatedDisk) -> None:
    rows = [{"id": i, "who": "x" * 50, "amount": i} for i in range(5_000)]
    db.append("pay", rows)
    (path,) = [name for name in disk.files() if name.endswith(".seg")]
    size = len(disk.files()[path])
    dice = random.Random(0)
    for position in [*range(0, 64), size - 1, *dice.sample(range(size), 25)]:
        flip(disk, path, position)
        ((*_, state, offset, file, problem),) = db.sql("VERIFY STREAM pay")
        assert (state, file) == ("damaged", f"{path}:0") and 301 <= offset < 5_301
        assert offset == 301 or f"the record {offset} (commit 6) is not the one" in problem
        flip(disk, path, position)
    assert states(db) == ["intact"]


def test_flipped_bits_of_commits_are_found(db: headwater.Database, disk: SimulatedDisk) -> None:
    (path,) = [name for name in disk.files() if name.endswith(".log")]
    for position in random.Random(1).sample(range(2_000, len(disk.files()[path])), 15):
        flip(disk, path, position)
        assert states(db) == ["damaged"], position
        flip(disk, path, position)
    assert states(db) == ["intact"]


def flip(disk: SimulatedDisk, path: str, position: int) -> None:
    file = disk.open(path)
    (byte,) = file.read(position, 1)
    file.pwrite(position, bytes([byte ^ 4]))
    file.sync()


def test_who_has_kept_a_root_sees_that_others_are_there_now(db: headwater.Database) -> None:
    size, found = root(db)
    db.execute("INSERT INTO pay VALUES (301, 'later', 1)")
    assert states(db, f"VERIFY STREAM pay AGAINST '{found}' SIZE {size}") == ["intact"]
    assert states(db, f"VERIFY STREAM pay AGAINST '{'0' * 64}' SIZE {size}") == ["damaged"]
    assert states(db, f"VERIFY STREAM pay AGAINST '{found}' SIZE 1000") == ["damaged"]


def test_a_ledger_goes_on_after_it_was_closed(db: headwater.Database, disk: SimulatedDisk) -> None:
    size, found = root(db)
    db.execute("CHECKPOINT")
    db.close()
    with opened(disk) as again:
        assert root(again) == (size, found)
        again.execute("INSERT INTO pay VALUES (301, 'later', 1)")
        assert states(again, f"VERIFY STREAM pay AGAINST '{found}' SIZE {size}") == ["intact"]


def test_what_a_query_writes_can_be_a_ledger(db: headwater.Database) -> None:
    db.execute("CREATE STREAM large WITH (ledger = true) AS SELECT id, amount FROM pay WHERE amount > 150")
    db.execute("INSERT INTO pay VALUES (301, 'later', 1000)")
    assert [row[1:3] + row[4:5] for row in db.sql("VERIFY STREAM large")] == [(150, 150, "intact")]


def test_the_root_of_a_table_depends_on_its_rows_alone(db: headwater.Database) -> None:
    db.execute("CREATE TABLE a (k BIGINT PRIMARY KEY, v VARCHAR); CREATE TABLE b (k BIGINT PRIMARY KEY, v VARCHAR)")
    db.execute("INSERT INTO a VALUES (1, 'x'), (2, 'y')")
    then = db.log.version
    db.execute("INSERT INTO b VALUES (2, 'y'); INSERT INTO b VALUES (1, 'z'); INSERT INTO b VALUES (1, 'x')")
    assert db.sql("STATE ROOT OF a").fetchall() == db.sql("STATE ROOT OF b").fetchall()
    db.execute("DELETE FROM a WHERE k = 1")
    assert db.sql("STATE ROOT OF a").fetchall() != db.sql("STATE ROOT OF b").fetchall()
    assert db.sql(f"STATE ROOT OF a AS OF VERSION {then}").fetchall() == db.sql("STATE ROOT OF b").fetchall()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE STREAM s (a INT) WITH (ledger = true, retention = '1 day')", "a ledger keeps all its records"),
        ("CREATE STREAM s (a INT) WITH (ledger = 'maybe')", "ledger is true or false"),
        ("CREATE TABLE t (a INT PRIMARY KEY) WITH (ledger = true)", "a ledger is a stream"),
        ("SHOW ROOT OF plain", '"plain" is no ledger'),
        ("SHOW PROOF OF pay OFFSET 0 PARTITION 3", '"pay" has no partition 3'),
        ("VERIFY STREAM pay FROM 5 TO 3", "there are no offsets from 5 to 3"),
        ("VERIFY STREAM pay AGAINST 'ab' SIZE 1", "a root is 64 hexadecimal digits"),
        ("CREATE OR REPLACE STREAM big AS SELECT id FROM pay", 'the ledger "big" is not made anew'),
    ],
)
def test_what_a_ledger_cannot_do_is_said(db: headwater.Database, sql: str, message: str) -> None:
    db.execute("CREATE STREAM plain (a INT); CREATE STREAM big WITH (ledger = true) AS SELECT id FROM pay")
    with pytest.raises(SqlError, match=message):
        db.execute(sql)


def test_there_is_no_proof_of_what_is_not_there(db: headwater.Database) -> None:
    for sql in ("OFFSET 301", "OFFSET 3 SIZE 3", "OFFSET 3 SIZE 999", "FROM SIZE 0", "FROM SIZE 302"):
        with pytest.raises(OutOfRange):
            db.sql(f"SHOW PROOF OF pay {sql}")
