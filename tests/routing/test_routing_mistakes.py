"""Mistakes in the tree are found when the application is built, and each error names the group."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tornado.web import RequestHandler, StaticFileHandler

from app import Config, ConfigurationError, Cookie, Group, Route, SessionManager, make_app
from app import SessionMixin as Mixin
from stores import MemoryStore
from tests.helpers.pages import Page, Plain


class WithParameter(RequestHandler):
    def get(self, id: int) -> None:
        self.write(str(id))


class WithSecondVerb(WithParameter):
    def delete(self) -> None:
        pass


class WithWord(RequestHandler):
    def initialize(self, word: str) -> None:
        self.word = word

    def get(self) -> None:
        self.write(self.word)


class KnowsItsUser(Plain):
    def get_current_user(self) -> str:
        return "ada"


MINUTE = timedelta(minutes=1)


def manager(**cookie: Any) -> SessionManager:
    return SessionManager(MemoryStore(), cookie=Cookie(**cookie))


def build(*children: Any, default: Any = None, **flags: Any) -> None:
    """Build an application of /top/inner with *children* and *flags*; *default* is its manager."""
    make_app(Config(Group("/top", Group("inner", *children, **flags)), default))


def any_verb(*names: str) -> type[RequestHandler]:
    """Return a handler that takes these parameters."""

    class Any_(RequestHandler):  # noqa: N801
        def get(self, **arguments: object) -> None:
            pass

    return Any_


MISTAKES: list[tuple[str, Callable[[], None], str]] = [
    (
        "duplicate path",
        lambda: build(Route("a", Plain), Route("/a", Plain)),
        "/top/inner/a is declared twice",
    ),
    (
        "duplicate path by other parameter names",
        lambda: build(Route("<a>", any_verb("a")), Route("<b>", any_verb("b"))),
        "is declared twice",
    ),
    (
        "duplicate path across groups",
        lambda: build(Route("b/a", Plain), Group("b", Route("a", Plain))),
        "/top/inner/b/a is declared twice",
    ),
    (
        "literal behind a parameter",
        lambda: build(Route("<a>", any_verb("a")), Route("me", Plain)),
        "/top/inner/me is never reached: /top/inner/<a> comes first",
    ),
    (
        "literal behind a path",
        lambda: build(Route("<path:a>", any_verb("a")), Route("x/me", Plain)),
        "is never reached: /top/inner/<path:a> comes first",
    ),
    (
        "parameter behind a path",
        lambda: build(Route("<path:a>", any_verb("a")), Route("<b>", any_verb("b"))),
        "is never reached: /top/inner/<path:a> comes first",
    ),
    (
        "converted parameter behind one that takes all",
        lambda: build(Route("<a>", any_verb("a")), Route("<int:b>", any_verb("b"))),
        "is never reached: /top/inner/<a> comes first",
    ),
    ("unknown converter", lambda: build(Route("<float:a>", Plain)), "unknown converter 'float'"),
    ("bad parameter name", lambda: build(Route("<1a>", Plain)), "'1a' is not a parameter name"),
    ("no parameter name", lambda: build(Route("<>", Plain)), "is not a parameter name"),
    (
        "parameter twice",
        lambda: build(Route("<a>/<a>", any_verb("a"))),
        "the parameter 'a' is declared twice",
    ),
    ("bracket left open", lambda: build(Route("<a", Plain)), "cannot stand there"),
    ("query in a path", lambda: build(Route("a?b=c", Plain)), "cannot stand there"),
    (
        "mixin behind RequestHandler",
        lambda: build(Route("a", type("Wrong", (RequestHandler, Mixin), {}))),
        "Wrong has SessionMixin behind RequestHandler",
    ),
    (
        "mixin behind a derived handler",
        lambda: build(Route("a", type("Wrong", (Plain, Mixin), {}))),
        "write class Wrong(SessionMixin, Plain)",
    ),
    (
        "mixin between a derived handler and RequestHandler",
        lambda: build(Route("a", type("Wrong", (Plain, Mixin, RequestHandler), {}))),
        "write class Wrong(SessionMixin, Plain, RequestHandler)",
    ),
    (
        "mixin behind RequestHandler in a base",
        lambda: build(Route("a", type("Page", (type("Wrong", (Plain, Mixin), {}),), {}))),
        "Page has SessionMixin behind RequestHandler; write class Wrong(SessionMixin, Plain)",
    ),
    (
        "two managers with one cookie",
        lambda: build(
            Group("one", Route("a", Plain), sessions=manager()),
            Group("two", Route("b", Plain), sessions=manager()),
        ),
        "browsers would send its cookie 'session' with path '/' together with that of group "
        "/top/inner/one",
    ),
    ("bad sessions flag", lambda: build(sessions="yes"), "sessions is 'yes'"),
    (
        "a store in the manager's place",
        lambda: build(Route("a", Page), sessions=True, default=MemoryStore()),
        "give it sessions=SessionManager(",
    ),
    (
        "a store in the place of a flag",
        lambda: build(Route("a", Page), sessions=MemoryStore()),
        "it is True, False, None or a SessionManager",
    ),
    ("bad read_only flag", lambda: build(read_only="yes"), "read_only is 'yes'"),
    ("bad authenticated flag", lambda: build(authenticated="no"), "authenticated is 'no'"),
    (
        "authenticated without sessions",
        lambda: build(Route("a", Plain), authenticated=True),
        "authenticated=True, but sessions are off and Plain has no get_current_user() of its own",
    ),
    (
        "authenticated without sessions, with the mixin",
        lambda: build(Route("a", Page), authenticated=True),
        "authenticated=True, but sessions are off",
    ),
    (
        "authenticated inherited into a group without sessions",
        lambda: build(
            Group("off", Route("a", Plain), sessions=False), sessions=manager(), authenticated=True
        ),
        "group /top/inner/off: authenticated=True, but sessions are off",
    ),
    ("read_only without sessions", lambda: build(read_only=True), "sessions are off"),
    (
        "authenticated where sessions were turned off",
        lambda: build(
            Group("off", Route("a", Plain), sessions=False, authenticated=True), sessions=manager()
        ),
        "authenticated=True, but sessions are off",
    ),
    (
        "fresh without sessions",
        lambda: build(Route("a", Page), fresh=MINUTE),
        "group /top/inner: fresh=0:01:00, but sessions are off, and only a session knows when",
    ),
    (
        "fresh without sessions, with a user of the handler's own",
        lambda: build(Route("a", KnowsItsUser), fresh=MINUTE),
        "set sessions=True, or fresh=False",
    ),
    (
        "fresh inherited into a group without sessions",
        lambda: build(
            Group("off", Route("a", Plain), sessions=False), sessions=manager(), fresh=MINUTE
        ),
        "group /top/inner/off: fresh=0:01:00, but sessions are off",
    ),
    (
        "fresh and not authenticated",
        lambda: build(Route("a", Page), sessions=manager(), fresh=MINUTE, authenticated=False),
        "group /top/inner: authenticated=False, but fresh=0:01:00 takes signed-in users only",
    ),
    (
        "fresh inherited into a group for everybody",
        lambda: build(
            Group("open", Route("a", Page), authenticated=False), sessions=manager(), fresh=MINUTE
        ),
        "group /top/inner/open: authenticated=False, but fresh=0:01:00 takes signed-in users only; "
        "set fresh=False, too",
    ),
    *(
        (
            f"fresh of {value!r}",
            lambda value=value: build(Route("a", Page), sessions=manager(), fresh=value),
            f"group /top/inner: fresh is {value!r}; it is a timedelta above zero, False or None",
        )
        for value in (True, 900, "15m", timedelta(0), timedelta(-1), 0)
    ),
    (
        "duplicate name",
        lambda: build(Route("a", Plain, name="same"), Route("b", Plain, name="same")),
        "/top/inner/b the name 'same' is already used by /top/inner/a",
    ),
    ("handler that is none", lambda: build(Route("a", dict)), "for a handler"),  # type: ignore[arg-type]
    ("child that is none", lambda: build(("a", Plain)), "is neither a Route nor a Group"),
]


@pytest.mark.parametrize(
    ("mistake", "text"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_is_an_error_that_names_the_group(mistake: Callable[[], None], text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        mistake()
    assert text in str(raised.value)
    assert "group /top/inner" in str(raised.value)


MISFITS = {
    "arguments that initialize does not take": (
        Route("a", Plain, kwargs={"word": "hi"}),
        "Plain.initialize()",
    ),
    "arguments that initialize misses": (Route("a", WithWord), "WithWord.initialize()"),
    "static files without a directory": (
        Route("<path:path>", StaticFileHandler),
        "StaticFileHandler.initialize()",
    ),
    "parameter that the verb does not take": (Route("<name>", Plain), "Plain.get()"),
    "parameter of another name": (Route("<number>", WithParameter), "WithParameter.get()"),
    "verb that misses its parameter": (Route("a", WithParameter), "WithParameter.get()"),
    "second verb that does not take it": (
        Route("<int:id>", WithSecondVerb),
        "WithSecondVerb.delete()",
    ),
}


@pytest.mark.parametrize(("route", "method"), MISFITS.values(), ids=MISFITS)
def test_a_route_must_fit_its_handlers_methods(route: Route, method: str) -> None:
    with pytest.raises(ConfigurationError, match="group /top/inner") as raised:
        build(route)
    assert f"does not fit {method}" in str(raised.value)


def test_sessions_without_a_manager_names_the_group() -> None:
    routes = Group("/top", Group("inner", Route("a", Page), sessions=True))
    with pytest.raises(ConfigurationError) as raised:
        make_app(Config(routes))
    assert "group /top/inner: sessions=True, but the Config has no manager" in str(raised.value)


def test_a_host_cookie_with_a_domain_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="'__Host-id': a __Host- name allows no Domain"):
        manager(name="__Host-id", domain="example.org")


def test_one_manager_in_two_groups_is_fine() -> None:
    shared = manager()
    build(
        Group("one", Route("a", Plain), sessions=shared),
        Group("two", Route("b", Plain), sessions=shared),
    )


def test_routes_in_the_right_order_are_fine() -> None:
    build(
        Route("me", Plain),
        Route("<int:a>", any_verb("a")),
        Route("<uuid:a>", any_verb("a")),
        Route("<a>", any_verb("a")),
        Route("<path:a>", any_verb("a")),
    )
