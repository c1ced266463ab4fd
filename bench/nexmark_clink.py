"""clink beside Headwater in the same run, where it is installed (`pip install pyclink`): the nearest peer.

It reads the bids from a Parquet file and gives rows to a sink that throws them away; starting its engine is not timed.
Queries are those of one stream that it computes in columns: filters, projections and windows. Its rows are counted in a
second run, which is not timed. Memory is not compared: its process has Headwater in it too.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headwater.bench.content import Content
from headwater.bench.nexmark_worker import Outcome
from headwater.bench.spent import Spent
from headwater.repl.nexmark_data import SCHEMAS, Events

_BID = (
    "auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time BIGINT, extra VARCHAR"  # ms
)

# By query: the columns of the sink, and the query in clink's words.
_TEXTS = {
    "q0": (
        "auction BIGINT, bidder BIGINT, price BIGINT, date_time BIGINT, extra VARCHAR",
        "SELECT auction, bidder, price, date_time, extra FROM bid",
    ),
    "q1": (
        "auction BIGINT, bidder BIGINT, price DOUBLE, date_time BIGINT, extra VARCHAR",
        "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid",
    ),
    "q2": ("auction BIGINT, price BIGINT", "SELECT auction, price FROM bid WHERE auction % 123 = 0"),
    "q11": (
        "bidder BIGINT, bids BIGINT",
        "SELECT bidder, COUNT(*) AS bids FROM bid GROUP BY SESSION(date_time, INTERVAL '10' SECOND), bidder",
    ),
    "q12": (
        "bidder BIGINT, bids BIGINT",
        "SELECT bidder, COUNT(*) AS bids FROM bid GROUP BY TUMBLE(date_time, INTERVAL '10' SECOND), bidder",
    ),
}


def runs(query: str) -> bool:
    """Whether clink is here and this query is among those that it is compared in."""
    return query in _TEXTS and find_spec("pyclink") is not None


def write_bids(path: str, events: Events, step: int) -> None:
    """Write the bids to a Parquet file, a row group per step, with times in ms, which clink takes for event times."""
    place = SCHEMAS["bid"].get_field_index("date_time")
    schema = SCHEMAS["bid"].set(place, pa.field("date_time", pa.int64()))
    with pq.ParquetWriter(path, schema) as file:
        for chunk in events.chunks(step):
            bids = chunk["bid"]
            times = bids["date_time"].cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
            file.write_table(bids.set_column(place, schema.field(place), times), row_group_size=step)


def measure(path: str, query: str) -> Outcome:
    """What clink takes for a query over a file of bids, and how many rows it gives."""
    spent = Spent()
    with _engine() as engine:
        engine.execute(_tables(path, query, "blackhole"))
        spent.measure(lambda: _run(engine, query))
    with _engine() as engine:
        engine.execute(_tables(path, query, "collect"))
        engine.execute(_insert(query))
        rows = engine.collect("given").read_all().num_rows
        engine.await_all()
    return Outcome(spent, Content(rows=rows))


def _engine() -> Any:
    return import_module("pyclink").Engine(parallelism=1)


def _run(engine: Any, query: str) -> None:
    engine.execute(_insert(query))
    engine.await_all()


def _tables(path: str, query: str, sink: str) -> str:
    source = f"connector='parquet', path='{path}', event_time_column='date_time', watermark_lag_ms='0'"
    columns, _ = _TEXTS[query]
    return f"CREATE TABLE bid ({_BID}) WITH ({source}); CREATE TABLE given ({columns}) WITH (connector='{sink}')"


def _insert(query: str) -> str:
    _, text = _TEXTS[query]
    return f"INSERT INTO given {text}"
