"""The page at `/` in a real browser: two of them side by side, keyboard, phone, dark, labels."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app import SessionManager
from configure import ROUTES
from stores import MemoryStore
from tests.helpers.chromium import TIMEOUT, Chromium, address
from tests.helpers.site import Site
from tests.helpers.window import Window, open_window

LONG = "wide" * 100
HOSTILE = "<img src=x onerror=document.title='hacked'>"


@pytest.fixture
def url(serve: Callable[..., Site]) -> str:
    return address(serve(ROUTES, SessionManager(MemoryStore())), "localhost")


async def fill(window: Window, form: str, **fields: str) -> None:
    """Fill in the form that is sent to *form*, and send it."""
    for id, text in fields.items():
        await window.run(f"document.getElementById({json.dumps(id)}).value = {json.dumps(text)}")
    await window.leave(
        lambda: window.run(f"document.querySelector('form[action$=\"{form}\"]').requestSubmit()")
    )


async def sign_in(window: Window, url: str, user: str, label: str) -> None:
    await window.open(url)
    await fill(window, "/sign-in", user=user, label=label)


LIVE = "document.getElementById('live').className === '{}'"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_one_browser_ends_the_other_which_says_so(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as here, open_window(chromium) as there:
        await sign_in(here, url, "ada", "Work laptop")
        await sign_in(there, url, "ada", "Phone")
        await there.until(LIVE.format("open"))
        await here.open(url)
        assert "Phone" in await here.text()
        await here.leave(
            lambda: here.run(
                "[...document.querySelectorAll('li')].find(e => e.innerText.includes('Phone'))"
                ".querySelector('button').click()"
            )
        )
        assert "That device is signed out." in await here.text()
        await there.until(LIVE.format("ended"))
        assert "This session is over" in await there.text("[role=status]")
        await there.leave(lambda: there.run("document.querySelector('#live a').click()"))
        assert "This browser has none yet." in await there.text()
        await here.until(LIVE.format("open"))


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_all_others_are_ended_by_one_button(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as here, open_window(chromium) as there:
        await sign_in(there, url, "ada", "Phone")
        await there.until(LIVE.format("open"))
        await sign_in(here, url, "ada", HOSTILE)
        await fill(here, "/end-others")
        assert "1 other device is signed out, and this one has a new token." in await here.text()
        await there.until(LIVE.format("ended"))
        assert "ada" in await here.text("#account")


async def tab_to(window: Window, what: str) -> None:
    """Press the tab key until the focus is on what matches the selector *what*."""
    for _ in range(60):
        await window.press("Tab")
        if await window.run(f"document.activeElement.matches({json.dumps(what)})"):
            style = "getComputedStyle(document.activeElement).outlineStyle"
            assert await window.run(style) == "solid", "the focus is not to be seen"
            return
    raise AssertionError(f"no {what} is reached by the tab key")


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_the_keyboard_alone_is_enough(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as window:
        await window.open(url)
        await tab_to(window, "#name")
        await window.type("cart")
        await tab_to(window, "#value")
        await window.type("engine")
        await window.leave(lambda: window.press("Enter"))
        assert "Set cart." in await window.text(".news")
        await tab_to(window, "#user")
        await window.type("ada")
        await tab_to(window, "#label")
        await window.type("Desk")
        await tab_to(window, "[name=remember]")
        await window.press(" ")
        await tab_to(window, "form[action$='/sign-in'] button")
        await window.leave(lambda: window.press("Enter"))
        assert "You are ada" in await window.text("#account")
        assert "stays when the browser is closed" in await window.text()
        await tab_to(window, "form[action$='/remove'] button")
        await window.leave(lambda: window.press(" "))
        assert "Removed cart." in await window.text(".news")
        await tab_to(window, "form[action$='/sign-out'] button")
        await window.leave(lambda: window.press("Enter"))
        assert "The session ended" in await window.text(".news")


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_it_works_without_script(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as window:
        await window.tell("Emulation.setScriptExecutionDisabled", value=True)
        await sign_in(window, url, "ada", "Desk")
        await fill(window, "/set", name="a", value="b")
        assert "Set a." in await window.text(".news")
        assert await window.text("#live") == ""


TOO_WIDE = """[...document.body.querySelectorAll('*')]
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => e.outerHTML)"""


@pytest.mark.gen_test(timeout=TIMEOUT)
@pytest.mark.parametrize("width", [320, 600, 960])
async def test_no_screen_is_too_narrow(url: str, chromium: Chromium, width: int) -> None:
    async with open_window(chromium) as window:
        await window.resize(width, 800, phone=width < 500)
        await sign_in(window, url, LONG[:255], LONG[:60])
        await fill(window, "/set", name=LONG, value=LONG)
        assert LONG in await window.text()
        root = "document.documentElement"
        assert await window.run(f"{root}.scrollWidth <= {root}.clientWidth")
        assert await window.run(TOO_WIDE) == []
        await window.open(f"{url}page/set")
        assert await window.run(TOO_WIDE) == []


FAINT = """(() => {
  const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const channels = color => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = channels(getComputedStyle(element).backgroundColor);
      if (color[3] === 255) return color;
    }
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let count = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    count += 1;
    const ink = channels(getComputedStyle(element).color);
    const found = contrast(light(ink), light(behind(element)));
    if (found < 4.5) faint.push([found, texts.currentNode.data.trim()]);
  }
  return {count, faint};
})()"""
"""The texts whose contrast is below what WCAG 2.2 asks for (1.4.3), and how many there are."""


@pytest.mark.gen_test(timeout=TIMEOUT)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_in_light_and_dark(url: str, chromium: Chromium, scheme: str) -> None:
    async with open_window(chromium) as window, open_window(chromium) as other:
        await window.prefer(prefers_color_scheme=scheme)
        await window.open(url)
        before = await window.run(FAINT)
        await sign_in(other, url, "ada", "Phone")
        await sign_in(window, url, "ada", "Desk")
        await window.until(LIVE.format("open"))
        signed_in = await window.run(FAINT)
        await other.open(url)
        await fill(other, "/end-others")
        await window.until(LIVE.format("ended"))
        for found in (before, signed_in, await window.run(FAINT)):
            assert found["count"] > 40
            assert found["faint"] == []
        paper = await window.run("getComputedStyle(document.body).backgroundColor")
        darkest = min(int(part) for part in paper.strip("rgb()").split(","))
        assert (darkest < 128) is (scheme == "dark")


async def accessible(window: Window) -> list[tuple[str, str]]:
    """Return role and name of what a screen reader is told of, in order."""
    tree = (await window.tell("Accessibility.getFullAXTree"))["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_a_screen_reader_is_told_what_is_what(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as window:
        await window.open(url)
        before = await accessible(window)
        await sign_in(window, url, "ada", "Desk")
        await fill(window, "/set", name="cart", value="engine")
        told = await accessible(window)
        for found in (before, told):
            roles = [role for role, _ in found]
            assert [roles.count(r) for r in ("main", "banner", "contentinfo")] == [1, 1, 1]
            for role, name in found:
                if role in ("button", "textbox", "checkbox", "link", "heading", "region"):
                    assert name, found
        assert {
            ("textbox", "User name"),
            ("textbox", "Label of this device optional"),
            ("checkbox", "Remember me when the browser is closed"),
        } <= {*before}
        assert {
            ("textbox", "Name"),
            ("button", "Remove cart"),
            ("button", "End Desk"),
            ("button", "Sign out"),
            ("region", "This session"),
        } <= {*told}
        assert await window.run("document.documentElement.lang") == "en"


@pytest.mark.gen_test(timeout=TIMEOUT)
async def test_hostile_names_run_nothing(url: str, chromium: Chromium) -> None:
    async with open_window(chromium) as window:
        entries = window.listen("Log.entryAdded")
        await window.tell("Log.enable")
        await window.tell("Network.setUserAgentOverride", userAgent=HOSTILE)
        await sign_in(window, url, HOSTILE, "")
        await fill(window, "/set", name=HOSTILE, value=HOSTILE)
        await window.until(LIVE.format("open"))
        assert (await window.text()).count(HOSTILE) >= 4
        assert await window.run("document.title") == "Sessions"
        assert await window.run("document.images.length") == 1
        assert [entry["entry"]["text"] for entry in entries] == []
