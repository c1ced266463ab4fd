"""Making again what is damaged and loses nothing by it: because what is left says what it must have been.

That is FORMAT, while the identity in it can be told; the base of a commit file, which is the sum of the commits before
it; and the end of a last segment that holds no rows any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.errors import CorruptLog
from headwater.storage.chain import commits_path, listed_files
from headwater.storage.check_commits import latest_state, seal_before_mark
from headwater.storage.commits import CommitFile, pack_json
from headwater.storage.directory import read_format, rebuilt_format, write_format
from headwater.storage.files import Storage, own_file, parent, sync_directory, sync_file
from headwater.storage.findings import Finding
from headwater.storage.frames import HEADER_BYTES, BadFrame, FrameChain, Header, Kind, crc32c, unpack_header
from headwater.storage.state import State


def rebuild(storage: Storage, path: str, findings: Sequence[Finding], *, apply: bool) -> Iterator[Finding]:
    """The findings that can be made good without any loss; with `apply`, they are."""
    with_rows = {finding.path for finding in findings if finding.subject == "rows"}
    for finding in findings:
        if (
            (finding.subject == "format" and _rebuild_format(storage, path, apply=apply))
            or (finding.subject == "commits" and finding.position == 0 and _rebuild_base(storage, path, finding, apply))
            or (finding.subject == "segment" and finding.path not in with_rows)
        ):
            if finding.subject == "segment" and apply:
                stretch_segment(storage, path, finding.path)
            yield finding


def _rebuild_format(storage: Storage, path: str, *, apply: bool) -> bool:
    state = latest_state(storage, f"{path}/commits", listed_files(storage, f"{path}/commits"))
    if state is None or not storage.exists(f"{path}/FORMAT"):
        return False
    line = rebuilt_format(storage, path, state.origin)
    if line is not None and apply:
        write_format(storage, path, line)
    return line is not None


def _rebuild_base(storage: Storage, path: str, finding: Finding, apply: bool) -> bool:
    """Whether the base of a commit file can be told from what comes before it, and proven by what comes after it."""
    directory = f"{path}/commits"
    firsts = listed_files(storage, directory)
    first = next((n for n in firsts if commits_path(directory, n) == finding.path), None)
    if first is None:
        return False
    before = _state_before(storage, path, firsts, first)
    if before is None:
        return False
    state, seal = before
    payload = pack_json(state.to_json())
    chain = FrameChain(0, seal)
    chain.add(Header(Kind.BASE, len(payload), crc32c(payload), version=first - 1), payload)
    file = own_file(storage, finding.path) if apply else storage.open(finding.path)
    try:
        following, _ = unpack_header(file.read(chain.end, HEADER_BYTES))
        if following.previous != chain.seal:
            return False
        if apply:
            chain.write(file)
            sync_file(file)
    except BadFrame:
        return False
    finally:
        file.close()
    return True


def _state_before(storage: Storage, path: str, firsts: Sequence[int], first: int) -> tuple[State, int] | None:
    """The state before a commit file, and the seal that it rests on."""
    if first == 1:
        try:
            origin = read_format(storage, path)
        except CorruptLog:
            return None
        return State(origin), origin
    older = [n for n in firsts if n < first]
    if not older:
        return None
    log = commits_path(f"{path}/commits", older[-1])
    commits = CommitFile(storage.open(log), log, older[-1])
    try:
        commits.open()
        state = State.from_json(commits.base)
        for _, record in commits.read():
            state.apply(record, commits.first)
    except BadFrame:
        return None
    return (state, seal_before_mark(commits)) if state.version == first - 1 else None


def stretch_segment(storage: Storage, path: str, segment_path: str) -> None:
    """Give a last segment the length that the commit log knows, so that it can be gone on with behind it."""
    state = latest_state(storage, f"{path}/commits", listed_files(storage, f"{path}/commits"))
    assert state is not None, "it was checked with a state"
    for number, stream in state.streams.items():
        for segment in stream.segments:
            if f"{path}/streams/{number}/{segment.number}.seg" == segment_path:
                directory = parent(segment_path)
                if not storage.exists(directory):
                    storage.mkdir(directory)
                    sync_directory(storage, parent(directory))
                exists = storage.exists(segment_path)
                file = own_file(storage, segment_path) if exists else storage.open(segment_path, create=True)
                if file.size() < segment.end:
                    file.truncate(segment.end)
                sync_file(file)
                file.close()
                sync_directory(storage, directory)
