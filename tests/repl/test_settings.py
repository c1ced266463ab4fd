"""Options of the shell: what they take, and the file that sets them for always."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import HeadwaterError
from headwater.repl.settings import OPTIONS, Settings, configured


def test_an_option_is_set_by_a_word_and_told_as_one() -> None:
    settings = Settings()
    for name, word in (("rows", "7"), ("rows", "all"), ("timing", "off"), ("format", "csv")):
        settings.set(name, word)
        assert settings.word(name) == word
    assert (settings.rows, settings.timing, settings.format) == (None, False, "csv")


@pytest.mark.parametrize("name", OPTIONS)
def test_the_default_of_every_option_is_one_of_its_values(name: str) -> None:
    before = Settings()
    after = Settings()
    after.set(name, before.word(name))
    assert after == before


def test_a_script_shows_everything_and_no_times() -> None:
    settings = Settings.of_script("ndjson")
    assert (settings.format, settings.rows, settings.timing) == ("ndjson", None, False)


def test_the_configuration_file_sets_options(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    assert configured(file) == Settings()
    file.write_text('[shell]\nrows = 5\ntiming = false\nformat = "json"\n')
    assert configured(file) == Settings(format="json", rows=5, timing=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shell]\nrowz = 5", "there is no option rowz"),
        ("[shell]\nrows = -5", 'rows takes auto, all or a number, not "-5"'),
        ("[shell]\nrows = 1.5", 'rows takes auto, all or a number, not "1.5"'),
        ('[shell]\ntiming = "maybe"', 'timing takes on or off, not "maybe"'),
        ("[editor]\nkeys = 'vi'", "all options are in the table [shell]"),
        ("rows", "is no TOML"),
    ],
)
def test_what_is_wrong_in_the_configuration_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(HeadwaterError) as raised:
        configured(file)
    assert message in str(raised.value)
    assert "config.toml" in str(raised.value)


def test_a_misspelt_option_is_corrected() -> None:
    with pytest.raises(HeadwaterError, match='did you mean "timing"'):
        Settings().set("timings", "on")
