"""Watching a query from asyncio: the loop goes on meanwhile, cancelling loses nothing, and no thread stays."""

from __future__ import annotations

import asyncio
import threading

import pytest

from headwater import Change, Database, QueryFailed


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute("CREATE STREAM s (k INTEGER)")
    return db


def sleepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "headwater-sleepers"]


def test_changes_come_in_order(shop: Database) -> None:
    async def watch() -> list[Change]:
        return [change async for change in shop.subscribe("SELECT k FROM s EMIT CHANGES LIMIT 3")]

    shop.append("s", [(1,), (2,), (3,), (4,)])
    assert [change.row for change in asyncio.run(watch())] == [(1,), (2,), (3,)]


def test_the_loop_goes_on_while_one_task_waits(shop: Database) -> None:
    async def both() -> tuple[int, ...]:
        async with shop.subscribe("SELECT k FROM s") as watched:
            waiting = asyncio.create_task(watched.poll_async())
            await asyncio.sleep(0)
            shop.append("s", [(7,)])
            batch = await waiting
        assert batch is not None
        return next(iter(batch)).row

    assert asyncio.run(both()) == (7,)


def test_a_poll_without_changes_gives_none(shop: Database) -> None:
    async def ask() -> None:
        async with shop.subscribe("SELECT k FROM s") as watched:
            assert await watched.poll_async(0) is None

    asyncio.run(ask())


def test_what_a_cancelled_wait_found_comes_next(shop: Database) -> None:
    async def cancel_and_go_on() -> list[tuple[int, ...]]:
        watched = shop.subscribe("SELECT k FROM s")
        for k in range(20):
            waiting = asyncio.create_task(watched.poll_async())
            await asyncio.sleep(0)
            shop.append("s", [(k,)])
            if k % 2:
                await asyncio.sleep(0.002)  # else the cancellation comes first
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled() and (batch := waiting.result()) is not None:
                seen.extend(change.row for change in batch)
        while (batch := await watched.poll_async(0.2)) is not None:
            seen.extend(change.row for change in batch)
        watched.close()
        return seen

    seen: list[tuple[int, ...]] = []
    assert asyncio.run(cancel_and_go_on()) == [(k,) for k in range(20)]


def test_a_poll_in_the_thread_of_the_caller_takes_up_what_was_found(shop: Database) -> None:
    async def cancel() -> None:
        waiting = asyncio.create_task(watched.poll_async())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    watched = shop.subscribe("SELECT k FROM s")
    asyncio.run(cancel())
    shop.append("s", [(1,)])
    batch = watched.poll(5)
    assert batch is not None and [change.row for change in batch] == [(1,)]
    watched.close()


def test_closing_ends_the_wait_and_the_thread(shop: Database) -> None:
    async def close_while_waiting() -> None:
        watched = shop.subscribe("SELECT k FROM s")
        waiting = asyncio.create_task(watched.poll_async())
        await asyncio.sleep(0.01)
        watched.close()
        assert await waiting is None

    asyncio.run(close_while_waiting())
    for thread in sleepers():
        thread.join(5)
    assert sleepers() == []


def test_closing_the_database_ends_the_iteration(shop: Database) -> None:
    async def watch() -> list[Change]:
        return [change async for change in watched]

    watched = shop.subscribe("SELECT k FROM s")
    shop.append("s", [(1,)])
    threading.Timer(0.1, shop.close).start()
    assert [change.row for change in asyncio.run(watch())] == [(1,)]
    watched.close()


def test_an_error_reaches_the_task(shop: Database) -> None:
    async def watch() -> None:
        async for _ in watched:
            pass

    shop.execute("CREATE TABLE t AS SELECT k, count(*) AS n FROM s GROUP BY k")
    watched = shop.subscribe("SELECT * FROM t")
    shop.execute("DROP TABLE t")
    with pytest.raises(QueryFailed, match="dropped"):
        asyncio.run(watch())
    watched.close()
