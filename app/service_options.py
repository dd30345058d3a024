"""The service's own options. What `define` declares here is in --help, and in `main.py options`."""

from __future__ import annotations

from datetime import timedelta

from app.limits import Limits
from app.logs import FORMATS
from app.loops import LOOPS
from app.options import define
from app.server import Stopping

LOG_LEVELS = ("debug", "info", "warning", "error", "none")
"""What Tornado's `--logging` takes."""

SESSION = "session"
"""The group of the options that only `configure` reads."""

define("port", default=8888, help="port to listen on; 0 takes a free one", group="service")
define("address", default="", help="address to listen on; empty for all", group="service")
define("processes", default=1, help="processes to serve with; 0 for one a core", group="service")
define(
    "loop",
    default=LOOPS[0],
    metavar="|".join(LOOPS),
    group="service",
    help="the event loop: uvloop where it is installed, or one of the two by name",
)
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
    "metrics_port",
    type=int,
    metavar="PORT",
    group="service",
    help="port to answer Prometheus on, /metrics; each further process takes the next one; "
    "0 takes free ones",
)
define(
    "metrics_address",
    default="127.0.0.1",
    metavar="ADDRESS",
    group="service",
    help="address to answer it on; empty for all",
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
define(
    "session_keys",
    default="",
    metavar="KEYS",
    group=SESSION,
    help="keys that seal the values of sessions, NUMBER:KEY in each line; the variable "
    "SESSION_KEYS_FILE names a file of them and keeps them off the command line",
)
define(
    "session_seal_with",
    type=int,
    metavar="NUMBER",
    group=SESSION,
    help="which of the keys seals; without it, the highest",
)
define(
    "session_accept_plain",
    default=False,
    group=SESSION,
    help="read values that are not sealed, for the time until all are",
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
    "unix_socket",
    default="",
    metavar="PATH",
    group="listening",
    help="Unix socket to listen on, in the place of the port",
)
define(
    "unix_socket_mode",
    default="660",
    metavar="MODE",
    group="listening",
    help="who may connect to it, as for chmod",
)
define(
    "reuse_port",
    default=False,
    group="listening",
    help="share the port with other instances of the service (SO_REUSEPORT)",
)
define(
    "tls_cert",
    default="",
    metavar="FILE",
    group="listening",
    help="certificate and its chain (PEM): speak TLS",
)
define(
    "tls_key",
    default="",
    metavar="FILE",
    group="listening",
    help="key of the certificate, if it is in a file of its own",
)
define("http_port", type=int, metavar="PORT", group="listening", help="port for HTTP beside TLS")
define(
    "trusted_proxies",
    type=str,
    multiple=True,
    metavar="ADDRESS,...",
    group="listening",
    help="addresses or networks (10.0.0.0/8) of the proxies to believe, and nobody else, as to "
    "X-Forwarded-For and X-Forwarded-Proto",
)
define(
    "stop_delay",
    default=Stopping.delay,
    type=float,
    metavar="SECONDS",
    group="stopping",
    help="seconds that it serves on, not ready any more, when it was told to stop",
)
define(
    "drain",
    default=Stopping.drain,
    type=float,
    metavar="SECONDS",
    group="stopping",
    help="seconds, after those, in which requests in flight and WebSockets are to end",
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
