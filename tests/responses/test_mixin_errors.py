"""SessionMixin where the handler errs: what is kept, and what is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tornado.web import Application, Finish, HTTPError, RequestHandler

from app import SessionCommitted
from tests.helpers.pages import Page, kept, open_page
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class Raises(Page):
    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.write("half of the body")
        raise KeyError("bug")


class Raises503(Page):
    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.write("half of the body")
        raise HTTPError(503)


class Sets500(Page):
    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.set_status(500)


class Sends500(Page):
    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.write("half of the body")
        self.send_error(500)


class Sets500AndFinishes(Page):
    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.set_status(500)
        raise Finish


class Destroys(Page):
    def get(self) -> None:
        self.session.destroy()
        raise KeyError("bug")


class RaisesAfterFinish(Page):
    """Nothing has left when the error comes, so the answer can still tell of it."""

    def get(self) -> None:
        self.session["kept"] = "half-done"
        self.finish("half of the body")
        raise KeyError("bug")


SERVER_ERRORS = [
    (Raises, 500),
    (Raises503, 503),
    (Sets500, 500),
    (Sends500, 500),
    (Sets500AndFinishes, 500),
    (Destroys, 500),
    (RaisesAfterFinish, 500),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "status"), SERVER_ERRORS)
async def test_a_server_error_discards_the_change(
    serve: Serve, page: type[RequestHandler], status: int
) -> None:
    browser = open_page(serve, page)
    await browser.text("/keep")
    response = await browser.get("/page")
    assert response.code == status
    assert b"half of the body" not in response.body
    assert "Set-Cookie" not in response.headers
    assert await kept(browser) == "before"


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "status"), SERVER_ERRORS)
async def test_a_server_error_begins_no_session(
    serve: Serve, page: type[RequestHandler], status: int
) -> None:
    store = FaultyStore()
    response = await open_page(serve, page, store).get("/page")
    assert response.code == status
    assert "Set-Cookie" not in response.headers
    assert store.kinds == []


class Cookies(Page):
    """Sends a cookie of its own beside the session's."""

    def get(self) -> None:
        self.session["kept"] = "yes"
        self.set_cookie("theme", "dark")


@pytest.mark.gen_test
async def test_the_handlers_cookies_go_beside_the_sessions(serve: Serve) -> None:
    """The handler's own cookies and the session's do not get in each other's way."""
    browser = open_page(serve, Cookies)
    await browser.get("/page")
    assert set(browser.cookies) == {"theme", "session"}


class Late(Page):
    """Uses the response after finish() and answers what that raised."""

    errors: list[BaseException] = []  # noqa: RUF012 - emptied by the test

    def get(self) -> None:
        self.finish("answer")
        for late in (lambda: self.finish("more"), lambda: self.write("more")):
            try:
                late()
            except RuntimeError as error:
                self.errors.append(error)


@pytest.mark.gen_test
async def test_finish_twice_and_write_after_finish_raise(serve: Serve) -> None:
    Late.errors.clear()
    assert await open_page(serve, Late).text("/page") == "answer"
    assert [type(error) for error in Late.errors] == [RuntimeError, RuntimeError]
    assert "finish() called twice" in str(Late.errors[0])
    assert "after finish()" in str(Late.errors[1])


class LateChange(Page):
    """Changes the session when the response has left."""

    errors: list[BaseException] = []  # noqa: RUF012 - emptied by the test

    def get(self) -> None:
        self.session["kept"] = "yes"

    def on_finish(self) -> None:
        try:
            self.session["kept"] = "too late"
        except SessionCommitted as error:
            self.errors.append(error)


@pytest.mark.gen_test
async def test_a_change_after_the_response_raises(serve: Serve) -> None:
    LateChange.errors.clear()
    browser = open_page(serve, LateChange)
    await browser.text("/page")
    assert await kept(browser) == "yes"
    assert len(LateChange.errors) == 1


class NewAfterFlush(Page):
    async def get(self) -> None:
        self.write("head")
        await self.flush()
        try:
            self.session["kept"] = "too late for a cookie"
        except SessionCommitted as error:
            self.write(f" then {type(error).__name__}")


@pytest.mark.gen_test
async def test_a_session_that_begins_after_flush_raises(serve: Serve) -> None:
    browser = open_page(serve, NewAfterFlush)
    assert await browser.text("/page") == "head then SessionCommitted"
    assert browser.cookies == {}


@pytest.mark.gen_test
async def test_a_handler_outside_make_app_is_told_so(io_loop: Any) -> None:
    class Stray(Page):
        def get(self) -> None:
            try:
                self.session["kept"] = "yes"
            except RuntimeError as error:
                self.write(str(error))

    site = Site(Application([("/", Stray)]))  # type: ignore[arg-type]
    try:
        answer = (await site.fetch("/")).body.decode()
    finally:
        site.server.stop()
        await site.server.close_all_connections()
    assert "Stray runs outside make_app()" in answer
