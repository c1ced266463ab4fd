"""Clients of a log whose process is killed and stopped at random see nothing that they should not.

HEADWATER_KILLS sets how often the process is killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kill.clients import GROUP, RESULTS, STREAMS, opened, rows_of
from tests.kill.history import History, Kind, Outcome, Poll, Progress, Row, Send, result_of

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("HEADWATER_KILLS", "25"))
SEED = 20130101

A, B, C = (0, 0), (1, 0), (2, 0)  # places


# -------------------------------------------------------------------- the checker


def send(sequence: int, outcome: Outcome, *rows: Row, version: int = 0) -> Send:
    made = outcome == "made"
    return Send(
        "car", sequence, tuple((row.place, row.value) for row in rows), outcome,
        version or sequence if made else 0, rows if made else (),
    )  # fmt: skip


def good() -> History:
    """Two commits of a producer, one without an answer, one that was refused; a reader and a consumer."""
    first = (Row(A, 0, "a1"), Row(B, 0, "b1"), Row(C, 0, "c1"))
    second = (Row(A, 1, "a2"), Row(B, 1, "b2"), Row(C, 1, "c2"))
    third = (Row(A, 2, "a3"), Row(B, 2, "b3"), Row(C, 2, "c3"))
    result = Row((3, 0), 0, result_of("a1", "1"))
    return History(
        [
            send(1, "made", *first),
            send(1, "made", *first),
            send(2, "made", *second),
            send(3, "unknown", *third),
            send(5, "refused", Row(A, 9, "never")),
        ],
        [Poll("one", first[:1]), Poll("one", second[:1]), Poll("all", first + second, whole=True)],
        [Progress("group", 3, A, 0), Progress("group", 4, A, 1)],
        [*first, *second, *third, result],
        {("group", A): 1},
    )


def kinds(history: History) -> set[Kind]:
    return {anomaly.kind for anomaly in history.check()}


def test_a_history_without_anomalies_has_none() -> None:
    assert good().check() == []


def test_a_commit_without_an_answer_may_be_missing_as_a_whole() -> None:
    history = good()
    history.final = [row for row in history.final if not row.value.endswith("3")]
    assert history.check() == []


def lose_a_write(history: History) -> None:
    history.final.remove(Row(C, 1, "c2"))


def write_twice(history: History) -> None:
    history.final.append(Row(A, 3, "a1"))


def change_an_offset(history: History) -> None:
    history.final.append(Row(A, 1, "other"))


def read_what_was_refused(history: History) -> None:
    history.polls.append(Poll("other", (Row(A, 9, "never"),)))


def read_what_never_was(history: History) -> None:
    history.final = [row for row in history.final if not row.value.endswith("3")]
    history.polls.append(Poll("other", (Row(A, 2, "a3"),)))


def skip_a_row(history: History) -> None:
    history.polls.append(Poll("other", (Row(A, 0, "a1"), Row(A, 2, "a3"))))


def read_a_row_again(history: History) -> None:
    history.polls.append(Poll("one", (Row(A, 1, "a2"),)))


def swap_two_commits(history: History) -> None:
    history.sends = [replace(send, sequence=3 - send.sequence) for send in history.sends[1:3]]


def go_back(history: History) -> None:
    history.progress.append(Progress("group", 5, A, 0))


def forget_progress(history: History) -> None:
    history.final_offsets[GROUP, A] = 0


def see_a_part(history: History) -> None:
    history.polls.append(Poll("other", (Row(A, 1, "a2"), Row(B, 1, "b2")), whole=True))


def keep_a_part(history: History) -> None:
    history.final.remove(Row(B, 2, "b3"))


def make_a_retry(history: History) -> None:
    history.sends[1] = replace(history.sends[1], version=7)


def make_nothing_of_a_row(history: History) -> None:
    history.final_offsets[GROUP, A] = 2


def make_two_of_a_row(history: History) -> None:
    history.final.append(Row((3, 0), 1, result_of("a1", "2")))


@pytest.mark.parametrize(
    "spoil, kind",
    [
        (lose_a_write, "lost write"),
        (write_twice, "duplicate"),
        (change_an_offset, "inconsistent offset"),
        (read_what_was_refused, "aborted read"),
        (read_what_never_was, "pre-committed read"),
        (skip_a_row, "poll skip"),
        (read_a_row_again, "non-monotonic poll"),
        (swap_two_commits, "non-monotonic send"),
        (go_back, "group offset going back"),
        (forget_progress, "group offset going back"),
        (see_a_part, "fractured transaction"),
        (keep_a_part, "fractured transaction"),
        (make_a_retry, "retry made twice"),
        (make_nothing_of_a_row, "lost work"),
        (make_two_of_a_row, "work done twice"),
    ],
)
def test_an_anomaly_is_found(spoil: Callable[[History], None], kind: Kind) -> None:
    history = good()
    spoil(history)
    assert kind in kinds(history)


# -------------------------------------------------------------------- real processes


class Client:
    """A process of `clients.py`, and what it has said so far."""

    def __init__(self, role: str, directory: Path, life: int) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.clients", role, directory, str(life)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        assert self._process.stdout is not None
        self._listener = threading.Thread(target=self.lines.extend, args=(self._process.stdout,))
        self._listener.start()

    def wait_for_words(self, count: int) -> None:
        """Wait until it has said so much, but not for long once it has begun."""
        begun = time.monotonic()
        patience = begun + 60
        while len(self.lines) < count and time.monotonic() < patience:
            time.sleep(0.005)
            if self.lines:
                patience = min(patience, begun + 1.5)
            else:
                begun = time.monotonic()
        assert self.lines, "it is alive"

    def stop_for(self, seconds: float) -> None:
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> list[list[Any]]:
        """End it, and give what it said. It must have lived until then, and must not have complained."""
        self._process.send_signal(signal.SIGKILL)
        self._listener.join()
        assert self._process.stderr is not None
        with self._process:
            complaint = self._process.stderr.read()
        assert (self._process.returncode, complaint) == (-signal.SIGKILL, "")
        return [json.loads(line) for line in self.lines if line.endswith("\n")]  # a kill may cut the last one


def record(history: History, said: list[list[Any]]) -> None:
    """Enter what a process said; of what was tried and has no answer the outcome is unknown."""
    trying: dict[str, Send] = {}
    for what, *words in said:
        match what, words:
            case "try", [client, sequence, values]:
                trying[client] = Send(client, sequence, tuple((tuple(p), value) for p, value in values), "unknown")
            case "made", [client, version, extents]:
                tried = trying.pop(client)
                places = [((s, p), first + number) for s, p, first, count in extents for number in range(count)]
                by_place = sorted(tried.values, key=lambda value: [(s, p) for s, p, _, _ in extents].index(value[0]))
                rows = tuple(Row(*at, value) for at, (_, value) in zip(places, by_place, strict=True))
                history.sends.append(replace(tried, outcome="made", version=version, rows=rows))
            case "refused", [client]:
                history.sends.append(replace(trying.pop(client), outcome="refused"))
            case "poll", [session, whole, rows]:
                history.polls.append(Poll(session, tuple(Row((s, p), o, v) for s, p, o, v in rows), whole))
            case "progress", [group, version, offsets]:
                history.progress += [Progress(group, version, (s, p), offset) for s, p, offset in offsets]
    history.sends += trying.values()


def conclude(history: History, directory: Path) -> None:
    """Enter what there is at the end."""
    log = opened(str(directory))
    found = rows_of((stream, chunk) for stream in (*STREAMS, RESULTS) for chunk in log.scan(stream))
    history.final = [Row((stream, partition), offset, value) for stream, partition, offset, value in found]
    history.final_offsets = {(GROUP, place): offset for place, offset in log.group_offsets(GROUP).items()}
    log.close()


def test_no_anomaly_in_what_clients_saw_while_processes_were_killed_and_stopped(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    directory = tmp_path / "shop.hw"
    opened(str(directory)).close()
    history = History()
    reader = Client("read", directory, 0)
    for life in range(KILLS):
        writer = Client("write", directory, life)
        if life % 5:
            writer.wait_for_words(chance.randint(1, 200))
        time.sleep(chance.uniform(0, 0.05) if life % 5 else chance.uniform(0, 0.5))
        if chance.random() < 0.3:
            chance.choice((writer, reader)).stop_for(chance.uniform(0, 0.2))
            time.sleep(chance.uniform(0, 0.1))
        record(history, writer.kill())
        if chance.random() < 0.2:
            record(history, reader.kill())
            reader = Client("read", directory, life + 1)
    reader.wait_for_words(1)
    record(history, reader.kill())
    conclude(history, directory)
    assert history.check() == []
    assert {send.outcome for send in history.sends} == {"made", "refused", "unknown"}
    assert history.progress and any(poll.whole and poll.rows for poll in history.polls)
