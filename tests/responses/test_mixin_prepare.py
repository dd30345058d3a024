"""`prepare` of a handler's own: how it runs the mixin's, and how it ends a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from tornado import gen
from tornado.web import Finish, HTTPError, RequestHandler

from tests.helpers.pages import Page, kept, open_page
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class Counted(Page):
    """Notes in its class that the verb ran."""

    ran: list[str] = []  # noqa: RUF012 - of its own in each test, see open_counted

    def get(self) -> None:
        self.ran.append("get")
        self.write(str(self.session.get("kept")))


class Awaiting(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "prepared"


class Returning(Counted):
    def prepare(self) -> Coroutine[Any, Any, None]:
        return super().prepare()

    def get(self) -> None:
        self.session["kept"] = "prepared"
        super().get()


class Yielding(Counted):
    @gen.coroutine
    def prepare(self) -> Generator[Any, Any, None]:  # type: ignore[override]
        yield super().prepare()
        self.session["kept"] = "prepared"


class AsATask(Counted):
    def prepare(self) -> Awaitable[None]:  # type: ignore[override]
        return asyncio.ensure_future(self.load_and_more())

    async def load_and_more(self) -> None:
        await super().prepare()
        self.session["kept"] = "prepared"


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What of a Counted page ran in this test."""
    verbs: list[str] = []
    monkeypatch.setattr(Counted, "ran", verbs)
    return verbs


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [Awaiting, Returning, Yielding, AsATask])
async def test_prepare_of_the_handlers_own_has_the_session(
    serve: Serve, page: type[RequestHandler]
) -> None:
    browser = open_page(serve, page)
    assert await browser.text("/page") == "prepared"
    assert await kept(browser) == "prepared"


@pytest.mark.gen_test
async def test_a_prepare_that_forgot_the_mixins_is_an_error(
    serve: Serve, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(Counted):
        def prepare(self) -> None:  # type: ignore[override]
            pass

    assert (await open_page(serve, Forgetful).get("/page")).code == 500
    assert ran == []
    assert "Forgetful.prepare() did not run SessionMixin.prepare()" in caplog.text
    assert "await super().prepare()" in caplog.text


@pytest.mark.gen_test
async def test_a_prepare_that_did_not_await_is_an_error(
    serve: Serve, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A prepare that did not await the mixin's is an error that says so."""

    class Impatient(Counted):
        def prepare(self) -> None:  # type: ignore[override]
            super().prepare()  # type: ignore[unused-coroutine]

    with pytest.warns(RuntimeWarning, match="never awaited"):
        assert (await open_page(serve, Impatient).get("/page")).code == 500
    assert ran == []
    assert "Impatient.prepare() did not run SessionMixin.prepare()" in caplog.text


@pytest.mark.gen_test
async def test_the_session_before_super_prepare_is_an_error(
    serve: Serve, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Early(Counted):
        async def prepare(self) -> None:
            self.session["kept"] = "too early"
            await super().prepare()

    assert (await open_page(serve, Early).get("/page")).code == 500
    assert ran == []
    assert "`await super().prepare()` comes first" in caplog.text


class ToLogin(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        self.redirect("/login")


class Forbidding(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        raise HTTPError(403)


class SendingError(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        self.send_error(403)


class Finishing(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        self.set_status(403)
        self.finish("no")


class RaisingFinish(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        self.set_status(403)
        raise Finish


class FinishingFirst(Counted):
    """Goes on with work of its own after the redirect."""

    async def prepare(self) -> None:
        await super().prepare()
        self.redirect("/login")
        await asyncio.sleep(0)
        self.session["kept"] = "where from"


class Flushing(Counted):
    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = "where from"
        self.set_status(403)
        self.write("no")
        await self.flush()
        self.finish()


ENDINGS = [
    (ToLogin, 302),
    (Forbidding, 403),
    (SendingError, 403),
    (Finishing, 403),
    (RaisingFinish, 403),
    (FinishingFirst, 302),
    (Flushing, 403),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "status"), ENDINGS)
async def test_the_verb_never_runs_after_prepare_has_answered(
    serve: Serve, ran: list[str], page: type[RequestHandler], status: int
) -> None:
    browser = open_page(serve, page)
    assert (await browser.get("/page")).code == status
    assert ran == []
    assert await kept(browser) == "where from"


@pytest.mark.gen_test
@pytest.mark.parametrize(("page", "status"), ENDINGS)
async def test_no_verb_runs_when_prepares_answer_cannot_be_saved(
    serve: Serve, ran: list[str], page: type[RequestHandler], status: int
) -> None:
    store = FaultyStore()
    store.break_down("write")
    response = await open_page(serve, page, store).get("/page")
    assert response.code == 503
    assert "Set-Cookie" not in response.headers
    assert "Location" not in response.headers
    assert ran == []


@pytest.mark.gen_test
async def test_a_server_error_in_prepare_discards_its_change(serve: Serve, ran: list[str]) -> None:
    class Failing(Counted):
        async def prepare(self) -> None:
            await super().prepare()
            self.session["kept"] = "half-done"
            raise KeyError("bug")

    browser = open_page(serve, Failing)
    await browser.text("/keep")
    assert (await browser.get("/page")).code == 500
    assert ran == []
    assert await kept(browser) == "before"
