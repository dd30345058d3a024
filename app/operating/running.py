"""Runs a command of `main.py sessions`: what happens becomes a sentence and an exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from app.application import Config
from app.operating.operation import Operation, Request, Work
from app.operating.sites import Site, sites_of
from app.operating.terminal import NotWritten, say, writing
from app.sessions.errors import SessionUnavailable

CANNOT = 2
INTERRUPTED = 130
NOBODY_READS = 141
"""What a shell makes of SIGPIPE, which Python ignores."""


def run(operation: Operation, request: Request, config: Config) -> int:
    """Run the command; return its exit status. Raises `OptionError`."""
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        status = _explained(operation, request, config)
        with writing():
            sys.stdout.flush()
    except NotWritten as error:
        # Else Python tells of what it cannot write at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        cause = error.__cause__
        if isinstance(cause, BrokenPipeError):
            return NOBODY_READS
        why = cause.strerror if isinstance(cause, OSError) else cause
        print(f"main.py: the answer cannot be written: {why}", file=sys.stderr)
        return CANNOT
    return status


def _explained(operation: Operation, request: Request, config: Config) -> int:
    work = Work()
    try:
        return asyncio.run(_run(operation, request, config, work))
    except SessionUnavailable as error:
        say(error.what)
        return CANNOT
    except KeyboardInterrupt:
        say(f"stopped: {work.so_far}")
        return INTERRUPTED


async def _run(operation: Operation, request: Request, config: Config, work: Work) -> int:
    sites = sites_of(config.managers, request.flags.get("cookie"))
    if not sites:
        say("no route has sessions")
        return CANNOT
    if operation.opens:
        sites = _visible(sites)
        if not sites:
            return CANNOT
    managers = [manager for site in sites for manager in site.managers]
    for manager in managers:
        manager.records.leave_expired()
    try:
        if operation.opens:
            for manager in managers:
                await manager.open()
        return await operation.run(request, sites, work)
    finally:
        for manager in managers:
            await manager.close()


def _visible(sites: Sequence[Site]) -> list[Site]:
    """Return the stores that this process can look into; tell of the others."""
    for site in sites:
        if not site.store.shared:
            say(
                f"{site.label}: this store keeps sessions in the process that serves, where no "
                "command can see them; use --store=mongodb://... or another that processes share"
            )
    return [site for site in sites if site.store.shared]
