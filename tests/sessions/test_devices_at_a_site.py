"""A user's devices in handlers: over HTTP, in two processes, in every state of a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from app import (
    ConfigurationError,
    Group,
    NotAuthenticated,
    Route,
    SessionCommitted,
    SessionManager,
    SessionReadOnly,
)
from app.sessions.user_record import MAX_LABEL
from app.sessions.working_copy import move_to_socket
from stores import MemoryStore, Store
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import header_of
from tests.helpers.devices import client, new_user, sign_in
from tests.helpers.opened import while_open
from tests.helpers.pages import Page
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import closing_code, open_socket, talk

Serve = Callable[..., Site]


class SignIn(Page):
    def get(self) -> None:
        self.session.sign_in(self.get_argument("user"), label=self.get_argument("label", None))


class Devices(Page):
    """Lists them, and ends ?id= or, with ?others=, all others."""

    async def get(self) -> None:
        ended: Any = None
        if id := self.get_argument("id", ""):
            ended = await self.session.sign_out_device(id)
        elif self.get_argument("others", ""):
            ended = await self.session.sign_out_others()
        found = [device._asdict() for device in await self.session.devices()]
        self.write(json.dumps({"ended": ended, "devices": found}, default=str))


class SlowSignIn(Page):
    """Signs in when ?user= is released."""

    gate: ClassVar[asyncio.Event]
    waits: ClassVar[asyncio.Event]

    async def get(self) -> None:
        self.waits.set()
        await self.gate.wait()
        self.session.sign_in(self.get_argument("user"))


ROUTES = Group(
    "/",
    Route("sign-in", SignIn),
    Route("devices", Devices),
    Route("slow", SlowSignIn),
    Route("socket", talk()),
    Group("look", Route("devices", Devices), read_only=True),
    sessions=True,
)


async def devices(browser: Browser, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await browser.text(f"/devices{query}"))["devices"]
    return found


@pytest.mark.gen_test(timeout=30)
async def test_two_browsers_end_each_other(serve: Serve, any_store: Store) -> None:
    """Each at a process of its own; a socket is closed in the process that ends its session."""
    sites = [serve(ROUTES, SessionManager(any_store)) for _ in range(2)]
    user = new_user()
    here, there, thief = sites[0].browser(), sites[1].browser(), sites[1].browser()
    for browser, label in ((here, "desk"), (there, "phone"), (thief, "")):
        await browser.text(f"/sign-in?user={user}&label={label}", headers={"User-Agent": label})
    found = await devices(here)
    assert {d["label"]: d["agent"] for d in found} == {"desk": "desk", "phone": "phone", "": None}
    assert [d["label"] for d in found if d["current"]] == ["desk"]
    (id,) = (d["id"] for d in found if d["label"] == "phone")
    socket = await open_socket(thief)
    assert len(await devices(here, f"?id={id}")) == 2
    assert await devices(there) == []
    assert len(await devices(thief, "?others=1")) == 1
    assert await devices(here) == []
    assert await closing_code(socket) == 1008  # its token was replaced


@pytest.mark.gen_test(timeout=30)
async def test_a_slow_sign_in_is_stopped_by_everywhere(serve: Serve, any_store: Store) -> None:
    """It is answered 409 and no cookie; sent again, it succeeds."""
    manager = SessionManager(any_store)
    site, user = serve(ROUTES, manager), new_user()
    browser = site.browser()
    SlowSignIn.gate, SlowSignIn.waits = asyncio.Event(), asyncio.Event()
    request = asyncio.ensure_future(browser.get(f"/slow?user={user}"))
    await SlowSignIn.waits.wait()
    await manager.sign_out_everywhere(user)
    SlowSignIn.gate.set()
    response = await request
    assert (response.code, response.reason) == (409, "Signed Out Everywhere, Sign In Again")
    assert response.headers["Retry-After"] == "1"
    assert browser.cookies == {}
    await browser.text(f"/slow?user={user}")
    assert len(await devices(browser)) == 1


@pytest.mark.gen_test(timeout=30)
async def test_a_read_only_group_shows_devices_and_ends_none(serve: Serve) -> None:
    browser = serve(ROUTES, SessionManager(MemoryStore())).browser()
    await browser.text("/sign-in?user=ada")
    found = json.loads(await browser.text("/look/devices"))["devices"]
    assert [d["current"] for d in found] == [True]
    for query in (f"id={found[0]['id']}", "others=1"):
        assert (await browser.get(f"/look/devices?{query}")).code == 500
    assert len(await devices(browser)) == 1


@pytest.mark.gen_test
async def test_nobody_has_devices_and_ends_none() -> None:
    manager = SessionManager(MemoryStore())
    _, other = await sign_in(manager, "ada")
    session = await manager.load(None)
    assert await session.devices() == []
    assert not await session.sign_out_device(str(other.id))
    assert await session.sign_out_others() == 0
    assert not session.live
    assert len(await manager.devices("ada")) == 1


@pytest.mark.gen_test(timeout=30)
async def test_who_was_ended_ends_no_others(any_store: Store) -> None:
    """A request that loaded its session before it was revoked is 401, and the others go on."""
    async with while_open(any_store):
        manager, user = SessionManager(any_store), new_user()
        cookie, revoked = await sign_in(manager, user)
        _, other = await sign_in(manager, user)
        thief = await manager.load(header_of(cookie))
        assert await manager.sign_out(user, str(revoked.id))
        with pytest.raises(NotAuthenticated):
            await thief.sign_out_others()
        assert thief._cookie is None
        assert [d.id for d in await manager.devices(user)] == [other.id]


@pytest.mark.gen_test
async def test_ending_devices_is_refused_where_nothing_is_saved() -> None:
    manager = SessionManager(MemoryStore())
    cookie, _ = await sign_in(manager, "ada")
    session = await manager.load(str(cookie).partition(";")[0], read_only=True)
    assert len(await session.devices()) == 1
    for act in (session.sign_out_others(), session.sign_out_device("x" * 22)):
        with pytest.raises(SessionReadOnly):
            await act
    session = await manager.load(str(cookie).partition(";")[0])
    move_to_socket(session)
    way_out = r"sign_out_others\(\) .*; call manager\.sign_out_everywhere\(user, keep="
    with pytest.raises(SessionCommitted, match=way_out):
        await session.sign_out_others()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("", None),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
        ("x" * 1000, "x" * 300),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # a page escapes it
        ("a\x1b[2Jb\x9bc\x7f\xad", "a?[2Jb?c??"),
    ],
)
async def test_an_agent_is_a_hostile_text(sent: str | None, kept: str | None) -> None:
    """It is cut, and has no character that a terminal might obey."""
    manager = SessionManager(MemoryStore())
    _, session = await sign_in(manager, "ada", client=client(sent))
    (device,) = await session.devices()
    assert (device.agent, device.address) == (kept, None)


@pytest.mark.gen_test
async def test_agent_and_address_are_kept_as_the_manager_says() -> None:
    manager = SessionManager(MemoryStore(), keep_agent=False, keep_address=True)
    _, session = await sign_in(manager, "ada", client=client("Mozilla"))
    (device,) = await session.devices()
    assert (device.agent, device.address) == (None, "203.0.113.9")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("max_per_user", value) for value in (0, -1, 1.5, None, True, "3")),
        *((name, value) for name in ("keep_agent", "keep_address") for value in (None, 1, "no")),
    ],
)
def test_a_setting_that_is_none_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        SessionManager(MemoryStore(), **{setting: value})


@pytest.mark.gen_test
async def test_what_is_no_name_id_or_label_is_refused() -> None:
    manager = SessionManager(MemoryStore())
    session = await manager.load(None)
    for user in ("", None, 7, b"ada"):
        for act in (manager.devices(user), manager.sign_out_everywhere(user)):  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="takes the user as a non-empty str"):
                await act
    for user in ("x" * 256, "\ud800"):
        with pytest.raises(ValueError, match="user"):
            await manager.sign_out(user, "")
    with pytest.raises(TypeError, match="takes a session's id as a str"):
        await manager.sign_out("ada", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"sign_out_device\(\) takes a session's id"):
        await session.sign_out_device(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"takes the session itself, keep=self.session, not str"):
        await manager.sign_out_everywhere("ada", keep="x" * 22)  # type: ignore[arg-type]
    for label in (7, "x" * (MAX_LABEL + 1), "\ud800"):
        with pytest.raises((TypeError, ValueError), match="label"):
            session.sign_in("ada", label=label)  # type: ignore[arg-type]
    assert session.user is None


@pytest.mark.gen_test
async def test_signing_in_again_says_anew_when_and_where(clock: FakeClock) -> None:
    """`confirm()` is no sign-in, and says nothing anew."""
    manager = SessionManager(MemoryStore(), clock=clock)
    cookie, session = await sign_in(manager, "ada", label="desk", client=client("Old/1"))
    (before,) = await session.devices()
    clock.advance(60)
    cookie, session = await sign_in(manager, "ada", cookie, label="chair", client=client("New/2"))
    (after,) = await session.devices()
    assert (after.id, after.label, after.agent) == (before.id, "chair", "New/2")
    assert after.signed_in - before.signed_in == timedelta(seconds=60)
    clock.advance(60)
    session.confirm()
    await session.commit()
    (confirmed,) = await session.devices()
    assert (confirmed.signed_in, confirmed.label) == (after.signed_in, "chair")
    assert session.authenticated == after.signed_in + timedelta(seconds=60)


@pytest.mark.gen_test(timeout=30)
async def test_a_store_that_fails_leaves_who_asked_signed_in(serve: Serve) -> None:
    """503 for "all others", and the new token that was acknowledged is sent."""
    store = FaultyStore()
    browser = serve(ROUTES, SessionManager(store)).browser()
    await browser.text("/sign-in?user=ada")
    before = browser.cookies["session"]
    real = store.load

    async def load(ids: Any) -> Any:
        if len(store.calls) > 2:  # the fence and the new token were written
            store.break_down("load")
        return await real(ids)

    store.calls.clear()
    store.load = load  # type: ignore[method-assign]
    assert (await browser.get("/devices?others=1")).code == 503
    assert browser.cookies["session"] != before
    store.load = real  # type: ignore[method-assign]
    store.mend()
    assert len(await devices(browser)) == 1
