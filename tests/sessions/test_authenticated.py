"""When a user last proved who he is, in every store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app import Group, NotAuthenticated, Route, Session, SessionManager, SessionReadOnly
from app.freshness import is_fresh
from app.sessions import rotation, token
from app.sessions.pending import Presented
from stores import MemoryStore, Store
from stores.contract import Update
from tests.helpers.clock import FakeClock
from tests.helpers.lost_answers import DONE, LATE, LOST, UNANSWERED, LosingStore
from tests.helpers.records import load_record, make_record
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, do, steps, twin, until
from tests.helpers.stores_for_tests import FaultyStore, SpyStore


class Proves(Steps):
    """Tells besides, after the steps, when the user last proved who he is."""

    async def get(self) -> None:
        await super().get()
        proved = self.session.authenticated
        self.set_header("X-Proved", "never" if proved is None else str(proved.timestamp()))


ROUTES = Group("/", Route("steps", Proves), sessions=True)

Serve = Callable[..., Site]


def browse(serve: Serve, store: Store, clock: FakeClock) -> Browser:
    return serve(ROUTES, SessionManager(store, clock=clock)).browser()


async def proved(browser: Browser, *words: str) -> float | None:
    """Return when the user last proved who he is, after these steps."""
    response = await browser.get(steps(*words))
    assert response.code == 200
    found = response.headers["X-Proved"]
    return None if found == "never" else float(found)


@pytest.mark.gen_test(timeout=30)
async def test_it_is_when_the_user_signed_in_or_confirmed(
    serve: Serve, any_store: Store, clock: FakeClock
) -> None:
    browser = browse(serve, any_store, clock)
    assert await proved(browser, "set a 1") is None
    assert await proved(browser) is None
    for words, moves in {
        ("sign-in ada", "set a 2"): True,
        ("set b 1",): False,
        ("regenerate",): False,
        ("remember no",): False,
        ("confirm",): True,
        ("confirm", "commit", "regenerate"): True,
        ("sign-in ada",): True,
        ("sign-in eve",): True,
    }.items():
        before, former = await proved(browser), twin(browser)
        clock.advance(60)
        expected = clock() if moves else before
        assert await proved(browser, *words) == pytest.approx(expected, abs=0.002), words
        assert await proved(browser) == pytest.approx(expected, abs=0.002), words
        if words[0] != "set b 1":
            assert browser.cookies != former.cookies
            assert (await do(former))["was"]["user"] is None
    for word in ("sign-out", "destroy"):
        await do(browser, "sign-in ada")
        assert await proved(browser, word) is None
        assert await proved(browser) is None


@pytest.mark.gen_test(timeout=30)
async def test_a_confirmation_keeps_the_session_and_costs_one_write(
    serve: Serve, clock: FakeClock
) -> None:
    store = SpyStore()
    browser = browse(serve, store, clock)
    await do(browser, "sign-in ada", "set a 1")
    store.calls.clear()
    answer = await do(browser, "confirm", "set b 2")
    assert store.kinds == ["load", "Update"]
    assert answer["now"]["data"] == {"a": 1, "b": 2}
    assert (answer["now"]["id"], answer["now"]["user"]) == (answer["was"]["id"], "ada")


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("before", [(), ("set a 1",), ("sign-in ada", "sign-out")])
async def test_nobody_confirms_without_being_signed_in(
    serve: Serve, clock: FakeClock, before: tuple[str, ...]
) -> None:
    browser = browse(serve, MemoryStore(), clock)
    response = await browser.get(steps(*before, "confirm"))
    assert (response.code, "Set-Cookie" in response.headers) == (401, before == ("set a 1",))
    assert response.headers["WWW-Authenticate"] == 'Cookie realm="session"'
    session = await SessionManager(MemoryStore()).load(None)
    with pytest.raises(NotAuthenticated, match="where nobody is signed in; call sign_in"):
        session.confirm()
    readable = await SessionManager(MemoryStore()).load(None, read_only=True)
    with pytest.raises(SessionReadOnly):
        readable.confirm()


@pytest.mark.gen_test(timeout=30)
async def test_a_session_from_before_knows_no_proof(
    serve: Serve, any_store: Store, clock: FakeClock
) -> None:
    """Its user signed in before the time was kept; confirmed, it is among his devices."""
    browser = browse(serve, any_store, clock)
    await do(browser, "set a 1")
    id = token.decode(browser.cookies["session"])[0]
    await any_store.open()
    found = await load_record(any_store, id)
    secret = token.new_secret()
    rotated = rotation.rotate(found, "session", "ada", True, clock(), None)[0]
    hash = token.hash_secret("session", secret)
    await any_store.write([Update(id, rotation=rotated._replace(secret_hash=hash))])
    browser.cookies["session"] = token.encode(id, secret)
    assert (await do(browser))["was"]["user"] == "ada"
    assert await proved(browser) is None
    clock.advance(60)
    await do(browser, "confirm")
    assert await proved(browser) == pytest.approx(clock(), abs=0.002)
    (manager,) = browser.site.application.managers
    assert token.public_id(id) in [device.id for device in await manager.devices("ada")]


@pytest.mark.gen_test(timeout=30)
async def test_a_replaced_token_confirms_nothing(
    serve: Serve, any_store: Store, clock: FakeClock
) -> None:
    browser = browse(serve, any_store, clock)
    await do(browser, "sign-in ada")
    began = await proved(browser)
    clock.advance(60)
    thief = twin(browser)
    held = await Held.at(twin(browser), "confirm")
    await do(browser, "regenerate")
    assert (await thief.get(steps("confirm"))).code == 409
    assert (await held.finish()).code == 409
    assert await proved(browser) == began


@pytest.mark.gen_test(timeout=30)
async def test_a_confirmation_during_a_commit_is_not_lost(clock: FakeClock) -> None:
    """It comes while a new token is on its way, and is left to the next commit."""
    store = FaultyStore()
    manager = SessionManager(store, clock=clock)
    session = await manager.load(None)
    session.sign_in("ada")
    await session.commit()
    clock.advance(60)
    session.regenerate()
    store.gate["write"] = asyncio.Event()
    commit = asyncio.ensure_future(session.commit())
    await until(lambda: store.waiting, "the write")
    session.confirm()
    store.gate["write"].set()
    cookie = await commit
    assert await session.commit() != cookie
    assert session.authenticated is not None
    assert session.authenticated.timestamp() == pytest.approx(clock())
    await manager.close()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("fate", [LOST, UNANSWERED, LATE])
@pytest.mark.parametrize("words", [("confirm",), ("sign-in ada",)])
async def test_a_confirmation_without_an_answer_proves_nothing(
    serve: Serve,
    any_store: Store,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    fate: str,
    words: tuple[str, ...],
) -> None:
    """The client was told 503, and its former token has the rights that it had."""
    monkeypatch.setattr(rotation, "FIRST_PAUSE", 0.001)
    store = LosingStore(any_store)
    browser = browse(serve, store, clock)
    began = await proved(browser, "sign-in ada")
    clock.advance(60)
    fates = iter([fate])
    store.fate = lambda: next(fates, DONE)
    assert (await browser.get(steps(*words))).code == 503
    (manager,) = browser.site.application.managers
    await until(lambda: not manager.unsettled, "the undo")
    await store.arrive()
    assert await proved(browser) == pytest.approx(began, abs=0.002)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("value", ["1795981786", [1.0], float("nan"), -1e300])
async def test_a_proof_of_no_sense_is_none(clock: FakeClock, value: Any) -> None:
    """A store that does not keep its contract makes nobody fresh."""
    manager = SessionManager(MemoryStore(), clock=clock)
    record = make_record(created=clock(), expires=clock() + 600, user="ada", authenticated=value)
    session = Session(manager, record, Presented(clock()))
    assert not is_fresh(session, "ada", timedelta(days=1))
    if not isinstance(value, float):
        assert session.authenticated is None
