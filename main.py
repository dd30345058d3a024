"""The command: `main.py [options]` serves, `main.py [options] COMMAND` does what operators need."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields

import tornado
import tornado.autoreload
from tornado.process import cpu_count

from app import Config, ConfigurationError, __version__, make_app
from app.access_log import AccessLog
from app.access_queue import AccessQueue
from app.children import fork
from app.code_errors import BrokenCode, sentence, wait_for_a_change
from app.commands import Call, Command, check, owner, split
from app.configuring import configured
from app.forwarded import TrustedProxies
from app.limits import Limits
from app.listening import HIGHEST_PORT, CannotListen, Place, address_of, handed_over
from app.logs import FORMATS, line_handlers, set_format
from app.loops import LOOPS, loop_factory
from app.metrics.ports import MetricsPorts
from app.operating.operations import SESSIONS
from app.operating.running import run
from app.option_pages import help_page, options_page
from app.option_sources import OptionError
from app.option_values import Origins, read_options
from app.options import options
from app.printable import printable
from app.route_table import format_routes
from app.server import Stopping, serve
from app.service_options import LOG_LEVELS
from stores import Store
from stores.drivers import load

log = logging.getLogger("main")


def main() -> None:
    """Run the command; what is wrong is one line on stderr, and exit status 2."""
    try:
        _run(sys.argv[1:])
    except (OptionError, ConfigurationError, CannotListen, BrokenCode) as error:
        print(f"main.py: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)


def _run(line: list[str]) -> None:
    broken = _import_configure()  # first, because it may declare options of its own
    if {"-h", "--help"}.intersection(line):
        own = owner(line, COMMANDS)
        print(help_page(COMMANDS) if own is None else own[1].help(line[own[0] + 1 :]))
        return
    if "--version" in line:
        versions = f"Tornado {tornado.version}, Python {platform.python_version()}"
        print(f"tornado-server-sessions {__version__} ({versions})")
        return
    try:
        flags, words = split(line, COMMANDS)
        origins = read_options(flags, os.environ)
    except OptionError:
        if broken is not None:  # the option may be one of its own
            raise broken from None
        raise
    check(words, COMMANDS)
    _set_up_log(origins)
    call = Call(words[1:], origins, broken)
    try:
        COMMANDS[words[0]].run(call) if words else _serve(call)
    except BrokenCode as error:
        if options.debug:
            traceback.print_exception(error.__cause__)
        raise


def _import_configure() -> Exception | None:
    """Import `configure.py`; return why that cannot be."""
    try:
        from configure import configure  # noqa: F401
    except ConfigurationError as error:  # a driver is missing
        return error
    except Exception as error:
        broken = BrokenCode(sentence(error))
        broken.__cause__ = error
        return broken
    return None


def _set_up_log(origins: Origins) -> None:
    for name, choices in (("logging", LOG_LEVELS), ("log_format", FORMATS)):
        if options[name] not in choices:
            raise OptionError(f"{origins.shown(name)} is none of {', '.join(choices)}")
    try:
        options.run_parse_callbacks()  # Tornado's, which makes the log's handlers
    except (ValueError, OSError) as error:
        raise OptionError(f"logging cannot be set up: {error}; see --help") from None
    set_format(options.log_format)
    for warning in origins.warnings:
        log.warning("%s", warning)


def _access_log() -> AccessLog:
    """Return what logs requests: by and by, but at once where somebody watches (`--debug`)."""
    handlers = line_handlers()
    queue = AccessQueue(handlers) if handlers and not options.debug else None
    return AccessLog(queue.defer if queue else None, with_session=options.log_session)


def _configured(call: Call, **settings: object) -> tuple[Config, list[str]]:
    if call.broken is not None:
        raise call.broken
    from configure import configure

    return configured(configure, call.origins, settings)


def _print_routes(call: Call) -> None:
    config, _ = _configured(call)
    print(format_routes(config.endpoints, config.default))


def _print_options(call: Call) -> None:
    print(options_page(call.origins))


def _operate(call: Call) -> None:
    refusals = (_check_port, _limits, _stopping, _trusted_proxies, _check_processes)
    operation, request = SESSIONS.parse(call.words, call.origins, refusals)
    config, _ = _configured(call)
    sys.exit(run(operation, request, config))


COMMANDS = {
    "routes": Command("prints the tree of routes, and where sessions are on", _print_routes),
    "options": Command("prints each option's value, and where it is from", _print_options),
    "sessions": Command(
        "counts, lists, ends, copies, checks, reseals the sessions: main.py sessions --help",
        _operate,
        own=SESSIONS,
    ),
}


def _serve(call: Call) -> None:
    origins = call.origins
    _check_port(origins)
    limits = _limits(origins)
    stopping = _stopping(origins)
    proxies = _trusted_proxies(origins)
    _check_processes(origins)
    new_loop = _loop_factory(origins)
    try:
        config, unread = _configured(call, log_function=_access_log())
    except (BrokenCode, ConfigurationError) as error:
        if not options.debug:
            raise
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        log.error("%s; waiting for a change of a file, stop with Ctrl-C", error)
        wait_for_a_change(error)
        return
    if options.debug and options.config:
        tornado.autoreload.watch(options.config)
    stores = list(dict.fromkeys(manager.store for manager in config.managers))
    _check_stores(stores, origins)
    from_supervisor = handed_over()
    sockets = Place(**{f.name: options[f.name] for f in fields(Place)}).open(from_supervisor)
    for text in unread:
        log.warning("%s", text)
    processes = options.processes or cpu_count()
    metrics = _metrics(origins, processes)
    announce = functools.partial(
        log.info,
        "serving on %s, sessions in %s; stop with Ctrl-C or SIGTERM",
        address_of(sockets),
        ", ".join(store.name for store in stores) or "no store",
    )
    if metrics is not None:
        log.info("metrics on %s", metrics.addresses)
    held = [*sockets, *(metrics.sockets if metrics is not None else ())]
    inherited = fork(processes, announce, sockets=held)
    number, told, share = inherited or (0, None, None)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(
            serve(
                functools.partial(make_app, config),
                sockets,
                xheaders=options.xheaders,
                trusted_proxies=proxies,
                limits=limits,
                stopping=stopping,
                handed_over=bool(from_supervisor),
                parent=told,
                share=share,
                announce=announce if told is None else None,
                expose=None if metrics is None else metrics.of(number),
            )
        )


def _loop_factory(origins: Origins) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if options.loop not in LOOPS:
        raise OptionError(f"{origins.shown('loop')} is none of {', '.join(LOOPS)}")
    return loop_factory(options.loop)


def _check_port(origins: Origins) -> None:
    if not 0 <= options.port <= HIGHEST_PORT:
        raise OptionError(f"{origins.shown('port')} is not a port: 0 to {HIGHEST_PORT}")


def _metrics(origins: Origins, processes: int) -> MetricsPorts | None:
    """Return where the metrics are asked for, if they are."""
    if options.metrics_port is None:
        return None
    last = HIGHEST_PORT - (processes - 1)
    if not 0 <= options.metrics_port <= last:
        many = f", for {processes} processes" if processes > 1 else ""
        raise OptionError(f"{origins.shown('metrics_port')} is not a port: 0 to {last}{many}")
    label = origins.label("metrics_port")
    listener = load("app.metrics.listener", f"{label} needs", "make install EXTRAS=metrics")
    return MetricsPorts(
        options.metrics_port, options.metrics_address, processes, listener.MetricsListener
    )


def _limits(origins: Origins) -> Limits:
    names = [field.name for field in fields(Limits) if field.name in options]
    values = {name: options[name] for name in names}
    for name, value in values.items():
        least = 0 if name == "max_connections" else 1 if name == "max_body_size" else 0.1
        if not (least <= value < float("inf")):  # nor what is not a number
            raise OptionError(f"{origins.label(name)} takes {least} or more")
    return Limits(**values)


def _stopping(origins: Origins) -> Stopping:
    for name in ("stop_delay", "drain"):
        if not 0 <= options[name] < float("inf"):
            raise OptionError(f"{origins.label(name)} takes 0 or more seconds")
    return Stopping(options.stop_delay, options.drain)


def _trusted_proxies(origins: Origins) -> TrustedProxies | None:
    try:
        return TrustedProxies(options.trusted_proxies) if options.trusted_proxies else None
    except ValueError as error:
        raise OptionError(f"{origins.label('trusted_proxies')}: {error}") from None


def _check_processes(origins: Origins) -> None:
    if options.processes < 0:
        raise OptionError(f"{origins.label('processes')} takes 0 (one a core) or more")
    if options.processes != 1 and options.debug:
        raise OptionError(
            f"{origins.label('debug')} restarts its process: use it with --processes=1"
        )


def _check_stores(stores: list[Store], origins: Origins) -> None:
    """Refuse, or tell of, what a store cannot do that keeps sessions in one process."""
    for store in stores:
        if store.shared:
            continue
        if options.processes != 1:
            raise OptionError(
                f"{origins.shown('processes')} needs a store that processes share, but with "
                f"{store.name!r} each would have sessions of its own; use --store=mongodb://... "
                "or --processes=1"
            )
        if options.debug:
            log.warning(
                "each restart by --debug signs everybody out, for %r keeps sessions in the "
                "process; --store=sqlite:///file keeps them",
                store.name,
            )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)
