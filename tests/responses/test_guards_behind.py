"""Guards of bases run, before the mixin or behind, and a refusal that is swallowed opens none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any, ClassVar

import pytest
from tornado import gen
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Page, SignIn, kept, open_page
from tests.helpers.site import Browser, Site
from tests.helpers.stores_for_tests import FaultyStore
from tests.responses.test_websocket import HANDSHAKE

Serve = Callable[..., Site]

RAN: list[str] = []
"""What of a page ran in this test."""


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    RAN.clear()
    return RAN


# Guards behind the mixin


class Guards(RequestHandler):
    """Lets in whoever sends X-Key; sends whoever asks for it to /elsewhere."""

    def prepare(self) -> None:
        RAN.append("guard")
        if self.get_argument("away", ""):
            self.redirect("/elsewhere")
        elif "X-Key" not in self.request.headers:
            raise HTTPError(403)


class GuardsAsync(Guards):
    async def prepare(self) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().prepare()


class GuardsByCoroutine(Guards):
    @gen.coroutine
    def prepare(self) -> Generator[Any, Any, None]:  # type: ignore[override]
        yield gen.moment
        super().prepare()


class GuardsDeeply(GuardsAsync):
    """A class between that says nothing."""


class GuardsFarBehind(GuardsDeeply):
    async def prepare(self) -> None:  # type: ignore[override]
        RAN.append("outer")
        await super().prepare()


GUARDS = [Guards, GuardsAsync, GuardsByCoroutine, GuardsDeeply, GuardsFarBehind]


class Get:
    def get(self: Any) -> None:
        RAN.append("get")
        self.session["kept"] = "after"
        self.write("opened")


class OwnPrepare:
    async def prepare(self) -> None:
        await super().prepare()  # type: ignore[misc]
        RAN.append("own")


def private(guard: type[RequestHandler], *before: type) -> type[RequestHandler]:
    return type("Private", (Get, *before, SessionMixin, guard), {})


@pytest.mark.gen_test
@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("before", [(), (OwnPrepare,)], ids=["", "own prepare"])
@pytest.mark.parametrize("authenticated", [None, True])
async def test_a_guard_behind_the_mixin_runs(
    serve: Serve,
    guard: type[RequestHandler],
    before: tuple[type, ...],
    authenticated: bool | None,
) -> None:
    page = private(guard, *before)
    inside = Group("in", Route("", page), authenticated=authenticated)
    routes = Group("/", Route("sign-in", SignIn), inside, sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    if authenticated:
        assert (await browser.get("/in", headers={"X-Key": "1"})).code == 401
        assert RAN == []
        await browser.text("/sign-in")
    assert (await browser.get("/in")).code == 403
    response = await browser.get("/in?away=1")
    assert (response.code, response.headers["Location"]) == (302, "/elsewhere")
    assert RAN.count("guard") == 2
    assert "get" not in RAN
    assert await browser.text("/in", headers={"X-Key": "1"}) == "opened"
    assert RAN[-2:] == [("own" if before else "guard"), "get"]


@pytest.mark.gen_test
async def test_a_guard_before_the_mixin_runs(serve: Serve) -> None:
    class GuardsFirst:
        request: HTTPServerRequest

        async def prepare(self) -> None:
            RAN.append("guard")
            await super().prepare()  # type: ignore[misc]
            if "X-Key" not in self.request.headers:
                raise HTTPError(403)

    page = type("Private", (Get, GuardsFirst, SessionMixin, RequestHandler), {})
    browser = open_page(serve, page)
    assert (await browser.get("/page")).code == 403
    assert await kept(browser) == "nothing"
    assert await browser.text("/page", headers={"X-Key": "1"}) == "opened"
    assert await kept(browser) == "after"
    assert RAN == ["guard", "guard", "get"]


@pytest.mark.gen_test
async def test_a_guard_behind_runs_where_sessions_are_off(serve: Serve) -> None:
    class Off(SessionMixin, GuardsAsync):  # type: ignore[misc]
        def get(self) -> None:
            self.write("opened")

    browser = serve(Group("/", Route("page", Off))).browser()
    assert (await browser.get("/page")).code == 403
    assert await browser.text("/page", headers={"X-Key": "1"}) == "opened"


class KnowsUsers(RequestHandler):
    def get_current_user(self) -> Any:
        return self.request.headers.get("X-User")


class KnowsUsersDeeply(KnowsUsers):
    pass


class KnowsUsersStatically(RequestHandler):
    @staticmethod
    def get_current_user() -> Any:
        return "static"


@pytest.mark.gen_test
async def test_get_current_user_behind_the_mixin_counts(serve: Serve) -> None:
    class Shows(SessionMixin, KnowsUsersDeeply):
        def get(self) -> None:
            self.write(str(self.current_user))

    class ShowsStatic(SessionMixin, KnowsUsersStatically):
        def get(self) -> None:
            self.write(str(self.current_user))

    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Route("page", Shows),
        Route("static", ShowsStatic),
        Group("in", Route("", Shows), authenticated=True),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/sign-in")
    assert await browser.text("/page") == "None"
    assert (await browser.get("/in")).code == 401
    for path in ("/page", "/in"):
        assert await browser.text(path, headers={"X-User": "grace"}) == "grace"
    assert await browser.text("/static") == "static"


# A prepare that swallows the refusal


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
