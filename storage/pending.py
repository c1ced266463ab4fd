"""Commits that are written together, as one that comes behind them sees them when its turn has come.

Whoever commits can give a check: it is called right before the commit gets its version, by the thread that writes for
all, one after the other. It sees what is published, in the log, and what is pending, here; it raises a HeadwaterError
to refuse the commit. So what was found to be so still is when the commit is made, and commits share a sync all the
same. A check must not wait for anybody who commits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from headwater.storage.records import Append


class Pending:
    """The commits of a group: they have their versions, and nobody sees them yet.

    `are_made` becomes true with the sync that makes all of them durable, and never if they fail.
    """

    def __init__(self) -> None:
        self.commits: list[tuple[int, Sequence[Append]]] = []
        self.are_made = False

    def rows_of(self, stream: int) -> list[pa.RecordBatch]:
        """The rows that they add to a stream, in order."""
        return [append.rows for _, appends in self.commits for append in appends if append.stream == stream]


Check = Callable[[Pending], None]
