"""What caches are told, on every kind of answer: error pages and redirects, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tornado.httpclient import HTTPResponse
from tornado.web import Finish, HTTPError, RequestHandler, authenticated

from app import Group, Route, SessionManager
from stores import MemoryStore
from tests.helpers.pages import Keep, Kept, Page, Plain
from tests.helpers.site import Browser, Site
from tests.helpers.steps import Steps, steps, twin
from tests.helpers.stores_for_tests import FaultyStore


class Answers(Page):
    """Keeps or ends the session, then answers as its subclass does; cacheable by itself."""

    def get(self) -> None:
        self.set_header("Cache-Control", "public, max-age=60")
        if self.get_argument("change", "") == "keep":
            self.session["kept"] = "after"
        elif self.get_argument("change", "") == "destroy":
            self.session.destroy()
        else:
            self.session.get("kept")
        self.answer()

    head = get

    def answer(self) -> None:
        self.write("answer")


class Redirects(Answers):
    def answer(self) -> None:
        self.redirect("/elsewhere", status=303)


class Refuses(Answers):
    def answer(self) -> None:
        raise HTTPError(403)


class Sends404(Answers):
    def answer(self) -> None:
        self.send_error(404)


class Finishes(Answers):
    def answer(self) -> None:
        raise Finish


class Flushes(Answers):
    def answer(self) -> None:
        self.write("answer")
        self.flush()


class Fails(Answers):
    def answer(self) -> None:
        raise KeyError("bug")


class Empty(Answers):
    def answer(self) -> None:
        self.set_status(204)


PAGES = [Answers, Redirects, Refuses, Sends404, Finishes, Flushes, Empty]


class Private(Page):
    @authenticated
    def get(self) -> None:
        self.write("private")


class InSeveralLanguages(Page):
    def get(self) -> None:
        self.set_header("Vary", "Accept-Language")
        self.session.get("kept")


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def browser(serve: Callable[..., Site], store: FaultyStore) -> Browser:
    pages: list[type[RequestHandler]] = [*PAGES, Fails, Private, InSeveralLanguages]
    routes = Group(
        "/",
        *(Route(page.__name__, page) for page in pages),
        *(Route("keep", Keep), Route("kept", Kept), Route("steps", Steps)),
        Group("members", Route("", Plain), authenticated=True),
        sessions=True,
    )
    return serve(routes, SessionManager(store, max_bytes=1000), login_url="/login").browser()


def vary(response: HTTPResponse) -> list[str]:
    return [word.strip() for word in ",".join(response.headers.get_list("Vary")).split(",")]


@pytest.mark.gen_test
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answer_with_the_cookie_is_not_cacheable(
    browser: Browser, page: type[RequestHandler], method: str
) -> None:
    """An answer that sets or removes the cookie is not cacheable."""
    for change in ("keep", "destroy"):
        response = await browser.get(f"/{page.__name__}?change={change}", method=method)
        assert len(response.headers.get_list("Set-Cookie")) == 1, change
        assert response.headers.get_list("Cache-Control") == ["no-store"]
        assert vary(response) == ["Cookie"]


@pytest.mark.gen_test
@pytest.mark.parametrize("page", PAGES)
async def test_an_answer_that_only_read_varies_by_cookie(
    browser: Browser, page: type[RequestHandler]
) -> None:
    """An answer that only read varies by cookie, and is as cacheable as it was."""
    await browser.text("/keep")
    for client in (browser, browser.site.browser()):
        response = await client.get(f"/{page.__name__}")
        assert "Set-Cookie" not in response.headers
        assert vary(response) == ["Cookie"]
        error_page = page in (Refuses, Sends404)  # Tornado clears the handler's headers there
        cached = None if error_page else "public, max-age=60"
        assert response.headers.get("Cache-Control") == cached


@pytest.mark.gen_test
@pytest.mark.parametrize("change", ["keep", "destroy"])
async def test_a_server_error_varies_by_cookie_and_sets_none(browser: Browser, change: str) -> None:
    await browser.text("/keep")
    response = await browser.get(f"/Fails?change={change}")
    assert response.code == 500
    assert "Set-Cookie" not in response.headers
    assert vary(response) == ["Cookie"]


@pytest.mark.gen_test
async def test_refusals_of_our_own_vary_by_cookie(browser: Browser, store: FaultyStore) -> None:
    await browser.text("/keep")
    former = twin(browser)
    await browser.get(steps("regenerate"))
    stranger = browser.site.browser()
    answers = {
        401: await stranger.get("/members"),
        302: await stranger.get("/Private"),
        409: await former.get(steps("set a 1")),
        413: await browser.get(steps(f'set a "{"x" * 2000}"')),
    }
    store.break_down("write")
    answers[503] = await browser.get(steps("set a 1"))
    for code, response in answers.items():
        assert response.code == code
        assert vary(response) == ["Cookie"], code
        assert "Set-Cookie" not in response.headers, code
        assert ("Retry-After" in response.headers) == (code in (409, 503)), code


@pytest.mark.gen_test
async def test_the_handlers_own_vary_is_kept(browser: Browser) -> None:
    assert vary(await browser.get("/InSeveralLanguages")) == ["Accept-Language", "Cookie"]
