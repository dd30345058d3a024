"""Messages for the next page, over every store: one key each, in order, taken out when shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app import Flash, Group, Route, SessionManager
from app.sessions.flash import MAX_FLASHES
from stores import MemoryStore, Store
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, Steps, answer, do, steps, twin
from tests.helpers.stores_for_tests import SpyStore

ROUTES = Group("/", Route("steps", Steps), sessions=True)


@pytest.fixture
def browser(serve: Callable[..., Site], any_store: Store, clock: FakeClock) -> Browser:
    """Its clock stands still: the order of messages does not hang on it."""
    return serve(ROUTES, SessionManager(any_store, clock=clock)).browser()


@pytest.fixture
def spy() -> SpyStore:
    return SpyStore()


@pytest.fixture
def at_home(serve: Callable[..., Site], spy: SpyStore) -> Browser:
    """A browser of a site with the memory store, for what is no store's affair."""
    return serve(ROUTES, SessionManager(spy)).browser()


async def shown(browser: Browser, *words: str) -> list[str]:
    """Return the messages that a page shows after it has done *words*."""
    (texts,) = (await do(browser, *words, "show"))["shown"]
    return texts  # type: ignore[no-any-return]


@pytest.mark.gen_test(timeout=30)
async def test_messages_are_shown_once_in_order(browser: Browser) -> None:
    await do(browser, "flash one", "flash two error")
    await do(browser, "flash three success")
    assert await shown(browser) == ["info one", "error two", "success three"]
    assert await shown(browser) == []


@pytest.mark.gen_test(timeout=30)
async def test_two_requests_that_add_both_win(browser: Browser) -> None:
    await do(browser, "set a 1")
    held = await Held.at(browser, "flash late")
    await do(browser, "flash early")
    await held.finish()
    assert sorted(await shown(browser)) == ["info early", "info late"]


@pytest.mark.gen_test(timeout=30)
async def test_two_responses_at_once_may_both_show(browser: Browser) -> None:
    await do(browser, "flash one")
    held = await Held.at(browser, before=("show",))
    assert await shown(browser) == ["info one"]
    await do(browser, "flash meanwhile")
    assert answer(await held.finish())["shown"] == [["info one"]]
    assert await shown(browser) == ["info meanwhile"]
    assert await shown(browser) == []


@pytest.mark.gen_test(timeout=30)
async def test_messages_survive_a_sign_in_like_other_data(browser: Browser) -> None:
    await do(browser, "flash before", "set a 1")
    await do(browser, "sign-in ada", "flash welcome")
    assert await shown(browser) == ["info before", "info welcome"]
    await do(browser, "flash ada's")
    await do(browser, "sign-in grace")
    assert await shown(browser) == []


@pytest.mark.gen_test(timeout=30)
async def test_a_message_after_a_sign_out_begins_a_session(browser: Browser) -> None:
    await do(browser, "sign-in ada", "flash old", "set a 1")
    await do(browser, "sign-out", "flash goodbye")
    assert await shown(browser) == ["info goodbye"]
    assert (await do(browser))["was"]["data"] == {}


@pytest.mark.gen_test(timeout=60)
async def test_of_more_than_20_messages_the_oldest_go(browser: Browser) -> None:
    await do(browser, *(f"flash {n}" for n in range(15)))
    await do(browser, *(f"flash {n}" for n in range(15, 23)))
    expected = [f"info {n}" for n in range(3, 23)]
    assert len(expected) == MAX_FLASHES
    assert await shown(browser) == expected
    assert await shown(browser) == []


# What is no store's affair


@pytest.mark.gen_test
async def test_twice_in_one_request_the_same_are_shown(at_home: Browser) -> None:
    await do(at_home, "flash one")
    found = await do(at_home, "show", "commit", "show", "flash two", "show")
    assert found["shown"] == [["info one"], ["info one"], ["info one", "info two"]]
    assert await shown(at_home) == []


@pytest.mark.gen_test
async def test_a_message_added_after_the_last_look_waits(at_home: Browser) -> None:
    assert (await do(at_home, "flash one", "show", "flash two"))["shown"] == [["info one"]]
    assert await shown(at_home) == ["info two"]


@pytest.mark.gen_test
async def test_a_message_shown_at_once_is_never_written(at_home: Browser, spy: SpyStore) -> None:
    assert await shown(at_home, "flash one") == ["info one"]
    assert spy.kinds == []
    assert at_home.cookies == {}


@pytest.mark.gen_test
async def test_messages_are_one_write_and_their_end_another(
    at_home: Browser, spy: SpyStore
) -> None:
    await do(at_home, "set a 1")
    spy.kinds  # noqa: B018 - forgets them
    await do(at_home, "flash one", "flash two")
    assert spy.kinds == ["load", "Update"]
    await do(at_home)
    assert spy.kinds == ["load"]
    await shown(at_home)
    assert spy.kinds == ["load", "Update"]
    await shown(at_home)
    assert spy.kinds == ["load"]


@pytest.mark.gen_test
async def test_a_user_of_the_mapping_sees_none(at_home: Browser) -> None:
    manager = SessionManager(MemoryStore())
    session = await manager.load(None)
    session.flash("one")
    assert (len(session), list(session), dict(session), bool(session)) == (0, [], {}, False)
    assert session == {}
    session["a"] = 1
    header = str(await session.commit()).partition(";")[0]
    session = await manager.load(header)
    assert (dict(session), session.copy(), session | {}) == ({"a": 1},) * 3
    assert session.popitem() == ("a", 1)
    session.update(b=2, c=[3])
    session.clear()
    assert dict(session) == {}
    await session.commit()
    assert (await manager.load(header)).flashes() == [Flash("one", "info")]


def a_session() -> Any:
    return SessionManager(MemoryStore()).load(None)


@pytest.mark.gen_test
async def test_the_keys_of_messages_are_nobody_elses() -> None:
    session = await a_session()
    for key in ("_flash:", "_flash:0", "_flash:x" + "y" * 1000):
        with pytest.raises(ValueError, match=r"flash\(\) keeps the keys that begin like that"):
            session[key] = 1
        with pytest.raises(ValueError, match=r"flash\(\) keeps"):
            session.update({key: ["<b>", "info"]})
    session["_flash"] = session["flash:"] = 1
    assert len(session) == 2


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((b"text",), TypeError),
        ((None,), TypeError),
        (("\ud800",), ValueError),
        (("text", ""), ValueError),
        (("text", "in fo"), ValueError),
        (("text", "<b>"), ValueError),
        (("text", "é"), ValueError),
        (("text", "1st"), ValueError),
        (("text", "x" * 21), ValueError),
        (("text", None), ValueError),
        (("text", "info\n"), ValueError),
    ],
)
async def test_what_is_no_message_is_refused(arguments: Any, error: type[Exception]) -> None:
    session = await a_session()
    with pytest.raises(error, match=r"flash\(\)"):
        session.flash(*arguments)
    assert session.flashes() == []


@pytest.mark.gen_test
async def test_a_text_is_kept_as_it_is_and_a_level_may_be_ones_own() -> None:
    session = await a_session()
    texts = ["", "<b>&amp;\0\u202e\n🦆", "x" * 10_000]
    for text in texts:
        session.flash(text, "danger-2")
    assert session.flashes() == [Flash(text, "danger-2") for text in texts]


@pytest.mark.gen_test
async def test_messages_count_in_max_bytes(serve: Callable[..., Site]) -> None:
    browser = serve(ROUTES, SessionManager(MemoryStore(), max_bytes=300)).browser()
    await do(browser, "flash one")
    response = await browser.get(steps(f"flash {'x' * 300}"))
    assert response.code == 413
    assert await shown(browser) == ["info one"]


@pytest.mark.gen_test
async def test_what_is_no_message_under_their_keys_is_left_alone() -> None:
    """A service of an earlier version may have kept something there."""
    manager = SessionManager(MemoryStore())
    session = await manager.load(None)
    session._local |= {"_flash:mine": 1, "_flash:z": ["text"], "a": 1}
    header = str(await session.commit()).partition(";")[0]
    session = await manager.load(header)
    assert session.flashes() == []
    session.flash("one")
    assert session.flashes() == [Flash("one", "info")]
    assert session["_flash:mine"] == 1


@pytest.mark.gen_test
async def test_a_replaced_token_adds_and_shows_nothing(at_home: Browser) -> None:
    await do(at_home, "flash one")
    former = twin(at_home)
    await do(at_home, "regenerate")
    assert await shown(former) == []
    assert (await former.get(steps("flash two"))).code == 409
    assert await shown(at_home) == ["info one"]
