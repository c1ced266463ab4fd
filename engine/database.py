"""`connect` and `Database`: one directory (or memory), opened by one process.

    text → parse → bind → plan → (circuit of a continuous query | DuckDB for a snapshot query)

This is the only place where all the parts meet.
"""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from headwater.engine import (
    forking,
    given_rows,
    retention,
)
from headwater.engine.apart import Apart
from headwater.engine.catalogs import Catalogs
from headwater.engine.consuming import Groups
from headwater.engine.cursor import Cursor
from headwater.engine.differing import Side, difference
from headwater.engine.follower import Follower
from headwater.engine.following import Following
from headwater.engine.functions import Functions, statement_of
from headwater.engine.moments import plans_of
from headwater.engine.parts import Parts
from headwater.engine.pipeline import Pipeline
from headwater.engine.processing import Processing
from headwater.engine.queues import Queues
from headwater.engine.reading import Reader
from headwater.engine.result import Acknowledgement, Result
from headwater.engine.running import Runner
from headwater.engine.scripts import Scripts, refuse_endless
from headwater.engine.session import session_with
from headwater.engine.subscription import Subscription
from headwater.engine.writing import Writer, once_of
from headwater.errors import DataError, SqlError, StorageError
from headwater.parser import Parameters, parse_point, syntax
from headwater.planner import with_named_types
from headwater.planner.targets import target_named
from headwater.storage import Log, OsStorage, SimulatedDisk, Storage
from headwater.values import Column

logger = logging.getLogger("headwater")


@dataclass(frozen=True, slots=True)
class RelationInfo:
    """A stream or table as the shell shows it: `kind` is STREAM or TABLE, `query` the text of a derived one."""

    name: str
    kind: str
    columns: tuple[Column, ...]
    query: str | None


def connect(
    path: str | os.PathLike[str] | None = None,
    *,
    background: bool = True,
    read_only: bool = False,
    state_limit: str | None = None,
    functions: Mapping[str, Any] | None = None,
) -> Database:
    """Opens the database in the directory `path`, making it if it is not there; without a path, one in memory.

    With `background` a thread keeps the continuous queries up to date as rows arrive; without it they move when
    something is asked, which makes programs and tests single-threaded. With `read_only` nothing can be changed, and
    another process may be writing the database: each query sees what that has committed by then. `state_limit`, a size
    like '1 GB', is how much state a continuous query may hold that does not say so itself: one that needs more stops.
    `functions` are those that a program has given to `create_function` or `create_aggregate`, by name.
    Raises StorageError if the directory is something else, is damaged, or is open elsewhere, or if a query calls a
    function that is not given.

    >>> with connect() as db:
    ...     db.sql("SELECT 6 * 7 AS answer").fetchall()
    [(42,)]
    """
    if path is None:
        if read_only:
            raise StorageError(
                "a database in memory is there for its own process: it cannot be opened for reading only"
            )
        return Database(
            SimulatedDisk(), "memory", None, background=background, state_limit=state_limit, functions=functions
        )
    text = os.fspath(path)
    return Database(
        OsStorage(read_only=read_only), text, text, background=background, read_only=read_only,
        state_limit=state_limit, functions=functions,
    )  # fmt: skip


class Database(Processing):
    """An open database. Use it as a context manager, or call `close`. Safe to use from several threads.

    One that is still open when the program ends is closed then.
    """

    autocommit = True  # of PEP 249: a statement is committed when it returns, unless BEGIN has begun a transaction

    def __init__(
        self,
        storage: Storage,
        directory: str,
        path: str | None,
        *,
        background: bool,
        read_only: bool = False,
        state_limit: str | None = None,
        functions: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.session = session_with(state_limit)
        self._functions = Functions(storage, functions or {})
        self.log = Log.open(storage, directory, read_only=read_only)
        self._closed = False
        try:
            self._retaining = retention.Retaining(storage)
            catalogs = Catalogs(self.log)
            self.pipeline = (
                Follower(self.log, lambda: self._functions.loaded(catalogs.latest()))
                if read_only
                else Pipeline(
                    self.log,
                    self._functions.loaded(catalogs.latest()),
                    background=background,
                    now_us=storage.now_us,
                    idle=lambda: self._retaining.idle(self.apart),
                )
            )
            self.apart = Apart(self.pipeline, background=background, now_us=storage.now_us)
            self.apart.limit_state(self.session.state_limit)
            self.pipeline.start()
            if not read_only:
                self.apart.follow()
        except BaseException:
            self.log.close()
            self._functions.close()
            raise
        self.reader = Reader(self.pipeline, catalogs, self._functions, storage.now_us)
        place = None if path is None else forking.absolute(path)
        writer, groups = Writer(self.apart, self.reader, storage.now_us), Groups(self.pipeline, self.reader.points)
        self._following = Following(self.pipeline, writer, storage.now_us, background=background)
        self._parts = Parts(
            storage, place, self.session, self._functions, self._retaining, self.pipeline, self.apart, self.reader,
            writer, groups, Queues(self.pipeline, writer, groups, storage.now_us), self._following,
        )  # fmt: skip
        self._runner = Runner(self._parts, self._diff)
        self._scripts = Scripts(self.session, self._runner.ask)
        self._following.start()
        _open.add(self)

    # ---------------------------------------------------------------- SQL

    def sql(self, text: str, parameters: Parameters = ()) -> Result:
        """Runs one statement and gives its result. A query that ends in EMIT CHANGES belongs to `subscribe`.

        `parameters` are the values of `?`, in order, or a mapping with those of `$name`.

        >>> with connect() as db:
        ...     db.execute("CREATE STREAM bids (auction BIGINT KEY, price DOUBLE)")
        ...     db.sql("INSERT INTO bids VALUES (?, ?), (?, ?)", (7, 12.5, 8, 3)).message
        ...     db.sql("SELECT auction FROM bids WHERE price > $least", {"least": 10}).fetchall()
        'inserted 2 rows'
        [(7,)]
        """
        self._check_open()
        outcome = self._scripts.run_one(text, parameters)
        if isinstance(outcome, Subscription):
            outcome.close()
            raise SqlError("this query does not end", hint="use subscribe(sql), or leave out EMIT CHANGES")
        return outcome

    def execute(self, text: str, *, file: str | None = None) -> None:
        """Runs the statements of a script one after the other. The first that fails ends it; those before it stay.

        `file` is where the text is from: errors name it, and RUN SCRIPT looks for other files beside it.
        """
        for outcome in self.run(text, file=file):
            refuse_endless(outcome)

    def run(self, text: str, *, file: str | None = None) -> Iterator[Result | Subscription]:
        """Runs the statements of a script and gives each one's result, before the next one is run. See `execute`."""
        self._check_open()
        yield from self._scripts.run(text, file)

    def subscribe(self, sql: str, parameters: Parameters = (), *, from_version: int | None = None) -> Subscription:
        """Watches a query: iterates over its changes, first the rows there are. EMIT CHANGES may be left out.

        With `from_version`, the `version` of the last batch that a client has, it goes on right after that batch, also
        after a restart: the rows there are do not come again.

        >>> with connect() as db:
        ...     db.execute("CREATE STREAM bids (auction BIGINT KEY, price DOUBLE); INSERT INTO bids VALUES (7, 12.5)")
        ...     with db.subscribe("SELECT auction, max(price) FROM bids GROUP BY auction") as changes:
        ...         for change in changes.poll(1):
        ...             print(change.op, change.row)
        ...         _ = db.append("bids", [(7, 20.0)])
        ...         for change in changes.poll(1):
        ...             print(change.op, change.row)
        + (7, 12.5)
        - (7, 12.5)
        + (7, 20.0)
        """
        self._check_open()
        statement, placed = self._scripts.statement(sql, parameters)
        with placed:
            if not isinstance(statement, syntax.Query):
                raise SqlError("only a query can be watched", statement.span, hint="SELECT … FROM … EMIT CHANGES")
            self.session.asked(replace(statement, emit="CHANGES"))
            return self._runner.watch(self._runner.prepared(statement), from_version)

    def cursor(self) -> Cursor:
        """A cursor as DB-API 2.0 has them."""
        self._check_open()
        return Cursor(self, self._scripts)

    def commit(self) -> None:
        """COMMIT of the transaction that BEGIN has begun. Without one does nothing: see `autocommit`."""
        self._check_open()
        self._runner.end("COMMIT")

    def rollback(self) -> None:
        """ROLLBACK of the transaction that BEGIN has begun. Without one does nothing: see `autocommit`."""
        self._check_open()
        self._runner.end("ROLLBACK")

    # ---------------------------------------------------------------- functions

    def create_function(
        self,
        name: str,
        function: Any = None,
        *,
        parameters: Sequence[str] | Mapping[str, str],
        returns: str,
        vectorized: bool = False,
        called_on_null: bool = False,
        or_replace: bool = False,
    ) -> Any:
        """Makes a function of SQL that calls `function`; without one this is a decorator. Gives `function` back.

        `parameters` are SQL types, or types by name. The function gets a value per argument and row or, `vectorized`,
        an Arrow array per argument and returns one. Where an argument is NULL it is not called, and NULL, unless
        `called_on_null`. It must always return the same for the same arguments. It is known by name when the database
        is opened again, where `connect(path, functions={name: function})` gives it once more, as does this call.
        """
        if function is None:
            return lambda given: self.create_function(
                name, given, parameters=parameters, returns=returns, vectorized=vectorized,
                called_on_null=called_on_null, or_replace=or_replace,
            )  # fmt: skip
        statement = statement_of(
            name, function, parameters, returns,
            vectorized=vectorized, called_on_null=called_on_null, or_replace=or_replace,
        )  # fmt: skip
        return self._give(name, function, statement)

    def create_aggregate(
        self,
        name: str,
        aggregate: Any = None,
        *,
        parameters: Sequence[str] | Mapping[str, str],
        returns: str,
        called_on_null: bool = False,
        or_replace: bool = False,
    ) -> Any:
        """Makes an aggregate of SQL; without an `aggregate` this is a decorator. Gives `aggregate` back.

        It is a function of Arrow arrays, one per argument, that returns a value; or a class with `accumulate` of such
        arrays and `finish`. One with `retract` too is kept as a state per group, else the rows are. See
        `create_function` for the rest.
        """
        if aggregate is None:
            return lambda given: self.create_aggregate(
                name, given, parameters=parameters, returns=returns,
                called_on_null=called_on_null, or_replace=or_replace,
            )  # fmt: skip
        statement = statement_of(
            name, aggregate, parameters, returns,
            aggregate=True, called_on_null=called_on_null, or_replace=or_replace,
        )  # fmt: skip
        return self._give(name, aggregate, statement)

    def _give(self, name: str, target: Any, statement: syntax.CreateFunction) -> Any:
        self._check_open()
        catalog = self.pipeline.catalog
        statement = with_named_types(statement, catalog.types)
        if not self._functions.takes(name, target, statement, catalog):
            with self._functions.giving(name, target):
                self._runner.run(statement)
        return target

    # ---------------------------------------------------------------- rows

    def append(
        self, name: str, rows: Any, *, commit_every: int | None = None, idempotency_key: str | None = None
    ) -> Acknowledgement:
        """Appends rows to a source stream or table; returns once they are durable.

        `rows` is anything that Arrow reads (tables, batches, readers, DataFrames of pandas and Polars, relations of
        DuckDB), a mapping of columns, or dicts, tuples or batches in a list or from an iterator. All are appended, in
        one commit, or, on any error, none. With `commit_every` each so many rows are a commit, so that an iterator may
        be larger than memory; on an error those before it stay. With an `idempotency_key` that a commit had before,
        nothing is appended, and the answer is of that commit. In a table with a primary key a row replaces that of its
        key.

        >>> with connect() as db:
        ...     db.execute("CREATE STREAM bids (auction BIGINT KEY, price DOUBLE)")
        ...     _ = db.append("bids", [{"auction": 7, "price": 12.5}, {"auction": 8}])
        ...     _ = db.append("bids", {"auction": [9, 9], "price": [1.0, 2.0]})
        ...     db.append("bids", ((n, n / 2) for n in range(100)), commit_every=40).rows
        ...     db.sql("SELECT count(*), count(price) FROM bids").fetchall()
        100
        [(104, 103)]
        """
        self._check_open()
        relation = target_named(syntax.Identifier(name), self.pipeline.catalog)
        write = partial(self._parts.writer.append, once=once_of(idempotency_key))
        if commit_every is not None and idempotency_key is not None:
            raise DataError("what has an idempotency_key is one commit", hint="leave out commit_every")
        return given_rows.append(relation, rows, commit_every, write)

    # ---------------------------------------------------------------- forks

    def fork(self, path: str | os.PathLike[str], version: int | None = None) -> int:
        """Makes a database of its own in the directory `path`, which must not exist: this one as of a version (default:
        now), which it gives. It shares the files of this one, so that takes no longer for a large one; whatever
        becomes of one of the two does not change the other. Raises StorageError, or PositionGone for a version that
        retention has taken.
        """
        self._check_open()
        return forking.fork_log(self.log, self._parts.place, forking.absolute(path), version).version

    def _diff(self, statement: syntax.Diff) -> Result:
        path = forking.absolute(statement.path)
        other = Database(
            OsStorage(read_only=True), path, path, background=False, read_only=True, functions=self._functions.all_given
        )
        with other:
            here = Side(self.pipeline, self.reader, "this database")
            return difference(statement, here, Side(other.pipeline, other.reader, f'"{statement.path}"'))

    # ---------------------------------------------------------------- the rest

    @property
    def version(self) -> int:
        """The number of the last commit."""
        return self.log.version

    def version_of(self, point: str, queries: Sequence[syntax.Query] = ()) -> int:
        """The version in which a point of the log lies, written as behind AS OF: `OFFSET 1000`, `'5 minutes ago'`.

        A bare offset counts in the one source of `queries`, or of the database. Raises SqlError for what is no point,
        OutOfRange for one that is not there.
        """
        self._check_open()
        self.pipeline.catch_up()
        points = replace(self.reader.points(), latest=self.log.version)
        plans = [plan for query in queries for plan in plans_of(query, points.present)]
        plans = plans or [relation.source() for relation in points.present.ordered() if not relation.is_derived]
        try:
            return points.cut(parse_point(point), plans).version
        except SqlError as error:
            error.attach(point)
            raise

    def relations(self) -> list[RelationInfo]:
        """All streams and tables, in the order of their making."""
        return [
            RelationInfo(r.name, r.kind, r.columns, r.definition if r.has_query else None)
            for r in self.pipeline.catalog.ordered()
        ]

    def settle(self) -> None:
        """Returns when all that is committed or in followed files has gone through the continuous queries."""
        self._check_open()
        self._following.poll()
        self.apart.settle()

    def close(self) -> None:
        """Closes the database. What was acknowledged is on disk already. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._following.close()
        self.pipeline.close()
        self.apart.close()
        self.log.close()
        self.pipeline.join()
        self.apart.join()
        self.reader.close()
        self._functions.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the database is closed")


_open: weakref.WeakSet[Database] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends the threads of databases that were left open while the modules that they use are still there."""
    for database in list(_open):
        database.close()
