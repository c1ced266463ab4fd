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
    from headwater.engine.database import Database, RelationInfo, connect
    from headwater.engine.result import Acknowledgement, Change, ChangeBatch, Result
    from headwater.engine.subscription import Subscription
    from headwater.engine.transactions import Transaction
    from headwater.errors import (
        AlreadyOpen,
        AssertionFailed,
        CorruptLog,
        DataError,
        DuplicateSequence,
        HeadwaterError,
        MemberFenced,
        NameTaken,
        NoSpace,
        NotADatabase,
        OutOfRange,
        PositionGone,
        ProducerFenced,
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
    )

__version__ = "0.1.0"

__all__ = [
    "Acknowledgement",
    "AlreadyOpen",
    "AssertionFailed",
    "Change",
    "ChangeBatch",
    "Consumer",
    "CorruptLog",
    "DataError",
    "Database",
    "DuplicateSequence",
    "HeadwaterError",
    "MemberFenced",
    "NameTaken",
    "NoSpace",
    "NotADatabase",
    "OutOfRange",
    "PositionGone",
    "ProducerFenced",
    "QueryFailed",
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
    "connect",
]

_HOMES = (
    "headwater.errors",
    "headwater.engine.result",
    "headwater.engine.subscription",
    "headwater.engine.consuming",
    "headwater.engine.transactions",
    "headwater.engine.database",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in map(importlib.import_module, _HOMES):
            if hasattr(home, name):
                return getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
