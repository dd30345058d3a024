"""Several `Cookie` header lines, as proxies make them of HTTP/2, are one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.pages import Kept, open_page
from tests.helpers.raw import raw_request
from tests.helpers.site import Site

LINES: list[list[str]] = [
    ["session={}"],
    ["theme=dark", "session={}"],
    ["session={}", "theme=dark"],
    ["a=1; b=2", "session={}; c=3", "d=4"],
    ["theme=dark,light", "session={}"],
    ["session={}", "sizes=1,2,3"],
    ["sizes=1,2,3; session={}"],
    ["session={}; sizes=1,2,3"],
    ["", "session={}", ""],
    [",", "session={}", ","],
    ['quoted="a, b"', "session={}"],
    ['a="', "session={}", 'b="'],
    ["session={}", "session={}"],
    ["session=garbage", "session={}"],
    ["session={};", ";"],
]


@pytest.mark.gen_test
@pytest.mark.parametrize("lines", LINES, ids=str)
async def test_the_session_is_found_in_any_line(
    serve: Callable[..., Site], lines: list[str]
) -> None:
    browser = open_page(serve, Kept)
    await browser.text("/keep")
    headers = [f"Cookie: {line}".format(browser.cookies["session"]) for line in lines]
    status, head, body = await raw_request(browser.site, "GET", "/kept", *headers)
    assert (status, body) == (200, b"before")
    assert "Set-Cookie" not in head


NO_TOKEN: list[list[str]] = [
    ["sizes=1, session={}"],
    ["a=1,session={}"],
    ["session={},"],
    ["session={},x", "a=1"],
    ["session={}, b=2"],
    ['session="{}"', "a=1,2"],
    ["sess", "ion={}"],
]


@pytest.mark.gen_test
@pytest.mark.parametrize("lines", NO_TOKEN, ids=str)
async def test_a_comma_within_a_line_separates_no_cookies(
    serve: Callable[..., Site], lines: list[str]
) -> None:
    browser = open_page(serve, Kept)
    await browser.text("/keep")
    headers = [f"Cookie: {line}".format(browser.cookies["session"]) for line in lines]
    status, _, body = await raw_request(browser.site, "GET", "/kept", *headers)
    assert (status, body) == (200, b"nothing")


@pytest.mark.gen_test
async def test_two_live_tokens_in_two_lines_open_nothing(serve: Callable[..., Site]) -> None:
    browser = open_page(serve, Kept)
    lines = []
    for _ in range(2):
        other = browser.site.browser()
        await other.text("/keep")
        lines.append(f"Cookie: session={other.cookies['session']}")
    _, _, body = await raw_request(browser.site, "GET", "/kept", *lines)
    assert body == b"nothing"
