"""A workload on a log that knows what the log must hold afterwards.

Every commit has an identity, which goes into its note, and rows that are made from the identity. The identity carries
the generation, so that a commit tried again after a crash differs from the first try, and what a log holds can be
compared with what was tried and what was acknowledged. Of the commits of a generation, number 2 has another schema,
number 3 is an image, and 4 to 8 are one group. Rows of odd commits are longer than a sector, so that they can be torn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from headwater.storage import Append, Log, Storage
from headwater.storage.log import encoded
from headwater.storage.writer import make_request
from tests.storage.enumerator import Workload

PATH = "shop.hw"
SEGMENT_BYTES = 4096
STREAMS = (1, 2)
IMAGE = 3
GROUP = range(4, 9)
LAST = 9

Rows = tuple[str, ...]


@dataclass(slots=True)
class Ledger:
    """Identities of commits: acknowledged, in order, and tried without an answer.

    `generation` counts the lives; `interrupted` is the number of the commit that the last one ended with.
    """

    generation: int = 0
    acknowledged: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    interrupted: int = 0

    def refused(self) -> None:
        """Nothing of what is unanswered may ever be there."""
        self.unanswered.clear()


def open_log(storage: Storage) -> Log:
    return Log.open(storage, PATH, segment_bytes=SEGMENT_BYTES)


def make_commit(log: Log, ledger: Ledger, number: int) -> None:
    """Try one commit, and note how it went."""
    identity = f"g{ledger.generation}c{number}"
    ledger.unanswered.append(identity)
    if number == IMAGE:
        log.save_image({"part": batch("value", image_rows(identity))}, {"identity": identity})
    else:
        log.commit(appends(identity), {"identity": identity})
    ledger.unanswered.clear()
    ledger.acknowledged.append(identity)


def make_group(log: Log, ledger: Ledger) -> None:
    """Try the commits that share syncs. What brings them together is the business of threads, so it is left out."""
    identities = [f"g{ledger.generation}c{number}" for number in GROUP]
    ledger.unanswered += identities
    requests = [make_request([encoded(a) for a in appends(i)], None, {"identity": i}) for i in identities]
    log._writer._lead(requests)
    for request in requests:
        if request.error is not None:
            raise request.error
    ledger.unanswered.clear()
    ledger.acknowledged += identities


def appends(identity: str) -> list[Append]:
    column = "renamed" if number_of(identity) == 2 else "value"
    return [Append(stream, partition, batch(column, rows)) for (stream, partition), rows in rows_of(identity).items()]


def rows_of(identity: str) -> dict[tuple[int, int], Rows]:
    """What the commit of an identity holds: rows by stream and partition."""
    number = number_of(identity)
    length = 700 if number % 2 else 10
    if number == IMAGE:
        return {}
    return {
        (1, number % 2): (f"{identity} first", identity * length),
        (2, 0): (f"{identity} second",),
    }


def image_rows(identity: str) -> Rows:
    return (f"{identity} image", identity * 400)


def number_of(identity: str) -> int:
    return int(identity.rpartition("c")[2])


def batch(column: str, rows: Rows) -> pa.RecordBatch:
    return pa.record_batch({column: list(rows)})


def found_in(log: Log) -> list[tuple[str, dict[tuple[int, int], Rows]]]:
    """All commits of a log: their identities, and their rows by stream and partition."""
    found = [(identity, dict[tuple[int, int], Rows]()) for _, identity in log.notes("identity")]
    assert len(found) == log.version, "every commit has its note"
    for stream in STREAMS:
        next_offsets: dict[int, int] = {}
        for chunk in log.scan(stream):
            assert chunk.offset == next_offsets.get(chunk.partition, 0), "offsets have no gaps"
            next_offsets[chunk.partition] = chunk.offset + chunk.rows.num_rows
            rows = tuple(chunk.rows.column(0).to_pylist())
            found[chunk.version - 1][1][stream, chunk.partition] = rows
        assert log.ends(stream) == next_offsets
    for image in log.images():
        assert log.load_image(image) == {"part": batch("value", image_rows(image.note["identity"]))}
    times = [log.time_of(version) for version in range(1, log.version + 1)]
    assert times == sorted(times), "time does not go back"
    return found


def settle(log: Log, ledger: Ledger) -> None:
    """All that was acknowledged is there, nothing else is but whole commits; what is there counts from now on."""
    found = found_in(log)
    check_found(found, ledger)
    ledger.interrupted = number_of(ledger.unanswered[0]) if ledger.unanswered else 0
    ledger.acknowledged, ledger.unanswered = [identity for identity, _ in found], []
    ledger.generation += 1


def go_on(log: Log, ledger: Ledger) -> None:
    """Try again what a crash interrupted, and one thing more."""
    make_commit(log, ledger, ledger.interrupted)
    make_commit(log, ledger, 1)


def check_found(found: list[tuple[str, dict[tuple[int, int], Rows]]], ledger: Ledger) -> None:
    identities = [identity for identity, _ in found]
    acknowledged = len(ledger.acknowledged)
    assert identities[:acknowledged] == ledger.acknowledged, "what was acknowledged is there, in order, once"
    more = identities[acknowledged:]
    assert more == ledger.unanswered[: len(more)], "what else is there was tried, and nothing before it is missing"
    for identity, rows in found:
        assert rows == rows_of(identity), "a commit is there as it was made, or not at all"


LEDGER = Workload(
    "ledger",
    Ledger,
    open_log,
    [
        *(partial(make_commit, number=number) for number in range(GROUP.start)),
        make_group,
        partial(make_commit, number=LAST),
    ],
    settle,
    go_on,
)
