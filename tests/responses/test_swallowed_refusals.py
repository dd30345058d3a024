"""A prepare that swallows the refusal of an `authenticated` group opens nothing by it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from tornado.web import RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager
from tests.helpers.pages import Page, SignIn, open_page
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.helpers.websockets import HANDSHAKE

Serve = Callable[..., Site]

RAN: list[str] = []
"""What of a page ran in this test."""


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    RAN.clear()
    return RAN


class KnowsUsers(RequestHandler):
    def get_current_user(self) -> Any:
        return self.request.headers.get("X-User")


class Opens(Page):
    def get(self) -> None:
        RAN.append("get")
        self.write("opened")

    post = put = get


class Gathers(Opens):
    async def prepare(self) -> None:
        await asyncio.gather(super().prepare(), asyncio.sleep(0), return_exceptions=True)


class CatchesAll(Opens):
    async def prepare(self) -> None:
        with contextlib.suppress(BaseException):
            await super().prepare()


class WaitsForItsTask(Opens):
    """Waits until the task has ended, and looks at nothing of it."""

    async def prepare(self) -> None:
        await asyncio.wait([asyncio.ensure_future(super().prepare())])


class HandsItToATask(Opens):
    tasks: ClassVar[list[asyncio.Future[None]]] = []

    def prepare(self) -> None:  # type: ignore[override]
        self.tasks.append(asyncio.ensure_future(super().prepare()))


class LooksAwayMeanwhile(Opens):
    """Does something else for some turns, in which its task comes to an end or does not."""

    async def prepare(self) -> None:
        HandsItToATask.tasks.append(asyncio.ensure_future(super().prepare()))
        for _ in range(int(self.get_argument("turns", "20"))):
            await asyncio.sleep(0)


class Forgets(Opens):
    def prepare(self) -> None:  # type: ignore[override]
        pass


class RunsItsVerb(Opens):
    async def prepare(self) -> None:
        with contextlib.suppress(Exception):
            await super().prepare()
        self.get()


class IsReplaced(Opens):
    def initialize(self) -> None:
        self.prepare = lambda: None  # type: ignore[method-assign,assignment,return-value]


class Replaces(Opens):
    """Says itself, too late, that its user is nobody."""

    async def prepare(self) -> None:
        await super().prepare()
        self.current_user = None


@stream_request_body
class GathersUpload(Gathers):
    def data_received(self, chunk: bytes) -> None:
        RAN.append("data")


class GathersSocket(Gathers, WebSocketHandler):
    get = WebSocketHandler.get  # type: ignore[assignment]

    def open(self) -> None:
        RAN.append("open")


class GathersOwnUsers(Gathers, KnowsUsers):
    pass


SWALLOWING = [
    (Gathers, 401),
    (CatchesAll, 401),
    (WaitsForItsTask, 401),
    (HandsItToATask, 500),
    (LooksAwayMeanwhile, 401),
    (Forgets, 500),
    (RunsItsVerb, 401),
    (IsReplaced, 500),
    (GathersUpload, 401),
    (GathersSocket, 401),
    (GathersOwnUsers, 401),
]


def browse(serve: Serve, page: type[RequestHandler], store: FaultyStore) -> Browser:
    inside = Group("in", Route("", page), authenticated=True)
    routes = Group("/", Route("sign-in", SignIn), inside, sessions=True)
    return serve(routes, SessionManager(store), login_url="/login").browser()


@pytest.mark.gen_test
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("page", "status"), SWALLOWING)
async def test_a_swallowed_refusal_opens_nothing(
    serve: Serve, page: type[RequestHandler], status: int
) -> None:
    browser = browse(serve, page, FaultyStore())
    headers = HANDSHAKE if issubclass(page, WebSocketHandler) else {}
    response = await browser.get("/in", headers=headers)
    assert (response.code, b"opened" in response.body) == (status, False)
    html = {"Accept": "text/html", **headers}
    response = await browser.get("/in", headers=html)
    assert response.code == (302 if status == 401 else status)
    assert b"opened" not in response.body
    if not issubclass(page, WebSocketHandler):
        assert (await browser.post("/in", body="x" * 200_000)).code == status
    for task in HandsItToATask.tasks:
        await asyncio.wait([task])
        task.exception()
    HandsItToATask.tasks.clear()
    if page is RunsItsVerb:  # which wrote to an answer that was refused afterwards
        RAN.clear()
    assert RAN == []


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [Gathers, CatchesAll, WaitsForItsTask, GathersUpload])
async def test_such_a_prepare_lets_users_in(serve: Serve, page: type[RequestHandler]) -> None:
    browser = browse(serve, page, FaultyStore())
    await browser.text("/sign-in")
    assert await browser.text("/in") == "opened"


@pytest.mark.gen_test
async def test_who_says_that_its_user_is_nobody_is_believed(serve: Serve) -> None:
    browser = browse(serve, Replaces, FaultyStore())
    await browser.text("/sign-in")
    assert (await browser.get("/in")).code == 401
    assert RAN == []


@pytest.mark.gen_test
@pytest.mark.parametrize("page", [Gathers, CatchesAll, WaitsForItsTask])
async def test_a_swallowed_outage_is_503(serve: Serve, page: type[RequestHandler]) -> None:
    store = FaultyStore()
    for path in ("/in", "/page"):
        browser = browse(serve, page, store) if path == "/in" else open_page(serve, page, store)
        await browser.text("/sign-in" if path == "/in" else "/keep")
        store.break_down("load")
        response = await browser.get(path)
        assert (response.code, response.headers["Retry-After"]) == (503, "1")
        store.mend()
    assert RAN == []
