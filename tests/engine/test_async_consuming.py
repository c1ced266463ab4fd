"""Consumer groups from asyncio: the loop goes on meanwhile, and whoever is cancelled leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest

import headwater


@pytest.fixture
def shop(db: headwater.Database) -> headwater.Database:
    db.execute("""
        CREATE STREAM orders (id BIGINT KEY, amount BIGINT) WITH (partitions = 4);
        CREATE STREAM bills (id BIGINT);
        CREATE STREAM large AS SELECT * FROM orders WHERE amount > 5;
        CREATE TABLE stock (id BIGINT PRIMARY KEY, n BIGINT);
    """)
    db.append("orders", [{"id": id, "amount": id} for id in range(10)])
    return db


def ids(rows: headwater.Result) -> list[int]:
    return sorted(row[0] for row in rows)


def bills(db: headwater.Database) -> list[int]:
    return ids(db.sql("SELECT id FROM bills"))


def sleepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "headwater-sleepers"]


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancels a task, which ends by that."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_rows_come_as_they_are_written_and_are_committed(shop: headwater.Database) -> None:
    async def work() -> list[int]:
        seen: list[int] = []
        async with shop.consumer_async("orders", "billing") as consumer:
            async for rows in consumer:
                seen += ids(rows)
                await consumer.commit_async()
                if 10 in seen:
                    return sorted(seen)
                shop.append("orders", [{"id": 10, "amount": 1}])
        raise AssertionError("it goes on for ever")

    assert asyncio.run(work()) == list(range(11))
    assert len(shop.sql("FETCH 100 FROM orders GROUP billing")) == 0


def test_a_derived_stream_is_read_like_any_other(shop: headwater.Database) -> None:
    async def work() -> list[int]:
        async with shop.consumer_async("large", "alerts") as consumer:
            first = await consumer.fetch_async()
            waiting = asyncio.create_task(consumer.fetch_async(timeout=30))
            await asyncio.sleep(0)
            await asyncio.to_thread(shop.append, "orders", [{"id": 11, "amount": 11}])
            return ids(first) + ids(await waiting)

    assert asyncio.run(work()) == [6, 7, 8, 9, 11]


def test_a_fetch_that_finds_nothing_ends_with_its_time(shop: headwater.Database) -> None:
    async def ask() -> headwater.Result:
        async with shop.consumer_async("orders", "late", start="latest") as consumer:
            return await consumer.fetch_async(timeout=0.01)

    found = asyncio.run(ask())
    assert (len(found), found.names) == (0, ["id", "amount", "ROWTIME", "ROWPARTITION", "ROWOFFSET"])


def test_the_loop_goes_on_while_many_wait_and_one_thread_sleeps_for_all(shop: headwater.Database) -> None:
    async def wait(group: str) -> list[int]:
        async with shop.consumer_async("orders", group, start="latest") as consumer:
            joined.release()
            return ids(await consumer.fetch_async(timeout=30))

    async def all_of_them() -> list[list[int]]:
        tasks = [asyncio.create_task(wait(f"group {n}")) for n in range(20)]
        for _ in tasks:
            await joined.acquire()
        while not sleepers():
            await asyncio.sleep(0.01)
        assert len(sleepers()) == 1
        shop.append("orders", [{"id": 20, "amount": 1}])
        return await asyncio.gather(*tasks)

    joined = asyncio.Semaphore(0)
    assert asyncio.run(all_of_them()) == [[20]] * 20


async def fetch(db: headwater.Database) -> None:
    async with db.consumer_async("large", "g") as consumer:
        await consumer.fetch_async()


async def begin(db: headwater.Database) -> None:
    async with db.transaction_async():
        pass


async def receive(db: headwater.Database) -> None:
    for message in await db.queue("work").receive_async():
        async with message:
            pass


@pytest.mark.parametrize("work", [fetch, begin, receive])
def test_the_loop_goes_on_while_the_queries_are_held_up(
    shop: headwater.Database, work: Callable[[headwater.Database], Coroutine[None, None, None]]
) -> None:
    def hold_up() -> None:
        with shop.pipeline.lock:
            is_held.set()
            assert is_over.wait(30)

    async def go_on() -> None:
        await asyncio.to_thread(is_held.wait)
        task = asyncio.create_task(work(shop))
        await asyncio.sleep(0.02)
        assert not task.done()
        is_over.set()
        await task

    shop.execute("CREATE QUEUE work ON orders")
    shop.append("orders", [{"id": 10, "amount": 10}])
    is_held, is_over = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold_up)
    holder.start()
    asyncio.run(go_on())
    holder.join()


def test_what_a_cancelled_fetch_has_found_comes_again_and_is_not_committed(shop: headwater.Database) -> None:
    async def cancel_at_random() -> list[int]:
        chance, seen = random.Random(5), list[int]()
        async with shop.consumer_async("orders", "billing") as consumer:
            for _ in range(30):
                task = asyncio.create_task(consumer.fetch_async(1, timeout=30))
                await asyncio.sleep(chance.choice((0, 0.001, 0.002)))
                task.cancel()
                await asyncio.wait([task])
                seen += [] if task.cancelled() else ids(task.result())
                await consumer.commit_async()
            return seen + ids(await consumer.fetch_async())

    assert sorted(asyncio.run(cancel_at_random())) == list(range(10))


def test_the_group_is_moved(shop: headwater.Database) -> None:
    async def work() -> list[int]:
        async with shop.consumer_async("orders", "billing") as consumer:
            counts = [len(await consumer.fetch_async())]
            for point in ("EARLIEST", "OFFSET 4", "LATEST", f"VERSION {shop.version}"):
                await consumer.seek_async(point)
                counts.append(len(await consumer.fetch_async()))
            return counts

    assert asyncio.run(work()) == [10, 10, 6, 0, 0]


# ---------------------------------------------------------------- exactly once


@asynccontextmanager
async def billing(db: headwater.Database) -> AsyncIterator[tuple[headwater.Transaction, headwater.Consumer]]:
    """A member of the group, and a transaction of which its fetches are a part."""
    async with db.consumer_async("orders", "billing") as consumer, db.transaction_async() as t:
        t.consume(consumer)
        yield t, consumer


def test_what_is_made_of_rows_and_how_far_they_were_read_is_one_commit(shop: headwater.Database) -> None:
    async def work(fails: bool) -> None:
        async with billing(shop) as (t, consumer):
            t.append("bills", (await consumer.fetch_async()).arrow().select(["id"]))
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(work(fails=True))
    assert bills(shop) == []
    asyncio.run(work(fails=False))
    asyncio.run(work(fails=False))
    assert bills(shop) == list(range(10))


def test_a_conflict_reaches_the_task_and_the_rows_come_again(shop: headwater.Database) -> None:
    async def work() -> list[int]:
        async with shop.consumer_async("orders", "billing") as consumer:
            with pytest.raises(headwater.TransactionConflict):
                async with shop.transaction_async() as t:
                    t.consume(consumer)
                    await consumer.fetch_async()
                    t.execute("UPDATE stock SET n = 1")
                    t.append("bills", [{"id": 1}])
                    shop.execute("INSERT INTO stock VALUES (1, 1)")
            return ids(await consumer.fetch_async())

    assert asyncio.run(work()) == list(range(10))
    assert bills(shop) == []


def test_two_members_of_a_group_that_are_cancelled_again_and_again_bill_each_order_once(
    shop: headwater.Database,
) -> None:
    async def bill() -> None:
        async with shop.consumer_async("orders", "billing") as consumer:
            async for rows in consumer:
                try:
                    async with shop.transaction_async() as t:
                        t.consume(consumer)
                        await asyncio.sleep(0)
                        t.append("bills", rows.arrow().select(["id"]))
                except headwater.MemberFenced:
                    continue  # its rows are those of another member by now

    async def work() -> None:
        chance, members = random.Random(3), [asyncio.create_task(bill()) for _ in range(2)]
        for n in range(20):
            shop.append("orders", {"id": range(10 + 9 * n, 19 + 9 * n), "amount": [1] * 9})
            await asyncio.sleep(chance.uniform(0, 0.02))
            await cancelled(members.pop(0))
            members.append(asyncio.create_task(bill()))
        async with asyncio.timeout(30):
            while len(bills(shop)) < 190:
                await asyncio.sleep(0.01)
        for member in members:
            await cancelled(member)

    asyncio.run(work())
    assert bills(shop) == list(range(190))
    with shop.consumer("orders", "billing") as consumer:
        assert len(consumer.fetch()) == 0
        assert consumer.partitions == (0, 1, 2, 3), "those that were cancelled have left"


# ---------------------------------------------------------------- its end


def test_a_member_whose_task_is_cancelled_has_left_when_that_ends(shop: headwater.Database) -> None:
    async def read() -> None:
        async with shop.consumer_async("orders", "late", start="latest") as consumer:
            joined.set()
            async for _ in consumer:
                pass

    async def work() -> None:
        task = asyncio.create_task(read())
        await joined.wait()
        with shop.consumer("orders", "late") as other:
            other.fetch()
            assert len(other.partitions) == 2
            await cancelled(task)
            other.fetch()
            assert len(other.partitions) == 4

    joined = asyncio.Event()
    asyncio.run(work())


def test_closing_ends_the_iteration_and_the_thread(shop: headwater.Database) -> None:
    async def read() -> None:
        async with shop.consumer_async("orders", "billing") as consumer:
            async for rows in consumer:
                seen.extend(ids(rows))
                asyncio.get_running_loop().call_later(0.02, consumer.close)

    seen: list[int] = []
    asyncio.run(read())
    assert seen == list(range(10))
    for thread in sleepers():
        thread.join(5)
        assert not thread.is_alive()


def test_an_error_reaches_the_task(shop: headwater.Database) -> None:
    async def read(stream: str) -> None:
        async with shop.consumer_async(stream, "g") as consumer:
            await consumer.seek_async("VERSION 1000")

    with pytest.raises(headwater.SqlError, match='"stock" is a table'):
        asyncio.run(read("stock"))
    with pytest.raises(headwater.OutOfRange):
        asyncio.run(read("orders"))
