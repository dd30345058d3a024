"""Stores that do not keep the contract: a request is 503 in time, and nobody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from app import Group, Route, SessionManager
from app.sessions import gateway, token, unreadable
from stores import MemoryStore
from stores.contract import Outcome, StoreUnavailable, Unreadable
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, do, steps, twin

ROUTES = Group("/", Route("steps", Steps), sessions=True)


SECRET = "what a driver was given"


class Stop(BaseException):
    """What no handler of exceptions expects."""


def raising(error: type[BaseException]) -> Callable[..., Any]:
    async def operation(*_: object) -> Any:
        raise error(SECRET)

    return operation


def returning(make: Callable[[Any], Any]) -> Callable[..., Any]:
    async def operation(items: Any) -> Any:
        return make(items)

    return operation


def at_once(_: object) -> Any:
    raise KeyError(SECRET)


async def for_ever(*_: object) -> Any:
    await asyncio.Event().wait()


RAISES = {
    error.__name__: raising(error)
    for error in (KeyError, Stop, asyncio.CancelledError, TimeoutError, StopAsyncIteration)
}


async def consuming(changes: Any) -> Any:
    while changes:
        changes.pop()
    return []


async def sorting(changes: Any) -> Any:
    changes.sort(key=lambda change: change.id)
    return [Outcome.DONE] * len(changes)


ODD = {
    **{f"load raises {name}": ("load", operation) for name, operation in RAISES.items()},
    **{f"write raises {name}": ("write", operation) for name, operation in RAISES.items()},
    "load is no coroutine": ("load", at_once),
    "write is no coroutine": ("write", at_once),
    "load returns nothing": ("load", returning(lambda ids: None)),
    "load returns a list": ("load", returning(list)),
    "load returns dicts": ("load", returning(lambda ids: {id: {"data": {}} for id in ids})),
    "load returns True": ("load", returning(lambda ids: dict.fromkeys(ids, True))),
    "write returns nothing": ("write", returning(lambda changes: None)),
    "write returns too few": ("write", returning(lambda changes: changes[1:])),
    "write returns too many": ("write", returning(lambda c: [Outcome.DONE] * (len(c) + 1))),
    "write returns an iterator": ("write", returning(lambda c: iter([Outcome.DONE] * len(c)))),
    "write returns None for each": ("write", returning(lambda c: [None] * len(c))),
    "write returns words": ("write", returning(lambda c: ["done"] * len(c))),
    "write returns True for each": ("write", returning(lambda c: [True] * len(c))),
    "write empties its list": ("write", consuming),
    "write sorts its list": ("write", sorting),
    "write says that it exists": ("write", returning(lambda c: [Outcome.EXISTS] * len(c))),
    "write says conflict": ("write", returning(lambda c: [Outcome.CONFLICT] * len(c))),
}


class Waiting(MemoryStore):
    """A store that a gateway puts batches together for."""

    timeout: float | None = 1.0  # type: ignore[assignment]


@pytest.fixture(params=[MemoryStore, Waiting])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    made: MemoryStore = request.param()
    return made


@pytest.fixture
def browser(serve: Callable[..., Site], store: MemoryStore) -> Browser:
    return serve(ROUTES, SessionManager(store)).browser()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("together", [1, 6])
@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_answer_is_503_and_no_request_hangs(
    browser: Browser, store: MemoryStore, odd: str, together: int, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [twin(browser) for _ in range(together)]
    for client in clients:
        await do(client, "set a 1")
    setattr(store, *ODD[odd])
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(client.get(steps("set a 2")) for client in clients))
    assert [answer.code for answer in answers] == [503] * together
    assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
    assert SECRET not in caplog.text
    assert "never retrieved" not in caplog.text
    delattr(store, ODD[odd][0])
    for client in clients:
        assert (await do(client, "set a 2"))["was"]["data"] == {"a": 1}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("operation", ["load", "write", "open"])
async def test_a_call_that_never_ends_is_503_at_the_deadline(
    serve: Callable[..., Site], operation: str
) -> None:
    store = Waiting()
    store.timeout = 0.2
    browser = serve(ROUTES, SessionManager(store)).browser()
    if operation != "open":
        await do(browser, "set a 1")
    setattr(store, operation, for_ever)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(browser.get(steps("set a 2")) for _ in range(5)))
    assert {answer.code for answer in answers} == {503}


@pytest.mark.gen_test(timeout=30)
async def test_the_reason_of_an_odd_answer_is_told(
    serve: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    browser = serve(ROUTES, SessionManager(store)).browser()
    for odd, reason in {
        "write returns too many": "write() returned 2 outcomes for 1 changes",
        "write returns words": "write() returned a str where an Outcome belongs",
    }.items():
        setattr(store, *ODD[odd])
        assert (await browser.get(steps("set a 1"))).code == 503
        assert reason in caplog.text
        delattr(store, "write")
    await do(browser, "set a 1")
    setattr(store, *ODD["load returns dicts"])
    assert (await browser.get(steps())).code == 503
    assert "load() returned a dict where a Record belongs" in caplog.text


# Records that cannot be read


@pytest.mark.gen_test(timeout=30)
async def test_an_unreadable_record_is_its_owners_unknown_token(
    browser: Browser, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, by its public id; neighbours of the batch never notice."""
    clients = [browser, *(twin(browser) for _ in range(5))]
    for client in clients:
        await do(client, "set a 1")
    id = token.decode(browser.cookies["session"])[0]
    load = store.load

    async def spoilt(ids: Any) -> Any:
        found = await load(ids)
        return {**found, id: Unreadable("data is missing")} if id in found else found

    store.load = spoilt  # type: ignore[method-assign]
    for words in ((), ("set b 1",), ("sign-in ada",)):
        owner = twin(browser)
        requests = [owner.get(steps(*words)), *(client.get(steps()) for client in clients[1:])]
        answers = await asyncio.gather(*requests)
        assert [a.code for a in answers] == [200] * 6
        assert b'"was": {"id": null' in answers[0].body
        assert all(b'{"a": 1}' in a.body for a in answers[1:])
    told = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert [token.public_id(id) in r.getMessage() for r in told] == [True]
    assert "data is missing" in told[0].getMessage()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("secret_hash", "ab" * 32), ("secret_hash", None), ("created", "2026-01-01")),
        *(("expires", None), ("data", None), ("data", ["a"]), ("user", 7)),
        *(("former_hash", "ab"), ("rotated", "now"), ("seen", "now"), ("id", b"b" * 16)),
    ],
)
async def test_a_record_of_wrong_types_is_an_unknown_token(
    browser: Browser,
    store: MemoryStore,
    field: str,
    value: Any,
    beside: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await do(browser, "set a 1")
    id = token.decode(browser.cookies["session"])[0]
    if beside:
        browser.cookies["session"] += f"; session={token.encode(b'i' * 16, b's' * 24)}"
    load = store.load

    async def spoilt(ids: Any) -> Any:
        found = await load(ids)
        return {id: record._replace(**{field: value}) for id, record in found.items()}

    store.load = spoilt  # type: ignore[method-assign]
    for words in ((), ("set b 1",)):
        response = await twin(browser).get(steps(*words))
        assert (response.code, b'"was": {"id": null' in response.body) == (200, True)
    told = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
    assert [token.public_id(id) in message for message in told] == [True]
    assert ("another id" if field == "id" else f"whose {field} is a") in told[0]


@pytest.mark.gen_test(timeout=30)
async def test_what_is_remembered_of_unreadable_records_is_bounded(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable, "MAX_TOLD", 3)
    store = MemoryStore()
    store.load = returning(lambda ids: dict.fromkeys(ids, Unreadable("data is missing")))  # type: ignore[method-assign]
    way = gateway.Gateway(store)
    for number in range(10):
        for _ in range(2):
            assert await way.load(bytes([number]) * 16) is None
    assert [r.levelname for r in caplog.records] == 3 * ["ERROR", "WARNING"]  # and its event
    await way.close()


@pytest.mark.gen_test(timeout=30)
async def test_an_error_of_one_change_is_not_its_neighbours(
    serve: Callable[..., Site],
) -> None:
    store = Waiting()
    browser = serve(ROUTES, SessionManager(store)).browser()
    clients = [twin(browser) for _ in range(6)]
    for client in clients:
        await do(client, "set a 1")
    id = token.decode(clients[3].cookies["session"])[0]
    write = store.write

    async def refusing(changes: Any) -> Any:
        await asyncio.sleep(0.01)
        outcomes = await write([change for change in changes if change.id != id])
        rest = iter(outcomes)
        return [
            StoreUnavailable("too large a document") if change.id == id else next(rest)
            for change in changes
        ]

    store.write = refusing  # type: ignore[method-assign]
    answers = await asyncio.gather(*(client.get(steps("set a 2")) for client in clients))
    assert [a.code for a in answers] == [200, 200, 200, 503, 200, 200]
