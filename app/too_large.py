"""The answer to a body over the limit: 413, which its client gets to read."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, stream_request_body

LINGER = 2.0
"""Seconds for which the client may go on sending. A connection that is closed while it does so is
reset, and the answer with it."""


def is_too_large(request: HTTPServerRequest, handler: type[RequestHandler]) -> bool:
    """Tell whether the header says that the body is over the limit.

    A handler that takes the body as it comes has a limit of its own, and Tornado's bare 400.
    """
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdecimal()):
        return False  # Tornado refuses what is no number
    most = cast(HTTP1Connection, request.connection).params.max_body_size
    is_over = most is not None and int(length) > most
    return is_over and handler.data_received is RequestHandler.data_received


@stream_request_body
class TooLarge(RequestHandler):
    """Answers when it has seen the header, and drops what still comes."""

    async def prepare(self) -> None:
        connection = cast(HTTP1Connection, self.request.connection)
        most = connection.params.max_body_size
        connection.set_max_body_size(int(self.request.headers["Content-Length"]))
        connection.set_body_timeout(LINGER)
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        text = f"{status.value}: the body is over {most} bytes\n"
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("Content-Length", len(text))
        self.set_header("Connection", "close")
        if self.request.headers.get("Expect", "").lower() == "100-continue":
            self.finish(text)  # the client waits: it is not told to go on
        else:
            self.write(text)
            await self.flush()

    def data_received(self, chunk: bytes) -> None: ...

    def _end(self, *args: Any, **kwargs: Any) -> None:
        cast(HTTP1Connection, self.request.connection).close()

    get = head = post = put = patch = delete = options = _end
