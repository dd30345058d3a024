"""What a WebSocket changes: saved by commit, told when it is lost, refused without a cookie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from tornado.web import RequestHandler

from app import SessionCommitted, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import (
    Talk,
    ask,
    closing_code,
    eventually,
    leave,
    open_socket,
    talk,
    talking,
)

Serve = Callable[..., Site]


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def site(serve: Serve, store: FaultyStore, clock: FakeClock) -> Site:
    return serve(talking(talk(Tries)), SessionManager(store, clock=clock))


class Tries(Talk):
    """Tries what a message names and answers with the error."""

    async def on_message(self, message: str | bytes) -> None:
        session = self.session
        tries: dict[Any, Callable[[], object]] = {
            "begin": lambda: session.update(a=1),
            "regenerate": session.regenerate,
            "destroy": session.destroy,
            "sign out": session.sign_out,
            "sign in": lambda: session.sign_in("ada"),
            "persistent": lambda: setattr(session, "persistent", not session.persistent),
        }
        if message not in tries:
            return await super().on_message(message)
        try:
            tries[message]()
        except SessionCommitted as error:
            await self.write_message(f"{error} / {dict(session)} {session.user}")
        return None


@pytest.mark.gen_test
@pytest.mark.parametrize("token", ["none", "live", "replaced"])
@pytest.mark.parametrize(
    "what", ["begin", "regenerate", "destroy", "sign out", "sign in", "persistent"]
)
async def test_what_needs_a_cookie_says_that_a_socket_has_none(
    site: Site, what: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the token, a socket refuses what needs a cookie, and changes nothing by it."""
    browser = site.browser()
    kept = "{}"
    if token != "none":
        await browser.text("/do/keep")
        kept = "{'kept': ['before']}"
    if token == "live" and what == "begin":
        pytest.skip("it is there")
    if token == "replaced":
        former = dict(browser.cookies)
        await browser.text("/do/sign-in")
        browser.cookies = former
        kept = "{}"
    socket = await open_socket(browser)
    answer = str(await ask(socket, what))
    assert "which an open WebSocket cannot send; do it in a request" in answer
    assert answer.endswith(f"/ {kept} None")
    await leave(socket)
    assert "never saved" not in caplog.text


@pytest.mark.gen_test
@pytest.mark.parametrize("message", ["change", "change within", "spoil"])
@pytest.mark.parametrize("ending", ["client", "server", "end", "error"])
async def test_a_change_that_is_never_saved_is_told_once(
    site: Site, message: str, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the session, not the value."""
    browser = site.browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    await ask(socket, message)
    (handler,) = site.application.activity.sockets
    public_id = cast(Talk, handler).session.id
    match ending:
        case "client":
            socket.close()
        case "server":
            handler.close()
        case "end":
            await browser.text("/do/destroy")
        case "error":
            await socket.write_message("fail")
    await closing_code(socket)
    while site.application.activity.sockets:
        await asyncio.sleep(0.005)
    (told,) = [line for line in caplog.messages if "never saved" in line]
    assert told == (
        f"/socket: changes of the session {public_id} on a WebSocket were never saved; "
        "use `await self.session.commit()`"
    )
    assert "secret" not in caplog.text


class SavesAtTheEnd(Talk):
    """Saves when it is closed, in the ways that Tornado has for that."""

    def on_close(self) -> None:
        self.session["left"] = True
        if self.settings["way"] == "task":
            asyncio.ensure_future(self.session.commit())  # noqa: RUF006
        else:
            from tornado.ioloop import IOLoop

            IOLoop.current().spawn_callback(self.session.commit)


@pytest.mark.gen_test
@pytest.mark.parametrize("way", ["task", "callback"])
@pytest.mark.parametrize("slow", [False, True])
async def test_a_change_that_on_close_saves_is_not_told(
    serve: Serve, store: FaultyStore, way: str, slow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(talking(talk(SavesAtTheEnd)), SessionManager(store), way=way)
    browser = site.browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    if slow:
        store.gate["write"] = asyncio.Event()
    await leave(socket)
    if slow:
        while not store.waiting:
            await asyncio.sleep(0.005)
        await site.fetch("/do/look")
        store.gate["write"].set()
    while site.application.activity.sockets:
        await asyncio.sleep(0.005)
    assert "never saved" not in caplog.text
    assert store.kinds[-1] == "Update"


@pytest.mark.gen_test
async def test_what_the_end_of_the_session_drops_is_not_told(
    site: Site, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit that finds the session ended drops its changes, as any request's."""
    browser = site.browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    clock.advance(24 * 3600)
    await socket.write_message("commit")
    assert await closing_code(socket) == 1008
    while site.application.activity.sockets:
        await asyncio.sleep(0.005)
    assert "never saved" not in caplog.text


class ChangesLate(Talk):
    """Changes the session when the message has waited, and commits or not."""

    async def on_message(self, message: str | bytes) -> None:
        self.got.append(str(message))
        await self.gate.wait()
        self.session["late"] = "secret value"
        if message == "commit":
            await self.session.commit()
        self.got.append("changed")


@pytest.mark.gen_test
@pytest.mark.parametrize("message", ["commit", "leave"])
async def test_a_change_after_the_end_is_told(
    serve: Serve, store: FaultyStore, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The message was in flight when the session ended."""
    handler = talk(ChangesLate)
    browser = serve(talking(handler), SessionManager(store)).browser()
    await browser.text("/do/keep")
    socket = await open_socket(browser)
    await socket.write_message(message)
    await eventually(lambda: handler.got)
    await browser.text("/do/destroy")
    (made,) = handler.made
    await eventually(lambda: made.ends)
    store.calls.clear()
    handler.gate.set()
    await eventually(lambda: handler.got == [message, "changed"])
    await leave(socket)
    assert store.kinds == []
    told = "a change of the session on a WebSocket is not saved: the session ended"
    assert caplog.messages.count(told) == 1
    assert "secret" not in caplog.text


@pytest.mark.gen_test
async def test_the_user_on_a_socket_follows_the_session(site: Site, clock: FakeClock) -> None:
    browser = site.browser()
    await browser.text("/do/sign-in")
    socket = await open_socket(browser)
    (handler,) = site.application.activity.sockets
    assert await ask(socket, "user") == "ada"
    assert await ask(socket, "refresh") == "True"
    assert await ask(socket, "user") == "ada"
    clock.advance(24 * 3600)
    await socket.write_message("refresh")
    assert await closing_code(socket) == 1008
    assert handler.current_user is None


@pytest.mark.gen_test
async def test_a_planted_token_writes_nothing_after_the_sign_in(
    serve: Serve, store: FaultyStore
) -> None:
    """Not even where the socket has not heard of the sign-in, made in another process."""
    here = serve(talking(talk()), SessionManager(store)).browser()
    victim = serve(talking(talk()), SessionManager(store)).browser()
    await here.text("/do/keep")
    victim.cookies = dict(here.cookies)
    socket = await open_socket(here)
    await ask(socket, "change")
    await victim.text("/do/sign-in")
    store.calls.clear()
    await socket.write_message("commit")
    assert await closing_code(socket) == 1008
    assert "Update" not in store.kinds
    (record,) = (await store.load([record_id(victim.cookies["session"])])).values()
    assert "said" not in cast(Any, record).data
    assert "secret key" not in cast(Any, record).data


def record_id(cookie: str) -> bytes:
    from app.sessions import token

    return token.decode(cookie)[0]


# After the response of a plain handler


class Lingers(SessionMixin, RequestHandler):
    """Changes the session when its response has left."""

    errors: asyncio.Queue[Exception]

    def get(self) -> None:
        self.session.get("kept")
        if self.get_argument("changed", ""):
            self.session["n"] = 1
        asyncio.ensure_future(self.linger())  # noqa: RUF006

    async def linger(self) -> None:
        await asyncio.sleep(0.02)
        value: Any = 1 if self.get_argument("how") == "nested" else object()
        cast(Any, self.session["kept"]).append(value)
        try:
            await self.session.commit()
        except Exception as error:
            self.settings["errors"].put_nowait(error)


@pytest.mark.gen_test
@pytest.mark.parametrize("changed", ["", "&changed=1"])
@pytest.mark.parametrize(
    ("how", "expected"), [("nested", SessionCommitted), ("spoiled", TypeError)]
)
async def test_commit_after_the_response_refuses_a_nested_change(
    serve: Serve, changed: str, how: str, expected: type[Exception]
) -> None:
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    from app import Group, Route
    from tests.helpers.websockets import Do

    routes = Group("/", Route("page", Lingers), Route("do/<what>", Do), sessions=True)
    browser = serve(routes, SessionManager(MemoryStore()), errors=errors).browser()
    await browser.text("/do/keep")
    await browser.text(f"/page?how={how}{changed}")
    assert isinstance(await errors.get(), expected)
    assert await browser.text("/do/look") == "['before']"
