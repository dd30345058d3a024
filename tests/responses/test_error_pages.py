"""An error page may touch the session, whenever the error came, and is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.web import HTTPError

from tests.helpers.pages import Page, kept, open_page
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import FaultyStore

Serve = Callable[..., Site]


class ErrorPage(Page):
    """Shows what is kept on its error page."""

    def get(self, status: int = 0) -> None:
        raise HTTPError(int(self.get_argument("status")))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.write(f"{status_code} {self.session.get('kept', 'nothing')}")


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [404, 500, 503])
async def test_an_error_page_can_read_the_session(serve: Serve, status: int) -> None:
    browser = open_page(serve, ErrorPage)
    await browser.text("/keep")
    response = await browser.get(f"/page?status={status}")
    assert (response.code, response.body.decode()) == (status, f"{status} before")


@pytest.mark.gen_test
async def test_an_error_page_that_wants_a_failed_session_is_503(serve: Serve) -> None:
    """An error page that wants the session of a broken store is still 503."""
    store = FaultyStore()
    browser = open_page(serve, ErrorPage, store)
    await browser.text("/keep")
    store.break_down("load")
    response = await browser.get("/page?status=404")
    assert (response.code, response.headers["Retry-After"]) == (503, "1")


class Touches(Page):
    """Its error page reads, writes and ends the session; its method fails as ?how= says."""

    def get(self) -> None:
        match self.get_argument("how"):
            case "raise" | "500":
                self.session["kept"] = "half-done"
                raise KeyError("bug")
            case "refuse":
                self.session["kept"] = "kept by 403"
                raise HTTPError(403)
            case "send":
                self.send_error(403)
            case "too large":
                self.session["kept"] = "x" * 100_000
            case "bad value":
                items: list[Any] = []
                self.session["kept"] = items
                items.append(object())
            case _:
                self.session["kept"] = "after"

    post = get

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        session: Any = self.session
        self.write(f"begin {session.get('kept')} {self.current_user} {session.user} ")
        session["kept"] = "by the error page"
        session["new"] = ["list"]
        session |= {"more": 1}
        session["new"].append("more")
        self.write(f"{session['kept']} {session['new']} ")
        match self.get_argument("page", ""):
            case "regenerate":
                session.regenerate()
            case "sign-in":
                session.sign_in("ada")
            case "destroy":
                session.destroy()
        self.write(f"{len(session)} {session.live} end")


HOW = {
    "raise": (500, "before"),
    "refuse": (403, "kept by 403"),
    "too large": (413, "before"),
    "bad value": (500, "before"),
}


@pytest.mark.gen_test
@pytest.mark.parametrize(("how", "expected"), HOW.items(), ids=HOW)
@pytest.mark.parametrize("page", ["", "regenerate", "sign-in", "destroy"])
async def test_an_error_page_that_changes_the_session_is_whole(
    serve: Serve, how: str, expected: tuple[int, str], page: str
) -> None:
    """What it changes is not saved, for the answer to the request is decided by then."""
    browser = open_page(serve, Touches)
    await browser.text("/keep")
    response = await browser.get("/page?" + urlencode({"how": how, "page": page}))
    assert response.code == expected[0]
    assert response.body.startswith(b"begin ")
    assert response.body.endswith(b" end")
    assert "Set-Cookie" not in response.headers
    assert await kept(browser) == expected[1]


@pytest.mark.gen_test
async def test_what_send_errors_page_changes_is_saved(serve: Serve) -> None:
    """`send_error` is an answer like any other, which the method itself asks for."""
    browser = open_page(serve, Touches)
    await browser.text("/keep")
    response = await browser.get("/page?how=send")
    assert (response.code, response.body[-4:]) == (403, b" end")
    assert await kept(browser) == "by the error page"


@pytest.mark.gen_test
async def test_an_error_before_the_session_is_loaded_has_a_page(serve: Serve) -> None:
    store = FaultyStore()
    browser = open_page(serve, Touches, store)
    await browser.text("/keep")
    foreign = {"Sec-Fetch-Site": "cross-site"}
    odd = {"Content-Type": "multipart/form-data"}
    store.calls.clear()
    for code, response in (
        (403, await browser.post("/page?how=raise", headers=foreign)),
        (400, await browser.post("/page?how=raise", headers=odd, body="x")),
        (
            405,
            await browser.get("/page?how=raise", method="BREW", allow_nonstandard_methods=True),
        ),
    ):
        assert response.code == code
        assert response.body == (
            b"begin None None None by the error page ['list', 'more'] 3 False end"
        )
        assert "Set-Cookie" not in response.headers
        assert response.headers["Vary"] == "Cookie"
    assert store.kinds == []
    for operation, how in (("load", "x"), ("write", "x")):
        store.break_down(operation)
        response = await browser.get(f"/page?how={how}")
        assert (response.code, response.body[-4:]) == (503, b" end")
        assert response.headers["Retry-After"] == "1"
        assert "Set-Cookie" not in response.headers
        store.mend()
    assert await kept(browser) == "before"


class Json(Page):
    """Gives the session to what takes a dict."""

    def get(self) -> None:
        match self.get_argument("how"):
            case "write":
                self.write(self.session)  # type: ignore[arg-type]
            case "finish":
                self.finish(self.session)  # type: ignore[arg-type]
            case "json":
                self.write(json.dumps(self.session))
            case "inside":
                self.write({"session": self.session})
            case "dict":
                self.write(dict(self.session))
            case "union":
                self.session |= {"kept": "union"}
            case "assign":
                self.session = {"kept": 1}  # type: ignore[assignment]

    async def post(self) -> None:
        self.get()


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("how", ["write", "finish", "json", "inside"])
async def test_a_session_in_the_place_of_a_dict_is_explained(
    serve: Serve, caplog: pytest.LogCaptureFixture, method: str, how: str
) -> None:
    browser = open_page(serve, Json)
    response = await browser.get(f"/page?how={how}", method=method)
    assert response.code == 500
    assert "pass dict(self.session)" in caplog.text


@pytest.mark.gen_test
async def test_a_session_is_written_as_a_dict(serve: Serve) -> None:
    browser = open_page(serve, Json)
    await browser.text("/keep")
    assert json.loads(await browser.text("/page?how=dict")) == {"kept": "before"}


@pytest.mark.gen_test
async def test_the_union_of_self_session_is_saved(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    browser = open_page(serve, Json)
    await browser.text("/page?how=union")
    assert await kept(browser) == "union"
    assert (await browser.get("/page?how=assign")).code == 500
    assert "self.session cannot be replaced; use self.session.clear() and " in caplog.text
    assert await kept(browser) == "union"


@pytest.mark.gen_test
async def test_413_names_the_key_and_the_bound(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    browser = open_page(serve, Touches)
    assert (await browser.get("/page?how=too+large")).code == 413
    assert "most of it under the key 'kept'; max_bytes is 65536" in caplog.text
