"""A program as a user writes it: the whole public API, with the types that a checker must find.

`mypy --strict` reads it and Python runs it (tests/test_typing.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, assert_type

import headwater


def readings() -> Iterator[tuple[int, float]]:
    yield from ((n % 3, n / 2) for n in range(9))


def main(path: str) -> None:
    with headwater.connect(path, background=True, state_limit="1 GB") as db:
        assert_type(db, headwater.Database)
        db.execute("CREATE STREAM readings (sensor INTEGER KEY, celsius DOUBLE)")
        db.execute("CREATE TABLE latest (sensor INTEGER PRIMARY KEY, celsius DOUBLE)")
        acknowledged = db.append("readings", readings(), commit_every=4)
        assert_type(acknowledged, headwater.Acknowledgement)
        assert acknowledged.rows == 9
        asking(db)
        changing(db)
        watching(db)
        asyncio.run(watching_from_asyncio(db))
        consuming(db)
        asyncio.run(consuming_from_asyncio(db))
        working(db)
        asyncio.run(working_from_asyncio(db))
        assert_type(db.relations(), list[headwater.RelationInfo])
        assert_type(db.version, int)
        db.settle()


def asking(db: headwater.Database) -> None:
    result = db.sql("SELECT sensor, celsius FROM readings WHERE celsius >= ? ORDER BY ALL", [3.5])
    assert_type(result, headwater.Result)
    assert_type(result.names, list[str])
    assert_type(result.fetchall(), list[tuple[Any, ...]])
    assert_type(result.fetchone(), tuple[Any, ...] | None)
    assert [sensor for sensor, _ in result] == [1, 2]
    assert_type(result.message, str | None)
    assert "<table" in result._repr_html_()

    cursor = db.cursor()
    assert_type(cursor, headwater.Cursor)
    cursor.execute("SELECT count(*) FROM readings WHERE sensor = $sensor", {"sensor": 1})
    assert_type(cursor.rowcount, int)
    assert cursor.fetchall() == [(3,)]

    try:
        db.sql("SELECT nothing FROM nowhere")
    except headwater.UnknownName as error:
        assert_type(error.span, headwater.Span | None)
        assert_type(error.line, int | None)
        assert_type(error.hint, str | None)
    try:
        db.append("latest", [(None, 1.0)])
    except headwater.IntegrityError as error:
        assert isinstance(error, headwater.NullRefused)


def changing(db: headwater.Database) -> None:
    def fahrenheit(celsius: float) -> float:
        return celsius * 9 / 5 + 32

    db.create_function("fahrenheit", fahrenheit, parameters={"celsius": "DOUBLE"}, returns="DOUBLE")
    assert db.sql("SELECT fahrenheit(100)").fetchall() == [(212.0,)]

    with db.transaction() as transaction:
        assert_type(transaction, headwater.Transaction)
        assert_type(transaction.append("latest", [{"sensor": 1, "celsius": 0.5}]), int)
        assert_type(transaction.sql("UPDATE latest SET celsius = ?", [1.5]), headwater.Result)
    db.sql("BEGIN")
    db.sql("DELETE FROM latest")
    db.rollback()
    db.commit()
    assert_type(db.autocommit, bool)
    assert db.sql("SELECT * FROM latest").fetchall() == [(1, 1.5)]


def watching(db: headwater.Database) -> None:
    with db.subscribe("SELECT sensor, max(celsius) FROM readings GROUP BY sensor") as subscription:
        assert_type(subscription, headwater.Subscription)
        batch = subscription.poll(5)
        assert_type(batch, headwater.ChangeBatch | None)
        assert batch is not None and len(batch) == 3
        for change in batch:
            assert_type(change, headwater.Change)
            assert_type(change.row, tuple[Any, ...])
    for change in db.subscribe("SELECT sensor FROM readings EMIT CHANGES LIMIT 1"):
        assert_type(change.version, int)


async def watching_from_asyncio(db: headwater.Database) -> None:
    async with db.subscribe("SELECT sensor FROM readings EMIT CHANGES LIMIT 2") as changes:
        assert_type([change async for change in changes], list[headwater.Change])


def consuming(db: headwater.Database) -> None:
    with db.consumer("readings", "alerts") as consumer:
        assert_type(consumer, headwater.Consumer)
        assert len(consumer.fetch(100)) == 9
        consumer.commit()
        consumer.seek("EARLIEST")


async def consuming_from_asyncio(db: headwater.Database) -> None:
    async with db.consumer_async("readings", "alerts") as consumer:
        assert_type(consumer, headwater.Consumer)
        assert_type(await consumer.fetch_async(4, timeout=1), headwater.Result)
        await consumer.seek_async("OFFSET 2")
        async for rows in consumer:
            assert_type(rows, headwater.Result)
            async with db.transaction_async() as transaction:
                assert_type(transaction, headwater.Transaction)
                transaction.consume(consumer)
            await consumer.commit_async()
            break


def working(db: headwater.Database) -> None:
    db.execute("CREATE QUEUE work ON readings")
    queue = db.queue("work")
    assert_type(queue, headwater.Queue)
    for message in queue:
        assert_type(message, headwater.Message)
        assert_type(message.attempt, int)
        assert_type(message["sensor"], Any)
        with message, db.transaction() as transaction:
            transaction.append("latest", [message.values])
            transaction.ack(message)
        break
    messages = queue.receive(3, timeout=1)
    assert_type(messages, list[headwater.Message])
    queue.nack(messages[0])
    try:
        queue.ack(*messages)
    except headwater.NotHeld:
        messages[1].ack()


async def working_from_asyncio(db: headwater.Database) -> None:
    queue = db.queue("work")
    assert_type(await queue.receive_async(2, timeout=1), list[headwater.Message])
    async for message in queue:
        async with message:
            assert_type(message.values, dict[str, Any])
        break


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
    print("ok")
