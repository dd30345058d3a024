"""Who comes in to an `authenticated` group, where the handler has ways of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tornado import gen
from tornado.web import RequestHandler

from app import ConfigurationError, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import SignIn
from tests.helpers.site import Browser, Site

Serve = Callable[..., Site]


def browse(serve: Serve, page: type[RequestHandler], *, sessions: bool = True) -> Browser:
    inside = Group("in", Route("", page), authenticated=True, sessions=sessions)
    routes = Group("/", Route("sign-in", SignIn), Route("open", page), inside, sessions=True)
    return serve(routes, SessionManager(MemoryStore())).browser()


# A preflight that becomes another method


class Overrides(RequestHandler):
    """Takes the method from a header, as behind old proxies."""

    ran: list[str] = []  # noqa: RUF012 - emptied by the test

    def prepare(self) -> None:
        self.request.method = self.request.headers.get("X-Method", self.request.method)

    def options(self) -> None:
        self.ran.append("options")

    def delete(self) -> None:
        self.ran.append("delete")

    purge = delete


class OverridesAndKnowsUsers(Overrides):
    def get_current_user(self) -> str | None:
        return self.request.headers.get("X-User")


class OverridesWithMixin(SessionMixin, Overrides):  # type: ignore[misc]
    pass


class OverridesWithMixinAndKnowsUsers(SessionMixin, OverridesAndKnowsUsers):  # type: ignore[misc]
    pass


OVERRIDES = [
    (Overrides, True),
    (OverridesAndKnowsUsers, True),
    (OverridesAndKnowsUsers, False),
    (OverridesWithMixin, True),
    (OverridesWithMixinAndKnowsUsers, False),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "sessions"), OVERRIDES)
async def test_a_preflight_opens_no_other_method(
    serve: Serve, page: type[Overrides], sessions: bool
) -> None:
    Overrides.ran.clear()
    browser = browse(serve, page, sessions=sessions)
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    assert (await browser.get("/in", method="OPTIONS", headers=preflight)).code == 200
    assert Overrides.ran == ["options"]
    for method in ("DELETE", "delete", "PURGE"):
        headers = {**preflight, "X-Method": method}
        response = await browser.get("/in", method="OPTIONS", headers=headers)
        assert response.code == 401
        assert "WWW-Authenticate" in response.headers
    assert Overrides.ran == ["options"]
    await browser.text("/sign-in")
    headers = {"X-Method": "DELETE", "X-User": "ada"}
    assert (await browser.get("/in", headers=headers)).code == 200
    assert Overrides.ran == ["options", "delete"]


# A coroutine for a user


class Asynchronous(RequestHandler):
    async def get_current_user(self) -> None:
        """Return nobody."""

    def get(self) -> None:
        self.write("opened")


class AsynchronousByTornado(RequestHandler):
    @gen.coroutine
    def get_current_user(self) -> Generator[Any, Any, None]:
        yield gen.moment

    get = Asynchronous.get


class AsynchronousProperty(RequestHandler):
    @property  # type: ignore[misc]
    async def current_user(self) -> None:
        """Return nobody."""

    get = Asynchronous.get


def with_mixin(page: type[RequestHandler]) -> type[RequestHandler]:
    return type(f"{page.__name__}WithMixin", (SessionMixin, page), {})


@pytest.mark.parametrize("page", [Asynchronous, AsynchronousByTornado, AsynchronousProperty])
@pytest.mark.parametrize("mixin", [False, True])
def test_a_coroutine_for_a_user_is_refused(
    serve: Serve, page: type[RequestHandler], mixin: bool
) -> None:
    routes = [Group("/", Route("", page), sessions=True, authenticated=True)]
    if mixin:
        page = with_mixin(page)
        routes.append(Group("/", Route("", page), sessions=True))
        routes.append(Group("/", Route("", page), authenticated=True))
    for group in routes:
        with pytest.raises(ConfigurationError, match="takes its user from the coroutine"):
            serve(group, SessionManager(MemoryStore()))


def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(self: RequestHandler) -> Any:
        return method(self)

    return wrapper


class AsynchronousInDisguise(Asynchronous):
    get_current_user = wrapped(Asynchronous.get_current_user)


class AsynchronousInstance(Asynchronous):
    get_current_user = RequestHandler.get_current_user

    def initialize(self) -> None:
        setattr(self, "get_current_user", self.nobody)  # noqa: B010

    async def nobody(self) -> None:
        """Return nobody."""


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [AsynchronousInDisguise, AsynchronousInstance])
@pytest.mark.parametrize("mixin", [False, True])
async def test_an_awaitable_for_a_user_lets_nobody_in(
    serve: Serve, caplog: pytest.LogCaptureFixture, page: type[RequestHandler], mixin: bool
) -> None:
    browser = browse(serve, with_mixin(page) if mixin else page)
    for path in ("/sign-in", "/in"):
        response = await browser.get(path)
    assert response.code == 500
    assert b"opened" not in response.body
    assert "has an awaitable (coroutine) for its current user" in caplog.text


# Other ways to know a user


class ByProperty(RequestHandler):
    @property  # type: ignore[misc]
    def current_user(self) -> str | None:
        return self.request.headers.get("X-User")

    def get(self) -> None:
        self.write(str(self.current_user))


class ByCachedProperty(ByProperty):
    @functools.cached_property
    def current_user(self) -> str | None:
        return self.request.headers.get("X-User")


class ByInstance(RequestHandler):
    def initialize(self) -> None:
        setattr(self, "get_current_user", lambda: self.request.headers.get("X-User"))  # noqa: B010

    get = ByProperty.get


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [ByProperty, ByCachedProperty, ByInstance])
@pytest.mark.parametrize("mixin", [False, True])
async def test_whom_a_handler_knows_in_its_way_comes_in(
    serve: Serve, page: type[RequestHandler], mixin: bool
) -> None:
    """Whoever has a session is nobody to it."""
    browser = browse(serve, with_mixin(page) if mixin else page)
    await browser.text("/sign-in")
    assert (await browser.get("/in")).code == 401
    assert await browser.text("/open") == "None"
    assert await browser.text("/in", headers={"X-User": "grace"}) == "grace"


@pytest.mark.gen_test
@pytest.mark.parametrize("mixin", [False, True])
async def test_a_property_needs_no_sessions(serve: Serve, mixin: bool) -> None:
    page = with_mixin(ByProperty) if mixin else ByProperty
    browser = browse(serve, page, sessions=False)
    assert (await browser.get("/in")).code == 401
    assert await browser.text("/in", headers={"X-User": "grace"}) == "grace"
