"""The differential harness: after every step, what Headwater keeps equals what DuckDB answers from scratch.

`Case` makes a database with streams, tables with a key and bags, and random continuous queries over them; each query
comes with the DuckDB SQL that says what its table must hold. All that happens to it is a list of events (history.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import duckdb

from headwater.engine.database import Database
from headwater.engine.subscription import Subscription
from headwater.errors import HeadwaterError
from headwater.executor.operators import Stateful
from headwater.parser import parse_statement, syntax
from headwater.planner import Relation, bind_query
from headwater.storage import SimulatedDisk
from tests.executor.change_queries import VIEWS
from tests.executor.freezing import Frozen
from tests.executor.function_queries import DEFINITIONS
from tests.executor.generator import Generator, Query
from tests.executor.held import held_bytes
from tests.executor.history import Append, Checkpoint, Clock, Create, Delete, Event, Reopen, Step, Update
from tests.executor.oracle import Oracle, Rows, canonical, canonical_value, differences
from tests.executor.sources import Source, fixed_sources, literal

__all__ = ["Case", "Mismatch", "Oracle", "Rows", "canonical"]


START_US = 1_767_225_600_000_000  # of the clock: 2026-01-01, with which event time begins too


class Mismatch(AssertionError):
    """A relation does not hold what it must."""

    def __init__(self, relation: str, text: str) -> None:
        super().__init__(text)
        self.relation = relation


class Case:
    """One random database with its oracle; `step` makes events up, `do` makes one happen, and a step is checked."""

    def __init__(self, seed: int, queries: int = 6, given: list[Query] | None = None) -> None:
        self.seed = seed
        self.generator = Generator(seed)
        self.random = self.generator.random
        self.disk = SimulatedDisk(seed=seed)
        self.partitions = self.random.choice([1, 1, 2, 3])
        self.sources = {s.name: s for s in (*fixed_sources(self.partitions), *self.generator.typed_sources)}
        self.oracle = Oracle(tuple(self.sources.values()))
        self.oracle.con.execute(f"SET VARIABLE partitions = {self.partitions}")
        self._set_clock(0)
        self.events: list[Event] = []
        self.frozen: Frozen | None = None  # at a checkpoint, of which another image is published after the next step
        self.comparisons = 0
        self.db = self._open()
        self.db.execute(self.statements)
        self.made: dict[str, Query] = {}
        self.late: list[Query] = []  # queries that are made once there are rows already
        self.history: list[tuple[int, dict[str, Rows]]] = []
        clocks = Random(seed)
        made = given if given is not None else [self._query(clocks) for _ in range(queries)]
        self.begin(made, late=0 if given is not None else (queries + 1) // 2)

    def _query(self, clocks: Random) -> Query:
        """A random query, one in six with a clock of its own."""
        return replace(self.generator.query(), own_clock=clocks.random() < 1 / 6)

    def begin(self, queries: list[Query], late: int) -> None:
        """Makes queries, the last `late` of them later."""
        self.queries = queries
        now = len(queries) - late
        self.late = queries[now:]
        for query in queries[:now]:
            self.create(query)

    def accepts(self, query: Query) -> bool:
        """Whether both sides take the query."""
        statement = parse_statement(query.sql)
        assert isinstance(statement, syntax.Query)
        try:
            bind_query(statement, self.db.pipeline.catalog, as_table=not query.is_stream, as_stream=query.is_stream)
            self.oracle.answer(query.oracle)
        except (HeadwaterError, duckdb.Error):
            return False
        return True

    @property
    def statements(self) -> str:
        """The definitions of the source relations, of views of them, and of the functions that queries call."""
        return "\n".join([*(source.statement for source in self.sources.values()), VIEWS, DEFINITIONS])

    def _open(self) -> Database:
        return Database(self.disk, "db", None, background=False)

    def create(self, query: Query) -> None:
        self.do(Create(f"q{len(self.made)}", query))

    # ---------------------------------------------------------------- events

    def do(self, event: Event) -> None:
        """Makes an event happen, to the database and to the oracle."""
        self.events.append(event)
        match event:
            case Append():
                self._append(event)
            case Update() | Delete():
                self.db.execute(event.sql)
                version = self.db.log.version
                self.oracle.change(event, version, self.db.log.time_of(version))
            case Clock(seconds):
                self._set_clock(seconds)
            case Create(name, query):
                self.db.execute(query.statement(name))
                self.made[name] = query
            case Step():
                self.db.settle()
                self.check()
                if self.frozen is not None:
                    self.frozen.publish(self.db.pipeline)
                    self.frozen = None
            case Checkpoint():
                self.db.execute("CHECKPOINT")
                self.frozen = Frozen.of(self.db.pipeline, pieces=len(self.events) % 4)
            case Reopen():
                self.frozen = None
                self.db.close()
                self.db = self._open()
                self.check()

    def step(self) -> None:
        """Some commits, one step, and the comparison; now and then a late query, a checkpoint or a restart."""
        self.step_without_restart()
        if self.random.random() < 0.15:
            self.reopen()

    def step_without_restart(self) -> None:
        for _ in range(self.random.choice([0, 1, 2, 3, 4, 6])):
            event = self._commit()
            if event is not None:
                self.do(event)
        if self.late and self.random.random() < 0.6:
            self.create(self.late.pop())
        self.do(Step())
        if self.random.random() < 0.2:
            self.do(Checkpoint())

    def reopen(self) -> None:
        self.do(Reopen())

    def _commit(self) -> Event | None:
        """A random commit to a random relation; None where it would have no rows."""
        source = self.sources[self.random.choice(self._read_relations())]
        if source.kind != "stream" and self.random.random() < 0.4:
            return self.generator.change(source)
        rows = self.generator.new_rows(source, self.clock)
        if source.name == "s":
            self.do(Clock(self.clock + self.random.choice([0, 3, 10, 40])))
        return Append(source.name, tuple(rows), self.random.random() < 0.1) if rows else None

    def _read_relations(self) -> str:
        """The relations that queries read, tables more often than streams; now and then any other."""
        text = " ".join(query.sql for query in self.queries)
        read = "".join(name for name in "ssttttbbbbeuuurrr" if re.search(rf"(FROM|JOIN|,) \(*{name}\b", text))
        return read if read and self.random.random() < 0.9 else "stbeur"

    def _append(self, event: Append) -> None:
        source, before = self.sources[event.relation], self.db.log.version
        if event.as_insert:
            self.db.execute(insert_text(source, event.rows))
        else:
            self.db.append(source.name, self.oracle.rows(source.name, event.rows))
        version = self.db.log.version
        assert version > before
        at_us = self.db.log.time_of(version)
        if source.kind == "table":
            self.oracle.add_table(event.rows, version, source.name, at_us)
        elif source.kind == "bag":
            self.oracle.add_bag(event.rows, version, source.name, at_us)
        else:
            stored = [
                (chunk.partition, dict(zip(source.names, row.values(), strict=False)))
                for chunk in self.db.log.scan(self.id_of(source.name), before)
                for row in chunk.rows.to_pylist()
            ]
            stored_rows = [row for _, row in stored]
            assert _values(stored_rows, source) == _values(event.rows, source)
            self.oracle.add_stream(stored_rows, [part for part, _ in stored], version, source.name)

    def _set_clock(self, seconds: int) -> None:
        """The clock of the database, in seconds after the beginning."""
        self.clock = seconds
        self.disk.clock_us = START_US + seconds * 1_000_000
        self.oracle.set_now(self.disk.clock_us)

    # ---------------------------------------------------------------- looking

    def relation(self, name: str) -> Relation:
        relation = self.db.pipeline.catalog.get(name)
        assert relation is not None
        return relation

    def id_of(self, name: str) -> int:
        return self.relation(name).id

    def contents(self) -> dict[str, Rows]:
        return {name: canonical(self.db.sql(f"SELECT * FROM {name}").fetchall()) for name in self.made}

    def as_of(self, name: str, position: str) -> Rows:
        return canonical(self.db.sql(f"SELECT * FROM {name} AS OF {position}").fetchall())

    def check(self) -> None:
        """Every table equals the oracle's answer, and its changelog adds up to it."""
        self.oracle.set_now(self.disk.clock_us)
        contents = self.contents()
        for name, rows in contents.items():
            self.compare(name, rows, self.oracle.answer(self.made[name].oracle))
            self.compare(name, self.folded(name), rows, f"changelog of {name}")
            self._check_errors(name)
        self._check_bytes()
        self.history.append((self.db.version, contents))

    def _check_errors(self, name: str) -> None:
        """The records of the stream on which a query fails are in its error stream, each once."""
        errors = self.made[name].errors
        if errors is not None:
            found = canonical(self.db.sql(f'SELECT "partition", "offset" FROM {name}_errors').fetchall())
            self.compare(name, found, self.oracle.answer(errors), f"errors of {name}")

    def _check_bytes(self) -> None:
        """What operators say that they hold is what they hold, within a tenth."""
        for relation in self.db.pipeline.derived():
            for node, operator in self.db.pipeline.circuit.operators_of(relation.content()):
                if isinstance(operator, Stateful):
                    told, held = operator.nbytes, held_bytes(operator, whole=False)
                    assert abs(told - held) <= held / 10 + 4096, (
                        f"seed {self.seed}, {type(node).__name__}: {told} told, {held} held"
                    )

    def compare(self, name: str, rows: Rows, expected: Rows, what: str = "") -> None:
        """Raises Mismatch unless the rows are the expected ones."""
        self.comparisons += 1
        if rows != expected and any(differences(rows, expected, self.made[name].rounding)):
            raise Mismatch(name, self.report(name, rows, expected, what))

    def watch(self, name: str) -> Subscription:
        return self.db.subscribe(f"SELECT * FROM {name} EMIT CHANGES")

    def check_offset(self, records: int) -> None:
        """Every table as of that many records of the stream equals the oracle's answer over just these."""
        version = self.oracle.version_of(records)
        self.oracle.set_now(self.db.log.time_of(version) if version else None)
        for name, query in self.made.items():
            if not any(text in query.sql for text in ("FROM s", "TABLE(s)", "OF sums")) or query.own_clock:
                continue  # the stream is not a source of it, or is not for who reads it
            if query.is_stream and "CHANGES OF" in query.sql:
                continue  # its records are in the order of the log
            rows = self.as_of(name, f"OFFSET (s => {records})")
            self.compare(
                name, rows, self.oracle.answer(query.oracle, version, records), f"{name} as of record {records}"
            )

    def folded(self, name: str) -> Rows:
        """The stored changelog, or the records, added up by a reader that knows nothing else."""
        rows: Rows = Counter()
        for chunk in self.db.log.scan(self.id_of(name)):
            for row in chunk.rows.to_pylist():
                weight = row.pop("$weight", 1)
                row.pop("ROWTIME", None)
                assert weight, f"a change of {name} that changes nothing"
                rows[tuple(canonical_value(v) for v in row.values())] += weight
        assert all(weight >= 0 for weight in rows.values())
        return +rows

    def report(self, name: str, rows: Rows, expected: Rows, what: str = "") -> str:
        query = self.made[name]
        oracle = "" if query.oracle == query.sql else f"\n  DuckDB: {query.oracle}"
        many, missing = differences(rows, expected, query.rounding)
        return (
            f"seed {self.seed}, {what or name}: {query.sql}{oracle}\n"
            f"  too many: {dict(many)}\n  missing: {dict(missing)}"
        )


def insert_text(source: Source, rows: Sequence[dict[str, Any]]) -> str:
    """The rows as an INSERT."""
    values = (", ".join(literal(row[name], type_) for name, type_ in source.columns) for row in rows)
    return f"INSERT INTO {source.name} VALUES {', '.join(f'({row})' for row in values)}"


def _values(rows: Sequence[dict[str, Any]], source: Source) -> Rows:
    return canonical([tuple(row[name] for name in source.names) for row in rows])
