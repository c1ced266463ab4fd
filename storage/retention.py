"""Retention: what becomes of files that nothing needs any more.

A commit says what is no more (see `Removal` in `writer.py`); after that the files are removed, once nobody reads them.
A crash in between leaves files that nothing names. They are found when the log is opened: a segment or image with a
number that was in use and is not, a commit file older than what is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from headwater.storage.chain import CommitLog
from headwater.storage.files import Storage, numbered_files
from headwater.storage.images import image_path
from headwater.storage.readers import Readers
from headwater.storage.segments import Segments
from headwater.storage.state import State


def live_images(state: State) -> set[int]:
    """Numbers of the image files that published images consist of."""
    return {number for image in state.images.values() for number in (image.number, *image.others)}


class Remover:
    """Removes files of one database."""

    def __init__(
        self, storage: Storage, chain: CommitLog, segments: Segments, readers: Readers, images_path: str
    ) -> None:
        self._storage = storage
        self._chain = chain
        self._segments = segments
        self._readers = readers
        self._images_path = images_path

    def remove_unneeded(self, streams: Iterable[int]) -> None:
        """Remove what is left of the given streams before their first segment; images and commit files likewise."""
        paths = [
            *(path for stream in streams for path in self._dead_segments(stream)),
            *self._dead_images(),
            *self._chain.unneeded(),
        ]
        if paths:
            self._readers.when_gone(lambda: self._remove(paths))

    def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._segments.files.forget(path)
            with suppress(OSError):  # what stays is found when the log is opened
                self._storage.remove(path)

    def _dead_segments(self, stream: int) -> list[str]:
        known = self._chain.state.streams[stream].segments
        live = {segment.number for segment in known}
        newest = max(live, default=-1)
        return [
            self._segments.path(stream, number)
            for number in self._segments.listed(stream)
            if number < newest and number not in live
        ]

    def _dead_images(self) -> list[str]:
        state = self._chain.state
        live = live_images(state)
        return [
            image_path(self._images_path, number)
            for number in numbered_files(self._storage, self._images_path, ".img")
            if number <= state.image_number and number not in live
        ]
