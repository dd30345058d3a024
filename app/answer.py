"""The end of a response: `finish()` waits here while a method that serves the request runs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tornado.web import RequestHandler

from app.response import SessionResponse


class Answer(RequestHandler):
    """What stands right before `RequestHandler` in a route's class: `finish()` waits here.

    So a class behind the mixin gets what the handler answers, and may put it into an envelope.
    """

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> asyncio.Future[None]:
        response = cast(SessionResponse, self)
        if not response._session_running:
            return super().finish(chunk)
        if response._session_finishing:
            if response._session_sending_error:  # send_error() asks twice, to be sure
                return _done()
            raise RuntimeError("finish() called twice")
        if chunk is not None:
            self.write(chunk)
        response._session_finishing = True
        self.write = _refuse_write  # type: ignore[method-assign]  # as Tornado does after finish()
        return _done()


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def _refuse_write(chunk: object) -> None:
    raise RuntimeError("Cannot write() after finish()")
