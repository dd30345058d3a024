"""A service whose keys come from a file or the environment, and what it says of bad ones."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.process import Start, run, starting, until

OLD, NEW = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    yield from starting(tmp_path)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"1:{OLD}\n")
    return file


def test_keys_from_a_file_seal_and_are_replaced(start: Start, tmp_path: Path, keys: Path) -> None:
    """A value outlives a new key, and is 503 without its own."""
    store = f"--store=sqlite:///{tmp_path}/s.db"
    service = start("--port=0", store, SESSION_KEYS_FILE=str(keys))
    assert "s.db (sealed)" in service.log.read_text()
    cookie = service.get("/sessions/set/Lovelace").cookie
    found = b"".join(file.read_bytes() for file in tmp_path.glob("s.db*"))
    assert b"sealed:0001:" in found
    assert b"Lovelace" not in found
    keys.write_text(f"2:{NEW}\n1:{OLD}  # until all is sealed anew\n")
    service = start("--port=0", store, SESSION_KEYS_FILE=str(keys))
    assert service.get("/sessions/get", cookie).body == "Lovelace"
    command = run("sessions", "reseal", store, SESSION_KEYS_FILE=str(keys))
    assert (command.returncode, command.stderr) == (0, "")
    assert command.stdout.startswith("1 of 1 record sealed anew with key 2, ")
    alone = start("--port=0", store, SESSION_KEYS=f"2:{NEW}")
    assert alone.get("/sessions/get", cookie).body == "Lovelace"
    plain = start("--port=0", store)
    sentence = "handlers are shown the sealed text"
    until(lambda: sentence in plain.log.read_text(), sentence)
    former = start("--port=0", store, SESSION_KEYS=f"1:{OLD}")
    assert former.get("/sessions/get", cookie).status == 503
    log = former.log.read_text()
    assert "a value is sealed with key 2, which is not there" in log
    assert not any(secret in log for secret in (OLD, NEW, "Lovelace"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f"1:{OLD}\n{NEW}\n", "line 2 of the keys is not NUMBER:KEY"),
        (f"1:{OLD[:20]}", "key 1 is 15 bytes long: give 32 random bytes"),
        (f"1:{OLD}\n2:{OLD}\n", "the keys 1 and 2 are the same"),
        ("# nothing\n", "the keys are an empty list"),
    ],
)
def test_a_bad_file_is_one_line_without_its_content(
    keys: Path, content: str, sentence: str
) -> None:
    keys.write_text(content)
    result = run(SESSION_KEYS_FILE=str(keys))
    assert result.returncode == 2
    assert result.stderr.startswith(f"main.py: {sentence}")
    assert result.stderr.endswith(f"--session-keys from SESSION_KEYS_FILE ({keys}))\n")
    assert result.stderr.count("\n") == 1
    assert OLD[:12] not in result.stderr
    assert NEW[:12] not in result.stderr


def test_options_do_not_show_keys(keys: Path) -> None:
    for arguments, variables in (
        ([], {"SESSION_KEYS_FILE": str(keys)}),
        ([], {"SESSION_KEYS": f"1:{OLD}"}),
        ([f"--session-keys=1:{OLD}"], {}),
    ):
        result = run(*arguments, "options", **variables)
        assert result.returncode == 0
        assert "--session-keys" in result.stdout
        assert OLD[:12] not in result.stdout + result.stderr
