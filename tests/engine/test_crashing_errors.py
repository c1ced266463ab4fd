"""A crash at any I/O operation of steps with errors: each row that failed is told of once, and no stop is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from headwater.engine.database import Database
from headwater.storage import SimulatedDisk, Storage
from tests.storage.enumerator import Workload, enumerate_crashes

STATEMENTS = (
    "CREATE STREAM s (v VARCHAR); CREATE STREAM bad (row VARCHAR)",
    "CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s",
    "CREATE TABLE strict AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR FAIL",
    "CREATE TABLE skips AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR SKIP",
    "CREATE STREAM puts AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR INSERT INTO bad",
    "INSERT INTO s VALUES ('1'), ('x')",
    "PAUSE hot",
    "INSERT INTO s VALUES ('2'), ('y')",
    "CHECKPOINT",
    "RESUME hot",
    "INSERT INTO s VALUES ('z')",
)


@dataclass
class Journal:
    """How many of the statements were acknowledged."""

    done: int = 0

    def copy(self) -> Journal:
        return replace(self)

    def key(self) -> str:
        return repr(self)

    def refused(self) -> None:
        pass


def opened(storage: Storage) -> Database:
    return Database(storage, "db", None, background=False)


def run(db: Database, journal: Journal) -> None:
    for sql in STATEMENTS[journal.done].split("; "):
        if not (sql.startswith("CREATE") and db.pipeline.catalog.get(sql.split()[2])):
            db.execute(sql)
    db.settle()
    journal.done += 1


def content(db: Database) -> object:
    db.settle()
    names = [r.name for r in db.relations() if r.name not in ("s", "bad", "strict")]
    names += ["bad"] if db.pipeline.catalog.get("puts") else []
    names += ["hot_errors"] if db.pipeline.catalog.get("hot") else []
    queries = [(row[0], row[2], row[6]) for row in db.sql("SHOW QUERIES").fetchall()]
    return {name: sorted(db.sql(f"SELECT * FROM {name}").fetchall(), key=repr) for name in names}, queries


@cache
def after(done: int) -> object:
    """What a database holds after the first statements, each of which went well."""
    with opened(SimulatedDisk()) as db:
        journal = Journal()
        for _ in range(done):
            run(db, journal)
        return content(db)


def settle(db: Database, journal: Journal) -> None:
    """The statement under way has had its whole effect or none, and each failed row is told of once."""
    found = content(db)
    if found != after(journal.done):
        journal.done += 1
    assert found == after(journal.done)


def go_on(db: Database, journal: Journal) -> None:
    if journal.done < len(STATEMENTS):
        run(db, journal)


ERRING = Workload("errors", Journal, opened, (run,) * len(STATEMENTS), settle, go_on)


def test_no_crash_loses_or_repeats_an_error_or_forgets_a_stop() -> None:
    states = enumerate_crashes(ERRING, seeds=range(1))
    print(f"{states} crash states of steps with errors: each error once, each stop remembered")
    assert states > 100
