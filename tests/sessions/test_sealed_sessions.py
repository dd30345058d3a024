"""Sessions whose values do not open: 503 for their clients, an event, and nobody else's concern."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from app import EventKind, Group, Route, SessionEvent, SessionManager
from app.sessions import token, user_record
from app.sessions.errors import SessionUnavailable
from stores import EncryptedStore, MemoryStore
from stores.contract import Delete, Update
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.devices import new_user, record_id, sign_in
from tests.helpers.leaks import whole_log
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, cookies_set, do, steps, twin

ROUTES = Group("/", Route("steps", Steps), sessions=True)

OLD, NEW = os.urandom(32), os.urandom(32)

Visit = Callable[[EncryptedStore], Browser]


@pytest.fixture
def heard() -> list[SessionEvent]:
    return []


@pytest.fixture
def inner() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def visit(serve: Callable[..., Site], heard: list[SessionEvent], clock: FakeClock) -> Visit:
    """Return a browser of a process that has these keys."""

    def visit(store: EncryptedStore) -> Browser:
        return serve(ROUTES, SessionManager(store, on_event=heard.append, clock=clock)).browser()

    return visit


def moved_to(browser: Browser, other: Browser) -> Browser:
    """Return a browser of the other process with the first one's cookies."""
    return twin(other, of=browser.cookies["session"])


@pytest.mark.gen_test(timeout=20)
async def test_what_does_not_open_is_503_and_no_sign_out(
    visit: Visit, inner: MemoryStore, heard: list[SessionEvent]
) -> None:
    knows = visit(EncryptedStore(inner, {2: NEW, 1: OLD}))
    lacks = visit(EncryptedStore(inner, {1: OLD}))
    await do(knows, "sign-in ada", 'set a "secret-value"')
    heard.clear()
    with whole_log() as log:
        client = moved_to(knows, lacks)
        for words in ((), ("set b 1",), ("sign-out",)):
            response = await client.get(steps(*words))
            assert response.code == 503
            assert response.headers["Retry-After"]
            assert cookies_set(response) == []
            assert b"sealed" not in response.body
        other = visit(EncryptedStore(inner, {1: OLD}))
        await do(other, "set c 1")  # nobody else's concern
    id = token.public_id(token.decode(knows.cookies["session"])[0])
    told = [(event.kind, event.session, event.user) for event in heard]
    assert told.count((EventKind.UNOPENED, id, "ada")) == 1
    lines = log.getvalue().splitlines()
    assert [line for line in lines if line.startswith("sessions.audit WARNING")] == [
        f"sessions.audit WARNING unopened: session {id} of the cookie session, user 'ada'"
    ]
    assert sum("which is not there" in line and id in line for line in lines) == 1
    assert "secret-value" not in log.getvalue()
    assert (await do(knows))["was"]["data"] == {"a": "secret-value"}


@pytest.mark.gen_test(timeout=20)
async def test_a_planted_value_is_not_read(visit: Visit, inner: MemoryStore) -> None:
    browser = visit(EncryptedStore(inner, {1: OLD}))
    await do(browser, "set admin false")
    id = token.decode(browser.cookies["session"])[0]
    await inner.write([Update(id, {"admin": True})])
    assert (await browser.get(steps())).code == 503


@pytest.mark.gen_test
async def test_a_user_ends_sessions_that_do_not_open(inner: MemoryStore, clock: FakeClock) -> None:
    """His list has them, and "everywhere" means them, too."""
    user = new_user()
    manager = SessionManager(EncryptedStore(inner, {1: OLD}), clock=clock)
    cookie, _ = await sign_in(manager, user)
    _, broken = await sign_in(manager, user)
    await inner.write([Update(record_id(broken), {"a": "planted"})])
    session = await manager.load(header_of(cookie))
    assert {device.id for device in await session.devices()} == {session.id, broken.id}
    assert await session.sign_out_others() == 1
    assert await inner.load([record_id(broken)]) == {}


@pytest.mark.gen_test
async def test_a_session_that_does_not_open_hides_no_others_end(
    inner: MemoryStore, clock: FakeClock
) -> None:
    """Open sockets of others are told that their sessions ended."""
    manager = SessionManager(EncryptedStore(inner, {1: OLD}), clock=clock)
    keys = []
    for _ in range(3):
        _, session = await sign_in(manager, new_user())
        (record,) = (await inner.load([record_id(session)])).values()
        keys.append((record.id, record.secret_hash))
    broken, ended, alive = keys
    await inner.write([Update(broken[0], {"a": "planted"}), Delete(ended[0])])
    assert await manager.ended(keys) == {ended}
    assert await manager.ended([(broken[0], os.urandom(32)), alive]) != set()


@pytest.mark.gen_test
@pytest.mark.parametrize("count", [0, 1, 5, 200])
async def test_a_session_of_max_bytes_fits(inner: MemoryStore, count: int) -> None:
    """Of values of any number: what fits unsealed fits sealed, also while it is filled."""
    most = 4096
    for store in (inner, EncryptedStore(inner, {1: OLD})):
        manager = SessionManager(store, max_bytes=most)
        session = await manager.load(None)
        length = max(0, most // (count + 1) - 10)
        data: dict[str, Any] = {f"{n:02x}": "x" * length for n in range(count)}
        data["rest"] = "x" * (most - sum(len(k) + length + 6 for k in data) - 11)
        session["first"] = 1
        header = header_of(await session.commit())
        for key, value in data.items():
            session = await manager.load(header)
            session[key] = value
            session.pop("first", None)
            await session.commit()
        assert dict(await manager.load(header)) == data


@pytest.mark.gen_test(timeout=20)
async def test_a_list_that_does_not_open_is_called_a_list(
    inner: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    user = new_user()
    await sign_in(SessionManager(EncryptedStore(inner, {1: OLD})), user)
    with caplog.at_level("INFO"), pytest.raises(SessionUnavailable):
        await SessionManager(EncryptedStore(inner, {1: NEW})).devices(user)
    what = f"list of a user's sessions {token.public_id(user_record.id_of(user))}"
    assert f"the {what} does not open" in caplog.text
    assert f"unopened: {what} of the cookie session" in caplog.text
