"""Whatever is committed is what is scanned, however it was cut into commits, segments and lives."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.storage import Append, Log, SimulatedDisk

PATH = "shop.hw"

appends = st.tuples(st.integers(0, 2), st.integers(0, 2), st.lists(st.text(max_size=40) | st.none(), max_size=5))
commits = st.lists(st.tuples(st.lists(appends, max_size=4), st.booleans()), max_size=12)


@settings(max_examples=150, deadline=None)
@given(commits, st.integers(1, 3000), st.data())
def test_a_scan_gives_what_was_committed(
    commits: list[tuple[list[tuple[int, int, list[str | None]]], bool]], segment_bytes: int, data: st.DataObject
) -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH, segment_bytes=segment_bytes)
    expected: list[tuple[int, int, int, int, list[str | None]]] = []  # version, stream, partition, offset, values
    ends: list[dict[tuple[int, int], int]] = [{}]
    for version, (some, reopen) in enumerate(commits, start=1):
        if reopen:
            log.close()
            log = Log.open(disk, PATH, segment_bytes=segment_bytes)
        batches = [Append(stream, partition, text_batch(values)) for stream, partition, values in some]
        assert log.commit(batches).version == version
        ends.append(dict(ends[-1]))
        for stream, partition, values in some:
            if values:
                offset = ends[-1].get((stream, partition), 0)
                expected.append((version, stream, partition, offset, values))
                ends[-1][stream, partition] = offset + len(values)

    after = data.draw(st.integers(0, len(commits)))
    upto = data.draw(st.integers(0, len(commits)))
    for stream in range(3):
        found = [
            (chunk.version, stream, chunk.partition, chunk.offset, chunk.rows.column(0).to_pylist())
            for chunk in log.scan(stream, after, upto)
        ]
        assert found == [row for row in expected if row[1] == stream and after < row[0] <= upto]
        assert log.ends(stream, upto) == {p: end for (s, p), end in sorted(ends[upto].items()) if s == stream}
    log.close()


def text_batch(values: list[str | None]) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(values, pa.string())})
