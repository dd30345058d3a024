"""`current_user` follows the session: within a request, on its error page, on an open socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from tornado.httpclient import HTTPRequest
from tornado.web import HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketHandler, websocket_connect

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Keep, Page, SignIn, open_page
from tests.helpers.site import Site

Serve = Callable[..., Site]


class Follows(Page):
    """Does what ?do= says, and tells who the user is, before and after each step."""

    def get(self) -> None:
        seen = [self.current_user]
        for step in self.get_arguments("do"):
            match step.split():
                case ["sign-in", user]:
                    self.session.sign_in(user)
                case ["sign-out"]:
                    self.session.sign_out()
                case ["destroy"]:
                    self.session.destroy()
                case ["fail", status]:
                    raise HTTPError(int(status))
            seen.append(self.current_user)
        self.write(json.dumps(seen))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write(f"{status_code} for {self.current_user}")


def path(*words: str) -> str:
    return "/page?" + "&".join("do=" + word.replace(" ", "+") for word in words)


@pytest.mark.gen_test
async def test_it_follows_within_a_request(serve: Serve) -> None:
    browser = open_page(serve, Follows)
    text = await browser.text(path("sign-in ada", "sign-out", "sign-in bob", "sign-in ada"))
    assert json.loads(text) == [None, "ada", None, "bob", "ada"]
    assert json.loads(await browser.text(path("destroy", "sign-in ada"))) == ["ada", None, "ada"]


@pytest.mark.gen_test
async def test_an_error_page_shows_the_user_that_was_saved(serve: Serve) -> None:
    """After a server error it is who was signed in before, for nothing was saved."""
    browser = open_page(serve, Follows)
    await browser.text(path("sign-in ada"))
    response = await browser.get(path("sign-in bob", "fail 500"))
    assert response.body == b"500 for ada"
    response = await browser.get(path("sign-out", "fail 404"))
    assert response.body == b"404 for None"
    assert json.loads(await browser.text(path())) == [None]


class OwnUsers(Follows):
    """Looks its users up, and counts how often it was asked."""

    asked: list[str | None] = []  # noqa: RUF012 - emptied by the test

    def get_current_user(self) -> Any:
        user = super().get_current_user()
        self.asked.append(user)
        return user and f"user {user}"


@pytest.mark.gen_test
async def test_own_users_are_asked_for_once_per_user(serve: Serve) -> None:
    browser = open_page(serve, OwnUsers)
    OwnUsers.asked.clear()
    text = await browser.text(path("again", "sign-in ada", "again", "sign-out", "again"))
    assert json.loads(text) == [None, None, "user ada", "user ada", None, None]
    assert OwnUsers.asked == [None, "ada", None]
    await browser.text(path("sign-in ada"))
    OwnUsers.asked.clear()
    assert json.loads(await browser.text(path("again", "sign-in ada"))) == ["user ada"] * 3
    assert OwnUsers.asked == ["ada"]


class Assigns(Follows):
    async def prepare(self) -> None:
        await super().prepare()
        self.current_user = "assigned"


@pytest.mark.gen_test
async def test_an_assigned_user_stays_until_the_sessions_changes(serve: Serve) -> None:
    browser = open_page(serve, Assigns)
    text = await browser.text(path("again", "sign-in ada", "sign-out"))
    assert json.loads(text) == ["assigned", "assigned", "ada", None]


@pytest.mark.gen_test
async def test_tornados_decorator_sees_who_has_just_signed_in(serve: Serve) -> None:
    class ThenPrivate(Page):
        def get(self) -> None:
            assert self.current_user is None
            self.session.sign_in("ada")
            self.private()

        @authenticated
        def private(self) -> None:
            self.write(f"private to {self.current_user}")

    assert await open_page(serve, ThenPrivate).text("/page") == "private to ada"


class Feed(SessionMixin, WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        if message == "refresh":
            await self.session.refresh()
        await self.write_message(str(self.current_user))

    def on_session_end(self) -> None:
        """Stay open, to be asked."""


@pytest.mark.gen_test
async def test_it_follows_on_an_open_socket(serve: Serve) -> None:
    class Patient(Feed):
        session_check = 3600.0

    handlers: dict[str, type[RequestHandler]] = {"sign-in": SignIn, "feed": Patient}
    routes = Group("/", *(Route(name, h) for name, h in handlers.items()), sessions=True)
    store = MemoryStore()
    site, elsewhere = serve(routes, SessionManager(store)), SessionManager(store)
    browser = site.browser()
    await browser.text("/sign-in")
    cookie = f"session={browser.cookies['session']}"
    socket = await websocket_connect(
        HTTPRequest(site.url.replace("http", "ws") + "/feed", headers={"Cookie": cookie})
    )
    await socket.write_message("who")
    assert await socket.read_message() == "ada"
    session = await elsewhere.load(cookie)
    session.sign_out()
    await session.commit()
    await socket.write_message("refresh")
    assert await socket.read_message() == "None"
    socket.close()


class ByData(Follows):
    """Has its users in the session's data."""

    def get_current_user(self) -> Any:
        return self.session.get("uid", {}).get("name")

    def get(self) -> None:
        seen = [self.current_user]
        for step in self.get_arguments("do"):
            match step.split():
                case ["set", user]:
                    self.session["uid"] = {"name": user}
                case ["nested", user]:
                    cast(dict[str, Any], self.session["uid"])["name"] = user
                case ["del"]:
                    del self.session["uid"]
                case ["destroy"]:
                    self.session.destroy()
            seen.append(self.current_user)
        self.write(json.dumps(seen))


@pytest.mark.gen_test
async def test_it_follows_the_sessions_data(serve: Serve) -> None:
    browser = open_page(serve, ByData)
    seen = json.loads(await browser.text(path("set ada", "nested bob", "del", "set eve")))
    assert seen == [None, "ada", "bob", None, "eve"]
    assert json.loads(await browser.text(path("destroy"))) == ["eve", None]
    assert json.loads(await browser.text(path())) == [None]


@pytest.mark.gen_test
async def test_an_assigned_user_outlives_a_commit_but_no_end(serve: Serve) -> None:
    class AssignsThenChanges(Page):
        async def get(self) -> None:
            self.current_user = "assigned"
            self.session["kept"] = "after"
            seen = [self.current_user]
            await self.session.commit()
            seen.append(self.current_user)
            self.session.destroy()
            seen.append(self.current_user)
            self.write(json.dumps(seen))

    text = await open_page(serve, AssignsThenChanges).text("/page")
    assert json.loads(text) == ["assigned", "assigned", None]


@pytest.mark.gen_test
async def test_a_user_of_the_data_is_nobody_once_the_socket_ends(serve: Serve) -> None:
    class Tells(Feed):
        def get_current_user(self) -> Any:
            return self.session.get("kept")

        def open(self) -> None:
            assert self.current_user == "before"

        def on_session_end(self) -> None:
            self.write_message(f"ended {self.current_user}")

    class Ends(Page):
        def get(self) -> None:
            self.session.destroy()

    routes = Group(
        "/", Route("keep", Keep), Route("end", Ends), Route("feed", Tells), sessions=True
    )
    site = serve(routes, SessionManager(MemoryStore()))
    browser = site.browser()
    await browser.text("/keep")
    cookie = f"session={browser.cookies['session']}"
    socket = await websocket_connect(
        HTTPRequest(site.url.replace("http", "ws") + "/feed", headers={"Cookie": cookie})
    )
    await browser.text("/end")
    assert await socket.read_message() == "ended None"
    socket.close()
