"""A random history of a database, and what each of its relations was at each version.

Relations come, are replaced, altered and dropped, rows come and go, and meanwhile everything is asked. What a name
stood for at a version is known (`Meaning`), so the same question can be put again later: as of that version, after a
restart, without images, in a fork. DuckDB, which sees the records alone, says what the answer must be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from headwater.engine.database import Database
from tests.executor.differential import Case
from tests.executor.history import Checkpoint, Clock, Reopen
from tests.executor.oracle import Rows, canonical
from tests.executor.query import Query

VIEWS = (
    "SELECT name, count(*) AS n, sum(w) AS total FROM t GROUP BY name",
    "SELECT k, g, v FROM s WHERE v > 0",
    "SELECT t.id, t.name, b.y FROM t JOIN b ON t.id = b.x",
    "SELECT x, y FROM b UNION ALL SELECT id, name FROM t",
    "SELECT * FROM t ORDER BY w NULLS LAST, id LIMIT 3",
)
ALTERED = "CREATE TABLE x (id INTEGER PRIMARY KEY, a INTEGER)"  # the source table that is altered, and dropped


@dataclass(frozen=True)
class Meaning:
    """What a name stood for from version `since` on, before version `until` (None: still), and what DuckDB has for it.

    A source that comes and goes has no such SQL; what was answered at the time says what it was.
    """

    name: str
    oracle: str | None
    since: int
    until: int | None = None

    def holds_at(self, version: int) -> bool:
        return self.since <= version and (self.until is None or version < self.until)


@dataclass(frozen=True)
class Pair:
    """A question, `SELECT * FROM` a relation, and a version to ask it as of."""

    meaning: Meaning
    version: int

    @property
    def bare(self) -> str:
        return f"SELECT * FROM {self.meaning.name}"

    @property
    def sql(self) -> str:
        return f"{self.bare} AS OF VERSION {self.version}"


class Past:
    """A database to which something happens (`live`), and what is known of its past."""

    def __init__(self, seed: int) -> None:
        self.case = Case(seed, given=[])
        self.random = self.case.random
        self.answers: dict[Pair, Rows] = {}  # of every relation, at the versions at which it was asked
        self.expected: dict[Pair, Rows] = {}  # what DuckDB says
        self.times_us: dict[int, int | None] = {}  # of the versions
        self.meanings = [self._source(name) for name in ("s", "t", "b")]
        self._numbers = iter(range(1000))
        self.columns = iter(range(1000))

    @property
    def db(self) -> Database:
        return self.case.db

    def _source(self, name: str) -> Meaning:
        return Meaning(name, f"SELECT {', '.join(self.case.sources[name].names)} FROM {name}", self.db.version)

    # ---------------------------------------------------------------- living

    def live(self, events: int) -> None:
        """Lets so many things happen. After about half of them everything is asked."""
        acts = [self._commit] * 8 + [self._create, self._replace, self._view, self._alter, self._drop]
        for _ in range(events):
            self.random.choice(acts)()
            if self.random.random() < 0.5:
                self._ask()
            if self.random.random() < 0.1:
                self.case.do(self.random.choice([Checkpoint(), Reopen()]))
        self._ask()
        self.times_us = {version: self.db.log.time_of(version) for version in range(1, self.db.version + 1)}

    def _ask(self) -> None:
        """Notes what every relation is now. The version is that of the step that brought it there."""
        self.db.settle()
        version = self.db.version
        for meaning in self.present():
            rows = canonical(self.db.sql(f"SELECT * FROM {meaning.name}").fetchall())
            self.answers[Pair(meaning, version)] = rows

    def present(self) -> list[Meaning]:
        return [meaning for meaning in self.meanings if meaning.until is None]

    def _commit(self) -> None:
        self.case.queries = [Query(m.oracle or "", "") for m in self.present()]  # they are read more often than others
        if self._is_there("x") and self.random.random() < 0.3:
            id = self.random.randint(0, 4)
            self.db.execute(f"INSERT INTO x (id, a) VALUES ({id}, {self.random.randint(0, 9)})")
            return
        self.case.do(Clock(self.case.clock + self.random.choice([0, 1, 20])))
        event = self.case._commit()
        if event is not None:
            self.case.do(event)

    def _create(self) -> None:
        query = self._query()
        self._define(f"q{next(self._numbers)}", "CREATE TABLE {} AS " + query.sql, query.oracle)

    def _replace(self) -> None:
        """One query in the place of another, with other columns or not."""
        tables = [meaning.name for meaning in self.present() if meaning.name.startswith("q")]
        if tables:
            query = self._query()
            name = self.random.choice(tables)
            self._define(name, "CREATE OR REPLACE TABLE {} AS " + query.sql, query.oracle)

    def _query(self) -> Query:
        while True:
            query = self.case.generator.query()
            if query.errors is None and self.case.accepts(query):
                return query

    def _view(self) -> None:
        sql = self.random.choice(VIEWS)
        self._define(f"w{self.random.randint(0, 2)}", "CREATE OR REPLACE VIEW {} AS " + sql, sql)

    def _alter(self) -> None:
        if self._is_there("x"):
            self._define("x", f"ALTER TABLE {{}} ADD COLUMN c{next(self.columns)} INTEGER", None)
        else:
            self._define("x", ALTERED, None)

    def _drop(self) -> None:
        """A name goes, and may come back with another meaning."""
        going = [meaning for meaning in self.present() if meaning.name[0] in "qwx"]
        if going:
            meaning = self.random.choice(going)
            kind = "VIEW" if meaning.name.startswith("w") else "TABLE"
            self.db.execute(f"DROP {kind} {meaning.name}")
            self._end(meaning.name)

    def _is_there(self, name: str) -> bool:
        return any(meaning.name == name for meaning in self.present())

    def _define(self, name: str, statement: str, oracle: str | None) -> None:
        self.db.execute(statement.format(name))
        self._end(name)
        self.meanings.append(Meaning(name, oracle, self.db.version))

    def _end(self, name: str) -> None:
        """What a name stood for, it does not any more at this version."""
        ended = {m: replace(m, until=self.db.version) for m in self.meanings if m.name == name and m.until is None}
        self.meanings = [ended.get(meaning, meaning) for meaning in self.meanings]
        self.answers = {replace(p, meaning=ended.get(p.meaning, p.meaning)): rows for p, rows in self.answers.items()}

    # ---------------------------------------------------------------- asking again

    def pairs(self) -> Iterator[Pair]:
        """All that can be asked: every relation at every version at which it was there, and what it must have been."""
        for meaning in self.meanings:
            for version in range(meaning.since, len(self.times_us) + 1):
                pair = Pair(meaning, version)
                if meaning.holds_at(version) and (meaning.oracle is not None or pair in self.answers):
                    yield pair

    def must_be(self, pair: Pair) -> Rows:
        """What DuckDB says, and what was answered at the time, which are the same."""
        meaning, version = pair.meaning, pair.version
        if meaning.oracle is None:
            return self.answers[pair]
        if pair not in self.expected:
            self.case.oracle.set_now(self.times_us.get(version))
            self.expected[pair] = self.case.oracle.answer(meaning.oracle, version)
        return self.expected[pair]
