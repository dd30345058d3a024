"""A page that does what its query says, and requests that are held in the middle of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from tornado.httpclient import HTTPResponse
from tornado.web import HTTPError

from app import Session
from tests.helpers.pages import Page
from tests.helpers.site import Browser

PATIENCE = 10.0
"""Seconds to wait for what must happen."""


def steps(*words: str) -> str:
    """Return the path at which `Steps` does these one after the other: `steps("set a 1")`."""
    return "/steps?" + urlencode([("do", word) for word in words])


def state(session: Session) -> dict[str, Any]:
    """Return what a session is; every list and dict of it is handed out by that."""
    created = session.created
    return {
        "id": session.id,
        "user": session.user,
        "created": None if created is None else created.timestamp(),
        "persistent": session.persistent,
        "data": dict(session),
    }


class Steps(Page):
    """Answers what the session was, what it is after the steps, and the messages shown."""

    async def get(self) -> None:
        was = state(self.session)
        self.shown: list[list[str]] = []
        for step in self.get_arguments("do"):
            name, *arguments = step.split()
            result = DO[name](self, *arguments)
            if result is not None:
                await result
        self.write({"was": was, "now": state(self.session), "shown": self.shown})


def _set(page: Steps, key: str, value: str = '"yes"') -> None:
    page.session[key] = json.loads(value)


def _delete(page: Steps, key: str) -> None:
    page.session.pop(key, None)


def _append(page: Steps, key: str, value: str) -> None:
    items = page.session.setdefault(key, [])
    assert isinstance(items, list)
    items.append(json.loads(value))


def _remember(page: Steps, value: str) -> None:
    page.session.persistent = value == "yes"


def _flash(page: Steps, text: str, level: str = "info") -> None:
    page.session.flash(text, level)


def _show(page: Steps) -> None:
    page.shown.append([f"{flash.level} {flash.text}" for flash in page.session.flashes()])


def _status(page: Steps, code: str) -> None:
    raise HTTPError(int(code))


async def _turns(page: Steps, count: str) -> None:
    for _ in range(int(count)):
        await asyncio.sleep(0)


DO: dict[str, Callable[..., Any]] = {
    "set": _set,
    "delete": _delete,
    "append": _append,
    "clear": lambda page: page.session.clear(),
    "regenerate": lambda page: page.session.regenerate(),
    "confirm": lambda page: page.session.confirm(),
    "sign-in": lambda page, user: page.session.sign_in(user),
    "sign-in-for-now": lambda page, user: page.session.sign_in(user, persistent=False),
    "sign-out": lambda page: page.session.sign_out(),
    "destroy": lambda page: page.session.destroy(),
    "remember": _remember,
    "commit": lambda page: page.session.commit(),
    "status": _status,
    "flash": _flash,
    "show": _show,
    "turns": _turns,
    "wait": lambda page, name: Held.by_name[name].wait_in_handler(),
}


async def do(browser: Browser, *words: str, **options: Any) -> dict[str, Any]:
    """Have the steps done, which must succeed; return what the session was and is."""
    return answer(await browser.get(steps(*words), **options))


def answer(response: HTTPResponse) -> dict[str, Any]:
    assert response.code == 200, (response.code, response.body)
    found: dict[str, Any] = json.loads(response.body)
    return found


def cookies_set(response: HTTPResponse) -> list[str]:
    """Return the `Set-Cookie` headers."""
    return list(response.headers.get_list("Set-Cookie"))


def twin(browser: Browser, *, of: str | None = None) -> Browser:
    """Return another browser with the same cookies, or with the session token *of*."""
    other = browser.site.browser()
    other.cookies = dict(browser.cookies) if of is None else {"session": of}
    return other


class Held:
    """A request whose session is loaded and that waits in its handler: `await Held.at(...)`.

    `async with` is not needed: `finish()` lets it go on and returns the response.
    """

    by_name: ClassVar[dict[str, Held]] = {}
    _names = itertools.count()

    def __init__(self, browser: Browser, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        self._name = f"held{next(self._names)}"
        self.by_name[self._name] = self
        self._arrived = asyncio.Event()
        self._released = asyncio.Event()
        path = steps(*before, f"wait {self._name}", *after)
        self._request = asyncio.ensure_future(browser.get(path))

    @classmethod
    async def at(cls, browser: Browser, *after: str, before: tuple[str, ...] = ()) -> Held:
        """Send a request that does *before*, waits, and does *after*; return when it waits."""
        held = cls(browser, before, after)
        async with asyncio.timeout(PATIENCE):
            await held._arrived.wait()
        return held

    @property
    def waits(self) -> bool:
        """Whether it is in its handler now."""
        return self._arrived.is_set() and not self._released.is_set() and not self._request.done()

    async def wait_in_handler(self) -> None:
        self._arrived.set()
        async with asyncio.timeout(PATIENCE):
            await self._released.wait()

    def release(self) -> asyncio.Future[HTTPResponse]:
        """Let it go on; the future is its response."""
        self._released.set()
        del self.by_name[self._name]
        return self._request

    async def finish(self) -> HTTPResponse:
        """Let it go on and return its response."""
        return await self.release()


async def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
    """Return when *condition* is true, looking again in each turn of the loop."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None
