"""A rotation with no answer: the former token goes on working, with the rights it had."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from app import Group, Route, SessionManager
from app.sessions import rotation, token
from stores import Store
from stores.contract import Delete, Outcome
from tests.helpers.clock import FakeClock
from tests.helpers.lost_answers import DONE, FATES, LATE, LOST, UNANSWERED, LosingStore
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, cookies_set, do, steps, twin, until

ROUTES = Group("/", Route("steps", Steps), sessions=True)

SIGN_IN = ("sign-in ada", "set a 2", "set b 2", "delete c")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(rotation, "LONGEST_PAUSE", 0.004)


@pytest.fixture
def store(any_store: Store) -> LosingStore:
    return LosingStore(any_store)


@pytest.fixture
def manager(store: LosingStore, clock: FakeClock) -> SessionManager:
    return SessionManager(store, clock=clock)


@pytest.fixture
def browser(serve: Callable[..., Site], manager: SessionManager) -> Browser:
    return serve(ROUTES, manager).browser()


@pytest.fixture
def elsewhere(serve: Callable[..., Site], any_store: Store, clock: FakeClock) -> Site:
    """Another process over the same store, whose answers are not lost."""
    return serve(ROUTES, SessionManager(any_store, clock=clock))


async def settled(manager: SessionManager) -> None:
    await until(lambda: not manager.unsettled, "every rotation to be undone")


async def fail(browser: Browser, store: LosingStore, fate: str, *words: str) -> None:
    """Send a request whose rotation has that fate, as the first tries to undo it."""
    store.fate = lambda: fate
    response = await browser.get(steps(*words))
    assert (response.code, cookies_set(response)) == (503, [])


async def fail_before_undo(
    held: Held, store: LosingStore, fate: str, gate: str
) -> Callable[[], None]:
    """Let a request's rotation have that fate; return when its undo waits before a load or a write.

    What is returned lets the undo go on.
    """
    fates = iter([fate])
    store.fate = lambda: next(fates, DONE)
    first = store.gate["write"] = asyncio.Event()
    request = held.release()
    await until(lambda: store.waiting, "the rotation to be at the store")
    store.gate = {gate: asyncio.Event()}
    first.set()
    response = await request
    assert (response.code, cookies_set(response)) == (503, [])
    await until(lambda: store.waiting, "the undo to wait")
    return lambda: store.gate.pop(gate).set()


# Whatever becomes of the rotation


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("fate", [LOST, UNANSWERED, LATE])
@pytest.mark.parametrize("words", [("regenerate",), ("remember no",), SIGN_IN])
async def test_the_former_token_works_as_before(
    browser: Browser, manager: SessionManager, store: LosingStore, fate: str, words: tuple[str, ...]
) -> None:
    """It does when the store takes the rotation late, too: the undo is a mark it collides with."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    await fail(browser, store, fate, *words)
    store.fate = lambda: DONE
    await settled(manager)
    assert (await do(browser))["was"] == before
    late = len(store.late)
    assert await store.arrive() == [Outcome.CONFLICT] * late
    assert bool(late) == (fate is LATE)
    assert (await do(browser))["was"] == before
    assert (await do(browser, *words))["now"]["id"] == before["id"]


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("gate", ["load", "write"])
async def test_a_rotation_that_arrives_before_its_undo_is_undone(
    browser: Browser, manager: SessionManager, store: LosingStore, gate: str
) -> None:
    """Also when it does between the undo's look and its write."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    go_on = await fail_before_undo(await Held.at(twin(browser), *SIGN_IN), store, LATE, gate)
    assert await store.arrive() == [Outcome.DONE]
    go_on()
    await settled(manager)
    assert (await do(browser))["was"] == before


@pytest.mark.gen_test(timeout=30)
async def test_several_rotations_without_an_answer_are_undone(
    browser: Browser, manager: SessionManager, store: LosingStore
) -> None:
    """Several of one record, in one process and in every order of their arrival."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    for last in (0, 1, 2):
        store.fate = lambda: LATE
        held = [await Held.at(twin(browser), *SIGN_IN) for _ in range(3)]
        answers = await asyncio.gather(*(request.release() for request in held))
        assert [a.code for a in answers] == [503] * 3
        store.fate = lambda: DONE
        await settled(manager)
        store.late.append(store.late.pop(last))
        assert set(await store.arrive()) == {Outcome.CONFLICT}
        assert (await do(browser))["was"] == before


@pytest.mark.gen_test(timeout=60)
@pytest.mark.parametrize("seed", range(6))
async def test_any_series_of_lost_answers_leaves_the_last_token(
    browser: Browser, manager: SessionManager, store: LosingStore, seed: int
) -> None:
    """The last token that was given opens the session, with what was acknowledged and no more."""
    choice = random.Random(seed)
    expected: dict[str, Any] = {"a": 0}
    user = None
    await do(browser, "set a 0")
    id = (await do(browser))["was"]["id"]
    for number in range(40):
        store.fate = lambda: choice.choices(FATES, (2, 1, 1, 2))[0]
        key, name = choice.choice("abc"), user or choice.choice(["ada", None])
        words = [f"sign-in {name}" if name else "regenerate", f"set {key} {number}"]
        response = await browser.get(steps(*words))
        assert response.code in (200, 409, 503)
        if response.code == 200:
            expected, user = {**expected, key: number}, name
        if choice.random() < 0.3:
            await store.arrive()
        if choice.random() < 0.5:
            store.fate = lambda: DONE
            await settled(manager)
            found = (await do(browser))["was"]
            assert (found["id"], found["user"], found["data"]) == (id, user, expected)
    store.fate = lambda: DONE
    await settled(manager)
    await store.arrive()
    found = (await do(browser))["was"]
    assert (found["id"], found["user"], found["data"]) == (id, user, expected)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("process", ["the same", "another"])
async def test_a_sign_in_whose_first_is_undone_meanwhile_goes_on(
    browser: Browser, manager: SessionManager, store: LosingStore, elsewhere: Site, process: str
) -> None:
    """Its token was replaced when it came, and works again when it is saved."""
    await do(browser, "set cart 1")
    id = (await do(browser))["was"]["id"]
    held = await Held.at(twin(browser), "sign-in ada", "set a 1")
    go_on = await fail_before_undo(held, store, UNANSWERED, "load")
    again = (browser.site if process == "the same" else elsewhere).browser()
    again.cookies = dict(browser.cookies)
    if process == "the same":
        request = asyncio.ensure_future(do(again, "sign-in ada", "set b 1"))
        await until(lambda: store.waiting == 2, "the request to load")
        go_on()
        await request
    else:
        second = await Held.at(again, "sign-in ada", "set b 1")
        go_on()
        await settled(manager)
        assert (await second.finish()).code == 200
    found = (await do(again))["was"]
    assert (found["id"], found["user"], found["data"]) == (id, "ada", {"cart": 1, "b": 1})


@pytest.mark.gen_test(timeout=30)
async def test_what_is_being_undone_is_undone_before_it_is_used(
    browser: Browser, store: LosingStore
) -> None:
    """The process that knows of it answers neither "send it again" nor with an empty session."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    held = await Held.at(twin(browser), *SIGN_IN)
    go_on = await fail_before_undo(held, store, UNANSWERED, "write")
    request = asyncio.ensure_future(do(browser, "set new 1"))
    await until(lambda: store.waiting == 2 or request.done(), "the request to undo it")
    go_on()
    assert (await request)["was"] == before


# While the store is away


@pytest.mark.gen_test(timeout=30)
async def test_an_outage_of_any_length_is_waited_for(
    browser: Browser, manager: SessionManager, store: LosingStore
) -> None:
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    tries = 0

    def count() -> Exception:
        nonlocal tries
        tries += 1
        return OSError()

    held = await Held.at(twin(browser), *SIGN_IN)
    store.fate = lambda: UNANSWERED
    store.fail["load"] = count
    assert (await held.finish()).code == 503
    await until(lambda: tries > 200, "many tries")
    assert manager.unsettled == 1
    store.fate = lambda: DONE
    store.mend()
    await settled(manager)
    assert (await do(browser))["was"] == before


@pytest.mark.gen_test(timeout=30)
async def test_pauses_between_two_tries_grow_and_are_bounded(
    browser: Browser,
    manager: SessionManager,
    store: LosingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        if seconds >= 0.5:
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(rotation, "FIRST_PAUSE", 0.5)
    monkeypatch.setattr(rotation, "LONGEST_PAUSE", 5.0)
    monkeypatch.setattr(asyncio, "sleep", noted)
    await do(browser, "set a 1")
    held = await Held.at(twin(browser), "regenerate")
    store.fate = lambda: LOST
    store.break_down("load")
    assert (await held.finish()).code == 503
    await until(lambda: len(pauses) > 6, "some pauses")
    assert pauses[:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    store.fate = lambda: DONE
    store.mend()
    await settled(manager)


@pytest.mark.gen_test(timeout=30)
async def test_stopping_says_which_rotations_it_leaves(
    browser: Browser,
    manager: SessionManager,
    store: LosingStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By their public ids; those that fail after the stop, too."""
    await do(browser, "set a 1")
    id = (await do(browser))["was"]["id"]
    left = []
    for when in ("before", "after"):
        caplog.clear()
        held = await Held.at(twin(browser), "regenerate")
        store.fate = lambda: LOST
        store.gate["write"] = asyncio.Event()
        request = held.release()
        await until(lambda: store.waiting, "the rotation to be at the store")
        store.break_down("load")
        if when == "after":
            await manager.close()
            assert caplog.text == ""
        store.gate.pop("write").set()
        assert (await request).code == 503
        if when == "before":
            assert manager.unsettled == 1
            await manager.close()
        assert manager.unsettled == 0
        left.append([r for r in caplog.records if r.name == rotation.__name__])
        store.mend()
        store.fate = lambda: DONE
        assert (await do(browser))["was"]["id"] == id
    assert [[(r.levelno, str(id) in r.getMessage()) for r in one] for one in left] == [
        [(logging.ERROR, True)]
    ] * 2


async def leave_unsettled(
    browser: Browser, store: LosingStore, monkeypatch: pytest.MonkeyPatch, *words: str
) -> None:
    """Send a request whose rotation is made without an answer; its undo waits for a long pause."""
    monkeypatch.setattr(rotation, "FIRST_PAUSE", 60.0)
    held = await Held.at(twin(browser), *words)
    store.fate = lambda: UNANSWERED
    tried = asyncio.Event()
    store.fail["load"] = lambda: tried.set() or OSError()  # type: ignore[func-returns-value]
    assert (await held.finish()).code == 503
    await tried.wait()
    store.fate = lambda: DONE
    store.mend()


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("beside", ["nothing", "junk"])
@pytest.mark.parametrize("away", [1.0, 61.0])
async def test_the_former_token_works_at_once_after_an_outage(
    browser: Browser,
    manager: SessionManager,
    store: LosingStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    away: float,
    beside: str,
    read_only: bool,
) -> None:
    """However long it was, in a group that writes nothing, and with other cookies beside it."""
    await do(browser, "set a 1", "set c 1")
    before = (await do(browser))["was"]
    await leave_unsettled(browser, store, monkeypatch, *SIGN_IN)
    clock.advance(away)
    header = f"session={browser.cookies['session']}"
    if beside == "junk":
        header += f"; session={token.encode(token.new_id(), token.new_secret())}"
    assert manager.unsettled == 1
    session = await manager.load(header, read_only=read_only)
    assert (session.id, session.user, dict(session)) == (before["id"], None, before["data"])
    assert manager.unsettled == 0


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [("set late 1",), ("regenerate",), ("sign-out",)])
async def test_a_late_request_is_saved_before_the_undo(
    browser: Browser,
    manager: SessionManager,
    store: LosingStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    """One that asks whether its token still counts: it does."""
    await do(browser, "set a 1")
    slow = await Held.at(browser, *words)
    await leave_unsettled(browser, store, monkeypatch, *SIGN_IN)
    clock.advance(11.0)
    assert manager.unsettled == 1
    assert (await slow.finish()).code == 200
    found = (await do(browser))["was"]["data"]
    assert found == {"set late 1": {"a": 1, "late": 1}, "sign-out": {}}.get(words[0], {"a": 1})
    assert manager.unsettled == 0


@pytest.mark.gen_test(timeout=30)
async def test_an_undo_that_is_pending_ends_no_socket(
    browser: Browser,
    manager: SessionManager,
    store: LosingStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await do(browser, "set a 1")
    session = await manager.load(f"session={browser.cookies['session']}")
    record = session._saved
    assert record is not None
    await leave_unsettled(browser, store, monkeypatch, *SIGN_IN)
    assert manager.unsettled == 1
    assert await manager.ended([(record.id, record.secret_hash)]) == set()
    assert await session.refresh()
    assert manager.unsettled == 0
    await store.inner.write([Delete(record.id)])
    assert len(await manager.ended([(record.id, record.secret_hash)])) == 1


@pytest.mark.gen_test(timeout=60)
async def test_many_undos_are_tried_some_at_a_time(
    browser: Browser, manager: SessionManager, store: LosingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the store takes none, a retry asks for a few; then all are undone."""
    monkeypatch.setattr(rotation, "MAX_BATCH", 4)
    clients = [twin(browser) for _ in range(10)]
    for client in clients:
        await do(client, "set a 1")
    held = [await Held.at(twin(client), "regenerate") for client in clients]
    store.fate = lambda: LOST
    tries = 0

    def count() -> Exception:
        nonlocal tries
        tries += 1
        return OSError()

    monkeypatch.setattr(rotation, "FIRST_PAUSE", 60.0)
    store.fail["load"] = count
    answers = await asyncio.gather(*(request.finish() for request in held))
    assert ({a.code for a in answers}, manager.unsettled) == ({503}, 10)
    undoer = manager._undoer
    first, tries = list(undoer.pending), 0
    await undoer._try_each()
    assert tries <= 4
    assert list(undoer.pending) == first[4:] + first[:4]
    store.fate = lambda: DONE
    store.mend()
    await undoer._try_each()
    assert manager.unsettled == 0


# What others do meanwhile


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("gate", ["load", "write"])
async def test_what_others_were_answered_outlives_the_undo(
    browser: Browser, manager: SessionManager, store: LosingStore, elsewhere: Site, gate: str
) -> None:
    """What is written between its look and its write stays if the rotation did not write it too."""
    await do(browser, "set a 1", "set c 1", "set d 1", "set e 1")
    other = elsewhere.browser()
    other.cookies = dict(browser.cookies)
    words = ["set d 9", "set new 9", "delete e"]
    if gate == "load":
        words += ["set a 9", "set b 9", "set c 9"]
    slow = await Held.at(other, *words)
    held = await Held.at(twin(browser), *SIGN_IN)
    go_on = await fail_before_undo(held, store, UNANSWERED, gate)
    assert (await slow.finish()).code == 200
    go_on()
    await settled(manager)
    found = (await do(browser))["was"]
    assert found["user"] is None
    own = {"a": 9, "b": 9, "c": 9} if gate == "load" else {"a": 1, "c": 1}
    assert found["data"] == {**own, "d": 9, "new": 9}


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("gate", ["load", "write"])
async def test_a_session_ended_meanwhile_is_not_undone_to_life(
    browser: Browser, manager: SessionManager, store: LosingStore, elsewhere: Site, gate: str
) -> None:
    await do(browser, "set a 1")
    other = elsewhere.browser()
    other.cookies = dict(browser.cookies)
    leaving = await Held.at(other, "sign-out")
    held = await Held.at(twin(browser), *SIGN_IN)
    go_on = await fail_before_undo(held, store, UNANSWERED, gate)
    assert (await leaving.finish()).code == 200
    go_on()
    await settled(manager)
    assert (await do(browser))["was"]["id"] is None


@pytest.mark.gen_test(timeout=30)
async def test_who_signed_in_meanwhile_stays_signed_in(
    browser: Browser, manager: SessionManager, store: LosingStore, elsewhere: Site
) -> None:
    """A rotation that another process made after it is not touched by the undo."""
    await do(browser, "set a 1")
    other = elsewhere.browser()
    other.cookies = dict(browser.cookies)
    held = await Held.at(twin(browser), *SIGN_IN)
    store.fate = lambda: LATE
    store.gate["load"] = asyncio.Event()
    assert (await held.finish()).code == 503
    await do(other, "sign-in eve", "set e 1")
    store.fate = lambda: DONE
    store.gate.pop("load").set()
    await settled(manager)
    assert set(await store.arrive()) == {Outcome.CONFLICT}
    found = (await do(other))["was"]
    assert (found["user"], found["data"]) == ("eve", {"a": 1, "e": 1})
