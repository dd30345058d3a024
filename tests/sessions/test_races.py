"""Two requests of one session at the same time, over every store.

Each test makes its interleaving happen, by holding requests in their handlers or writes before the
store, and counts that it did: RACE_ROUNDS sets how often (2), `pytest -rP` shows the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from stores import Store
from tests.helpers.clock import FakeClock
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Held, answer, cookies_set, do, twin
from tests.helpers.two_processes import MEETINGS, ROUNDS, TwoProcesses

DAY = 24 * 3600

Meet = Callable[[Browser, tuple[str, ...], tuple[str, ...]], Any]


@pytest.fixture
def two(
    serve: Callable[..., Site],
    any_store: Store,
    clock: FakeClock,
    request: pytest.FixtureRequest,
) -> Iterator[TwoProcesses]:
    processes = TwoProcesses(serve, any_store, clock)
    yield processes
    assert sum(processes.happened.values()) >= ROUNDS
    print(request.node.name, dict(processes.happened))


@pytest.fixture(params=MEETINGS)
def meet(request: pytest.FixtureRequest, two: TwoProcesses) -> Meet:
    """Let two requests of a client meet, and return both answers."""

    async def meet(browser: Browser, first: tuple[str, ...], second: tuple[str, ...]) -> Any:
        return await MEETINGS[request.param](two, browser, first, second)

    return meet


async def data(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = (await do(browser))["was"]["data"]
    return found


# Changes


@pytest.mark.gen_test(timeout=30)
async def test_requests_that_change_different_keys_both_win(two: TwoProcesses, meet: Meet) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "set a 0", "set b 0", "set c 0", "set old 0")
        answers = await meet(browser, ("set a 1", "delete old"), ("set b 2", "set new 2"))
        assert [a.code for a in answers] == [200, 200]
        assert await data(browser) == {"a": 1, "b": 2, "c": 0, "new": 2}


@pytest.mark.gen_test(timeout=30)
async def test_of_one_key_the_later_acknowledged_value_stays(
    two: TwoProcesses, meet: Meet, request: pytest.FixtureRequest
) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "set a 0")
        answers = await meet(browser, ("set a 1",), ("set a 2",))
        assert [a.code for a in answers] == [200, 200]
        found = (await data(browser))["a"]
        assert found in ((2,) if "one by one" in request.node.name else (1, 2))
        two.happened[f"the value is {found}"] += 1


@pytest.mark.gen_test(timeout=30)
async def test_a_removed_key_is_not_restored_from_an_older_copy(two: TwoProcesses) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, 'set gone ["x"]', "set kept 1")
        slow = await Held.at(twin(browser), "set kept 2")  # it has read every key
        await do(two.elsewhere(browser), "delete gone")
        two.saw(slow, "removed while an older copy was held")
        assert "gone" in answer(await slow.finish())["now"]["data"]
        assert await data(browser) == {"kept": 2}


@pytest.mark.gen_test(timeout=30)
async def test_a_nested_value_that_was_read_is_not_written_back(two: TwoProcesses) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "append items 1")
        slow = await Held.at(twin(browser), "set kept 2")
        await do(two.elsewhere(browser), "append items 2")
        two.saw(slow, "changed inside while an older copy was held")
        await slow.finish()
        assert await data(browser) == {"items": [1, 2], "kept": 2}


# A slow request while the client signs out

SLOW = {
    "reads, a touch being due": (),
    "writes": ("set a 2",),
    "removes": ("delete a",),
    "clears": ("clear",),
    "changes a nested value": ("append items 2",),
    "replaces the token": ("regenerate",),
    "replaces the token and writes": ("set a 2", "regenerate"),
    "signs in": ("sign-in ada",),
    "is remembered no longer": ("remember no",),
    "commits twice": ("set a 2", "commit", "set a 3"),
    "commits and replaces the token": ("set a 2", "commit", "regenerate"),
    "fails": ("set a 2", "status 500"),
    "is refused": ("set a 2", "status 403"),
}


async def assert_gone(two: TwoProcesses, browser: Browser, late: HTTPResponse) -> None:
    """There is no record of any session, under any id, and the late answer sets no cookie."""
    assert cookies_set(late) == []
    assert await two.records() == []
    for client in (browser, two.elsewhere(browser)):
        assert (await do(client))["was"]["id"] is None


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", SLOW.values(), ids=SLOW)
async def test_a_sign_out_stays_whatever_a_slow_request_does(
    two: TwoProcesses, clock: FakeClock, words: tuple[str, ...]
) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "set a 1", "append items 1")
        clock.advance(DAY / 2)
        slow = await Held.at(twin(browser), *words)
        await do(two.elsewhere(browser), "sign-out")
        two.saw(slow, "signed out while it was in its handler")
        late = await slow.finish()
        assert late.code == (int(words[-1].split()[1]) if "status" in str(words) else 200)
        await assert_gone(two, browser, late)


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [("set a 2",), ("regenerate",), ("sign-in ada",)])
async def test_a_sign_out_wins_when_both_are_at_the_store(
    two: TwoProcesses, meet: Meet, words: tuple[str, ...]
) -> None:
    for _ in range(ROUNDS):
        for first, second in ((words, ("sign-out",)), (("sign-out",), words)):
            browser = two.browser()
            await do(browser, "set a 1")
            answers = await meet(browser, first, second)
            assert [a.code for a in answers] == [200, 200]
            late = answers[0] if first is words else answers[1]
            if cookies_set(late):  # it came first; what it set is as dead as the rest
                two.happened["a new token before the end"] += 1
                assert (await do(twin(browser, of=_token(late))))["was"]["id"] is None
            else:
                two.happened["no new token"] += 1
            assert await two.records() == []
            assert (await do(browser))["was"]["id"] is None


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", [("sign-in eve",), ("destroy", "set e 1")])
async def test_a_new_session_is_begun_though_the_old_was_signed_out(
    two: TwoProcesses, words: tuple[str, ...]
) -> None:
    """Signing in as another user, and data after destroy(), begin a session of their own."""
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "sign-in ada", "set a 1")
        before = (await do(browser))["was"]["id"]
        slow = await Held.at(twin(browser), *words)
        await do(two.elsewhere(browser), "sign-out")
        two.saw(slow, "signed out while it was in its handler")
        late = await slow.finish()
        (cookie,) = cookies_set(late)
        assert "Max-Age=0" not in cookie
        found = (await do(twin(browser, of=_token(late))))["was"]
        assert found["id"] != before
        assert "a" not in found["data"]
        (record,) = await two.records()
        assert record.user == found["user"] == ("eve" if "sign-in eve" in words else None)
        assert (await do(browser))["was"]["id"] is None
        await do(twin(browser, of=_token(late)), "destroy")


def _token(response: HTTPResponse) -> str:
    (cookie,) = cookies_set(response)
    return cookie.partition(";")[0].partition("=")[2]


# Two beginnings, two rotations


@pytest.mark.gen_test(timeout=30)
async def test_sessions_begun_at_once_by_one_client_both_work(
    two: TwoProcesses, meet: Meet
) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        answers = await meet(browser, ("set a 1",), ("set b 2",))
        assert [a.code for a in answers] == [200, 200]
        first, second = (twin(browser, of=_token(a)) for a in answers)
        assert (await data(first), await data(second)) == ({"a": 1}, {"b": 2})
        assert len(await two.records()) == 2
        await do(first, "destroy")
        assert await data(second) == {"b": 2}  # whichever cookie the browser kept
        await do(second, "destroy")


@pytest.mark.gen_test(timeout=30)
@pytest.mark.parametrize("words", ["regenerate", "remember no"])
async def test_of_two_rotations_one_wins_and_the_other_is_a_conflict(
    two: TwoProcesses, meet: Meet, words: str
) -> None:
    for _ in range(ROUNDS):
        browser = two.browser()
        await do(browser, "set a 0")
        answers = await meet(browser, (words, "set a 1", "set b 1"), (words, "set a 2", "set c 2"))
        assert sorted(a.code for a in answers) == [200, 409]
        won = [a.code for a in answers].index(200)
        lost = answers[1 - won]
        assert cookies_set(lost) == []
        assert lost.headers["Retry-After"] == "10"
        winner = twin(browser, of=_token(answers[won]))
        expected = {"a": 1, "b": 1} if won == 0 else {"a": 2, "c": 2}
        assert await data(winner) == expected
        assert await data(browser) == {}
        await do(winner, words, "set c 2")  # the loser's retry, with the winner's cookie
        assert (await data(winner))["c"] == 2
        two.happened[f"rotation {won + 1} won"] += 1
