"""Forms of HTML pages, sent as a browser sends them: POST, then the page that it redirects to."""

from __future__ import annotations

import html
import re
from typing import Any

from tornado.httpclient import HTTPResponse

from tests.helpers.site import Browser


async def send(browser: Browser, path: str, **fields: str) -> str:
    """Send a form, which must be answered by a redirect; return the page behind it."""
    response = await browser.post(path, fields)
    assert response.code == 303, (response.code, response.body)
    return await browser.text(response.headers["Location"].partition("#")[0])


async def refusal(browser: Browser, path: str, **fields: str) -> tuple[int, str]:
    """Send a form, which must be refused; return the status and the heading of the page."""
    return heading(await browser.post(path, fields))


def heading(response: HTTPResponse) -> tuple[int, str]:
    """Return the status, and what the first heading of the page says."""
    assert response.headers["Content-Type"].startswith("text/html"), response.body
    found = re.search(r"<h1>(.*?)</h1>", response.body.decode(), re.DOTALL)
    assert found, response.body
    return response.code, html.unescape(found[1])


def text(page: str) -> str:
    """Return what a page shows, all white space alike."""
    shown = re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(shown).split())


def flashes(page: str) -> list[str]:
    """Return the messages that a page shows."""
    return [text(found) for found in re.findall(r'<p class="flash .*?</p>', page, re.DOTALL)]


def hidden(page: str, path: str) -> list[str]:
    """Return the hidden values of all forms of a page that are sent to *path*."""
    forms = re.findall(r"<form\b.*?</form>", page, re.DOTALL)
    values: list[Any] = []
    for form in forms:
        if f'action="{path}"' in form:
            values += re.findall(r'<input type="hidden" name="(?:name|id)" value="(.*?)">', form)
    return [html.unescape(value) for value in values]
