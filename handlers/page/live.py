"""The page's WebSocket: it is closed when the session ends, so that the page can say so."""

from __future__ import annotations

from tornado.websocket import WebSocketHandler

from app import SessionMixin


class Live(SessionMixin, WebSocketHandler):
    """Says nothing. `SessionMixin` closes it with 1008 when the session ends elsewhere."""

    logs_success = False
    session_check = 5.0  # seconds; somebody watches

    def open(self) -> None:
        if self.session.id is None:  # it ended before the page connected again
            self.close(1008, "no session")

    def on_message(self, message: str | bytes) -> None:
        """Take nothing."""
