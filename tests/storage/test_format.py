"""The bytes in docs/log-format.md are those that are written."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from headwater.storage import Append, Log, SimulatedDisk
from headwater.storage.commits import CommitFile, Placed, Record
from headwater.storage.frames import Kind, crc32c
from headwater.storage.state import State

DOCUMENT = (Path(__file__).parents[2] / "docs" / "log-format.md").read_text()


def test_the_example_in_the_document_is_what_is_written() -> None:
    disk = SimulatedDisk()
    origin = crc32c(b"00112233445566778899aabbccddeeff")
    commits = CommitFile.create(disk.open("1.log", create=True), "1.log", 1, origin, State(origin).to_json())
    group = commits.group()
    placed = Placed(3, 1, 0, 0x89ABCDEF, offset=0, count=2, position=192, payload_size=184)
    group.add_commit(Record(1, 1_700_000_000_000_000, (placed,), {"keep": True}, b'{"by":"me"}'))
    commits.write(group)
    dump = re.findall(r"^    [0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)$", DOCUMENT, re.MULTILINE)
    assert disk.files()["1.log"] == bytes.fromhex(" ".join(dump))


def test_the_document_has_all_kinds_of_frames_and_all_members_of_the_state() -> None:
    kinds = set(re.findall(r"^\| `([A-Z])` ", DOCUMENT, re.MULTILINE))
    assert kinds == {kind.value.decode() for kind in Kind}
    assert set(State(0).to_json()) <= set(re.findall(r"`(\w+)`", DOCUMENT.partition("## The state")[2]))


def test_a_reader_who_knows_only_the_document_finds_the_rows() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, "shop.hw", inline_bytes=300)
    small, large = pa.record_batch({"value": [7]}), pa.record_batch({"value": [8] * 100, "more": ["x"] * 100})
    log.commit([Append(3, 1, small)])
    log.commit([Append(3, 1, large)])
    log.close()
    files = disk.files()
    commits = files[f"shop.hw/commits/{1:020}.log"]
    schemas: list[pa.Schema] = []
    found = []
    for kind, payload in frames(commits):
        if kind == "C":
            extents, effects = int.from_bytes(payload[8:12], "little"), int.from_bytes(payload[12:16], "little")
            for at in range(24, 24 + 48 * extents, 48):
                stream, _, segment, _ = (int.from_bytes(payload[n : n + 4], "little") for n in range(at, at + 16, 4))
                position = int.from_bytes(payload[at + 32 : at + 40], "little")
                home = commits if segment == 2**32 - 1 else files[f"shop.hw/streams/{stream}/{segment}.seg"]
                found.append((home, position))
            added = json.loads(payload[24 + 48 * extents :][:effects]).get("schemas", [])
            schemas += [pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text))) for _, text in added]
    batches = []
    for home, position in found:
        schema = schemas[int.from_bytes(home[position + 44 : position + 48], "little")]
        size = int.from_bytes(home[position + 16 : position + 24], "little")
        batches.append(pa.ipc.read_record_batch(pa.py_buffer(home[position + 64 : position + 64 + size]), schema))
    assert batches == [small, large]
    assert found[0][0] is commits and found[1][0] is not commits


def frames(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Kinds and payloads of the frames of a file, checked as the document says."""
    position, previous = 0, content[8:12]
    while position < len(content):
        header = content[position : position + 64]
        assert header[:3] == b"HWF" and header[8:12] == previous
        assert int.from_bytes(header[4:8], "little") == crc32c(header[3:4] + header[8:])
        size = int.from_bytes(header[16:24], "little")
        payload = content[position + 64 : position + 64 + size]
        assert int.from_bytes(header[12:16], "little") == crc32c(payload)
        yield chr(header[3]), payload
        position, previous = position + 64 + -(-size // 64) * 64, header[4:8]
