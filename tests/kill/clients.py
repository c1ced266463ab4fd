"""The processes that are killed: one that writes a log for many clients, and one that reads beside it.

    python clients.py write DIRECTORY LIFE
    python clients.py read DIRECTORY LIFE

The writer has producers, which add to three streams at once, and number what they send; in each life they begin with
what they sent last. And it has members of a group, which read the first stream, and commit how far they came together
with what they made of it. Both processes print what their clients do, a JSON list a line, and go on until somebody ends
them.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterable

import pyarrow as pa

from headwater.errors import MemberFenced, SequenceGap
from headwater.storage import Append, Chunk, Commit, Log, OsStorage, Stamp
from headwater.storage.consumers import Consumers
from tests.kill.history import Place, result_of

STREAMS = (0, 1, 2)
RESULTS = 3
PARTITIONS = 3
GROUP = "group"
PRODUCERS = ("bike", "car", "van")
MEMBERS = ("first", "second")

Values = tuple[tuple[Place, str], ...]

_printing = threading.Lock()


def opened(directory: str, *, read_only: bool = False) -> Log:
    """A log whose files are small, so that there are many."""
    return Log.open(
        OsStorage(), directory, read_only=read_only, segment_bytes=20_000, inline_bytes=2_000, commits_bytes=20_000
    )


def values_of(producer: str, sequence: int) -> Values:
    """What a producer sends as its commit of a number: to each stream something, in any life the same."""
    chance = random.Random(f"{producer}/{sequence}")
    return tuple(
        ((stream, partition), f"{producer}:{sequence}:{stream}:{number}")
        for stream in STREAMS
        for partition in [chance.randrange(PARTITIONS)]
        for number in range(chance.randint(1, 3))
    )


def appends(values: Values) -> list[Append]:
    """The rows of values, of which some are so large that they go into segments."""
    places = dict.fromkeys(place for place, _ in values)
    together = {place: [value for other, value in values if other == place] for place in places}
    padding = "." * (3_000 if len(values) % 3 == 0 else 10)
    return [
        Append(*place, pa.record_batch({"value": some, "padding": [padding] * len(some)}))
        for place, some in together.items()
    ]


def rows_of(chunks: Iterable[tuple[int, Chunk]]) -> list[tuple[int, int, int, str]]:
    """Stream, partition, offset and value of each row."""
    return [
        (stream, chunk.partition, chunk.offset + number, value)
        for stream, chunk in chunks
        for number, value in enumerate(chunk.rows.column("value").to_pylist())
    ]


def say(*what: object) -> None:
    with _printing:
        print(json.dumps(what), flush=True)


def produce(log: Log, name: str, life: int) -> None:
    """Send one commit after the other, some of them twice, and some whose number is too high, which are refused."""
    chance = random.Random(f"{name}/{life}")
    stamp = log.register(name)
    sequence = max(stamp.sequence, 1)
    while True:
        for _ in range(2 if chance.random() < 0.1 else 1):
            values = values_of(name, sequence)
            say("try", name, sequence, values)
            made = log.commit(appends(values), stamp=Stamp(stamp.producer, stamp.epoch, sequence))
            say("made", name, *answered(made))
        if chance.random() < 0.1:
            never = tuple((place, f"{value}:never{life}") for place, value in values_of(name, sequence + 2))
            say("try", name, sequence + 2, never)
            try:
                log.commit(appends(never), stamp=Stamp(stamp.producer, stamp.epoch, sequence + 2))
            except SequenceGap:
                say("refused", name)
        sequence += 1


def work(log: Log, consumers: Consumers, name: str, life: int) -> None:
    """Read, and commit what is made of it; now and then leave the group and join it again."""
    chance = random.Random(f"{name}/{life}")
    client = f"{name}/{life}"
    attempt = 0
    while True:
        member = consumers.join(GROUP, STREAMS[0], PARTITIONS)
        for _ in range(chance.randint(5, 50)):
            chunks = member.fetch(chance.randint(1, 20), timeout=0.05)
            rows = rows_of((STREAMS[0], chunk) for chunk in chunks)
            say("poll", f"{client}/{member.generation}", False, rows)
            if not rows:
                continue
            attempt += 1
            values = tuple(
                ((RESULTS, partition), result_of(value, f"{client}/{attempt}")) for _, partition, _, value in rows
            )
            say("try", client, attempt, values)
            try:
                offsets = member.offsets()
                made = log.commit(appends(values), offsets=[offsets])
            except MemberFenced:
                say("refused", client)
            else:
                say("made", client, *answered(made))
                say("progress", GROUP, made.version, [[*place, offset] for place, offset in offsets.offsets.items()])
        member.leave()


def answered(made: Commit) -> tuple[int, list[tuple[int, int, int, int]]]:
    return made.version, [(e.stream, e.partition, e.offset, e.count) for e in made.extents]


def write(directory: str, life: int) -> None:
    log = opened(directory)
    consumers = Consumers(log)
    threads = [threading.Thread(target=produce, args=(log, name, life)) for name in PRODUCERS]
    threads += [threading.Thread(target=work, args=(log, consumers, name, life)) for name in MEMBERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read(directory: str, life: int) -> None:
    log = opened(directory, read_only=True)
    seen = log.version
    while True:
        version = log.wait(seen, timeout=1)
        rows = rows_of((stream, chunk) for stream in (*STREAMS, RESULTS) for chunk in log.scan(stream, seen, version))
        say("poll", f"reader/{life}", True, rows)
        seen = version


if __name__ == "__main__":
    _, role, path, number = sys.argv
    {"write": write, "read": read}[role](path, int(number))
