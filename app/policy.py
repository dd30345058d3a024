"""What a group of routes decides about sessions, as its handlers get to know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.sessions.manager import SessionManager


@dataclass(frozen=True)
class SessionPolicy:
    """The flags in force for one route. Without a *manager*, sessions are off."""

    manager: SessionManager | None
    read_only: bool
    authenticated: bool
    group: str
    """Path of the route's group, for messages."""
    decided_by: str
    """Path of the group whose `sessions` flag is in force, or "" when none has one."""
    fresh: timedelta | None = None
    """How long ago the user may have proved who he is; whoever has it is *authenticated*, too."""
