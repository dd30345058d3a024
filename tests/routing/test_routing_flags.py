"""The flags of groups: inherited, overridden, and what a handler meets where sessions are off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app import Config, Group, Route, SessionManager, SessionMixin, make_app
from app.route_table import format_routes
from handlers.text import TextHandler
from stores import MemoryStore
from tests.helpers.pages import Keep, Plain, SignIn
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


class Flags(SessionMixin, TextHandler):
    """Answers what this route lets a handler do: "off", "read only" or "on"."""

    def get(self) -> None:
        try:
            self.session["seen"] = True
        except RuntimeError as error:
            self.write(type(error).__name__)
        else:
            self.write("on")


class Why(SessionMixin, TextHandler):
    """Answers the text of the error that self.session raises."""

    def get(self) -> None:
        with pytest.raises(RuntimeError) as raised:
            _ = self.session
        self.write(str(raised.value))


class Numbered(SessionMixin, TextHandler):
    def get(self, number: int) -> None:
        pass


class OwnUser(Plain):
    """Knows its users by a header."""

    def get_current_user(self) -> str | None:
        return self.request.headers.get("X-User")


class MixinWithOwnUser(SessionMixin, OwnUser):
    pass


PAGE = Route("flags", Flags)


def browse(serve: Serve, *children: Route | Group) -> Browser:
    """Serve a group with sessions at / that has *children*; return a browser."""
    pages = Group("", Route("keep", Keep), Route("sign-in", SignIn), sessions=True)
    routes = Group("/", pages, *children)
    return serve(routes, SessionManager(MemoryStore())).browser()


@pytest.mark.gen_test
async def test_sessions_are_off_by_default(serve: Serve) -> None:
    assert await browse(serve, PAGE).text("/flags") == "SessionsOff"


@pytest.mark.gen_test
async def test_sessions_are_inherited_and_overridden_by_inner_groups(serve: Serve) -> None:
    inner = Group("inner", PAGE, Group("innermost", PAGE))
    off = Group("off", PAGE, Group("still", PAGE), Group("again", PAGE, sessions=True))
    off.sessions = False
    browser = browse(serve, Group("on", PAGE, inner, off, sessions=True), Group("beside", PAGE))
    for path, answer in {
        "/on": "on",
        "/on/inner": "on",
        "/on/inner/innermost": "on",
        "/on/off": "SessionsOff",
        "/on/off/still": "SessionsOff",
        "/on/off/again": "on",
        "/beside": "SessionsOff",
    }.items():
        assert await browser.text(f"{path}/flags") == answer, path


@pytest.mark.gen_test
async def test_read_only_is_inherited_and_overridden_by_inner_groups(serve: Serve) -> None:
    browser = browse(
        serve,
        Group(
            "on",
            PAGE,
            Group(
                "ro",
                PAGE,
                Group("inner", PAGE),
                Group("rw", PAGE, read_only=False),
                read_only=True,
            ),
            sessions=True,
        ),
    )
    for path, answer in {
        "/on": "on",
        "/on/ro": "SessionReadOnly",
        "/on/ro/inner": "SessionReadOnly",
        "/on/ro/rw": "on",
    }.items():
        assert await browser.text(f"{path}/flags") == answer, path


@pytest.mark.gen_test
async def test_authenticated_is_inherited_and_overridden(serve: Serve) -> None:
    plain = Route("plain", Plain)
    browser = browse(
        serve,
        Group(
            "in",
            plain,
            Group("inner", plain),
            Group("open", plain, authenticated=False),
            sessions=True,
            authenticated=True,
        ),
    )
    expected = {"/in": 401, "/in/inner": 401, "/in/open": 200}
    for path, status in expected.items():
        assert (await browser.get(f"{path}/plain")).code == status, path
    await browser.text("/sign-in")
    for path in expected:
        assert (await browser.get(f"{path}/plain")).code == 200, path


@pytest.mark.gen_test
async def test_authenticated_holds_through_groups_without_sessions(serve: Serve) -> None:
    """It holds through a group without sessions, in the one that turns them on again."""
    plain = Route("plain", Plain)
    again = Group("again", plain, PAGE, sessions=True)
    middle = Group("off", again, sessions=False)
    outer = Group("in", middle, sessions=True, authenticated=True, read_only=True)
    browser = browse(serve, outer)
    assert (await browser.get("/in/off/again/plain")).code == 401
    await browser.text("/sign-in")
    assert await browser.text("/in/off/again/flags") == "SessionReadOnly"


@pytest.mark.gen_test
async def test_a_handler_with_its_own_users_needs_no_sessions(serve: Serve) -> None:
    own, with_mixin = Route("own", OwnUser), Route("mixin", MixinWithOwnUser)
    off = Group("off", own, with_mixin, sessions=False)
    routes = (Group("in", own, with_mixin, authenticated=True), Group("on", off, sessions=True))
    routes[1].authenticated = True
    browser = browse(serve, *routes)
    await browser.text("/sign-in")
    for path in ("/in/own", "/in/mixin", "/on/off/own", "/on/off/mixin"):
        response = await browser.get(path)
        assert (response.code, response.headers["Vary"]) == (401, "Cookie"), path
        assert response.headers["WWW-Authenticate"] == 'Cookie realm="login"'
        assert await browser.text(path, headers={"X-User": "ada"}) == "plain"


@pytest.mark.gen_test
async def test_read_only_never_writes_and_sends_no_cookie(serve: Serve) -> None:
    store = SpyStore()
    routes = Group(
        "/",
        Route("keep", Keep),
        Group("ro", PAGE, read_only=True),
        sessions=True,
    )
    browser = serve(routes, SessionManager(store)).browser()
    await browser.text("/keep")
    store.calls.clear()
    response = await browser.get("/ro/flags")
    assert response.body == b"SessionReadOnly"
    assert "Set-Cookie" not in response.headers
    assert store.kinds == ["load"]


@pytest.mark.gen_test
async def test_an_unknown_cookie_is_401_and_left_alone(serve: Serve) -> None:
    routes = Group(
        "/",
        Route("keep", Keep),
        Group("in", Route("plain", Plain), authenticated=True),
        sessions=True,
    )
    manager = SessionManager(MemoryStore())
    site = serve(routes, manager)
    browser = site.browser()
    browser.cookies["session"] = "A" * 54
    assert (await browser.get("/in/plain")).code == 401
    assert browser.cookies == {"session": "A" * 54}


@pytest.mark.gen_test
async def test_sessions_off_is_an_error_that_names_the_flag(serve: Serve) -> None:
    """The error where sessions are off names the group and the flag."""
    why = Route("why", Why)
    browser = browse(
        serve,
        why,
        Group("a", Group("b", why), sessions=None),
        Group("c", why, Group("d", why), sessions=False),
    )
    for path, group, culprit in (
        ("/why", "group /,", "no group turns them on"),
        ("/a/b/why", "group /a/b,", "no group turns them on"),
        ("/c/why", "group /c,", "sessions=False on group /c"),
        ("/c/d/why", "group /c/d,", "sessions=False on group /c;"),
    ):
        text = await browser.text(path)
        assert group in text, path
        assert culprit in text, path
        assert f"set sessions=True on {group[:-1]}" in text, path


def test_the_tree_shows_methods_paths_handlers_names_and_flags() -> None:
    routes = Group(
        "/",
        Route("plain", Plain),
        Group(
            "in",
            Route("<int:number>", Numbered),
            Route("keep", Keep, name="keep"),
            Group("off", Route("", Plain), sessions=False),
            Group("ro", Route("", Keep), read_only=True, authenticated=True),
            Group("own", Route("", OwnUser), sessions=False, authenticated=True),
            Group("fresh", Route("", Keep), fresh=timedelta(minutes=15)),
            sessions=True,
        ),
    )
    application = make_app(Config(routes, SessionManager(MemoryStore())))
    lines = format_routes(application.endpoints).splitlines()
    columns = [lines[0].index(word) for word in lines[0].split()]
    table = [
        tuple(line[a:b].strip() for a, b in zip(columns, [*columns[1:], None], strict=True))
        for line in lines
    ]
    assert table[0] == ("METHODS", "PATH", "HANDLER", "NAME", "SESSIONS")
    assert table[1] == ("GET", "/plain", "tests.helpers.pages.Plain", "-", "off")
    on = "on (cookie session, by group /in)"
    paths = ["/in/<int:number>", "/in/keep", "/in/off", "/in/ro", "/in/own", "/in/fresh"]
    assert [row[1] for row in table[2:]] == paths
    assert [row[3] for row in table[2:]] == ["-", "keep", "-", "-", "-", "-"]
    off = "off (sessions=False on /in/off)"
    own = "off (sessions=False on /in/own), authenticated"
    assert [row[4] for row in table[2:]] == [
        *(on, on, off, f"{on}, read_only, authenticated", own),
        f"{on}, authenticated, fresh (0:15:00)",
    ]


def test_the_table_shows_what_answers_any_other_path() -> None:
    settings = {"default_handler_class": Keep}
    root = Group("/", Route("", Keep), sessions=True, read_only=True)
    config = Config(root, SessionManager(MemoryStore()), settings)
    line = format_routes(config.endpoints, config.default).splitlines()[-1]
    assert line.split()[1:3] == ["(any", "other)"]
    assert line.endswith("on (cookie session, by group /), read_only")
