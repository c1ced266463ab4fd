"""A database that crashes at any I/O operation of appends, steps and a checkpoint loses nothing acknowledged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache

from headwater.engine.database import Database
from headwater.storage import SimulatedDisk, Storage
from tests.storage.chains import run_chain
from tests.storage.enumerator import Workload, enumerate_crashes

DEFINITIONS = {
    "bids": "STREAM bids (auction BIGINT KEY, person BIGINT, price BIGINT) WITH (partitions = 2)",
    "people": "TABLE people (id BIGINT PRIMARY KEY, name VARCHAR)",
    "totals": "TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total, max(price) AS top FROM bids "
    "GROUP BY auction",
    "named": "STREAM named AS SELECT b.auction, p.name, b.price FROM bids b JOIN people p ON b.person = p.id",
    "by_name": "TABLE by_name AS SELECT name, count(*) AS n FROM named GROUP BY name",
}
NAMES = {1: "ann", 2: "bob"}

Bid = dict[str, int]


@dataclass
class Journal:
    """What a run tried, batch by batch, and how many of the batches were acknowledged."""

    tried: list[list[Bid]] = field(default_factory=list)
    acknowledged: int = 0
    defined: bool = False
    batches: int = 0  # that were ever made: no two are alike

    def copy(self) -> Journal:
        return replace(self, tried=self.tried.copy())

    def key(self) -> str:
        return repr(self)

    def refused(self) -> None:
        del self.tried[self.acknowledged :]


def opened(storage: Storage) -> Database:
    return Database(storage, "db", None, background=False)


def define(db: Database, journal: Journal) -> None:
    """Make what is not there yet: a crash may have come between any two definitions."""
    for name, definition in DEFINITIONS.items():
        if db.pipeline.catalog.get(name) is None:
            db.execute(f"CREATE {definition}")
    db.append("people", [{"id": number, "name": name} for number, name in NAMES.items()])
    journal.defined = True


def append(db: Database, journal: Journal) -> None:
    journal.batches += 1
    batch = [{"auction": i % 3, "person": i % 3, "price": 1000 * journal.batches + i} for i in range(5)]
    journal.tried.append(batch)
    db.append("bids", batch)
    journal.acknowledged += 1


def step(db: Database, journal: Journal) -> None:
    db.settle()


def checkpoint(db: Database, journal: Journal) -> None:
    db.execute("CHECKPOINT")


def go_on(db: Database, journal: Journal) -> None:
    define(db, journal)
    append(db, journal)


def settle(db: Database, journal: Journal) -> None:
    """Whole batches, all acknowledged ones, in order; and every derived relation follows from exactly those."""
    if db.pipeline.catalog.get("by_name") is None:
        assert not journal.defined
        return
    db.settle()
    stored = Counter(price for chunk in db.log.scan(1) for price in chunk.rows.column("price").to_pylist())
    batches = [b for b in journal.tried if stored[b[0]["price"]]]
    assert batches == journal.tried[: len(batches)] and len(batches) >= journal.acknowledged
    bids = [bid for batch in batches for bid in batch]
    assert stored == Counter(bid["price"] for bid in bids)

    prices = {a: [b["price"] for b in bids if b["auction"] == a] for a in {b["auction"] for b in bids}}
    assert contents(db, "totals") == Counter((a, len(p), sum(p), max(p)) for a, p in prices.items())
    known = [b for b in bids if b["person"] in NAMES]
    assert contents(db, "by_name") == Counter(Counter(NAMES[b["person"]] for b in known).items())
    assert stream(db, "named") == Counter((b["auction"], NAMES[b["person"]], b["price"]) for b in known)
    journal.tried, journal.acknowledged = batches, len(batches)


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


DATABASE = Workload(
    "database", Journal, opened, (define, append, step, append, step, checkpoint, append, step), settle, go_on
)


# ---------------------------------------------------------------- changes


CHANGES = (
    "CREATE TABLE stock (id INT PRIMARY KEY, n INT)",
    "CREATE TABLE notes (id INT)",
    "CREATE VIEW many AS SELECT id, n FROM stock WHERE n > 10",
    "CREATE TABLE sums AS SELECT n, count(*) AS c FROM many GROUP BY n",
    "INSERT INTO stock VALUES (1, 10), (2, 20), (3, 20)",
    "INSERT INTO notes SELECT id FROM stock",
    "UPDATE stock SET id = id + 1, n = n + 1",
    "ALTER TABLE stock ADD COLUMN kind VARCHAR",
    "UPDATE stock SET kind = 'x' WHERE id = 2",
    "CHECKPOINT",
    "CREATE OR REPLACE VIEW many AS SELECT id, n FROM stock WHERE kind IS NULL",
    "DELETE FROM notes WHERE id < 3",
    "CREATE OR REPLACE TABLE sums AS SELECT n, count(*) AS c, max(id) AS m FROM many GROUP BY n",
    "DELETE FROM stock WHERE n = 21 AND id = 3",
    "DROP VIEW many CASCADE",
)


@dataclass
class Changed:
    """How many of the changes were acknowledged."""

    done: int = 0

    def copy(self) -> Changed:
        return replace(self)

    def key(self) -> str:
        return repr(self)

    def refused(self) -> None:
        pass


def change(db: Database, journal: Changed) -> None:
    db.execute(CHANGES[journal.done])
    journal.done += 1


def all_content(db: Database) -> object:
    db.settle()
    names = [relation.name for relation in db.relations()] + [name for name, _ in db.sql("SHOW VIEWS").fetchall()]
    found = {name: sorted(db.sql(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}
    return found, db.relations(), db.sql("SHOW VIEWS").fetchall()


@cache
def after(done: int) -> object:
    """What a database holds after the first changes, each of which went well."""
    with opened(SimulatedDisk()) as db:
        for sql in CHANGES[:done]:
            db.execute(sql)
        return all_content(db)


def settle_changes(db: Database, journal: Changed) -> None:
    """The change under way is there as a whole or not at all, in all that depends on it."""
    found = all_content(db)
    if found != after(journal.done):
        journal.done += 1
    assert found == after(journal.done)


def go_on_changing(db: Database, journal: Changed) -> None:
    if journal.done < len(CHANGES):
        change(db, journal)


CHANGING = Workload("changes", Changed, opened, (change,) * len(CHANGES), settle_changes, go_on_changing)


def test_no_crash_leaves_a_change_of_rows_or_definitions_half_done() -> None:
    states = enumerate_crashes(CHANGING, seeds=range(1))
    print(f"{states} crash states of changes: each there as a whole or not at all")
    assert states > 100


# ---------------------------------------------------------------- retention

RETAINED = {
    "bids": "STREAM bids (auction BIGINT KEY, person BIGINT, price BIGINT) WITH (retention_size = '1 kB')",
    "people": "TABLE people (id BIGINT PRIMARY KEY, name VARCHAR) WITH (retention_size = '1 B')",
    "totals": "TABLE totals WITH (retention_size = '1 B') AS SELECT auction, count(*) AS n, sum(price) AS total, "
    "max(price) AS top FROM bids GROUP BY auction",
}


def define_retained(db: Database, journal: Journal) -> None:
    for name, definition in RETAINED.items():
        if db.pipeline.catalog.get(name) is None:
            db.execute(f"CREATE {definition}")
    for number, name in NAMES.items():
        db.append("people", [{"id": number, "name": name}])
    journal.defined = True


def settle_retained(db: Database, journal: Journal) -> None:
    """Tables count every batch; of the stream's own rows, the youngest are there."""
    if db.pipeline.catalog.get("totals") is None:
        assert not journal.defined
        return
    db.settle()
    found = contents(db, "totals")
    count = sum(n for _, n, _, _ in found) // 5  # type: ignore[misc]
    assert journal.acknowledged <= count <= len(journal.tried)
    batches = journal.tried[:count]
    bids = [bid for batch in batches for bid in batch]
    prices = {a: [b["price"] for b in bids if b["auction"] == a] for a in {b["auction"] for b in bids}}
    assert found == Counter((a, len(p), sum(p), max(p)) for a, p in prices.items())
    stored = [price for chunk in db.log.scan(1) for price in chunk.rows.column("price").to_pylist()]
    assert stored == [bid["price"] for bid in bids][len(bids) - len(stored) :]
    if journal.defined:
        assert contents(db, "people") == Counter(NAMES.items())
    journal.tried, journal.acknowledged = batches, len(batches)


def go_on_retained(db: Database, journal: Journal) -> None:
    define_retained(db, journal)
    append(db, journal)
    checkpoint(db, journal)


RETAINING = Workload(
    "retention of a database",
    Journal,
    opened,
    (define_retained, append, checkpoint, append, checkpoint, append, checkpoint),
    settle_retained,
    go_on_retained,
)


def test_no_crash_while_history_is_removed_takes_anything_else() -> None:
    states = enumerate_crashes(RETAINING, seeds=range(2))
    print(f"{states} crash states of retention: results whole, the youngest rows there")
    assert states > 300
    for seed in range(5):
        run_chain(RETAINING, seed)


def test_no_crash_loses_or_repeats_anything() -> None:
    states = enumerate_crashes(DATABASE, seeds=range(4))
    print(f"{states} crash states of appends, steps and a checkpoint: nothing lost, nothing twice")
    assert states > 300


def test_lives_that_all_end_in_a_crash_lose_and_repeat_nothing() -> None:
    for seed in range(5):
        run_chain(DATABASE, seed)
