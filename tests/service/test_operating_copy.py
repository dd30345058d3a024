"""`main.py sessions copy`: every live session, and nothing that ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import ConfigurationError, Cookie
from app.option_sources import OptionError
from app.sessions import user_record
from stores import EncryptedStore, MovingStore, SQLStore, Store
from stores.contract import ENDED, JSON, Create, Delete, Update
from tests.helpers.operator import Operator
from tests.helpers.process import PATIENCE, ROOT, environment
from tests.helpers.records import make_record, same_record

pytestmark = pytest.mark.usefixtures("sqlite_threads_end")


@pytest.fixture
def target(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/target.db"


def in_store(store: Store, work: Callable[[Store], Any]) -> Any:
    """Return what *work* returns with the store, which is open for it."""

    async def run() -> Any:
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def all_of(store: Store) -> dict[bytes, Any]:
    """Return all that is in a store."""

    async def scan(store: Store) -> dict[bytes, Any]:
        found: dict[bytes, Any] = {}
        page = await store.scan()
        found |= page.found
        while page.after is not None:
            page = await store.scan(page.after)
            found |= page.found
        return found

    return dict(in_store(store, scan))


def test_every_live_session_is_copied_as_it_is(operator: Operator, target: str) -> None:
    full = make_record(
        data={"name": "Zoë", "cart": [{"price": 9.5}], "n": 2**53 + 1},
        user="ada",
        persistent=False,
        former_hash=b"f" * 32,
        rotated=time.time() - 3,
        authenticated=time.time() - 3,
        seen=time.time(),
    )
    expired = make_record(created=1.0, expires=time.time() + 99)  # past its lifetime
    operator.put(full, expired, *(make_record(data={"n": n}) for n in range(700)))
    operator.sign_in("ada", "bob")
    answer = operator("copy", target)
    assert (answer.status, answer.err) == (0, "")
    source = operator.make()
    (line,) = answer.lines
    assert line.startswith(f"703 sessions and 2 lists of users' sessions copied from {source.name}")
    assert f" to {target}; 0 were there already; 1 had expired; 0 had ended; 0 could not" in line
    copied, here = all_of(SQLStore(target)), all_of(source)
    assert copied.keys() == here.keys() - {expired.id}
    for id, record in copied.items():
        assert same_record(here[id], record)


def test_a_second_run_copies_what_is_missing(sqlite_operator: Operator, target: str) -> None:
    operator = sqlite_operator
    first, changed, ended = (make_record(data={"n": 1}) for _ in range(3))
    operator.put(first, changed, ended)
    assert operator("copy", target).status == 0
    later = make_record()

    async def serve(store: Store) -> None:
        await store.write([Update(changed.id, {"n": 2}), Delete(ended.id)])

    in_store(MovingStore(SQLStore(target), operator.make()), serve)
    operator.put(later)
    (line,) = operator("copy", target).lines
    assert line.startswith("1 session and 0 lists")
    assert "; 2 were there already; 0 had expired; 0 had ended" in line
    found = all_of(SQLStore(target))
    assert found.keys() == {first.id, changed.id, ended.id, later.id}
    assert found[changed.id].data == {"n": 2}
    assert found[ended.id].secret_hash == ENDED
    operator.put(ended)  # as a copier would that read it before it ended
    (line,) = operator("copy", target).lines
    assert line.startswith("0 sessions")
    assert "1 had ended" in line
    assert all_of(SQLStore(target))[ended.id].secret_hash == ENDED


def test_two_lists_of_a_users_sessions_become_one(sqlite_operator: Operator, target: str) -> None:
    """As when a process that knew the old store only signed in somebody after the list moved."""
    kept: list[tuple[int, dict[str, JSON]]] = [
        (50, {"a": 1, "!f": 1, "c": "new"}),
        (90, {"b": 1, "!g": 1, "c": "old"}),
    ]
    there, here = (
        user_record.blank("ada", time.time(), time.time() + lives)._replace(data=data)
        for lives, data in kept
    )
    in_store(SQLStore(target), lambda store: store.write([Create(there)]))
    sqlite_operator.put(here)
    for copied in (1, 0):
        (line,) = sqlite_operator("copy", target).lines
        assert line.startswith(f"0 sessions and {copied} list")
    found = all_of(SQLStore(target))[here.id]
    assert found.data == {"a": 1, "b": 1, "!f": 1, "!g": 1, "c": "new"}
    assert found.expires == here.expires


def test_the_store_that_moves_says_where_to(sqlite_operator: Operator, target: str) -> None:
    operator, make = sqlite_operator, sqlite_operator.make
    operator.put(make_record(), make_record())
    operator.make = lambda: MovingStore(SQLStore(target), make())
    assert operator("copy").out.startswith("2 sessions and")
    assert "; 2 were there already" in operator("copy", target).out
    with pytest.raises(OptionError, match="the service moves its sessions to sqlite:"):
        operator("copy", "sqlite:////other.db")


def test_sealed_values_are_copied_as_they_are(sqlite_operator: Operator, target: str) -> None:
    operator, make, keys = sqlite_operator, sqlite_operator.make, {1: os.urandom(32)}
    record = make_record(data={"name": "Zoë"}, user="ada")
    operator.make = lambda: EncryptedStore(make(), keys)
    operator.put(record)
    assert operator("copy", target).status == 0
    (kept,) = all_of(SQLStore(target)).values()
    assert "Zoë" not in str(kept.data)
    assert same_record(record, all_of(EncryptedStore(SQLStore(target), keys))[record.id])


def test_values_are_sealed_by_a_move(sqlite_operator: Operator, target: str) -> None:
    operator, make, keys = sqlite_operator, sqlite_operator.make, {1: os.urandom(32)}
    record = make_record(data={"name": "Zoë"})
    operator.put(record)
    operator.make = lambda: MovingStore(EncryptedStore(SQLStore(target), keys), make())
    assert operator("copy", target).status == 0
    (kept,) = all_of(SQLStore(target)).values()
    assert "Zoë" not in str(kept.data)
    assert same_record(record, all_of(EncryptedStore(SQLStore(target), keys))[record.id])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "write sessions copy URL"),
        (["a", "b"], "too many words: write sessions copy"),
        (["nonsense://x"], "the store's URL must begin with"),
    ],
)
def test_where_it_cannot_copy_to_is_told(
    sqlite_operator: Operator, words: list[str], text: str
) -> None:
    with pytest.raises((OptionError, ConfigurationError), match=text):
        sqlite_operator("copy", *words)


def test_a_store_in_this_process_is_no_target(sqlite_operator: Operator) -> None:
    answer = sqlite_operator("copy", "memory:")
    assert (answer.status, answer.out) == (2, "")
    assert "memory keeps sessions in one process" in answer.err


def test_one_store_of_several_is_named(sqlite_operator: Operator, target: str) -> None:
    operator = sqlite_operator
    operator.cookies = (Cookie("shop"), Cookie("admin"))
    operator.put(make_record())
    with pytest.raises(OptionError, match="several stores: write --cookie, one of shop, admin"):
        operator("copy", target)
    assert operator("copy", target, "--cookie=shop").out.startswith("1 session and")
    operator.one_store = True
    assert "; 1 were there already" in operator("copy", target).out


# As a process


def test_ctrl_c_leaves_a_state_from_which_it_goes_on(
    sqlite_operator: Operator, target: str
) -> None:
    operator = sqlite_operator
    operator.put(*(make_record(data={"n": n}) for n in range(3000)))
    command = [sys.executable, str(ROOT / "main.py"), f"--store={operator.make().name}"]
    command += ["sessions", "copy", target]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    with process:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            if Path(target.removeprefix("sqlite:///")).exists() and len(all_of(SQLStore(target))):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    if process.returncode:  # else it was done before
        assert process.returncode == 130
        assert re.search(r"stopped: .*; the same command copies the rest", err)
    (line,) = operator("copy", target).lines
    copied, there = re.search(r"^(\d+) sessions .*; (\d+) were there", line).groups()  # type: ignore[union-attr]
    assert int(copied) + int(there) == len(all_of(SQLStore(target))) == 3000
