"""SessionMixin where all goes well: every way that a handler has to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tornado import gen
from tornado.template import DictLoader
from tornado.web import Finish, HTTPError, RequestHandler, StaticFileHandler

from app import Group, Route, SessionManager, SessionMixin
from stores import MemoryStore
from tests.helpers.pages import Kept, Page, kept, open_page
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

Serve = Callable[..., Site]


class Sync(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        self.write("answer")


class Async(Page):
    async def get(self) -> None:
        await asyncio.sleep(0)
        self.session["kept"] = "yes"
        self.write("answer")


class Coroutine(Page):
    @gen.coroutine
    def get(self) -> Generator[Any, Any, None]:
        yield gen.moment
        self.session["kept"] = "yes"
        self.write("answer")


class Chunk(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        self.finish("answer")


class AwaitedFinish(Page):
    async def get(self) -> None:
        self.session["kept"] = "yes"
        await self.finish("answer")


class Rendered(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        self.render("page.html", word="answer")


class RaisedFinish(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        self.write("answer")
        raise Finish


class RaisedFinishWithChunk(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        raise Finish("answer")


class ChangeAfterFinish(Page):
    """The response waits for the method's end, so this is in time."""

    def get(self) -> None:
        self.finish("answer")
        self.session["kept"] = "yes"


class Flushed(Page):
    async def get(self) -> None:
        self.session["kept"] = "yes"
        self.write("ans")
        await self.flush()
        self.write("wer")


class FlushedWithoutAwait(Page):
    def get(self) -> None:
        self.session["kept"] = "yes"
        for letters in ("an", "sw", "er"):
            self.write(letters)
            self.flush()


class FlushedAndFinished(Page):
    async def get(self) -> None:
        self.session["kept"] = "yes"
        self.write("ans")
        await self.flush()
        self.finish("wer")


ANSWERS = [
    Sync,
    Async,
    Coroutine,
    Chunk,
    AwaitedFinish,
    Rendered,
    RaisedFinish,
    RaisedFinishWithChunk,
    ChangeAfterFinish,
    Flushed,
    FlushedWithoutAwait,
    FlushedAndFinished,
]


@pytest.mark.gen_test
@pytest.mark.parametrize("page", ANSWERS)
async def test_the_answer_arrives_and_the_change_is_kept(
    serve: Serve, page: type[RequestHandler]
) -> None:
    loader = DictLoader({"page.html": "{{ word }}"})
    browser = open_page(serve, page, template_loader=loader)
    assert await browser.text("/page") == "answer"
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
@pytest.mark.parametrize("page", ANSWERS)
async def test_one_answer_takes_one_write_to_the_store(
    serve: Serve, page: type[RequestHandler]
) -> None:
    store = SpyStore()
    loader = DictLoader({"page.html": "{{ word }}"})
    await open_page(serve, page, store, template_loader=loader).text("/page")
    assert store.kinds == ["Create"]


@pytest.mark.gen_test
async def test_a_redirect_keeps_the_change_and_sends_the_cookie(serve: Serve) -> None:
    class Redirecting(Page):
        def get(self) -> None:
            self.session["kept"] = "yes"
            self.redirect("/elsewhere")

    browser = open_page(serve, Redirecting)
    response = await browser.get("/page")
    assert (response.code, response.headers["Location"]) == (302, "/elsewhere")
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_head_keeps_the_change_and_has_no_body(serve: Serve) -> None:
    class Heads(Page):
        def head(self) -> None:
            self.session["kept"] = "yes"
            self.write("answer")

    browser = open_page(serve, Heads)
    response = await browser.get("/page", method="HEAD")
    assert (response.code, response.body) == (200, b"")
    assert response.headers["Content-Length"] == "6"
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_not_modified_keeps_the_change_and_sends_the_cookie(serve: Serve) -> None:
    browser = open_page(serve, Sync)
    etag = (await browser.site.fetch("/page")).headers["Etag"]
    response = await browser.get("/page", headers={"If-None-Match": etag})
    assert (response.code, response.body) == (304, b"")
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_an_unimplemented_method_is_405_and_leaves_the_session(serve: Serve) -> None:
    browser = open_page(serve, Sync)
    await browser.text("/page")
    before = dict(browser.cookies)
    response = await browser.post("/page")
    assert response.code == 405
    assert browser.cookies == before
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_a_verb_may_return_the_result_of_another(serve: Serve) -> None:
    class Both(Async):
        async def post(self) -> None:
            await self.get()
            self.write(" to a POST")

    browser = open_page(serve, Both)
    assert (await browser.post("/page")).body == b"answer to a POST"
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_a_synchronous_verb_may_call_another_as_tornado_allows(serve: Serve) -> None:
    class Both(Sync):
        def post(self) -> None:
            self.get()
            self.write(" to a POST")

    browser = open_page(serve, Both)
    assert (await browser.post("/page")).body == b"answer to a POST"
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_a_verb_may_call_that_of_its_base(serve: Serve) -> None:
    class Derived(Sync):
        def get(self) -> None:
            super().get()
            self.write(" and more")

    browser = open_page(serve, Derived)
    assert await browser.text("/page") == "answer and more"
    assert await kept(browser) == "yes"


@pytest.mark.gen_test
async def test_an_error_below_500_saves_and_sends_the_cookie(serve: Serve) -> None:
    class Refusing(Page):
        def get(self) -> None:
            self.session["kept"] = "yes"
            raise HTTPError(404)

        def post(self) -> None:
            self.session["kept"] = "posted"
            self.send_error(418)

    browser = open_page(serve, Refusing)
    assert (await browser.get("/page")).code == 404
    assert await kept(browser) == "yes"
    assert (await browser.post("/page")).code == 418
    assert await kept(browser) == "posted"


@pytest.mark.gen_test
async def test_a_session_that_is_streamed_from_may_still_change(serve: Serve) -> None:
    class Streaming(Page):
        async def get(self) -> None:
            for word in ("one ", "two ", "three"):
                self.write(word)
                await self.flush()
                self.session["kept"] = word

    browser = open_page(serve, Streaming)
    await browser.text("/keep")
    assert await browser.text("/page") == "one two three"
    assert await kept(browser) == "three"


@pytest.mark.gen_test
async def test_a_compressed_answer_is_whole(serve: Serve) -> None:
    browser = open_page(serve, Flushed, compress_response=True)
    response = await browser.get("/page", decompress_response=True)
    assert response.headers["X-Consumed-Content-Encoding"] == "gzip"
    assert response.body == b"answer"
    assert await kept(browser) == "yes"


class Files(SessionMixin, StaticFileHandler):
    """Static files that note the last one asked for."""

    async def prepare(self) -> None:
        await super().prepare()
        self.session["kept"] = self.path_kwargs["path"]


@pytest.mark.gen_test
async def test_static_files_work_with_the_mixin(serve: Serve, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    (tmp_path / "big.bin").write_bytes(content)
    files = Route("files/<path:path>", Files, kwargs={"path": str(tmp_path)})
    routes = Group("/", files, Route("kept", Kept), sessions=True)
    browser = serve(routes, SessionManager(MemoryStore())).browser()

    whole = await browser.get("/files/big.bin")
    assert (whole.code, whole.body) == (200, content)
    assert await kept(browser) == "big.bin"
    part = await browser.get("/files/big.bin", headers={"Range": "bytes=5-9"})
    assert (part.code, part.body) == (206, content[5:10])
    same = await browser.get("/files/big.bin", headers={"If-None-Match": whole.headers["Etag"]})
    assert same.code == 304
    head = await browser.get("/files/big.bin", method="HEAD")
    assert (head.code, head.headers["Content-Length"]) == (200, str(len(content)))
    assert (await browser.get("/files/none/such")).code == 404
    assert await kept(browser) == "none/such"
