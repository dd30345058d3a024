"""What the application and the audit log are told of sessions, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from app import EventKind, Group, Route, SessionEvent, SessionManager
from app.sessions import events, rotation, token
from stores import MemoryStore, Store
from stores.contract import Unreadable
from tests.helpers.clock import FakeClock
from tests.helpers.lost_answers import LOST, UNANSWERED, LosingStore
from tests.helpers.records import make_record
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, do, steps, twin, until
from tests.helpers.stores_for_tests import FaultyStore

ROUTES = Group(
    "/",
    Route("steps", Steps),
    Group("show", Route("steps", Steps), read_only=True),
    sessions=True,
)

STARTED, SIGNED_IN, ROTATED, SIGNED_OUT = (
    *(EventKind.STARTED, EventKind.SIGNED_IN),
    *(EventKind.ROTATED, EventKind.SIGNED_OUT),
)

Visit = Callable[[Store], Browser]


@pytest.fixture
def heard() -> list[SessionEvent]:
    """What the listener was told."""
    return []


@pytest.fixture
def visit(serve: Callable[..., Site], heard: list[SessionEvent], clock: FakeClock) -> Visit:
    """Return a browser of a site over a store, whose events are heard."""

    def visit(store: Store) -> Browser:
        manager = SessionManager(store, on_event=heard.append, clock=clock)
        return serve(ROUTES, manager).browser()

    return visit


def told(heard: list[SessionEvent]) -> list[tuple[EventKind, str | None]]:
    """Return the kinds and users of what was heard since the last look."""
    found = [(event.kind, event.user) for event in heard]
    heard.clear()
    return found


def public_id(browser: Browser) -> str:
    return token.public_id(token.decode(browser.cookies["session"])[0])


@pytest.mark.gen_test(timeout=30)
async def test_events_tell_the_life_of_a_session(
    visit: Visit, heard: list[SessionEvent], any_store: Store, clock: FakeClock
) -> None:
    browser = visit(any_store)
    await do(browser, "set a 1")
    id = public_id(browser)
    assert heard == [SessionEvent(STARTED, "session", id, None, clock())]
    heard.clear()
    for words, kinds in {
        ("set a 2",): [],
        ("delete a",): [],
        (): [],
        ("sign-in ada",): [(SIGNED_IN, "ada")],
        ("regenerate",): [(ROTATED, "ada")],
        ("remember no",): [(ROTATED, "ada")],
        ("confirm",): [(EventKind.CONFIRMED, "ada")],
        ("sign-in ada", "confirm"): [(SIGNED_IN, "ada")],
        ("sign-in ada", "set b 1"): [(SIGNED_IN, "ada")],
    }.items():
        await do(browser, *words)
        assert {event.session for event in heard} <= {id}
        assert told(heard) == kinds
    await do(browser, "sign-in eve")
    assert [event.session for event in heard] == [id, public_id(browser), public_id(browser)]
    assert told(heard) == [(SIGNED_OUT, "ada"), (STARTED, "eve"), (SIGNED_IN, "eve")]
    await do(browser, "sign-out")
    assert told(heard) == [(SIGNED_OUT, "eve")]
    await do(browser, "sign-in ada", "commit", "set a 1", "commit", "regenerate")
    assert told(heard) == [(STARTED, "ada"), (SIGNED_IN, "ada"), (ROTATED, "ada")]


@pytest.mark.gen_test(timeout=30)
async def test_an_end_of_nobodys_session_is_told_as_one(
    visit: Visit, heard: list[SessionEvent]
) -> None:
    browser = visit(MemoryStore())
    await do(browser, "set a 1")
    await do(browser, "destroy")
    assert told(heard) == [(STARTED, None), (SIGNED_OUT, None)]
    await do(browser, "destroy")
    assert heard == []


@pytest.mark.gen_test(timeout=30)
async def test_a_commit_without_an_answer_tells_nothing(
    visit: Visit,
    heard: list[SessionEvent],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the log nor the listener hears of what the store did not acknowledge."""
    monkeypatch.setattr(rotation, "FIRST_PAUSE", 0.001)
    caplog.set_level(logging.DEBUG, "sessions.audit")
    store = FaultyStore()
    browser = visit(store)
    await do(browser, "set a 1")
    told(heard)
    caplog.clear()
    for words in (("sign-in ada",), ("regenerate",), ("destroy",), ("destroy", "set a 1")):
        store.break_down("write")
        assert (await twin(browser).get(steps(*words))).code == 503
        store.mend()
        await until(lambda: not manager_of(browser).unsettled, "the undo")
    await twin(browser).get(steps("set a 1", "status 500"))
    assert (heard, [r for r in caplog.records if r.name == "sessions.audit"]) == ([], [])


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("fate", [LOST, UNANSWERED])
async def test_a_sign_in_that_is_undone_was_never_told(
    visit: Visit, heard: list[SessionEvent], fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "FIRST_PAUSE", 0.001)
    store = LosingStore(MemoryStore())
    browser = visit(store)
    await do(browser, "set a 1")
    told(heard)
    fates = iter([fate])
    store.fate = lambda: next(fates, "done")
    assert (await browser.get(steps("sign-in ada"))).code == 503
    await until(lambda: not manager_of(browser).unsettled, "the undo")
    assert (await do(browser))["was"]["user"] is None
    assert heard == []


@pytest.mark.gen_test(timeout=30)
async def test_a_sign_in_whose_former_session_stays_is_not_told(
    visit: Visit, heard: list[SessionEvent]
) -> None:
    """The new record is there, but the client is told 503 and never gets its token."""
    store = FaultyStore()
    browser = visit(store)
    await do(browser, "sign-in ada")
    told(heard)
    held = await Held.at(browser, "sign-in eve")
    write, wrote = store.write, 0

    async def second_fails(changes: Any) -> Any:
        nonlocal wrote
        wrote += 1
        if wrote == 2:
            store.break_down("write")
        return await write(changes)

    store.write = second_fails  # type: ignore[method-assign]
    assert (await held.finish()).code == 503
    assert heard == []


@pytest.mark.gen_test(timeout=30)
async def test_a_dropped_change_tells_nothing(visit: Visit, heard: list[SessionEvent]) -> None:
    """A request whose session was ended by another one meanwhile did nothing."""
    browser = visit(MemoryStore())
    await do(browser, "sign-in ada")
    late = [await Held.at(twin(browser), word) for word in ("regenerate", "sign-in ada")]
    await do(browser, "destroy")
    told(heard)
    for held in late:
        assert (await held.finish()).code == 200
    assert heard == []


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("place", ["", "/show"])
async def test_use_of_a_replaced_token_is_told(
    visit: Visit, heard: list[SessionEvent], clock: FakeClock, place: str
) -> None:
    """It is told at most once in ten seconds, for any client can repeat it."""
    browser = visit(MemoryStore())
    await do(browser, "sign-in ada")
    thief = twin(browser)
    await do(browser, "regenerate")
    told(heard)
    clock.advance(1)
    for _ in range(3):
        assert (await thief.get(place + steps())).code == 200
    assert [event.session for event in heard] == [public_id(browser)]
    assert told(heard) == [(EventKind.REPLACED_TOKEN_USED, "ada")]
    clock.advance(10)
    await do(thief)
    assert heard == []
    former = twin(browser)
    await do(browser, "regenerate")
    clock.advance(9)
    await do(former)
    assert told(heard) == [(ROTATED, "ada"), (EventKind.REPLACED_TOKEN_USED, "ada")]


@pytest.mark.gen_test(timeout=30)
async def test_several_live_tokens_are_told(visit: Visit, heard: list[SessionEvent]) -> None:
    browser = visit(MemoryStore())
    others = [twin(browser) for _ in range(2)]
    for other, user in zip(others, ("ada", "eve"), strict=True):
        await do(other, f"sign-in {user}")
    told(heard)
    browser.cookies["session"] = "; session=".join(o.cookies["session"] for o in others)
    for _ in range(3):
        await do(twin(browser))
    assert sorted(event.session for event in heard) == sorted(map(public_id, others))
    assert sorted(told(heard), key=str) == [
        (EventKind.SEVERAL_TOKENS, "ada"),
        (EventKind.SEVERAL_TOKENS, "eve"),
    ]
    await do(browser, "sign-in eve")
    assert sorted(told(heard)[:2], key=str) == [(SIGNED_OUT, "ada"), (SIGNED_OUT, "eve")]


@pytest.mark.gen_test(timeout=30)
async def test_an_unreadable_record_is_told_once(visit: Visit, heard: list[SessionEvent]) -> None:
    store = FaultyStore()
    browser = visit(store)
    await do(browser, "sign-in ada")
    told(heard)

    async def load(ids: Any) -> Any:
        return dict.fromkeys(ids, Unreadable("data is missing"))

    store.load = load  # type: ignore[method-assign]
    for _ in range(2):
        await do(twin(browser))
    assert [event.session for event in heard] == [public_id(browser)]
    assert told(heard) == [(EventKind.UNREADABLE, None)]


@pytest.mark.gen_test(timeout=30)
async def test_an_eviction_is_told(visit: Visit, heard: list[SessionEvent]) -> None:
    """Of two managers over one store each tells: a record does not say whose it is."""
    store = MemoryStore(max_sessions=2)  # a session, and the list of its user's
    browser = visit(store)
    other = visit(store)
    await do(browser, "sign-in ada")
    assert told(heard) == [(STARTED, "ada"), (SIGNED_IN, "ada")]
    await do(other, "sign-in eve")
    evicted = 2 * [(EventKind.EVICTED, "ada")]
    assert told(heard) == [*evicted, (STARTED, "eve"), (SIGNED_IN, "eve")]
    await other.site.application.close()
    await do(browser.site.browser(), "sign-in bob")
    assert told(heard) == [(EventKind.EVICTED, "eve"), (STARTED, "bob"), (SIGNED_IN, "bob")]


@pytest.mark.gen_test(timeout=30)
async def test_a_user_signed_out_everywhere_is_the_last_word(
    visit: Visit, heard: list[SessionEvent]
) -> None:
    """A sign-in that is stopped by it was never told; what ends by it is."""
    browser = visit(MemoryStore())
    await do(browser, "set a 1")
    other = browser.site.browser()
    await do(other, "sign-in ada")
    new, anonymous = browser.site.browser(), twin(browser)
    held = [await Held.at(one, "sign-in ada") for one in (new, anonymous)]
    told(heard)
    assert await manager_of(browser).sign_out_everywhere("ada") == 1
    await manager_of(browser).events.settle()
    assert told(heard) == [(EventKind.REVOKED, "ada")]
    for one in held:
        assert (await one.finish()).code == 409
    assert SIGNED_IN not in [kind for kind, _ in told(heard)]


@pytest.mark.gen_test(timeout=30)
async def test_the_oldest_of_too_many_sessions_is_told(
    serve: Callable[..., Site], heard: list[SessionEvent]
) -> None:
    manager = SessionManager(MemoryStore(), max_per_user=1, on_event=heard.append)
    site = serve(ROUTES, manager)
    browsers = [site.browser(), site.browser()]
    for browser in browsers:
        await do(browser, "sign-in ada")
    limited = [event.session for event in heard if event.kind is EventKind.LIMITED]
    assert limited == [public_id(browsers[0])]
    assert told(heard)[-1] == (SIGNED_IN, "ada")


@pytest.mark.gen_test(timeout=30)
async def test_the_audit_log_has_no_token_and_no_value(
    visit: Visit, heard: list[SessionEvent], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sessions.audit")
    browser = visit(MemoryStore())
    tokens = []
    for words in (('set a "precious"',), ("sign-in ada",), ("regenerate",)):
        await do(browser, *words)
        tokens.append(browser.cookies["session"])
    former = browser.site.browser()
    former.cookies = {"session": tokens[1]}
    await do(former)
    await do(browser, "sign-out")
    lines = [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "sessions.audit"]
    id = token.public_id(token.decode(tokens[0])[0])
    assert lines == [
        ("DEBUG", f"started: session {id} of the cookie session, user None"),
        ("INFO", f"signed_in: session {id} of the cookie session, user 'ada'"),
        ("DEBUG", f"rotated: session {id} of the cookie session, user 'ada'"),
        ("WARNING", f"replaced_token_used: session {id} of the cookie session, user 'ada'"),
        ("INFO", f"signed_out: session {id} of the cookie session, user 'ada'"),
    ]
    secrets = [t[len(id) :] for t in tokens]
    text = repr(heard) + repr(lines)
    assert not [secret for secret in (*tokens, *secrets, "precious") if secret in text]


@pytest.mark.gen_test(timeout=30)
async def test_what_is_remembered_of_repeated_events_is_bounded(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, heard: list[SessionEvent]
) -> None:
    monkeypatch.setattr(events, "MAX_PAUSES", 3)
    teller = events.Events("session", clock, heard.append)
    records = [make_record() for _ in range(5)]
    for record in records:
        teller.tell_seldom(EventKind.SEVERAL_TOKENS, record)
    for record in records[2:]:
        teller.tell_seldom(EventKind.SEVERAL_TOKENS, record)
    await teller.settle()
    assert len(heard) == 5
    clock.advance(-1)  # a clock that goes back silences nobody
    teller.tell_seldom(EventKind.SEVERAL_TOKENS, records[4])
    await teller.settle()
    assert len(heard) == 6


def manager_of(browser: Browser) -> SessionManager:
    (manager,) = browser.site.application.managers
    return manager
