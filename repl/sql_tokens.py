"""The tokens of SQL text as it is being typed, complete or not: for colours and for completion.

Anything is accepted; strings and comments that are not closed yet run to the end. Whether the text is valid SQL is
the parser's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.parser import KEYWORDS

TYPES = frozenset(
    "BOOLEAN TINYINT SMALLINT INTEGER INT BIGINT HUGEINT REAL FLOAT DOUBLE DECIMAL VARCHAR STRING TEXT BYTES BLOB DATE"
    " TIME TIMESTAMP TIMESTAMPTZ INTERVAL UUID JSON ARRAY MAP STRUCT".split()
)
WORDS = KEYWORDS | TYPES

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*[\s\S]*?(?:\*/|$) )
    | (?P<string>  '(?:[^']|'')*'? | \$\$[\s\S]*?(?:\$\$|$) )
    | (?P<quoted>  "(?:[^"]|"")*"? | `(?:[^`]|``)*`? )
    | (?P<number>  \d+(?:\.\d*)?(?:[eE][+-]?\d+)? )
    | (?P<word>    \w+ )
    | (?P<space>   \s+ )
    | (?P<other>   [^\w\s] )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is 'comment', 'string', 'quoted', 'number', 'keyword', 'word', 'space' or 'other'."""

    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        """Whether the token can name something; many keywords can."""
        return self.kind in ("word", "quoted", "keyword")

    @property
    def name(self) -> str:
        """The name without quotes, in lower case, as names are compared."""
        if self.kind == "quoted":
            quote = self.text[0]
            return self.text[1:].removesuffix(quote).replace(quote * 2, quote).lower()
        return self.text.lower()


def tokens(text: str) -> Iterator[Token]:
    """The tokens of `text`, in order; joined they are the text."""
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        assert kind is not None, "every alternative is a named group"
        is_keyword = kind == "word" and found.group().upper() in WORDS
        yield Token("keyword" if is_keyword else kind, found.group())


_ENDS = {"'": re.compile(r"(?:[^']|'')*'"), '"': re.compile(r'(?:[^"]|"")*"'), "`": re.compile(r"(?:[^`]|``)*`")}
_ENDS |= {"$$": re.compile(r"[\s\S]*?\$\$"), "/*": re.compile(r"[\s\S]*?\*/")}
_KINDS = {"'": "string", "$$": "string", "/*": "comment", '"': "quoted", "`": "quoted"}


def tokens_of_line(opened: str, line: str) -> tuple[list[Token], str]:
    """The tokens of a line, and the mark (one of `'`, `"`, `` ` ``, `$$`, `/*`) of what is open behind it, or "".

    `opened` is that of the line before.
    """
    found: list[Token] = []
    if opened:
        end = _ENDS[opened].match(line)
        if end is None:
            return [Token(_KINDS[opened], line)], opened
        found.append(Token(_KINDS[opened], end.group()))
        line = line[end.end() :]
    rest = list(tokens(line))
    return found + rest, _opened_by(rest[-1]) if rest else ""


def _opened_by(token: Token) -> str:
    mark = next((mark for mark in _ENDS if token.text.startswith(mark)), "")
    return "" if not mark or _ENDS[mark].fullmatch(token.text, len(mark)) else mark
