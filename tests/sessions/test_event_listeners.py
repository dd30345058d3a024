"""Whatever a listener of events does, no response waits for it and none fails."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tornado import gen

from app import ConfigurationError, Group, Route, SessionEvent, SessionManager
from app.sessions import events
from stores import MemoryStore
from stores.contract import deadline
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, do, until

ROUTES = Group("/", Route("steps", Steps), sessions=True)

Serve = Callable[..., Site]


def browser_of(serve: Serve, listener: Any) -> Browser:
    return serve(ROUTES, SessionManager(MemoryStore(), on_event=listener)).browser()


class Listening:
    """A listener that is an object, and its method."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, event: SessionEvent) -> None:
        self.heard.append(event.kind)

    async def later(self, event: SessionEvent) -> None:
        await asyncio.sleep(0)
        self(event)

    @gen.coroutine
    def with_yield(self, event: SessionEvent) -> Any:
        yield gen.moment
        self(event)

    def partly(self, _: int, event: SessionEvent) -> None:
        self(event)

    def promise(self, event: SessionEvent) -> asyncio.Future[None]:
        """Return an awaitable that is no coroutine."""
        return asyncio.ensure_future(self.later(event))


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize(
    "listener",
    [
        lambda heard: heard,
        lambda heard: heard.later,
        lambda heard: heard.with_yield,
        lambda heard: heard.promise,
        lambda heard: functools.partial(heard.partly, 1),
        lambda heard: functools.partial(heard.later),
        lambda heard: lambda event: heard.later(event),
    ],
    ids=["object", "coroutine", "generator", "future", "partial", "partial-coroutine", "lambda"],
)
async def test_a_listener_may_be_any_callable(serve: Serve, listener: Any) -> None:
    heard = Listening()
    await do(browser_of(serve, listener(heard)), "sign-in ada")
    await until(lambda: heard.heard == ["started", "signed_in"], "both events")


@pytest.mark.parametrize("listener", ["print", 1, [print]])
def test_what_cannot_be_called_is_refused(listener: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"on_event is .*: give a function that takes"):
        SessionManager(MemoryStore(), on_event=listener)


def raising(error: BaseException, *, later: bool) -> Callable[[SessionEvent], Any]:
    def raise_now(_: SessionEvent) -> None:
        raise error

    async def raise_later(_: SessionEvent) -> None:
        raise error

    return raise_later if later else raise_now


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("error", [ValueError("no such column"), asyncio.CancelledError()])
async def test_a_listener_that_fails_is_logged_and_disturbs_nobody(
    serve: Serve, caplog: pytest.LogCaptureFixture, error: BaseException, later: bool
) -> None:
    browser = browser_of(serve, raising(error, later=later))
    await do(browser, "sign-in ada")
    assert (await do(browser))["was"]["user"] == "ada"
    lines = [r for r in caplog.records if r.name == "app.sessions.events"]
    if later and isinstance(error, asyncio.CancelledError):
        assert lines == []  # it ended itself
    else:
        assert [r.getMessage().startswith("on_event failed") for r in lines] == [True, True]
        assert all(r.exc_info and r.exc_info[1] is error for r in lines)


@pytest.mark.gen_test(timeout=30)
async def test_no_response_waits_for_a_listener(
    monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    """One that never ends is cut off when the manager is closed, after a moment."""
    monkeypatch.setattr(events, "MOMENT", 0.01)
    ended: list[str] = []

    async def never(event: SessionEvent) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event.kind)

    browser = browser_of(serve, never)
    await do(browser, "sign-in ada")
    assert (await do(browser, "regenerate"))["was"]["user"] == "ada"
    assert ended == []


@pytest.mark.gen_test(timeout=30)
async def test_a_listener_has_a_moment_when_the_manager_is_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "MOMENT", 0.05)
    done: list[str] = []

    async def listen(event: SessionEvent) -> None:
        if event.kind == "signed_in":
            await asyncio.Event().wait()
        for _ in range(20):
            await asyncio.sleep(0)
        done.append(event.kind)

    manager = SessionManager(MemoryStore(), on_event=listen)
    session = await manager.load(None)
    session.sign_in("ada")
    await session.commit()
    await manager.close()
    assert done == ["started"]
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "on_event: 1 calls did not end within 0.05 s"
    ]


@pytest.mark.gen_test(timeout=30)
async def test_a_listener_runs_outside_of_the_request(serve: Serve) -> None:
    """The deadline of a request's store call is not that of what a listener asks a store."""
    found: list[float | None] = []
    manager = SessionManager(MemoryStore(), on_event=lambda _: found.append(deadline.get()))
    token = deadline.set(1.0)
    try:
        session = await manager.load(None)
        session.sign_in("ada")
        await session.commit()
        await asyncio.sleep(0)
    finally:
        deadline.reset(token)
    assert found == [None, None]
    await manager.close()


@pytest.mark.gen_test(timeout=30)
async def test_a_listener_that_does_not_keep_up_is_told_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "MAX_RUNNING", 3)
    monkeypatch.setattr(events, "MOMENT", 0.01)
    begun: list[str] = []

    async def listen(event: SessionEvent) -> None:
        begun.append(event.session)
        await asyncio.Event().wait()

    teller = events.Events("session", lambda: 0.0, listen)
    for number in range(8):
        teller.tell(events.EventKind.STARTED, bytes([number]) * 16)
    await teller.settle()
    assert len(begun) == 3
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert [line.rpartition(" (")[2] for line in lines] == ["1 so far)", "4 so far)"]
