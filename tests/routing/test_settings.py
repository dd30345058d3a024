"""Tornado's settings beside the routes: what could not work is found when the app is built."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import Config, ConfigurationError, Cookie, Group, Route, SessionManager, make_app
from stores import MemoryStore
from tests.helpers.pages import Page, Plain
from tests.helpers.site import Site
from tests.routing.test_routing import Echo

Serve = Callable[..., Site]


def build(*routes: Route, cookie: Cookie | None = None, **settings: Any) -> None:
    """Build an application whose root takes signed-in users only."""
    root = Group("/", *routes, sessions=True, authenticated=True)
    make_app(Config(root, SessionManager(MemoryStore(), cookie=cookie), settings))


@pytest.mark.parametrize("url", [5, 0, "login", "?login", "http://[", b"/login"], ids=repr)
def test_a_login_url_that_leads_nowhere_is_refused(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"login_url is .* begins with /, or a whole URL"):
        build(Route("page", Page), login_url=url)


@pytest.mark.parametrize("url", ["/é/page", "/%c3%A9/page", "/%C3%A9/p%61ge"])
def test_a_login_url_is_read_as_browsers_send_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the setting login_url leads to /é/page"):
        build(Route("é/page", Page), login_url=url)


def test_a_relative_login_url_is_tornados_where_no_group_guards() -> None:
    make_app(Config(Group("/", Route("page", Plain)), settings={"login_url": "login"}))


@pytest.mark.parametrize("settings", [{}, {"xsrf_cookies": True}])
def test_a_session_cookie_of_the_xsrf_cookies_name_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="'_xsrf': Tornado's XSRF cookie has that name"):
        build(Route("page", Page), cookie=Cookie(name="_xsrf"), **settings)
    renamed: dict[str, Any] = {"xsrf_cookie_name": "form"}
    build(Route("page", Page), cookie=Cookie(name="_xsrf"), **settings, **renamed)
    with pytest.raises(ConfigurationError, match="'form': Tornado's XSRF cookie has that name"):
        build(Route("page", Page), cookie=Cookie(name="form"), **settings, **renamed)


@pytest.mark.parametrize("path", ["static/x", "static/<name>", "favicon.ico", "robots.txt"])
def test_a_route_that_static_files_hide_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^group /: /.* is never reached: .* static_path"):
        build(Route(path, Echo), static_path=str(tmp_path))
    build(Route(path, Echo))


def test_a_static_prefix_of_its_own_counts(tmp_path: Path) -> None:
    files: dict[str, Any] = {"static_path": str(tmp_path), "static_url_prefix": "/files/"}
    build(Route("static/x", Plain), **files)
    with pytest.raises(ConfigurationError, match="/files/x is never reached"):
        build(Route("files/x", Plain), **files)


@pytest.mark.gen_test
async def test_public_files_in_a_guarded_root_are_told_of(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The root's flag guards none of Tornado's own routes."""
    (tmp_path / "x.txt").write_text("for all")
    caplog.set_level(logging.INFO)
    root = Group("/", Route("me", Page), sessions=True, authenticated=True)
    site = serve(root, SessionManager(MemoryStore()), static_path=str(tmp_path))
    assert (await site.fetch("/static/x.txt")).body == b"for all"
    assert (await site.fetch("/me")).code == 401
    assert "the files of the setting static_path are public at /static/" in caplog.text


def test_arguments_of_another_type_name_what_is_wrong() -> None:
    none: Any = None
    with pytest.raises(ConfigurationError, match=r"settings of Config are None; they are a dict"):
        Config(Group("/"), settings=none)
    with pytest.raises(ConfigurationError, match=r"^group /: route 'x' has None for its kwargs"):
        build(Route("x", Page, kwargs=none))
    number: Any = 5
    with pytest.raises(ConfigurationError, match=r"^group /: route 'x' has 5 for its name"):
        build(Route("x", Page, name=number))
