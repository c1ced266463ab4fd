"""What holds for the user of an open database, and is not kept: variables, settings, and how far asserts have read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from headwater.engine.records import Records
from headwater.engine.result import Result
from headwater.errors import DataError, SqlError, SyntaxProblem, UnknownName, Unsupported, suggestion
from headwater.parser import parse_point, syntax
from headwater.planner import Relation
from headwater.planner.properties import PROPERTIES, bytes_of, length_us
from headwater.storage import Log
from headwater.values import Column

AUTO_OFFSET_RESET = "auto.offset.reset"  # whether EMIT CHANGES begins with the rows there are
SUBSTITUTION = "ksql.variable.substitution.enable"

STATE_LIMIT = "state_limit"  # how much state a query may hold that does not say so itself
IDLE_TIMEOUT = "idle_timeout"  # after how long a silence the windows of a query that is watched close

AS_OF = "as_of"  # the point of the log that questions are about which do not say so themselves

# Each setting with its values, the default first.
SETTINGS = {
    AS_OF: ("latest",),  # or a point
    AUTO_OFFSET_RESET: ("earliest", "latest"),
    IDLE_TIMEOUT: ("none",),  # or a length of time
    STATE_LIMIT: ("none",),  # or a size
    SUBSTITUTION: ("true", "false"),
}

_CHANGING = (
    syntax.Ack, syntax.Alter, syntax.CommitGroup, syntax.Control, syntax.CreateFunction, syntax.CreateQueue,
    syntax.CreateRelation, syntax.CreateType, syntax.CreateView, syntax.Delete, syntax.Drop, syntax.Fetch,
    syntax.Insert, syntax.Nack, syntax.Receive, syntax.Seek, syntax.Transaction, syntax.Update,
)  # fmt: skip
_OF_THE_CATALOG = frozenset({"STREAMS", "TABLES", "VIEWS", "QUERIES", "TYPES", "FUNCTIONS"})

_NAME = re.compile(r"[A-Za-z_]\w*")  # of a variable
_PREFIX = "ksql.streams."  # ksqlDB takes the settings of what is below it with and without this


def is_about_session(statement: syntax.Statement) -> bool:
    """Whether a statement reads or changes nothing but the session: `Session.run` runs it."""
    if isinstance(statement, syntax.Show):
        return statement.what in ("VARIABLES", "PROPERTIES")
    return isinstance(statement, syntax.Define | syntax.Undefine | syntax.SetProperty | syntax.UnsetProperty)


@dataclass(slots=True)
class Session:
    """The state of one user's work. `variables` are by name in lower case, with the name as it was defined."""

    variables: dict[str, tuple[str, str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)  # in the place of the first of SETTINGS
    _settings: dict[str, str] = field(default_factory=dict)
    _asserted: dict[int, Records] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str] | None:
        """What each variable stands for, by its name in lower case; None if variables are not to be replaced."""
        if self.setting(SUBSTITUTION) == "false":
            return None
        return {name: value for name, (_, value) in self.variables.items()}

    def setting(self, name: str) -> str:
        """What a setting is now."""
        return self._settings.get(name, self.defaults.get(name, SETTINGS[name][0]))

    @property
    def state_limit(self) -> int | None:
        """How many bytes of state a query may hold that does not say so itself."""
        return bytes_of(self.setting(STATE_LIMIT))

    @property
    def idle_us(self) -> int | None:
        """After how long a silence windows of a query that is watched close, in µs; None for never."""
        return length_us(self.setting(IDLE_TIMEOUT))

    @property
    def as_of(self) -> syntax.AsOf | None:
        """The point as of which questions are asked that name none; None is the present."""
        text = self.setting(AS_OF)
        return None if text == SETTINGS[AS_OF][0] else parse_point(text)

    def stand(self, version: int | None) -> None:
        """Asks questions as of a version, or (None) of the present."""
        self._settings.pop(AS_OF, None)
        if version is not None:
            self._settings[AS_OF] = f"VERSION {version}"

    def asked(self, statement: syntax.Statement) -> syntax.Statement:
        """A statement as this session asks it: as of the point in `as_of`, where it names none itself.

        Raises SqlError for one that is not about the past: it would change something, or go on for ever.
        """
        if self.as_of is None:
            return statement
        point = replace(self.as_of, span=statement.span)
        is_version = point.kind in ("version", "timestamp", "ago")
        match statement:
            case syntax.Query(emit=None, as_of=None):
                return replace(statement, as_of=point)
            case syntax.Show(what=what, as_of=None) if is_version and what in _OF_THE_CATALOG:
                return replace(statement, as_of=point)
            case syntax.Describe(as_of=None) if is_version:
                return replace(statement, as_of=point)
            case syntax.ExplainRow(as_of=None):
                return replace(statement, as_of=point)
            case syntax.Query(emit=emit) if emit is not None:
                self._refuse("it ends there and cannot be watched", statement)
            case _ if isinstance(statement, _CHANGING):
                self._refuse("nothing can be changed there", statement)
        return statement

    def _refuse(self, why: str, statement: syntax.Statement) -> None:
        raise SqlError(
            f"this session asks about the past, as of {self.setting(AS_OF)}, and {why}", statement.span,
            hint="UNSET as_of; first",
        )  # fmt: skip

    def records(self, relation: Relation, log: Log) -> Records:
        """The records of a relation that ASSERT has not taken yet."""
        known = self._asserted.get(relation.id)
        if known is None or known.columns != relation.columns:  # ALTER may have added columns
            records = Records(relation, log)
            for _ in range(0 if known is None else known.taken):
                records.next()
                records.take()
            self._asserted[relation.id] = records
        return self._asserted[relation.id]

    def run(self, statement: syntax.Statement) -> Result:
        """Runs a statement that is about the session: DEFINE, UNDEFINE, SET, UNSET, SHOW VARIABLES or PROPERTIES."""
        match statement:
            case syntax.Define(name=name, value=value):
                return self._define(name, value)
            case syntax.Undefine(name=name):
                return self._undefine(name)
            case syntax.SetProperty():
                return self._set(statement)
            case syntax.UnsetProperty():
                return self._unset(statement)
            case syntax.Show(what="VARIABLES"):
                return _rows(("variable", "value"), sorted(self.variables.values()))
            case _:
                return _rows(("property", "value", "from"), self._properties())

    def _define(self, name: syntax.Identifier, value: str) -> Result:
        if not _NAME.fullmatch(name.text):
            raise SqlError(
                f'"{name.text}" cannot be the name of a variable', name.span,
                hint="use letters, digits and _, a digit not first",
            )  # fmt: skip
        self.variables[name.text.lower()] = (name.text, value)
        return Result.of_message(f"defined {name.text}")

    def _undefine(self, name: syntax.Identifier) -> Result:
        if self.variables.pop(name.text.lower(), None) is None:
            hint = suggestion(name.text, (name for name, _ in self.variables.values()), "variables")
            raise UnknownName(f'there is no variable "{name.text}"', name.span, hint=hint)
        return Result.of_message(f"forgot {name.text}")

    def _set(self, statement: syntax.SetProperty) -> Result:
        if statement.system:
            raise Unsupported(
                "ALTER SYSTEM is not supported: settings hold for a session", statement.span,
                hint=f"SET '{statement.name}' = '{statement.value}'",
            )  # fmt: skip
        name, value = _known(statement), statement.value.lower()
        read = {STATE_LIMIT: bytes_of, IDLE_TIMEOUT: length_us}.get(name)
        if name == AS_OF and value != SETTINGS[AS_OF][0]:
            value = _checked_point(statement)
        elif read is not None and read(value) is not None:
            value = statement.value
        elif value not in SETTINGS[name]:
            raise SqlError(f"{name} cannot be '{statement.value}'", statement.span, hint=_choice(name))
        self._settings[name] = value
        return Result.of_message(f"{name} is {value}")

    def _unset(self, statement: syntax.UnsetProperty) -> Result:
        name = _known(statement)
        self._settings.pop(name, None)
        return Result.of_message(f"{name} is {self.setting(name)}, the default")

    def _properties(self) -> list[tuple[str | None, ...]]:
        """Each property, its value, and where that comes from; those of a relation have a value for each relation."""
        settings: list[tuple[str | None, ...]] = [
            (n, self.setting(n), "SET" if n in self._settings else "default") for n in sorted(SETTINGS)
        ]
        return [*settings, *((name, None, "CREATE … WITH") for name in sorted(PROPERTIES))]


def session_with(state_limit: str | None) -> Session:
    """A session in which queries may by default hold so much state. Raises DataError for what is not a size."""
    if state_limit is None:
        return Session()
    if bytes_of(state_limit) is None:
        raise DataError(f"cannot read '{state_limit}' as a size of state", hint="give state_limit='1 GB'")
    return Session(defaults={STATE_LIMIT: state_limit})


def _known(statement: syntax.SetProperty | syntax.UnsetProperty) -> str:
    """The name of the setting that a statement names."""
    name = statement.name.lower().removeprefix(_PREFIX)
    if name in SETTINGS:
        return name
    if name in PROPERTIES:
        hint = f"write it behind a relation: CREATE … WITH ({name} = …)"
        raise SqlError(f'"{name}" is a property of a stream or table, not of a session', statement.span, hint=hint)
    nearest = suggestion(statement.name, SETTINGS, "settings")
    raise UnknownName(f'there is no setting "{statement.name}"', statement.span, hint=nearest)


def _checked_point(statement: syntax.SetProperty) -> str:
    try:
        parse_point(statement.value)
    except SyntaxProblem as error:
        raise SqlError(f"as_of cannot be '{statement.value}'", statement.span, hint=_choice(AS_OF)) from error
    return statement.value


def _choice(name: str) -> str:
    if name == AS_OF:
        return "write what stands after AS OF: 'VERSION 42', 'OFFSET 1000', '5 minutes ago'"
    if name == STATE_LIMIT:
        return "write a size, '1 GB', or 'none'"
    if name == IDLE_TIMEOUT:
        return "write a length of time, '10 seconds', or 'none'"
    return "one of " + ", ".join(f"'{value}'" for value in SETTINGS[name])


def _rows(names: tuple[str, ...], rows: Sequence[tuple[str | None, ...]]) -> Result:
    return Result.of_rows(tuple(Column(name, "VARCHAR") for name in names), list(rows), [pa.string()] * len(names))
