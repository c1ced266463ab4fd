"""What is installed is what is in the tree: package list, folder mapping, links, data files and pins agree."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
NOT_SHIPPED = {"tests"}


def folders_with_code() -> set[str]:
    """The top-level folders that are Python packages and meant for users."""
    return {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_SHIPPED


def import_name(folder: str) -> str:
    return folder if folder == "headwater" else f"headwater.{folder}"


def test_every_folder_with_code_is_a_listed_package() -> None:
    assert {import_name(folder) for folder in folders_with_code()} == set(SETUPTOOLS["packages"])


def test_every_listed_package_is_mapped_to_its_folder() -> None:
    assert SETUPTOOLS["package-dir"] == {import_name(folder): folder for folder in folders_with_code()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a source distribution holds no links")
def test_every_subpackage_is_linked_below_headwater() -> None:
    links = {path.name: str(path.readlink()) for path in (ROOT / "headwater").iterdir() if path.is_symlink()}
    assert links == {folder: f"../{folder}" for folder in folders_with_code() - {"headwater"}}


def test_packages_are_flat() -> None:
    """A nested package would import from the checkout and be missing from the wheel. Programs of examples are data."""
    nested = {
        str(path.relative_to(ROOT))
        for folder in folders_with_code() - {"examples"}
        for path in (ROOT / folder).glob("*/*.py")
        if not path.parent.is_symlink()
    }
    assert nested == set()


@pytest.mark.parametrize("folder", sorted(folders_with_code()))
def test_every_data_file_of_a_package_is_shipped(folder: str) -> None:
    patterns = SETUPTOOLS["package-data"].get(import_name(folder), [])
    data = {path.name for path in (ROOT / folder).iterdir() if path.is_file() and path.suffix != ".py"}
    assert {name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)} == set()


def test_every_file_of_an_example_is_shipped() -> None:
    patterns = SETUPTOOLS["package-data"]["headwater.examples"]
    files = {str(path.relative_to(ROOT / "examples")) for path in (ROOT / "examples").glob("[!_]*/*") if path.is_file()}
    assert {name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)} == set()


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    declared = [*PROJECT["project"]["dependencies"], *sum(PROJECT["project"]["optional-dependencies"].values(), [])]
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), str(requirement)
