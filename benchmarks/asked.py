"""What is asked of the applications of `benchmarks.features`, one request after another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from benchmarks.callgrind import Counted

NO_TOKEN = "session=" + "A" * 54
"""A cookie of a session's length, for what takes no notice of it."""

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

CLIENTS = 8
"""Clients that take turns, each with a session of its own."""


class Request(NamedTuple):
    """One request: a path and headers, and the body that answers it."""

    path: str
    headers: tuple[str, ...]
    body: str


def _names() -> Iterator[str]:
    """Yield names of users, none twice and all of one length."""
    return (f"Ada{number:06d}" for number in itertools.count())


def _plain(service: Counted) -> Iterator[Request]:
    return itertools.repeat(Request("/constant", (), "Ada0000"))


def _with_cookie(service: Counted) -> Iterator[Request]:
    return itertools.repeat(Request("/constant", (f"Cookie: {NO_TOKEN}",), "Ada0000"))


def _of_clients(
    path: str, begin: str, answer: str | None
) -> Callable[[Counted], Iterator[Request]]:
    """Return what asks for *path* with the cookies that *begin* gave; *answer* is the body, if it
    is not the client's name."""

    def requests(service: Counted) -> Iterator[Request]:
        clients = []
        for name in itertools.islice(_names(), CLIENTS):
            cookie, _ = service.get(f"{begin}/{name}", f"User-Agent: {AGENT}")
            clients.append(Request(path, (f"Cookie: {cookie}",), answer or name))
        return itertools.cycle(clients)

    return requests


def _newcomers(path: str) -> Callable[[Counted], Iterator[Request]]:
    """Return what lets one client after another begin a session."""
    headers = (f"User-Agent: {AGENT}",)
    return lambda service: (Request(f"{path}/{name}", headers, name) for name in _names())


def _one_user(service: Counted) -> Iterator[Request]:
    """Return what signs one user in over and over, from new browsers."""
    return itertools.repeat(Request("/enter/Ada000000", (f"User-Agent: {AGENT}",), "Ada000000"))


KINDS: Mapping[str, Callable[[Counted], Iterator[Request]]] = {
    "constant": _plain,
    "constant, cookie": _with_cookie,
    "read": _of_clients("/read", "/begin", None),
    "write": _of_clients("/write", "/begin", "written"),
    "signed-in read": _of_clients("/read", "/enter", None),
    "signed-in write": _of_clients("/write", "/enter", "written"),
    "begin": _newcomers("/begin"),
    "sign in": _newcomers("/enter"),
    "sign in, one user": _one_user,
}
"""What each kind of request asks, in the applications of `benchmarks.features`."""
