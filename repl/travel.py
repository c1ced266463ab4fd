"""Standing at a point of the past: what is tracked, what it was at a version, and where it changed next or before.

Nothing is drawn here. A version that writes nothing of what is tracked cannot change it (`engine.moments`), so only the
others are asked, and each answer is kept while there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from headwater.engine.database import Database
from headwater.engine.moments import Reads, moments, moments_before, reads_at_all_times, relations_of
from headwater.engine.result import Result
from headwater.errors import HeadwaterError, OutOfRange, PositionGone, SqlError, SyntaxProblem
from headwater.executor.feed import first_version
from headwater.parser import parse_statement, quote, syntax, unparse
from headwater.planner import Catalog, Relation, with_named_types
from headwater.repl.answers import Answers
from headwater.repl.marking import is_same
from headwater.values import Column

Told = Callable[[int], object]  # is given versions, as they are looked at

_POSITIONS = "\\goto 42, +1, OFFSET 1000, TIMESTAMP '2026-01-31 12:00:00', '5 minutes ago', earliest or latest"

_QUERY_WORDS = ("SELECT", "WITH", "VALUES", "(")


def _untold(version: int) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A question that is asked again at every position, by the `name` the user knows it by.

    `key` has the columns that tell its rows apart where a table has a key; `ends_last` says that rows come at the end.
    """

    name: str
    sql: str
    key: tuple[str, ...] | None = None
    ends_last: bool = False


@dataclass(slots=True)
class Travel:
    """What the user of a shell tracks while standing at a version, or in the present."""

    tracked: list[Tracked] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    _reads: dict[str, tuple[Catalog | None, Reads]] = field(default_factory=dict)

    def stand(self, database: Database, position: int | None) -> None:
        """Stands at a version, or in the present."""
        database.session.stand(position)

    def position(self, database: Database) -> int | None:
        """The version at which the user stands; None in the present, or where the session asks as of another point."""
        point = database.session.as_of
        return int(point.value) if point is not None and point.kind == "version" else None

    def here(self, database: Database) -> int:
        """The version that is looked at."""
        position = self.position(database)
        return database.version if position is None else position

    def at(self, database: Database, tracked: Tracked, version: int) -> Result:
        """The answer to what is tracked as of a version."""
        catalog = database.pipeline.catalog
        written = next(moments_before(self._reads_of(tracked.sql, database), database.log, version), 0)
        return self.answers.get(catalog, (tracked.sql, written), lambda: ask(database, tracked.sql, version))

    def before(self, database: Database, tracked: Tracked, version: int | None) -> Result | None:
        """The answer to compare with: None where there is no version before, or it cannot be asked there."""
        try:
            return None if version is None else self.at(database, tracked, version)
        except HeadwaterError:
            return None

    def all_at(self, database: Database, version: int) -> list[Result]:
        """The answers to all that is tracked, as of a version."""
        return [self.at(database, tracked, version) for tracked in self.tracked]

    def reads(self, database: Database) -> Reads:
        """What the tracked questions read. Raises HeadwaterError if there are none."""
        if not self.tracked:
            raise HeadwaterError("nothing is tracked", hint="\\track NAME, or \\track SELECT …")
        reads = Reads()
        for tracked in self.tracked:
            reads |= self._reads_of(tracked.sql, database)
        return reads

    def _reads_of(self, sql: str, database: Database) -> Reads:
        """What a question reads, which is found out once under a catalog."""
        catalog = database.pipeline.catalog
        known, reads = self._reads.get(sql, (None, Reads()))
        if known is not catalog:
            reads = reads_of_all([sql], database)
            self._reads[sql] = (catalog, reads)
        return reads

    def forward(self, database: Database, count: int, tell: Told = _untold) -> list[int]:
        """The next `count` versions at which something tracked changes; fewer where there are no more. `tell` is given
        each version that is looked at.
        """
        version = self.here(database)
        found = moments(self.reads(database), database.log, version, database.version)
        return list(islice(self._changing(database, found, tell), count))

    def back(self, database: Database, count: int, tell: Told = _untold) -> list[int]:
        """The versions at which the `count` states before that of here began, the youngest first; the last of them may
        be the earliest version there is.
        """
        version, reads = self.here(database), self.reads(database)
        earliest = earliest_of([tracked.sql for tracked in self.tracked], database)
        before = (v for v in moments_before(reads, database.log, version) if v > earliest)
        began = list(islice(self._changing(database, before, tell), count + 1))
        if began and len(began) <= count:
            began.append(earliest)
        return began[1:]

    def _changing(self, database: Database, versions: Iterator[int], tell: Told) -> Iterator[int]:
        """Those of the versions at which an answer is not what it was before."""
        for version in versions:
            tell(version)
            pairs = zip(self.all_at(database, version - 1), self.all_at(database, version), strict=True)
            if not all(is_same(before, after) for before, after in pairs):
                yield version


def track(text: str, database: Database) -> Tracked:
    """What `text` names: a relation, a view or a query. Raises SqlError for what is not there or cannot be asked."""
    if text.upper().startswith(_QUERY_WORDS):
        return Tracked(" ".join(text.split()), question_of(text, database)[0])
    try:
        return _named(text, database)
    except SqlError as error:
        raise HeadwaterError(error.message, hint=error.hint) from error


def _named(text: str, database: Database) -> Tracked:
    statement = parse_statement(f"DESCRIBE {text}")
    assert isinstance(statement, syntax.Describe)
    catalog = database.pipeline.catalog
    view = catalog.view(statement.name)
    if view is not None:
        return Tracked(view.name, f"SELECT * FROM {quote(view.name)}")
    return _whole(catalog.find(statement.name))


def _whole(relation: Relation) -> Tracked:
    """A relation as it is, a table in the order of its key."""
    key = None if relation.is_stream else relation.key
    order = f" ORDER BY {', '.join(map(quote, key))}" if key else ""
    return Tracked(relation.name, f"SELECT * FROM {quote(relation.name)}{order}", key, ends_last=relation.is_stream)


def read_by(sql: str, database: Database) -> list[Tracked]:
    """The relations that a query names, and the sources that they are made of."""
    catalog = database.pipeline.catalog
    named = relations_of(parsed(sql), catalog)
    sources = [relation for relation in catalog.ordered() if relation.id in reads_of_all([sql], database).logs]
    return [_whole(relation) for relation in dict.fromkeys([*named, *sources])]


def question_of(text: str, database: Database) -> tuple[str, tuple[Column, ...]]:
    """The snapshot query in a text, without variables and names of types, and its columns. Raises SqlError for what is
    none, or cannot be asked.
    """
    try:
        query = with_named_types(parse_statement(text, database.session.values), database.pipeline.catalog.types)
        if not isinstance(query, syntax.Query) or query.emit is not None:
            raise SqlError("this is no question about one point in time", query.span, hint="a SELECT without EMIT")
        return unparse(query), database.reader.columns(query, database.pipeline.catalog)
    except SqlError as error:
        error.attach(text)
        raise


def ask(database: Database, sql: str, version: int) -> Result:
    """The answer to a query as of a version, but for what has an AS OF of its own."""
    return database.sql(f"({sql}\n) AS OF VERSION {version}")


def reads_of_all(questions: Sequence[str], database: Database) -> Reads:
    """What several queries read, at any time."""
    reads, points = Reads(), database.reader.points()
    for sql in questions:
        reads |= reads_at_all_times(parsed(sql), points)
    return reads


def earliest_of(questions: Sequence[str], database: Database) -> int:
    """The first version as of which all the queries can be asked: 0, unless retention has taken the beginning."""
    if not first_version(database.log, reads_of_all(questions, database).logs):
        return 0
    earliest = 0
    for sql in questions:
        try:
            ask(database, sql, earliest)
        except OutOfRange as error:
            if not isinstance(error.__cause__, PositionGone):
                raise
            earliest = max(earliest, error.__cause__.earliest)
    return earliest


def find_position(text: str, travel: Travel, database: Database) -> int | None:
    """The version that a user names: 42, +3, -3, earliest, latest or now (None), or a point of the log."""
    word = text.lower()
    if word in ("latest", "now"):
        return None
    if word in ("earliest", "first"):
        return earliest_of([tracked.sql for tracked in travel.tracked], database)
    if word.lstrip("+-").isdecimal():
        version = int(word) + (travel.here(database) if word[0] in "+-" else 0)
        text = f"VERSION {max(version, 0)}"
    try:
        return database.version_of(text, [parsed(tracked.sql) for tracked in travel.tracked])
    except SqlError as error:
        hint = _POSITIONS if isinstance(error, SyntaxProblem) else error.hint
        raise HeadwaterError(error.message, hint=hint and hint.replace("AS OF", "\\goto")) from error


def parsed(sql: str) -> syntax.Query:
    """A question that was checked before, as a tree."""
    query = parse_statement(sql)
    assert isinstance(query, syntax.Query)
    return query


def time_of(version: int, database: Database) -> str:
    """When a version was committed, as text; of version 0, and of one that the log has forgotten, what is known."""
    if version < database.log.first_version or not version:
        return "before the first commit" if not version else "at a time that the log has forgotten"
    time = datetime.fromtimestamp(database.log.time_of(version) / 1e6, UTC)
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")
