"""A small site with accounts, for tests that attack it."""

from __future__ import annotations

import json
from typing import Any

from tornado.web import authenticated
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionMixin
from tests.helpers.pages import Page, Renew
from tests.helpers.site import Browser


class Cart(Page):
    """Puts ?item= into the cart, and lists what is in it."""

    def get(self) -> None:
        if item := self.get_argument("item", ""):
            self.session["cart"] = [*self.session.get("cart", []), item]
        self.write(",".join(map(str, self.session.get("cart", []))))


class SignIn(Page):
    """Signs in as ?user=; whoever asks is believed."""

    def get(self) -> None:
        self.session.sign_in(self.get_argument("user"))
        self.write(f"hello {self.current_user}")


class SignOut(Page):
    def get(self) -> None:
        self.session.sign_out()
        self.write("bye")


class Who(Page):
    """Tells all that the session says of a client."""

    def get(self) -> None:
        session = self.session
        self.write(json.dumps([session.user, dict(session), session.live]))


class Private(Page):
    def get_login_url(self) -> str:
        return "/sign-in"

    @authenticated
    def get(self) -> None:
        self.write(f"private to {self.current_user}")


class Fails(Page):
    """Has an error with the session at hand, after it was changed."""

    def get(self) -> None:
        self.session["cart"] = ["lost"]
        raise RuntimeError("a mistake in the handler")


class Feed(SessionMixin, WebSocketHandler):
    """Answers "who" with the user and the cart as they are now; keeps any other message."""

    session_check = 0.02

    async def on_message(self, message: str | bytes) -> None:
        session = self.session
        if message == "who":
            lives = await session.refresh()
            await self.write_message(json.dumps([lives, session.user, dict(session)]))
            return
        session["feed"] = str(message)
        await session.commit()
        await self.write_message("kept")


class PatientFeed(Feed):
    """The same, looking by itself at its session only once in a long while."""

    session_check = 3600.0


async def who(browser: Browser) -> list[Any]:
    """Return [user, data, whether there is a session]."""
    answer: list[Any] = json.loads(await browser.text("/who"))
    return answer


def account_routes(**flags: Any) -> Group:
    return Group(
        "/",
        Route("cart", Cart),
        Route("sign-in", SignIn),
        Route("sign-out", SignOut),
        Route("renew", Renew),
        Route("who", Who),
        Route("private", Private),
        Route("fails", Fails),
        Route("feed", Feed),
        Route("patient-feed", PatientFeed),
        Group("members", Route("who", Who), authenticated=True),
        sessions=True,
        **flags,
    )
