"""What a user can set in the shell: for a session with `\\set name value`, for always in the configuration file.

An option is a field of `Settings`; what it means and which values it takes stand beside it. Its value in the
configuration file is one of TOML, in the table `[shell]`; at the prompt it is a word.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headwater.engine.terminal import COLOUR_CHOICES
from headwater.errors import HeadwaterError, suggestion

FORMATS = ("table", "csv", "tsv", "json", "ndjson", "markdown", "parquet", "arrow")
AUTO = "auto"  # what fits the case
_ROWS = 40
KEYS = ("emacs", "vi")
_SWITCH = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Option:
    """What an option means, and the words that it takes with the values that these stand for.

    `takes_number` says that it also takes a whole number that is not negative, `takes_text` that it takes any text.
    """

    meaning: str
    words: dict[str, Any]
    takes_number: bool = False
    takes_text: bool = False

    def value_of(self, name: str, given: object) -> Any:
        """The value that a word, or a value of TOML, stands for. Raises HeadwaterError for one that is not taken."""
        if isinstance(given, bool):
            given = "on" if given else "off"
        if isinstance(given, str) and given.lower() in self.words:
            return self.words[given.lower()]
        if self.takes_number and not isinstance(given, float) and str(given).isdecimal():
            return int(str(given))
        if self.takes_text and isinstance(given, str):
            return given
        raise HeadwaterError(f'{name} takes {self.taken}, not "{given}"')

    @property
    def taken(self) -> str:
        """The values that it takes, for people: `on or off`."""
        said = list(self.words) + ["a number"] * self.takes_number + ["a text"] * self.takes_text
        return " or ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)

    def word_of(self, value: object) -> str:
        """What is typed for a value."""
        return next((word for word, meant in self.words.items() if meant is value or meant == value), str(value))


def _option(default: Any, option: Option) -> Any:
    return field(default=default, metadata={"option": option})


@dataclass(slots=True)
class Settings:
    """The options, as they are now. The defaults are those of the shell; scripts show all rows, and no times."""

    format: str = _option("table", Option("how rows are printed", {word: word for word in FORMATS}))
    rows: int | str | None = _option(AUTO, Option("how many rows of a table to show; auto: all in the pager, else 40",
                                                  {AUTO: AUTO, "all": None}, takes_number=True))  # fmt: skip
    expanded: bool | str = _option(False, Option("a line for each column; auto: where not all columns fit",
                                                 {**_SWITCH, AUTO: AUTO}))  # fmt: skip
    null: str = _option("NULL", Option("what a table shows for NULL", {}, takes_text=True))
    pager: str = _option(AUTO, Option("whether $PAGER, or less, shows what is longer than the screen",
                                      {AUTO: AUTO, "off": "off"}))  # fmt: skip
    keys: str = _option("emacs", Option("whose keys edit the text", {word: word for word in KEYS}))
    suggestions: bool = _option(True, Option("whether to suggest the end of a line from the history", _SWITCH))
    menu: bool = _option(True, Option("whether completions show while you type, or only at Tab", _SWITCH))
    timing: bool = _option(True, Option("whether to show how long statements take", _SWITCH))
    live: str = _option("table", Option("how a continuous query is shown whose rows can be taken back",
                                        {word: word for word in ("table", "changes")}))  # fmt: skip
    colour: str = _option("auto", Option("whether to use colours; auto: at a terminal, unless NO_COLOR is set",
                                         {word: word for word in COLOUR_CHOICES}))  # fmt: skip
    history: int = _option(10_000, Option("how many entries the history keeps from session to session", {},
                                          takes_number=True))  # fmt: skip

    @classmethod
    def of_script(cls, format: str = "table") -> Settings:
        """Those of a script, whose output may be read by a program: everything, and nothing that differs each time."""
        return cls(format=format, rows=None, timing=False, pager="off")

    @property
    def row_limit(self) -> int | None:
        """How many rows of a table to show where there is no pager; None is all."""
        return _ROWS if isinstance(self.rows, str) else self.rows

    def set(self, name: str, given: object) -> None:
        """Give an option a value. Raises HeadwaterError for an option, or a value, that there is not."""
        setattr(self, name, _option_of(name).value_of(name, given))

    def unset(self, name: str) -> None:
        """Give an option its default again."""
        _option_of(name)
        setattr(self, name, getattr(Settings(), name))

    def toml(self, name: str) -> str:
        """The value of an option as it stands in the configuration file."""
        value = getattr(self, name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if isinstance(value, int) else f'"{self.word(name)}"'

    def word(self, name: str) -> str:
        """The value of an option as it is typed."""
        return _option_of(name).word_of(getattr(self, name))


OPTIONS: dict[str, Option] = {found.name: found.metadata["option"] for found in fields(Settings)}


def _option_of(name: str) -> Option:
    if name not in OPTIONS:
        raise HeadwaterError(f"there is no option {name}", hint=suggestion(name, OPTIONS, "options"))
    return OPTIONS[name]


def config_file() -> Path:
    """Where the configuration is: `~/.config/headwater/config.toml`, or below XDG_CONFIG_HOME."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "headwater" / "config.toml"


def configured(file: Path) -> Settings:
    """The settings that a configuration file says; the defaults without one.

    Raises HeadwaterError for a file that cannot be read, is no TOML, or says something that is no option.
    """
    settings = Settings()
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return settings
    except OSError as error:
        raise HeadwaterError(f'cannot read "{file}": {error.strerror}') from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HeadwaterError(f'"{file}" is no TOML: {error}') from error
    for table, values in given.items():
        if table != "shell" or not isinstance(values, dict):
            raise HeadwaterError(f'"{file}" has "{table}"; all options are in the table [shell]')
        for name, value in values.items():
            try:
                settings.set(name, value)
            except HeadwaterError as error:
                raise HeadwaterError(f'in "{file}": {error.message}', hint=error.hint) from error
    return settings
