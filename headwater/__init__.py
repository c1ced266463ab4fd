"""Headwater: streaming SQL that you can embed, and rewind.

    import headwater

    with headwater.connect("shop.hw") as db:
        db.execute("CREATE STREAM bids (auction BIGINT KEY, price DOUBLE)")
        db.append("bids", [{"auction": 7, "price": 12.5}])
        print(db.sql("SELECT auction, max(price) FROM bids GROUP BY auction").fetchall())

The names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.engine.consuming import Consumer
    from headwater.engine.cursor import Cursor
    from headwater.engine.database import Database, RelationInfo, connect
    from headwater.engine.handed_out import Message, Queue
    from headwater.engine.result import Acknowledgement, Change, ChangeBatch, Result
    from headwater.engine.subscription import Subscription
    from headwater.engine.transactions import Transaction
    from headwater.errors import (
        AlreadyOpen,
        AssertionFailed,
        AssertionViolated,
        CheckViolated,
        CorruptLog,
        DatabaseError,
        DataError,
        DuplicateSequence,
        Error,
        HeadwaterError,
        IntegrityError,
        InterfaceError,
        InternalError,
        MemberFenced,
        NameTaken,
        NoSpace,
        NotADatabase,
        NotHeld,
        NotSupportedError,
        NullRefused,
        OperationalError,
        OutOfRange,
        PositionGone,
        ProducerFenced,
        ProgrammingError,
        QueryFailed,
        ReadOnly,
        Rejected,
        SequenceConflict,
        SequenceGap,
        Span,
        SqlError,
        StorageError,
        SyntaxProblem,
        TransactionConflict,
        TypeProblem,
        UnknownName,
        UnknownProducer,
        Unsupported,
        Warning,
    )

__version__ = "0.1.0"

# DB-API 2.0 (PEP 249)
apilevel = "2.0"
threadsafety = 2  # threads may share a database, not a cursor
paramstyle = "qmark"  # `?`; `$name` with a mapping, too

__all__ = [
    "Acknowledgement",
    "AlreadyOpen",
    "AssertionFailed",
    "AssertionViolated",
    "CheckViolated",
    "Change",
    "ChangeBatch",
    "Consumer",
    "CorruptLog",
    "Cursor",
    "DataError",
    "Database",
    "DatabaseError",
    "DuplicateSequence",
    "Error",
    "HeadwaterError",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MemberFenced",
    "Message",
    "NameTaken",
    "NoSpace",
    "NotADatabase",
    "NotHeld",
    "NotSupportedError",
    "NullRefused",
    "OperationalError",
    "OutOfRange",
    "PositionGone",
    "ProducerFenced",
    "ProgrammingError",
    "QueryFailed",
    "Queue",
    "ReadOnly",
    "Rejected",
    "RelationInfo",
    "Result",
    "SequenceConflict",
    "SequenceGap",
    "Span",
    "SqlError",
    "StorageError",
    "Subscription",
    "SyntaxProblem",
    "Transaction",
    "TransactionConflict",
    "TypeProblem",
    "UnknownName",
    "UnknownProducer",
    "Unsupported",
    "Warning",
    "apilevel",
    "connect",
    "load_ipython_extension",
    "paramstyle",
    "threadsafety",
]

_HOMES = (
    "headwater.errors",
    "headwater.engine.result",
    "headwater.engine.subscription",
    "headwater.engine.consuming",
    "headwater.engine.handed_out",
    "headwater.engine.cursor",
    "headwater.engine.transactions",
    "headwater.engine.database",
)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext headwater` calls: makes `%hw` and `%%hw`."""
    from headwater.repl.notebook import register

    register(shell)


if not TYPE_CHECKING:  # else a checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in map(importlib.import_module, _HOMES):
                if hasattr(home, name):
                    return getattr(home, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
