"""Somebody forges what commits say of a ledger: opening, VERIFY, SHOW ROOT, SHOW PROOF, STATE ROOT and a check end in
a finding, or in an error of Headwater's, and never in one of Python's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headwater.engine.database import Database
from headwater.errors import CorruptLog
from headwater.executor.canonical import record_hashes
from headwater.repl.main import main
from headwater.storage import SimulatedDisk
from headwater.storage.check import Check
from headwater.storage.findings import Finding
from headwater.storage.ledgers import Ledger, entries_of, ledgers_of
from headwater.storage.merkle import leaf_hashes
from headwater.storage.repair import prospect
from tests.engine.test_forgery import Forger, opened

FIELDS, HASHES = 8, 3  # of an entry; of which these are the first that are hashes
SAMPLE = 25  # forged fields that are tried on disk
CHANGED = "somebody changed what the commits say of the ledger"
FORGED = 3  # the commit whose entry is forged


@pytest.fixture(scope="module")
def written() -> SimulatedDisk:
    """A ledger of five commits, of which the third one has most records, and a plain stream."""
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM pay (id BIGINT, who VARCHAR) WITH (ledger = true)")
        for size in (5, 1_600, 1, 3):
            db.append("pay", [{"id": i, "who": f"{i:06} owes"} for i in range(size)])
        db.execute("CREATE STREAM plain (id BIGINT); INSERT INTO plain VALUES (1)")
    return disk


@pytest.fixture
def disk(written: SimulatedDisk) -> SimulatedDisk:
    return written.crash("kill9")


def checked(disk: SimulatedDisk) -> list[Finding]:
    return [found for found in Check(disk, "memory", hashed=record_hashes).findings() if found.is_damage]


def asked(db: Database, sql: str) -> str:
    """What a statement ends with: an answer, or an error for the ledger."""
    try:
        return str(db.sql(sql).fetchall())
    except CorruptLog as error:
        return error.message


VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63 - 1, 2**64, 10**400, 1.5, "", "0", "zz", "é" * 64, "0" * 63, "0" * 64, "F" * 64,
    " " * 64, "0" * 128, "0" * 4096, [], ["0" * 64], {}, {"a": 1}, [[[]]],
]  # fmt: skip


def other_fields(dice: random.Random) -> dict[str, Callable[[list[Any]], list[Any]]]:
    """Other entries, as functions of the entry: a field is another one, missing, of another length."""
    found: dict[str, Callable[[list[Any]], list[Any]]] = {}
    for place in range(FIELDS):
        for value in VALUES:
            found[f"field {place} is {value!r:.20}"] = partial(put, place, lambda _, value=value: [value])
        found[f"field {place} is missing"] = partial(put, place, lambda _: [])
        found[f"field {place} comes twice"] = partial(put, place, lambda field: [field, field])
    for place in range(HASHES, FIELDS):
        found[f"field {place} is longer"] = partial(put, place, lambda field: [field + "0" * 64])
        found[f"field {place} is shorter"] = partial(put, place, lambda field: [field[64:]])
        found[f"field {place} is of zeros"] = partial(put, place, lambda field: ["0" * len(field)])
        found[f"field {place} has one digit more"] = partial(put, place, lambda field: [field + "0"])
    names = list(found)
    dice.shuffle(names)
    return {name: found[name] for name in names}


def put(place: int, change: Callable[[Any], list[Any]], entry: list[Any]) -> list[Any]:
    return [*entry[:place], *change(entry[place]), *entry[place + 1 :]]


def test_what_is_no_entry_is_read_as_none_and_makes_a_ledger_that_cannot_be_read() -> None:
    _, entry = Ledger().extended(1, 0, 2, 3, leaf_hashes([bytes([n]) for n in range(20)]))
    right = Ledger().entered(entry)
    for what, change in other_fields(random.Random(0)).items():
        packed = change(entry.pack())
        ((*_, read),) = entries_of({"ledgers": [packed]}) or [(None,)]
        after = Ledger().entered(read)
        assert read is None or read.pack() == packed, what
        assert Ledger.from_json(after.to_json()) == after, what
        is_same = read is not None and (read.size, read.root, read.nodes) == (entry.size, entry.root, entry.nodes)
        assert after.is_readable == is_same, what
    assert Ledger.from_json(right.to_json()) == right
    for value in VALUES:
        for place in range(3):
            found = Ledger.from_json(put(place, lambda _, value=value: [value], right.to_json()))  # type: ignore[misc]
            assert found.is_readable == (place == 1 and value == "0" * 64)  # which is a hash
        assert entries_of({"ledgers": value}) == [] and ledgers_of(value) == {}
        assert entries_of({"ledgers": [value]}) == [] and ledgers_of([value]) == {}


@pytest.mark.parametrize("part", ["fields", "entries"])
def test_whatever_a_commit_says_of_a_ledger_ends_in_a_finding(written: SimulatedDisk, part: str) -> None:
    forgeries: dict[str, Callable[[list[Any]], Any]] = {
        "none": lambda _: [],
        "two": lambda entries: entries * 2,
        "a number": lambda _: 5,
        "an object": lambda entries: {"0": entries},
        "null": lambda _: None,
        "something else": lambda _: [5, "entry", {}, None, []],
    }
    if part == "fields":
        some = list(other_fields(random.Random(1)).items())[:SAMPLE]
        forgeries = {what: lambda entries, change=change: [change(entries[0])] for what, change in some}
    with opened(written) as db:
        right = {sql: asked(db, sql) for sql in ("SHOW PROOF OF pay OFFSET 700", "SHOW ROOT OF pay")}
    for what, forge in forgeries.items():
        disk = written.crash("kill9")
        Forger(disk).forge_ledgers(FORGED, forge)
        if disk.files() == written.files():
            continue
        assert {found.subject for found in checked(disk)} == {"ledger"}, what
        with opened(disk) as db:
            assert "damaged" in {row[4] for row in db.sql("VERIFY STREAM pay")}, what
            for sql, answer in right.items():
                found = asked(db, sql)
                assert found == answer or "are not those that were hashed" in found or CHANGED in found, what
            assert asked(db, "STATE ROOT OF plain").startswith("[(1, ")


def test_a_ledger_whose_hashes_were_changed_takes_no_more_records_and_others_do(disk: SimulatedDisk) -> None:
    Forger(disk).forge_ledgers(FORGED, lambda entries: [put(3, lambda _: ["zz"], entries[0])])
    with opened(disk) as db:
        before = db.log.version
        with pytest.raises(CorruptLog, match=CHANGED):
            db.execute("INSERT INTO pay VALUES (1, 'more')")
        assert db.log.version == before
        db.execute("INSERT INTO plain VALUES (2)")
        ((*_, state, offset, file, problem),) = db.sql("VERIFY STREAM pay").fetchall()
    assert (state, offset, file.split(":")[0]) == ("damaged", 5, Forger(disk).commits)
    assert problem == "what commit 3 says of the ledger cannot be read"


def test_a_check_finds_a_record_that_was_changed_and_a_repair_leaves_it_as_evidence(disk: SimulatedDisk) -> None:
    assert checked(disk) == []
    forger = Forger(disk)
    forger.forge(b"000700 owes", b"000700 paid")
    (found,) = checked(disk)
    assert (found.subject, found.path) == ("ledger", forger.segment)
    assert found.message == (
        "the record 705 (commit 3) is not the one that was hashed; the ledger, stream 1, partition 0, was changed"
    )
    can = prospect(disk, "memory", [found])
    assert (can.rebuildable, can.losses, can.beyond_repair, can.evidence) == ((), (), (), (found,))


@pytest.fixture(scope="module")
def long() -> SimulatedDisk:
    """A ledger whose commits are in two files."""
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM pay (id BIGINT, who VARCHAR) WITH (ledger = true)")
        for begin in range(0, 4_800, 30):
            db.append("pay", [{"id": i, "who": "x" * 900} for i in range(begin, begin + 30)])
    assert len(Forger(disk).logs) == 2
    return disk


def test_an_entry_that_was_forged_in_an_older_file_is_evidence_too(long: SimulatedDisk) -> None:
    disk = long.crash("kill9")
    Forger(disk).forge_ledgers(FORGED, lambda entries: [put(6, lambda _: [None], entries[0])])
    found = checked(disk)
    assert {each.subject for each in found} == {"ledger"}
    can = prospect(disk, "memory", found)
    assert (can.rebuildable, can.losses, can.beyond_repair, can.evidence) == ((), (), (), tuple(found))
    with opened(disk) as db:
        ((*_, offset, _, problem),) = db.sql("VERIFY STREAM pay").fetchall()
        assert (offset, problem) == (30, "what commit 3 says of the ledger cannot be read")
        db.execute("INSERT INTO pay VALUES (1, 'more')")  # the newer file knows the ledger


@pytest.mark.parametrize("value", [None, 5, [], [[]], [[0]], [[0, "x", 1, []]], [[0, 5, "zz", []]], [{"a": 1}]])
def test_a_ledger_that_was_forged_where_a_file_begins_is_evidence_too(long: SimulatedDisk, value: Any) -> None:
    disk = long.crash("kill9")
    forger = Forger(disk)
    forger.forge_base(forger.logs[1], lambda _: value)
    assert {found.subject for found in checked(disk)} == {"ledger"}
    with opened(disk) as db:
        assert "damaged" in {row[4] for row in db.sql("VERIFY STREAM pay")}
        for sql in ("SHOW ROOT OF pay", "SHOW PROOF OF pay OFFSET 1", "INSERT INTO pay VALUES (1, 'more')"):
            assert CHANGED in asked(db, sql)


def test_a_check_from_the_command_line_fails_for_a_ledger_that_was_changed(
    disk: SimulatedDisk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Forger(disk).forge(b"000700 owes", b"000700 paid")
    for path, content in disk.files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert main(["check", str(tmp_path / "memory")]) == 1
    out = capsys.readouterr().out
    assert "the record 705 (commit 3) is not the one that was hashed" in out and 'stream 1 is "pay"' in out
    assert main(["repair", str(tmp_path / "memory")]) == 1
    out = capsys.readouterr().out
    assert "that a ledger was changed is evidence. Keep the files as they are" in out and "--accept-loss" not in out
