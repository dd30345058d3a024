"""The page at `/` over HTTP: what it shows, its values, its errors, its files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from app import Cookie, SessionManager
from configure import ROUTES
from stores import MemoryStore
from tests.helpers.forms import flashes, heading, hidden, refusal, send, text
from tests.helpers.site import Browser, Site
from tests.helpers.steps import twin
from tests.helpers.stores_for_tests import FaultyStore

HOSTILE = "<script>alert(1)</script>'\"&lt;"


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def manager(store: FaultyStore) -> SessionManager:
    return SessionManager(store)


@pytest.fixture
def browser(serve: Callable[..., Site], manager: SessionManager) -> Browser:
    return serve(ROUTES, manager).browser()


# What it shows


@pytest.mark.gen_test
async def test_to_look_begins_no_session(browser: Browser, store: FaultyStore) -> None:
    for method in ("GET", "HEAD"):
        response = await browser.get("/", method=method)
        assert response.code == 200
        assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert response.headers.get_list("Set-Cookie") == []
    assert "This browser has none yet." in text(await browser.text("/"))
    assert store.kinds == []


@pytest.mark.gen_test
async def test_to_look_writes_nothing(browser: Browser, store: FaultyStore) -> None:
    await send(browser, "/page/set", name="a", value="1")
    store.calls.clear()
    await browser.text("/")
    assert store.kinds == ["load"]


@pytest.mark.gen_test
async def test_it_shows_what_the_session_is(
    serve: Callable[..., Site], manager: SessionManager
) -> None:
    browser = serve(ROUTES, manager).browser()
    await send(browser, "/page/set", name="a", value="1")
    session = await manager.load(f"session={browser.cookies['session']}")
    shown = text(await browser.text("/"))
    assert str(session.id) in shown
    assert "nobody: it is anonymous" in shown
    assert "Ends if unused in 1 day" in shown
    assert "Ends at the latest in 14 days" in shown
    assert "Path=/ sent to these paths SameSite=Lax" in shown
    assert "HttpOnly no script can read it Max-Age stays when the browser is closed" in shown
    assert "Secure" not in shown
    assert browser.cookies["session"] not in shown


@pytest.mark.gen_test
async def test_it_shows_another_cookies_attributes(serve: Callable[..., Site]) -> None:
    cookie = Cookie("__Host-id", samesite="None", partitioned=True, persistent=False)
    browser = serve(ROUTES, SessionManager(MemoryStore(), cookie=cookie)).browser()
    shown = text(await browser.text("/"))
    for attribute in ("__Host-id", "Secure", "Partitioned", "SameSite=None", "no Max-Age"):
        assert attribute in shown
    assert "on other sites are sent without it" not in shown


@pytest.mark.gen_test
async def test_it_shows_the_routes_with_their_flags(browser: Browser) -> None:
    shown = text(await browser.text("/"))
    for route in (
        "/healthz GET, HEAD, OPTIONS sessions off",
        "/sessions/set/<name> GET sessions on (cookie session, by group /sessions)",
        "/page/devices/end POST sessions on (cookie session, by group /), authenticated",
        "/page/devices/end-others POST sessions on (cookie session, by group /), authenticated, "
        "fresh (0:05:00)",
    ):
        assert route in shown


@pytest.mark.gen_test
async def test_it_needs_no_script_and_no_other_host(browser: Browser) -> None:
    await send(browser, "/page/set", name="a", value="1")
    for page in (await browser.text("/"), (await browser.post("/page/set")).body.decode()):
        assert re.findall(r"<script(?! src=)|<style|\son\w+=|\sstyle=", page) == []
        assert re.findall(r"""(?:src|href|action)="(?!/)[^"]*""", page) == []
        assert re.findall(r"https?://", page) == []


@pytest.mark.gen_test
async def test_no_other_site_frames_it_or_runs_in_it(browser: Browser) -> None:
    for response in (await browser.get("/"), await browser.post("/page/set")):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store"


# Values


@pytest.mark.gen_test
async def test_a_value_is_set_shown_and_removed(browser: Browser) -> None:
    page = await send(browser, "/page/set", name="name", value="Ada")
    assert 'name "Ada" Remove' in text(page)
    assert flashes(page) == ["Set name."]
    assert flashes(await browser.text("/")) == []
    assert await browser.text("/sessions/get") == "Ada"
    (name,) = hidden(page, "/page/remove")
    page = await send(browser, "/page/remove", name=name)
    assert flashes(page) == ["Removed name."]
    assert "Nothing yet." in text(page)
    assert flashes(await send(browser, "/page/remove", name=name)) == ["It was removed already."]


@pytest.mark.gen_test
async def test_what_is_typed_is_text_and_no_markup(browser: Browser) -> None:
    page = await send(browser, "/page/set", name=HOSTILE, value=HOSTILE)
    assert "<script>alert" not in page
    assert f"{HOSTILE} {json.dumps(HOSTILE)} Remove" in text(page)
    assert flashes(page) == [f"Set {HOSTILE}."]


VALUES: dict[str, Any] = {
    "": None,
    "a\nb\0\r\n": [1, {"x": "<b>"}],
    '"': True,
    "é\u202e🦆": -1.5,
    "x" * 5000: "y" * 5000,
}


@pytest.mark.gen_test
async def test_any_value_is_shown_and_any_name_removed(
    browser: Browser, manager: SessionManager
) -> None:
    session = await manager.load(None)
    session.update(VALUES)
    browser.cookies["session"] = str(await session.commit()).partition(";")[0].partition("=")[2]
    page = await browser.text("/")
    assert '[1, {"x": "<b>"}]' in text(page)
    assert "(5,002 characters)" in text(page)
    assert len(page) < 20_000
    names = hidden(page, "/page/remove")
    assert [json.loads(name) for name in names] == list(VALUES)
    for name in names:
        page = await send(browser, "/page/remove", name=name)
    assert "Nothing yet." in text(page)


# Errors


@pytest.mark.gen_test
async def test_a_value_that_is_too_large_is_refused_in_words(browser: Browser) -> None:
    await send(browser, "/page/set", name="a", value="1")
    answer = await refusal(browser, "/page/set", name="a", value="x" * 70_000)
    most = "A session holds at most 65,536 bytes, and this is more. Nothing was changed."
    assert answer == (413, most)
    assert 'a "1" Remove' in text(await browser.text("/"))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "fields", "sentence"),
    [
        ("set", {"name": " ", "value": "1"}, "A value needs a name. Nothing was changed."),
        ("set", {"name": "_flash:1"}, "The name _flash:1 is kept for messages. Take another."),
        ("remove", {}, "The form could not be read. Nothing was changed."),
        ("remove", {"name": "a"}, "The form could not be read. Nothing was changed."),
        ("remove", {"name": "[" * 60_000}, "The form could not be read. Nothing was changed."),
    ],
)
async def test_a_form_that_cannot_work_is_refused_in_words(
    browser: Browser, path: str, fields: dict[str, str], sentence: str
) -> None:
    assert await refusal(browser, f"/page/{path}", **fields) == (400, sentence)
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_a_token_that_was_replaced_is_told_in_words(
    browser: Browser, manager: SessionManager
) -> None:
    await send(browser, "/page/set", name="a", value="1")
    former = twin(browser)
    session = await manager.load(f"session={browser.cookies['session']}")
    session.regenerate()
    await session.commit()
    response = await former.post("/page/set", {"name": "a", "value": "2"})
    status, sentence = heading(response)
    assert (status, "has just got a new token" in sentence) == (409, True)
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.gen_test
@pytest.mark.parametrize("traceback", [False, True])
async def test_an_outage_is_told_in_words(
    serve: Callable[..., Site], store: FaultyStore, manager: SessionManager, traceback: bool
) -> None:
    browser = serve(ROUTES, manager, serve_traceback=traceback).browser()
    await send(browser, "/page/set", name="a", value="1")
    store.break_down()
    for response in (await browser.get("/"), await browser.post("/page/set", {"name": "a"})):
        status, sentence = heading(response)
        assert status == 503
        assert sentence.startswith("The sessions cannot be reached at the moment.")
        assert "Traceback" not in response.body.decode()
        assert "faulty" not in response.body.decode()
        assert response.headers["Retry-After"] == "1"
    assert (await browser.get("/page/files/page.css")).code == 200


@pytest.mark.gen_test
async def test_another_sites_form_is_refused_in_words(browser: Browser) -> None:
    await send(browser, "/page/set", name="a", value="1")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        response = await browser.post("/page/sign-out", headers=headers)
        status, sentence = heading(response)
        assert (status, "came from another site" in sentence) == (403, True)
    assert 'a "1" Remove' in text(await browser.text("/"))


@pytest.mark.gen_test
async def test_a_forms_address_says_that_it_takes_forms(browser: Browser) -> None:
    response = await browser.get("/page/set")
    assert heading(response) == (405, "This address takes forms only.")
    assert response.headers["Allow"] == "POST"


# Files


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/favicon.ico", "image/"),
        ("/page/files/favicon.ico", "image/"),
        ("/page/files/favicon.svg", "image/svg+xml"),
        ("/page/files/page.css", "text/css"),
        ("/page/files/page.js", "text/javascript"),
    ],
)
async def test_its_files_are_served_without_a_session(
    browser: Browser, store: FaultyStore, path: str, kind: str
) -> None:
    await send(browser, "/page/set", name="a", value="1")
    store.calls.clear()
    response = await browser.get(path)
    assert response.code == 200
    assert response.headers["Content-Type"].startswith(kind)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert store.kinds == []
    head = await browser.get(path, method="HEAD")
    assert (head.code, head.body) == (200, b"")
    again = await browser.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert again.code == 304


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["none.css", "..%2Ffiles.py", "%2Fetc%2Fpasswd", "..", "%00"])
async def test_no_other_file_is_served(browser: Browser, name: str) -> None:
    assert (await browser.get(f"/page/files/{name}")).code in (403, 404)
