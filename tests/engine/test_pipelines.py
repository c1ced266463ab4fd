"""Schemas, pipelines and instances: names, what is seen from outside, replacing and dropping, the past."""

from __future__ import annotations

from pathlib import Path

import pytest

import headwater
from headwater import SqlError

LARGE = """
CREATE PIPELINE large (
    IN a STREAM (id BIGINT, amount DOUBLE), OUT b STREAM (id BIGINT, amount DOUBLE), PARAM least DOUBLE DEFAULT 50
) AS BEGIN
    CREATE STREAM b AS SELECT id, amount FROM a WHERE amount >= $least;
END
"""
FRAUD = """
CREATE PIPELINE fraud (
    IN payments STREAM (id BIGINT KEY, amount DOUBLE),
    OUT alerts STREAM (id BIGINT KEY, score DOUBLE), OUT totals TABLE (id BIGINT, n BIGINT),
    PARAM threshold DOUBLE DEFAULT 0.9
) AS BEGIN
    CREATE INSTANCE d OF large (a => payments, least => $threshold * 100);
    CREATE TABLE hist AS SELECT id, count(*) AS n FROM payments GROUP BY id;
    CREATE VIEW often AS SELECT id, n FROM hist WHERE n > 1;
    CREATE TABLE totals AS SELECT id, n FROM often;
    CREATE STREAM alerts AS SELECT d.b.id, b.amount / 100 AS score FROM d.b;
END
"""
BANK = f"""
CREATE SCHEMA bank;
CREATE STREAM bank.payments (id BIGINT KEY, note VARCHAR, amount DOUBLE) WITH (partitions = 2);
{LARGE};
{FRAUD};
INSERT INTO bank.payments VALUES (1, 'x', 95), (2, 'y', 85), (1, NULL, 10);
"""


@pytest.fixture
def bank(db: headwater.Database) -> headwater.Database:
    db.execute(BANK)
    return db


def rows(db: headwater.Database, sql: str) -> list[tuple[object, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


def refused(db: headwater.Database, sql: str) -> str:
    before = db.version
    with pytest.raises(SqlError) as caught:
        db.execute(sql)
    assert db.version == before, "a statement that fails changes nothing"
    return caught.value.message


# ---------------------------------------------------------------- schemas


def test_a_qualified_name_stands_wherever_a_name_of_a_relation_does(db: headwater.Database) -> None:
    db.execute("""
        CREATE SCHEMA bank;
        CREATE TABLE bank.accounts (id BIGINT PRIMARY KEY, balance DOUBLE);
        CREATE STREAM bank.orders (id BIGINT);
        CREATE QUEUE bank.work ON bank.orders;
        INSERT INTO bank.accounts VALUES (1, 5), (2, 6);
        UPDATE bank.accounts SET balance = accounts.balance + 1 WHERE bank.accounts.id = 1;
        DELETE FROM bank.accounts WHERE accounts.id = 2;
        CREATE TABLE bank.sums AS SELECT sum(bank.accounts.balance) AS total FROM bank.accounts;
        CREATE VIEW bank.rich AS SELECT * FROM bank.accounts WHERE balance > 1;
        ALTER STREAM bank.orders ADD COLUMN item VARCHAR;
    """)
    db.append("bank.orders", [{"id": 1, "item": "pen"}])
    assert rows(db, "SELECT * FROM bank.sums") == [(6.0,)]
    assert rows(db, "SELECT r.id, rich.id FROM bank.rich r, bank.rich") == [(1, 1)]
    assert rows(db, "SELECT bank.accounts.* FROM bank.accounts JOIN bank.rich USING (id)") == [(1, 6.0)]
    assert rows(db, "FETCH 1 FROM bank.orders GROUP g")[0][:2] == (1, "pen")
    assert [row[0] for row in db.sql("SHOW SCHEMAS").fetchall()] == ["bank"]
    with db.transaction() as t:
        t.append("bank.orders", [{"id": 2, "item": None}])
    with db.subscribe("SELECT count(orders.id) FROM bank.orders") as changes:
        assert [change.row for change in changes.poll(1)] == [(2,)]


def test_two_relations_of_one_last_name_need_an_alias(db: headwater.Database) -> None:
    db.execute("CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (x INTEGER); CREATE TABLE b.t (x INTEGER)")
    db.execute("INSERT INTO a.t VALUES (1); INSERT INTO b.t VALUES (2)")
    assert rows(db, "SELECT u.x, v.x FROM a.t u, b.t v") == [(1, 2)]
    refused(db, "SELECT t.x FROM a.t, b.t")
    refused(db, "CREATE TABLE c AS SELECT t.x FROM a.t, b.t")


def test_a_schema_is_dropped_with_what_is_in_it_by_cascade(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE bank.f OF fraud (payments => bank.payments)")
    bank.execute("CREATE TABLE outside AS SELECT count(*) AS n FROM bank.f.alerts")
    assert refused(bank, "DROP SCHEMA bank") == 'the schema "bank" holds bank.f, bank.payments'
    message = bank.sql("DROP SCHEMA bank CASCADE").message
    assert message == "dropped schema bank, and bank.f, bank.payments, outside with it"
    assert bank.sql("SHOW QUERIES").fetchall() == []
    assert bank.sql("DROP SCHEMA IF EXISTS bank").message == "there is no bank"


# ---------------------------------------------------------------- instances


def test_an_instance_is_made_in_one_commit_with_the_rows_so_far(bank: headwater.Database) -> None:
    before = bank.version
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.8)")
    assert bank.version == before + 1
    assert rows(bank, "SELECT * FROM f.alerts") == [(1, 0.95), (2, 0.85)]
    assert rows(bank, "SELECT f.totals.n FROM f.totals") == [(2,)]
    bank.execute("INSERT INTO bank.payments VALUES (3, 'z', 99), (2, 'z', 1)")
    assert rows(bank, "SELECT id FROM f.alerts") == [(1,), (2,), (3,)]
    assert rows(bank, "SELECT * FROM f.totals") == [(1, 2), (2, 2)]


def test_what_is_private_is_seen_by_inspecting_only(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    private = '"f.hist" is private to the instance f, of which others see f.alerts, f.totals'
    for sql in (
        "SELECT * FROM f.hist", "CREATE TABLE t AS SELECT * FROM f.hist", "CREATE VIEW t AS SELECT * FROM f.hist",
        "SELECT * FROM f.hist EMIT CHANGES", "DESCRIBE f.hist", "INSERT INTO f.hist VALUES (1, 1)",
        "EXPLAIN ROW f.hist WHERE id = 1",
    ):  # fmt: skip
        assert refused(bank, sql) == private
    assert rows(bank, "SELECT * FROM INSPECT f.hist") == [(1, 2), (2, 1)]
    assert rows(bank, "SELECT * FROM INSPECT f.often") == [(1, 2)]
    assert rows(bank, "SELECT b.id FROM INSPECT f.d.b") == [(1,)]
    assert rows(bank, f"SELECT * FROM INSPECT f.hist AS OF VERSION {bank.version}") == [(1, 2), (2, 1)]
    assert bank.sql("DESCRIBE INSPECT f.hist").fetchall()[0][:2] == ("id", "BIGINT")
    with bank.subscribe("SELECT n FROM INSPECT f.hist WHERE id = 1") as changes:
        assert [change.row for change in changes.poll(1)] == [(2,)]
    for kind, names in (("TABLES", ["f.totals"]), ("VIEWS", []), ("STREAMS", ["bank.payments", "f.alerts"])):
        assert [row[0] for row in bank.sql(f"SHOW {kind}").fetchall()] == names


def test_inspecting_is_for_looking_only(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    for sql in (
        "CREATE TABLE t AS SELECT * FROM INSPECT f.hist", "CREATE VIEW t AS SELECT * FROM INSPECT f.hist",
        "DROP TABLE INSPECT f.hist", "INSERT INTO INSPECT f.hist VALUES (1, 1)", "PAUSE INSPECT f.hist",
    ):  # fmt: skip
        assert refused(bank, sql) == "INSPECT is for looking into an instance, and this does more"


def test_a_port_sees_the_columns_that_it_declares(bank: headwater.Database) -> None:
    bank.execute("""
        CREATE PIPELINE all_of (IN a STREAM (amount DOUBLE, id BIGINT),
            OUT b STREAM (amount DOUBLE, id BIGINT))
        AS BEGIN
            CREATE STREAM b AS SELECT * FROM a WHERE a.id > 1 AND ROWTIME IS NOT NULL;
        END;
        CREATE INSTANCE i OF all_of (a => bank.payments);
    """)
    assert rows(bank, "SELECT * FROM i.b") == [(85.0, 2)]


def test_windows_and_joins_and_errors_work_inside(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM s (k BIGINT, at TIMESTAMP, v VARCHAR) WITH (timestamp = 'at');
        CREATE TABLE names (k BIGINT PRIMARY KEY, name VARCHAR);
        CREATE PIPELINE p (
            IN s STREAM (k BIGINT, at TIMESTAMP, v VARCHAR), IN names TABLE (k BIGINT PRIMARY KEY, name VARCHAR),
            OUT counts TABLE (k BIGINT, n BIGINT), OUT named STREAM (name VARCHAR, v BIGINT),
            OUT bins TABLE (starts TIMESTAMP, n BIGINT)
        ) AS BEGIN
            CREATE TABLE counts AS WITH s2 AS (SELECT k FROM s) SELECT k, count(*) AS n FROM s2 GROUP BY k;
            CREATE STREAM bad (cause VARCHAR);
            CREATE STREAM named AS SELECT names.name, CAST(s.v AS BIGINT) AS v FROM s JOIN names ON s.k = names.k
                ON ERROR INSERT INTO bad;
            CREATE TABLE bins AS SELECT window_start AS starts, count(*) AS n
                FROM TUMBLE(s, at, INTERVAL '1' MINUTE) GROUP BY window_start;
        END;
        INSERT INTO names VALUES (1, 'ann');
        CREATE INSTANCE i OF p (s => s, names => names);
        INSERT INTO s VALUES (1, '2026-01-01 00:00:01', '7'), (1, '2026-01-01 00:00:02', 'seven');
    """)
    assert rows(db, "SELECT * FROM i.counts") == [(1, 2)]
    assert rows(db, "SELECT * FROM i.named") == [("ann", 7)]
    assert len(rows(db, "SELECT * FROM INSPECT i.bad")) == 1
    assert [n for _, n in rows(db, "SELECT * FROM i.bins")] == [2]


def test_equal_parts_of_two_instances_are_one_computation(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    bank.execute("CREATE INSTANCE g OF fraud (payments => bank.payments, threshold => 0.1)")
    for name in ("hist", "totals"):
        f, g = (bank.pipeline.catalog.get(f"{instance}.{name}") for instance in "fg")
        assert f is not None and g is not None and f.plan == g.plan


def test_an_instance_is_paused_and_resumed_as_a_whole(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments); PAUSE INSTANCE f")
    assert {row[2] for row in bank.sql("SHOW QUERIES").fetchall()} == {"paused"}
    assert refused(bank, "PAUSE INSTANCE f") == '"f" stands still already'
    bank.execute("INSERT INTO bank.payments VALUES (9, 'z', 99)")
    assert (9, 0.99) not in rows(bank, "SELECT * FROM f.alerts")
    (line,) = bank.sql("SHOW INSTANCES").fetchall()
    assert line[:5] == ("f", "fraud", "shared", "paused", 4)
    assert line[6] == 1, "the row that waits"
    bank.execute("RESUME INSTANCE f")
    assert (9, 0.99) in rows(bank, "SELECT * FROM f.alerts")
    assert refused(bank, "RESUME INSTANCE f") == '"f" runs already'


def test_what_there_is_is_shown(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.8)")
    assert bank.sql("SHOW PIPELINES").fetchall() == [
        ("large", "a", "b", "least DOUBLE DEFAULT 50", 1),
        ("fraud", "payments", "alerts, totals", "threshold DOUBLE DEFAULT 0.9", 1),
    ]
    assert bank.sql("DESCRIBE PIPELINE large").fetchall() == [
        ("a", "IN STREAM", "(id BIGINT, amount DOUBLE)"),
        ("b", "OUT STREAM", "(id BIGINT, amount DOUBLE)"),
        ("least", "PARAM", "DOUBLE DEFAULT 50"),
    ]
    described = bank.sql("DESCRIBE INSTANCE f").fetchall()
    assert [row[:2] for row in described] == [
        ("f", "instance of"), ("payments", "given"), ("threshold", "given"), ("f.totals", "table"),
        ("f.alerts", "stream"), ("f.d.b", "private stream"), ("f.hist", "private table"), ("f.often", "private view"),
    ]  # fmt: skip
    (line,) = bank.sql("SHOW INSTANCES").fetchall()
    assert line[3:5] == ("running", 4) and line[7] > 0


# ---------------------------------------------------------------- the only writer

JOURNAL = """
CREATE STREAM orders (id BIGINT);
CREATE PIPELINE contract (IN orders STREAM (id BIGINT), OUT journal STREAM (id BIGINT)) AS BEGIN
    CREATE STREAM journal (id BIGINT) WITH (ledger = true);
    INSERT INTO journal SELECT id FROM orders;
END;
CREATE INSTANCE c OF contract (orders => orders);
"""


def test_what_a_pipeline_inserts_into_is_written_by_its_instance_alone(db: headwater.Database) -> None:
    db.execute(JOURNAL)
    alone = '"c.journal" is written by the instance c alone'
    for write in (
        lambda: db.append("c.journal", [(1,)]), lambda: db.append("C.Journal", [(1,)], commit_every=1),
        lambda: db.transaction().append("c.journal", [(1,)]),
        lambda: db.transaction().execute("INSERT INTO c.journal VALUES (1)"),
    ):  # fmt: skip
        with pytest.raises(SqlError, match=alone) as caught:
            write()
        assert caught.value.hint == "it writes what follows from orders"
    with db.transaction() as transaction:
        transaction.append("orders", [(1,), (2,)])
    assert rows(db, "SELECT id FROM c.journal") == [(1,), (2,)]
    assert db.sql("VERIFY STREAM c.journal").fetchall()[0][4] == "intact"


def test_what_was_inserted_is_made_anew_with_what_inserts_it_and_a_ledger_is_not(db: headwater.Database) -> None:
    db.execute(JOURNAL + "INSERT INTO orders VALUES (1), (2)")
    again = "CREATE OR REPLACE INSTANCE c OF contract (orders => orders)"
    known = db.pipeline.catalog.relations
    db.execute(again)
    assert db.pipeline.catalog.relations == known
    other = (
        JOURNAL.partition("CREATE PIPELINE")[2].partition("CREATE INSTANCE")[0].replace("SELECT id", "SELECT id * 2")
    )
    message = refused(db, f"CREATE OR REPLACE PIPELINE {other}")
    assert message.endswith('"c.journal" is a ledger, and would be written anew')
    db.execute(f"DROP INSTANCE c; CREATE OR REPLACE PIPELINE {other.replace('ledger = true', 'partitions = 1')}")
    db.execute(again)
    db.execute(f"CREATE OR REPLACE PIPELINE {other.replace('ledger = true', 'partitions = 1').replace('* 2', '* 3')}")
    assert rows(db, "SELECT id FROM c.journal") == [(3,), (6,)]


def test_an_assertion_about_what_an_instance_gives_stops_it_until_it_is_resumed_as_a_whole(
    bank: headwater.Database,
) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    bank.execute("CREATE ASSERTION few CHECK (NOT EXISTS (SELECT id FROM f.alerts WHERE score > 1)) ON VIOLATION PAUSE")
    bank.execute("INSERT INTO bank.payments VALUES (2, 'x', 200); INSERT INTO bank.payments VALUES (3, 'x', 99)")
    assert rows(bank, "SELECT id FROM f.alerts") == [(1,), (2,)]
    assert dict(bank.sql("DESCRIBE ASSERTION few").fetchall())["on violation"] == "PAUSE f.alerts"
    bank.execute("RESUME INSTANCE f")
    assert rows(bank, "SELECT id FROM f.alerts") == [(1,), (2,), (3,)]


def test_a_part_of_an_instance_is_stopped_and_looked_at_with_the_whole(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments); CREATE TABLE n AS SELECT id FROM f.totals")
    for sql in ("PAUSE f.alerts", "TERMINATE f.alerts", "RESUME f.alerts"):
        assert refused(bank, sql) == '"f.alerts" is a part of the instance f'
    for sql in ("PAUSE INSTANCE f.d", "DESCRIBE INSTANCE f.d"):
        assert refused(bank, sql) == '"f.d" is a part of the instance f'
    assert bank.sql("DESCRIBE INSTANCE INSPECT f.d").fetchall()[0] == ("f.d", "instance of", "large")
    bank.execute("PAUSE INSTANCE f")
    with pytest.raises(SqlError) as caught:
        bank.execute("RESUME n")
    assert caught.value.hint == "RESUME INSTANCE f"


# ---------------------------------------------------------------- replacing and dropping


def test_instances_follow_their_pipeline(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.8)")
    bank.execute("CREATE TABLE outside AS SELECT count(*) AS n FROM f.alerts")
    kept = bank.pipeline.catalog.get("f.hist")
    before = bank.version
    bank.execute(LARGE.replace("CREATE", "CREATE OR REPLACE", 1).replace("amount >= $least", "amount >= $least + 10"))
    assert bank.version == before + 1, "one commit"
    assert rows(bank, "SELECT * FROM f.alerts") == [(1, 0.95)]
    assert rows(bank, "SELECT * FROM outside") == [(1,)], "and so does what reads them"
    assert bank.pipeline.catalog.get("f.hist") is kept, "what would be the same stays"
    assert rows(bank, f"SELECT * FROM f.alerts AS OF VERSION {before}") == [(1, 0.95), (2, 0.85)]


def test_replacing_a_pipeline_by_itself_changes_nothing(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    before = bank.pipeline.catalog.relations
    bank.execute(FRAUD.replace("CREATE", "CREATE OR REPLACE", 1))
    assert bank.pipeline.catalog.relations == before


def test_an_instance_is_replaced_with_other_values(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    bank.execute("CREATE OR REPLACE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.8)")
    assert rows(bank, "SELECT id FROM f.alerts") == [(1,), (2,)]
    reads = "CREATE STREAM back AS SELECT id, score AS amount FROM f.alerts"
    bank.execute(reads)
    message = refused(bank, "CREATE OR REPLACE INSTANCE f OF fraud (payments => back)")
    assert message == '"f" would read itself, by way of back'


def test_what_cannot_follow_keeps_a_pipeline_from_being_replaced(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    other_port = FRAUD.replace("CREATE", "CREATE OR REPLACE", 1).replace("score", "points")
    assert refused(bank, other_port) == 'the ports of "fraud" cannot be changed: it has the instances f'
    bank.execute("DROP INSTANCE f")
    narrower = LARGE.replace("CREATE", "CREATE OR REPLACE", 1).replace("OUT b STREAM (id BIGINT, ", "OUT b STREAM (")
    assert "the pipeline fraud could not go on" in refused(bank, narrower.replace("SELECT id, ", "SELECT "))
    bank.execute(other_port)


def test_a_pipeline_is_dropped_with_what_uses_it_by_cascade(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    bank.execute("CREATE TABLE outside AS SELECT count(*) AS n FROM f.alerts")
    assert refused(bank, "DROP PIPELINE large") == '"large" is used by fraud, f'
    assert refused(bank, "DROP INSTANCE f") == '"f" is read by outside'
    assert refused(bank, "DROP STREAM bank.payments").startswith('"bank.payments" is read by f.d.b')
    assert refused(bank, "DROP STREAM f.alerts") == '"f.alerts" is a part of the instance f'
    assert bank.sql("DROP PIPELINE large CASCADE").message == "dropped pipeline large, and fraud, f, outside with it"
    assert [r.name for r in bank.pipeline.catalog.ordered()] == ["bank.payments"]


def test_a_dropped_stream_takes_the_instances_that_read_it_along(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments); DROP STREAM bank.payments CASCADE")
    assert bank.sql("SHOW INSTANCES").fetchall() == []
    assert bank.pipeline.catalog.relations == {}


# ---------------------------------------------------------------- the past


def test_names_of_the_past_mean_what_they_meant(bank: headwater.Database) -> None:
    bank.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
    then = bank.version
    bank.execute("DROP INSTANCE f; DROP PIPELINE fraud")
    assert rows(bank, f"SELECT * FROM f.alerts AS OF VERSION {then}") == [(1, 0.95)]
    assert "is private" in refused(bank, f"SELECT * FROM f.hist AS OF VERSION {then}")
    assert rows(bank, f"SELECT id FROM INSPECT f.hist AS OF VERSION {then}") == [(1,), (2,)]
    assert len(bank.sql(f"SHOW PIPELINES AS OF VERSION {then}").fetchall()) == 2
    assert bank.sql(f"DESCRIBE INSTANCE f AS OF VERSION {then}").fetchall()[0][2] == "fraud"


def test_all_is_there_after_opening_again_and_in_a_fork(tmp_path: Path) -> None:
    where, fork = tmp_path / "db", tmp_path / "fork"
    with headwater.connect(where, background=False) as db:
        db.execute(BANK)
        db.execute("CREATE INSTANCE f OF fraud (payments => bank.payments)")
        db.execute(LARGE.replace("CREATE", "CREATE OR REPLACE", 1).replace("$least", "$least - 10"))
        db.execute("CREATE INSTANCE g OF fraud (payments => bank.payments); PAUSE INSTANCE g")
        db.execute(f"FORK DATABASE TO '{fork}'")
        known = db.pipeline.catalog
    for place in (where, fork):
        with headwater.connect(place, background=False) as db:
            assert db.pipeline.catalog == known
            db.execute("INSERT INTO bank.payments VALUES (5, 'z', 99)")
            assert rows(db, "SELECT id FROM f.alerts") == [(1,), (2,), (5,)]
            assert [row[3] for row in db.sql("SHOW INSTANCES").fetchall()] == ["running", "paused"]
            db.execute("RESUME INSTANCE g; CREATE OR REPLACE INSTANCE f OF fraud (payments => bank.payments)")
            assert rows(db, "SELECT id FROM g.alerts") == [(1,), (2,), (5,)]


# ---------------------------------------------------------------- a clock of its own


def test_an_instance_with_its_own_clock_is_one_like_any_other_also_after_opening_again(tmp_path: Path) -> None:
    def reopened() -> headwater.Database:
        return headwater.connect(tmp_path / "db", background=False)

    def state(db: headwater.Database) -> object:
        db.settle()
        return rows(db, "SELECT id FROM f.alerts"), [row[2:4] for row in db.sql("SHOW INSTANCES").fetchall()]

    with reopened() as db:
        db.execute(BANK)
        db.execute("CREATE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.8) WITH (clock = 'own')")
        assert state(db) == ([(1,), (2,)], [("own", "running")])
        db.execute("PAUSE INSTANCE f; INSERT INTO bank.payments VALUES (3, 'z', 99)")
        assert state(db) == ([(1,), (2,)], [("own", "paused")])
    with reopened() as db:
        assert state(db) == ([(1,), (2,)], [("own", "paused")])
        db.execute("RESUME INSTANCE f")
        assert state(db) == ([(1,), (2,), (3,)], [("own", "running")])
        assert "is private" in refused(db, "SELECT * FROM f.hist")
        again = "CREATE OR REPLACE INSTANCE f OF fraud (payments => bank.payments, threshold => 0.9)"
        db.execute(f"{again} WITH (clock = 'own')")
        assert state(db) == ([(1,), (3,)], [("own", "running")])
    with reopened() as db:
        assert state(db) == ([(1,), (3,)], [("own", "running")])
        db.execute(again)
        assert state(db) == ([(1,), (3,)], [("shared", "running")])
        db.execute(f"{again} WITH (clock = 'own'); DROP INSTANCE f")
    with reopened() as db:
        assert (db.sql("SHOW INSTANCES").fetchall(), db.sql("SHOW QUERIES").fetchall()) == ([], [])
