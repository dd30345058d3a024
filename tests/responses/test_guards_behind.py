"""Guards of base classes run, whether they are before the mixin or behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tornado import gen
from tornado.httputil import HTTPServerRequest
from tornado.web import Finish, HTTPError, RequestHandler

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import SignIn, kept, open_page
from tests.helpers.site import Site

Serve = Callable[..., Site]

RAN: list[str] = []
"""What of a page ran in this test."""


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    RAN.clear()
    return RAN


# Guards behind the mixin


class Guards(RequestHandler):
    """Lets in whoever sends X-Key; sends whoever asks for it to /elsewhere."""

    def prepare(self) -> None:
        RAN.append("guard")
        if self.get_argument("away", ""):
            self.redirect("/elsewhere")
        elif "X-Key" not in self.request.headers:
            raise HTTPError(403)


class GuardsAsync(Guards):
    async def prepare(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().prepare()


class GuardsByCoroutine(Guards):
    @gen.coroutine
    def prepare(self) -> Generator[Any, Any, None]:  # type: ignore[override]
        yield gen.moment
        super().prepare()


class GuardsDeeply(GuardsAsync):
    """A class between that says nothing."""


class GuardsFarBehind(GuardsDeeply):
    async def prepare(self) -> None:  # type: ignore[override]
        RAN.append("outer")
        await super().prepare()


GUARDS = [Guards, GuardsAsync, GuardsByCoroutine, GuardsDeeply, GuardsFarBehind]


class Get:
    def get(self: Any) -> None:
        RAN.append("get")
        self.session["kept"] = "after"
        self.write("opened")


class OwnPrepare:
    async def prepare(self) -> None:
        await super().prepare()  # type: ignore[misc]
        RAN.append("own")


def private(guard: type[RequestHandler], *before: type) -> type[RequestHandler]:
    return type("Private", (Get, *before, SessionMixin, guard), {})


@pytest.mark.gen_test
@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("before", [(), (OwnPrepare,)], ids=["", "own prepare"])
@pytest.mark.parametrize("authenticated", [None, True])
async def test_a_guard_behind_the_mixin_runs(
    serve: Serve,
    guard: type[RequestHandler],
    before: tuple[type, ...],
    authenticated: bool | None,
) -> None:
    page = private(guard, *before)
    inside = Group("in", Route("", page), authenticated=authenticated)
    routes = Group("/", Route("sign-in", SignIn), inside, sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    if authenticated:
        assert (await browser.get("/in", headers={"X-Key": "1"})).code == 401
        assert RAN == []
        await browser.text("/sign-in")
    assert (await browser.get("/in")).code == 403
    response = await browser.get("/in?away=1")
    assert (response.code, response.headers["Location"]) == (302, "/elsewhere")
    assert RAN.count("guard") == 2
    assert "get" not in RAN
    assert await browser.text("/in", headers={"X-Key": "1"}) == "opened"
    assert RAN[-2:] == [("own" if before else "guard"), "get"]


@pytest.mark.gen_test
async def test_a_guard_before_the_mixin_runs(serve: Serve) -> None:
    class GuardsFirst:
        request: HTTPServerRequest

        async def prepare(self) -> None:
            RAN.append("guard")
            await super().prepare()  # type: ignore[misc]
            if "X-Key" not in self.request.headers:
                raise HTTPError(403)

    page = type("Private", (Get, GuardsFirst, SessionMixin, RequestHandler), {})
    browser = open_page(serve, page)
    assert (await browser.get("/page")).code == 403
    assert await kept(browser) == "nothing"
    assert await browser.text("/page", headers={"X-Key": "1"}) == "opened"
    assert await kept(browser) == "after"
    assert RAN == ["guard", "guard", "get"]


@pytest.mark.gen_test
async def test_a_guard_behind_runs_where_sessions_are_off(serve: Serve) -> None:
    class Off(SessionMixin, GuardsAsync):  # type: ignore[misc]
        def get(self) -> None:
            self.write("opened")

    browser = serve(Group("/", Route("page", Off))).browser()
    assert (await browser.get("/page")).code == 403
    assert await browser.text("/page", headers={"X-Key": "1"}) == "opened"


class KnowsUsers(RequestHandler):
    def get_current_user(self) -> Any:
        return self.request.headers.get("X-User")


class KnowsUsersDeeply(KnowsUsers):
    pass


class KnowsUsersStatically(RequestHandler):
    @staticmethod
    def get_current_user() -> Any:
        return "static"


@pytest.mark.gen_test
async def test_get_current_user_behind_the_mixin_counts(serve: Serve) -> None:
    class Shows(SessionMixin, KnowsUsersDeeply):
        def get(self) -> None:
            self.write(str(self.current_user))

    class ShowsStatic(SessionMixin, KnowsUsersStatically):
        def get(self) -> None:
            self.write(str(self.current_user))

    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Route("page", Shows),
        Route("static", ShowsStatic),
        Group("in", Route("", Shows), authenticated=True),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/sign-in")
    assert await browser.text("/page") == "None"
    assert (await browser.get("/in")).code == 401
    for path in ("/page", "/in"):
        assert await browser.text(path, headers={"X-User": "grace"}) == "grace"
    assert await browser.text("/static") == "static"


# Answers that a class behind the mixin completes


class Envelopes(RequestHandler):
    """Puts what is answered into an envelope, and fills an empty answer."""

    def finish(self, chunk: Any = None) -> Any:
        finished = super().finish({"data": chunk, "left": RAN.count("left")})
        RAN.append("left")
        return finished


class AnswersBehind(SessionMixin, Envelopes):
    def get(self) -> Any:
        self.session["kept"] = "after"
        match self.get_argument("how"):
            case "finish":
                return self.finish({"a": 1})
            case "list":
                return self.finish([1, 2])
            case "raise":
                raise Finish("raised")
            case "twice":
                self.finish("once")
                self.finish("twice")
            case "wrong":
                self.finish(object())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish(str(status_code))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("how", "data"),
    [
        ("finish", {"a": 1}),
        ("list", [1, 2]),
        ("raise", "raised"),
        ("nothing", None),
    ],
)
async def test_a_class_behind_gets_what_is_answered(
    serve: Serve, ran: list[str], how: str, data: Any
) -> None:
    browser = open_page(serve, AnswersBehind)
    for _ in range(2):  # the second time there is nothing to save
        ran.clear()
        assert json.loads(await browser.text(f"/page?how={how}")) == {"data": data, "left": 0}
        assert ran == ["left"]
    assert await kept(browser) == "after"


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["twice", "wrong"])
async def test_an_answer_that_fails_behind_saves_nothing(serve: Serve, how: str) -> None:
    browser = open_page(serve, AnswersBehind)
    response = await browser.get(f"/page?how={how}")
    assert response.code == 500
    assert json.loads(response.body)["data"] == "500"
    assert await kept(browser) == "nothing"
