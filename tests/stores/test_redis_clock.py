"""Clocks that differ from Valkey's, and writes that reach it late."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from app.sessions.errors import SessionUnavailable
from app.sessions.gateway import Gateway
from stores import StoreUnavailable
from stores.contract import Change, Create, Delete, Outcome, Update
from stores.redis import RedisStore, server_clock
from tests.helpers.database_servers import Valkey
from tests.helpers.opened import while_open
from tests.helpers.process import ROOT, environment, until
from tests.helpers.records import load_record, make_record, make_rotation
from tests.helpers.relay import Relay

DONE, MISSING = Outcome.DONE, Outcome.MISSING


def opened(url: str, timeout: float = 2.0) -> AbstractAsyncContextManager[RedisStore]:
    return while_open(RedisStore(url, timeout=timeout))


@pytest.fixture
def be_behind(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let this machine's clock be so many seconds behind the server's."""

    def be_behind(seconds: float) -> None:
        clock = SimpleNamespace(time=lambda: time.time() - seconds)
        monkeypatch.setattr(server_clock, "time", clock)

    return be_behind


@pytest.mark.gen_test
@pytest.mark.parametrize(("seconds", "words"), [(7200, "ahead of"), (-7200, "behind")])
async def test_clocks_that_differ_are_warned_of_once(
    valkey: Any,
    be_behind: Callable[[float], None],
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    words: str,
) -> None:
    async with opened(valkey.url):
        assert caplog.messages == []
    be_behind(seconds)
    async with opened(valkey.url) as store:
        await store.open()
    (message,) = caplog.messages
    assert message.startswith(f"store {valkey.url}: the server's clock is 7200.")
    assert f" s {words} this machine's" in message
    assert "NTP" in message


@pytest.mark.gen_test
async def test_nodes_whose_clocks_differ_are_warned_of_once(
    valkey_cluster: Any, be_behind: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    be_behind(5)
    async with opened(valkey_cluster.url):
        assert len(caplog.messages) == 1


@pytest.mark.gen_test
async def test_a_session_of_a_slow_process_lives(
    valkey: Any, be_behind: Callable[[float], None]
) -> None:
    """What expires in the server's past and in our future is kept, extended and created."""
    be_behind(7200)
    now = time.time() - 7200
    record = make_record(created=now, expires=now + 600)
    other = make_record(created=now, expires=now + 600)
    async with opened(valkey.url) as store:
        assert await store.write([Create(record)]) == [DONE]
        for n in (1, 2):
            update = Update(record.id, {"n": n}, expires=now + 600 + n)
            assert await store.write([update]) == [DONE]
        assert await store.write([Update(other.id, or_create=other)]) == [DONE]
        found = await load_record(store, record.id)
        assert (found.expires, found.data) == (now + 602, {"n": 2})
        key, other_key = store._key(record.id), store._key(other.id)
        for each in (key, other_key):
            assert 590 < valkey.admin("TTL", each) < 610
    be_behind(0)
    async with opened(valkey.url) as store:  # a process whose clock is right shortens nothing
        assert await store.write([Update(record.id, expires=now + 700)]) == [DONE]
        assert 590 < valkey.admin("TTL", key) < 610


@pytest.mark.gen_test(timeout=30)
async def test_a_late_write_does_not_overwrite_a_later_one(valkey: Valkey) -> None:
    """A write that was given up and reaches the server later changes nothing."""
    record, absent = make_record(data={"n": 0, "old": 0}), make_record()
    relay = Relay(valkey.port)
    relay.switch_on()
    async with (
        opened(f"redis://127.0.0.1:{relay.port}", timeout=0.3) as slow,
        opened(valkey.url) as store,
    ):
        await store.write([Create(record)])
        late = (
            Update(record.id, {"n": 1}),
            Update(record.id, unset=["old"]),
            Update(record.id, {"n": 1}, rotation=make_rotation(record)),
            Update(record.id, {"n": 1}, or_create=record),
            Update(absent.id, or_create=absent),
        )
        # Each needs a connection that is there already, to be on its way when it is given up.
        await asyncio.gather(*(slow.load([record.id]) for _ in late))
        relay.hold_requests()
        answers = await asyncio.gather(*(slow.write([u]) for u in late), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        assert await store.write([Update(record.id, {"n": 2})]) == [DONE]
        expected = await load_record(store, record.id)
        before = scripts_run(valkey)
        relay.release()
        await asyncio.to_thread(
            until, lambda: scripts_run(valkey) >= before + len(late), "all to reach the server"
        )
        assert await store.load([record.id, absent.id]) == {record.id: expected}
        assert await slow.write([Update(record.id, {"n": 3})]) == [DONE]
        assert (await load_record(store, record.id)).data == {"n": 3, "old": 0}
    relay.close()


@pytest.mark.gen_test(timeout=30)
async def test_a_write_is_late_when_its_request_has_given_it_up(valkey: Valkey) -> None:
    """The request had waited before, so its deadline is nearer than the store's time-out."""
    record = make_record(data={"n": 0})
    relay = Relay(valkey.port)
    relay.switch_on()
    slow = RedisStore(f"redis://127.0.0.1:{relay.port}", timeout=10)
    gateway = Gateway(slow)
    async with opened(valkey.url) as store:
        await store.write([Create(record)])
        assert await gateway.load(record.id) == record
        relay.hold_requests()
        with pytest.raises(SessionUnavailable):
            await gateway.write(Update(record.id, {"n": 1}), since=time.monotonic() - 9.8)
        assert await store.write([Update(record.id, {"n": 2})]) == [DONE]
        before = scripts_run(valkey)
        relay.release()
        await asyncio.to_thread(until, lambda: scripts_run(valkey) > before, "it to arrive")
        assert (await load_record(store, record.id)).data == {"n": 2}
        assert await gateway.write(Update(record.id, {"n": 3})) is DONE
        assert await slow.write([Update(record.id, {"n": 4})]) == [DONE]
    await gateway.close()
    relay.close()


def scripts_run(server: Valkey) -> int:
    stats = server.admin("INFO", "commandstats")
    return int(stats["cmdstat_evalsha"]["calls"])


@pytest.mark.gen_test
async def test_a_clock_that_was_set_refuses_no_write(
    valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server refuses in time is written by its clock as it is now."""
    record = make_record()
    async with opened(valkey.url) as store:
        await store.write([Create(record)])
        loop = asyncio.get_running_loop()
        real = loop.time
        # A machine that slept for a minute: its loop's clock stood still.
        monkeypatch.setattr(loop, "time", lambda: real() - 60)
        changes: list[Change] = [
            Update(record.id, {"n": 1}),
            Update(bytes(16), {"n": 1}),
            Delete(bytes(16)),
        ]
        assert await store.write(changes) == [DONE, MISSING, DONE]
        assert await store.write(changes) == [DONE, MISSING, DONE]
        assert (await load_record(store, record.id)).data == {"n": 1}
        monkeypatch.undo()


@pytest.mark.gen_test
async def test_the_clock_is_looked_at_again_after_a_while(
    valkey: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(valkey.url) as store:
        monkeypatch.setattr(server_clock, "INTERVAL", 0.0)
        clock = SimpleNamespace(time=lambda: time.time() + 100)
        monkeypatch.setattr(server_clock, "time", clock)
        deadline = time.monotonic() + 10
        while not caplog.messages:
            assert time.monotonic() < deadline
            assert await store.write([Update(bytes(16), {"n": 1})]) == [MISSING]
        assert "behind this machine's" in caplog.messages[0]


@pytest.mark.gen_test
async def test_a_look_at_the_clock_takes_no_writes_connection(
    valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_clock, "INTERVAL", 0.0)
    async with opened(valkey.url) as store:
        writes = []
        for _ in range(300):
            writes.append(asyncio.create_task(store.write([Update(bytes(16), {"n": 1})])))
            await asyncio.sleep(0)  # a turn of the loop, in which a look may begin
        assert await asyncio.gather(*writes) == [[MISSING]] * 300


@pytest.mark.gen_test
async def test_a_server_that_hides_its_time_is_warned_of_and_works(
    valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    valkey.admin("ACL", "SETUSER", "timeless", "on", ">pass", "~*", "+@all", "-time")
    record = make_record()
    async with opened(f"redis://timeless:pass@127.0.0.1:{valkey.port}") as store:
        await store.open()
        assert await store.write([Create(record), Update(record.id, {"n": 1})]) == [DONE, DONE]
    (message,) = caplog.messages
    assert "grant its user +time" in message
    assert caplog.records[0].levelno == logging.WARNING


SCRIPT = """
import asyncio, logging, sys
sys.modules["hiredis"] = None  # as if it was not installed
from stores.redis import RedisStore
logging.basicConfig()
async def main():
    store = RedisStore(sys.argv[1])
    await store.open()
    await store.open()
    await store.close()
asyncio.run(main())
"""


def test_a_missing_parser_is_said_to_cost_reads(valkey: Any) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, valkey.url],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert told.count("without the package hiredis, reads take two to five times") == 1
