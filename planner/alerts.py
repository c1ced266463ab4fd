"""The stream in which an assertion tells when it begins to be violated, and when that is over.

That of the assertion `no_debt` is `no_debt_alerts`. Like an error stream it is a part of what it tells of: it has no
definition of its own, and its log begins with the first violation.
"""

from __future__ import annotations

from headwater.values import Column

SUFFIX = "_alerts"
FIRST_ID = 3 << 30  # streams of alerts have the ids of their assertions, counted from here
VIOLATED, OVER = "violated", "over"
COLUMNS = (
    Column("state", "VARCHAR"),
    Column("version", "BIGINT"),  # of the commit that made it so
    Column("rows", "BIGINT"),  # how many violate it
    Column("row", "VARCHAR"),  # one of them, as JSON
)


def alert_stream_id(id: int) -> int:
    """The id of the stream of alerts of the assertion with an id."""
    return FIRST_ID + id
