"""For operators: does the process live, and can it work."""

from __future__ import annotations

from typing import cast

from app import Application
from handlers.text import TextHandler


class Health(TextHandler):
    """Answers "ok" as long as the process serves (liveness)."""

    logs_success = False

    def get(self) -> None:
        self.write("ok\n")

    head = get

    def options(self) -> None:
        self.set_header("Allow", "GET, HEAD, OPTIONS")
        self.get()


class Ready(TextHandler):
    """Answers "ready" when every store answers; 503 when not, or when it stops (readiness).

    The page is public: it names the cookies whose sessions are not there; the log says why.
    """

    logs_success = False

    async def get(self) -> None:
        readiness = cast(Application, self.application).readiness
        failing = ["stopping"] if readiness.stopping else await readiness.failing()
        if failing:
            self.set_status(503)
            self.set_header("Retry-After", "1")
            self.write(f"not ready: {', '.join(failing)}\n")
        else:
            self.write("ready\n")

    head = get

    async def options(self) -> None:
        """Answer as GET does, for proxies that check by OPTIONS."""
        self.set_header("Allow", "GET, HEAD, OPTIONS")
        await self.get()
