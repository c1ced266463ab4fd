"""Idempotent producers: every commit of a producer is made once, in order, however often it is sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import (
    DuplicateSequence,
    ProducerFenced,
    Rejected,
    SequenceConflict,
    SequenceGap,
    UnknownProducer,
)
from headwater.storage.producers import WINDOW, Accepted, Producers, Stamp
from headwater.storage.records import Extent

EXTENTS = (Extent(1, 0, 10, 3), Extent(2, 1, 0, 1))


def registered(*names: str) -> Producers:
    """Producers with these registrations; the ids are 1, 2, 3 … in the order of first mention."""
    producers = Producers()
    for name in names:
        producers.register(name, *producers.next_registration(name))
    return producers


def accept(producers: Producers, sequences: range, epoch: int = 1, producer: int = 1) -> None:
    """Make commits with these numbers; each has the digest 100 × number and the version 1000 + number."""
    for sequence in sequences:
        stamp = Stamp(producer, epoch, sequence)
        assert producers.find(stamp, 100 * sequence) is None
        producers.accept(stamp, 100 * sequence, 1000 + sequence, EXTENTS)


def reloaded(producers: Producers) -> Producers:
    return Producers.from_json(json.loads(json.dumps(producers.to_json())))


def test_a_new_name_gets_a_new_id_and_the_first_epoch() -> None:
    producers = registered("loader")
    assert producers.next_registration("other") == (2, 1)


def test_a_known_name_keeps_its_id_and_gets_the_next_epoch() -> None:
    producers = registered("loader", "other", "loader")
    assert producers.next_registration("loader") == (1, 3)
    assert producers.next_registration("other") == (2, 2)


def test_asking_for_the_next_registration_changes_nothing() -> None:
    producers = Producers()
    assert producers.next_registration("loader") == producers.next_registration("loader") == (1, 1)


def test_the_first_commit_of_a_producer_is_number_one() -> None:
    producers = registered("loader")
    assert producers.last_sequence(1) == 0
    assert producers.find(Stamp(1, 1, 1), 7) is None


def test_commits_are_numbered_without_gaps() -> None:
    producers = registered("loader")
    accept(producers, range(1, 4))
    assert producers.last_sequence(1) == 3
    with pytest.raises(SequenceGap) as caught:
        producers.find(Stamp(1, 1, 6), 7)
    assert (caught.value.expected, caught.value.got) == (4, 6)
    assert '"loader"' in str(caught.value)


@pytest.mark.parametrize("sequence", [0, -1])
def test_there_are_no_numbers_below_one(sequence: int) -> None:
    with pytest.raises(SequenceGap) as caught:
        registered("loader").find(Stamp(1, 1, sequence), 7)
    assert (caught.value.expected, caught.value.got) == (1, sequence)


def test_a_commit_that_is_sent_again_gets_the_first_answer() -> None:
    producers = registered("loader")
    accept(producers, range(1, 3))
    assert producers.find(Stamp(1, 1, 1), 100) == Accepted(1, 100, 1001, EXTENTS)
    assert producers.find(Stamp(1, 1, 2), 200) == Accepted(2, 200, 1002, EXTENTS)


def test_other_content_under_a_number_that_was_used_is_refused() -> None:
    producers = registered("loader")
    accept(producers, range(1, 3))
    with pytest.raises(SequenceConflict, match="version 1001"):
        producers.find(Stamp(1, 1, 1), 999)


def test_the_last_five_commits_are_remembered_and_older_ones_are_known_to_be_made() -> None:
    producers = registered("loader")
    accept(producers, range(1, 9))
    remembered = [producers.find(Stamp(1, 1, sequence), 100 * sequence) for sequence in range(9 - WINDOW, 9)]
    assert [accepted.sequence for accepted in remembered if accepted] == [4, 5, 6, 7, 8]
    with pytest.raises(DuplicateSequence, match="do not send it again"):
        producers.find(Stamp(1, 1, 3), 300)


def test_a_producer_that_was_never_registered_is_unknown() -> None:
    with pytest.raises(UnknownProducer, match="register"):
        registered("loader").find(Stamp(2, 1, 1), 7)


def test_an_epoch_that_was_never_registered_is_unknown() -> None:
    with pytest.raises(UnknownProducer, match="the current one is 1"):
        registered("loader").find(Stamp(1, 2, 1), 7)


def test_a_younger_epoch_keeps_the_older_out_even_with_a_commit_it_made() -> None:
    producers = registered("loader")
    accept(producers, range(1, 3))
    producers.register("loader", 1, 2)
    for sequence in (2, 3):
        with pytest.raises(ProducerFenced, match="epoch 2 has taken over"):
            producers.find(Stamp(1, 1, sequence), 100 * sequence)


def test_numbers_go_on_across_epochs() -> None:
    producers = registered("loader")
    accept(producers, range(1, 4))
    producers.register("loader", 1, 2)
    assert producers.last_sequence(1) == 3
    accept(producers, range(4, 6), epoch=2)
    assert producers.last_sequence(1) == 5


def test_a_commit_whose_answer_was_missed_is_recognised_in_the_next_epoch() -> None:
    producers = registered("loader")
    accept(producers, range(1, 4))
    producers.register("loader", 1, 2)
    assert producers.find(Stamp(1, 2, 3), 300) == Accepted(3, 300, 1003, EXTENTS)
    with pytest.raises(SequenceConflict):
        producers.find(Stamp(1, 2, 3), 301)


def test_producers_do_not_touch_each_other() -> None:
    producers = registered("loader", "other")
    accept(producers, range(1, 4))
    accept(producers, range(1, 2), producer=2)
    assert (producers.last_sequence(1), producers.last_sequence(2)) == (3, 1)
    producers.register("loader", 1, 2)
    accept(producers, range(2, 3), producer=2)


def test_a_copy_goes_its_own_way() -> None:
    producers = registered("loader")
    accept(producers, range(1, 3))
    copy = producers.copy()
    accept(copy, range(3, 5))
    copy.register("other", 2, 1)
    assert producers.last_sequence(1) == 2
    assert producers.next_registration("other") == (2, 1)
    assert (copy.last_sequence(1), copy.next_registration("other")) == (4, (2, 2))


def test_nothing_is_lost_on_the_way_through_json() -> None:
    producers = registered("loader", "ünïcode \ud800", "loader")
    accept(producers, range(1, 8), epoch=2)
    assert reloaded(producers).to_json() == producers.to_json()
    assert reloaded(Producers()).to_json() == []


NAMES = ("a", "b")
registrations = st.tuples(st.just("register"), st.sampled_from(NAMES))
commits = st.tuples(
    st.just("commit"), st.integers(1, 3), st.integers(1, 3), st.integers(-1, 12), st.integers(0, 1)
)  # producer, epoch, sequence, digest
next_commits = st.tuples(st.just("next"), st.integers(1, 2), st.integers(0, 1))  # producer, digest
histories = st.lists(registrations | commits | next_commits, max_size=40)


class Reference:
    """The rules told once more, slowly: it remembers everything that ever happened."""

    def __init__(self) -> None:
        self.epochs: dict[int, int] = {}
        self.made: dict[int, list[Accepted]] = {}

    def register(self, producer: int, epoch: int) -> None:
        self.epochs[producer] = epoch
        self.made.setdefault(producer, [])

    def verdict(self, stamp: Stamp, digest: int) -> Accepted | type[Rejected] | None:
        epoch = self.epochs.get(stamp.producer, 0)
        if epoch != stamp.epoch:
            return ProducerFenced if stamp.epoch < epoch else UnknownProducer
        made = self.made[stamp.producer]
        if stamp.sequence - 1 == len(made):
            return None
        if not 0 < stamp.sequence <= len(made):
            return SequenceGap
        if stamp.sequence <= len(made) - WINDOW:
            return DuplicateSequence
        accepted = made[stamp.sequence - 1]
        return accepted if accepted.digest == digest else SequenceConflict


def verdict(producers: Producers, stamp: Stamp, digest: int) -> Accepted | type[Rejected] | None:
    try:
        return producers.find(stamp, digest)
    except Rejected as error:
        return type(error)


@given(histories, st.sets(st.integers(0, 40)))
def test_verdicts_follow_the_rules_also_when_the_fold_is_reloaded_in_between(
    history: list[tuple[str, str] | tuple[str, int, int, int, int] | tuple[str, int, int]], reloads: set[int]
) -> None:
    producers, reference = Producers(), Reference()
    for version, event in enumerate(history):
        if version in reloads:
            producers = reloaded(producers)
        match event:
            case ("register", str(name)):
                producer, epoch = producers.next_registration(name)
                assert epoch == reference.epochs.get(producer, 0) + 1
                producers.register(name, producer, epoch)
                reference.register(producer, epoch)
                continue
            case ("commit", int(producer), int(epoch), int(sequence), int(digest)):
                stamp = Stamp(producer, epoch, sequence)
            case ("next", int(producer), int(digest)) if producer in reference.epochs:
                stamp = Stamp(producer, reference.epochs[producer], len(reference.made[producer]) + 1)
            case _:
                continue
        found = verdict(producers, stamp, digest)
        assert found == reference.verdict(stamp, digest)
        if found is None:
            extents = (Extent(1, 0, version, 1),)
            producers.accept(stamp, digest, version, extents)
            reference.made[stamp.producer].append(Accepted(stamp.sequence, digest, version, extents))
    assert {producer: producers.last_sequence(producer) for producer in reference.epochs} == {
        producer: len(made) for producer, made in reference.made.items()
    }


@given(st.lists(st.sampled_from(["request lost", "answer lost", "both arrive", "restart"]), max_size=60))
def test_a_client_that_repeats_what_got_no_answer_has_each_row_once(fates: list[str]) -> None:
    producers = registered("loader")
    epoch, log, answered = 1, list[int](), 0
    for fate in fates:
        if fate == "restart":  # the answers are forgotten; the log knows how far the producer had come
            producers = reloaded(producers)
            _, epoch = producers.next_registration("loader")
            producers.register("loader", 1, epoch)
            answered = producers.last_sequence(1)
        elif fate != "request lost":
            stamp = Stamp(1, epoch, answered + 1)
            if producers.find(stamp, stamp.sequence) is None:
                log.append(stamp.sequence)
                producers.accept(stamp, stamp.sequence, len(log), EXTENTS)
            answered += fate == "both arrive"
    assert log == list(range(1, len(log) + 1))
    assert answered <= len(log) <= answered + 1
