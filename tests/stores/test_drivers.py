"""A driver is imported when its store is asked for, and a missing one is told in a sentence.

Each test runs a Python of its own, in which a package can be missing and nothing is imported yet.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stores
from tests.helpers.process import ROOT, environment, run

DRIVERS = ("motor", "pymongo", "redis", "sqlalchemy", "asyncpg", "asyncmy", "aiosqlite")


def outcome_of(code: str, *absent: str) -> str:
    """Run *code* where the packages *absent* are not installed; return what it prints."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", blocked + code],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.rstrip()


def sentence_of(code: str, *absent: str) -> str:
    """Return the text of the `ConfigurationError` that *code* raises without these packages."""
    return outcome_of(
        "from stores.contract import ConfigurationError\n"
        f"try: {code}\n"
        "except ConfigurationError as error: print(error)\n",
        *absent,
    )


def imported_by(code: str) -> set[str]:
    """Return the drivers that *code* imports."""
    return set(
        outcome_of(f"{code}\nprint(*({set(DRIVERS)} & set(sys.modules)), sep='\\n')").split("\n")
    ) - {""}


@pytest.mark.parametrize(
    ("code", "drivers"),
    [
        ("import stores, stores.url, app; dir(stores)", set()),
        ("import stores; stores.open_store('memory:')", set()),
        ("from stores import RedisStore", {"redis"}),
        ("from stores import MongoStore", {"pymongo"}),
        ("import stores; stores.open_store('mongodb://h')", {"pymongo", "motor"}),
        ("from stores import SQLStore", {"sqlalchemy"}),
        ("import stores; stores.open_store('sqlite:///f')", {"sqlalchemy", "aiosqlite"}),
        ("import stores; stores.open_store('postgresql://h/d')", {"sqlalchemy", "asyncpg"}),
    ],
)
def test_asking_for_a_store_imports_its_driver_only(code: str, drivers: set[str]) -> None:
    assert imported_by(code) == drivers


@pytest.mark.parametrize(
    ("code", "needed"),
    [("stores.open_store('memory:')", False), ("stores.EncryptedStore", True)],
)
def test_without_keys_nothing_is_imported_for_sealing(code: str, needed: bool) -> None:
    printed = outcome_of(f"import stores, sys; {code}; print('cryptography' in sys.modules)")
    assert printed == str(needed)


@pytest.mark.parametrize("name", stores.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert outcome_of(f"from stores import {name} as it; print(it.__name__)") == name
    assert name in dir(stores)


def test_an_unknown_name_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="cannot import name 'RadisStore' from 'stores'"):
        from stores import RadisStore  # type: ignore[attr-defined]  # noqa: F401


MISSING = [
    ("redis", "redis://h", "Redis and Valkey need the package redis: make install EXTRAS=redis"),
    ("redis", "valkey://h", "Redis and Valkey need the package redis: make install EXTRAS=redis"),
    ("motor", "mongodb://h/d", "MongoDB needs the package motor: make install"),
    ("pymongo", "mongodb://h/d", "MongoDB needs the package pymongo: make install"),
    (
        "asyncpg",
        "postgresql://h/d",
        "PostgreSQL needs the package asyncpg: make install EXTRAS=postgresql",
    ),
    ("asyncmy", "mysql://h/d", "MySQL needs the package asyncmy: make install EXTRAS=mysql"),
    ("asyncmy", "mariadb://h/d", "MariaDB needs the package asyncmy: make install EXTRAS=mysql"),
    *(
        (package, "sqlite:///f", f"SQLite needs the package {package}: make install EXTRAS=sqlite")
        for package in ("sqlalchemy", "greenlet", "aiosqlite")
    ),
]


@pytest.mark.parametrize(("package", "url", "sentence"), MISSING)
def test_a_url_without_its_driver_says_how_to_install(
    package: str, url: str, sentence: str
) -> None:
    assert sentence_of(f"import stores; stores.open_store({url!r})", package) == sentence


@pytest.mark.parametrize(
    ("package", "code", "sentence"),
    [
        ("redis", "from stores import RedisStore", MISSING[0][2]),
        ("redis", "import stores; stores.RedisStore", MISSING[0][2]),
        ("pymongo", "from stores import MongoStore", MISSING[3][2]),
        ("motor", "from stores import MongoStore; MongoStore('mongodb://h')", MISSING[2][2]),
        ("asyncpg", "from stores import SQLStore; SQLStore('postgresql://h/d')", MISSING[4][2]),
        *(
            (
                package,
                "from stores import SQLStore",
                f"SQL databases need the package {package}: "
                "make install EXTRAS=postgresql (or mysql, or sqlite)",
            )
            for package in ("sqlalchemy", "greenlet")
        ),
    ],
)
def test_a_store_without_its_driver_says_how_to_install(
    package: str, code: str, sentence: str
) -> None:
    assert sentence_of(code, package) == sentence


@pytest.mark.parametrize(
    "code",
    [
        "import stores; stores.open_store('memory:', '1:' + 'k' * 43)",
        "from stores import EncryptedStore",
    ],
)
def test_keys_without_their_driver_say_how_to_install(code: str) -> None:
    sentence = "Sealed values need the package cryptography: make install EXTRAS=encryption"
    assert sentence_of(code, "cryptography") == sentence


def test_a_defect_is_not_told_as_a_missing_driver() -> None:
    """An import that fails inside `stores` keeps its own error."""
    code = "try: from stores import RedisStore\nexcept ImportError as error: print(error.name)"
    assert outcome_of(code, "stores.redis.scripts") == "stores.redis.scripts"


@pytest.fixture
def without_redis(tmp_path: Path) -> str:
    """A PYTHONPATH with which the package redis is not installed."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['redis'] = None\n")
    return f"{tmp_path}:{environment()['PYTHONPATH']}"


def test_the_command_tells_a_missing_driver_in_one_line(without_redis: str) -> None:
    result = run("--store=redis://localhost", PYTHONPATH=without_redis)
    assert (result.returncode, result.stderr) == (2, f"main.py: {MISSING[0][2]}\n")


def test_a_configure_without_its_driver_is_one_line(without_redis: str, tmp_path: Path) -> None:
    """`configure.py` imports a store at its top, which main.py meets when it is imported."""
    own, changed = re.subn(
        "from stores import .*",
        "from stores import RedisStore",
        (ROOT / "configure.py").read_text(),
    )
    assert changed == 1
    (tmp_path / "configure.py").write_text(own)
    result = subprocess.run(
        [sys.executable, shutil.copy(ROOT / "main.py", tmp_path)],
        env=environment(PYTHONPATH=without_redis),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (2, f"main.py: {MISSING[0][2]}\n")


def test_a_url_without_its_packages_names_the_library() -> None:
    code = "import stores; stores.open_store('sqlite:///f')"
    assert "the package sqlalchemy:" in sentence_of(code, "greenlet", "aiosqlite", "sqlalchemy")
