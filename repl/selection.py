"""The expression behind `-k`: which names it chooses, as in pytest.

A word chooses the names that contain it, in any case; words are put together with `and`, `or`, `not` and brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Choice = Callable[[str], bool]  # whether a name is chosen

_TOKEN = re.compile(r"[()]|[^\s()]+")


def choice(expression: str) -> Choice:
    """What `expression` chooses. Raises ValueError, with a message for the user, where it makes no sense."""
    tokens = _TOKEN.findall(expression)
    chosen = _either(tokens)
    if tokens:
        raise ValueError(f'"{tokens[0]}" is one too many in "{expression}"')
    return chosen


def _either(tokens: list[str]) -> Choice:
    """`a or b`, taken off the front of `tokens`."""
    left = _both(tokens)
    if not _take(tokens, "or"):
        return left
    right = _either(tokens)
    return lambda name: left(name) or right(name)


def _both(tokens: list[str]) -> Choice:
    """`a and b`."""
    left = _one(tokens)
    if not _take(tokens, "and"):
        return left
    right = _both(tokens)
    return lambda name: left(name) and right(name)


def _one(tokens: list[str]) -> Choice:
    """`not a`, `(a)` or a word."""
    if _take(tokens, "not"):
        refused = _one(tokens)
        return lambda name: not refused(name)
    if _take(tokens, "("):
        inner = _either(tokens)
        if not _take(tokens, ")"):
            raise ValueError('a ")" is missing')
        return inner
    if not tokens or tokens[0].lower() in ("and", "or", ")"):
        raise ValueError(f'a word is missing before "{tokens[0]}"' if tokens else "a word is missing at the end")
    word = tokens.pop(0).lower()
    return lambda name: word in name.lower()


def _take(tokens: list[str], word: str) -> bool:
    """Takes `word` off the front if it is there."""
    if not tokens or tokens[0].lower() != word:
        return False
    tokens.pop(0)
    return True
