"""The page is one line of `configure.py`: without it, or elsewhere, or under other settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tornado.template import DictLoader

from app import Group, Route, SessionManager
from handlers.health import Health
from handlers.page.routes import PAGE
from stores import MemoryStore
from tests.helpers.forms import hidden, send, text
from tests.helpers.process import ROOT
from tests.helpers.site import Browser, Site

CONFIGURE = (ROOT / "configure.py").read_text()


@pytest.mark.gen_test
async def test_without_its_line_it_is_gone_and_nothing_else(serve: Callable[..., Site]) -> None:
    (line,) = [line for line in CONFIGURE.splitlines(keepends=True) if line.startswith("    PAGE,")]
    names: dict[str, Any] = {"__name__": "configure_without_the_page"}
    exec(CONFIGURE.replace(line, ""), names)
    browser = serve(names["ROUTES"], SessionManager(MemoryStore())).browser()
    for path in ("/", "/favicon.ico", "/page/files/page.css", "/page/set", "/page/live"):
        assert (await browser.get(path)).code == 404
    assert await browser.text("/sessions/set/Ada") == "Ada"
    assert await browser.text("/sessions/get") == "Ada"
    assert await browser.text("/healthz") == "ok\n"


@pytest.mark.gen_test
async def test_below_another_path_its_links_lead_there(serve: Callable[..., Site]) -> None:
    routes = Group("/", Route("", Health), Group("demo", PAGE))
    browser = serve(routes, SessionManager(MemoryStore())).browser()
    page = await send(browser, "/demo/page/set", name="a", value="1")
    links = set(re.findall(r'(?:src|href|action|data-socket)="([^"]*)"', page))
    assert len(links) > 5
    assert all(link.startswith("/demo") for link in links)
    for link in links - {"/demo/page/live"}:
        assert (await browser.get(link)).code in (200, 405)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "settings",
    [
        {"autoescape": None},
        {"template_path": "/no/such/folder"},
        {"template_loader": DictLoader({})},
        {"template_whitespace": "oneline", "compiled_template_cache": False},
    ],
    ids=lambda settings: ",".join(settings),
)
async def test_it_escapes_whatever_the_settings_say(
    serve: Callable[..., Site], settings: dict[str, Any]
) -> None:
    browser = serve(Group("/", PAGE), SessionManager(MemoryStore()), **settings).browser()
    page = await send(browser, "/page/set", name="<b>", value="<i>")
    assert '<b> "<i>" Remove' in text(page)
    assert "<b>" not in page


@pytest.mark.gen_test
async def test_its_forms_carry_tornados_xsrf_token(serve: Callable[..., Site]) -> None:
    manager = SessionManager(MemoryStore())
    browser: Browser = serve(Group("/", PAGE), manager, xsrf_cookies=True).browser()
    page = await browser.text("/")
    assert (await browser.post("/page/set", {"name": "a", "value": "1"})).code == 403
    tokens = re.findall(r'name="_xsrf" value="(.*?)"', page)
    assert len(tokens) == page.count("<form")
    page = await send(browser, "/page/set", name="a", value="1", _xsrf=tokens[0])
    assert hidden(page, "/page/remove") == ['"a"']
