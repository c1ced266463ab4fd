"""A second database with the same log: it gets the commits of another one's sources as they are, and other steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.engine.database import Database
from headwater.storage import Append, SimulatedDisk
from tests.executor.differential import Case
from tests.executor.oracle import Rows, canonical


@dataclass(frozen=True)
class Piece:
    """Rows of one partition of a source, as they are stored."""

    relation: str
    partition: int
    rows: pa.RecordBatch


Commit = tuple[Piece, ...]


def commits_of(case: Case) -> list[Commit]:
    """All commits to the sources of a case, in order."""
    found: dict[int, list[Piece]] = {}
    for name in case.sources:
        for chunk in case.db.log.scan(case.id_of(name)):
            found.setdefault(chunk.version, []).append(Piece(name, chunk.partition, chunk.rows))
    return [tuple(found[version]) for version in sorted(found)]


@dataclass
class Replica:
    """A database with the sources of a case, and queries of its own; what happens to it is up to the caller."""

    case: Case
    disk: SimulatedDisk = field(default_factory=SimulatedDisk)

    def __post_init__(self) -> None:
        self.db = self._open()
        self.db.execute(self.case.statements)

    def _open(self) -> Database:
        return Database(self.disk, "db", None, background=False)

    def define(self, *others: str) -> None:
        """Makes the queries of the case, and other relations."""
        for name, query in self.case.made.items():
            self.db.execute(query.statement(name))
        for statement in others:
            self.db.execute(statement)

    def commit(self, commit: Commit) -> None:
        known = self.db.pipeline.catalog
        appends = []
        for piece in commit:
            relation = known.get(piece.relation)
            assert relation is not None
            appends.append(Append(relation.id, piece.partition, piece.rows, relation.log.compression))
        self.db.log.commit(appends)

    def play(self, commits: Sequence[Commit], after: Callable[[int], None]) -> Replica:
        """Commits all, calls `after` with the number of each, and moves to the end."""
        for number, commit in enumerate(commits):
            self.commit(commit)
            after(number)
        self.db.settle()
        return self

    def step(self) -> None:
        self.db.settle()

    def checkpoint(self) -> None:
        self.db.pipeline.checkpoint()

    def reopen(self) -> None:
        self.db.close()
        self.db = self._open()

    def contents(self) -> dict[str, Rows]:
        return {name: canonical(self.db.sql(f"SELECT * FROM {name}").fetchall()) for name in self.case.made}

    def records(self) -> dict[str, list[tuple[int, bytes]]]:
        """The stored records of all derived relations: partition and bytes, in order."""
        return {
            relation.name: [
                (chunk.partition, _bytes(chunk.rows.slice(place, 1)))
                for chunk in self.db.log.scan(relation.id)
                for place in range(chunk.rows.num_rows)
            ]
            for relation in self.db.pipeline.derived()
        }


def _bytes(row: pa.RecordBatch) -> bytes:
    """A row as bytes that tell −0.0 from 0.0, whatever buffers it is in."""
    without_time = row.drop_columns(["ROWTIME"]) if "ROWTIME" in row.schema.names else row
    return repr(without_time.to_pylist()).encode()
