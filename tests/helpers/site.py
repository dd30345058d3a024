"""A served application and the browsers that visit it, over real sockets."""

from __future__ import annotations

import re
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from app import Application


class Site:
    """An application on a free port of the loopback interface."""

    def __init__(self, application: Application, **server_options: Any) -> None:
        self.application = application
        self.server = HTTPServer(application, **server_options)
        (socket,) = bind_sockets(0, "127.0.0.1")
        self.server.add_socket(socket)
        self.port: int = socket.getsockname()[1]
        scheme = "https" if "ssl_options" in server_options else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._client = AsyncHTTPClient(force_instance=True, max_clients=200)

    def browser(self) -> Browser:
        """Return a client with an empty cookie jar."""
        return Browser(self)

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        """Send one request without any cookie of a jar; errors and redirects are answers, too."""
        options.setdefault("raise_error", False)
        options.setdefault("follow_redirects", False)
        options.setdefault("request_timeout", 15)
        if options.get("method") in ("POST", "PUT", "PATCH"):
            options.setdefault("body", "")
        return await self._client.fetch(self.url + path, **options)

    async def close(self) -> None:
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
            headers.setdefault("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        response = await self.site.fetch(path, headers=headers, **options)
        for header in response.headers.get_list("Set-Cookie"):
            name, value = header.partition(";")[0].split("=", 1)
            if re.search(r"max-age=0(;|$)", header, re.IGNORECASE):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    async def post(self, path: str, **options: Any) -> HTTPResponse:
        return await self.get(path, method="POST", **options)

    async def text(self, path: str, **options: Any) -> str:
        """Send a GET that must be answered 200 and return its body."""
        response = await self.get(path, **options)
        assert response.code == 200, (response.code, response.body)
        return response.body.decode()
