"""TABLE(stream): a stream read as a table, which has the latest record of each key.

It stands for a query of the stream, in which the records of a key are numbered by their offsets: all of them are in one
partition.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError
from headwater.parser import parse_statement, quote, syntax
from headwater.planner.catalog import Relation
from headwater.values import ROWOFFSET


def latest(item: syntax.Relation, stream: Relation, source: syntax.Identifier) -> syntax.Derived:
    """The query of `source`, as which the stream is known, that TABLE(stream) stands for. Raises SqlError for what has
    no latest records.
    """
    if not stream.is_stream:
        raise SqlError(f'"{stream.name}" is a table already', item.span, hint=f"write FROM {stream.name}")
    if not stream.partition_key:
        raise SqlError(
            f'"{stream.name}" has no KEY, of whose values TABLE({stream.name}) has the latest records', item.span,
            hint=f"declare one, CREATE STREAM {stream.name} (column type KEY, …), or write SELECT * FROM {stream.name} "
            f"QUALIFY row_number() OVER (PARTITION BY … ORDER BY {ROWOFFSET} DESC) = 1",
        )  # fmt: skip
    columns, key = (", ".join(map(quote, names)) for names in ([c.name for c in stream.columns], stream.partition_key))
    number = f"row_number() OVER (PARTITION BY {key} ORDER BY {ROWOFFSET} DESC)"
    query = parse_statement(f"SELECT {columns} FROM s QUALIFY {number} = 1")
    assert isinstance(query, syntax.Query) and isinstance(query.body, syntax.Select)
    records = replace(item, name=source, read_as=None, alias=None, columns=())
    body = replace(query.body, source=records)
    return syntax.Derived(replace(query, body=body), item.alias or item.name, item.columns, span=item.span)
