"""A database that crashes at any I/O operation of appends, steps and a checkpoint loses nothing acknowledged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from headwater.engine.database import Database
from headwater.storage import Storage
from tests.storage.enumerator import enumerate_crashes

DEFINITIONS = """
CREATE STREAM bids (auction BIGINT KEY, person BIGINT, price BIGINT) WITH (partitions = 2);
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR);
CREATE TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total, max(price) AS top FROM bids GROUP BY auction;
CREATE STREAM named AS SELECT b.auction, p.name, b.price FROM bids b JOIN people p ON b.person = p.id;
CREATE TABLE by_name AS SELECT name, count(*) AS n FROM named GROUP BY name;
"""

Bid = dict[str, int]


@dataclass
class Journal:
    """What a run tried, batch by batch, and how many of the batches were acknowledged."""

    tried: list[list[Bid]] = field(default_factory=list)
    acknowledged: int = 0
    defined: bool = False


def opened(storage: Storage) -> Database:
    return Database(storage, "db", None, background=False)


def recover(storage: Storage) -> None:
    opened(storage).close()


def workload(storage: Storage, journal: Journal) -> None:
    db = opened(storage)
    db.execute(DEFINITIONS)
    db.append("people", [{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}])
    journal.defined = True
    for generation in range(3):
        append(db, journal, generation)
        db.settle()
        if generation == 1:
            db.execute("CHECKPOINT")
    db.close()


def append(db: Database, journal: Journal, generation: int) -> None:
    batch = [{"auction": i % 3, "person": i % 3, "price": 1000 * generation + i} for i in range(5)]
    journal.tried.append(batch)
    db.append("bids", batch)
    journal.acknowledged += 1


def check(storage: Storage, journal: Journal) -> None:
    db = opened(storage)
    if journal.defined:
        db.settle()
        verify(db, journal)
        before = db.log.version
        db.append("bids", [{"auction": 9, "person": 1, "price": -1}])
        db.settle()
        assert db.log.version > before
        assert contents(db, "totals")[(9, 1, -1, -1)] == 1
    db.close()


def verify(db: Database, journal: Journal) -> None:
    """Whole batches, all acknowledged ones, in order; and every derived relation follows from exactly those."""
    stored = Counter(price for chunk in db.log.scan(1) for price in chunk.rows.column("price").to_pylist())
    batches = [b for b in journal.tried if stored[b[0]["price"]]]
    assert batches == journal.tried[: len(batches)] and len(batches) >= journal.acknowledged
    bids = [bid for batch in batches for bid in batch]
    assert stored == Counter(bid["price"] for bid in bids)

    prices = {a: [b["price"] for b in bids if b["auction"] == a] for a in {b["auction"] for b in bids}}
    assert contents(db, "totals") == Counter((a, len(p), sum(p), max(p)) for a, p in prices.items())
    names = {1: "ann", 2: "bob"}
    known = [b for b in bids if b["person"] in names]
    assert contents(db, "by_name") == Counter(Counter(names[b["person"]] for b in known).items())
    assert stream(db, "named") == Counter((b["auction"], names[b["person"]], b["price"]) for b in known)


def contents(db: Database, name: str) -> Counter[tuple[object, ...]]:
    relation = db.pipeline.catalog.get(name)
    assert relation is not None
    rows = db.pipeline.circuit.rows(relation.content()).to_pylist()
    return Counter(tuple(v if isinstance(v, str) else int(v) for v in row.values()) for row in rows)


def stream(db: Database, name: str) -> Counter[tuple[object, ...]]:
    relation = db.pipeline.catalog.get(name)
    assert relation is not None
    return Counter(
        tuple(row[c.name] for c in relation.columns)
        for chunk in db.log.scan(relation.id)
        for row in chunk.rows.to_pylist()
    )


def test_no_crash_loses_or_repeats_anything() -> None:
    seeds = {"kill9": 1, "drop": 1, "ops": 1, "random": 1}
    states = enumerate_crashes(workload, check, journal=Journal, recover=recover, seeds=seeds)  # type: ignore[arg-type]
    print(f"{states} crash states of appends, steps and a checkpoint: nothing lost, nothing twice")
    assert states > 500
