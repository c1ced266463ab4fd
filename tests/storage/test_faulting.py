"""The harness of faults is put to the test: it must find every one of these mistakes."""

from __future__ import annotations

from contextlib import suppress

import pytest

from headwater.storage import File, commits
from headwater.storage.commits import CommitFile
from headwater.storage.files import sync_file
from headwater.storage.writer import Writer
from tests.storage.faulting import FaultFailure, enumerate_faults
from tests.storage.workloads import WORKLOADS


def sync_until_it_works(file: File) -> None:
    for _ in range(3):
        with suppress(OSError):
            sync_file(file)
            return
    sync_file(file)


def test_it_finds_that_a_failed_sync_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "sync_file", sync_until_it_works)
    with pytest.raises(FaultFailure, match="sync"):
        enumerate_faults(WORKLOADS["append"])


def test_it_finds_that_what_a_failed_sync_left_is_not_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommitFile, "forget", lambda _: None)
    with pytest.raises(FaultFailure, match="sync"):
        enumerate_faults(WORKLOADS["append"])


def test_it_finds_that_errors_of_the_system_get_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "_refusal", lambda _, error: error)
    with pytest.raises(FaultFailure):
        enumerate_faults(WORKLOADS["append"])
