"""Cookies that browsers would not send, or would send together, are found when built."""

from __future__ import annotations

from typing import Any

import pytest

from app import Config, ConfigurationError, Cookie, Group, Route, SessionManager, make_app
from stores import MemoryStore
from tests.helpers.pages import Page, Plain
from tests.routing.test_routing import Echo

PAGES = (Route("", Page), Route("page", Page))


def manager(**cookie: Any) -> SessionManager:
    return SessionManager(MemoryStore(), cookie=Cookie(**cookie))


def build(*groups: Group) -> None:
    make_app(Config(Group("/", *groups)))


TOGETHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({}, {"path": "/admin"}),
    ({"path": "/admin/shop"}, {"path": "/admin"}),
    ({"domain": "example.org"}, {}),
    ({"domain": "example.org"}, {"domain": "EXAMPLE.org"}),
    ({"domain": "example.org"}, {"domain": ".shop.example.org", "path": "/admin"}),
]


@pytest.mark.parametrize(("first", "second"), TOGETHER)
@pytest.mark.parametrize("turned", [False, True])
def test_one_name_that_is_sent_twice_is_refused(
    first: dict[str, Any], second: dict[str, Any], turned: bool
) -> None:
    groups = [
        Group("admin/shop", *PAGES, sessions=manager(**first)),
        Group("admin", *PAGES, sessions=manager(**second)),
    ]
    with pytest.raises(ConfigurationError) as raised:
        build(*(reversed(groups) if turned else groups))
    text = str(raised.value)
    assert text.startswith("group /admin")
    assert "browsers would send its cookie 'session'" in text
    assert "give one of them another name" in text


APART: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "one"}, {"name": "two"}),
    ({"path": "/a"}, {"path": "/ab"}),
    ({"domain": "one.example.org"}, {"domain": "two.example.org"}),
    ({"domain": "example.org"}, {"domain": "notexample.org"}),
]


@pytest.mark.parametrize(("first", "second"), APART)
def test_cookies_that_are_not_sent_together_are_fine(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    build(
        Group("a", *PAGES, sessions=manager(**first)),
        Group("ab", *PAGES, sessions=manager(**second)),
    )


@pytest.mark.parametrize(
    ("prefix", "path", "unsent"),
    [
        ("shop", "/shop/", "/shop"),
        ("shop", "/admin", "/shop"),
        ("shop", "/sho", "/shop"),
        ("shop", "/shop/page", "/shop"),
        ("shop", "/SHOP", "/shop"),
        ("/", "/shop", "/"),
        ("é", "/%C3%A9/", "/%C3%A9"),
        ("users/<id>", "/users/5", "/users/<id>"),
    ],
)
def test_a_cookie_that_is_not_sent_to_its_group_is_refused(
    prefix: str, path: str, unsent: str
) -> None:
    pages = (Route("", with_id(prefix)), Route("page", with_id(prefix)))
    with pytest.raises(ConfigurationError) as raised:
        build(Group(prefix, *pages, sessions=manager(path=path)))
    text = str(raised.value)
    assert f"browsers do not send the cookie 'session' with path {path!r} to {unsent};" in text


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("shop", "/shop"),
        ("shop", "/"),
        ("shop/cart", "/shop"),
        ("shop/cart", "/shop/"),
        ("é", "/%C3%A9"),
        ("users/<id>", "/users"),
    ],
)
def test_a_cookie_that_is_sent_to_all_its_group_is_fine(prefix: str, path: str) -> None:
    pages = (Route("", with_id(prefix)), Route("page", with_id(prefix)))
    build(Group(prefix, *pages, sessions=manager(path=path)))


def test_the_message_names_a_path_that_browsers_send() -> None:
    for prefix, mend in (("shop", "/shop"), ("users/<id>", "/users"), ("<id>/x", "/")):
        with pytest.raises(ConfigurationError, match=rf"write Cookie\(path='{mend}'\)"):
            build(Group(prefix, Route("", with_id(prefix)), sessions=manager(path="/none")))


def test_the_applications_manager_is_held_to_it_in_every_group() -> None:
    routes = Group(
        "/", Group("shop", *PAGES, sessions=True), Group("account", *PAGES, sessions=True)
    )
    with pytest.raises(ConfigurationError, match=r"^group /account: browsers do not send"):
        make_app(Config(routes, manager(path="/shop")))


def test_pages_without_sessions_need_no_cookie() -> None:
    """The root turns sessions on; what needs the cookie is below its path."""
    routes = Group("/", Route("about", Plain), Group("shop", *PAGES), sessions=True)
    make_app(Config(routes, manager(path="/shop")))
    guarded = Group("/", Route("about", Plain), *PAGES, sessions=True, authenticated=True)
    with pytest.raises(ConfigurationError, match="to /about;"):
        make_app(Config(guarded, manager(path="/shop")))


def with_id(prefix: str) -> type[Page]:
    """Return a page, one with a parameter where *prefix* has one."""

    class WithId(Page):
        get = Echo.get

    return WithId if "<" in prefix else Page
