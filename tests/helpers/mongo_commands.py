"""What a client of MongoDB sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo.monitoring import CommandListener


class Commands(CommandListener):
    """The commands that a client sent; `before[name]` runs once, before one of that name is."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.before: dict[str, Callable[[], object]] = {}

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    def started(self, event: Any) -> None:
        self.sent.append((event.command_name, event.command))
        if act := self.before.pop(event.command_name, None):
            act()

    def succeeded(self, event: Any) -> None: ...

    def failed(self, event: Any) -> None: ...
