"""The text handlers' error pages: plain text as their label says, and the session as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tornado.web import HTTPError

from app import Group, Route, SessionManager, SessionMixin
from configure import ROUTES
from handlers.text import TextHandler
from stores import MemoryStore
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore


class Fails(SessionMixin, TextHandler):
    def get(self, status: str) -> None:
        self.session["name"] = "Ada"
        if status == "crash":
            raise ValueError("<b>no</b>")
        raise HTTPError(
            int(status), "not for clients", reason="No <b>" if status == "400" else None
        )


FAILURES = Group("/", Route("fails/<status>", Fails), sessions=True)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/healthz", "405: Method Not Allowed\n"),
        ("DELETE", "/readyz", "405: Method Not Allowed\n"),
        ("POST", "/sessions/set/<b>", "405: Method Not Allowed\n"),
    ],
)
async def test_an_error_page_is_plain_text(
    serve: Callable[..., Site], method: str, path: str, body: str
) -> None:
    site = serve(ROUTES, SessionManager(MemoryStore()))
    response = await site.fetch(path.replace("<", "%3C"), method=method)
    assert response.body.decode() == body
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.gen_test
async def test_an_outage_is_plain_text_and_names_no_store(serve: Callable[..., Site]) -> None:
    store = FaultyStore()
    site = serve(ROUTES, SessionManager(store))
    store.break_down()
    response = await site.fetch("/sessions/set/Ada")
    assert response.body == b"503: Service Unavailable\n"
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "body", "kept"),
    [
        ("/fails/403", "403: Forbidden\n", True),
        ("/fails/400", "400: No <b>\n", True),
        ("/fails/599", "599: Unknown\n", False),
        ("/fails/crash", "500: Internal Server Error\n", False),
    ],
)
async def test_an_error_keeps_the_session_as_its_status_says(
    serve: Callable[..., Site], path: str, body: str, kept: bool
) -> None:
    site = serve(FAILURES, SessionManager(MemoryStore()))
    response = await site.fetch(path)
    assert response.body.decode() == body
    assert ("Set-Cookie" in response.headers) is kept


@pytest.mark.gen_test
async def test_the_traceback_is_text_as_well(serve: Callable[..., Site]) -> None:
    site = serve(FAILURES, SessionManager(MemoryStore()), serve_traceback=True)
    response = await site.fetch("/fails/crash")
    assert response.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert response.body.startswith(b"500: Internal Server Error\nTraceback")
    assert b"ValueError: <b>no</b>" in response.body
