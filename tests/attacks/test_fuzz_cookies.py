"""Thousands of generated `Cookie` headers: no error, no foreign id, no store call without a token.

FUZZ_SEED=n generates others; a failure shows the header.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from app import Session, SessionConflict, SessionManager
from app.sessions import token
from configure import ROUTES
from tests.helpers.clock import FakeClock
from tests.helpers.cookies import token_of
from tests.helpers.hostile_cookies import HostileCookies, id_of, is_token, seed, tokens_in
from tests.helpers.site import Site
from tests.helpers.stores_for_tests import SpyStore

HEADERS = 12_000
REQUESTS = 2_400
CONNECTIONS = 6
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What HTTP allows in no header; Tornado answers it with 400 before any handler is asked."""


class Clients:
    """Three clients with a session each, and one whose token has just been replaced."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self.live: dict[str, str] = {}
        """Token to name, for the tokens that open a session."""
        self.former = ""
        """The token that was replaced."""

    async def sign_up(self) -> Clients:
        for name in ("Ada", "Grace", "Hedy"):
            session = await self._manager.load(None)
            session["name"] = name
            self.live[await self._saved(session)] = name
        first = next(iter(self.live))
        session = await self._manager.load(f"session={first}")
        session.regenerate()
        self.live[await self._saved(session)] = self.live.pop(first)
        self.former = first
        return self

    async def _saved(self, session: Session) -> str:
        return token_of(await session.commit())

    @property
    def tokens(self) -> list[str]:
        return [*self.live, self.former]

    def meant(self, header: str) -> str | None:
        """Return the name in the session that *header* opens, if it opens one."""
        names = [self.live[token] for token in tokens_in(header) if token in self.live]
        return names[0] if len(names) == 1 else None

    def superseded(self, header: str) -> bool:
        """Tell whether writing is refused to who sends *header*."""
        tokens = tokens_in(header)
        return self.former in tokens and not any(token in self.live for token in tokens)


@pytest.mark.gen_test(timeout=60)
async def test_a_generated_header_opens_the_session_it_names_or_none(clock: FakeClock) -> None:
    store = SpyStore()
    manager = SessionManager(store, clock=clock)
    clients = await Clients(manager).sign_up()
    cookies = HostileCookies(seed(), clients.tokens)
    seen = {"no token": 0, "opened": 0, "superseded": 0, "unknown": 0}
    for _ in range(HEADERS):
        header = cookies.header()
        presented = tokens_in(header)
        store.calls.clear()
        session = await manager.load(header)
        asked = [id for _, ids in store.calls for id in ids]
        assert set(asked) == {id_of(token) for token in presented}, header
        assert len(asked) <= len(presented), header
        assert {operation for operation, _ in store.calls} <= {"load"}, header
        opened = sum(token in clients.live for token in presented)

        assert session.get("name") == clients.meant(header), header
        assert session.live == (opened == 1), header
        if session.live:
            seen["opened"] += 1
        elif clients.superseded(header):
            seen["superseded"] += 1
            with pytest.raises(SessionConflict):
                session["name"] = "Mallory"
        else:
            seen["unknown" if presented else "no token"] += 1
            await begins_one_of_its_own(manager, session, header)
    assert all(number > HEADERS / 100 for number in seen.values()), seen  # each was really tried
    await nobody_lost_anything(manager, clients)


async def begins_one_of_its_own(manager: SessionManager, session: Session, header: str) -> None:
    """Save *session*, which must get an id and a secret that the client did not choose."""
    session["name"] = "Mallory"
    cookie = await session.commit()
    assert session.id is not None
    assert session.id not in header, header
    text = token_of(cookie)
    assert is_token(text)
    assert text[22:] not in header, header
    assert (await manager.load(f"session={text}")).get("name") == "Mallory"


async def nobody_lost_anything(manager: SessionManager, clients: Clients) -> None:
    for text, name in clients.live.items():
        session = await manager.load(f"session={text}")
        assert dict(session) == {"name": name}


@pytest.mark.gen_test(timeout=60)
async def test_a_generated_header_over_http_is_never_a_server_error(
    serve: Callable[..., Site], clock: FakeClock
) -> None:
    store = SpyStore()
    manager = SessionManager(store, clock=clock)
    site = serve(ROUTES, manager)
    clients = await Clients(manager).sign_up()
    store.calls.clear()
    cookies = HostileCookies(seed() + 1, clients.tokens)
    # A line feed would end the header.
    headers = [cookies.header().replace("\n", "\v") for _ in range(REQUESTS)]
    statuses: dict[int, int] = {}

    async def client(number: int) -> None:
        async with KeptConnection(site) as connection:
            for i in range(number, REQUESTS, CONNECTIONS):
                header, action = headers[i], i // CONNECTIONS % 3
                if any(token in clients.live for token in tokens_in(header)):
                    action = 0  # let the sessions stay as they are
                path = ("/sessions/get", "/sessions/set/Mallory", "/sessions/del")[action]
                status, head, body = await connection.request(path, header)
                statuses[status] = statuses.get(status, 0) + 1
                check_answer(clients, header, action, status, head, body)

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    assert set(statuses) == {200, 400, 409}
    assert statuses[200] > REQUESTS / 2, statuses
    presented = {id_of(t) for h in headers for t in tokens_in(h.strip(" \t"))}
    assert {id for operation, ids in store.calls if operation == "load" for id in ids} <= presented
    await nobody_lost_anything(manager, clients)


def check_answer(
    clients: Clients, header: str, action: int, status: int, head: str, body: str
) -> None:
    cookies = re.findall(r"\r\nSet-Cookie: session=([^;]*);", head)
    if FORBIDDEN.search(header):
        assert (status, cookies) == (400, []), header
        return
    if clients.superseded(header) and action:
        assert (status, cookies) == (409, []), header
        return
    assert status == 200, header
    if action == 1:
        (given,) = cookies
        assert is_token(given), header
        assert token.decode(given)[0] not in map(id_of, tokens_in(header)), header
    elif action == 0:
        assert body == (clients.meant(header) or "n/a"), header
        assert cookies == [], header
    else:
        assert body == "done", header
        assert cookies in ([], [""]), header  # told to forget what was none of ours


class KeptConnection:
    """Requests one after another over one connection, which is opened again when it was closed."""

    def __init__(self, site: Site) -> None:
        self._port = site.port
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> KeptConnection:
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._close()

    async def request(self, path: str, cookie: str) -> tuple[int, str, str]:
        """Return (status, head, body)."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
        self._writer.write(head.encode("latin-1"))
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(answer.split(" ", 2)[1])
        length = re.search(r"(?i)\r\ncontent-length: (\d+)", answer)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        if status == 400 or "Connection: close" in answer:
            self._close()
        return status, answer, body.decode()

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
