"""The page's account: sign in, sign out, see one's devices and end them, over every store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tornado.web import RequestHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from app.testing import Clock
from configure import ROUTES
from stores import MemoryStore, Store
from tests.helpers.forms import flashes, heading, hidden, refusal, send, text
from tests.helpers.site import Browser, Site

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0"
HOSTILE = "<script>alert(1)</script>'\"&lt;"


@pytest.fixture
def site(serve: Callable[..., Site]) -> Site:
    return serve(ROUTES, SessionManager(MemoryStore()))


async def sign_in(browser: Browser, user: str = "ada", agent: str = CHROME, **more: str) -> str:
    """Sign in, and return the page; *more* is what else the form has."""
    form = {"user": user, **more}
    response = await browser.post("/page/sign-in", form, headers={"User-Agent": agent})
    assert response.code == 303, response.body
    return await browser.text("/")


@pytest.mark.gen_test(timeout=30)
async def test_it_does_all_of_it_on_every_store(
    serve: Callable[..., Site], any_store: Store
) -> None:
    site = serve(ROUTES, SessionManager(any_store))
    user = f"ada {site.port}"  # of this test alone
    here, there = site.browser(), site.browser()
    await send(here, "/page/set", name="cart", value="engine")
    page = await sign_in(here, user, label="Desk")
    assert flashes(page) == [f"Signed in as {user}, under a new token."]
    assert 'cart "engine" Remove' in text(page)
    await sign_in(there, user, label="Phone")
    shown = text(await here.text("/"))
    assert "Desk this one Chrome on Linux · signed in just now" in shown
    assert "Phone Chrome on Linux · signed in just now" in shown
    assert {await own_id(b) for b in (here, there)} == {
        *hidden(await here.text("/"), "/page/devices/end")
    }
    page = await send(here, "/page/devices/end", id=await own_id(there))
    assert flashes(page) == ["That device is signed out."]
    assert "Phone" not in text(page)
    assert "This browser has none yet." in text(await there.text("/"))
    page = await send(here, "/page/sign-out")
    assert flashes(page) == ["The session ended: its record is deleted, and so is your cookie."]
    assert here.cookies == {}


async def own_id(browser: Browser) -> str:
    """Return the public id that the page shows of the browser's session."""
    shown = text(await browser.text("/")).split()
    return shown[shown.index("id") + 1]


@pytest.mark.gen_test
async def test_all_other_devices_are_ended_at_once(site: Site) -> None:
    here = site.browser()
    others = [site.browser() for _ in range(2)]
    for browser in (here, *others):
        await sign_in(browser)
    token = here.cookies["session"]
    page = await send(here, "/page/devices/end-others")
    assert flashes(page) == ["2 other devices are signed out, and this one has a new token."]
    assert here.cookies["session"] != token
    assert "You are ada" in text(page)
    for browser in others:
        assert "This browser has none yet." in text(await browser.text("/"))


@pytest.mark.gen_test
async def test_to_end_all_others_wants_a_fresh_proof(
    serve: Callable[..., Site], clock: Clock
) -> None:
    browser = serve(ROUTES, SessionManager(MemoryStore(), clock=clock)).browser()
    assert "You proved it just now." in text(await sign_in(browser))
    await sign_in(browser.site.browser())
    clock.advance(600)
    page = text(await browser.text("/"))
    assert "You proved it 10 minutes ago." in page
    assert "Confirm first that it is you: the last proof is too old." in page
    status, sentence = await refusal(browser, "/page/devices/end-others")
    assert (status, "confirm first that it is you" in sentence) == (401, True)
    token = browser.cookies["session"]
    page = await send(browser, "/page/confirm")
    assert flashes(page) == ["Confirmed: it is you, under a new token."]
    assert browser.cookies["session"] != token
    assert "the last proof is too old" not in text(page)
    page = await send(browser, "/page/devices/end-others")
    assert "1 other device is signed out" in flashes(page)[0]


@pytest.mark.gen_test
async def test_nobody_confirms(site: Site) -> None:
    status, sentence = await refusal(site.browser(), "/page/confirm")
    assert (status, "Only somebody who is signed in" in sentence) == (401, True)


@pytest.mark.gen_test
async def test_ones_own_device_is_signed_out_in_full(site: Site) -> None:
    browser = site.browser()
    page = await sign_in(browser)
    (id,) = hidden(page, "/page/devices/end")
    page = await send(browser, "/page/devices/end", id=id)
    assert browser.cookies == {}
    assert flashes(page) == ["The session ended: its record is deleted, and so is your cookie."]


@pytest.mark.gen_test
async def test_somebody_elses_device_is_not_ended(site: Site) -> None:
    here, victim = site.browser(), site.browser()
    await sign_in(here)
    await sign_in(victim, "grace")
    for id in (await own_id(victim), "", "x", "A" * 22, HOSTILE):
        page = await send(here, "/page/devices/end", id=id)
        assert flashes(page) == ["That device was signed out already."]
    assert "You are grace" in text(await victim.text("/"))


@pytest.mark.gen_test
async def test_nobody_ends_a_device(site: Site) -> None:
    browser = site.browser()
    for path in ("end", "end-others"):
        response = await browser.post(f"/page/devices/{path}")
        assert heading(response)[0] == 401
        assert "Only somebody who is signed in" in heading(response)[1]


@pytest.mark.gen_test
async def test_a_session_is_remembered_if_that_is_wished(site: Site) -> None:
    for remember, shown in ({}, "no Max-Age goes"), ({"remember": "yes"}, "Max-Age stays"):
        browser = site.browser()
        page = await sign_in(browser, "ada", CHROME, **remember)
        assert f"{shown} when the browser is closed" in text(page)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Type any name to sign in."),
        ({"user": "x" * 256}, "A user's name has at most 255 characters."),
        ({"user": "x", "label": "y" * 61}, "A label has at most 60 characters."),
    ],
)
async def test_a_sign_in_that_cannot_work_is_refused_in_words(
    site: Site, fields: dict[str, str], sentence: str
) -> None:
    assert await refusal(site.browser(), "/page/sign-in", **fields) == (400, sentence)


@pytest.mark.gen_test
async def test_names_labels_and_agents_are_text(site: Site) -> None:
    browser = site.browser()
    page = await sign_in(browser, HOSTILE, agent=HOSTILE, label=HOSTILE)
    assert "<script>alert" not in page
    shown = text(page)
    assert f"You are {HOSTILE}" in shown
    assert f"{HOSTILE} this one {HOSTILE} ·" in shown
    assert flashes(page) == [f"Signed in as {HOSTILE}, under a new token."]
    page = await sign_in(site.browser(), agent="a" * 3000)
    assert f"{'a' * 60}… this one signed in" in text(page)


class Own(SessionMixin, RequestHandler):
    """Looks at its user by itself, as with Tornado's own decorator."""

    def get(self) -> None:
        self.write(f"{self.current_user}")


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "flags", [{}, {"authenticated": True}, {"fresh": timedelta(minutes=15)}], ids=str
)
async def test_it_opens_no_page_of_the_applications_own(
    serve: Callable[..., Site], flags: dict[str, Any]
) -> None:
    """Who deploys it beside pages of his own lets nobody in, and confirms nobody."""
    private = Group("private", Route("", Own), sessions=True, **flags)
    browser = serve(Group("/", ROUTES, private), SessionManager(MemoryStore())).browser()
    assert "The example signs nobody in" in text(await browser.text("/"))
    status, sentence = await refusal(browser, "/page/sign-in", user="admin")
    assert (status, "must not open them to anybody" in sentence) == (400, True)
    await browser.sign_in("ada")
    before = dict(browser.cookies)
    assert "Confirm that it is you" not in text(await browser.text("/"))
    status, sentence = await refusal(browser, "/page/confirm")
    assert (status, "must not open them to anybody" in sentence) == (400, True)
    assert browser.cookies == before


@pytest.mark.gen_test
async def test_it_works_beside_pages_of_other_sessions(serve: Callable[..., Site]) -> None:
    admin = SessionManager(MemoryStore(), cookie=Cookie(name="admin"))
    others = (Group("admin", Route("", Own), sessions=admin), Route("about", RequestHandler))
    site = serve(Group("/", ROUTES, *others), SessionManager(MemoryStore()))
    assert "You are ada" in text(await sign_in(site.browser(), "ada"))
