"""The service told to stop while a rotation without an answer is being taken back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tornado.httpclient import AsyncHTTPClient

from app import Application, Config, Group, Route, SessionManager, make_app
from app.http_server import Server
from app.limits import Limits
from app.listening import listen
from app.stopping import drain
from stores.contract import StoreUnavailable
from tests.helpers.pages import Page
from tests.helpers.stores_for_tests import FaultyStore


class Renewing(Page):
    """Gets a token on the first request, and a new one on each later one."""

    def get(self) -> None:
        self.session.regenerate()
        self.session["seen"] = True


@contextlib.asynccontextmanager
async def rotation_without_answer(store: FaultyStore) -> AsyncIterator[tuple[Server, Application]]:
    """A server whose store applied a new token, did not say so, and does not answer any more."""
    routes = Group("/", Route("renew", Renewing), sessions=True)
    application = make_app(Config(routes, SessionManager(store)))
    server = Server(application, Limits())
    sockets = listen(0, "127.0.0.1")
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/renew"
    server.add_sockets(sockets)
    client = AsyncHTTPClient(force_instance=True)
    first = await client.fetch(url)
    store.fail_after["write"] = StoreUnavailable("the answer was lost")
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    renewed = await client.fetch(url, headers={"Cookie": cookie}, raise_error=False)
    assert renewed.code == 503
    assert application.unsettled == 1
    client.close()
    try:
        yield server, application
    finally:
        await application.close()


@pytest.mark.gen_test
async def test_a_rotation_is_taken_back_before_the_end(caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyStore()
    async with rotation_without_answer(store) as (server, application):
        draining = asyncio.ensure_future(drain(server, application, 10, last=True))
        await asyncio.sleep(0.5)  # nothing else is left for it to wait for
        assert not draining.done()
        store.mend()
        await draining
        assert application.unsettled == 0
    assert "without an answer" not in caplog.text


@pytest.mark.gen_test
async def test_what_was_not_taken_back_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with rotation_without_answer(FaultyStore()) as (server, application):
        await drain(server, application, 0.3, last=True)
    assert "stopped before 1 rotations without an answer were undone" in caplog.text
