"""The bytes of a file in memory, as a row of immutable pieces: views stay valid, and appending copies nothing.

In: writes and truncations; out: copies and views of the bytes, and cheap copies of the whole.
"""

from __future__ import annotations

from bisect import bisect_right

import pyarrow as pa


class Content:
    """The bytes of a file. Safe to read from several threads while one appends."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self.size = 0

    def copy(self) -> Content:
        copied = Content()
        copied._starts, copied._pieces, copied.size = self._starts.copy(), self._pieces.copy(), self.size
        return copied

    def view(self, offset: int, size: int) -> pa.Buffer:
        number = bisect_right(self._starts, offset) - 1
        if number >= 0:
            start, piece = self._starts[number], self._pieces[number]
            if offset + size <= start + len(piece):
                return pa.py_buffer(piece).slice(offset - start, size)
        return pa.py_buffer(self.read(offset, size))

    def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        number = bisect_right(self._starts, offset) - 1
        start, piece = self._starts[number], self._pieces[number]
        if end <= start + len(piece):
            return piece[offset - start : end - start]
        parts = []
        while offset < end:
            start, piece = self._starts[number], self._pieces[number]
            parts.append(piece[offset - start : end - start])
            offset = start + len(piece)
            number += 1
        return b"".join(parts)

    def all(self) -> bytes:
        return b"".join(self._pieces)

    def apply(self, operation: tuple[int, bytes | None]) -> None:
        offset, data = operation
        if data is None:
            self.truncate(offset)
        else:
            self.write(offset, data)

    def write(self, offset: int, data: bytes) -> None:
        behind = self.read(offset + len(data), self.size)
        self.truncate(offset)
        self._append(data)
        self._append(behind)

    def truncate(self, size: int) -> None:
        while self._starts and self._starts[-1] >= size:
            self._starts.pop()
            self._pieces.pop()
        if self._starts:
            self._pieces[-1] = self._pieces[-1][: size - self._starts[-1]]
        missing = size - self.size
        self.size = min(self.size, size)
        if missing > 0:
            self._append(bytes(missing))

    def _append(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._starts.append(self.size)  # after the piece, for a reader that looks now
            self.size += len(data)
