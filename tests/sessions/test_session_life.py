"""The life of a session over HTTP: each turn of it, with the store operations that it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tornado.web import authenticated

from app import Group, Route, Session, SessionManager
from app.sessions.pending import Presented
from stores import MemoryStore
from tests.helpers.clock import FakeClock
from tests.helpers.pages import Page
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, cookies_set, do, steps, twin
from tests.helpers.stores_for_tests import SpyStore


class Private(Page):
    @authenticated
    def get(self) -> None:
        self.write(f"hello {self.current_user}")

    @authenticated
    def post(self) -> None:
        self.session["posted"] = True


ROUTES = Group("/", Route("steps", Steps), Route("private", Private), sessions=True)


@pytest.fixture
def store() -> SpyStore:
    return SpyStore(MemoryStore())


@pytest.fixture
def browser(serve: Callable[..., Site], store: SpyStore, clock: FakeClock) -> Browser:
    return serve(ROUTES, SessionManager(store, clock=clock), login_url="/login").browser()


async def kinds(browser: Browser, store: SpyStore, *words: str) -> list[str]:
    """Return the store operations that these steps take."""
    store.calls.clear()
    await do(browser, *words)
    return store.kinds


# Destroy


@pytest.mark.gen_test
async def test_destroy_deletes_the_record_and_the_cookie(browser: Browser, store: SpyStore) -> None:
    await do(browser, "set a 1")
    token = browser.cookies["session"]
    assert await kinds(browser, store, "destroy") == ["load", "Delete"]
    assert browser.cookies == {}
    assert len(store.inner) == 0  # type: ignore[arg-type]
    assert (await do(twin(browser, of=token)))["was"]["data"] == {}


@pytest.mark.gen_test
async def test_after_destroy_nothing_is_left_of_the_session(browser: Browser) -> None:
    await do(browser, "set a 1", "sign-in ada", "remember no")
    found = await do(browser, "destroy")
    assert found["now"] == {
        "id": None,
        "user": None,
        "created": None,
        "persistent": True,
        "data": {},
    }


@pytest.mark.gen_test
async def test_what_is_set_after_destroy_begins_a_new_session(
    browser: Browser, store: SpyStore
) -> None:
    before = (await do(browser, "set a 1", "set b 1", "commit"))["now"]
    token = browser.cookies["session"]
    operations = await kinds(browser, store, "set b 2", "destroy", "set c 3")
    assert operations == ["load", "Create", "Delete"]
    after = (await do(browser))["was"]
    assert after["data"] == {"c": 3}
    assert after["id"] != before["id"]
    assert (await do(twin(browser, of=token)))["was"]["id"] is None


@pytest.mark.gen_test
async def test_destroying_what_never_was_takes_no_operation(
    browser: Browser, store: SpyStore
) -> None:
    assert await kinds(browser, store, "destroy") == []
    assert await kinds(browser, store, "set a 1", "destroy") == []
    assert await kinds(browser, store, "destroy", "set a 1", "destroy", "destroy") == []
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_destroying_twice_deletes_once(browser: Browser, store: SpyStore) -> None:
    await do(browser, "set a 1")
    assert await kinds(browser, store, "destroy", "set b 1", "destroy") == ["load", "Delete"]
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_begun_and_destroyed_in_one_request_leaves_nothing(
    browser: Browser, store: SpyStore
) -> None:
    assert await kinds(browser, store, "set a 1", "commit", "destroy") == ["Create", "Delete"]
    assert browser.cookies == {}
    assert len(store.inner) == 0  # type: ignore[arg-type]


# Regenerate


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "words",
    [("regenerate", "set a 2"), ("set a 2", "regenerate"), ("regenerate", "set a 2", "regenerate")],
)
async def test_regenerate_is_one_write_with_the_other_changes(
    browser: Browser, store: SpyStore, words: tuple[str, ...]
) -> None:
    await do(browser, "set a 1", "set b 1")
    token, before = browser.cookies["session"], (await do(browser))["was"]
    store.calls.clear()
    response = await browser.get(steps(*words))
    assert store.kinds == ["load", "Update"]
    assert len(cookies_set(response)) == 1
    assert browser.cookies["session"] != token
    after = (await do(browser))["was"]
    assert after == {**before, "data": {"a": 2, "b": 1}}


@pytest.mark.gen_test
async def test_regenerating_what_is_not_saved_is_a_mere_creation(
    browser: Browser, store: SpyStore
) -> None:
    assert await kinds(browser, store, "regenerate") == []
    assert browser.cookies == {}
    assert await kinds(browser, store, "regenerate", "set a 1", "regenerate") == ["Create"]
    assert (await do(browser))["was"]["data"] == {"a": 1}


@pytest.mark.gen_test
async def test_after_a_commit_the_token_can_be_replaced_again(
    browser: Browser, store: SpyStore
) -> None:
    await do(browser, "set a 1")
    words = ("regenerate", "commit", "set b 2", "commit", "regenerate", "commit", "set c 3")
    assert await kinds(browser, store, *words) == ["load", *["Update"] * 4]
    assert (await do(browser))["was"]["data"] == {"a": 1, "b": 2, "c": 3}


@pytest.mark.gen_test
async def test_id_and_creation_stay_until_the_session_ends(
    browser: Browser, clock: FakeClock
) -> None:
    """Id and creation stay over a rotation and end with the session."""
    began = clock.now
    first = await do(browser, "set a 1", "commit")
    assert first["was"]["id"] is first["was"]["created"] is None
    id = first["now"]["id"]
    assert len(id) == 22
    assert id not in browser.cookies["session"][22:]
    clock.advance(3600)
    for words in (("regenerate",), ("sign-in ada",), ("set a 2",), ("remember no",)):
        found = await do(browser, *words)
        assert found["was"]["id"] == found["now"]["id"] == id
        assert found["was"]["created"] == pytest.approx(began, abs=0.001)


# Signing in and out


@pytest.mark.gen_test
async def test_signing_in_keeps_what_was_gathered_under_a_new_token(
    browser: Browser, store: SpyStore
) -> None:
    await do(browser, 'set cart ["x"]')
    token, before = browser.cookies["session"], (await do(browser))["was"]
    assert await kinds(browser, store, "sign-in ada") == ["load", "Update", "Update", "load"]
    assert browser.cookies["session"] != token
    assert (await do(browser))["was"] == {**before, "user": "ada"}
    assert (await do(twin(browser, of=token)))["was"]["user"] is None


@pytest.mark.gen_test
async def test_signing_in_without_a_session_begins_one(browser: Browser, store: SpyStore) -> None:
    assert await kinds(browser, store, "sign-in ada") == ["Create", "Update", "load"]
    found = (await do(browser))["was"]
    assert (found["user"], found["data"]) == ("ada", {})


@pytest.mark.gen_test
async def test_the_same_user_signing_in_again_keeps_all(browser: Browser, store: SpyStore) -> None:
    """Signing in again as the same user keeps all, under a new token."""
    await do(browser, "sign-in ada", "set a 1")
    token, before = browser.cookies["session"], (await do(browser))["was"]
    assert await kinds(browser, store, "sign-in ada") == ["load", "Update", "Update", "load"]
    assert browser.cookies["session"] != token
    assert (await do(browser))["was"] == before


@pytest.mark.gen_test
async def test_another_users_sign_in_drops_data_and_record(
    browser: Browser, store: SpyStore
) -> None:
    """Signing in as another user drops the first one's data and record."""
    await do(browser, "sign-in ada", "set a 1")
    token, before = browser.cookies["session"], (await do(browser))["was"]
    words = ("set late 1", "sign-in eve", "set e 1")
    operations = await kinds(browser, store, *words)
    assert operations == ["load", "Create", "Update", "load", "Delete", "Update"]
    after = (await do(browser))["was"]
    assert (after["user"], after["data"]) == ("eve", {"e": 1})
    assert after["id"] != before["id"]
    assert (await do(twin(browser, of=token)))["was"]["id"] is None


@pytest.mark.gen_test
async def test_signing_out_ends_the_session(browser: Browser, store: SpyStore) -> None:
    await do(browser, "sign-in ada", "set a 1")
    assert await kinds(browser, store, "sign-out") == ["load", "Delete", "Update"]
    assert browser.cookies == {}
    assert (await browser.get("/private")).code == 302


@pytest.mark.gen_test
async def test_signing_out_and_in_within_one_request(browser: Browser, store: SpyStore) -> None:
    await do(browser, "sign-in ada", "set a 1")
    operations = await kinds(browser, store, "sign-out", "sign-in ada")
    assert operations == ["load", "Create", "Update", "load", "Delete", "Update"]
    found = (await do(browser))["was"]
    assert (found["user"], found["data"]) == ("ada", {})


@pytest.mark.gen_test
async def test_authenticated_and_current_user_work_from_the_session(
    browser: Browser, store: SpyStore
) -> None:
    response = await browser.get("/private")
    assert (response.code, response.headers["Location"]) == (302, "/login?next=%2Fprivate")
    assert (await browser.post("/private")).code == 403
    assert cookies_set(response) == store.kinds == []
    assert response.headers["Vary"] == "Cookie"
    await do(browser, "sign-in ada")
    assert await browser.text("/private") == "hello ada"
    assert (await browser.post("/private")).code == 200
    assert (await do(browser))["was"]["data"] == {"posted": True}


@pytest.mark.parametrize("user", ["", None, 7, b"ada", "\ud800"])
def test_a_user_is_a_text(user: object) -> None:
    session = Session(SessionManager(MemoryStore()), None, Presented(at=0.0))
    with pytest.raises((TypeError, ValueError)):
        session.sign_in(user)  # type: ignore[arg-type]
    assert session.user is None


# What takes nothing


@pytest.mark.gen_test
async def test_reading_takes_one_load_and_without_a_cookie_none(
    browser: Browser, store: SpyStore
) -> None:
    assert await kinds(browser, store) == []
    await do(browser, "set a 1")
    assert await kinds(browser, store) == ["load"]
    assert await kinds(browser, store, "set a 1") == ["load"]
    assert await kinds(browser, store, "clear") == ["load", "Update"]
    assert await kinds(browser, store, "clear") == ["load"]
    found = (await do(browser))["was"]
    assert (found["data"], found["id"] is None) == ({}, False)
