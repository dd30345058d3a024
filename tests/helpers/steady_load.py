"""Visitors who read and write their sessions all the time, and check each answer they get."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from app import Group, Route
from tests.helpers.pages import Page
from tests.helpers.site import Browser, Site

PATIENCE = 20.0
"""Seconds after which what is waited for is not going to happen."""

PAUSE = 0.02
"""Seconds between two requests of one visitor."""


class SignIn(Page):
    def get(self, user: str) -> None:
        self.session.sign_in(user)


class Add(Page):
    def get(self, key: str) -> None:
        self.session[key] = 1


class Rotate(Page):
    """Replaces the token, and calls what the setting "rotating" is before that is saved."""

    def get(self) -> None:
        self.session.regenerate()
        self.settings["rotating"]()


class All(Page):
    def get(self) -> None:
        self.write({"user": self.session.user, "keys": list(self.session)})


ROUTES = Group(
    "/",
    Route("sign-in/<user>", SignIn),
    Route("add/<key>", Add),
    Route("rotate", Rotate),
    Route("all", All),
    sessions=True,
)


class Visitor:
    """One browser, signed in; it adds a key to its session, reads all, and so on."""

    def __init__(self, browser: Browser, user: str, longest: float) -> None:
        self.browser = browser
        self.user = user
        self.longest = longest
        self.asked: list[str] = []
        self.acknowledged: list[str] = []
        self.answers: list[tuple[float, float, int]] = []
        """When each was asked for, how long it took (seconds), and its status."""

    async def sign_in(self) -> None:
        """Sign in as soon as the store is open, which takes its time where it makes a table."""
        deadline = time.monotonic() + PATIENCE
        while (answer := await self.browser.get(f"/sign-in/{self.user}")).code == 503:
            assert time.monotonic() < deadline, "nobody can sign in"
            await asyncio.sleep(PAUSE)
        assert answer.code == 200

    async def add(self) -> None:
        key = f"k{len(self.asked)}"
        self.asked.append(key)
        if await self._get(f"/add/{key}") is not None:
            self.acknowledged.append(key)

    async def read(self) -> None:
        body = await self._get("/all")
        if body is not None:
            self.check(json.loads(body))

    def check(self, found: dict[str, Any]) -> None:
        """Fail if the session is not there, or not all that was acknowledged."""
        assert found["user"] == self.user, f"{self.user} was signed out: {found}"
        assert set(self.acknowledged) <= set(found["keys"]) <= set(self.asked)

    async def _get(self, path: str) -> bytes | None:
        begun = time.monotonic()
        response = await self.browser.get(path)
        seconds = time.monotonic() - begun
        self.answers.append((begun, seconds, response.code))
        assert response.code in (200, 503), (path, response.code, response.body)
        assert seconds < self.longest, f"{path}: {response.code} after {seconds:.2f} s"
        assert "Set-Cookie" not in response.headers
        if response.code == 200:
            return response.body
        assert int(response.headers["Retry-After"]) > 0
        assert b"Traceback" not in response.body
        return None


class SteadyLoad:
    """Visitors at work, from `async with` to its end. Each answer within *longest* seconds."""

    def __init__(self, site: Site, *, visitors: int = 8, longest: float) -> None:
        self.visitors = [Visitor(site.browser(), f"user{n}", longest) for n in range(visitors)]
        self._ended = False
        self._tasks: Sequence[asyncio.Task[None]] = ()

    async def __aenter__(self) -> SteadyLoad:
        await asyncio.gather(*(visitor.sign_in() for visitor in self.visitors))
        self._tasks = [asyncio.create_task(self._work(visitor)) for visitor in self.visitors]
        await self.until_well()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await asyncio.gather(*self._tasks)

    @property
    def refused(self) -> int:
        """How many requests were answered 503 so far."""
        return sum(status == 503 for v in self.visitors for _, _, status in v.answers)

    @property
    def acknowledged(self) -> int:
        """How many writes were answered 200 so far."""
        return sum(len(visitor.acknowledged) for visitor in self.visitors)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Return when *condition* holds; fail when it never does, or as soon as a visitor does."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
            await asyncio.sleep(0.01)

    async def until_refused(self, times: int) -> None:
        """Return when that many more requests were answered 503."""
        wanted = self.refused + times
        await self.until(lambda: self.refused >= wanted, f"{times} times 503")

    async def until_well(self) -> None:
        """Return when every visitor's next five writes were acknowledged."""
        wanted = [len(visitor.acknowledged) + 5 for visitor in self.visitors]
        await self.until(
            lambda: all(
                len(v.acknowledged) >= n for v, n in zip(self.visitors, wanted, strict=True)
            ),
            "every visitor to be served",
        )

    def window(self) -> float:
        """Return the seconds from asking for the first 503 to the answer of the last, or 0."""
        refusals = [
            (begun, begun + seconds)
            for visitor in self.visitors
            for begun, seconds, status in visitor.answers
            if status == 503
        ]
        if not refusals:
            return 0.0
        return max(end for _, end in refusals) - min(begun for begun, _ in refusals)

    async def check(self) -> None:
        """When all has ended: everybody is signed in and has what was acknowledged."""
        for visitor in self.visitors:
            visitor.check(json.loads(await visitor.browser.text("/all")))

    async def _work(self, visitor: Visitor) -> None:
        while not self._ended:
            await visitor.add()
            await asyncio.sleep(PAUSE)
            await visitor.read()
            await asyncio.sleep(PAUSE)
