"""For tests of an application with sessions: a site on a free port, browsers with a jar, a clock.

::

    async def test_the_cart_is_kept():
        async with Site(Config(ROUTES, SessionManager(MemoryStore()))) as site:
            browser = site.browser()
            await browser.post("/cart", form={"item": "7"})
            assert await browser.text("/cart") == "7"
            await browser.sign_in("ada")
            assert await browser.text("/orders") == "none yet"

The requests go over real sockets. Nothing here needs a test framework.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from app.application import Application, Config, make_app
from app.sessions.manager import SessionManager

__all__ = ["Browser", "Clock", "Site"]

_OVER = re.compile(r"max-age=0(;|$)", re.IGNORECASE)


class Clock:
    """A clock that stands still until a test moves it: `SessionManager(store, clock=Clock())`.

    Calling it returns Unix time in seconds.
    """

    def __init__(self, start: float | None = None) -> None:
        self.now = time.time() if start is None else start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self.now += seconds


class Site:
    """An application, served on a free port of the loopback interface from the beginning.

    *application* is a `Config`, or what `make_app` made of one; *server_options* go to Tornado's
    `HTTPServer`. It is an asynchronous context manager; `close` ends it otherwise.
    """

    def __init__(self, application: Application | Config, **server_options: Any) -> None:
        if isinstance(application, Config):
            application = make_app(application)
        self.application = application
        self.server = HTTPServer(application, **server_options)
        (socket,) = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(socket)
        self.port: int = socket.getsockname()[1]
        scheme = "https" if "ssl_options" in server_options else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._client = AsyncHTTPClient(force_instance=True, max_clients=200)

    async def __aenter__(self) -> Site:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def browser(self) -> Browser:
        """Return a client with an empty cookie jar."""
        return Browser(self)

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        """Send one request without any cookie of a jar; errors and redirects are answers, too.

        *options* are those of Tornado's `HTTPRequest`.
        """
        options.setdefault("raise_error", False)
        options.setdefault("follow_redirects", False)
        options.setdefault("request_timeout", 15)
        if options.get("method") in ("POST", "PUT", "PATCH"):
            options.setdefault("body", "")
        return await self._client.fetch(self.url + path, **options)

    async def close(self) -> None:
        """Stop serving and close the application's stores."""
        self.server.stop()
        self._client.close()
        await self.server.close_all_connections()
        await self.application.close()


class Browser:
    """Keeps cookies as a browser does: by name, removed by Max-Age=0."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **options: Any) -> HTTPResponse:
        """Send a GET (or *method*) with the jar's cookies and keep those that come back."""
        headers = dict(options.pop("headers", {}))
        if self.cookies:
            headers.setdefault("Cookie", self._header())
        response = await self.site.fetch(path, headers=headers, **options)
        for header in response.headers.get_list("Set-Cookie"):
            self._keep(header)
        return response

    async def post(
        self, path: str, form: Mapping[str, str] | None = None, **options: Any
    ) -> HTTPResponse:
        """Send a POST, of the fields of *form* or else of a *body*."""
        if form is not None:
            options["body"] = urlencode(form)
        return await self.get(path, method="POST", **options)

    async def text(self, path: str, **options: Any) -> str:
        """Send a GET that must be answered 200, and return its body."""
        response = await self.get(path, **options)
        if response.code != 200:
            raise AssertionError(f"{path} was answered {response.code}: {response.body!r}")
        return response.body.decode()

    async def sign_in(self, user: str, manager: SessionManager | None = None) -> None:
        """Sign in as *user*, as a handler does after it has checked a password.

        The session is of the application's only manager, or of *manager*.
        """
        if manager is None:
            managers = self.site.application.managers
            if len(managers) != 1:
                raise ValueError(
                    f"the site has {len(managers)} session managers: "
                    "write sign_in(user, manager) with that of a group"
                )
            (manager,) = managers
        session = await manager.load(self._header())
        session.sign_in(user)
        cookie = await session.commit()
        if cookie is None:
            raise RuntimeError(
                f"sign_in({user!r}) got no cookie: another sign-in, or whoever ends the user's "
                "sessions, has ended this one meanwhile"
            )
        self._keep(cookie)

    def _header(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _keep(self, header: str) -> None:
        name, value = header.partition(";")[0].split("=", 1)
        if _OVER.search(header):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value
