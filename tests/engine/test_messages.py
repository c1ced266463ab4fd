"""Work queues for programs: messages that a block acknowledges or gives back, in threads and in asyncio."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator

import pytest

import headwater
from headwater.engine.database import Database
from tests.engine.clock import SECOND, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def db(clock: Clock) -> Iterator[headwater.Database]:
    with Database(clock, "memory", None, background=False) as opened:
        opened.execute("""
            CREATE STREAM orders (id BIGINT, item VARCHAR);
            CREATE STREAM done (id BIGINT, item VARCHAR);
            CREATE QUEUE work ON orders WITH (visibility = '30 seconds');
            INSERT INTO orders VALUES (1, 'a'), (2, 'b'), (3, 'c');
        """)
        yield opened


def held(db: headwater.Database) -> int:
    return len(db.sql("SELECT * FROM work"))


def received(db: headwater.Database) -> list[int]:
    return [message["id"] for message in db.queue("work").receive(10)]


# ---------------------------------------------------------------- one after the other


def test_a_message_is_a_record_with_a_receipt(db: headwater.Database) -> None:
    one, two = db.queue("work").receive(2)
    assert (one.receipt, one.attempt, one.values, one["ROWOFFSET"]) == ("3.0.0.1", 1, {"id": 1, "item": "a"}, 0)
    assert two["item"] == "b"
    assert held(db) == 2


def test_the_end_of_a_block_acknowledges(db: headwater.Database) -> None:
    seen = []
    for message in db.queue("work"):
        with message:
            seen.append(message["id"])
        if len(seen) == 3:
            break
    assert (seen, held(db)) == ([1, 2, 3], 0)


def test_an_error_gives_the_message_back(db: headwater.Database) -> None:
    queue = db.queue("work")
    (message,) = queue.receive()
    with pytest.raises(ZeroDivisionError), message:
        raise ZeroDivisionError
    (again,) = queue.receive()
    assert (again["id"], again.attempt) == (1, 2)


def test_several_are_settled_together_or_none_is(db: headwater.Database) -> None:
    queue = db.queue("work")
    one, two, three = queue.receive(10)
    queue.ack(one, two)
    assert held(db) == 1
    with pytest.raises(headwater.NotHeld):
        queue.nack(three, one)
    assert received(db) == [], "the third is still held"
    queue.nack()
    queue.nack(three)
    assert received(db) == [3]


def test_what_a_block_has_settled_itself_is_left_alone(db: headwater.Database) -> None:
    one, two = db.queue("work").receive(2)
    with one:
        one.ack()
    with two:
        two.nack()
    assert received(db) == [2, 3]


def test_a_message_that_was_handed_out_again_is_refused(db: headwater.Database, clock: Clock) -> None:
    (late,) = db.queue("work").receive()
    clock.passed_us += 31 * SECOND
    assert received(db) == [1, 2, 3]
    with pytest.raises(headwater.NotHeld, match='"3.0.0.1" is no receipt that work waits for'), late:
        pass
    with pytest.raises(ZeroDivisionError), late:  # which is what went wrong, and the message is others' anyway
        raise ZeroDivisionError


def test_an_ack_can_be_part_of_what_is_made_of_a_message(db: headwater.Database) -> None:
    queue = db.queue("work")
    one, two, three = queue.receive(3)
    with one, db.transaction() as t:
        t.append("done", [one.values])
        t.ack(one)
    with pytest.raises(ZeroDivisionError), two, db.transaction() as t:
        t.append("done", [two.values])
        t.ack(two)
        raise ZeroDivisionError
    assert db.sql("SELECT id FROM done").fetchall() == [(1,)]
    assert received(db) == [2], "the third is still held"


def test_a_transaction_whose_message_others_have_by_now_has_no_effect(db: headwater.Database, clock: Clock) -> None:
    (message,) = db.queue("work").receive()
    with pytest.raises(headwater.TransactionConflict), message, db.transaction() as t:
        t.append("done", [message.values])
        t.ack(message)
        clock.passed_us += 31 * SECOND
        assert received(db) == [1, 2, 3]
    with pytest.raises(headwater.NotHeld), db.transaction() as t:
        t.append("done", [message.values])
        t.ack(message)
    assert len(db.sql("SELECT * FROM done")) == 0
    assert held(db) == 3


def test_workers_in_threads_share(db: headwater.Database) -> None:
    def work() -> None:
        while messages := queue.receive(7):
            done.extend(message["id"] for message in messages)
            queue.ack(*messages)

    db.append("orders", {"id": range(4, 100), "item": ["x"] * 96})
    queue, done = db.queue("work"), list[int]()
    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (sorted(done), held(db)) == (list(range(1, 100)), 0)


def test_who_asks_for_what_is_no_queue_is_told(db: headwater.Database) -> None:
    with pytest.raises(headwater.SqlError, match='there is no queue "wrok"'):
        db.queue("wrok")
    queue = db.queue("work")
    db.execute("DROP QUEUE work")
    with pytest.raises(headwater.SqlError, match='there is no queue "work"'):
        queue.receive()
    with pytest.raises(headwater.SqlError, match="at least one record"):
        db.execute("CREATE QUEUE work ON orders")
        queue.receive(0)


# ---------------------------------------------------------------- asyncio


def test_messages_come_to_a_task_as_they_are_written(db: headwater.Database) -> None:
    async def work() -> None:
        async for message in db.queue("work"):
            async with message:
                seen.append(message["id"])
            if len(seen) == 3:
                asyncio.get_running_loop().call_later(0.01, db.append, "orders", [(4, "d")])
            if len(seen) == 4:
                return

    seen: list[int] = []
    asyncio.run(work())
    assert (seen, held(db)) == ([1, 2, 3, 4], 0)


def test_a_task_that_is_cancelled_in_a_block_gives_its_message_back(db: headwater.Database) -> None:
    async def work() -> None:
        async for message in db.queue("work"):
            async with message:
                begun.set()
                await asyncio.sleep(30)

    async def cancel() -> None:
        task = asyncio.create_task(work())
        await begun.wait()
        assert held(db) == 1
        task.cancel()
        await asyncio.wait([task])

    begun = asyncio.Event()
    asyncio.run(cancel())
    assert received(db) == [1, 2, 3], "at once, and not when its time is over"


def test_what_is_held_wakes_who_waits_when_it_is_due(clock: Clock) -> None:
    async def both() -> list[int]:
        queue = db.queue("work")
        await queue.receive_async()
        return [message.attempt for message in await queue.receive_async(timeout=30)]

    with headwater.connect() as db:
        db.execute("CREATE STREAM s (id BIGINT); CREATE QUEUE work ON s WITH (visibility = '30 milliseconds')")
        db.append("s", [(1,)])
        assert asyncio.run(both()) == [2]


def test_settling_and_transactions_from_tasks(db: headwater.Database) -> None:
    async def work() -> None:
        queue = db.queue("work")
        one, two, three = await queue.receive_async(3)
        await one.nack_async()
        await two.ack_async()
        async with three, db.transaction_async() as t:
            t.append("done", [three.values])
            t.ack(three)
        (again,) = await queue.receive_async(3)
        assert again["id"] == 1
        await queue.nack_async(again)
        await queue.ack_async(*await queue.receive_async())
        assert await queue.receive_async(timeout=0.01) == []

    asyncio.run(work())
    assert (db.sql("SELECT id FROM done").fetchall(), held(db)) == ([(3,)], 0)


def test_two_workers_that_are_cancelled_again_and_again_lose_nothing_and_hold_nothing(db: headwater.Database) -> None:
    async def worker() -> None:
        async for message in db.queue("work"):
            async with message, db.transaction_async() as t:
                t.append("done", [message.values])
                await asyncio.sleep(0)
                t.ack(message)

    async def work() -> None:
        chance, workers = random.Random(11), [asyncio.create_task(worker()) for _ in range(2)]
        for _ in range(30):
            await asyncio.sleep(chance.uniform(0, 0.01))
            workers[0].cancel()
            await asyncio.wait(workers[:1])
            assert workers.pop(0).cancelled()
            workers.append(asyncio.create_task(worker()))
        async with asyncio.timeout(15):  # and not only when the time of what others held is over
            while len(db.sql("SELECT * FROM done")) < 60:
                await asyncio.sleep(0.01)
        for task in workers:
            task.cancel()
        await asyncio.wait(workers)

    db.append("orders", {"id": range(4, 61), "item": ["x"] * 57})
    asyncio.run(work())
    assert sorted(row[0] for row in db.sql("SELECT id FROM done")) == list(range(1, 61))
    assert held(db) == 0
