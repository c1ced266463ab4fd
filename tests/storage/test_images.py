"""Images share the chunks that they have in common."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from headwater.errors import CorruptLog
from headwater.storage import Log, SimulatedDisk

PATH = "shop.hw"
CHUNKS = 20


def chunk(seed: int, rows: int = 1000) -> pa.RecordBatch:
    chance = random.Random(seed)
    return pa.record_batch({"value": [chance.getrandbits(60) for _ in range(rows)]})


def table(*seeds: int) -> pa.Table:
    return pa.Table.from_batches([chunk(seed) for seed in seeds])


def image_bytes(disk: SimulatedDisk, number: int) -> int:
    return disk.open(f"{PATH}/images/{number}.img").size()


@pytest.mark.parametrize("changed", [0, 1, 5, CHUNKS])
def test_only_the_chunks_that_changed_are_written(changed: int) -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    seeds = list(range(CHUNKS))
    log.save_image({"table": table(*seeds)})
    assert CHUNKS * 8000 < image_bytes(disk, 1) < CHUNKS * 8400 + 3000
    seeds[:changed] = range(1000, 1000 + changed)
    image = log.save_image({"table": table(*seeds)})
    assert changed * 8000 < image_bytes(disk, 2) < changed * 8400 + 3000
    assert log.load_image(image)["table"].equals(pa.concat_batches([chunk(seed) for seed in seeds]))


def test_of_the_tables_of_an_image_some_can_be_read_alone_as_they_are_cut() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    image = log.save_image({"one": table(1, 2, 3), "other": table(4)})
    disk.open(f"{PATH}/images/1.img").pwrite(3 * 8400 + 4000, b"damage to the other")
    parts = log.load_parts(image, ["one", "none"])
    assert parts.keys() == {"one"} and parts["one"].to_batches() == [chunk(1), chunk(2), chunk(3)]
    with pytest.raises(CorruptLog, match='1.img" cannot be read: it is damaged'):
        log.load_parts(image, ["other"])


def test_images_of_a_reopened_log_share_chunks_with_those_before() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    log.save_image({"table": table(*range(CHUNKS))})
    log.close()
    log = Log.open(disk, PATH)
    image = log.save_image({"table": table(*range(CHUNKS))})
    assert image_bytes(disk, 2) < image_bytes(disk, 1) / 20
    assert log.load_image(image)["table"].num_rows == CHUNKS * 1000


def test_a_chunk_that_moved_within_its_table_is_not_written_again() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    log.save_image({"table": table(*range(CHUNKS))})
    image = log.save_image({"table": table(*reversed(range(CHUNKS)))})
    assert image_bytes(disk, 2) < image_bytes(disk, 1) / 20
    assert log.load_image(image)["table"].slice(0, 1000).equals(chunk(CHUNKS - 1))


def test_a_chunk_that_is_damaged_is_written_again() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    before = log.save_image({"table": table(1, 2)})
    disk.open(f"{PATH}/images/1.img").pwrite(1000, b"damaged")
    image = log.save_image({"table": table(1, 2)})
    assert log.load_image(image)["table"].slice(0, 1000).equals(chunk(1))
    with pytest.raises(CorruptLog, match='1.img" cannot be read: it is damaged'):
        log.load_image(before)


def test_damage_of_a_shared_chunk_is_found_by_all_that_have_it() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    images = [log.save_image({"table": table(1), "other": chunk(number)}) for number in (2, 3)]
    disk.open(f"{PATH}/images/1.img").pwrite(1000, b"damaged")
    for image in images:
        with pytest.raises(CorruptLog):
            log.load_image(image)


def test_a_table_without_chunks_keeps_its_schema() -> None:
    log = Log.open(SimulatedDisk(), PATH)
    schema = pa.schema({"a": pa.int32(), "b": pa.list_(pa.string())}, metadata={"k": "v"})
    image = log.save_image({"empty": schema.empty_table()})
    assert log.load_image(image)["empty"].schema.equals(schema, check_metadata=True)
