"""In a real browser: its cookie jar, its redirects, its restart, its WebSocket.

To a browser, localhost and 127.0.0.1 are different sites, whatever serves them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager, SessionMixin
from configure import ROUTES
from handlers.page.routes import PAGE
from stores import MemoryStore
from tests.helpers.chromium import PAGES, TIMEOUT, Chromium, Scripted, browse
from tests.helpers.pages import Page
from tests.helpers.site import Site
from tests.helpers.steps import Steps, steps


class SignIn(Page, Scripted):
    """A form; it signs in and redirects to the user's own page."""

    def post(self) -> None:
        self.session.sign_in(self.get_argument("user"))
        self.redirect("/account", status=int(self.get_argument("status")))


class Account(Page, Scripted):
    """Shows who is signed in."""

    def get(self) -> None:
        self.write_page(f"signed in: {self.current_user}")


class Greeting(SessionMixin, WebSocketHandler):
    """Greets whoever the session knows."""

    session_check = 0.02

    async def open(self) -> None:
        await self.write_message(f"hello {self.session['name']}")


ACCOUNT = Group(
    "/",
    *PAGES,
    Group(
        "",
        Route("steps", Steps),
        Route("sign-in", SignIn),
        Route("account", Account),
        Route("greeting", Greeting),
        sessions=True,
    ),
)


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_the_example_works_with_the_browsers_own_cookies(
    serve: Callable[..., Site], chromium: Chromium
) -> None:
    example = [child for child in ROUTES.children if child is not PAGE]
    site = serve(Group("/", *PAGES, *example), SessionManager(MemoryStore()))
    async with browse(chromium, site) as tab:
        assert await tab.fetch("/sessions/get") == "n/a"
        assert await tab.fetch("/sent-cookies") == ""
        assert await tab.fetch("/sessions/set/Ada") == "Ada"
        assert await tab.fetch("/sessions/get") == "Ada"
        # The browser returns the cookie, and no script sees it.
        shown = await tab.run("document.cookie = 'seen=yes'; return document.cookie")
        assert shown == "seen=yes"
        assert re.fullmatch(r"session=[\w-]+; seen=yes", await tab.fetch("/sent-cookies"))
        assert await tab.fetch("/sessions/del") == "done"
        assert await tab.fetch("/sent-cookies") == "seen=yes"
        assert await tab.fetch("/sessions/get") == "n/a"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_sign_in_survives_the_redirect_that_answers_its_form(
    serve: Callable[..., Site], chromium: Chromium
) -> None:
    async with browse(chromium, serve(ACCOUNT, SessionManager(MemoryStore()))) as tab:
        for status in (302, 303):
            user = f"ada{status}"
            await tab.open("localhost", "/sign-in")
            page = await tab.leave(
                "const form = document.body.appendChild(document.createElement('form'));"
                f"form.method = 'POST'; form.innerHTML = `<input name=user value={user}>"
                f"<input name=status value={status}>`; form.submit()"
            )
            assert page == {"path": "/account", "text": f"signed in: {user}"}


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_websocket_has_the_session_and_is_closed_when_it_ends(
    serve: Callable[..., Site], chromium: Chromium
) -> None:
    async with browse(chromium, serve(ACCOUNT, SessionManager(MemoryStore()))) as tab:
        await tab.fetch(steps('set name "Ada"'))
        found = await tab.run(
            "const socket = new WebSocket(location.origin.replace('http', 'ws') + '/greeting');"
            "const closed = new Promise(resolve => socket.onclose = resolve);"
            "const greeting = await new Promise(resolve => socket.onmessage = resolve);"
            f"await fetch({json.dumps(steps('destroy'))});"
            "return [greeting.data, (await closed).code, (await closed).reason]"
        )
        assert found == ["hello Ada", 1008, "session ended"]


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_only_a_remembered_session_outlives_the_browser(
    serve: Callable[..., Site], own_chromium: Chromium
) -> None:
    site = serve(ACCOUNT, SessionManager(MemoryStore()))
    hosts = {"localhost": ("sign-in", "ada"), "127.0.0.1": ("sign-in-for-now", "grace")}
    async with browse(own_chromium, site, own_jar=False) as tab:
        for host, (way, user) in hosts.items():
            await tab.open(host, "/")
            await tab.fetch(steps(f"{way} {user}"))
            assert (await tab.open(host, "/account"))["text"] == f"signed in: {user}"
    await own_chromium.quit()
    own_chromium.start()
    async with browse(own_chromium, site, own_jar=False) as tab:
        users = [(await tab.open(host, "/account"))["text"] for host in hosts]
        assert users == ["signed in: ada", "signed in: None"]
