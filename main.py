"""The command: `main.py [options]` serves, `main.py [options] routes` prints the tree of routes."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import sys

import tornado.options
from tornado.options import define, options

from app import ConfigurationError, make_app
from app.route_table import format_routes
from app.server import CannotListen, address_of, fork, listen, serve
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


def main() -> None:
    """Run the command; bad usage is one line on stderr and exit status 2."""
    try:
        from configure import configure  # here, because it may refuse: a driver can be missing

        command = _parse(sys.argv)
        config = configure(options)
        if command == "routes":
            print(format_routes(config.endpoints))
            return
        stores = list(dict.fromkeys(manager.store for manager in config.managers))
        _check_processes(stores)
        sockets = listen(options.port, options.address)
    except (tornado.options.Error, ConfigurationError, CannotListen) as error:
        print(f"main.py: {error}", file=sys.stderr)
        sys.exit(2)
    announce = functools.partial(
        log.info,
        "serving on %s, sessions in %s; stop with Ctrl-C or SIGTERM",
        address_of(sockets),
        ", ".join(store.name for store in stores) or "no store",
    )
    parent = fork(options.processes, announce)
    asyncio.run(
        serve(
            functools.partial(make_app, config),
            sockets,
            xheaders=options.xheaders,
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
