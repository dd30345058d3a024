"""A Tornado application with declarative route groups and server-side sessions."""

from typing import TYPE_CHECKING

from app.application import Application as Application
from app.application import Config as Config
from app.application import make_app as make_app
from app.mixin import SessionMixin as SessionMixin
from app.routing import Group as Group
from app.routing import Route as Route
from app.sessions.cookie import Cookie as Cookie
from app.sessions.errors import ConfigurationError as ConfigurationError
from app.sessions.errors import NotAuthenticated as NotAuthenticated
from app.sessions.errors import SessionCommitted as SessionCommitted
from app.sessions.errors import SessionConflict as SessionConflict
from app.sessions.errors import SessionError as SessionError
from app.sessions.errors import SessionReadOnly as SessionReadOnly
from app.sessions.errors import SessionsOff as SessionsOff
from app.sessions.errors import SessionTooLarge as SessionTooLarge
from app.sessions.errors import SessionUnavailable as SessionUnavailable
from app.sessions.events import EventKind as EventKind
from app.sessions.events import SessionEvent as SessionEvent
from app.sessions.flash import Flash as Flash
from app.sessions.manager import SessionManager as SessionManager
from app.sessions.session import Session as Session
from app.sessions.users import Device as Device

__version__ = "0.1.0"

__all__ = [
    "Application",
    "Config",
    "ConfigurationError",
    "Cookie",
    "Device",
    "EventKind",
    "Flash",
    "Group",
    "Key",
    "NotAuthenticated",
    "Route",
    "Session",
    "SessionCommitted",
    "SessionConflict",
    "SessionError",
    "SessionEvent",
    "SessionManager",
    "SessionMixin",
    "SessionReadOnly",
    "SessionTooLarge",
    "SessionUnavailable",
    "SessionsOff",
    "make_app",
]

if TYPE_CHECKING:
    from app.sessions.typed import Key as Key
else:  # a type checker that saw `__getattr__` would take any name for one of this module

    def __getattr__(name: str) -> object:
        """Import what needs an extra when it is first asked for."""
        if name != "Key":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            from app.sessions.typed import Key
        except ModuleNotFoundError as error:
            if error.name != "msgspec":
                raise
            raise ConfigurationError(
                "Key needs the package msgspec: make install EXTRAS=typed"
            ) from None
        globals()[name] = Key
        return Key

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
