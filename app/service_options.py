"""The service's own options. What `define` declares here is in --help, and in `main.py options`."""

from __future__ import annotations

from datetime import timedelta

from app.limits import Limits
from app.logs import FORMATS
from app.options import define

LOG_LEVELS = ("debug", "info", "warning", "error", "none")
"""What Tornado's `--logging` takes."""

SESSION = "session"
"""The group of the options that only `configure` reads."""

define("port", default=8888, help="port to listen on; 0 takes a free one", group="service")
define("address", default="", help="address to listen on; empty for all", group="service")
define("processes", default=1, help="processes to serve with; 0 for one a core", group="service")
define("debug", default=False, help="restart on changes, tracebacks in answers", group="service")
define(
    "xheaders",
    default=False,
    group="service",
    help="believe X-Real-Ip, X-Forwarded-For and X-Forwarded-Proto; only behind a proxy",
)
define(
    "log_format",
    default=FORMATS[0],
    metavar="|".join(FORMATS),
    group="service",
    help="how the log is written: lines of text, or one JSON object a line",
)
define(
    "log_session",
    default=False,
    group="service",
    help="log with each request the public id of its session, and its user",
)
define(
    "config",
    type=str,
    metavar="FILE",
    group="service",
    help="a file with options, one a line: port = 9000 (it is run as Python)",
)
define(
    "store",
    default="memory:",
    metavar="URL",
    group=SESSION,
    help="where sessions are kept: memory:, mongodb://host/database, redis://host, "
    "postgresql://user@host/database, mysql://..., sqlite:///file; the variable SESSION_STORE "
    "keeps a password off the command line",
)
define("session_cookie", default="session", metavar="NAME", group=SESSION, help="the cookie's name")
define(
    "session_idle_timeout",
    default=timedelta(days=1),
    metavar="TIME",
    group=SESSION,
    help="how long a session lives that is not used: 90s, 15m, 12h, 1d",
)
define(
    "session_lifetime",
    default=timedelta(days=14),
    metavar="TIME",
    group=SESSION,
    help="how long a session lives however much it is used",
)
define(
    "session_max_bytes",
    default=64 * 1024,
    metavar="BYTES",
    group=SESSION,
    help="the largest session",
)
define(
    "max_body_size",
    default=Limits.max_body_size,
    metavar="BYTES",
    group="limits",
    help="largest body of a request, in bytes; a handler of uploads can raise it for itself",
)
define(
    "body_timeout",
    default=Limits.body_timeout,
    type=float,
    metavar="SECONDS",
    group="limits",
    help="seconds that a request's body may take to arrive; a handler of uploads can raise it",
)
define(
    "header_timeout",
    default=Limits.header_timeout,
    type=float,
    metavar="SECONDS",
    group="limits",
    help="seconds that a request's header may take to arrive, from its first byte on",
)
define(
    "keep_alive_timeout",
    default=Limits.keep_alive_timeout,
    type=float,
    metavar="SECONDS",
    group="limits",
    help="seconds that a connection may say nothing between requests; behind a proxy, more than "
    "the proxy keeps its own",
)
define(
    "max_connections",
    default=Limits.max_connections,
    metavar="NUMBER",
    group="limits",
    help="open connections of each process; 0 is as many as its file descriptors allow",
)
