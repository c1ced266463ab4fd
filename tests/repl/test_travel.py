"""Standing at versions: what is tracked there, and where it changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import headwater
from headwater.errors import HeadwaterError, SqlError
from headwater.repl.answers import Answers
from headwater.repl.travel import Travel, find_position, read_by, time_of, track


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("""
            CREATE TABLE accounts (owner VARCHAR PRIMARY KEY, balance BIGINT);
            CREATE STREAM notes (text VARCHAR);
            CREATE TABLE total AS SELECT sum(balance) AS total FROM accounts;
        """)
        yield opened


def put(database: headwater.Database, owner: str, balance: int) -> int:
    return database.append("accounts", [{"owner": owner, "balance": balance}]).version


def note(database: headwater.Database) -> int:
    return database.append("notes", [{"text": "x"}]).version


def traveller(database: headwater.Database, *questions: str) -> Travel:
    return Travel(tracked=[track(question, database) for question in questions])


def test_forward_goes_over_versions_that_change_nothing_tracked(database: headwater.Database) -> None:
    first = put(database, "ann", 1)
    note(database)
    put(database, "ann", 1)  # as it was
    second = put(database, "bob", 2)
    travel = traveller(database, "accounts")
    travel.stand(database, 0)
    assert travel.forward(database, 9) == [first, second]
    assert travel.forward(database, 1) == [first]
    travel.stand(database, second)
    assert travel.forward(database, 1) == []


def test_a_change_of_anything_tracked_counts(database: headwater.Database) -> None:
    versions = [put(database, "ann", 1), note(database), put(database, "ann", 2)]
    travel = traveller(database, "SELECT count(*) FROM notes", "total")
    travel.stand(database, 0)
    assert travel.forward(database, 9) == versions


def test_back_goes_to_where_the_state_before_began_and_last_to_the_beginning(database: headwater.Database) -> None:
    versions = [put(database, "ann", balance) for balance in (1, 2, 3)]
    travel = traveller(database, "accounts")
    assert travel.back(database, 1) == [versions[1]]
    assert travel.back(database, 9) == [versions[1], versions[0], 0]
    note(database)
    assert travel.back(database, 1) == [versions[1]]
    travel.stand(database, 0)
    assert travel.back(database, 1) == []


def test_a_step_forward_and_one_back_end_where_they_began(database: headwater.Database) -> None:
    for balance in range(4):
        put(database, "ann", balance)
        note(database)
    travel = traveller(database, "total")
    travel.stand(database, 0)
    on = travel.forward(database, 4)
    travel.stand(database, on[-1])
    assert travel.back(database, 4) == [*on[-2::-1], 0]


def test_who_stands_at_a_version_asks_there_until_back_in_the_present(database: headwater.Database) -> None:
    first = put(database, "ann", 1)
    put(database, "bob", 2)
    travel = Travel()
    travel.stand(database, first)
    assert database.sql("SELECT owner FROM accounts").fetchall() == [("ann",)]
    assert database.sql("SELECT total FROM total").fetchall() == [(1,)]
    travel.stand(database, None)
    assert len(database.sql("SELECT owner FROM accounts")) == 2


def test_what_is_tracked_is_a_relation_a_view_or_a_query(database: headwater.Database) -> None:
    database.execute("CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 5; DEFINE least = '3';")
    put(database, "ann", 9)
    travel = traveller(database, '"accounts"', "rich", "SELECT owner FROM accounts WHERE balance > ${least} -- so much")
    assert [tracked.name for tracked in travel.tracked][:2] == ["accounts", "rich"]
    assert [len(answer) for answer in travel.all_at(database, database.version)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("acounts", "there is no stream or table"),
        ("SELECT nothing FROM accounts", "there is no column"),
        ("SELECT * FROM accounts EMIT CHANGES", "no question about one point in time"),
        ("accounts totals", "unexpected"),
    ],
)
def test_what_cannot_be_asked_is_refused_when_it_is_to_be_tracked(
    database: headwater.Database, question: str, message: str
) -> None:
    with pytest.raises(HeadwaterError, match=message):
        track(question, database)


def test_a_position_is_a_number_a_distance_a_word_or_a_point_of_the_log(database: headwater.Database) -> None:
    versions = [put(database, "ann", balance) for balance in (1, 2, 3)]
    travel = traveller(database, "total")
    travel.stand(database, versions[1])
    assert find_position(str(versions[0]), travel, database) == versions[0]
    assert find_position("+1", travel, database) == versions[1] + 1
    assert find_position("-1", travel, database) == versions[1] - 1
    assert find_position("-999", travel, database) == 0
    assert find_position("OFFSET (accounts => 1)", travel, database) == versions[0]
    assert find_position("'1 day ago'", travel, database) == 0
    assert find_position("earliest", travel, database) == 0
    assert find_position("latest", travel, database) is find_position("NOW", travel, database) is None


@pytest.mark.parametrize("position", ["999", "+999", "yesterday", "OFFSET 999", "'soon'"])
def test_a_position_that_is_not_there_is_one_sentence(database: headwater.Database, position: str) -> None:
    with pytest.raises(HeadwaterError) as raised:
        find_position(position, traveller(database, "accounts"), database)
    assert "\n" not in raised.value.message
    assert not isinstance(raised.value, SqlError)


def test_without_anything_tracked_there_is_no_next_change(database: headwater.Database) -> None:
    with pytest.raises(HeadwaterError, match="nothing is tracked"):
        Travel().forward(database, 1)


def test_where_retention_has_taken_the_beginning_the_earliest_version_is_what_is_left() -> None:
    with headwater.connect(background=False) as database:
        database.execute("CREATE TABLE t (x BIGINT PRIMARY KEY) WITH (retention = '1 second')")
        versions = [database.append("t", [{"x": x}]).version for x in range(3)]
        database.log.retain({database.pipeline.catalog.relations["t"].id: versions[1]})
        travel = traveller(database, "t")
        assert find_position("earliest", travel, database) == versions[1]
        assert travel.back(database, 9) == [versions[1]]


def test_what_an_assertion_reads_are_its_relations_and_their_sources(database: headwater.Database) -> None:
    assert [tracked.name for tracked in read_by("SELECT * FROM total", database)] == ["total", "accounts"]


def test_times_of_versions_are_those_of_their_commits(database: headwater.Database) -> None:
    assert time_of(0, database) == "before the first commit"
    assert time_of(database.version, database).endswith(" UTC")


def test_an_answer_is_asked_once_while_there_is_room(database: headwater.Database) -> None:
    put(database, "ann", 1)
    answer = database.sql("SELECT * FROM accounts")
    asked: list[int] = []

    def ask(version: int) -> None:
        answers.get("catalog", ("accounts", version), lambda: asked.append(version) or answer)  # type: ignore[func-returns-value]

    answers = Answers(bytes_max=2 * answer.arrow().nbytes)
    for version in (1, 1, 2, 1, 3, 1, 2):
        ask(version)
    assert asked == [1, 2, 3, 2]


def test_a_view_is_what_it_was_at_each_version(database: headwater.Database) -> None:
    put(database, "ann", 9)
    database.execute("CREATE VIEW rich AS SELECT * FROM accounts WHERE balance > 5")
    travel = traveller(database, "rich")
    version = database.version
    assert len(travel.all_at(database, version)[0]) == 1
    database.execute("CREATE OR REPLACE VIEW rich AS SELECT * FROM accounts WHERE balance > 50")
    assert len(travel.all_at(database, version)[0]) == 1
    assert len(travel.all_at(database, database.version)[0]) == 0
