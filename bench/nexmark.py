"""What Nexmark's queries cost, kept up to date continuously.

    headwater bench nexmark --events 1000000 --queries q0,q4

Events are generated and appended to a database first. Then each query, in a process of its own, reads the log in steps
and keeps its result up to date; the changes are thrown away, as the peers' were. That is timed, and nothing else. In
the same run DuckDB computes each answer once from scratch, with one thread and with two, from tables of its own: the
limit of what these cores can do, and the rows that must come out. Trust CPU seconds more than events/s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from headwater.bench import nexmark_clink
from headwater.bench.machine import Machine
from headwater.bench.nexmark_peers import RECORDED
from headwater.bench.nexmark_profile import profile
from headwater.bench.nexmark_queries import QUERIES
from headwater.bench.nexmark_table import HEADER, Row
from headwater.bench.nexmark_worker import Outcome, from_scratch, keep, keep_up, load
from headwater.bench.process import in_new_process
from headwater.engine.database import connect
from headwater.errors import HeadwaterError
from headwater.repl.nexmark_data import Events

_LEGEND = f"""
* recorded on {RECORDED} on a machine of this kind, not now. kept: as a table, with the commits of its changelog.
  all: resident memory, with the program and the pages of the log that are read; own: memory of the process alone.
"""


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the figures; the program's exit code: 1 if a result is not DuckDB's."""
    options = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        raise HeadwaterError("this benchmark reads /proc: run it on Linux")
    try:
        with tempfile.TemporaryDirectory(dir=options.directory, prefix="headwater-bench-") as scratch:
            return _run(options, Path(scratch))
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error


def _run(options: argparse.Namespace, scratch: Path) -> int:
    print(Machine.of(scratch))
    path = str(scratch / "events.hw")
    with connect(path, background=False) as database:
        ends = load(database, Events(options.events, options.seed), options.step, options.partitions)
    if options.profile is not None:
        print(profile(path, options.profile, ends))
        return 0
    print(f"{options.events:,} events of seed {options.seed} in {len(ends):,} steps of {options.step:,}\n")
    print(HEADER, flush=True)
    answers = in_new_process(from_scratch, options.queries, options.events, options.seed)
    rows = []
    for query in options.queries:
        ours = in_new_process(keep_up, path, query, ends)
        kept: Outcome | None = None
        if options.kept:
            new = str(scratch / f"{query}.hw")
            kept = in_new_process(keep, new, query, options.events, options.seed, options.step, options.partitions)
        rows.append(Row(query, options.events, ours, kept, *answers[query]))
        print(rows[-1], flush=True)
    if options.with_peers:
        _compare(rows, options, scratch)
    _finish(rows, options.json, scratch)
    return 0 if all(row.is_right for row in rows) else 1


def _compare(rows: Sequence[Row], options: argparse.Namespace, scratch: Path) -> None:
    """Run the peers that are installed, over the same events, and say how they compare."""
    compared = [row for row in rows if nexmark_clink.runs(row.query)]
    print("\npeers in this run, CPU seconds per million events")
    if not compared:
        print("  none: clink is not installed (pip install pyclink), or none of these queries is compared with it")
        return
    bids = str(scratch / "bids.parquet")
    nexmark_clink.write_bids(bids, Events(options.events, options.seed), options.step)
    for row in compared:
        theirs, ours = in_new_process(nexmark_clink.measure, bids, row.query), row.ours
        note = "" if theirs.content.rows == ours.content.rows else f", but gives {theirs.content.rows:,} rows"
        cost = theirs.spent.cpu_seconds / options.events * 1e6
        times = theirs.spent.cpu_seconds / ours.spent.cpu_seconds
        print(f"  {row.query:<4} clink {cost:.3f}, {times:.2f} times as much as Headwater{note}", flush=True)


def _finish(rows: Sequence[Row], file: str | None, scratch: Path) -> None:
    """Say which goals are met, and which results are wrong."""
    print(_LEGEND)
    for name, goals in (("CPU", [row.cpu_goal for row in rows]), ("memory", [row.memory_goal for row in rows])):
        present = [goal for goal in goals if goal.goal is not None]
        print(f"{sum(bool(goal.met) for goal in present)} of {len(present)} goals of {name} met")
    wrong = [row.query for row in rows if not row.is_right]
    if wrong:
        print(f"WRONG: the rows of {', '.join(wrong)} are not those that DuckDB gives")
    else:
        print(f"all {len(rows)} results are those of DuckDB")
    if file is not None:
        document = {"machine": asdict(Machine.of(scratch)), "queries": [row.document() for row in rows]}
        Path(file).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench nexmark", description="Measure Nexmark's queries, kept up to date continuously."
    )
    parser.add_argument("--events", type=_count, default=1_000_000, help="how many to generate (default: 1000000)")
    parser.add_argument("--step", type=_count, default=100_000, help="events in a step (default: 100000)")
    parser.add_argument("--queries", type=_queries, default=list(QUERIES), help="which, as in q0,q4 (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (default: 1)")
    parser.add_argument("--partitions", type=_count, default=1, help="of each stream (default: 1)")
    parser.add_argument(
        "--kept", action="store_true", help="also measure a query kept as a table, durably (own process)"
    )
    parser.add_argument("--with-peers", action="store_true", help="also run peers that are installed beside it: clink")
    parser.add_argument("--profile", type=_query, metavar="QUERY", help="show where the time of one query goes instead")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    parser.add_argument(
        "--directory", metavar="DIR", help="where to put the database of events (default: for temporary files)"
    )
    return parser


def _queries(text: str) -> list[str]:
    return [_query(name) for name in text.split(",")]


def _query(text: str) -> str:
    name = text.strip().lower()
    if name not in QUERIES:
        raise argparse.ArgumentTypeError(f'"{text}" is not a query: they are q0 to q{len(QUERIES) - 1}')
    return name


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of things: write one from 1 on')
    return int(text)
