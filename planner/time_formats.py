"""Formats of times as ksqlDB writes them (`yyyy-MM-dd HH:mm:ss.SSS`) in DuckDB's spelling (`%Y-%m-%d %H:%M:%S.%g`)."""

from __future__ import annotations

import re

_LETTERS = {
    "yyyy": "%Y", "uuuu": "%Y", "y": "%Y", "u": "%Y", "yy": "%y", "uu": "%y",
    "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B", "LL": "%m", "L": "%-m",
    "dd": "%d", "d": "%-d", "DDD": "%j", "D": "%-j",
    "EEE": "%a", "EE": "%a", "E": "%a", "EEEE": "%A",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "a": "%p",
    "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S",
    "SSS": "%g", "SSSSSS": "%f", "SSSSSSSSS": "%n",
    "X": "%z", "XX": "%z", "XXX": "%z", "x": "%z", "xx": "%z", "xxx": "%z", "Z": "%z",
}  # fmt: skip

_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def duckdb_format(pattern: str) -> str:
    """The strftime format that means `pattern`. Raises ValueError, naming the part that has no such form."""
    result = []
    place = 0
    while place < len(pattern):
        token = _TOKEN.match(pattern, place)
        if token is None:
            raise ValueError("a quote that is not closed")
        place = token.end()
        text = token[0]
        if text.startswith("'"):
            result.append((token[1].replace("''", "'") or "'").replace("%", "%%"))
        elif token[2] is None:
            result.append(text.replace("%", "%%"))
        elif text in _LETTERS:
            result.append(_LETTERS[text])
        else:
            raise ValueError(text)
    return "".join(result)
