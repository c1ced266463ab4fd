"""Nexmark's events, small and the same in every run: people who open auctions and bid on those of others.

Of fifty events one is a person, three are auctions, and the rest are bids; each comes a tenth of a second after the
one before.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

START = datetime(2026, 1, 1, 5, 30)
CHANNELS = ("Google", "Facebook", "Baidu", "Apple", "channel-17", "channel-42", "channel-99")
STATES = ("OR", "ID", "CA", "WA", "NY")

TEXT, NUMBER, TIME = pa.string(), pa.int64(), pa.timestamp("us")

SCHEMAS = {
    "person": pa.schema([
        ("id", NUMBER), ("name", TEXT), ("email", TEXT), ("creditcard", TEXT), ("city", TEXT), ("state", TEXT),
        ("date_time", TIME), ("extra", TEXT),
    ]),
    "auction": pa.schema([
        ("id", NUMBER), ("item", TEXT), ("description", TEXT), ("initial_bid", NUMBER), ("reserve", NUMBER),
        ("date_time", TIME), ("expires", TIME), ("seller", NUMBER), ("category", NUMBER), ("extra", TEXT),
    ]),
    "bid": pa.schema([
        ("auction", NUMBER), ("bidder", NUMBER), ("price", NUMBER), ("channel", TEXT), ("url", TEXT),
        ("date_time", TIME), ("extra", TEXT),
    ]),
}  # fmt: skip


class Events:
    """The first `count` events, as tables by the name of their stream."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self._random = random.Random(seed)
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
        for number in range(count):
            time = START + timedelta(milliseconds=100 * number)
            place = number % 50
            if place == 0:
                rows["person"].append(self._person(1000 + len(rows["person"]), time))
            elif place <= 3:
                rows["auction"].append(self._auction(1000 + len(rows["auction"]), time, len(rows["person"])))
            else:
                rows["bid"].append(self._bid(time, len(rows["person"]), len(rows["auction"])))
        self.tables = {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in SCHEMAS.items()}
        values = {"key": list(range(0, 100, 3)), "value": [f"side {k}" for k in range(0, 100, 3)]}
        self.tables["side_input"] = pa.table(values, schema=pa.schema([("key", NUMBER), ("value", TEXT)]))

    def _person(self, id: int, time: datetime) -> dict[str, Any]:
        state = self._random.choice(STATES)
        name = f"person {id}"
        return {
            "id": id, "name": name, "email": f"{id}@example.com", "creditcard": "1234 5678", "city": f"city of {state}",
            "state": state, "date_time": time, "extra": self._extra(),
        }  # fmt: skip

    def _auction(self, id: int, time: datetime, people: int) -> dict[str, Any]:
        r = self._random
        return {
            "id": id, "item": f"item {id}", "description": "as new", "initial_bid": r.randint(1, 100),
            "reserve": r.randint(100, 1000), "date_time": time, "expires": time + timedelta(seconds=r.randint(5, 40)),
            "seller": self._recent(people, 5), "category": r.randint(10, 14), "extra": self._extra(),
        }  # fmt: skip

    def _bid(self, time: datetime, people: int, auctions: int) -> dict[str, Any]:
        r = self._random
        channel = r.choice(CHANNELS)
        number = f"&channel_id={channel.partition('-')[2]}" if "-" in channel and r.random() < 0.7 else ""
        return {
            "auction": self._recent(auctions, 8), "bidder": self._recent(people, 9),
            "price": int(10 ** r.uniform(1, 7)), "channel": channel,
            "url": f"https://www.nexmark.com/{r.choice('abc')}bo/b{r.choice('ao')}o/item.htm?query=1{number}",
            "date_time": time, "extra": self._extra(),
        }  # fmt: skip

    def _recent(self, count: int, far: int) -> int:
        """The id of one of the last few of `count` people or auctions."""
        return 1000 + max(0, count - 1 - self._random.randint(0, far))

    def _extra(self) -> str:
        return "".join(self._random.choices("abcdef", k=12))
