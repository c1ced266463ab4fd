"""Index files: the index of a finished commit file, kept beside it so that it need not be made again.

An index file, `commits/<first version>.idx`, is one frame, which names the last frame of the commit file. Its payload:

    four numbers [u64]: how many commits, appends and keys there are, and how many bytes of text
    columns [i64]: time and position of each commit; then of each append, sorted by stream: stream, version,
    partition, segment, seal, offset, count, position, size of the payload; then pairs of a key's number and a version
    text: the keys of notes, as a JSON array

Nothing depends on these files: one that is missing, damaged or of another commit file is made anew. So they are not
synced.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.storage.commits import CommitFile, Placed
from headwater.storage.files import Storage, empty_file
from headwater.storage.frames import (
    HEADER_BYTES,
    BadFrame,
    FrameChain,
    Header,
    Kind,
    crc32c,
    read_payload,
    unpack_header,
)
from headwater.storage.index import FileIndex, numbers
from headwater.storage.state import State

_SIZES = struct.Struct("<QQQQ")
_APPEND_COLUMNS = 9

_Columns = npt.NDArray[np.int64]


def index_path(commits_path: str) -> str:
    """Path of the index of a commit file."""
    return commits_path.removesuffix(".log") + ".idx"


def pack_index(index: FileIndex) -> bytes:
    """The payload of an index file."""
    appends = [
        (number, stream.versions[row], *_fields(stream.placed(row, number)))
        for number, stream in sorted(index.streams.items())
        for row in range(len(stream.versions))
    ]
    pairs = [(number, version) for number, key in enumerate(index.keys) for version in index.keys[key]]
    text = json.dumps(list(index.keys)).encode()
    return b"".join(
        (
            _SIZES.pack(len(index.times), len(appends), len(pairs), len(text)),
            index.times.tobytes(),
            index.positions.tobytes(),
            np.array(appends, dtype=np.int64).T.tobytes(),
            np.array(pairs, dtype=np.int64).T.tobytes(),
            text,
        )
    )


def write_index(storage: Storage, commits: CommitFile, index: FileIndex) -> None:
    """Write the index of a finished commit file."""
    payload = pack_index(index)
    chain = FrameChain(0, commits.seal)
    chain.add(Header(Kind.INDEX, len(payload), crc32c(payload), version=index.first), payload)
    file = empty_file(storage, index_path(commits.path))
    try:
        chain.write(file)
    finally:
        file.close()


def load_index(storage: Storage, commits: CommitFile) -> FileIndex:
    """The index of a finished commit file: from its index file or, if that is no good, from the file itself."""
    try:
        return _unpack(commits, read_index_file(storage, commits))
    except (FileNotFoundError, BadFrame):
        return read_index(commits)


def read_index_file(storage: Storage, commits: CommitFile) -> pa.Buffer:
    """The payload of the index file of a finished commit file. Raise `BadFrame` if it is not what was written."""
    file = storage.open(index_path(commits.path))
    try:
        header, _ = unpack_header(file.read(0, HEADER_BYTES))
        if header.kind is not Kind.INDEX or header.version != commits.first or header.previous != _last_seal(commits):
            raise BadFrame("the index of another file")
        return read_payload(file, 0, header)
    finally:
        file.close()


def read_index(commits: CommitFile) -> FileIndex:
    """The index of a commit file that was opened, made by reading it. Raise `BadFrame` where the file is damaged."""
    index = FileIndex(commits.first, State.from_json(commits.base))
    for position, record in commits.read():
        index.add(record, position)
    return index


def _last_seal(commits: CommitFile) -> int:
    """Seal of the last frame of a finished file, which has no payload."""
    header, seal = unpack_header(commits.file.read(max(0, commits.file.size() - HEADER_BYTES), HEADER_BYTES))
    if header.kind is not Kind.ROLLED:
        raise BadFrame("the file was not finished")
    return seal


def _fields(placed: Placed) -> tuple[int, ...]:
    return (
        placed.partition, placed.segment, placed.seal, placed.offset, placed.count, placed.position,
        placed.payload_size,
    )  # fmt: skip


def _unpack(commits: CommitFile, payload: pa.Buffer) -> FileIndex:
    commit_count, append_count, pair_count, text_size = _SIZES.unpack_from(payload)
    columns = np.frombuffer(payload, dtype=np.int64, offset=_SIZES.size, count=(len(payload) - _SIZES.size) // 8)
    index = FileIndex(commits.first, State.from_json(commits.base))
    index.times.frombytes(columns[:commit_count].tobytes())
    index.positions.frombytes(columns[commit_count : 2 * commit_count].tobytes())
    start = 2 * commit_count
    end = start + _APPEND_COLUMNS * append_count
    _add_appends(index, columns[start:end].reshape(_APPEND_COLUMNS, append_count))
    pairs = columns[end : end + 2 * pair_count].reshape(2, pair_count)
    text = payload.slice(len(payload) - text_size).to_pybytes()
    for number, key in enumerate(json.loads(text)):
        index.keys[key] = numbers()
        index.keys[key].frombytes(pairs[1][pairs[0] == number].tobytes())
    return index


def _add_appends(index: FileIndex, columns: _Columns) -> None:
    for stream in np.unique(columns[0]).tolist():
        begin, end = np.searchsorted(columns[0], [stream, stream + 1])
        index.stream(stream).extend(columns[1:, begin:end])
