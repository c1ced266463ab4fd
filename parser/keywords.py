"""The words of the dialect, taken from the grammar so that there is one list of each.

`KEYWORDS` serves highlighting and completion; `RESERVED` are those that are names only when quoted.
"""

from __future__ import annotations

import re
from pathlib import Path

GRAMMAR = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")


def _reserved() -> frozenset[str]:
    listed = re.search(r"IDENTIFIER: /\(\?!\(\?:([A-Z|\s]+)\)", GRAMMAR)
    assert listed is not None, "the grammar lists its reserved words in IDENTIFIER"
    return frozenset(re.findall(r"[A-Z]+", listed.group(1)))


RESERVED: frozenset[str] = _reserved()

# Words that the grammar has inside patterns, where no quotes mark them.
_IN_PATTERNS = frozenset("AT DATE EXTRACT IF INTERVAL TIME TIMESTAMP TRY_CAST VALUES ZONE".split())

KEYWORDS: frozenset[str] = frozenset(re.findall(r'"([A-Z][A-Z_]*)"', GRAMMAR)) | RESERVED | _IN_PATTERNS
