"""Consumer groups: programs and sessions that read a stream from where their group has come, each row by one member.

How far a group is, is in the log: an offset per partition, which a commit moves on. Rows that were fetched and not
committed come again, after a crash too. What a transaction makes of rows, and the offsets behind them, are one commit
(`Transaction.consume`), so that each row counts exactly once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

from headwater.engine.asynchronous import in_thread
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import Points
from headwater.engine.result import Result
from headwater.errors import MemberFenced, SqlError, suggestion
from headwater.executor.feed import rows_of
from headwater.executor.ranges import ends_at
from headwater.parser import parse_point, syntax
from headwater.planner import Relation
from headwater.planner.catalog import PSEUDO_TYPES
from headwater.planner.logical import StreamSource
from headwater.storage import Chunk, GroupOffsets
from headwater.storage.consumers import Consumers, Edge, Member

FETCH_ROWS = 10_000  # at a time, where a program says no number
_WAIT_SECONDS = 3600.0  # how long one wait of an iteration lasts before it begins again


class Consumer:
    """A member of a consumer group that reads a stream: a context manager that leaves the group at its end.

    The group's members, in this process, share the partitions of the stream; whoever leaves gives its own back.
    In asyncio: `async for`, and the methods whose names end in `_async`, which do not hold the event loop up.
    """

    def __init__(
        self, pipeline: Pipeline, member: Member, relation: Relation, seek: Callable[[syntax.AsOf], None]
    ) -> None:
        """Use `Database.consumer`, or `Database.consumer_async`. `seek` moves its group in its stream."""
        self._pipeline = pipeline
        self._member = member
        self._seek = seek
        self._leaf = StreamSource(relation.id, relation.name, (*relation.columns, *PSEUDO_TYPES))
        self._is_closed = False

    @property
    def group(self) -> str:
        """The name of its group."""
        return self._member.group

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions that it reads now, as far as it has noticed."""
        return self._member.partitions

    def fetch(self, max_rows: int = FETCH_ROWS, timeout: float = 0.0) -> Result:
        """The next rows of its partitions, in the order of the log, with ROWTIME, ROWPARTITION and ROWOFFSET; none if
        there are none within `timeout` seconds.

        They come again from the group's offsets if it has changed hands since, or was moved by a seek. Raises
        `PositionGone` where retention has passed the position.
        """
        self._pipeline.catch_up()
        return self._result(self._member.fetch(max_rows, timeout))

    async def fetch_async(self, max_rows: int = FETCH_ROWS, timeout: float = 0.0) -> Result:
        """`fetch` for asyncio. If the task is cancelled, no rows were fetched: they come with the next fetch."""

        def attempt() -> tuple[list[Chunk] | None, float]:
            self._pipeline.catch_up()
            return self._member.fetch(max_rows) or None, _WAIT_SECONDS

        return self._result(await self._pipeline.sleepers.first(attempt, self._member.unread, timeout) or [])

    def _result(self, chunks: list[Chunk]) -> Result:
        rows = rows_of(chunks, self._leaf)
        return Result(self._leaf.columns, pa.Table.from_batches([rows]))

    def __iter__(self) -> Iterator[Result]:
        """Batches of rows as they come, until it is closed by another thread. Does not commit."""
        with self._until_closed():
            while True:
                if len(rows := self.fetch(timeout=_WAIT_SECONDS)):
                    yield rows

    async def __aiter__(self) -> AsyncIterator[Result]:
        with self._until_closed():
            while True:
                if len(rows := await self.fetch_async(timeout=_WAIT_SECONDS)):
                    yield rows

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Inside, it is fetched until that is refused, because it has left the group."""
        try:
            yield
        except MemberFenced:
            if not self._is_closed:
                raise

    def commit(self) -> None:
        """Commits how far it has fetched: those rows do not come again.

        Raises `MemberFenced` if a partition that was read has changed hands or was moved; then nothing is committed,
        and the next fetch starts again from the group's offsets.
        """
        self._member.commit()

    async def commit_async(self) -> None:
        """`commit` for asyncio. If the task is cancelled meanwhile, it hears of that when the commit has ended."""
        await in_thread(self.commit)

    def seek(self, point: str) -> None:
        """Moves the group, all members of it, in this stream: to `EARLIEST`, `LATEST`, `OFFSET n`, `VERSION n`, or a
        time. What was fetched and not committed is forgotten.
        """
        self._seek(parse_point(point))

    async def seek_async(self, point: str) -> None:
        """`seek` for asyncio. If the task is cancelled meanwhile, it hears of that when the group has moved."""
        await in_thread(lambda: self.seek(point))

    def rewind(self) -> None:
        """Forgets what was fetched and not committed: it comes again."""
        self._member.rewind()

    def offsets(self) -> GroupOffsets:
        """What `commit` would commit."""
        return self._member.offsets()

    def close(self) -> None:
        """Leaves the group. What was fetched and not committed goes to others. Calling it again does nothing."""
        self._is_closed = True
        self._member.leave()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Groups:
    """The consumer groups of a database, and the members that the statements of its session are."""

    def __init__(self, pipeline: Pipeline, points: Callable[[], Points]) -> None:
        """`points` finds where a point of the log is."""
        self._pipeline = pipeline
        self._points = points
        self._consumers = Consumers(pipeline.log)
        self._members: dict[tuple[str, int], Consumer] = {}  # those of the session, by group and stream

    def join(self, group: str, relation: Relation, start: Edge = "earliest") -> Consumer:
        """A new member of a group that reads a stream; a group that is new begins at `start`."""
        partitions = max(relation.partitions, 1, *(p + 1 for p in self._pipeline.log.ends(relation.id)))
        member = self._consumers.join(group, relation.id, partitions, start)
        return Consumer(self._pipeline, member, relation, lambda point: self._move(group, relation, point))

    def members(self, group: syntax.Identifier) -> list[Consumer]:
        """The session's members of a group. Raises SqlError if it has none."""
        found = [member for (name, _), member in self._members.items() if name == group.text]
        if not found:
            raise SqlError(
                f'nothing was fetched for the group "{group.text}" in this session', group.span,
                hint=f"FETCH … FROM … GROUP {group.text} first",
            )  # fmt: skip
        return found

    def run(self, statement: syntax.Fetch | syntax.CommitGroup | syntax.Seek) -> Result:
        """Runs FETCH, COMMIT GROUP or SEEK GROUP."""
        match statement:
            case syntax.Fetch():
                return self.fetch(statement)
            case syntax.CommitGroup(group=group):
                for member in self.members(group):
                    member.commit()
                return Result.of_message(f"committed what {group.text} has fetched")
            case syntax.Seek():
                return self._seek(statement)

    def fetch(self, statement: syntax.Fetch) -> Result:
        """Runs FETCH, as a member that the session has, or gets now."""
        relation = self.stream(statement.relation)
        place = statement.group.text, relation.id
        if place not in self._members:
            self._members[place] = self.join(statement.group.text, relation)
        if statement.count < 1:
            raise SqlError("FETCH takes at least one row", statement.span, hint="FETCH 100 FROM …")
        return self._members[place].fetch(statement.count, (statement.wait_us or 0) / 1e6)

    def _seek(self, statement: syntax.Seek) -> Result:
        group = statement.group.text
        log = self._pipeline.log
        if group not in log.groups():
            hint = suggestion(group, log.groups(), "groups")
            raise SqlError(f'there is no group "{group}"', statement.group.span, hint=hint)
        read = {stream for stream, _ in log.group_offsets(group)}
        relations = [r for r in self._pipeline.catalog.ordered() if r.id in read]
        if statement.relation is not None:
            relations = [self.stream(statement.relation)]
        for relation in relations:
            self._move(group, relation, statement.point)
        names = ", ".join(relation.name for relation in relations)
        return Result.of_message(f"moved {group} in {names}")

    def _move(self, group: str, relation: Relation, point: syntax.AsOf) -> None:
        self._consumers.seek(group, relation.id, self._target(relation, point))

    def _target(self, relation: Relation, point: syntax.AsOf) -> Edge | dict[int, int]:
        if point.kind == "earliest":
            return "earliest"
        if point.kind == "latest":
            return "latest"
        ends = ends_at(self._pipeline.log, relation.id, self._points().cut(point, [relation.source()]))
        partitions = {*range(relation.partitions), *self._pipeline.log.ends(relation.id)}
        return {partition: ends.get(partition, 0) for partition in sorted(partitions)}

    def stream(self, name: syntax.Identifier) -> Relation:
        """The stream of that name. Raises SqlError for what no group reads."""
        relation = self._pipeline.catalog.find(name)
        if not relation.is_stream:
            raise SqlError(
                f'"{relation.name}" is a table, and a group reads records', name.span,
                hint=f"SELECT … FROM CHANGES OF {relation.name} EMIT CHANGES watches it",
            )  # fmt: skip
        return relation
