"""What can be named at the cursor: the relations in FROM around it, by their aliases, with their columns and types.

It reads tokens, as the statement is being typed and no tree can be made of it. Columns of subqueries, WITH and views
are those that their SELECT names; a type is known where it is a column's, a cast's or a function's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from headwater.planner.function_catalog import function_catalog
from headwater.repl.names import Named, Names
from headwater.repl.place import CURSOR, Block, Item, Place, nested
from headwater.repl.sql_tokens import Token
from headwater.values import Column

_SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT"})
_END_OF_SOURCE = frozenset(
    "JOIN LEFT RIGHT FULL INNER CROSS SEMI ANTI ASOF NATURAL POSITIONAL ON USING WHERE GROUP HAVING WINDOW QUALIFY"
    " ORDER LIMIT EMIT UNION EXCEPT INTERSECT SELECT SET WITHIN PARTITION".split()
)
_NO_NAME = frozenset("SELECT FROM WHERE AS ON USING AND OR NOT LATERAL TABLE OFFSET VERSION EARLIEST LATEST".split())
_WINDOW_FUNCTIONS = frozenset({"TUMBLE", "HOP", "CUMULATE", "SESSION"})
_WINDOW_COLUMNS = (
    Column("window_start", "TIMESTAMP"), Column("window_end", "TIMESTAMP"), Column("window_time", "TIMESTAMP"),
)  # fmt: skip
_DEPTH_MAX = 8  # of views that read views


@dataclass(frozen=True, slots=True)
class Source:
    """Something in FROM: the name that it has there, quoted as it was written; what it is; of which relation."""

    name: str
    columns: tuple[Column, ...]
    kind: str = ""
    relation: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """The sources in the blocks around the cursor, those of the innermost first; what WITH names; names of SELECT."""

    inner: tuple[Source, ...]
    outer: tuple[Source, ...]
    tables: Mapping[str, Named]
    aliases: tuple[Column, ...]
    is_windowed: bool

    def sources(self) -> tuple[Source, ...]:
        return (*self.inner, *self.outer)


def scope_of(place: Place, names: Names) -> Scope:
    """What can be named at a place."""
    known: dict[str, Named] = {**names.private, **names.relations}
    tables: dict[str, Named] = {}
    levels: list[list[Source]] = []
    aliases: tuple[Column, ...] = ()
    is_windowed = False
    for block in place.blocks:
        items = with_whole_names(block.items, known)
        tables |= _tables_of_with(items, known)
        known |= tables
        part = _part_at_cursor(items)
        here = sources(part, known)
        if here or any(_word(item) == "SELECT" for item in part):
            aliases = tuple(column for column, is_renamed in _selected(part, here) if is_renamed)
            is_windowed = any(_word(item) == "WINDOW" for item in part)
        levels.append(here)
    filled = [level for level in reversed(levels) if level]
    outer = tuple(source for level in filled[1:] for source in level)
    return Scope(tuple(filled[0]) if filled else (), outer, tables, aliases, is_windowed)


def with_whole_names(items: list[Item], known: Mapping[str, Named]) -> list[Item]:
    """Items in which the qualified name of a relation is one token, `bank.payments`, also behind INSPECT."""
    found: list[Item] = []
    for item in items:
        if isinstance(item, Block):
            item = Block(item.opener, with_whole_names(item.items, known))
        before = found[-2] if len(found) > 1 and _text(found[-1]) == "." else None
        if isinstance(before, Token) and isinstance(item, Token) and item.is_name:
            name = f"{before.name}.{item.name}"
            if any(f"{other}.".startswith(f"{name}.") for other in known):
                item = Token("word", f"{_spelled(before)}.{_spelled(item)}")
                del found[-2:]
                if found and _word(found[-1]) == "INSPECT":
                    found.pop()
        found.append(item)
    return found


def columns_of(named: Named, known: Mapping[str, Named], depth: int = 0) -> tuple[Column, ...]:
    """The columns of a relation; those of a view follow from its text."""
    if named.kind != "view" or depth > _DEPTH_MAX:
        return named.columns
    items = with_whole_names(nested(named.definition).items, known)
    body = next((number for number, item in enumerate(items) if _word(item) in ("SELECT", "WITH")), len(items))
    found = selected_columns(items[body:], known, depth + 1)
    before = items[body - 2] if body >= 2 else None
    given = _names_in(before) if isinstance(before, Block) else []
    return tuple(Column(name, column.type) for name, column in zip(given, found, strict=False)) if given else found


def selected_columns(items: list[Item], known: Mapping[str, Named], depth: int = 0) -> tuple[Column, ...]:
    """The columns of a query: of the first of its SELECTs."""
    inner = {**known, **_tables_of_with(items, known, depth)}
    first = _parts(items)[0]
    start = next((number for number, item in enumerate(first) if _word(item) == "SELECT"), None)
    if start is None:
        block = next((item for item in first if isinstance(item, Block)), None)
        return selected_columns(block.items, inner, depth + 1) if block is not None and depth < _DEPTH_MAX else ()
    part = first[start:]
    return tuple(column for column, _ in _selected(part, sources(part, inner, depth)))


def sources(items: list[Item], known: Mapping[str, Named], depth: int = 0) -> list[Source]:
    """The sources of one SELECT, UPDATE, DELETE or EXPLAIN ROW, whose FROM clause stands in `items`."""
    found: list[Source] = []
    expects, is_from = False, False
    number = 0
    while number < len(items):
        item = items[number]
        word = _word(item)
        number += 1
        if word in ("FROM", "JOIN", "UPDATE") or (word in ("ROW", "MISSING") and _word(items[0]) == "EXPLAIN"):
            expects = _word(items[number - 2]) not in ("DISTINCT", "CHANGES") if number > 1 else True
            is_from = is_from or word in ("FROM", "JOIN")
        elif isinstance(item, Token) and item.text == "," and is_from:
            expects = True
        elif word in _END_OF_SOURCE - {"JOIN", "ON", "USING", "WITHIN"} and word in (
            "WHERE",
            "GROUP",
            "ORDER",
            "WINDOW",
        ):
            is_from = expects = False
        elif expects and word != "LATERAL" and item is not CURSOR:
            stretch = _stretch(items, number)
            source = _source(item, stretch, known, depth)
            found += [] if source is None else [source]
            number += len(stretch)
            expects = False
    return found


def _stretch(items: list[Item], start: int) -> list[Item]:
    """What belongs to a source behind its name: up to the next clause."""
    end = start
    while end < len(items) and not (_word(items[end]) in _END_OF_SOURCE or _text(items[end]) == ","):
        end += 1
    return items[start:end]


def _source(item: Item, stretch: list[Item], known: Mapping[str, Named], depth: int) -> Source | None:
    if depth > _DEPTH_MAX:
        return None
    arguments = stretch[0] if stretch and isinstance(stretch[0], Block) else None
    name, renamed = _alias(stretch)
    if isinstance(item, Block):
        columns = selected_columns(item.items, known, depth + 1)
        inner = [] if columns else sources([Token("keyword", "FROM"), *item.items], known, depth + 1)
        columns = columns or tuple(column for source in inner for column in source.columns)
        return Source(name, _renamed(columns, renamed), "subquery")
    if not item.is_name or (item.kind == "keyword" and item.text.upper() in _NO_NAME):
        return None
    if arguments is not None and item.text.upper() in _WINDOW_FUNCTIONS:
        named = next((known[t.name] for t in arguments.items if isinstance(t, Token) and t.name in known), None)
        columns = (*columns_of(named, known, depth), *_WINDOW_COLUMNS) if named is not None else _WINDOW_COLUMNS
        return Source(name or item.text, columns, "windows")
    if arguments is not None and item.name not in known:
        return Source(name or item.text, _renamed((Column(name or item.text, ""),), renamed), "function")
    relation = known.get(item.name)
    if relation is None:
        return None
    last = item.text if item.kind == "quoted" else item.text.rpartition(".")[2]
    return Source(name or last, _renamed(columns_of(relation, known, depth), renamed), relation.kind, relation.name)


def _alias(stretch: list[Item]) -> tuple[str, list[str]]:
    """The alias that stands behind a source, or "", and its names for columns."""
    for number in reversed(range(len(stretch))):
        item = stretch[number]
        if isinstance(item, Token) and item.kind in ("word", "quoted"):
            behind = stretch[number + 1] if number + 1 < len(stretch) else None
            return item.text, _names_in(behind) if isinstance(behind, Block) else []
    return "", []


def _renamed(columns: tuple[Column, ...], renamed: list[str]) -> tuple[Column, ...]:
    if not renamed:
        return columns
    types = [column.type for column in columns] + [""] * len(renamed)
    return tuple(Column(name, type_) for name, type_ in zip(renamed, types, strict=False))


def _tables_of_with(items: list[Item], known: Mapping[str, Named], depth: int = 0) -> dict[str, Named]:
    """What a WITH at the beginning names: `WITH a (x, y) AS (SELECT …), b AS (…)`."""
    found: dict[str, Named] = {}
    start = next((n for n, item in enumerate(items) if _word(item) == "WITH"), None)
    if start is None or depth > _DEPTH_MAX:
        return found
    name = ""
    given: list[str] = []
    for item in items[start + 1 :]:
        if _word(item) == "SELECT":
            break
        if isinstance(item, Block) and name:
            if any(_word(inner) in ("SELECT", "VALUES", "WITH") for inner in item.items):
                columns = selected_columns(item.items, {**known, **found}, depth + 1)
                found[name.lower()] = Named(name, "with", _renamed(columns, given))
                name, given = "", []
            else:
                given = _names_in(item)
        elif isinstance(item, Token) and item.kind in ("word", "quoted") and not name:
            name = item.text
    return found


# ---------------------------------------------------------------- the columns of a SELECT


def _selected(items: list[Item], here: list[Source]) -> Iterator[tuple[Column, bool]]:
    """The columns that a SELECT names, each with whether it gave it the name."""
    end = next((number for number, item in enumerate(items) if number and _word(item) == "FROM"), len(items))
    begin = next((number + 1 for number, item in enumerate(items[:end]) if _word(item) == "SELECT"), None)
    if begin is None:
        return
    for part in _split(items[begin:end]):
        part = [item for item in part if item is not CURSOR and _word(item) not in ("DISTINCT", "ALL")]
        if part and _text(part[-1]) == "*" and len(part) in (1, 3):
            of = part[0].name if len(part) == 3 and isinstance(part[0], Token) else None
            for source in here:
                if of is None or source.name.lower() == of:
                    yield from ((column, False) for column in source.columns)
        elif part and isinstance(part[-1], Token) and part[-1].is_name:
            last = part[-1]
            is_renamed = len(part) > 1 and _text(part[-2]) != "."
            value = part[:-2] if len(part) > 1 and _word(part[-2]) == "AS" else part[:-1] if is_renamed else part
            is_column = any(column.name.lower() == last.name for source in here for column in source.columns)
            if last.kind != "keyword" or is_column or (len(part) > 1 and _word(part[-2]) in ("AS", ".")):
                yield Column(_spelled(last), _type_of(value, here)), is_renamed


def _type_of(value: list[Item], here: list[Source]) -> str:
    """The type of an expression, where that is simple to say."""
    last = value[-1] if value else None
    texts = [_text(item) for item in value]
    if texts[-3:-1] == [":", ":"] and isinstance(last, Token):
        return last.text.upper()
    if isinstance(last, Token) and last.is_name and (len(value) == 1 or (len(value) == 3 and texts[1] == ".")):
        columns = [column for source in here for column in source.columns if column.name.lower() == last.name]
        return columns[0].type if columns else ""
    if isinstance(last, Block) and len(value) == 2 and isinstance(value[0], Token):
        if value[0].text.upper() in ("CAST", "TRY_CAST") and isinstance(
            last.items[-1:][0] if last.items else None, Token
        ):
            return _text(last.items[-1]).upper()
        return _return_types().get(value[0].name, "")
    return ""


@cache
def _return_types() -> dict[str, str]:
    """What functions give, those that give one type."""
    found = {}
    for function in function_catalog():
        types = {signature.partition(" -> ")[2] for signature in function.signatures}
        if len(types) == 1 and not re.search(r"\b(ANY|T|NUMERIC)\b|\|", "".join(types)):
            found[function.name] = types.pop()
    return found


def fields_of(type_: str) -> tuple[Column, ...]:
    """The fields of a STRUCT, from the text of its type."""
    if not type_.startswith("STRUCT("):
        return ()
    found, depth, start = [], 0, len("STRUCT(")
    for place, mark in enumerate(type_):
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if (mark == "," and depth == 1) or (mark == ")" and depth == 0):
            name, _, field_type = type_[start:place].strip().partition(" ")
            found.append(Column(name.strip('"'), field_type))
            start = place + 1
    return tuple(found)


# ---------------------------------------------------------------- small parts


def _word(item: Item) -> str:
    return item.text.upper() if isinstance(item, Token) and item.kind in ("keyword", "word") else ""


def _text(item: Item) -> str:
    return item.text if isinstance(item, Token) else ""


def _spelled(token: Token) -> str:
    """A name as it was spelled, without quotes."""
    return token.text[1:-1] if token.kind == "quoted" and len(token.text) > 1 else token.text


def _names_in(block: Block) -> list[str]:
    return [_spelled(item) for item in block.items if isinstance(item, Token) and item.is_name]


def _split(items: list[Item]) -> Iterator[list[Item]]:
    part: list[Item] = []
    for item in items:
        if _text(item) == ",":
            yield part
            part = []
        else:
            part.append(item)
    yield part


def _parts(items: list[Item]) -> list[list[Item]]:
    """The SELECTs between UNION, EXCEPT and INTERSECT."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if _word(item) in _SET_OPERATORS:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def _part_at_cursor(items: list[Item]) -> list[Item]:
    """The SELECT of a block in which the cursor is, also inside brackets in it."""
    parts = _parts(items)
    return next((part for part in parts if any(item is CURSOR or _has_cursor(item) for item in part)), parts[-1])


def _has_cursor(item: Item) -> bool:
    return isinstance(item, Block) and any(inner is CURSOR or _has_cursor(inner) for inner in item.items)
