"""The declarative tree, served: paths, converters, names, flags and plain handlers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from tornado.web import RequestHandler, StaticFileHandler

from app import Cookie, Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Keep, Page, Plain, SignIn
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


class Echo(RequestHandler):
    """Answers its path arguments as Python writes them."""

    def get(self, **arguments: object) -> None:
        self.write(", ".join(f"{k}={v!r}" for k, v in arguments.items()) or "none")


@pytest.mark.gen_test
@pytest.mark.parametrize("outer", ["a", "/a", "a/", "/a/"])
@pytest.mark.parametrize("inner", ["b", "/b", "b/", "/b/"])
@pytest.mark.parametrize("leaf", ["c", "/c"])
async def test_prefixes_join_with_one_slash(
    serve: Serve, outer: str, inner: str, leaf: str
) -> None:
    site = serve(Group("/", Group(outer, Group(inner, Route(leaf, Echo)))))
    assert (await site.fetch("/a/b/c")).code == 200
    for other in ("/a/b", "/a/b/c/", "//a/b/c", "/a//b/c", "/b/c", "/c", "/A/b/c"):
        assert (await site.fetch(other)).code == 404, other


@pytest.mark.gen_test
async def test_an_empty_path_is_that_of_the_group(serve: Serve) -> None:
    site = serve(Group("/", Route("", Plain), Group("a", Route("", Echo), Route("b/", Echo))))
    assert (await site.fetch("/")).body == b"plain"
    assert (await site.fetch("/a")).body == b"none"
    assert (await site.fetch("/a/b/")).body == b"none"
    assert (await site.fetch("/a/b")).code == 404


@pytest.mark.gen_test
async def test_a_prefix_may_have_parameters(serve: Serve) -> None:
    site = serve(Group("/users/<int:user>", Route("posts/<post>", Echo)))
    assert (await site.fetch("/users/7/posts/hello")).body == b"user=7, post='hello'"


@pytest.mark.gen_test
async def test_a_parameter_may_stand_between_literals(serve: Serve) -> None:
    site = serve(Group("/", Route("v<int:major>.<int:minor>.json", Echo)))
    assert (await site.fetch("/v3.11.json")).body == b"major=3, minor=11"
    assert (await site.fetch("/v3x11.json")).code == 404


UUID_TEXT = "0b0e4d5e-8a3c-4f6a-9d21-5f3c2b1a0e9d"

CONVERTED = [
    ("<x>", "/Ada", "x='Ada'"),
    ("<x>", "/a%20b+c", "x='a b+c'"),
    ("<x>", "/a%2Fb", "x='a/b'"),
    ("<x>", "/%00", "x='\\x00'"),
    ("<x>", "/%C3%A9%E2%82%AC", "x='é€'"),
    ("<x>", "/%F0%9F%98%80", "x='😀'"),
    ("<x>", "/%252F", "x='%2F'"),
    ("<x>", "/100%", "x='100%'"),
    ("<x>", "/a%0Ab", "x='a\\nb'"),
    ("<x>", "/<b>&c", "x='<b>&c'"),
    ("<x>", "/" + "x" * 10_240, "x='" + "x" * 10_240 + "'"),
    ("<int:x>", "/0", "x=0"),
    ("<int:x>", "/-12", "x=-12"),
    ("<int:x>", "/%31%32", "x=12"),
    ("<int:x>", "/" + "9" * 30, "x=" + "9" * 30),
    ("<uuid:x>", "/" + UUID_TEXT, f"x=UUID('{UUID_TEXT}')"),
    ("<uuid:x>", "/" + UUID_TEXT.upper(), f"x=UUID('{UUID_TEXT}')"),
    ("<path:x>", "/a/b/c", "x='a/b/c'"),
    ("<path:x>", "/a%2Fb//c/", "x='a/b//c/'"),
    ("<path:x>", "/../%2e%2e/etc", "x='../../etc'"),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("template", "path", "answer"), CONVERTED)
async def test_a_parameter_reaches_the_handler_decoded_and_converted(
    serve: Serve, template: str, path: str, answer: str
) -> None:
    response = await serve(Group("/", Route(template, Echo))).fetch(path)
    assert (response.code, response.body.decode()) == (200, answer)


NOT_CONVERTED = [
    ("<x>", "/"),
    ("<x>", "/a/b"),
    ("<x>", "/%FF"),
    ("<x>", "/%C3"),
    ("<x>", "/%C0%AF"),  # an overlong slash
    ("<x>", "/%ED%A0%80"),  # half of a surrogate pair
    ("<int:x>", "/"),
    ("<int:x>", "/abc"),
    ("<int:x>", "/1.5"),
    ("<int:x>", "/1_000"),
    ("<int:x>", "/+1"),
    ("<int:x>", "/%201"),
    ("<int:x>", "/--1"),
    ("<int:x>", "/%D9%A3"),  # an Arabic digit
    ("<int:x>", "/1%00"),
    ("<int:x>", "/" + "9" * 10_240),
    ("<uuid:x>", "/abc"),
    ("<uuid:x>", "/" + UUID_TEXT.replace("-", "")),
    ("<uuid:x>", "/{" + UUID_TEXT + "}"),
    ("<uuid:x>", "/" + UUID_TEXT + "0"),
    ("<uuid:x>", "/urn:uuid:" + UUID_TEXT),
    ("<path:x>", "/"),
    ("<path:x>", "/a/%FF"),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("template", "path"), NOT_CONVERTED)
async def test_what_does_not_convert_is_not_found(serve: Serve, template: str, path: str) -> None:
    assert (await serve(Group("/", Route(template, Echo))).fetch(path)).code == 404


REVERSED = [
    ("<x>", "Ada", "x='Ada'"),
    ("<x>", "a/b c+d%?#é€😀\0", None),
    ("<int:x>", -12, None),
    ("<int:x>", 10**30, None),
    ("<uuid:x>", UUID(UUID_TEXT), None),
    ("<path:x>", "a/b c/é%2F?#", None),
    ("é <x>", "Ada", None),
]


@pytest.mark.gen_test
@pytest.mark.parametrize(("template", "value", "answer"), REVERSED)
async def test_reverse_url_leads_back_to_the_value(
    serve: Serve, template: str, value: Any, answer: str | None
) -> None:
    site = serve(Group("/", Group("in", Route(template, Echo, name="named"))))
    path = site.application.reverse_url("named", value)
    assert path.startswith("/in/")
    assert path.isascii()
    response = await site.fetch(path)
    assert response.body.decode() == (answer or f"x={value!r}")


def test_reverse_url_takes_the_arguments_in_the_paths_order(serve: Serve) -> None:
    routes = Group(
        "/users/<int:user>",
        Route("", Echo, name="user"),
        Route("posts/<slug>", Echo, name="post"),
    )
    application = serve(routes).application
    assert application.reverse_url("user", 7) == "/users/7"
    assert application.reverse_url("post", 7, "a b") == f"/users/7/posts/{quote('a b')}"
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        application.reverse_url("post", 7)
    with pytest.raises(KeyError):
        application.reverse_url("no such name")


@pytest.mark.gen_test
async def test_a_handler_can_reverse_and_gets_its_routes_arguments(serve: Serve) -> None:
    class Linking(Page):
        def initialize(self, word: str) -> None:
            self.word = word

        def get(self, id: int) -> None:
            self.write(f"{self.word} {self.reverse_url('linking', id + 1)}")

    routes = Route("link/<int:id>", Linking, name="linking", kwargs={"word": "next:"})
    site = serve(Group("/", routes, sessions=True), SessionManager(MemoryStore()))
    assert (await site.fetch("/link/41")).body == b"next: /link/42"


# Handlers that know nothing of sessions


@pytest.mark.gen_test
async def test_a_plain_handler_makes_no_store_call(serve: Serve) -> None:
    """A plain handler in a group with sessions makes no store call."""
    store = SpyStore()
    routes = Group("/", Route("keep", Keep), Route("plain", Plain), sessions=True)
    browser = serve(routes, SessionManager(store)).browser()
    await browser.text("/keep")
    store.calls.clear()
    response = await browser.get("/plain")
    assert response.body == b"plain"
    assert "Set-Cookie" not in response.headers
    assert store.calls == []


class PlainWithPrepare(RequestHandler):
    def prepare(self) -> None:
        self.word = "prepared"

    def get(self) -> None:
        self.write(self.word)


class PlainWithAsyncPrepare(PlainWithPrepare):
    async def prepare(self) -> None:  # type: ignore[override]
        super().prepare()


@pytest.mark.gen_test
async def test_a_plain_handler_takes_users_only(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("contents")
    routes = Group(
        "/",
        Route("sign-in", SignIn),
        Group(
            "in",
            Route("plain", Plain),
            Route("prepared", PlainWithPrepare),
            Route("async", PlainWithAsyncPrepare),
            Route("echo/<int:x>", Echo),
            Route("files/<path:path>", StaticFileHandler, kwargs={"path": str(tmp_path)}),
            authenticated=True,
        ),
        sessions=True,
    )
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    answers = {
        "/in/plain": "plain",
        "/in/prepared": "prepared",
        "/in/async": "prepared",
        "/in/echo/7": "x=7",
        "/in/files/file.txt": "contents",
    }
    for path in answers:
        assert (await browser.get(path)).code == 401, path
    assert (await browser.get("/in/files/file.txt", method="HEAD")).code == 401
    await browser.text("/sign-in")
    for path, answer in answers.items():
        assert await browser.text(path) == answer, path
    assert (await browser.get("/in/files/file.txt", method="HEAD")).code == 200
    assert (await browser.get("/in/files/none.txt")).code == 404


@pytest.mark.gen_test
async def test_two_managers_keep_their_sessions_apart(serve: Serve) -> None:
    class Name(SessionMixin, RequestHandler):
        def get(self, name: str = "") -> None:
            if name:
                self.session["name"] = name
            self.write(str(self.session.get("name", "n/a")))

    own = SessionManager(MemoryStore(), cookie=Cookie(name="admin"))
    name = (Route("name", Name), Route("name/<name>", Name))
    routes = Group("/", *name, Group("admin", *name, sessions=own), sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    await browser.text("/name/Ada")
    assert await browser.text("/admin/name") == "n/a"
    await browser.text("/admin/name/Grace")
    assert await browser.text("/name") == "Ada"
    assert await browser.text("/admin/name") == "Grace"
    assert set(browser.cookies) == {"session", "admin"}
