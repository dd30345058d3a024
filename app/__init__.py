"""A Tornado application with declarative route groups and server-side sessions."""

from app.application import Application as Application
from app.application import Config as Config
from app.application import make_app as make_app
from app.cookie import Cookie as Cookie
from app.errors import ConfigurationError as ConfigurationError
from app.errors import SessionCommitted as SessionCommitted
from app.errors import SessionConflict as SessionConflict
from app.errors import SessionError as SessionError
from app.errors import SessionReadOnly as SessionReadOnly
from app.errors import SessionsOff as SessionsOff
from app.errors import SessionTooLarge as SessionTooLarge
from app.errors import SessionUnavailable as SessionUnavailable
from app.manager import SessionManager as SessionManager
from app.mixin import SessionMixin as SessionMixin
from app.routing import Group as Group
from app.routing import Route as Route
from app.session import Session as Session

__all__ = [
    "Application",
    "Config",
    "ConfigurationError",
    "Cookie",
    "Group",
    "Route",
    "Session",
    "SessionCommitted",
    "SessionConflict",
    "SessionError",
    "SessionManager",
    "SessionMixin",
    "SessionReadOnly",
    "SessionTooLarge",
    "SessionUnavailable",
    "SessionsOff",
    "make_app",
]
