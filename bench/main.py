"""`headwater bench NAME`: picks the benchmark, which reads its own arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark that is named first; the program's exit code."""
    parser = argparse.ArgumentParser(prog="headwater bench", description="Measure Headwater on this machine.")
    parser.add_argument(
        "name",
        choices=(
            "log",
            "nexmark",
            "state",
            "past",
            "fork",
            "transactions",
            "guards",
            "pipelines",
            "ledger",
            "feedback",
            "files",
            "shell",
            "flights",
            "parse",
        ),
        help="the commit log; Nexmark's queries; state and latency; the past; forks; transactions, groups and queues; "
        "checks and assertions; instances of pipelines; appending to a ledger; loops of queries; files; the shell; "
        "the demo's queries; or the parser",
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see headwater bench NAME --help")
    options = parser.parse_args(arguments)
    return _benchmark(options.name)(options.arguments)


def _benchmark(name: str) -> Callable[[Sequence[str]], int]:
    if name == "log":
        from headwater.bench import log

        return log.main
    if name == "nexmark":
        from headwater.bench import nexmark

        return nexmark.main
    if name == "state":
        from headwater.bench import state

        return state.main
    if name == "past":
        from headwater.bench import past

        return past.main
    if name == "parse":
        from headwater.bench import parse

        return parse.main
    if name == "shell":
        from headwater.bench import shell

        return shell.main
    if name == "fork":
        from headwater.bench import fork

        return fork.main
    if name == "transactions":
        from headwater.bench import transactions

        return transactions.main
    if name == "guards":
        from headwater.bench import guards

        return guards.main
    if name == "pipelines":
        from headwater.bench import pipelines

        return pipelines.main
    if name == "ledger":
        from headwater.bench import ledger

        return ledger.main
    if name == "feedback":
        from headwater.bench import feedback

        return feedback.main
    if name == "files":
        from headwater.bench import files

        return files.main
    from headwater.bench import flights

    return flights.main
