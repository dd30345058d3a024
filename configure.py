"""The one file a deployment edits: routes, store, cookie, time-outs."""

from __future__ import annotations

from tornado.options import OptionParser

from app import Config, Cookie, Group, Route, SessionManager
from handlers.health import Health, Ready
from handlers.page.routes import PAGE
from handlers.sessions import DeleteSession, GetName, SetName
from stores import open_store

ROUTES = Group(
    "/",
    Route("healthz", Health),
    Route("readyz", Ready),
    Group(
        "sessions",
        Route("get", GetName, name="get-name"),
        Route("set/<name>", SetName, name="set-name"),
        Route("del", DeleteSession, name="delete-session"),
        sessions=True,
    ),
    PAGE,  # the page at /, an example without passwords: delete this line, and all of it is gone
)


def configure(options: OptionParser) -> Config:
    """Return what to serve; *options* come from the command line, the environment or a file."""
    return Config(
        routes=ROUTES,
        sessions=SessionManager(
            open_store(  # or MemoryStore(), MongoStore("mongodb://...")
                options.store,
                options.session_keys,  # without keys, values are kept in plain text
                seal_with=options.session_seal_with,
                accept_plain=options.session_accept_plain,
            ),
            cookie=Cookie(name=options.session_cookie),
            idle_timeout=options.session_idle_timeout,
            lifetime=options.session_lifetime,
            max_bytes=options.session_max_bytes,
        ),
        settings={"debug": options.debug},  # Tornado's own application settings pass through
    )
