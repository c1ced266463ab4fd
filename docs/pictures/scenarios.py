"""What the pictures of the documentation show."""

from __future__ import annotations

import random

from docs.pictures.screens import Scenario, Step
from headwater import Database
from tests.repl.terminal import CTRL_C, ENTER, TAB

LEFT, RIGHT, PAGE_UP = "\x1b[D", "\x1b[C", "\x1b[5~"


def _auctions(database: Database) -> None:
    """Sixty commits of bids, the same each time, and a table that is kept of them."""
    chance = random.Random(7)
    database.execute("CREATE STREAM bids (item VARCHAR KEY, bidder VARCHAR, price DOUBLE);")
    prices = {"lamp": 10, "sofa": 80, "clock": 25, "piano": 300}
    for _ in range(60):
        item = chance.choice(list(prices))
        prices[item] += chance.randint(1, 9)
        row = {"item": item, "bidder": chance.choice(["ann", "bob", "eve"]), "price": float(prices[item])}
        database.append("bids", [row])


def line(text: str, until: str = "", seconds: float = 1.5) -> tuple[Step, Step]:
    """A line that is typed, and what Enter then shows."""
    return Step(text, seconds=0.3), Step(ENTER, until, seconds)


_HOT = "CREATE TABLE hot AS SELECT item, count(*) AS bids, max(price) AS top FROM bids GROUP BY item;"

REWIND = Scenario(
    "rewind",
    (
        *line(_HOT, "created table hot"),
        *line("SELECT * FROM hot ORDER BY item;", "4 rows", 2),
        *line("SELECT * FROM hot AS OF OFFSET 20 ORDER BY item;", "sofa    │      7", 2.5),
        *line("\\track hot", seconds=0.5),
        *line("\\scrub top", "sum(top)"),
        *(Step(PAGE_UP, seconds=0.4) for _ in range(8)),
        *(Step(LEFT, seconds=0.3) for _ in range(8)),
        *(Step(RIGHT, seconds=0.3) for _ in range(12)),
        Step(RIGHT, seconds=4),
    ),
    _auctions,
    lines=22,
)

WHY = Scenario(
    "why",
    (
        *line(_HOT, "created table hot"),
        *line("SET as_of = 'OFFSET 5';"),
        *line("EXPLAIN ROW hot WHERE item = 'lamp';", "Aggregate by", 4),
    ),
    _auctions,
    columns=120,
    lines=20,
)

COMPLETION = Scenario(
    "completion",
    (
        *line(_HOT, "created table hot"),
        Step("SELECT * FROM h", "table"),
        Step(TAB, seconds=0.5),
        Step(" WHERE b", "BIGINT", 2),
    ),
    _auctions,
    lines=16,
)

ERROR = Scenario(
    "error",
    (
        *line("SELECT item, max(prise) FROM bids GROUP BY item;", "did you mean", 2),
        *line("CREATE TABLE hot AS SELECT item, count(*) FROM bidz GROUP BY item;", "bidz", 2),
    ),
    _auctions,
    lines=18,
)

CHANGES = Scenario(
    "changes",
    (
        *line(_HOT, "created table hot"),
        *line("SELECT * FROM hot EMIT CHANGES;", "piano", 2),
        Step(CTRL_C, "headwater>", 1, typed=False),
    ),
    _auctions,
    lines=24,
)

SCENARIOS = (REWIND, WHY, COMPLETION, ERROR, CHANGES)
