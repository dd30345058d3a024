"""A guard lets users in to a handler without the mixin, and changes nothing else of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from tornado.web import Finish, HTTPError, RequestHandler

from app import Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Plain, SignIn
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


def browse(
    serve: Serve, page: type[RequestHandler], manager: SessionManager | None = None
) -> Browser:
    inside = Group("in", Route("", page), authenticated=True)
    routes = Group("/", Route("sign-in", SignIn), Route("open", page), inside, sessions=True)
    return serve(routes, manager or SessionManager(MemoryStore())).browser()


class ByHeader(RequestHandler):
    """Knows its users by a header; another's session is nobody here."""

    asked: list[str] = []  # noqa: RUF012 - emptied by the test

    def get_current_user(self) -> str | None:
        self.asked.append("asked")
        return self.request.headers.get("X-User")

    def get(self) -> None:
        self.write(f"hello {self.current_user} {self.current_user}")


@pytest.mark.gen_test
async def test_its_own_get_current_user_decides(serve: Serve) -> None:
    browser = browse(serve, ByHeader)
    assert (await browser.get("/in")).code == 401
    await browser.text("/sign-in")
    assert (await browser.get("/in")).code == 401
    ByHeader.asked.clear()
    assert await browser.text("/in", headers={"X-User": "grace"}) == "hello grace grace"
    assert ByHeader.asked == ["asked"]


class OwnAttributes(RequestHandler):
    """Sets what the mixin has as well."""

    def prepare(self) -> None:
        self.session = {"name": "own"}
        self.current_user = "own user"

    def get(self) -> None:
        self.write(f"{self.session['name']} {self.current_user}")


class OwnSessionProperty(RequestHandler):
    @property
    def session(self) -> dict[str, str]:
        return {"name": "own"}

    def get(self) -> None:
        self.write(f"{self.session['name']} {self.current_user}")


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("page", "text"), [(OwnAttributes, "own own user"), (OwnSessionProperty, "own None")]
)
async def test_its_own_session_and_user_stay(
    serve: Serve, page: type[RequestHandler], text: str
) -> None:
    browser = browse(serve, page)
    assert (await browser.get("/in")).code == 401
    await browser.text("/sign-in")
    assert await browser.text("/in") == await browser.text("/open") == text


class Answering(RequestHandler):
    """Answers as ?how= says; whatever it does, the guard must not be seen."""

    async def prepare(self) -> None:
        self.set_header("X-Prepared", "yes")
        if self.get_argument("how") == "prepare":
            self.redirect("/elsewhere")
        if self.get_argument("how") == "prepare-403":
            raise HTTPError(403)

    async def get(self) -> None:
        match self.get_argument("how"):
            case "finish":
                await self.finish("finished")
            case "raise":
                raise Finish("raised")
            case "stream":
                async for chunk in self.chunks():
                    self.write(chunk)
                    await self.flush()
            case "flush":
                self.write("a")
                self.flush()
                self.write("b")
                self.flush()
            case "empty":
                self.set_status(204)
            case "json":
                self.finish({"a": 1})
            case "500":
                raise KeyError("bug")
            case "vary":
                self.set_header("Vary", "Accept")
                self.write("varies")

    async def chunks(self) -> AsyncIterator[str]:
        for chunk in ("one ", "two ", "three"):
            yield chunk

    def flush(self, include_footers: bool = False) -> Any:
        self.set_header("X-Own-Flush", "yes")
        return super().flush(include_footers)

    def finish(self, chunk: Any = None) -> Any:
        self.set_header("X-Own-Finish", "yes")
        return super().finish(chunk)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write(f"own {status_code}")


WAYS = [
    "finish",
    "raise",
    "stream",
    "flush",
    "empty",
    "json",
    "500",
    "vary",
    "prepare",
    "prepare-403",
]


@pytest.mark.gen_test
@pytest.mark.parametrize("how", WAYS)
async def test_its_answers_stay(serve: Serve, how: str) -> None:
    """Behind the guard each answer is the same, but for what caches are told."""
    browser = browse(serve, Answering)
    await browser.text("/sign-in")
    free, guarded = [await browser.get(f"{path}?how={how}") for path in ("/open", "/in")]
    assert (guarded.code, guarded.body) == (free.code, free.body)
    told = dict(guarded.headers)
    vary = told.pop("Vary").split(",")
    assert vary.pop() == "Cookie"
    assert vary == free.headers.get_list("Vary")
    assert told.pop("Cache-Control") == "private, no-cache"
    expected = {k: v for k, v in free.headers.items() if k not in ("Vary", "Date")}
    assert {k: v for k, v in told.items() if k != "Date"} == expected


class SaysCaching(RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")

    def get(self) -> None:
        if self.get_argument("fail", ""):
            raise HTTPError(404)
        if said := self.get_argument("say", ""):
            self.set_header("Cache-Control", said)


class SaysCachingInInitialize(SaysCaching):
    def initialize(self) -> None:
        self.add_header("cache-control", "no-store")

    def set_default_headers(self) -> None:
        pass


@pytest.mark.gen_test
async def test_what_it_tells_caches_itself_stays(serve: Serve) -> None:
    for page, after_error in (
        (SaysCaching, "no-store"),
        (SaysCachingInInitialize, "private, no-cache"),  # Tornado clears what initialize said
    ):
        browser = browse(serve, page)
        await browser.text("/sign-in")
        for query, told in (
            ("", "no-store"),
            ("?say=public", "public"),
            ("?fail=1", after_error),
        ):
            response = await browser.get(f"/in{query}")
            assert response.headers.get_list("Cache-Control") == [told], query


@pytest.mark.gen_test
async def test_the_guard_extends_the_session_once(serve: Serve, clock: FakeClock) -> None:
    store = FaultyStore()
    browser = browse(serve, Plain, SessionManager(store, clock=clock))
    await browser.text("/sign-in")
    for _ in range(3):
        clock.advance(timedelta(hours=20).total_seconds())
        store.calls.clear()
        response = await browser.get("/in")
        assert (response.code, response.body) == (200, b"plain")
        assert "Set-Cookie" not in response.headers
        assert store.kinds == ["load", "Update"]
        await browser.text("/in")
        assert store.kinds == ["load"]


@pytest.mark.gen_test
@pytest.mark.parametrize("operation", ["load", "write"])
async def test_an_outage_is_503_at_the_guard(
    serve: Serve, clock: FakeClock, operation: str
) -> None:
    store = FaultyStore()
    browser = browse(serve, Plain, SessionManager(store, clock=clock))
    await browser.text("/sign-in")
    clock.advance(timedelta(hours=20).total_seconds())
    store.break_down(operation)
    response = await browser.get("/in", headers={"Accept": "text/html"})
    assert (response.code, response.headers["Retry-After"]) == (503, "1")
    assert response.headers["Vary"] == "Cookie"
    assert "Cache-Control" not in response.headers
    assert b"plain" not in response.body


@pytest.mark.gen_test
async def test_a_method_that_is_not_there_is_405(serve: Serve) -> None:
    browser = browse(serve, Plain)
    assert (await browser.post("/in")).code == 401
    await browser.text("/sign-in")
    assert (await browser.post("/in")).code == 405
    response = await browser.get("/in", method="BREW", allow_nonstandard_methods=True)
    assert response.code == 405


# self.session without the mixin, where the source does not tell


class Template(RequestHandler):
    def get(self) -> None:
        handler: Any = self
        match self.get_argument("do", ""):
            case "has":
                self.write(f"{hasattr(handler, 'session')} {getattr(handler, 'session', None)}")
            case "set":
                handler.session = "own"
                self.write(handler.session)
            case _:
                self.write(handler.session["name"])


@pytest.mark.gen_test
async def test_a_missing_session_is_explained(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    browser = browse(serve, Template)
    await browser.text("/sign-in")
    for path in ("/open", "/in"):
        caplog.clear()
        assert (await browser.get(path)).code == 500
        assert "Template has no session, which only SessionMixin gives; " in caplog.text
        assert "write class Template(SessionMixin, RequestHandler)" in caplog.text
        assert await browser.text(f"{path}?do=has") == "False None"
        assert await browser.text(f"{path}?do=set") == "own"
