"""AST to canonical SQL: one line, keywords in capitals, no parentheses but those that are needed or help reading.

`parse_statement(unparse(statement)) == statement` for every statement that was parsed. Expressions, and queries
without what only Headwater has (AS OF, EMIT, WINDOW TUMBLING …), are also valid DuckDB SQL of the same meaning: that is
how they are run.
"""

from headwater.parser import write_definitions, write_expressions, write_ledgers, write_queries, write_statements
from headwater.parser.writing import unparse

# Importing these modules gives `unparse` the writers of their nodes.
_WRITERS = (write_expressions, write_queries, write_definitions, write_statements, write_ledgers)

__all__ = ["unparse"]
