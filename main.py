"""The command: `main.py [options]` serves, `main.py [options] routes` prints the tree of routes."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys
from dataclasses import fields

import tornado.options
from tornado.options import define, options

from app import ConfigurationError, make_app
from app.children import fork
from app.forwarded import TrustedProxies
from app.limits import Limits
from app.listening import CannotListen, Place, address_of, handed_over
from app.route_table import format_routes
from app.server import Stopping, serve
from stores import Store

STORE_VARIABLE = "SESSION_STORE"

LOG_LEVELS = ("debug", "info", "warning", "error", "none")

log = logging.getLogger("main")

define("port", default=8888, help="port to listen on; 0 takes a free one", group="service")
define("address", default="", help="address to listen on; empty for all", group="service")
define(
    "store",
    default="memory:",
    metavar="URL",
    group="service",
    help="where sessions are kept: memory:, mongodb://host/database, redis://host, "
    "postgresql://user@host/database, mysql://..., sqlite:///file; also taken from the "
    f"environment variable {STORE_VARIABLE}, which keeps a password off the command line",
)
define("processes", default=1, help="processes to serve with; 0 for one a core", group="service")
define("debug", default=False, help="restart on changes, tracebacks in answers", group="service")
define(
    "xheaders",
    default=False,
    group="service",
    help="believe X-Real-Ip, X-Forwarded-For and X-Forwarded-Proto; only behind a proxy",
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


def main() -> None:
    """Run the command; bad usage is one line on stderr and exit status 2."""
    try:
        from configure import configure  # here, because it may refuse: a driver can be missing

        command = _parse(sys.argv)
        config = configure(options)
        if command == "routes":
            print(format_routes(config.endpoints))
            return
        managers = (endpoint.policy.manager for endpoint in config.endpoints)
        stores = list(dict.fromkeys(manager.store for manager in managers if manager))
        _check_processes(stores)
        limits = _limits()
        stopping = _stopping()
        proxies = _trusted_proxies()
        inherited = handed_over()
        sockets = Place(**{f.name: options[f.name] for f in fields(Place)}).open(inherited)
    except (tornado.options.Error, ConfigurationError, CannotListen) as error:
        print(f"main.py: {error}", file=sys.stderr)
        sys.exit(2)
    announce = functools.partial(
        log.info,
        "serving on %s, sessions in %s; stop with Ctrl-C or SIGTERM",
        address_of(sockets),
        ", ".join(store.name for store in stores) or "no store",
    )
    parent = fork(options.processes, announce, sockets=sockets)
    asyncio.run(
        serve(
            functools.partial(make_app, config),
            sockets,
            xheaders=options.xheaders,
            trusted_proxies=proxies,
            limits=limits,
            stopping=stopping,
            handed_over=bool(inherited),
            parent=parent,
            announce=announce if parent is None else None,
        )
    )


def _parse(argv: list[str]) -> str | None:
    if STORE_VARIABLE in os.environ:
        options.store = os.environ[STORE_VARIABLE]
    flags = [word for word in argv[1:] if word.startswith("-")]
    if "--help" in flags:
        options.print_help(sys.stdout)  # by itself Tornado writes it to stderr
        sys.exit(0)
    for flag in flags:
        if flag.strip("-").partition("=")[0] not in options:  # Tornado would print all its help
            raise tornado.options.Error(f"unknown option {flag.partition('=')[0]}; see --help")
    words = [word for word in argv[1:] if not word.startswith("-")]
    try:
        rest = options.parse_command_line([argv[0], *flags, *words], final=False)
    except ValueError as error:
        raise tornado.options.Error(f"an option has a bad value: {error}; see --help") from None
    if options.logging not in LOG_LEVELS:
        raise tornado.options.Error(
            f"--logging={options.logging} is none of {', '.join(LOG_LEVELS)}"
        )
    if not 0 <= options.port <= 65535:
        raise tornado.options.Error(f"--port={options.port} is not a port: 0 to 65535")
    if rest not in ([], ["routes"]):
        raise tornado.options.Error(
            f"unknown command {' '.join(rest)!r}; there is: routes (and a value follows its option "
            "after =, as in --port=8888)"
        )
    try:
        options.run_parse_callbacks()  # sets up logging
    except (ValueError, OSError) as error:
        raise tornado.options.Error(f"logging cannot be set up: {error}; see --help") from None
    return rest[0] if rest else None


def _limits() -> Limits:
    names = [field.name for field in fields(Limits) if field.name in options]
    values = {name: options[name] for name in names}
    for name, value in values.items():
        least = 0 if name == "max_connections" else 1 if name == "max_body_size" else 0.1
        if not (least <= value < float("inf")):  # nor what is not a number
            raise tornado.options.Error(f"--{name.replace('_', '-')} takes {least} or more")
    return Limits(**values)


def _stopping() -> Stopping:
    for name in ("stop_delay", "drain"):
        if not 0 <= options[name] < float("inf"):
            raise tornado.options.Error(f"--{name.replace('_', '-')} takes 0 or more seconds")
    return Stopping(options.stop_delay, options.drain)


def _trusted_proxies() -> TrustedProxies | None:
    try:
        return TrustedProxies(options.trusted_proxies) if options.trusted_proxies else None
    except ValueError as error:
        raise tornado.options.Error(f"--trusted-proxies: {error}") from None


def _check_processes(stores: list[Store]) -> None:
    if options.processes < 0:
        raise tornado.options.Error("--processes takes 0 (one a core) or more")
    if options.processes == 1:
        return
    if options.debug:
        raise tornado.options.Error("--debug restarts its process: use it with --processes=1")
    for store in stores:
        if not store.shared:
            raise tornado.options.Error(
                f"--processes={options.processes} needs a store that processes share, but with "
                f"{store.name!r} each would have sessions of its own; use --store=mongodb://... "
                "or --processes=1"
            )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)
