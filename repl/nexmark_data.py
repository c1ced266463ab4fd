"""Nexmark's events, as its standard generator shapes them: an auction house's people, auctions and bids.

Of fifty events the first is a person, the next three are auctions, and the rest are bids. Event number n happens
n times 100 µs after the start: 10,000 events per second, which is the standard generator's default. Ids begin at 1000.
As there:

- three of four auctions are of a hot seller and three of four bids of a hot bidder, who change every 100 people;
- one of two bids is on a hot auction, which changes every 100 auctions, the others on one of the last 100, or on one
  of the next ten, which are not there yet;
- an auction lives for up to twice the time that it takes to open 100 others, a third of a second;
- prices are 10^x cents, x uniform in [2, 8); one of two bids comes through one of four hot channels, the others through
  one of 10,000;
- `extra` fills a person up to about 200 bytes, an auction to 500, a bid to 100, each 20 % more or less.

Events come in blocks, each from a random generator of its own: so they depend on the seed alone, not on how they are
cut, and memory is bounded by a block. What differs from the standard is the random generator, so the values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

CYCLE = 50  # events: 1 person, 3 auctions, 46 bids
BLOCK = 100_000  # events; a multiple of CYCLE
FIRST_ID = 1000
START_US = 1_767_225_600_000_000  # 2026-01-01 00:00:00, in µs since 1970
EVENT_US = 100  # µs between two events

HOT = 100  # of so many people or auctions in a row one is hot
ACTIVE_PEOPLE, PEOPLE_AHEAD = 1000, 10
AUCTIONS_IN_FLIGHT, AUCTIONS_AHEAD = 100, 10
CHANNELS = 10_000

_FIRST_NAMES = "Peter Paul Luke John Saul Vicky Kate Julie Sarah Deiter Walter".split()
_LAST_NAMES = "Shultz Abrams Spencer White Bartels Walton Smith Jones Noris".split()
_NAMES = pa.array([f"{first} {last}" for first in _FIRST_NAMES for last in _LAST_NAMES])
_CITIES = pa.array(
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"]
)
_STATES = pa.array(["AZ", "CA", "ID", "OR", "WA", "WY"])
_HOT_CHANNELS = ("Google", "Facebook", "Baidu", "Apple")

TEXT, NUMBER, TIME = pa.string(), pa.int64(), pa.timestamp("us")

SCHEMAS = {
    "person": pa.schema([
        ("id", NUMBER), ("name", TEXT), ("email", TEXT), ("creditcard", TEXT), ("city", TEXT), ("state", TEXT),
        ("date_time", TIME), ("extra", TEXT),
    ]),
    "auction": pa.schema([
        ("id", NUMBER), ("item", TEXT), ("description", TEXT), ("initial_bid", NUMBER), ("reserve", NUMBER),
        ("date_time", TIME), ("expires", TIME), ("seller", NUMBER), ("category", NUMBER), ("extra", TEXT),
    ]),
    "bid": pa.schema([
        ("auction", NUMBER), ("bidder", NUMBER), ("price", NUMBER), ("channel", TEXT), ("url", TEXT),
        ("date_time", TIME), ("extra", TEXT),
    ]),
}  # fmt: skip


def side_input() -> pa.Table:
    """The table that q13 looks up: a value for each third key from 0 to 99."""
    keys = range(0, 100, 3)
    return pa.table({"key": list(keys), "value": [f"side {key}" for key in keys]})


@dataclass(frozen=True, slots=True)
class Events:
    """The first `count` events of a seed."""

    count: int
    seed: int = 1

    def chunks(self, size: int) -> Iterator[dict[str, pa.Table]]:
        """The events in runs of `size`, the last one shorter, each as a table per stream."""
        held, begin = {name: schema.empty_table() for name, schema in SCHEMAS.items()}, 0
        for number in range(-(-self.count // BLOCK)):
            block = _block(number, self.seed)
            held = {name: pa.concat_tables([held[name], block[name]]) for name in SCHEMAS}
            end = min((number + 1) * BLOCK, self.count)
            while begin < end and (begin + size <= end or end == self.count):
                stop = min(begin + size, end)
                lengths = _counts(begin, stop)
                yield {name: table.slice(0, lengths[name]) for name, table in held.items()}
                held = {name: table.slice(lengths[name]) for name, table in held.items()}
                begin = stop

    def tables(self) -> dict[str, pa.Table]:
        """All events, as a table per stream."""
        return next(self.chunks(self.count))


def _counts(begin: int, end: int) -> dict[str, int]:
    """How many of the events [begin, end) each stream gets."""
    people = _people_before(end) - _people_before(begin)
    auctions = _auctions_before(end) - _auctions_before(begin)
    return {"person": people, "auction": auctions, "bid": end - begin - people - auctions}


def _people_before(event: int) -> int:
    return -(-event // CYCLE)


def _auctions_before(event: int) -> int:
    return event // CYCLE * 3 + min(max(event % CYCLE - 1, 0), 3)


def _block(number: int, seed: int) -> dict[str, pa.Table]:
    random = np.random.Generator(np.random.PCG64([seed, number]))
    event = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.int64)
    place = event % CYCLE
    return {
        "person": _people(event[place == 0], random),
        "auction": _auctions(event[(place >= 1) & (place <= 3)], random),
        "bid": _bids(event[place > 3], random),
    }


def _people(event: Ints, random: np.random.Generator) -> pa.Table:
    n = len(event)
    names, cities = _NAMES.take(_below(random, len(_NAMES), n)), _CITIES.take(_below(random, len(_CITIES), n))
    local, domain = _letters(random, random.integers(3, 7, n)), _letters(random, random.integers(3, 5, n))
    email = _joined(local, "@", domain, ".com")
    used = 8 + 19 + 2 + _lengths(names) + _lengths(email) + _lengths(cities)
    return pa.Table.from_arrays(
        [
            pa.array(event // CYCLE + FIRST_ID), names, email, _card_numbers(random, n), cities,
            _STATES.take(_below(random, len(_STATES), n)), _times(event), _filler(random, 200 - used),
        ],
        schema=SCHEMAS["person"],
    )  # fmt: skip


def _auctions(event: Ints, random: np.random.Generator) -> pa.Table:
    n = len(event)
    item, description = _letters(random, random.integers(3, 20, n)), _letters(random, random.integers(3, 100, n))
    initial_bid = _prices(random, n)
    is_hot = random.integers(0, 4, n) > 0
    person = _last_person(event)
    seller = np.where(is_hot, person // HOT * HOT, _some_person(person, random))
    life = 2 * EVENT_US * (AUCTIONS_IN_FLIGHT * CYCLE // 3)
    expires = _time(event) + 1000 * (1 + _below(random, life // 1000, n))
    used = 8 + 5 * 8 + _lengths(item) + _lengths(description)
    return pa.Table.from_arrays(
        [
            pa.array(_last_auction(event) + FIRST_ID), item, description, pa.array(initial_bid),
            pa.array(initial_bid + _prices(random, n)), _times(event), pa.array(expires).cast(TIME),
            pa.array(seller + FIRST_ID), pa.array(10 + _below(random, 5, n)), _filler(random, 500 - used),
        ],
        schema=SCHEMAS["auction"],
    )  # fmt: skip


def _bids(event: Ints, random: np.random.Generator) -> pa.Table:
    n = len(event)
    last = _last_auction(event)
    oldest = np.maximum(last - AUCTIONS_IN_FLIGHT, 0)
    some = oldest + _up_to(last - oldest + 1 + AUCTIONS_AHEAD, random)
    auction = np.where(random.integers(0, 2, n) > 0, last // HOT * HOT, some)
    person = _last_person(event)
    bidder = np.where(random.integers(0, 4, n) > 0, person // HOT * HOT + 1, _some_person(person, random))
    channel = np.where(random.integers(0, 2, n) > 0, _below(random, 4, n), 4 + _below(random, CHANNELS, n))
    names, urls = _channels()
    return pa.Table.from_arrays(
        [
            pa.array(auction + FIRST_ID), pa.array(bidder + FIRST_ID), pa.array(_prices(random, n)),
            names.take(pa.array(channel)), urls.take(pa.array(channel)), _times(event),
            _filler(random, np.full(n, 100 - 32)),
        ],
        schema=SCHEMAS["bid"],
    )  # fmt: skip


def _channels() -> tuple[pa.Array, pa.Array]:
    """The names and URLs of all channels, the hot ones first; of the others nine of ten have a number in the URL."""
    random = np.random.Generator(np.random.PCG64(CHANNELS))
    count = len(_HOT_CHANNELS) + CHANNELS
    folders = [_letters(random, np.full(count, 5)) for _ in range(3)]
    urls = _joined("https://www.nexmark.com/", folders[0], "/", folders[1], "/", folders[2], "/item.htm?query=1")
    is_numbered = (random.integers(0, 10, count) > 0) & (np.arange(count) >= len(_HOT_CHANNELS))
    reversed_bits = [int(f"{number:032b}"[::-1], 2) & 0x7FFFFFFF for number in range(CHANNELS)]
    numbers = ["" for _ in _HOT_CHANNELS] + [f"&channel_id={number}" for number in reversed_bits]
    tails = pa.array([tail if numbered else "" for tail, numbered in zip(numbers, is_numbered, strict=True)])
    names = pa.array([*_HOT_CHANNELS, *(f"channel-{number}" for number in range(CHANNELS))])
    return names, _joined(urls, tails)


def _last_person(event: Ints) -> Ints:
    """The number of the last person up to an event, from 0."""
    return event // CYCLE


def _last_auction(event: Ints) -> Ints:
    """The number of the last auction up to an event that is not a person, from 0."""
    return event // CYCLE * 3 + np.minimum(event % CYCLE - 1, 2)


def _some_person(last: Ints, random: np.random.Generator) -> Ints:
    """One of the people that are active, or of the few that come next."""
    active = np.minimum(last + 1, ACTIVE_PEOPLE)
    return last + 1 - active + _up_to(active + PEOPLE_AHEAD, random)


def _prices(random: np.random.Generator, n: int) -> Ints:
    prices = np.round(100 * 10 ** (6 * random.random(n)))
    return prices.astype(np.int64)


def _time(event: Ints) -> Ints:
    return START_US + event * EVENT_US


def _times(event: Ints) -> pa.Array:
    return pa.array(_time(event)).cast(TIME)


def _up_to(bounds: Ints, random: np.random.Generator) -> Ints:
    """For each bound a number from 0 to below it."""
    drawn = random.random(len(bounds)) * bounds
    return drawn.astype(np.int64)


def _below(random: np.random.Generator, bound: int, n: int) -> Ints:
    return random.integers(0, bound, n)


def _letters(random: np.random.Generator, lengths: Ints) -> pa.Array:
    """Random strings of small letters with the given lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    text = random.integers(ord("a"), ord("z") + 1, offsets[-1], dtype=np.uint8)
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(text))


def _filler(random: np.random.Generator, room: Ints) -> pa.Array:
    """Random strings of about the given lengths, 20 % more or less; none where there is no room."""
    lengths = np.round(np.maximum(room, 0) * (0.8 + 0.4 * random.random(len(room))))
    return _letters(random, lengths.astype(np.int64))


def _card_numbers(random: np.random.Generator, n: int) -> pa.Array:
    """Four groups of four digits."""
    digits = random.integers(ord("0"), ord("9") + 1, (n, 19), dtype=np.uint8)
    digits[:, [4, 9, 14]] = ord(" ")
    offsets = np.arange(0, 19 * n + 1, 19, dtype=np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(digits)))


def _lengths(texts: pa.Array) -> Ints:
    lengths: Ints = pc.binary_length(texts).to_numpy().astype(np.int64)
    return lengths


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
