"""The process that is killed: two members of a consumer group and two workers of a queue, until all records are done.

    python workers.py DIRECTORY

Each makes of every record a row, in one commit with how far it has come, or with its ACK. Of both kinds one is a thread
and one a task of asyncio.
"""

from __future__ import annotations

import asyncio
import sys
import threading

import headwater

BATCH = 50
FENCED = (headwater.MemberFenced, headwater.TransactionConflict, headwater.NotHeld)  # it is others' by now


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
                except FENCED:
                    t.rollback()


async def bill_async(db: headwater.Database) -> None:
    """Another one."""
    async with db.consumer_async("orders", "billing") as consumer:
        while True:
            rows = await consumer.fetch_async(BATCH, timeout=0.2)
            if not len(rows) and await asyncio.to_thread(is_done, db, "bills"):
                return
            try:
                async with db.transaction_async() as t:
                    t.consume(consumer)
                    t.append("bills", rows.arrow().select(["id"]))
            except FENCED:
                continue


def pack(db: headwater.Database) -> None:
    """A worker of the queue: a parcel for each order."""
    queue = db.queue("work")
    while not is_done(db, "parcels"):
        messages = queue.receive(BATCH, timeout=1)
        try:
            with db.transaction() as t:
                t.append("parcels", [message.values for message in messages])
                t.ack(*messages)
        except FENCED:
            continue


async def pack_async(db: headwater.Database) -> None:
    """Another one."""
    queue = db.queue("work")
    while not await asyncio.to_thread(is_done, db, "parcels"):
        messages = await queue.receive_async(BATCH, timeout=1)
        try:
            async with db.transaction_async() as t:
                t.append("parcels", [message.values for message in messages])
                t.ack(*messages)
        except FENCED:
            continue


def is_done(db: headwater.Database, made: str) -> bool:
    orders, done = (db.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in ("orders", made))
    return bool(orders == done)


async def both(db: headwater.Database) -> None:
    await asyncio.gather(bill_async(db), pack_async(db))


def main(directory: str) -> None:
    with headwater.connect(directory) as db:
        threads = [threading.Thread(target=run, args=(db,)) for run in (bill, pack)]
        for thread in threads:
            thread.start()
        print("at work", flush=True)
        asyncio.run(both(db))
        for thread in threads:
            thread.join()
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
