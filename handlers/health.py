"""For operators: does the process live, and can it work."""

from __future__ import annotations

from typing import cast

from app import Application
from handlers.text import TextHandler


class Health(TextHandler):
    """Answers "ok" as long as the process serves (liveness)."""

    def get(self) -> None:
        self.write("ok\n")


class Ready(TextHandler):
    """Answers "ready" when every store answers; 503 and the reasons when not (readiness)."""

    async def get(self) -> None:
        failures = await cast(Application, self.application).ping()
        if failures:
            self.set_status(503)
            self.set_header("Retry-After", "1")
            self.write("".join(f"not ready: {failure.what}\n" for failure in failures))
        else:
            self.write("ready\n")
