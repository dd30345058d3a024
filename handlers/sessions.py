"""The reference example: a name, kept in the session.

The three are GET so that a browser's address bar can drive them. In an application, what changes
state is POST: a GET is sent by every link and every image on a foreign page.
"""

from __future__ import annotations

from app import SessionMixin
from handlers.text import TextHandler


class GetName(SessionMixin, TextHandler):
    """Answers the name, or "n/a"."""

    def get(self) -> None:
        self.write(str(self.session.get("name", "n/a")))


class SetName(SessionMixin, TextHandler):
    """Keeps the name and answers it."""

    def get(self, name: str) -> None:
        self.session["name"] = name
        self.write(name)


class DeleteSession(SessionMixin, TextHandler):
    """Ends the session."""

    def get(self) -> None:
        self.session.destroy()
        self.write("done")
