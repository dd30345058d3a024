"""Pages for tests: one under test, beside it one that tells what was kept; and ways to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornado.web import Finish, HTTPError, RequestHandler

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore, Store
from tests.helpers.site import Browser, Site


class Page(SessionMixin, RequestHandler):
    """What the tests derive their pages from."""


class Kept(Page):
    """Answers what the session keeps under "kept"."""

    def get(self) -> None:
        self.write(str(self.session.get("kept", "nothing")))


class Keep(Page):
    """Keeps "before" under "kept": a session for pages that need one."""

    def get(self) -> None:
        self.session["kept"] = "before"


class Renew(Page):
    """Replaces the session's token."""

    def get(self) -> None:
        self.session.regenerate()


class SignIn(Page):
    """Signs in as ada, or as ?user=."""

    def get(self) -> None:
        self.session.sign_in(self.get_argument("user", "ada"))


class Plain(RequestHandler):
    """Answers without looking at any session."""

    def get(self) -> None:
        self.write("plain")


def open_page(
    serve: Callable[..., Site],
    page: type[RequestHandler],
    store: Store | None = None,
    **settings: Any,
) -> Browser:
    """Serve *page* at /page, with Keep, Kept and Plain beside it; return a browser."""
    routes = Group(
        "/",
        Route("page", page),
        Route("keep", Keep),
        Route("kept", Kept),
        Route("plain", Plain),
        sessions=True,
    )
    return serve(routes, SessionManager(store or MemoryStore()), **settings).browser()


async def kept(browser: Browser) -> str:
    """Return what the browser's session keeps: "nothing", or a value."""
    return await browser.text("/kept")


# Pages that change the session, each answering in another way

SECRET = "the-handlers-body"


class Returns(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        self.set_header("X-From", SECRET)
        self.write(SECRET)

    head = get


class Finishes(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        self.finish(SECRET)


class Flushes(Page):
    async def get(self) -> None:
        self.session["kept"] = "after"
        self.write(SECRET)
        await self.flush()


class FlushesWithoutAwait(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        self.write(SECRET)
        self.flush()


class Redirects(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        self.redirect(f"/{SECRET}")


class RaisesFinish(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        raise Finish(SECRET)


class Refuses(Page):
    def get(self) -> None:
        self.session["kept"] = "after"
        raise HTTPError(403, reason=SECRET)


class RedirectsInPrepare(Page):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "after"
        self.redirect(f"/{SECRET}")


class Destroys(Page):
    def get(self) -> None:
        self.session.destroy()
        self.write(SECRET)


class Streams(Page):
    """Changes the session when the head has left."""

    async def get(self) -> None:
        self.write("begun")
        await self.flush()
        self.session["kept"] = "after"


class StreamsAndRefuses(Streams):
    async def get(self) -> None:
        await super().get()
        raise HTTPError(403)


class StreamsInPrepare(Page):
    async def prepare(self) -> None:
        await super().prepare()
        self.write("begun")
        await self.flush()
        self.session["kept"] = "after"
        self.finish()


PAGES = [
    ("GET", Returns, 200),
    ("HEAD", Returns, 200),
    ("GET", Finishes, 200),
    ("GET", Flushes, 200),
    ("GET", FlushesWithoutAwait, 200),
    ("GET", Redirects, 302),
    ("GET", RaisesFinish, 200),
    ("GET", Refuses, 403),
    ("GET", RedirectsInPrepare, 302),
    ("GET", Destroys, 200),
]
