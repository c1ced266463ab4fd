"""The bytes in docs/log-format.md are those that are written."""

from __future__ import annotations

import re
from pathlib import Path

from headwater.storage import SimulatedDisk
from headwater.storage.commits import CommitLog, Placed, Record
from headwater.storage.frames import crc32c

DOCUMENT = Path(__file__).parents[2] / "docs" / "log-format.md"


def test_the_example_in_the_document_is_what_is_written() -> None:
    disk = SimulatedDisk()
    log = CommitLog(disk.open("commits.log", create=True), "commits.log", crc32c(b"00112233445566778899aabbccddeeff"))
    placed = Placed(3, 1, 0, 0x89ABCDEF, offset=0, count=2, position=192, payload_size=184)
    log.write([Record(1, 1_700_000_000_000_000, (placed,), None, b'{"by":"me"}')])
    dump = re.findall(r"^    [0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)$", DOCUMENT.read_text(), re.MULTILINE)
    assert disk.files()["commits.log"] == bytes.fromhex(" ".join(dump))
