"""Logs, error pages, reprs and errors, as an attacker reads them: no token, value or password."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.web import HTTPError, create_signed_value

from app import Config, Group, Route, SessionManager, make_app
from app.sessions import token
from app.sessions.gateway import Gateway
from stores import MemoryStore, Store, open_store
from stores.contract import Create, Delete, Update
from tests.helpers.cookies import token_of
from tests.helpers.every_store import STORES
from tests.helpers.leaks import leaks, spellings, whole_log
from tests.helpers.pages import Kept, Page
from tests.helpers.raw import RawConnection
from tests.helpers.records import load_record, make_record, make_rotation
from tests.helpers.site import Browser, Site

VALUE, USER, PASSWORD = "a-value-kept-in-it", "ada-the-user", "hunter2-the-password"
AUDITED_USER = re.compile(rf"^(sessions\.audit .*), user '{USER}'$")
TEXT = "text of the handler's own error"


class SignIn(Page):
    def get(self) -> None:
        self.session["kept"] = VALUE
        self.session.sign_in(USER)


class Fails(Page):
    def get(self) -> None:
        self.session["kept"] = [VALUE]
        raise RuntimeError(TEXT)


class Refuses(Page):
    def get(self) -> None:
        self.session.regenerate()
        raise HTTPError(403, "for a reason")


class TooMuch(Page):
    def get(self) -> None:
        self.session["kept"] = VALUE * 10_000


class WrongType(Page):
    """Puts what cannot be kept where only the commit finds it."""

    def get(self) -> None:
        inside: list[Any] = [VALUE]
        self.session["list"] = inside
        inside.append({VALUE.encode()})


class WrongValue(Page):
    def get(self) -> None:
        self.session["kept"] = [VALUE, {VALUE.encode()}]  # type: ignore[list-item]


class WrongUser(Page):
    def get(self) -> None:
        self.session.sign_in(USER.encode())  # type: ignore[arg-type]


class Late(Page):
    def get(self) -> None:
        self.finish("done")

    def on_finish(self) -> None:
        self.session["kept"] = VALUE


PAGES: list[tuple[type[Page], int]] = [
    (Kept, 200),
    (Fails, 500),
    (Refuses, 403),
    (TooMuch, 413),
    (WrongType, 500),
    (WrongValue, 500),
    (WrongUser, 500),
]
ROUTES = Group(
    "/",
    Route("sign-in", SignIn),
    *(Route(page.__name__.lower(), page) for page, _ in PAGES),
    sessions=True,
)


@contextmanager
def nothing_leaks(tokens: list[str], *words: str) -> Iterator[list[str]]:
    """Fail if the log, or one of the pages that the test appends, has a secret in it."""
    pages: list[str] = []
    with whole_log() as log:
        yield pages
    secrets = spellings(tokens, *words)
    assert tokens or words
    # Whose session it is, is what the audit log is for.
    lines = (AUDITED_USER.sub(r"\1", line) for line in log.getvalue().splitlines())
    assert leaks("\n".join(lines), secrets) == []
    assert leaks("\n".join(pages), secrets) == []
    assert log.getvalue() != ""


async def look(browser: Browser, path: str, tokens: list[str], pages: list[str]) -> int:
    """Open a page, note the token it gives, and append the rest of its answer to *pages*."""
    response = await browser.get(path)
    if "session" in browser.cookies and browser.cookies["session"] not in tokens:
        tokens.append(browser.cookies["session"])
    pages += (f"{k}: {v}" for k, v in response.headers.get_all() if k != "Set-Cookie")
    if response.code != 200:
        pages += (response.reason, response.body.decode())
    return response.code


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("traceback", [False, True])
async def test_no_secret_is_told_whatever_goes_wrong(
    serve: Callable[..., Site], any_store: Store, traceback: bool
) -> None:
    """Nothing secret is logged or answered, whatever goes wrong."""
    tokens: list[str] = []
    with nothing_leaks(tokens, VALUE, USER) as pages:
        site = serve(ROUTES, SessionManager(any_store), serve_traceback=traceback)
        browser = site.browser()
        for _ in range(2):
            assert await look(browser, "/sign-in", tokens, pages) == 200
        for page, status in PAGES:
            path = f"/{page.__name__.lower()}"
            assert await look(browser, path, tokens, pages) == status, path
        assert len(tokens) > 2
        former = site.browser()
        former.cookies["session"] = tokens[-2]
        assert await look(former, "/sign-in", tokens, pages) == 409
    assert traceback == any(TEXT in page for page in pages)


@pytest.mark.gen_test(timeout=30)
async def test_no_secret_is_told_when_the_store_fails(
    serve: Callable[..., Site], any_store: Store
) -> None:
    """Nothing secret is logged or answered when the store fails."""
    store = any_store
    tokens: list[str] = []
    with nothing_leaks(tokens, VALUE, USER) as pages:
        browser = serve(ROUTES, SessionManager(store), serve_traceback=True).browser()
        assert await look(browser, "/sign-in", tokens, pages) == 200

        async def broken(*_: Any) -> Any:
            record = make_record(data={"kept": VALUE}, user=USER)
            raise RuntimeError(f"{VALUE} {USER} {tokens} {record.data}")

        for operation in ("write", "load"):
            real = getattr(store, operation)
            setattr(store, operation, broken)
            assert await look(browser, "/sign-in", tokens, pages) == 503
            setattr(store, operation, real)
        assert await look(browser, "/kept", tokens, pages) == 200


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize(("kind", "server"), [("mongodb", "mongod"), ("valkey", "valkey")])
async def test_no_secret_is_logged_when_a_server_is_slow_or_refuses(
    serve: Callable[..., Site], request: pytest.FixtureRequest, kind: str, server: str
) -> None:
    tokens: list[str] = []
    store = STORES[kind](request)
    with nothing_leaks(tokens, VALUE, USER, PASSWORD) as pages:
        manager = SessionManager(store, max_bytes=2**21)
        browser = serve(ROUTES, manager, serve_traceback=True).browser()
        assert await look(browser, "/sign-in", tokens, pages) == 200
        patience, store.timeout = store.timeout, 1e-9
        assert await look(browser, "/sign-in", tokens, pages) == 503
        store.timeout = patience
        assert await look(browser, "/kept", tokens, pages) == 200

        url: str = request.getfixturevalue(server).url.replace("://", f"://{USER}:{PASSWORD}@")
        locked_out = SessionManager(open_store(url))
        browser = serve(ROUTES, locked_out, serve_traceback=True).browser()
        assert await look(browser, "/sign-in", tokens, pages) == 503
        pages += [repr(locked_out), repr(locked_out.store), locked_out.store.name]


@pytest.mark.gen_test
async def test_a_malformed_request_leaves_no_cookie_in_the_log(
    serve: Callable[..., Site],
) -> None:
    """A request that Tornado cannot read leaves no cookie in the log."""
    tokens: list[str] = []
    with nothing_leaks(tokens, VALUE) as pages:
        site = serve(ROUTES, SessionManager(MemoryStore()))
        browser = site.browser()
        await look(browser, "/sign-in", tokens, pages)
        for header in (
            f"Cookie: session={tokens[0]}; theme=\x01",
            f"Cookie: it's=\x7f; session={tokens[0]}",
            f"Cookie: session={tokens[0]}\r\n folded",
            f"Cookie\x00: session={tokens[0]}",
            f"Cookie session={tokens[0]}",
            f"session={tokens[0]}: Cookie",
            f"Host: session={tokens[0]}",
            f"Content-Length: {tokens[0]}",
            f"Transfer-Encoding: {tokens[0]}",
            f"Content-Length: 1\r\nContent-Length: {tokens[0]}",
        ):
            async with RawConnection(site) as connection:
                connection.send("GET", "/kept", header)
                assert b" 400 " in (await connection.read_to_end()).split(b"\r\n")[0]
    assert logging.getLogger("tornado.general").filters


class Signed(Page):
    def get(self) -> None:
        self.write(str(self.get_signed_cookie("theme", max_age_days=1)))


@pytest.mark.gen_test
async def test_a_signed_cookie_that_is_refused_is_not_quoted(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(Group("/", Route("signed", Signed)), cookie_secret=PASSWORD)
    old = create_signed_value(PASSWORD, "theme", VALUE, version=1, clock=lambda: 1e9)
    forged = create_signed_value(PASSWORD + "!", "theme", VALUE, version=1)
    for value in (old, forged):
        response = await site.fetch("/signed", headers={"Cookie": f"theme={value.decode()}"})
        assert response.body == b"None"
        assert value.decode() not in caplog.text
    assert "Invalid cookie signature '(left out)'" in caplog.text
    assert "Expired cookie '(left out)'" in caplog.text


@pytest.mark.gen_test
async def test_a_late_changes_error_does_not_tell_the_value(
    serve: Callable[..., Site],
) -> None:
    tokens: list[str] = []
    with nothing_leaks(tokens, VALUE) as pages:
        routes = Group("/", Route("late", Late), sessions=True)
        browser = serve(routes, SessionManager(MemoryStore())).browser()
        await look(browser, "/late", tokens, pages)


@pytest.mark.gen_test
async def test_nothing_secret_is_in_a_repr_or_an_error(any_store: Store) -> None:
    store = any_store
    manager = SessionManager(store)
    session = await manager.load(None)
    session["kept"] = VALUE
    session.sign_in(USER)
    text = token_of(await session.commit())
    id, secret = token.decode(text)
    record = await load_record(store, id)
    assert record.secret_hash == token.hash_secret("session", secret)
    rotation = make_rotation(record, user=USER, secret_hash=token.hash_secret("session", secret))
    config = Config(ROUTES, manager, {"cookie_secret": PASSWORD})
    things = [
        *(session, manager, manager.cookie, store, Gateway(store), config, make_app(config)),
        *(record, rotation, Create(record), Delete(id), Update(id, {"kept": VALUE})),
        Update(id, {"kept": VALUE}, rotation=rotation),
        *make_app(config).endpoints,
    ]
    secrets = spellings([text], VALUE, USER, PASSWORD)
    for thing in things:
        assert leaks(f"{thing!r} {thing!s} {[thing]}", secrets) == []
    for key, wrong in (("kept", {VALUE}), ("kept", [VALUE.encode()]), (VALUE.encode(), 1)):
        with pytest.raises(TypeError) as raised:
            session[key] = wrong  # type: ignore[index, assignment]
        assert leaks(str(raised.value), secrets) == []
    for user in (USER.encode(), [USER], ""):
        with pytest.raises(TypeError, match="takes the user as a non-empty str, not ") as raised:
            session.sign_in(user)  # type: ignore[arg-type]
        assert leaks(str(raised.value), secrets) == []
    await manager.close()
