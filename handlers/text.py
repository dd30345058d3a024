"""What the handlers here have in common: they answer in plain text."""

from __future__ import annotations

from tornado.web import RequestHandler


class TextHandler(RequestHandler):
    """Answers in plain text, so that what a client sent is never read as HTML."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")
