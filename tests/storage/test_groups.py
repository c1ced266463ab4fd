"""Consumer groups: offsets are those of the last commit, and only the current generation may commit them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import MemberFenced
from headwater.storage.groups import GroupOffsets, Groups


def groups_after(*commits: GroupOffsets) -> Groups:
    groups = Groups()
    for commit in commits:
        groups.apply(commit)
    return groups


def reloaded(groups: Groups) -> Groups:
    return Groups.from_json(json.loads(json.dumps(groups.to_json())))


def test_a_group_that_was_never_heard_of_has_read_nothing() -> None:
    groups = Groups()
    assert (groups.generation("g"), groups.offsets("g"), groups.names()) == (0, {}, ())


def test_offsets_are_those_of_the_last_commit() -> None:
    groups = groups_after(
        GroupOffsets("g", 1, {(1, 0): 5, (1, 1): 7}),
        GroupOffsets("g", 1, {(1, 0): 9, (2, 0): 1}),
    )
    assert groups.offsets("g") == {(1, 0): 9, (1, 1): 7, (2, 0): 1}


def test_offsets_may_go_backwards() -> None:
    groups = groups_after(GroupOffsets("g", 1, {(1, 0): 5}), GroupOffsets("g", 1, {(1, 0): 2}))
    assert groups.offsets("g") == {(1, 0): 2}


def test_the_next_generation_begins_with_its_first_commit_and_keeps_the_offsets() -> None:
    groups = groups_after(GroupOffsets("g", 1, {(1, 0): 5}), GroupOffsets("g", 2, {}))
    assert groups.generation("g") == 2
    assert groups.offsets("g") == {(1, 0): 5}


def test_a_consumer_of_an_older_generation_is_fenced_and_changes_nothing() -> None:
    groups = groups_after(GroupOffsets("g", 1, {(1, 0): 5}), GroupOffsets("g", 2, {}))
    late = GroupOffsets("g", 1, {(1, 0): 6})
    with pytest.raises(MemberFenced, match='"g" is in generation 2, and these offsets are of generation 1'):
        groups.check(late)
    with pytest.raises(MemberFenced):
        groups.apply(late)
    assert groups.offsets("g") == {(1, 0): 5}


def test_checking_changes_nothing() -> None:
    groups = groups_after(GroupOffsets("g", 1, {(1, 0): 5}))
    groups.check(GroupOffsets("g", 2, {(1, 0): 9}))
    assert (groups.generation("g"), groups.offsets("g")) == (1, {(1, 0): 5})


def test_groups_do_not_touch_each_other() -> None:
    groups = groups_after(GroupOffsets("h", 1, {(1, 0): 5}), GroupOffsets("g", 1, {(1, 0): 3}))
    groups.apply(GroupOffsets("h", 2, {(1, 0): 6}))
    assert (groups.generation("g"), groups.offsets("g")) == (1, {(1, 0): 3})
    assert groups.names() == ("g", "h")


def test_offsets_that_were_given_out_or_taken_in_may_be_changed_by_their_owner() -> None:
    given_offsets = {(1, 0): 5}
    groups = groups_after(GroupOffsets("g", 1, given_offsets))
    given_offsets[1, 0] = 6
    groups.offsets("g")[1, 0] = 7
    assert groups.offsets("g") == {(1, 0): 5}


def test_a_copy_goes_its_own_way() -> None:
    groups = groups_after(GroupOffsets("g", 1, {(1, 0): 5}))
    copy = groups.copy()
    copy.apply(GroupOffsets("g", 2, {(1, 0): 6}))
    copy.apply(GroupOffsets("h", 1, {}))
    assert (groups.generation("g"), groups.offsets("g"), groups.names()) == (1, {(1, 0): 5}, ("g",))
    assert (copy.generation("g"), copy.offsets("g"), copy.names()) == (2, {(1, 0): 6}, ("g", "h"))


partitions = st.tuples(st.integers(0, 2), st.integers(0, 2))
commits = st.tuples(
    st.sampled_from(["g", "ünï"]), st.integers(-2, 1), st.dictionaries(partitions, st.integers(0, 9), max_size=3)
)  # group, generation less the current one, offsets


@given(st.lists(commits, max_size=30), st.sets(st.integers(0, 30)))
def test_the_fold_is_the_same_when_it_is_reloaded_in_between(
    history: list[tuple[str, int, dict[tuple[int, int], int]]], reloads: set[int]
) -> None:
    groups = Groups()
    generations: dict[str, int] = {}
    offsets: dict[str, dict[tuple[int, int], int]] = {}
    for number, (group, ahead, wanted) in enumerate(history):
        if number in reloads:
            groups = reloaded(groups)
        commit = GroupOffsets(group, generations.get(group, 0) + ahead, wanted)
        if ahead < 0:
            with pytest.raises(MemberFenced):
                groups.apply(commit)
        else:
            groups.apply(commit)
            generations[group] = commit.generation
            offsets.setdefault(group, {}).update(wanted)
        assert groups.generation(group) == generations.get(group, 0)
        assert groups.offsets(group) == offsets.get(group, {})
    assert groups.names() == tuple(sorted(generations))
    assert reloaded(groups).to_json() == groups.to_json()
