"""Giving up the commits after a version, because the commit log cannot be read behind it.

In: a version; out: a log that ends there. All bytes that the log loses by it are first kept in `lost/<number>`. A crash
in between leaves a log that opening refuses, or one that ends at that version already; the same call finishes the rest.

The order of the steps makes that so: what is kept is durable before anything goes; files go from the newest to the
oldest, and the one that is cut comes last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from headwater.storage.chain import commits_path, listed_files
from headwater.storage.commits import CommitFile, pack_json
from headwater.storage.files import Storage, copy_bytes, own_file, sync_directory, sync_file, write_all
from headwater.storage.findings import Finding
from headwater.storage.frames import BadFrame
from headwater.storage.index_files import index_path
from headwater.storage.state import State

_PLAN = "UNFINISHED"  # says what is being given up, until a commit says so


def unfinished(storage: Storage, path: str) -> dict[str, int | str] | None:
    """The note of an earlier call that was not finished: the commit that is to record it was not made."""
    for number in _numbers(storage, path):
        if storage.exists(f"{path}/lost/{number}/{_PLAN}"):
            file = storage.open(f"{path}/lost/{number}/{_PLAN}")
            text = file.read(0, file.size())
            file.close()
            with suppress(ValueError):  # a crash while it was written: nothing else has been done yet
                note: dict[str, int | str] = json.loads(text)
                return note
    return None


def give_up(storage: Storage, path: str, first_break: Finding) -> dict[str, int | str]:
    """Cut the log after the version of `first_break`; the note that a commit must record, see `forget_plan`."""
    note = unfinished(storage, path)
    if note is None or note["after"] != first_break.version:
        note = {"after": first_break.version, "saved": f"lost/{_free_number(storage, path)}"}
    saved = f"{path}/{note['saved']}"
    for directory in (f"{path}/lost", saved):
        if not storage.exists(directory):
            storage.mkdir(directory)
    _write(storage, f"{saved}/{_PLAN}", pack_json(note))
    kept, end, state = _last_whole(storage, path, first_break)
    for source, start in _tails(storage, path, kept, end, state):
        _save(storage, path, source, start, saved)
    for directory in (saved, f"{path}/lost", path):
        sync_directory(storage, directory)
    _cut(storage, f"{path}/commits", kept, end)
    return note


def forget_plan(storage: Storage, path: str, note: dict[str, int | str]) -> None:
    """A commit records what was given up."""
    storage.remove(f"{path}/{note['saved']}/{_PLAN}")
    sync_directory(storage, f"{path}/{note['saved']}")


def _numbers(storage: Storage, path: str) -> list[int]:
    if not storage.exists(f"{path}/lost"):
        return []
    return sorted(int(name) for name in storage.listdir(f"{path}/lost") if name.isdigit())


def _free_number(storage: Storage, path: str) -> int:
    """Number of a directory in which nothing has been kept yet."""
    last = max(_numbers(storage, path), default=0)
    is_begun = last > 0 and set(storage.listdir(f"{path}/lost/{last}")) <= {_PLAN}
    return last if is_begun else last + 1


def _last_whole(storage: Storage, path: str, first_break: Finding) -> tuple[int, int, State]:
    """The commit file that becomes the newest, by its first version; where it will end; the state there."""
    directory = f"{path}/commits"
    candidates = [n for n in listed_files(storage, directory) if commits_path(directory, n) <= first_break.path]
    if first_break.position == 0 and candidates and commits_path(directory, candidates[-1]) == first_break.path:
        candidates.pop()
    first = candidates[-1]
    log = commits_path(directory, first)
    commits = CommitFile(storage.open(log), log, first)
    commits.open()
    state, end = State.from_json(commits.base), commits.end
    try:
        for _, record in commits.read():
            if record.version > first_break.version:
                break
            state.apply(record, first)
            end = commits.end
    except BadFrame:
        pass  # this is the break
    return first, end, state


def _tails(storage: Storage, path: str, kept: int, end: int, state: State) -> Iterator[tuple[str, int]]:
    """What the log loses: files and positions from which on."""
    for first in listed_files(storage, f"{path}/commits"):
        if first >= kept:
            yield commits_path(f"{path}/commits", first), end if first == kept else 0
    streams = f"{path}/streams"
    for name in storage.listdir(streams):
        known = state.streams.get(int(name)) if name.isdigit() else None
        ends = {segment.number: segment.end for segment in known.segments} if known is not None else {}
        for file in storage.listdir(f"{streams}/{name}"):
            number = file.removesuffix(".seg")
            if number.isdigit() and (int(number) in ends or int(number) > max(ends, default=-1)):
                yield f"{streams}/{name}/{file}", ends.get(int(number), 0)


def _save(storage: Storage, path: str, source: str, start: int, saved: str) -> None:
    """Keep what a file has behind a position, under a name that says where it was."""
    file = storage.open(source)
    size = file.size()
    if size > start:
        name = source.removeprefix(f"{path}/").replace("/", "-")
        target = storage.open(f"{saved}/{name}.{start}", create=True)
        copy_bytes(file, target, start, size)
        sync_file(target)
        target.close()
    file.close()


def _cut(storage: Storage, directory: str, kept: int, end: int) -> None:
    """Remove the commit files behind one, and cut that one."""
    for first in reversed(listed_files(storage, directory)):
        log = commits_path(directory, first)
        if first >= kept and storage.exists(index_path(log)):
            storage.remove(index_path(log))
        if first > kept:
            storage.remove(log)
            sync_directory(storage, directory)
    file = own_file(storage, commits_path(directory, kept))
    file.truncate(end)
    sync_file(file)
    file.close()


def _write(storage: Storage, path: str, content: bytes) -> None:
    file = storage.open(path, create=True)
    file.truncate(0)
    write_all(file, 0, content)
    sync_file(file)
    file.close()
