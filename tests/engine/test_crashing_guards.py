"""A crash at any I/O operation of commits and steps with guards: each violation is counted and told of once, no version
breaks an assertion, and what was paused stands still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from headwater.engine.database import Database
from headwater.errors import AssertionViolated
from headwater.storage import SimulatedDisk, Storage
from tests.storage.enumerator import Workload, enumerate_crashes

STATEMENTS = (
    "CREATE STREAM low (a INTEGER); CREATE STREAM odd (a INTEGER); "
    "CREATE STREAM s (a INTEGER CHECK (a <> 7) ON VIOLATION DROP) CHECK (a > 0) ON VIOLATION INSERT INTO low",
    "CREATE TABLE even AS SELECT a FROM s CHECK (a % 2 = 0) ON VIOLATION INSERT INTO odd; "
    "CREATE ASSERTION large CHECK (NOT EXISTS (SELECT a FROM even WHERE a > 8)) ON VIOLATION PAUSE; "
    "CREATE ASSERTION few CHECK ((SELECT count(*) FROM s) < 5) ON VIOLATION REJECT",
    "INSERT INTO s VALUES (1), (-1), (2), (7)",
    "INSERT INTO s VALUES (10)",
    "INSERT INTO s VALUES (5), (11), (12), (-4)",
    "RESUME even",
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
        try:
            if not (sql.startswith("CREATE") and db.pipeline.catalog.get(sql.split()[2])):
                db.execute(sql)
        except AssertionViolated:
            assert "(11)" in sql
    db.settle()
    journal.done += 1


def content(db: Database) -> object:
    db.settle()
    catalog = db.pipeline.catalog
    if catalog.get("few") is None:  # a crash may have come between any two definitions
        return None
    held = {name: sorted(db.sql(f"SELECT * FROM {name}").fetchall(), key=repr) for name in catalog.relations}
    alerts = db.sql("SELECT state, rows, row FROM large_alerts").fetchall()
    facts = [row for name in ("s", "even") for row in db.sql(f"DESCRIBE {name} EXTENDED").fetchall()]
    counts = [row for row in facts if row[0].startswith("· CHECK")]
    return held, alerts, counts, [(row[0], row[2]) for row in db.sql("SHOW QUERIES").fetchall()]


@cache
def after(done: int) -> object:
    """What a database holds after the first statements, each of which went well."""
    with opened(SimulatedDisk()) as db:
        journal = Journal()
        for _ in range(done):
            run(db, journal)
        return content(db)


def settle(db: Database, journal: Journal) -> None:
    """The statement under way has had its whole effect or none."""
    found = content(db)
    if found != after(journal.done):
        journal.done += 1
    assert found == after(journal.done)


def go_on(db: Database, journal: Journal) -> None:
    if journal.done < len(STATEMENTS):
        run(db, journal)


GUARDED = Workload("guards", Journal, opened, (run,) * len(STATEMENTS), settle, go_on)


def test_what_guards_say_is_the_same_after_a_crash_anywhere() -> None:
    assert after(len(STATEMENTS)) is not None
    states = enumerate_crashes(GUARDED, seeds=range(1))
    print(f"{states} crash states of commits with guards: each violation once")
    assert states > 50
