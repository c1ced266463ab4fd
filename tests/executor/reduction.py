"""Failures cut down: from the events of a case that goes wrong to a few rows, one simple query, and a test to paste.

A case fails where what it keeps is not what DuckDB says, or where it ends in an error. What is left out is tried one
after the other, and stays out if the same failure is still there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.errors import HeadwaterError
from headwater.parser import parse_statement, syntax
from headwater.parser.unparse import unparse
from tests.executor.differential import Case, Mismatch
from tests.executor.history import Append, Checkpoint, Clock, Create, Delete, Event, Step, Update

TRIES_MAX = 600  # a try is a whole case of what is left; they become cheaper as it does


@dataclass(frozen=True)
class Failure:
    """How a list of events goes wrong. `kind` tells one failure from another; `case` is how it was left."""

    kind: str
    text: str
    case: Case

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self.case.events)


def failure_of(case: Case, events: Sequence[Event] = ()) -> Failure | None:
    """What goes wrong when these events happen to a case; None if nothing does."""
    try:
        for event in events:
            case.do(event)
    except Exception as error:
        return failed(case, error)
    return None


def failed(case: Case, error: Exception) -> Failure:
    """The failure of a case that ended in an error."""
    kind = "mismatch" if isinstance(error, Mismatch) else type(error).__name__
    return Failure(kind, f"{type(error).__name__}: {error}", case)


def replayed(seed: int, events: Sequence[Event]) -> Failure | None:
    """What goes wrong when these events happen to a new database of that seed."""
    return failure_of(Case(seed, given=[]), events)


def reduced(failure: Failure, *, tries: int = TRIES_MAX) -> Failure:
    """The same failure, of as few events, rows and words as were found."""
    return _Reduction(failure, tries).run()


class _Reduction:
    def __init__(self, failure: Failure, tries: int) -> None:
        self.failure = failure
        self.tries = tries

    def run(self) -> Failure:
        self._only_the_query()
        before = None
        while before != self.failure.events and self.tries:
            before = self.failure.events
            self._fewer(self.failure.events, lambda events: events)
            for place, event in enumerate(self.failure.events):
                if isinstance(event, Append):
                    self._fewer_rows(place, event)
                elif isinstance(event, Create):
                    self._simpler_query(place, event)
        return self.failure

    def _still_fails(self, events: Sequence[Event]) -> bool:
        """Takes the events over if they fail in the same way."""
        if not self.tries:
            return False
        self.tries -= 1
        try:
            found = replayed(self.failure.case.seed, events)
        except HeadwaterError:
            return False
        if found is None or found.kind != self.failure.kind:
            return False
        self.failure = found
        return True

    def _with(self, place: int, event: Event) -> list[Event]:
        events = list(self.failure.events)
        events[place] = event
        return events

    def _only_the_query(self) -> None:
        """Leaves out all queries but one."""
        for kept in self.failure.events:
            if isinstance(kept, Create):
                others = (e for e in self.failure.events if not isinstance(e, Create) or e is kept)
                if self._still_fails(list(others)):
                    return

    def _fewer(self, items: Sequence[Any], events: Callable[[tuple[Any, ...]], Sequence[Event]]) -> None:
        """Leaves out runs of items, long ones first, as long as what `events` makes of the others fails."""
        kept, size = tuple(items), len(items)
        while size:
            place = 0
            while place < len(kept):
                fewer = kept[:place] + kept[place + size :]
                if self._still_fails(events(fewer)):
                    kept = fewer
                else:
                    place += size
            size //= 2

    def _fewer_rows(self, place: int, event: Append) -> None:
        self._fewer(event.rows, lambda rows: self._with(place, dataclasses.replace(event, rows=rows)))

    def _simpler_query(self, place: int, event: Create) -> None:
        """Leaves out clauses and items where the query is DuckDB's too."""
        if event.query.sql != event.query.oracle:
            return
        for sql in simpler(event.query.sql):
            query = dataclasses.replace(event.query, sql=sql, oracle=sql)
            if self._still_fails(self._with(place, Create(event.name, query))):
                return self._simpler_query(place, Create(event.name, query))


# ---------------------------------------------------------------- simpler queries

# Without ORDER BY an answer may be up to the database, so it stays.
_CLAUSES = ("where", "having", "qualify", "limit", "offset", "filter")
_LISTS = ("items", "group_by")


def simpler(sql: str) -> Iterator[str]:
    """The query without one of its clauses, or one of several items: some of these are queries."""
    statement = parse_statement(sql)
    for tree in _smaller(statement):
        assert isinstance(tree, syntax.Query)
        yield unparse(tree)


def _smaller(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple):
        for place, item in enumerate(node):
            for other in _smaller(item):
                yield (*node[:place], other, *node[place + 1 :])
        return
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        options: list[Any] = []
        if field.name in _CLAUSES and value:
            options.append(() if isinstance(value, tuple) else None)
        if field.name in _LISTS and isinstance(value, tuple) and len(value) > 1:
            options += [value[:place] + value[place + 1 :] for place in range(len(value))]
        if isinstance(value, syntax.Node | tuple):
            options += _smaller(value)
        for option in options:
            yield dataclasses.replace(node, **{field.name: option})


# ---------------------------------------------------------------- a test to paste


def as_test(failure: Failure) -> str:
    """The failure as a plain test: statements and rows, then a query of DuckDB's over what they leave."""
    lines = [
        f"def test_case_{failure.case.seed}() -> None:",
        f"    # {failure.text.splitlines()[0]}"[:118],
        "    with connect(None, background=False) as db, duckdb.connect() as con:",
    ]
    used = [source for source in failure.case.sources.values() if _is_used(source.name, failure)]
    lines += [f"        db.execute({source.statement!r})" for source in used]
    created = ""
    for event in failure.events:
        lines.append(f"        {_statement(event)}")
        created = event.name if isinstance(event, Create) and not created else created
    lines += ["", "        # what DuckDB has by now"]
    con = failure.case.oracle.con
    con.execute(f"SET VARIABLE version = {2**62}; SET VARIABLE records = {2**62}")
    for source in used:
        for view in (source.name, f"{source.name}h") if source.kind != "stream" else (source.name,):
            columns = ", ".join(f"{name} {type_}" for name, type_, *_ in con.execute(f"DESCRIBE {view}").fetchall())
            rows = con.execute(f"SELECT * FROM {view}").fetchall()
            lines.append(f'        con.execute("CREATE TABLE {view} ({columns})")')
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                lines.append(f'        con.executemany("INSERT INTO {view} VALUES ({marks})", {rows!r})')
    queries = {event.name: event.query for event in failure.events if isinstance(event, Create)}
    for name, query in queries.items():
        lines += [
            f"        expected = canonical(con.execute({query.oracle!r}).fetchall())",
            f'        assert canonical(db.sql("SELECT * FROM {name}").fetchall()) == expected',
        ]
    head = "nan, inf = float('nan'), float('inf')  # and: import datetime; from decimal import Decimal\n\n\n"
    return head + "\n".join(lines) + "\n"


def _is_used(name: str, failure: Failure) -> bool:
    """Whether a relation is spoken of."""
    queries = [f"{e.query.sql} {e.query.oracle}" for e in failure.events if isinstance(e, Create)]
    changed = {e.relation for e in failure.events if isinstance(e, Append | Update | Delete)}
    return name in changed or any(re.search(rf"\b(FROM|JOIN|,) \(*{name}h?\b", query) for query in queries)


def _statement(event: Event) -> str:
    match event:
        case Append(relation, rows):
            return f"db.append({relation!r}, {list(rows)!r})"
        case Create(name, query):
            return f"db.execute({query.statement(name)!r})"
        case Step():
            return "db.settle()"
        case Update() | Delete():
            return f"db.execute({event.sql!r})"
        case Checkpoint():
            return 'db.execute("CHECKPOINT")'
        case Clock(seconds):
            return f"# the clock is at {seconds} s"
        case _:
            return "# the database is closed and opened again here"
