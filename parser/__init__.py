"""SQL text to syntax trees and back.

`parse` and `parse_statement` read, `with_values` puts a program's values in, `unparse` and `quote` write, `split` and
`is_complete` cut a text into statements, `pieces` and `parse_piece` read them one at a time, `parse_point` reads what
stands after AS OF, `following` and `hopeless` are about text that is being typed; the trees are in
`headwater.parser.syntax`.
"""

from headwater.parser.following import Following, following, hopeless
from headwater.parser.keywords import KEYWORDS
from headwater.parser.parameters import Parameters, with_values
from headwater.parser.parse import parse, parse_piece, parse_point, parse_statement
from headwater.parser.quoting import quote, quote_relation
from headwater.parser.script import Piece, is_complete, pieces, split
from headwater.parser.unparse import unparse

__all__ = [
    "Following",
    "KEYWORDS",
    "Parameters",
    "Piece",
    "following",
    "hopeless",
    "is_complete",
    "parse",
    "parse_piece",
    "parse_point",
    "parse_statement",
    "pieces",
    "quote",
    "quote_relation",
    "split",
    "unparse",
    "with_values",
]
