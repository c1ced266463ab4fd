"""Who can write the directory rewrites history: records, checksums, seals, and hashes. What VERIFY makes of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from headwater.engine.database import Database
from headwater.errors import CorruptLog
from headwater.executor.canonical import record_hashes
from headwater.storage import Log, SimulatedDisk
from headwater.storage.commits import INLINE, Record
from headwater.storage.frames import FrameChain, Header, Kind, crc32c, unpack_header, walk_frames
from headwater.storage.ledgers import Entry, Ledger

ROWS = 2_000  # of a commit: so many are in a segment
Rewrite = Callable[[Header, bytes], bytes]
COLUMN = struct.Struct("<IIQQ")  # checksum, zeros, position and size of a column in a frame with columns apart


@pytest.fixture
def disk() -> Iterator[SimulatedDisk]:
    """A ledger of four commits with records in a segment, and one with a few in the commit file."""
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM pay (id BIGINT, who VARCHAR) WITH (ledger = true)")
        for begin in range(0, 4 * ROWS, ROWS):
            db.append("pay", [{"id": i, "who": f"{i:06} owes"} for i in range(begin, begin + ROWS)])
        db.append("pay", [{"id": 4 * ROWS, "who": "last owes"}])
    yield disk


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "memory", None, background=False)


def verified(disk: SimulatedDisk, against: tuple[int, str] | None = None) -> tuple[str, int | None, str, str]:
    """State, offset, file and problem."""
    kept = "" if against is None else f" AGAINST '{against[1]}' SIZE {against[0]}"
    with opened(disk) as db:
        ((*_, state, offset, file, problem),) = db.sql(f"VERIFY STREAM pay{kept}").fetchall()
    return state, offset, file or "", problem or ""


def root(disk: SimulatedDisk, size: int | None = None) -> tuple[int, str]:
    with opened(disk) as db:
        if size is None:
            ((_, *found),) = db.sql("SHOW ROOT OF pay").fetchall()
            return found[0], found[1]
        proof = json.loads(db.sql(f"SHOW PROOF OF pay FROM SIZE {size}").fetchall()[0][0])
        return size, proof["before"]["root"]


# ---------------------------------------------------------------- the forger


class Forger:
    """Changes records, and as much of the rest as somebody who knows all of Headwater would."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.segment = next((path for path in disk.files() if path.endswith(".seg")), "")
        self.logs = sorted(path for path in disk.files() if path.endswith(".log"))
        self.commits = self.logs[0]
        self.seals: dict[int, int] = {}  # of all frames: the new one, by the old one
        self.moved: dict[int, int] = {}  # where the frames of the file that was rewritten last are now

    def forge(self, old: bytes, new: bytes) -> None:
        """Write `new` where the records say `old`, and make all checksums and seals right, up to the end."""
        self.rewrite(self.segment, lambda _, payload: payload.replace(old, new))
        self.rewrite_logs(self.sealed)

    def forge_hashes(self) -> None:
        """Give every commit the hashes that its records have now, and all that rests on these."""
        log = Log.open(self.disk, "memory", read_only=True)
        (stream,) = [number for number, known in log.state.streams.items() if known.ledgers]
        leaves = {chunk.version: record_hashes(chunk.rows, 0) for chunk in log.scan(stream)}
        log.close()
        ledger = Ledger()

        def hashed(header: Header, payload: bytes) -> bytes:
            nonlocal ledger
            if header.kind is not Kind.COMMIT or header.version not in leaves:
                return self.sealed(header, payload)
            record = Record.unpack(header.version, payload)
            ledger, entry = ledger.extended(stream, 0, record.version, record.time_us, leaves[record.version])
            effects = {**record.effects, "ledgers": [entry.pack()]}
            return self.sealed(header, replace(record, effects=effects).pack())

        self.rewrite_logs(hashed)

    def forge_entry(self, version: int, forge: Callable[[list[Any]], Any]) -> None:
        """Let a commit say something else of the ledger. All that follows in the file moves."""
        self.forge_ledgers(version, lambda entries: [forge(entries[0])])

    def forge_ledgers(self, version: int, forge: Callable[[list[Any]], Any]) -> None:
        """Let a commit say something else of all ledgers."""

        def forged(header: Header, payload: bytes) -> bytes:
            if header.kind is not Kind.COMMIT or header.version != version:
                return self.sealed(header, payload)
            record = Record.unpack(version, payload)
            effects = {**record.effects, "ledgers": forge(list(record.effects["ledgers"]))}
            return self.sealed(header, replace(record, effects=effects).pack())

        self.rewrite_logs(forged)

    def forge_base(self, path: str, forge: Callable[[list[Any]], Any]) -> None:
        """Let a commit file begin with something else about the partitions of a ledger."""

        def forged(header: Header, payload: bytes) -> bytes:
            if header.kind is not Kind.BASE:
                return self.sealed(header, payload)
            base = json.loads(payload)
            for _, stream in base["streams"]:
                stream[6:] = [forge(ledgers) for ledgers in stream[6:]]
            return json.dumps(base, separators=(",", ":")).encode()

        self.rewrite(path, forged)

    def sealed(self, header: Header, payload: bytes) -> bytes:
        """A commit that names the frames as they are now."""
        if header.kind is not Kind.COMMIT:
            return payload
        record = Record.unpack(header.version, payload)
        extents = tuple(
            replace(
                extent,
                seal=self.seals.get(extent.seal, extent.seal),
                position=self.moved[extent.position] if extent.segment == INLINE else extent.position,
            )
            for extent in record.extents
        )
        return replace(record, extents=extents).pack()

    def rewrite_logs(self, rewrite: Rewrite) -> None:
        """Rewrite all commit files. What was only kept beside them is made anew."""
        for path in self.logs:
            self.rewrite(path, rewrite)
        for path in [path for path in self.disk.files() if path.endswith(".idx")]:
            self.disk.remove(path)

    def rewrite(self, path: str, rewrite: Rewrite) -> None:
        """Rewrite the payloads of a file's frames, and with them all checksums."""
        content = self.disk.files()[path]
        origin = unpack_header(content[:64])[0].previous
        chain = FrameChain(0, self.seals.get(origin, origin))
        self.moved = {}
        for frame in walk_frames(pa.py_buffer(content), 0, origin):
            payload, covered = _with_checksums(frame.header, rewrite(frame.header, frame.payload.to_pybytes()))
            self.moved[frame.position] = chain.end
            base = self.moved.get(frame.header.base, frame.header.base)
            header = replace(frame.header, payload_size=len(payload), payload_crc=crc32c(covered), base=base)
            _, self.seals[frame.seal] = chain.add(header, payload)
        file = self.disk.open(path)
        file.truncate(0)
        chain.write(file)
        file.sync()


def _with_checksums(header: Header, payload: bytes) -> tuple[bytes, bytes]:
    """The payload, with the checksums of columns that lie apart; and what the checksum in the header covers."""
    if header.kind is not Kind.COLUMNS:
        return payload, payload
    end = 8 + COLUMN.size * int.from_bytes(payload[:4], "little")
    columns = COLUMN.iter_unpack(payload[8:end])
    directory = [COLUMN.pack(crc32c(payload[place : place + size]), 0, place, size) for _, _, place, size in columns]
    covered = payload[:8] + b"".join(directory)
    return covered + payload[end:], covered


# ---------------------------------------------------------------- what is found


@pytest.mark.parametrize("row", [0, ROWS + 7, 4 * ROWS - 1])
def test_a_record_that_was_rewritten_with_all_checksums_is_found_by_its_hash(disk: SimulatedDisk, row: int) -> None:
    forger = Forger(disk)
    forger.forge(f"{row:06} owes".encode(), f"{row:06} paid".encode())
    state, offset, file, problem = verified(disk)
    assert (state, offset, file.split(":")[0]) == ("damaged", row, forger.segment)
    assert problem == f"the record {row} (commit {row // ROWS + 2}) is not the one that was hashed"


def test_a_record_of_a_small_commit_is_found_too(disk: SimulatedDisk) -> None:
    forger = Forger(disk)
    forger.rewrite(
        forger.commits, lambda header, payload: forger.sealed(header, payload.replace(b"last owes", b"last paid"))
    )
    assert verified(disk)[:2] == ("damaged", 4 * ROWS)


def test_of_several_records_that_were_rewritten_the_first_is_found_up_to_its_block(disk: SimulatedDisk) -> None:
    Forger(disk).forge(b"1 owes", b"1 paid")
    assert verified(disk) == (
        "damaged", 0, f"{Forger(disk).segment}:0",
        "the records 0 to 511 (commit 2) are not all those that were hashed",
    )  # fmt: skip


def test_blocks_that_were_forged_put_the_blame_on_nobody(disk: SimulatedDisk) -> None:
    def forged(packed: list[Any]) -> list[Any]:
        return [*packed[:6], "0" * len(packed[6]), *packed[7:]]

    forger = Forger(disk)
    forger.forge(b"1 owes", b"1 paid")
    forger.forge_entry(2, forged)
    assert verified(disk)[3] == f"the records 0 to {ROWS - 1} (commit 2) are not all those that were hashed"


@pytest.mark.parametrize("field", ["complete", "sums"])
def test_what_an_entry_has_for_proofs_and_for_finding_records_cannot_be_forged_either(
    disk: SimulatedDisk, field: str
) -> None:
    def forged(packed: list[Any]) -> list[Any]:
        entry = Entry.unpack(packed)
        assert entry is not None
        return replace(entry, **{field: bytes(len(getattr(entry, field)))}).pack()

    Forger(disk).forge_entry(3, forged)
    state, offset, _, problem = verified(disk)
    assert (state, offset) == ("damaged", ROWS) and "to locate records is not of its own" in problem
    with opened(disk) as db:  # a proof that needs what was forged is none
        asked = "SHOW PROOF OF pay OFFSET 1"
        if field == "complete":
            with pytest.raises(CorruptLog, match="there is no proof of them"):
                db.sql(asked)
        else:
            assert json.loads(db.sql(asked).fetchall()[0][0])["offset"] == 1


def test_who_rewrites_all_hashes_too_is_found_by_a_root_that_was_kept_elsewhere(disk: SimulatedDisk) -> None:
    kept, early = root(disk), root(disk, ROWS)
    forger = Forger(disk)
    forger.forge(f"{ROWS + 7:06} owes".encode(), f"{ROWS + 7:06} paid".encode())
    forger.forge_hashes()
    assert verified(disk)[0] == "intact" and root(disk) != kept
    state, _, _, problem = verified(disk, kept)
    assert state == "damaged" and f"the first {kept[0]:,} records have the root {root(disk)[1]}" in problem
    assert verified(disk, early)[0] == "intact"  # what was before is as it was


def test_hashes_that_are_rewritten_from_the_same_records_are_the_same(disk: SimulatedDisk) -> None:
    before = disk.files()
    forger = Forger(disk)
    forger.forge(b"nowhere", b"is this")
    forger.forge_hashes()
    assert disk.files() == before


def test_commits_that_were_taken_away_at_the_end_are_found_by_a_root_that_was_kept(disk: SimulatedDisk) -> None:
    kept, early = root(disk), root(disk, ROWS)
    for count in (1, 3):
        copy = disk.crash("kill9")
        take_away(copy, count)
        size, _ = root(copy)
        assert verified(copy)[0] == "intact" and size < kept[0]
        assert verified(copy, kept)[:2] == ("damaged", size)
        assert verified(copy, early)[0] == "intact"


def test_an_end_that_was_exchanged_is_found_by_a_root_that_was_kept(disk: SimulatedDisk) -> None:
    kept = root(disk)
    take_away(disk, 1)
    with opened(disk) as db:
        db.append("pay", [{"id": 4 * ROWS, "who": "last paid"}])
    assert verified(disk)[0] == "intact" and root(disk)[0] == kept[0]
    assert verified(disk, kept)[0] == "damaged"


def test_records_whose_commit_files_were_taken_away_at_the_beginning_are_missed() -> None:
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM pay (id BIGINT, who VARCHAR) WITH (ledger = true)")
        for begin in range(0, 6_000, 30):
            db.append("pay", [{"id": i, "who": "x" * 900} for i in range(begin, begin + 30)])
        files = sorted(path for path in disk.files() if path.endswith(".log"))
        assert len(files) == 2
        disk.remove(files[0])
        ((*_, state, offset, file, _),) = db.sql("VERIFY STREAM pay").fetchall()
    assert (state, offset, file) == ("damaged", 0, f"{files[1]}:0")


def take_away(disk: SimulatedDisk, count: int) -> None:
    """Cut the commit file before the last `count` commits with records, at the end of a group as a crash does."""
    (path,) = [path for path in disk.files() if path.endswith(".log")]
    content = disk.files()[path]
    origin = unpack_header(content[:64])[0].previous
    frames = list(walk_frames(pa.py_buffer(content), 0, origin))
    adding = [
        frame.header.base
        for frame in frames
        if frame.header.kind is Kind.COMMIT and b'"ledgers"' in frame.payload.to_pybytes()
    ]
    file = disk.open(path)
    file.truncate(adding[-count])
    file.sync()
