"""The lock files say the same as pyproject.toml, and as one another."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.process import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def pins(lock: str) -> dict[str, str]:
    """Return the packages of a lock file with their versions."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def needed(requirements: list[str]) -> set[str]:
    """Return the packages that these requirements bring here, by what is installed."""
    found: set[str] = set()
    asked: set[str] = set()
    queue = [Requirement(text) for text in requirements]
    while queue:
        wanted = queue.pop()
        if str(wanted) in asked:
            continue
        asked.add(str(wanted))
        found.add(canonicalize_name(wanted.name))
        try:
            behind = requires(wanted.name) or []
        except PackageNotFoundError:  # for another Python or platform
            continue
        for requirement in map(Requirement, behind):
            extras = ["", *wanted.extras]
            if not requirement.marker or any(
                requirement.marker.evaluate({"extra": extra}) for extra in extras
            ):
                queue.append(requirement)
    return found


def test_each_extra_has_its_lock_file_and_no_other() -> None:
    files = {path.stem.removeprefix("requirements-") for path in ROOT.glob("requirements-*.txt")}
    assert files - {"dev"} == set(EXTRAS), "make lock makes them; remove what pyproject has not"


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_is_locked_with_all_it_needs(extra: str) -> None:
    base, added = pins("requirements.txt"), pins(f"requirements-{extra}.txt")
    assert not base.keys() & added.keys()
    assert needed(EXTRAS[extra]) <= base.keys() | added.keys()


@pytest.mark.parametrize("lock", ["requirements.txt", *(f"requirements-{e}.txt" for e in EXTRAS)])
def test_users_get_the_versions_that_tests_run_with(lock: str) -> None:
    assert pins(lock).items() <= pins("requirements-dev.txt").items()


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_each_package_of_a_lock_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_the_project_needs_itself_is_locked() -> None:
    assert needed(PROJECT["dependencies"]) <= pins("requirements.txt").keys()


def test_locked_versions_are_those_that_pyproject_allows() -> None:
    versions = pins("requirements-dev.txt")
    declared = [*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)]
    for requirement in map(Requirement, declared):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier


def test_a_type_checker_elsewhere_reads_our_types(tmp_path: Path) -> None:
    """A `.pth` file is how another environment sees the packages without a copy of them."""
    assert "Typing :: Typed" in PROJECT["classifiers"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    (packages,) = (tmp_path / "other").glob("lib/python*/site-packages")
    (packages / "checkout.pth").write_text(f"{ROOT}\n")
    (tmp_path / "script.py").write_text(
        "from app import Session\nfrom handlers.text import TextHandler\n"
        "from stores import MemoryStore\n\nMemoryStore(max_sessions='many')\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--python-executable", "other/bin/python", "script.py"]
    checked = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.findall(r"\[([\w-]+)\]$", checked.stdout, re.MULTILINE) == ["arg-type"]
