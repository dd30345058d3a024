"""What the handlers here have in common: they answer in plain text."""

from __future__ import annotations

import traceback
from http.client import responses
from typing import Any

from tornado.web import HTTPError, RequestHandler


class TextHandler(RequestHandler):
    """Answers in plain text, so that what a client sent is never read as HTML."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer status and reason; with `--debug`, the traceback as well."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        reason = error.reason if isinstance(error, HTTPError) and error.reason else ""
        self.write(f"{status_code}: {reason or responses.get(status_code, 'Unknown')}\n")
        if error is not None and self.settings.get("serve_traceback"):
            self.write("".join(traceback.format_exception(error)))
        self.finish()
