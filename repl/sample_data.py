"""Sample data: what `headwater generate` makes. Every set follows from its seed alone, not from how it is cut.

A set has the SQL that makes its streams and tables, and gives rows in blocks of its own size, each with the relation
that they are for. Times go on from a fixed moment, so that a run can be repeated to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from headwater.repl import flights, nexmark_data

BLOCK = 10_000
START_US = 1_767_225_600_000_000  # 2026-01-01 00:00:00

Rows: TypeAlias = tuple[str, pa.Table]  # a relation's name, and rows for it


@dataclass(frozen=True, slots=True)
class SampleData:
    """A set: what it is for people, the SQL of its relations, and its rows for a seed."""

    about: str
    schema: str
    rows: Callable[[int], Iterator[Rows]]


_CUSTOMERS, _ITEMS, _USERS = 500, 60, 2_000
_COUNTRIES = pa.array(["DE", "FR", "GB", "JP", "US"])
_PAGES = pa.array(["/", "/search", "/item", "/cart", "/checkout", "/help"])
_REFERRERS = pa.array([None, "search", "newsletter", "partner"], pa.string())
_STATUSES = pa.array(["new", "paid", "shipped", "returned"])

_ORDERS = """\
CREATE STREAM IF NOT EXISTS orders (
  id BIGINT KEY, customer BIGINT, item VARCHAR, quantity INTEGER, amount DECIMAL(10,2), country VARCHAR,
  status VARCHAR, at TIMESTAMP
) WITH (timestamp = 'at');
"""

_CLICKSTREAM = """\
CREATE STREAM IF NOT EXISTS clicks (
  user_id BIGINT KEY, page VARCHAR, referrer VARCHAR, milliseconds INTEGER, at TIMESTAMP
) WITH (timestamp = 'at');
"""

_NEXMARK = """\
CREATE STREAM IF NOT EXISTS person (
  id BIGINT KEY, name VARCHAR, email VARCHAR, creditcard VARCHAR, city VARCHAR, state VARCHAR, date_time TIMESTAMP,
  extra VARCHAR
) WITH (timestamp = 'date_time');
CREATE STREAM IF NOT EXISTS auction (
  id BIGINT KEY, item VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP,
  expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR
) WITH (timestamp = 'date_time');
CREATE STREAM IF NOT EXISTS bid (
  auction BIGINT KEY, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR
) WITH (timestamp = 'date_time');
"""


def _random(seed: int, block: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, block]))


def _times(random: np.random.Generator, block: int, step_us: int) -> pa.Array:
    """Moments in order, one in each step of time."""
    steps = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.int64)
    return pa.array(START_US + steps * step_us + random.integers(0, step_us, BLOCK)).cast(pa.timestamp("us"))


def _orders(seed: int) -> Iterator[Rows]:
    block = 0
    while True:
        random = _random(seed, block)
        item, quantity = random.integers(0, _ITEMS, BLOCK), random.integers(1, 6, BLOCK)
        cents = quantity * (199 + 37 * item)
        yield "orders", pa.table({
            "id": pa.array(np.arange(block * BLOCK, (block + 1) * BLOCK) + 1),
            "customer": pa.array(random.zipf(1.3, BLOCK) % _CUSTOMERS),
            "item": pa.array([f"item-{number:02}" for number in item.tolist()]),
            "quantity": pa.array(quantity).cast(pa.int32()),
            "amount": pa.array([Decimal(value).scaleb(-2) for value in cents.tolist()], pa.decimal128(10, 2)),
            "country": _COUNTRIES.take(pa.array(random.integers(0, len(_COUNTRIES), BLOCK))),
            "status": _STATUSES.take(pa.array(np.minimum(random.geometric(0.6, BLOCK) - 1, len(_STATUSES) - 1))),
            "at": _times(random, block, 1_000_000),
        })  # fmt: skip
        block += 1


def _clicks(seed: int) -> Iterator[Rows]:
    block = 0
    while True:
        random = _random(seed, block)
        yield "clicks", pa.table({
            "user_id": pa.array(random.zipf(1.2, BLOCK) % _USERS),
            "page": _PAGES.take(pa.array(random.integers(0, len(_PAGES), BLOCK))),
            "referrer": _REFERRERS.take(pa.array(random.integers(0, len(_REFERRERS), BLOCK))),
            "milliseconds": pa.array(random.lognormal(4, 1, BLOCK).astype(np.int32)),
            "at": _times(random, block, 100_000),
        })  # fmt: skip
        block += 1


def _nexmark(seed: int) -> Iterator[Rows]:
    for chunk in nexmark_data.Events(2**62, seed).chunks(1000):
        yield from chunk.items()


def _flights(seed: int) -> Iterator[Rows]:
    """A year of departures in their order; it is real, so the seed changes nothing, and it ends."""
    yield "flights", flights.read_data(flights.find_data()).flights


SAMPLES = {
    "orders": SampleData("orders of a shop: 500 customers, 60 items, one a second", _ORDERS, _orders),
    "clickstream": SampleData("clicks of 2,000 users, ten a second", _CLICKSTREAM, _clicks),
    "nexmark": SampleData("people, auctions and bids, 10,000 a second", _NEXMARK, _nexmark),
    "flights": SampleData(
        "336,776 departures from New York in 2013 (pip install 'headwater[demo]')",
        flights.SOURCES["flights"].replace("CREATE STREAM", "CREATE STREAM IF NOT EXISTS"),
        _flights,
    ),
}
