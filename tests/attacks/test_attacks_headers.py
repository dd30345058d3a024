"""Attacks by what goes into headers, cookies and links: names, users, settings, arguments."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from tornado.web import HTTPError, RequestHandler

from app import Config, ConfigurationError, Cookie, Group, Route, SessionManager, make_app
from configure import ROUTES
from stores import MemoryStore
from tests.helpers.hostile_cookies import seed
from tests.helpers.pages import Page
from tests.helpers.raw import raw_request
from tests.helpers.site import Site

HOSTILE = [
    "a\r\nSet-Cookie: session=planted",
    "a\nX-Injected: 1",
    "a\rX-Injected: 1",
    "\r\n\r\n<script>alert(1)</script>",
    "a\u2028X-Injected: 1",
    "a\x85X-Injected: 1",
    "a\u560d\u560aX-Injected: 1",  # CR LF, if a byte of each were dropped
    "a; Domain=evil.example; Path=/",
    "a, session=planted",
    '"; session=planted; x="',
    "\x00",
    "a\x00b",
    "%0d%0aX-Injected:%201",
]


class Take(Page):
    """Signs in as <text> and keeps it, as key and value."""

    def get(self, text: str) -> None:
        self.session.sign_in(text)
        self.session[text] = text


class Refuse(Page):
    """Refuses <text> by an error that quotes it."""

    def get(self, text: str) -> None:
        self.session[text] = text
        raise HTTPError(400, "no good: %s", text)


@pytest.mark.gen_test
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("path", ["/sessions/set/{}", "/take/{}", "/refuse/{}"])
async def test_no_name_user_or_value_gets_into_a_header(
    serve: Callable[..., Site], path: str, text: str
) -> None:
    pages = (Route("take/<text>", Take), Route("refuse/<text>", Refuse))
    routes = Group("/", ROUTES, Group("/", *pages, sessions=True))
    site = serve(routes, SessionManager(MemoryStore()))
    plain_status, plain, _ = await raw_request(site, "GET", path.format("Ada"))
    status, head, _ = await raw_request(site, "GET", path.format(quote(text, safe="")))
    assert status == plain_status < 500

    def names(head: str) -> list[str]:
        return re.findall(r"(?m)^([^:\r\n]*):", head)

    assert names(head) == names(plain)
    assert "planted" not in head
    assert "evil" not in head
    (cookie,) = re.findall(r"Set-Cookie: ([^\r]*)\r\n", head)
    form = r"session=[\w-]{54}; Max-Age=\d+; Path=/; SameSite=Lax; HttpOnly"
    assert re.fullmatch(form, cookie)


@pytest.mark.gen_test
async def test_an_answer_in_plain_text_is_never_read_as_html(serve: Callable[..., Site]) -> None:
    site = serve(ROUTES, SessionManager(MemoryStore()))
    response = await site.fetch(f"/sessions/set/{quote('<script>alert(1)', safe='')}")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


# Links


class Show(RequestHandler):
    def get(self, **arguments: object) -> None:
        self.write(str(arguments.get("x")))


LINKS = Group("/", Route("go/<x>", Show, name="one"), Route("<path:x>", Show, name="rest"))
ARGUMENTS = [
    "//evil.example/",
    "/evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "a\r\nSet-Cookie: session=planted",
    "\t//evil.example",
    "?next=evil",
    "#evil",
    "..//evil.example",
    "\x00",
    "///",
    "@evil.example",
    ":80@evil.example",
]


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["one", "rest"])
@pytest.mark.parametrize("argument", ARGUMENTS)
async def test_a_reversed_url_stays_on_this_site(
    serve: Callable[..., Site], name: str, argument: str
) -> None:
    """A reversed URL is a path on this site, whatever the argument."""
    site = serve(LINKS)
    url = site.application.reverse_url(name, argument)
    assert re.fullmatch(r"/(?![/\\])[!-~]+", url), url
    assert "\\" not in url
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    status, _, body = await raw_request(site, "GET", url)
    assert (status, body.decode()) == (200, argument)


# The cookie's settings, however they came into the configuration


def test_a_cookie_is_refused_or_is_one_whole_header() -> None:
    """A cookie is refused, or renders as one header with its attributes."""
    generator = random.Random(seed())
    signs = [*'a;=, \t\r\n\0\x7f"\\/._-%é\u2028\U0001f600', "__Host-", "example.org", "; Secure"]
    accepted = 0

    def text(begin: str) -> str:
        rest = "".join(generator.choices(signs, k=generator.randrange(4)))
        return generator.choice([begin, ""]) + rest

    for _ in range(10_000):
        begins = {"name": "session", "domain": "example.org", "path": "/"}
        settings: dict[str, Any] = {name: text(begin) for name, begin in begins.items()}
        for name in generator.sample(["name", "domain", "path"], generator.randrange(3)):
            del settings[name]
        try:
            cookie = Cookie(**settings)
        except ConfigurationError:
            continue
        accepted += 1
        value = "A" * 54
        header = cookie.render(value, max_age=5, over_tls=True)
        assert re.fullmatch(r"[ -~]+", header), header
        pair, *attributes = header.split("; ")
        assert pair == f"{cookie.name}={value}"
        assert [a.partition("=")[0] for a in attributes] == [
            "Max-Age",
            "Path",
            *(["Domain"] if cookie.domain is not None else []),
            "SameSite",
            "HttpOnly",
            "Secure",
        ]
        assert cookie.find(pair) == (True, [value])
    assert 500 < accepted < 9500


def test_a_host_cookie_cannot_be_weakened() -> None:
    for settings in (
        {"domain": "example.org"},
        {"path": "/app"},
        {"secure": False},
    ):
        with pytest.raises(ConfigurationError):
            Cookie(name="__Host-session", **settings)
    header = Cookie(name="__Host-session").render("x", max_age=None, over_tls=False)
    assert header == "__Host-session=x; Path=/; SameSite=Lax; HttpOnly; Secure"


def test_cross_origin_requests_are_refused_by_default() -> None:
    application = make_app(Config(ROUTES, SessionManager(MemoryStore())))
    assert application.settings["cross_origin_protection"] is True
