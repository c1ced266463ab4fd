"""SQL text to syntax trees and back.

`parse` and `parse_statement` read, `unparse` and `quote` write, `split` and `is_complete` cut a text into statements;
the trees are in `headwater.parser.syntax`.
"""

from headwater.parser.keywords import KEYWORDS
from headwater.parser.parse import parse, parse_statement
from headwater.parser.quoting import quote
from headwater.parser.script import is_complete, split
from headwater.parser.unparse import unparse

__all__ = ["KEYWORDS", "is_complete", "parse", "parse_statement", "quote", "split", "unparse"]
