"""`headwater bench nexmark`: its events are those of the standard generator, and every result is DuckDB's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headwater.bench.content import Content
from headwater.bench.nexmark_peers import BEST, TIMES_BETTER, cpu_goal
from headwater.bench.nexmark_queries import QUERIES, continuous, for_duckdb
from headwater.bench.nexmark_table import Row
from headwater.bench.nexmark_worker import Outcome, from_scratch, keep, keep_up, load
from headwater.bench.spent import Spent
from headwater.engine.database import connect
from headwater.repl.nexmark_data import BLOCK, FIRST_ID, SCHEMAS, START_US, Events

ROOT = Path(__file__).resolve().parents[2]
COUNT = 20_000


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return Events(COUNT).tables()


# ---------------------------------------------------------------- the events


def digest(tables: dict[str, pa.Table]) -> str:
    return hashlib.sha256(repr([tables[name].slice(0, 20).to_pylist() for name in SCHEMAS]).encode()).hexdigest()[:16]


def test_the_same_seed_gives_the_same_events_everywhere() -> None:
    assert [digest(Events(1000, seed).tables()) for seed in (1, 2)] == ["335aa8d373804283", "f1456edddc73d99a"]


@pytest.mark.parametrize("size", [1, 49, 3_333, BLOCK, 10**9])
def test_the_events_do_not_depend_on_how_they_are_cut(size: int) -> None:
    count = 200 if size < 50 else BLOCK + 123
    whole = Events(count).tables()
    chunks = list(Events(count).chunks(size))
    assert [sum(map(len, chunk.values())) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    for name in SCHEMAS:
        assert pa.concat_tables([chunk[name] for chunk in chunks]).equals(whole[name])


def test_of_fifty_events_one_is_a_person_three_are_auctions_and_the_rest_are_bids(tables: dict[str, pa.Table]) -> None:
    assert {name: len(table) for name, table in tables.items()} == {"person": 400, "auction": 1_200, "bid": 18_400}
    times = pa.concat_arrays([c for t in tables.values() for c in t["date_time"].cast(pa.int64()).chunks])
    assert sorted(times.to_pylist()) == [START_US + 100 * number for number in range(COUNT)]


def test_ids_are_counted_from_the_first_one(tables: dict[str, pa.Table]) -> None:
    for name in ("person", "auction"):
        assert tables[name]["id"].to_pylist() == list(range(FIRST_ID, FIRST_ID + len(tables[name])))


def test_hot_auctions_bidders_sellers_and_channels_get_their_share(tables: dict[str, pa.Table]) -> None:
    bids, auctions = tables["bid"], tables["auction"]
    hot = pc.is_in(bids["channel"], pa.array(["Google", "Facebook", "Baidu", "Apple"]))
    shares = [
        (share(pc.equal(rest_of(bids["auction"]), 0)), 0.5),
        (share(pc.equal(rest_of(bids["bidder"]), 1)), 0.75),
        (share(pc.equal(rest_of(auctions["seller"]), 0)), 0.75),
        (share(hot), 0.5),
        (share(pc.match_substring(bids["url"].filter(pc.invert(hot)), "channel_id=")), 0.9),
    ]
    assert all(expected - 0.03 < found < expected + 0.03 for found, expected in shares), shares


def rest_of(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """`id % 100`."""
    return pc.subtract(ids, pc.multiply(pc.divide(ids, 100), 100))


def share(flags: pa.ChunkedArray) -> float:
    return float(pc.mean(flags.cast(pa.int8())).as_py())


def test_prices_lifetimes_and_sizes_have_the_standard_ranges(tables: dict[str, pa.Table]) -> None:
    prices = tables["bid"]["price"].to_numpy()
    assert prices.min() >= 100 and prices.max() <= 100_000_000
    assert 5 * 10**4 < float(pc.approximate_median(tables["bid"]["price"]).as_py()) < 2 * 10**5
    auctions = tables["auction"]
    lives = pc.subtract(auctions["expires"].cast(pa.int64()), auctions["date_time"].cast(pa.int64())).to_numpy()
    assert lives.min() >= 1_000 and lives.max() <= 334_000
    assert pc.max(auctions["category"]).as_py() == 14 and pc.min(auctions["category"]).as_py() == 10
    extra = pc.binary_length(tables["bid"]["extra"]).to_numpy()
    assert extra.min() >= 54 and extra.max() <= 82


def test_most_bids_are_on_auctions_that_are_there_and_a_few_on_those_to_come(tables: dict[str, pa.Table]) -> None:
    late = pc.greater(tables["bid"]["auction"], FIRST_ID + 1_200 - 1)
    assert 0 < share(late) < 0.05


# ---------------------------------------------------------------- contents


def test_a_content_does_not_depend_on_the_order_of_rows_nor_on_the_width_of_numbers() -> None:
    one = pa.table({"a": pa.array([1, 2, None], pa.int32()), "b": ["x", None, "z"]})
    other = pa.table({"n": pa.array([None, 2, 1], pa.decimal128(38, 0)), "m": ["z", None, "x"]})
    assert Content.of(one) == Content.of(other)


def test_a_content_counts_how_often_a_row_is_there() -> None:
    rows = pa.table({"a": [1, 2]})
    assert Content.of(pa.concat_tables([rows, rows])) != Content.of(rows)
    assert Content.of(pa.table({"a": [1, 3]})) != Content.of(rows)


def test_a_content_of_floating_point_numbers_ignores_the_last_digits() -> None:
    assert Content.of(pa.table({"a": [0.1 + 0.2, None, 0.0]})) == Content.of(pa.table({"a": [0.3, None, -0.0]}))
    assert Content.of(pa.table({"a": [0.3001]})) != Content.of(pa.table({"a": [0.3]}))


# ---------------------------------------------------------------- the queries


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[int]]:
    path = str(tmp_path_factory.mktemp("nexmark") / "events.hw")
    with connect(path, background=False) as database:
        return path, load(database, Events(COUNT), 7_000, partitions=2)


@pytest.fixture(scope="module")
def answers() -> dict[str, Content]:
    return {query: outcomes[0].content for query, outcomes in from_scratch(QUERIES, COUNT, seed=1).items()}


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_measured_gives_duckdbs_rows(
    query: str, loaded: tuple[str, list[int]], answers: dict[str, Content]
) -> None:
    path, ends = loaded
    assert len(ends) == 3
    content = keep_up(path, query, ends).content
    assert content.rows > 0 and content == answers[query]


@pytest.mark.parametrize("query", ["q0", "q3", "q4"])
def test_what_is_kept_gives_duckdbs_rows(query: str, tmp_path: Path, answers: dict[str, Content]) -> None:
    kept = keep(str(tmp_path / "kept.hw"), query, COUNT, seed=1, step=7_000, partitions=1)
    assert kept.content == answers[query]


def test_each_query_has_a_text_for_each_engine() -> None:
    for query in QUERIES:
        assert continuous(query).count("SELECT") and for_duckdb(query).count("SELECT")
        assert "WINDOW " not in for_duckdb(query)


def test_each_query_that_a_peer_ran_has_a_goal() -> None:
    assert BEST.keys() == TIMES_BETTER.keys()
    assert cpu_goal("q4") == pytest.approx(0.332) and cpu_goal("q13") is None


def test_other_rows_than_duckdbs_are_wrong() -> None:
    right, wrong = Outcome(Spent(), Content(1, 7)), Outcome(Spent(), Content(1, 8))
    assert Row("q1", 1, right, None, right, right).is_right
    assert Row("q1", 1, right, right, right, right).is_right
    for ours, kept, two_threads in ((wrong, None, right), (right, wrong, right), (right, None, wrong)):
        assert not Row("q1", 1, ours, kept, right, two_threads).is_right


# ---------------------------------------------------------------- the command


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headwater", "bench", "nexmark", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_figure_is_printed_and_written_as_json_and_no_file_stays(tmp_path: Path) -> None:
    scratch, written = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    small = ("--events", "2000", "--step", "500", "--queries", "q1,q13", "--kept")
    done = bench(*small, "--directory", str(scratch), "--json", str(written))
    assert (done.returncode, done.stderr, list(scratch.iterdir())) == (0, "", [])
    assert "all 2 results are those of DuckDB" in done.stdout
    document = json.loads(written.read_text())
    assert [query["query"] for query in document["queries"]] == ["q1", "q13"]
    assert all(query["is_right"] and query["kept"]["spent"]["cpu_seconds"] > 0 for query in document["queries"])


def test_where_no_peer_can_run_the_comparison_says_so() -> None:
    done = bench("--events", "2000", "--queries", "q4", "--with-peers")
    assert done.returncode == 0 and "none: clink is not installed (pip install pyclink)" in done.stdout


def test_a_profile_shows_operators_and_functions() -> None:
    done = bench("--events", "2000", "--profile", "q4")
    assert done.returncode == 0, done.stderr
    assert "Join inner ON a.id = b.auction" in done.stdout and "ncalls" in done.stdout


@pytest.mark.parametrize("arguments", [("--queries", "q23"), ("--events", "0"), ("--profile", "x")])
def test_wrong_arguments_are_refused(arguments: tuple[str, str]) -> None:
    done = bench(*arguments)
    assert done.returncode == 2 and arguments[1] in done.stderr
