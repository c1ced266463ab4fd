"""The process that is killed: two members of a consumer group and two workers of a queue, until all records are done.

    python workers.py DIRECTORY

Each makes of every record a row, in one commit with how far it has come, or with its ACK.
"""

from __future__ import annotations

import sys
import threading

import headwater

BATCH = 50


def bill(db: headwater.Database) -> None:
    """A member of the group: a bill for each order."""
    with db.consumer("orders", "billing") as consumer:
        while True:
            with db.transaction() as t:
                t.consume(consumer)
                rows = consumer.fetch(BATCH, timeout=0.2)
                if not len(rows):
                    if is_done(db, "bills"):
                        return
                    continue
                try:
                    t.append("bills", rows.arrow().select(["id"]))
                    t.commit()
                except (headwater.MemberFenced, headwater.TransactionConflict):
                    t.rollback()


def pack(db: headwater.Database) -> None:
    """A worker of the queue: a parcel for each order."""
    while not is_done(db, "parcels"):
        rows = db.sql(f"RECEIVE {BATCH} FROM work WAIT 1 SECOND")
        if not len(rows):
            continue
        receipts = ", ".join(f"'{receipt}'" for receipt in rows.arrow().column("receipt").to_pylist())
        try:
            with db.transaction() as t:
                t.append("parcels", rows.arrow().select(["id"]))
                t.execute(f"ACK work ({receipts})")
        except (headwater.TransactionConflict, headwater.SqlError):
            continue  # they were handed out to somebody else meanwhile


def is_done(db: headwater.Database, made: str) -> bool:
    orders, done = (db.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in ("orders", made))
    return bool(orders == done)


def main(directory: str) -> None:
    with headwater.connect(directory) as db:
        threads = [threading.Thread(target=run, args=(db,)) for run in (bill, bill, pack, pack)]
        for thread in threads:
            thread.start()
        print("at work", flush=True)
        for thread in threads:
            thread.join()
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
