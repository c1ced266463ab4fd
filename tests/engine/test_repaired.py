"""After rows were given up the database opens, and its tables are those of the rows that are left, or of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

import headwater
from headwater.errors import CorruptLog, StorageError
from headwater.storage import Log, OsStorage
from headwater.storage.check import Check
from headwater.storage.frames import BadFrame, Kind, unpack_header
from headwater.storage.repair import prospect, repair

SIZES = {"few": 3, "many": 20_000}  # rows of a commit: few are kept in the commit file, many in a segment
COUNTS = "SELECT key, count(*) AS n FROM events GROUP BY key ORDER BY key"


def filled(path: Path, rows: int, *, with_image: bool = False) -> None:
    """Three commits with the keys 0, 1 and 2, and a table that counts them."""
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE STREAM events (key BIGINT, value BIGINT)")
        db.execute("CREATE TABLE counts AS SELECT key, count(*) AS n FROM events GROUP BY key")
        for key in range(3):
            db.append("events", [{"key": key, "value": value} for value in range(rows)])
            db.sql("SELECT * FROM counts")
        if with_image:
            db.execute("CHECKPOINT")


def damage_rows_of_key_1(path: Path) -> None:
    """Flip a bit in the second commit to the stream."""
    storage = OsStorage()
    log = Log.open(storage, str(path), read_only=True)
    stream = next(number for number, state in log.state.streams.items() if state.rows > 5)
    second = [extent.offset for _, extent in log.extents(stream)][1]
    version = log.version_of(stream, 0, second)
    log.close()
    for file in [*path.glob("streams/*/*.seg"), *path.glob("commits/*.log")]:
        content = bytearray(file.read_bytes())
        place = _frame_of(bytes(content), stream, version)
        if place is not None:
            content[place + 200] ^= 1
            file.write_bytes(content)
            return
    raise AssertionError("the rows are nowhere")


def _frame_of(content: bytes, stream: int, version: int) -> int | None:
    """Where a frame of rows of a stream, of a commit, begins."""
    for place in range(0, len(content), 64):
        try:
            header, _ = unpack_header(content[place : place + 64])
        except BadFrame:
            continue
        if header.kind in (Kind.ROWS, Kind.COLUMNS) and (header.stream, header.version) == (stream, version):
            return place
    return None


def give_up_what_is_damaged(path: Path) -> None:
    storage = OsStorage()
    found = prospect(storage, str(path), Check(storage, str(path)).findings())
    assert found.losses
    repair(storage, str(path), found.losses)


@pytest.mark.parametrize("rows", SIZES.values(), ids=SIZES.keys())
def test_a_table_is_computed_from_the_rows_that_are_left(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "events.hw"
    filled(path, rows)
    damage_rows_of_key_1(path)
    with pytest.raises(StorageError, match="cannot be read"):
        headwater.connect(path)
    give_up_what_is_damaged(path)
    for _ in range(2):
        with headwater.connect(path, background=False) as db:
            assert db.sql("SELECT * FROM counts ORDER BY key").fetchall() == db.sql(COUNTS).fetchall()
            assert db.sql(COUNTS).fetchall() == [(0, rows), (2, rows)]


def test_a_table_goes_on_from_an_image_that_counted_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "events.hw"
    filled(path, 3, with_image=True)
    damage_rows_of_key_1(path)
    give_up_what_is_damaged(path)
    with headwater.connect(path, background=False) as db:
        db.append("events", [{"key": 1, "value": 9}])
        assert db.sql("SELECT * FROM counts ORDER BY key").fetchall() == [(0, 3), (1, 4), (2, 3)]
        assert db.sql(COUNTS).fetchall() == [(0, 3), (1, 1), (2, 3)]
    with headwater.connect(path, background=False) as db:
        assert db.sql("SELECT n FROM counts WHERE key = 1").fetchall() == [(4,)]


@pytest.mark.parametrize("is_repaired", [False, True])
def test_only_a_repair_excuses_a_table_that_is_not_as_recorded(tmp_path: Path, is_repaired: bool) -> None:
    path = tmp_path / "events.hw"
    filled(path, 3)
    with headwater.connect(path, background=False) as db:
        steps = {"step": {"to": db.log.version, "digests": {str(id): 1 for id in (1, 2)}}}
        if is_repaired:
            db.log.commit([], {"repair": {"rows": []}}, keep=True)
        db.log.commit([], steps)
    if is_repaired:
        headwater.connect(path).close()
    else:
        with pytest.raises(CorruptLog, match="are not those that were recorded"):
            headwater.connect(path)
