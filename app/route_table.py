"""The table of routes that `main.py routes` prints."""

from __future__ import annotations

from collections.abc import Iterable

from app.policy import SessionPolicy
from app.routing import Endpoint


def format_routes(endpoints: Iterable[Endpoint], default: Endpoint | None = None) -> str:
    """Return a table: methods, path, handler, name, and the session flags in force.

    *default* answers a path of no route.
    """
    rows = [("METHODS", "PATH", "HANDLER", "NAME", "SESSIONS")]
    for endpoint in [*endpoints, default] if default is not None else endpoints:
        route = endpoint.route
        rows.append(
            (
                ",".join(endpoint.methods) or "none",
                endpoint.path if endpoint is not default else "(any other)",
                f"{route.handler.__module__}.{route.handler.__qualname__}",
                route.name or "-",
                flags(endpoint.policy),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def flags(policy: SessionPolicy) -> str:
    """Return the flags of *policy* in words."""
    if policy.manager is not None:
        sessions = f"on (cookie {policy.manager.cookie.name}, by group {policy.decided_by})"
    else:
        sessions = f"off (sessions=False on {policy.decided_by})" if policy.decided_by else "off"
    words = ["authenticated"] if policy.authenticated else []
    if policy.fresh is not None:
        words.append(f"fresh ({policy.fresh})")
    if policy.read_only and policy.manager is not None:
        words.insert(0, "read_only")
    return ", ".join([sessions, *words])
