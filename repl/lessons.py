"""The lessons of the tutorial, as data: what is said, what to type, and by what its effect is known.

`setup` is run before a lesson, so that each can be the first. A step whose statement is a query is done when what was
typed gives the same rows; another one when `check` gives the same as after the lesson's own statement.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """`text` is what the user reads, `statement` what is to be typed. `meanwhile` is written while it runs."""

    text: str
    statement: str
    check: str | None = None
    meanwhile: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """A few steps about one thing."""

    title: str
    setup: str
    steps: tuple[Step, ...]


_RIDES = "CREATE STREAM rides (city VARCHAR KEY, fare DOUBLE);"
_SOME_RIDES = "INSERT INTO rides VALUES ('Oslo', 12.0), ('Rome', 8.5), ('Oslo', 20.0);"
_BY_CITY = "CREATE TABLE by_city AS SELECT city, count(*) AS n, sum(fare) AS total FROM rides GROUP BY city;"
_METER = "CREATE STREAM meter (house VARCHAR KEY, ts TIMESTAMP, kw DOUBLE) WITH (timestamp = 'ts');"
_PER_MINUTE = (
    "CREATE TABLE per_minute AS SELECT house, WINDOWSTART AS minute, sum(kw) AS kw FROM meter "
    "WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 30 SECONDS) GROUP BY house;"
)
_METERED = "INSERT INTO meter VALUES ('A', '2026-01-01 12:00:10', 1.0), ('A', '2026-01-01 12:00:50', 2.0);"

LESSONS = (
    Lesson(
        "streams and appends",
        "",
        (
            Step(
                "A stream is a list of events that only grows. Make one for rides in taxis. KEY says which rides "
                "belong together; a statement ends with a semicolon.",
                _RIDES,
                check="SELECT city, fare FROM rides",
            ),
            Step(
                "What you append is on disk when the statement returns (here, in memory). Append three rides.",
                _SOME_RIDES,
                check="SELECT city, fare FROM rides",
            ),
            Step(
                "A plain SELECT is about now: it sees everything that was written before it.",
                "SELECT city, fare FROM rides WHERE fare > 10;",
            ),
        ),
    ),
    Lesson(
        "a table that keeps itself",
        f"{_RIDES} {_SOME_RIDES}",
        (
            Step(
                "A continuous query never ends: its table is always the answer over all rides so far. This one counts "
                "rides and adds up fares, by city.",
                _BY_CITY,
                check="SELECT city, n, total FROM by_city",
            ),
            Step("The three rides that were there already count.", "SELECT * FROM by_city;"),
            Step(
                "Append one more ride. The query takes in this row alone: it does not begin again.",
                "INSERT INTO rides VALUES ('Rome', 11.5);",
                check="SELECT city, fare FROM rides",
            ),
            Step("The table has it.", "SELECT city, total FROM by_city WHERE city = 'Rome';"),
        ),
    ),
    Lesson(
        "changes as they come",
        f"{_RIDES} {_BY_CITY} {_SOME_RIDES}",
        (
            Step(
                "EMIT CHANGES at the end of a query watches it. First come the rows there are, then what changes: "
                "while you watch, two rides are appended. Without LIMIT it would go on until Ctrl-C.",
                "SELECT * FROM rides EMIT CHANGES LIMIT 5;",
                meanwhile=(
                    "INSERT INTO rides VALUES ('Bern', 30.0);",
                    "INSERT INTO rides VALUES ('Oslo', 9.0);",
                ),
            ),
            Step(
                "What changed can be asked for later, too: every row says whether it was added (+) or removed (-), and "
                "in which version of the database.",
                "SELECT _op, city, n FROM by_city CHANGES FROM EARLIEST ORDER BY _version;",
            ),
        ),
    ),
    Lesson(
        "windows and late data",
        _METER,
        (
            Step(
                "A window cuts time into pieces. Time is what the events say (timestamp = 'ts'), not when they come. "
                "GRACE PERIOD is how long a window waits for events that are late.",
                _PER_MINUTE,
                check="SELECT house, minute, kw FROM per_minute",
            ),
            Step(
                "Two readings in the first minute.",
                _METERED,
                check="SELECT house, ts, kw FROM meter",
            ),
            Step(
                "Now one of the next minute, and one that comes late: it is of 12:00:55, and still counts.",
                "INSERT INTO meter VALUES ('A', '2026-01-01 12:01:05', 5.0), ('A', '2026-01-01 12:00:55', 4.0);",
                check="SELECT house, ts, kw FROM meter",
            ),
            Step("The first window was changed by the late reading.", "SELECT house, minute, kw FROM per_minute;"),
        ),
    ),
    Lesson(
        "joins",
        f"{_RIDES} CREATE TABLE cities (name VARCHAR PRIMARY KEY, country VARCHAR); {_SOME_RIDES}",
        (
            Step(
                "A table with a primary key holds what is so now: a row replaces that of its key. Tell it two cities.",
                "INSERT INTO cities VALUES ('Oslo', 'Norway'), ('Rome', 'Italy');",
                check="SELECT name, country FROM cities",
            ),
            Step(
                "A stream that is joined with a table meets each row as it was at that moment. The rides so far came "
                "before the cities were known: they find nothing.",
                "CREATE STREAM placed AS SELECT r.city, c.country, r.fare FROM rides r "
                "LEFT JOIN cities c ON c.name = r.city;",
                check="SELECT city, country, fare FROM placed",
            ),
            Step(
                "A ride that is appended now finds its country.",
                "INSERT INTO rides VALUES ('Oslo', 15.0);",
                check="SELECT city, fare FROM rides",
            ),
            Step("Look at both kinds.", "SELECT city, country, fare FROM placed;"),
        ),
    ),
    Lesson(
        "the past",
        f"{_RIDES} {_BY_CITY} {_SOME_RIDES} "
        "INSERT INTO rides VALUES ('Rome', 11.5); INSERT INTO rides VALUES ('Oslo', 5.0);",
        (
            Step(
                "Every commit has a version, and a query can be asked as of any of them, by version, time or offset. "
                "This is the table as it was after the first three rides.",
                "SELECT city, total FROM by_city AS OF OFFSET 3;",
            ),
            Step("Compare that with now.", "SELECT city, total FROM by_city;"),
            Step(
                "CHANGES gives what happened in between: what was removed, and what came in its place.",
                "SELECT _op, city, total FROM by_city CHANGES FROM OFFSET 3;",
            ),
        ),
    ),
    Lesson(
        "why, and what if",
        f"{_RIDES} {_BY_CITY} {_SOME_RIDES}",
        (
            Step(
                "Why is this row there? EXPLAIN ROW says which events it is made of.",
                "EXPLAIN ROW by_city WHERE city = 'Oslo';",
            ),
            Step(
                "Should a query mean something else from now on, replace it. The new one is computed from the first "
                "event on, beside the old one, and takes its place in one commit.",
                "CREATE OR REPLACE TABLE by_city AS SELECT city, count(*) AS n, sum(fare) AS total, max(fare) AS most "
                "FROM rides GROUP BY city;",
                check="SELECT city, n, total, most FROM by_city",
            ),
            Step("The column is there for all the past.", "SELECT city, most FROM by_city;"),
        ),
    ),
)
