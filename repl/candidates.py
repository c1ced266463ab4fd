"""What could stand at a place: for each kind of thing, the candidates of that kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, takewhile

from headwater.engine.session import SETTINGS
from headwater.parser import quote
from headwater.planner.function_catalog import FunctionInfo, function_catalog
from headwater.planner.properties import PROPERTIES
from headwater.repl.names import Named, Names, Port
from headwater.repl.place import Block, Item, Kind, Place, without_places
from headwater.repl.scope import Scope, Source, columns_of, fields_of, scope_of, with_whole_names
from headwater.repl.sql_tokens import TYPES, WORDS, Token
from headwater.values import ROWOFFSET, ROWPARTITION, ROWTIME, Column


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text to insert and what to say of it; one of higher `rank` comes later than others that are as good."""

    text: str
    meaning: str = ""
    rank: int = 0


# What people write most, in that order: with a letter or two typed these come first.
COMMON_WORDS = tuple(
    "SELECT|FROM|WHERE|AND|GROUP BY|ORDER BY|JOIN|AS|OR|LEFT JOIN|ON|LIMIT|EMIT CHANGES|HAVING|CASE|WHEN|THEN|ELSE|END"
    "|DESC|NOT|IS NULL|IS NOT NULL|IN|NOT IN|BETWEEN|LIKE|NOT LIKE|DISTINCT|NULL|TRUE|FALSE|CREATE|INSERT INTO|STREAM"
    "|TABLE|VALUES|AS OF|WINDOW TUMBLING|WINDOW HOPPING|WITH|PRIMARY KEY|NOT NULL|SHOW|DESCRIBE|EXPLAIN|DROP"
    "|DELETE FROM|UPDATE|SET|USING|UNION|OVER|PARTITION BY|CAST|INTERVAL|EMIT FINAL"
    "|VIEW|MATERIALIZED VIEW|OR REPLACE|IF NOT EXISTS|IF EXISTS"
    "|TABLES|STREAMS|QUERIES|SECONDS|MINUTES|HOURS|DAYS|SECOND|MINUTE|HOUR|DAY|ASC|OFFSET|WITHIN|GRACE PERIOD".split(
        "|"
    )
)
_WORD_RANKS = {word: number for number, word in enumerate(COMMON_WORDS)}
COMMON_FUNCTIONS = tuple(
    "count sum avg min max round coalesce lower upper length now date_trunc concat row_number lag lead abs substring"
    " trim replace arg_max arg_min any_value list string_agg date_part strftime extract rank dense_rank first last"
    " greatest least nullif floor ceil median quantile_cont stddev regexp_replace regexp_matches split_part"
    " json_extract unnest generate_series tumble hop".split()
)
_FUNCTION_RANKS = {name: number for number, name in enumerate(COMMON_FUNCTIONS)}

_TYPE_ORDER = "BIGINT VARCHAR DOUBLE TIMESTAMP BOOLEAN INTEGER DECIMAL DATE".split()
# Of its own in the table of properties: what the values may be.
_PROPERTY_VALUES: Mapping[str, tuple[str, ...]] = {
    "compression": ("'lz4'", "'zstd'", "'none'"),
    "start": ("'earliest'", "'latest'"),
    "partitions": ("1", "4", "8"),
    "retention": ("'7 days'", "'forever'"),
    "retention_size": ("'10 GB'", "'forever'"),
    "idle_timeout": ("'10 seconds'",),
    "state_limit": ("'1 GB'",),
    "timestamp_format": ("'%Y-%m-%d %H:%M:%S'",),
}
_PROPERTY_MEANINGS = {
    "partitions": "how many", "timestamp": "the column with the event time",
    "timestamp_format": "how times are written",
    "retention": "how long rows are kept", "retention_size": "how much is kept", "compression": "lz4 or zstd",
    "idle_timeout": "after how long a silence windows close", "start": "where the query begins",
    "state_limit": "how much state a query may hold",
}  # fmt: skip
_POINTS = {
    "OFFSET": "of a record", "VERSION": "of the database", "TIMESTAMP": "a time of commit",
    "EARLIEST": "the beginning", "LATEST": "now", "'5 minutes ago'": "a length of time",
}  # fmt: skip
# Words that the grammar knows by what comes behind them.
_AFTER_WORD = {
    "WINDOW": ("TUMBLING (SIZE ", "HOPPING (SIZE ", "SESSION ("),
    "IF": ("NOT EXISTS", "EXISTS"),
    "ERROR": ("SKIP", "FAIL", "INSERT INTO"),
    "CHANGES": ("FROM",),
    "VIOLATION": ("DROP", "FAIL", "INSERT INTO"),
}
_PSEUDO = (Column(ROWTIME, "TIMESTAMP"), Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))
_WINDOW_BOUNDS = (Column("WINDOWSTART", "TIMESTAMP"), Column("WINDOWEND", "TIMESTAMP"))
_LATE = 60  # the rank of what is rarely meant


@dataclass(frozen=True)
class Candidates:
    """Finds what could stand at a place, of the names of a database."""

    place: Place
    names: Names

    @cached_property
    def scope(self) -> Scope:
        return scope_of(self.place, self.names)

    def of(self, kind: Kind) -> Iterable[Candidate]:
        """The candidates of a kind."""
        return _FINDERS[kind](self)

    def relations(self, *kinds: str) -> Iterator[Candidate]:
        """Relations, of some kinds or of all; what WITH names first. Behind INSPECT, what is private to instances."""
        if self.place.words[-1:] == ("INSPECT",):
            yield from (Candidate(_qualified(n.name), f"private {n.kind}") for n in self.names.private.values())
            return
        for named in (*self.scope.tables.values(), *self.names.relations.values()):
            if not kinds or named.kind in kinds:
                yield Candidate(_qualified(named.name), named.kind)
        if self.names.private and not kinds and self.place.words[-1:] in (("FROM",), ("JOIN",)):
            yield Candidate("INSPECT", "what is private to an instance", _LATE)

    def queries(self) -> Iterator[Candidate]:
        for named in self.names.relations.values():
            if named.is_query:
                yield Candidate(_qualified(named.name), f"query of a {named.kind}")

    def components(self, kind: str) -> Iterator[Candidate]:
        """Schemas, pipelines or instances."""
        yield from (Candidate(_qualified(name), kind.lower()) for of, name in self.names.components if of == kind)

    def ports(self) -> Iterator[Candidate]:
        """What CREATE INSTANCE gives, without what it has given already."""
        pairs = pairwise(self.place.blocks[-1].items)
        given = {item.name for item, behind in pairs if isinstance(item, Token) and _is(behind, "=")}
        for port in self._pipeline_ports():
            if port.name.lower() not in given:
                yield Candidate(f"{quote(port.name)} => ", f"{port.kind} {port.meaning}")

    def given(self) -> Iterator[Candidate]:
        """What may be given for the port that is named: relations of its kind; of a parameter the default is shown."""
        name = self.place.words[-3].lower()
        for port in self._pipeline_ports():
            if port.name.lower() == name and port.kind != "param":
                yield from self.relations(port.kind)

    def _pipeline_ports(self) -> tuple[Port, ...]:
        items = [item for item in self.place.blocks[0].items if isinstance(item, Token)]
        of = next((number for number, item in enumerate(items) if item.name == "of"), len(items))
        pipeline = "".join(item.name for item in takewhile(lambda i: i.is_name or i.text == ".", items[of + 1 :]))
        return self.names.ports.get(pipeline, ())

    def columns(self) -> Iterator[Candidate]:
        """Columns in scope, the innermost first; before there is a FROM, those of all relations."""
        sources = self.scope.sources()
        if not sources:
            yield from (Candidate(quote(column.name), f"{column.type} · {of}", 1) for column, of in self.names.columns)
            return
        inner = len(self.scope.inner)
        for number, source in enumerate(sources):
            said = f" · {source.name}" if len(sources) > 1 else ""
            for column in source.columns:
                yield Candidate(quote(column.name), f"{column.type}{said}".strip(" ·"), 0 if number < inner else 2)
        if len(sources) > 1:
            yield from (Candidate(f"{source.name}.", source.kind, 3) for source in sources)
        bounds = _WINDOW_BOUNDS if self.scope.is_windowed else ()
        is_stream = any(source.kind == "stream" for source in sources)
        for column in (*bounds, *(_PSEUDO if is_stream else ())):
            yield Candidate(column.name, column.type, 1 if column in bounds else _LATE)

    def aliases(self) -> Iterator[Candidate]:
        """What SELECT calls its columns, where the rest of the statement may say so."""
        if {"ORDER", "GROUP", "HAVING", "QUALIFY"}.intersection(self.place.words):
            yield from (Candidate(quote(column.name), column.type or "of SELECT") for column in self.scope.aliases)

    def members(self) -> Iterator[Candidate]:
        """What stands behind a dot: the columns of a source, the fields of a struct, or what is in a schema."""
        path = _dotted(self.place.blocks[-1].items)
        columns = self._path(path)
        yield from (Candidate(quote(column.name), column.type) for column in columns)
        place = "".join(f"{part}." for part in path)
        words = without_places(self.place.words)
        seen = {**self.names.private, **self.names.relations} if "INSPECT" in words[-3:] else self.names.relations
        for name, named in seen.items():
            if not columns and place and name.startswith(place):
                yield Candidate(_qualified(named.name[len(place) :]), named.kind)

    def _path(self, path: list[str]) -> tuple[Column, ...]:
        sources = self.scope.sources()
        if not path:
            return ()
        for length in range(len(path), 0, -1):
            name = ".".join(path[:length])  # of a source, or that of its relation with the schema before it
            columns = next((s.columns for s in sources if name in (_plain(s.name), s.relation.lower())), None)
            if columns is None and name in self.names.relations and not sources:
                columns = columns_of(self.names.relations[name], self.names.relations)
            if columns is not None:
                return self._fields(columns, path[length:])
        return self._fields(tuple(column for source in sources for column in source.columns), path)

    def _fields(self, columns: tuple[Column, ...], path: list[str]) -> tuple[Column, ...]:
        for name in path:
            columns = next((fields_of(column.type) for column in columns if column.name.lower() == name), ())
        return columns

    def target_columns(self) -> Iterator[Candidate]:
        """The columns of the relation that is changed, without those that are named in the list already."""
        target = self._target()
        if target is None:
            return
        block = self.place.blocks[-1]
        taken = {item.name for item in block.items if isinstance(item, Token)} if len(self.place.blocks) > 1 else set()
        for column in columns_of(target, self.names.relations):
            if column.name.lower() not in taken:
                yield Candidate(quote(column.name), column.type)

    def _target(self) -> Named | None:
        items = with_whole_names(self.place.blocks[0].items, self.names.relations)
        tokens = [item for item in items if isinstance(item, Token) and item.is_name]
        return next((self.names.relations[token.name] for token in tokens if token.name in self.names.relations), None)

    def common_columns(self) -> Iterator[Candidate]:
        """The columns that both sides of the last join have."""
        *before, joined = self.scope.inner or self.scope.outer or (Source("", ()),)
        known = {column.name.lower() for source in before for column in source.columns}
        yield from (Candidate(quote(c.name), c.type) for c in joined.columns if c.name.lower() in known)

    def conditions(self) -> Iterator[Candidate]:
        """Equalities between what is joined last and what stands before it: same names, then a name and a key."""
        sources = _up_to_cursor(self.place, self.scope)
        if len(sources) < 2:
            return
        *before, joined = sources
        for rank, fits in enumerate((_same_name, _refers)):
            for source in before:
                for left in source.columns:
                    for right in joined.columns:
                        if fits(left, right, source, joined):
                            text = f"{source.name}.{quote(left.name)} = {joined.name}.{quote(right.name)}"
                            yield Candidate(text, left.type, rank)

    def defined_columns(self) -> Iterator[Candidate]:
        """The columns that the statement itself defines."""
        for block in reversed(self.place.blocks):
            starts = [item for item, before in _pairs(block.items) if before is None or _is(before, ",")]
            names = [
                item.text for item in starts if isinstance(item, Token) and item.is_name and item.name != "watermark"
            ]
            if names and "CREATE" in self.place.first_words and "SELECT" not in self.place.first_words:
                yield from (Candidate(name, "column") for name in names if name.upper() != "PRIMARY")

    def functions(self) -> Iterator[Candidate]:
        bracket = "" if self.place.is_followed_by_bracket else "("
        for name, signature in self.names.functions.items():
            yield Candidate(f"{quote(name)}{bracket}", signature)
        yield from _built_in("scalar", "aggregate", "window", bracket=bracket)

    def source_functions(self) -> Iterator[Candidate]:
        return iter(_built_in("table", bracket="" if self.place.is_followed_by_bracket else "("))

    def types(self) -> Iterator[Candidate]:
        yield from (Candidate(quote(name), text) for name, text in self.names.types.items())
        for name in sorted(TYPES):
            yield Candidate(name, "type", _TYPE_ORDER.index(name) if name in _TYPE_ORDER else len(_TYPE_ORDER))

    def points(self) -> Iterator[Candidate]:
        return (Candidate(text, meaning) for text, meaning in _POINTS.items())

    def properties(self) -> Iterator[Candidate]:
        given = {item.name for item in self.place.blocks[-1].items if isinstance(item, Token) and item.is_name}
        for number, name in enumerate(_PROPERTY_MEANINGS):
            if name in PROPERTIES and name not in given:
                yield Candidate(f"{name} = ", _PROPERTY_MEANINGS[name], number)

    def property_values(self) -> Iterator[Candidate]:
        name = self.place.words[-2].lower() if len(self.place.words) > 1 else ""
        if name == "timestamp":
            columns = _defined_before(self.place)
            yield from (Candidate(f"'{column}'", "column") for column in columns)
        yield from (Candidate(value) for value in _PROPERTY_VALUES.get(name, ()))

    def settings(self) -> Iterator[Candidate]:
        typed = "".join(word.lower() for word in self.place.words[1:])  # auto.offset.reset has dots
        for name, values in SETTINGS.items():
            if name.startswith(typed):
                yield Candidate(name[len(typed) :], f"now or by default {values[0]}")

    def setting_values(self) -> Iterator[Candidate]:
        name = "".join(word.lower() for word in self.place.words[1:-1])
        yield from (Candidate(f"'{value}'") for value in SETTINGS.get(name, ()))

    def keywords(self) -> Iterator[Candidate]:
        """The keywords that the grammar takes here; all of them after an error."""
        last = self.place.words[-1] if self.place.words else ""
        yield from (Candidate(text, "", 0) for text in _AFTER_WORD.get(last, ()))
        follows = self.place.follows
        for phrase in follows.phrases if follows is not None else sorted(WORDS):
            yield Candidate(phrase, "", _WORD_RANKS.get(phrase, len(_WORD_RANKS)))
        if follows is not None and "STAR" in follows.marks and last in ("SELECT", "DISTINCT"):
            yield Candidate("*", "all columns")


def _qualified(name: str) -> str:
    """A name as a statement has it: each of its parts with quotes, if it needs them."""
    return ".".join(map(quote, name.split(".")))


_FINDERS: Mapping[Kind, Callable[[Candidates], Iterable[Candidate]]] = {
    Kind.RELATION: Candidates.relations,
    Kind.STREAM: lambda found: found.relations("stream"),
    Kind.TABLE: lambda found: found.relations("table"),
    Kind.VIEW: lambda found: found.relations("view"),
    Kind.QUERY: Candidates.queries,
    Kind.SCHEMA: lambda found: found.components("SCHEMA"),
    Kind.PIPELINE: lambda found: found.components("PIPELINE"),
    Kind.INSTANCE: lambda found: found.components("INSTANCE"),
    Kind.USER_TYPE: lambda found: [Candidate(quote(name), text) for name, text in found.names.types.items()],
    Kind.USER_FUNCTION: lambda found: [Candidate(quote(name), text) for name, text in found.names.functions.items()],
    Kind.SOURCE_FUNCTION: Candidates.source_functions,
    Kind.COLUMN: Candidates.columns,
    Kind.MEMBER: Candidates.members,
    Kind.TARGET_COLUMN: Candidates.target_columns,
    Kind.COMMON_COLUMN: Candidates.common_columns,
    Kind.DEFINED_COLUMN: Candidates.defined_columns,
    Kind.CONDITION: Candidates.conditions,
    Kind.ALIAS: Candidates.aliases,
    Kind.FUNCTION: Candidates.functions,
    Kind.TYPE: Candidates.types,
    Kind.POINT: Candidates.points,
    Kind.PROPERTY: Candidates.properties,
    Kind.PROPERTY_VALUE: Candidates.property_values,
    Kind.SETTING: Candidates.settings,
    Kind.SETTING_VALUE: Candidates.setting_values,
    Kind.PORT: Candidates.ports,
    Kind.GIVEN: Candidates.given,
    Kind.FILE: lambda found: (),  # the prompt's business
    Kind.KEYWORD: Candidates.keywords,
}


@cache
def _built_in(*kinds: str, bracket: str) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(_call(function, bracket), _signature(function), _FUNCTION_RANKS.get(function.name, _LATE))
        for function in function_catalog()
        if function.kind in kinds
    )


def _call(function: FunctionInfo, bracket: str) -> str:
    """What is typed of a call: with its bracket, and the closing one where nothing comes between."""
    takes_nothing = bracket and function.signatures and all("()" in signature for signature in function.signatures)
    return f"{function.name}{bracket}{')' if takes_nothing else ''}"


def _signature(function: FunctionInfo) -> str:
    first = function.signatures[-1] if function.signatures else function.kind
    return first if function.kind == "scalar" else f"{first} · {function.kind}"


def _dotted(items: list[Item]) -> list[str]:
    """The names before the dot at the cursor: `b.address.` gives b and address."""
    end = next(number for number, item in enumerate(items) if isinstance(item, Token) and item.kind == "cursor")
    path: list[str] = []
    while end > 1 and (_is(items[end - 1], ".") or (_is(items[end - 1], ">") and _is(items[end - 2], "-"))):
        name = items[end - 2 if _is(items[end - 1], ".") else end - 3]
        if not isinstance(name, Token) or not name.is_name:
            break
        path.insert(0, name.name)
        end -= 2 if _is(items[end - 1], ".") else 3
    return path


def _up_to_cursor(place: Place, scope: Scope) -> list[Source]:
    """The sources whose names stand before the cursor."""
    words = set(place.words)
    return [source for source in scope.inner if _plain(source.name).upper() in words] or list(scope.inner)


def _same_name(left: Column, right: Column, source: Source, joined: Source) -> bool:
    return left.name.lower() == right.name.lower()


def _refers(left: Column, right: Column, source: Source, joined: Source) -> bool:
    """Whether one column has the other's relation in its name: `orders.customer_id = customers.id`."""
    return _is_reference(left.name, right.name, joined) or _is_reference(right.name, left.name, source)


def _is_reference(name: str, key: str, to: Source) -> bool:
    return key.lower() in ("id", "key", "name", "code") and name.lower().removesuffix("_id") in _singulars(to)


def _singulars(source: Source) -> set[str]:
    names = {_plain(source.name), source.relation.lower()}
    return names | {name.removesuffix("s") for name in names}


def _plain(name: str) -> str:
    return name.strip('"`').lower()


def _is(item: Item, text: str) -> bool:
    return isinstance(item, Token) and item.text == text


def _pairs(items: list[Item]) -> Iterator[tuple[Item, Item | None]]:
    return zip(items, (None, *items), strict=False)


def _defined_before(place: Place) -> list[str]:
    """The columns that CREATE … (…) WITH defines, or that the query behind it selects."""
    for item in place.blocks[0].items:
        if isinstance(item, Block) and item is not place.blocks[-1]:
            starts = [inner for inner, before in _pairs(item.items) if before is None or _is(before, ",")]
            return [inner.text for inner in starts if isinstance(inner, Token) and inner.is_name]
    return []
