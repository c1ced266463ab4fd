"""The rows that are measured with: orders of a shop, twelve columns of some 110 bytes a row, the same in every run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

SUMMED = ("quantity", "price")  # the columns that scans read

_STATUSES = pa.array(["placed", "paid", "packed", "shipped", "delivered", "returned"])
_COUNTRIES = pa.array(["AT", "BR", "CH", "DE", "ES", "FR", "IN", "JP", "NL", "PL", "UK", "US"])
_CHANNELS = pa.array(["web", "app", "shop", "phone"])
_FIRST_US = 1_700_000_000_000_000


def orders(rows: int, first: int = 0) -> pa.RecordBatch:
    """So many orders, numbered from `first`."""
    random = np.random.default_rng(first)

    def one_of(words: pa.Array) -> pa.Array:
        return words.take(pa.array(random.integers(0, len(words), rows)))

    ids = np.arange(first, first + rows, dtype=np.int64)
    return pa.record_batch(
        {
            "id": ids,
            "at": pa.array(_FIRST_US + ids * 1_000 + random.integers(0, 1_000, rows), pa.timestamp("us")),
            "customer": random.integers(0, 1_000_000, rows),
            "product": random.integers(0, 50_000, rows, dtype=np.int32),
            "quantity": random.integers(1, 10, rows, dtype=np.int32),
            "price": random.gamma(2.0, 20.0, rows).round(2),
            "discount": random.random(rows).round(2),
            "tax": random.random(rows),
            "status": one_of(_STATUSES),
            "country": one_of(_COUNTRIES),
            "channel": one_of(_CHANNELS),
            "session": pa.array([f"{number * 2654435761 % (1 << 64):016x}" for number in ids.tolist()]),
        }
    )
