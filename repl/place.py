"""Where the cursor is: the statement around it as brackets within brackets, and which kinds of things may stand there.

Works on any text, valid or not. Which keywords may follow, and whether an expression or a type, the parser says
(`headwater.parser.following`) as long as there is no error before the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property

from headwater.parser import Following, following
from headwater.repl.sql_tokens import Token, tokens

CURSOR = Token("cursor", "")
LONG = 20_000  # characters


@dataclass(slots=True)
class Block:
    """What stands between two brackets, or in the whole statement: tokens, and blocks in it.

    `opener` are the words before the bracket, in upper case, the nearest last.
    """

    opener: tuple[str, ...] = ()
    items: list[Token | Block] = field(default_factory=list)


Item = Token | Block


class Kind(Enum):
    """What may stand somewhere."""

    RELATION = auto()
    STREAM = auto()
    TABLE = auto()
    VIEW = auto()
    QUERY = auto()  # a relation that a query computes
    SCHEMA = auto()
    PIPELINE = auto()
    INSTANCE = auto()
    USER_TYPE = auto()
    USER_FUNCTION = auto()
    SOURCE_FUNCTION = auto()  # one that stands in FROM
    COLUMN = auto()  # of what is in scope
    MEMBER = auto()  # what stands behind a dot
    TARGET_COLUMN = auto()  # of the relation that the statement changes
    COMMON_COLUMN = auto()  # for USING
    DEFINED_COLUMN = auto()  # of the definitions in the statement itself
    CONDITION = auto()  # of a join
    ALIAS = auto()  # what SELECT calls its columns
    FUNCTION = auto()
    TYPE = auto()
    POINT = auto()  # of the log
    PROPERTY = auto()
    PROPERTY_VALUE = auto()
    SETTING = auto()
    SETTING_VALUE = auto()
    PORT = auto()  # of a pipeline, in CREATE INSTANCE
    GIVEN = auto()  # what is given for one
    FILE = auto()
    KEYWORD = auto()


@dataclass(frozen=True)
class Place:
    """The cursor in a statement: `typed` is the word before it, `beginning` the text of the statement before that.

    `blocks` are those around the cursor, the outermost first. `is_followed_by_bracket`: a `(` stands there already.
    """

    typed: str
    beginning: str
    blocks: tuple[Block, ...]
    is_followed_by_bracket: bool = False

    @cached_property
    def follows(self) -> Following | None:
        """What the grammar says may stand here; None after an error."""
        return following(self.beginning)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """What stands before the cursor in its block, in upper case; a block in it is `()`."""
        return tuple(_words(self.blocks[-1]))

    @cached_property
    def first_words(self) -> tuple[str, ...]:
        """What the statement begins with."""
        return tuple(_words(self.blocks[0]))

    @property
    def opener(self) -> tuple[str, ...]:
        return self.blocks[-1].opener

    @property
    def is_in_string(self) -> bool:
        return self.typed[:1] in ("'", "$")


def place_of(before: str, after: str = "") -> Place | None:
    """The place between two texts; None where nothing can be completed, as in a comment or a number."""
    start = _start_of_statement(before)
    found = list(tokens(before[start:]))
    typed = ""
    if found:
        last = found[-1]
        open_string = last.kind == "string" and not _is_closed(last.text)
        if last.is_name or open_string:
            typed = last.text
            found.pop()
        elif last.kind in ("comment", "number", "string"):
            return None
    behind = list(_rest(after))
    blocks = _nested([token for token in found if token.kind not in ("space", "comment")], behind)
    beginning = before[start : len(before) - len(typed)]
    return Place(typed, beginning, blocks, is_followed_by_bracket=after.lstrip()[:1] == "(")


def _is_closed(text: str) -> bool:
    mark = "$$" if text.startswith("$$") else "'"
    return len(text) >= 2 * len(mark) and text.endswith(mark)


def _start_of_statement(before: str) -> int:
    # In a long text, as a script that was pasted, a line that ends with ; ends a statement: else each letter is slow.
    position = start = 0 if len(before) <= LONG else before.rfind(";\n") + 1
    for token in tokens(before[start:]):
        position += len(token.text)
        if token.text == ";":
            start = position
    return start


def _rest(after: str) -> Iterator[Token]:
    """The tokens of the statement behind the cursor, without what is left of the word at it."""
    for number, token in enumerate(tokens(after)):
        if token.text == ";":
            return
        if token.kind not in ("space", "comment") and not (number == 0 and token.kind in ("word", "keyword")):
            yield token


def _nested(before: list[Token], behind: list[Token]) -> tuple[Block, ...]:
    """The blocks around the cursor, the outermost first, each with all that is in it."""
    open_blocks = [Block()]
    around: tuple[Block, ...] = ()
    for token in (*before, CURSOR, *behind):
        block = open_blocks[-1]
        if token is CURSOR:
            around = tuple(open_blocks)
        if token.text in ("(", "["):
            inner = Block(opener=without_places(_upper(item) for item in block.items[-12:] if item is not CURSOR)[-4:])
            block.items.append(inner)
            open_blocks.append(inner)
        elif token.text in (")", "]"):
            if len(open_blocks) > 1:
                open_blocks.pop()
        else:
            block.items.append(token)
    return around


def without_places(words: Iterable[str]) -> tuple[str, ...]:
    """Words in which a qualified name is its last part alone: INSERT INTO BANK . PAYMENTS is INSERT INTO PAYMENTS."""
    found: list[str] = []
    for word in words:
        if len(found) > 1 and found[-1] == "." and word != "()":
            del found[-2:]
        found.append(word)
    return tuple(found)


def nested(text: str) -> Block:
    """A whole text as blocks."""
    found = [token for token in tokens(text) if token.kind not in ("space", "comment")]
    return _nested(found, [])[0]


def _words(block: Block) -> Iterator[str]:
    for item in block.items:
        if item is CURSOR:
            return
        yield _upper(item)


def _upper(item: Item) -> str:
    return "()" if isinstance(item, Block) else item.name.upper() if item.is_name else item.text


# ---------------------------------------------------------------- which kinds

_SOURCES = (Kind.RELATION, Kind.SOURCE_FUNCTION)
_EXPRESSION = (Kind.COLUMN, Kind.ALIAS, Kind.FUNCTION, Kind.KEYWORD)
_ENDS_OF_FROM = frozenset("SELECT WHERE GROUP HAVING WINDOW QUALIFY ORDER LIMIT EMIT UNION EXCEPT INTERSECT ON".split())
_BEFORE_EXPRESSION = frozenset("SELECT WHERE AND OR NOT ON HAVING BY WHEN THEN ELSE CASE BETWEEN IN LIKE SET".split())
_OF_KIND = {
    "STREAM": (Kind.STREAM,),
    "TABLE": (Kind.TABLE,),
    "ASSERTION": (Kind.TABLE,),
    "VIEW": (Kind.VIEW,),
    "SCHEMA": (Kind.SCHEMA,),
    "PIPELINE": (Kind.PIPELINE,),
    "INSTANCE": (Kind.INSTANCE,),
    "TYPE": (Kind.USER_TYPE,),
    "FUNCTION": (Kind.USER_FUNCTION,),
}

# What comes right behind the first words of a statement.
_AFTER_FIRST = {
    ("PAUSE",): (Kind.QUERY, Kind.KEYWORD),
    ("RESUME",): (Kind.QUERY, Kind.KEYWORD),
    ("TERMINATE",): (Kind.QUERY, Kind.KEYWORD),
    ("PAUSE", "INSTANCE"): (Kind.INSTANCE,),
    ("RESUME", "INSTANCE"): (Kind.INSTANCE,),
    ("DESCRIBE",): (Kind.RELATION, Kind.KEYWORD),
    ("DESC",): (Kind.RELATION, Kind.KEYWORD),
    ("PRINT",): (Kind.RELATION,),
    ("UPDATE",): (Kind.RELATION,),
    ("EXPLAIN",): (Kind.QUERY, Kind.KEYWORD),
    ("EXPLAIN", "ANALYZE"): (Kind.QUERY, Kind.KEYWORD),
    ("EXPLAIN", "ROW"): (Kind.RELATION,),
    ("EXPLAIN", "MISSING"): (Kind.RELATION,),
    ("SET",): (Kind.SETTING,),
    ("UNSET",): (Kind.SETTING,),
    ("RESET",): (Kind.SETTING,),
    ("COPY",): (Kind.RELATION,),
    ("RUN", "SCRIPT"): (Kind.FILE,),
    ("FORK", "DATABASE", "TO"): (Kind.FILE,),
}


def kinds(place: Place) -> tuple[Kind, ...]:
    """The kinds of things that may stand at a place, the likeliest first."""
    words, opener = place.words, place.opener
    last = words[-1] if words else ""
    if place.is_in_string:
        return _in_string(place)
    if (last == "." and words[:1] not in (("SET",), ("UNSET",), ("RESET",))) or words[-2:] == ("-", ">"):
        return (Kind.MEMBER,)
    if last == "INSPECT":
        return (Kind.RELATION,)
    if _is_point(words):
        return (Kind.POINT,)
    if opener[-1:] == ("WITH",) and place.first_words[:1] != ("WITH",):
        return (Kind.PROPERTY_VALUE,) if last == "=" else (Kind.PROPERTY,) if last in ("", ",") else ()
    special = _of_statement(place, words) if len(place.blocks) == 1 else _in_brackets(place, words, opener)
    if special is not None:
        return special
    if _is_source(words, opener):
        return _SOURCES
    follows = place.follows
    if follows is None:
        guessed = last in _BEFORE_EXPRESSION or last[:1] in tuple("=<>+-*/%,|") or (not words and bool(opener))
        return _EXPRESSION if guessed else (Kind.KEYWORD,)
    if follows.takes_expression:
        is_join = last == "ON" and "JOIN" in words
        return (Kind.CONDITION, *_EXPRESSION) if is_join else _EXPRESSION
    if follows.takes_type:
        return (Kind.TYPE, Kind.KEYWORD)
    return (Kind.KEYWORD,)


def _in_string(place: Place) -> tuple[Kind, ...]:
    words = place.words
    if place.opener[-1:] == ("WITH",) and words[-1:] == ("=",):
        return (Kind.PROPERTY_VALUE,)
    if words[:1] == ("SET",) and words[-1:] in (("=",), ("TO",)):
        return (Kind.SETTING_VALUE,)
    is_file = (words[:1] == ("COPY",) and words[-1:] in (("TO",), ("FROM",))) or words in (
        ("RUN", "SCRIPT"), ("FORK", "DATABASE", "TO"),
    )  # fmt: skip
    return (Kind.FILE,) if is_file else ()


def _is_point(words: tuple[str, ...]) -> bool:
    """Whether a point of the log comes: after AS OF, CHANGES FROM, `bids FROM`, SEEK … TO."""
    if words[-2:] == ("AS", "OF"):
        return True
    if words[-1:] == ("TO",):
        return words[:1] == ("SEEK",) or "CHANGES" in words
    if words[-1:] != ("FROM",):
        return False
    clause = [word for word in words[:-1] if word in _ENDS_OF_FROM or word == "FROM"]
    return words[-2:-1] == ("CHANGES",) or (clause[-1:] == ["FROM"] and words[-2:-1] != ("DISTINCT",))


def _of_statement(place: Place, words: tuple[str, ...]) -> tuple[Kind, ...] | None:
    """What the kind of statement says."""
    plain = without_places(word for word in words if word not in ("IF", "EXISTS", "NOT"))
    if plain in _AFTER_FIRST:
        return _AFTER_FIRST[plain]
    if len(plain) == 2 and plain[0] == "DROP":
        return (*_OF_KIND.get(plain[1], ()), Kind.KEYWORD)
    if plain[:2] == ("DROP", "MATERIALIZED"):
        return (Kind.TABLE,) if plain[2:] == ("VIEW",) else (Kind.KEYWORD,)
    if len(plain) == 2 and plain[0] in ("ALTER", "VERIFY", "SYNC", "DIFF", "ASSERT") and plain[1] in _OF_KIND:
        return _OF_KIND[plain[1]]
    match plain:
        case ("ALTER", _, _, *_, "DROP" | "RENAME" | "COLUMN") if "ADD" not in plain[-2:]:
            return (Kind.TARGET_COLUMN, Kind.KEYWORD)
        case ("SET", *_, "=" | "TO"):
            return (Kind.SETTING_VALUE,)
        case ("SET" | "UNSET" | "RESET", *_, "."):
            return (Kind.SETTING,)
        case ("UPDATE", _, "SET") | ("UPDATE", _, "SET", *_, ",") if "WHERE" not in plain:
            return (Kind.TARGET_COLUMN,)
        case ("COPY", *_, "TO" | "FROM"):
            return (Kind.FILE,)
        case ("DESCRIBE" | "DESC", kind) if kind in _OF_KIND:
            return _OF_KIND[kind]
        case ("CREATE", *_, "INSTANCE", _, "OF"):
            return (Kind.PIPELINE,)
        case ("CREATE", *_, "QUEUE", _, "ON"):
            return (Kind.STREAM,)
    return None


def _in_brackets(place: Place, words: tuple[str, ...], opener: tuple[str, ...]) -> tuple[Kind, ...] | None:
    """What the words before a bracket say."""
    begins_item = words[-1:] in ((), (",",))
    if len(opener) >= 2 and opener[-3:-1] == ("INSERT", "INTO") and begins_item:
        return (Kind.TARGET_COLUMN,)
    if opener[:1] == ("INSTANCE",) and opener[2:3] == ("OF",):
        return (Kind.PORT,) if begins_item else (Kind.GIVEN,) if words[-2:] == ("=", ">") else ()
    if opener[-1:] == ("USING",):
        return (Kind.COMMON_COLUMN,) if begins_item else ()
    if opener[-2:] in (("PRIMARY", "KEY"), ("EXCLUDE", "KEY")):
        return (Kind.DEFINED_COLUMN,) if begins_item else ()
    if opener[-1:] in (("TUMBLE",), ("HOP",), ("CUMULATE",)) and words == ():
        return (Kind.RELATION, Kind.KEYWORD)
    if words[-1:] == ("TABLE",) or (opener[-1:] == ("TABLE",) and words == ()):
        return (Kind.RELATION,)
    if words[-2:] == ("WATERMARK", "FOR"):
        return (Kind.DEFINED_COLUMN,)
    if "WATERMARK" in words and words[-1:] != (",",) and place.first_words[:1] == ("CREATE",):
        return (Kind.DEFINED_COLUMN, Kind.FUNCTION, Kind.KEYWORD)
    return None


def _is_source(words: tuple[str, ...], opener: tuple[str, ...]) -> bool:
    """Whether a relation comes: after FROM, JOIN, INTO, and a comma in a FROM clause."""
    if words[-1:] in (("JOIN",), ("INTO",)):
        return True
    if words[-1:] == ("FROM",):
        return words[-2:-1] != ("DISTINCT",) and opener[-1:] not in (("EXTRACT",), ("TRIM",), ("SUBSTRING",))
    if words[-1:] != (",",):
        return False
    clause = [word for word in words if word in _ENDS_OF_FROM or word == "FROM"]
    return clause[-1:] == ["FROM"] or (clause[-1:] == ["ON"] and "FROM" in clause)
