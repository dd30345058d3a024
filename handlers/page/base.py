"""What the page's handlers have in common: safe headers, templates, errors in plain sentences."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from tornado.template import BaseLoader, Loader
from tornado.web import HTTPError, RequestHandler

from app import SessionMixin

TEMPLATES = str(Path(__file__).parent / "templates")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer", under which browsers send forms with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",  # what was shown is not shown again by the button "back"
}

SENTENCES = {
    400: "The form could not be read. Nothing was changed.",
    401: "Only somebody who is signed in may do that. Nothing was changed.",
    403: "The request came from another site, so it was refused. Nothing was changed.",
    405: "This address takes forms only.",
    409: (
        "The session has just got a new token, perhaps by a form in another tab. "
        "Nothing was changed: load the page, and send the form again."
    ),
    503: "The sessions cannot be reached at the moment. None is lost: try again in a moment.",
}
"""What an error is called on its page, by its status."""


class Refused(HTTPError):
    """What a form asks for cannot be done: 400, and *sentence* says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(400, "%s", sentence)
        self.sentence = sentence


class PageHandler(SessionMixin, RequestHandler):
    """Answers in HTML, with what no other site can frame, and no script but our own."""

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def get_template_path(self) -> str:
        return TEMPLATES

    def create_template_loader(self, template_path: str) -> BaseLoader:
        """Return a loader that escapes, whatever the application's settings say."""
        return Loader(template_path, autoescape="xhtml_escape")

    def to_page(self, end: str = "") -> None:
        """Answer a form: the browser gets the page anew, and a reload sends nothing again."""
        self.redirect(self.reverse_url("page") + end, status=303)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer a sentence; with `--debug` and a mistake in the code, the traceback as well."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        trace = ""
        if status_code == 500 and error is not None and self.settings.get("serve_traceback"):
            trace = "".join(traceback.format_exception(error))
        self.render("error.html", status=status_code, sentence=self._sentence(error), trace=trace)

    def _sentence(self, error: BaseException | None) -> str:
        if isinstance(error, Refused):
            return error.sentence
        status = self.get_status()
        if status == 401 and self.session.user is not None:
            return "That wants a fresh proof of who you are: confirm first that it is you."
        if status == 413 and self.session_policy is not None and self.session_policy.manager:
            most = self.session_policy.manager.max_bytes
            return f"A session holds at most {most:,} bytes, and this is more. Nothing was changed."
        return SENTENCES.get(status, "Something went wrong. Nothing was changed.")
