"""A crowd of clients of a few users, who sign in and out, here, there and everywhere."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence

from tornado.web import HTTPError

from app import Session, SessionManager
from app.sessions import token
from app.sessions.recognition import GRACE
from stores import Store
from stores.contract import Record
from tests.helpers.crowd_history import CrowdHistory
from tests.helpers.crowd_quiet import Quiet, wrong_when_quiet
from tests.helpers.deeds import GONE, NEVER, Deed
from tests.helpers.doors import Door

KINDS = {
    "read": 20,
    "set": 20,
    "sign-in": 6,
    "sign-out": 8,
    "regenerate": 6,
    "confirm": 4,
    "devices": 6,
    "device": 8,
    "others": 2,
    "keep": 2,
    "password": 2,
    "everywhere": 2,
    "end": 4,
    "probe": 10,
}
"""What a client who is signed in does, or somebody for him, and how often."""

SIGNED_OUT = {"sign-in": 60, "set": 10, "read": 5, "regenerate": 3, "everywhere": 2, "probe": 10}

KEYS = "ab"

AT_ONCE = 20
"""Tokens that are presented at the same time when all is quiet."""


class Client:
    """A browser of *user*: what it keeps."""

    def __init__(self, user: str, token: str | None = None) -> None:
        self.user = user
        self.token = token
        self.is_signed_in = False


class Crowd:
    """Sends requests and notes what became of them in `deeds`."""

    def __init__(
        self,
        doors: Sequence[Door],
        users: Sequence[str],
        choice: random.Random,
        *,
        clients: int = 50,
        think: float = 0.3,
        leaving: float = 0.0,
    ) -> None:
        """*think* is the seconds between two requests, *leaving* the part of those given up."""
        self.doors = doors
        self.users = users
        self.choice = choice
        self.deeds: list[Deed] = []
        self.clients = [Client(users[n % len(users)]) for n in range(clients)]
        self._think = think
        self._leaving = leaving
        self._time = itertools.count()
        self._ids: dict[str, list[str]] = {user: [] for user in users}
        self._tokens: list[str] = []
        self._unsettled: list[Deed] = []

    async def go(self, is_over: Callable[[], bool]) -> None:
        """Let everybody act until it is over; every third browser has two tabs."""
        tabs = [*self.clients, *self.clients[::3]]
        await asyncio.gather(*(self._act(client, is_over) for client in tabs))

    async def _act(self, client: Client, is_over: Callable[[], bool]) -> None:
        while not is_over():
            await asyncio.sleep(self.choice.random() * 2 * self._think)
            kinds = KINDS if client.is_signed_in else SIGNED_OUT
            (kind,) = self.choice.choices(list(kinds), list(kinds.values()))
            await self.do(client, kind)

    async def do(self, client: Client, kind: str) -> Deed:
        """Let *client* do it, or the manager on its user."""
        process = self.choice.randrange(len(self.doors))
        deed = Deed(len(self.deeds), kind, "", client.token, next(self._time), process=process)
        if kind in ("sign-in", "password", "everywhere", "end"):
            deed.user = client.user
            if kind == "sign-in" and self.choice.random() < 0.1:
                deed.user = self.choice.choice(self.users)
        if kind == "set":
            deed.key = self.choice.choice(KEYS)
        if kind == "probe":  # somebody has a copy of a token
            deed.kind = "read"
            deed.token = self.choice.choice(self._tokens) if self._tokens else None
        self.deeds.append(deed)
        deed.end = NEVER
        if self.choice.random() < self._leaving:
            await self._leave(deed)
        else:
            await self._send(deed)
        deed.end = next(self._time)
        if kind != "probe":
            self._keep(client, deed)
        if not deed.done:
            self._unsettled.append(deed)
        self.note_settled()
        return deed

    async def _leave(self, deed: Deed) -> None:
        """Send it, and give it up in the middle."""
        request = asyncio.ensure_future(self._send(deed))
        await asyncio.wait((request,), timeout=self.choice.random() * 0.1)
        request.cancel()
        await request

    async def _send(self, deed: Deed) -> None:
        door = self.doors[deed.process]
        clock = door.manager.clock
        began = clock()
        if deed.kind in ("everywhere", "end"):
            await self._manage(deed, door.manager)
        else:
            await self._request(deed, door)
        deed.late = clock() - began > GRACE

    async def _request(self, deed: Deed, door: Door) -> None:
        async def act(session: Session) -> None:
            deed.session = session.id
            deed.seen = dict(session)
            if session.user is not None:
                deed.seen["@user"] = session.user
            deed.began = next(self._time)
            await self._pause()
            await self._change(session, deed, door.manager)
            await self._pause()

        session = await door.send(deed, act)
        if session is not None and (deed.token_set or (deed.signs_in and deed.done)):
            deed.id_set = session.id

    async def _manage(self, deed: Deed, manager: SessionManager) -> None:
        deed.token = None
        deed.began = next(self._time)
        assert deed.user is not None
        try:
            if deed.kind == "everywhere":
                deed.result = await manager.sign_out_everywhere(deed.user)
            else:
                whose = deed.user if self.choice.random() < 0.8 else self.choice.choice(self.users)
                deed.target = self.choice.choice(self._ids[whose][-12:] or ["nobody's"])
                deed.result = await manager.sign_out(deed.user, deed.target)
            deed.status = 200
        except HTTPError as error:
            deed.status = error.status_code
        except asyncio.CancelledError:
            deed.status = GONE

    async def _change(self, session: Session, deed: Deed, manager: SessionManager) -> None:
        kind, user = deed.kind, session.user
        if kind == "set":
            session[deed.key] = deed.number
        elif kind == "sign-out":
            session.sign_out()
        elif kind == "regenerate":
            session.regenerate()
        elif kind in ("sign-in", "password"):
            assert deed.user is not None
            if kind == "password":
                deed.result = await manager.sign_out_everywhere(deed.user)
            label = self.choice.choice((None, None, "phone", "desk"))
            session.sign_in(deed.user, label=label)
        elif user is not None:
            await self._change_as(user, session, deed, manager)

    async def _change_as(
        self, user: str, session: Session, deed: Deed, manager: SessionManager
    ) -> None:
        kind = deed.kind
        if kind == "confirm":
            session.confirm()
            return
        if kind not in ("devices", "device", "others", "keep"):
            return
        deed.user = user
        if kind in ("devices", "device"):
            deed.listed = [device.id for device in await session.devices()]
            if kind == "device" and deed.listed:
                deed.target = self.choice.choice(deed.listed)
                deed.result = await session.sign_out_device(deed.target)
            return
        deed.target = session.id
        if kind == "others":
            deed.result = await session.sign_out_others()
        else:
            deed.result = await manager.sign_out_everywhere(user, keep=session)

    async def _pause(self) -> None:
        """Let a handler take its time."""
        if self.choice.random() < 0.5:
            await asyncio.sleep(self.choice.random() * 0.02)

    def _keep(self, client: Client, deed: Deed) -> None:
        """Let the browser keep what came back."""
        if deed.removed:
            client.token, client.is_signed_in = None, False
        if deed.token_set is not None:
            client.token = deed.token_set
            self._tokens.append(deed.token_set)
            if deed.signs_in and deed.id_set is not None:
                client.is_signed_in = True
                self._ids[str(deed.user)].append(deed.id_set)
        elif deed.done and deed.token is not None:
            client.is_signed_in = "@user" in deed.seen and deed.kind != "sign-out"

    def note_settled(self) -> None:
        """Note of all that had no answer that it is undone, if nothing is left to undo."""
        if not any(door.manager.unsettled for door in self.doors):
            for deed in self._unsettled:
                deed.settled = next(self._time)
            self._unsettled.clear()

    # When all is quiet

    async def until_settled(self) -> None:
        """Return when nothing is left to undo."""
        while any(door.manager.unsettled for door in self.doors):
            await asyncio.sleep(0.05)
        self.note_settled()

    async def look_around(self, store: Store) -> Quiet:
        """Present every token that was ever given, list all devices, read the whole store."""
        self._leaving = 0.0
        opened: dict[str, str | None] = {}
        tokens = list(self._tokens)
        for start in range(0, len(tokens), AT_ONCE):
            probes = [Client("", value) for value in tokens[start : start + AT_ONCE]]
            for deed in await asyncio.gather(*(self.do(probe, "read") for probe in probes)):
                if deed.session is not None:
                    opened[deed.session] = deed.seen.get("@user")
        devices = [
            {user: [d.id for d in await door.manager.devices(user)] for user in self.users}
            for door in self.doors
        ]
        return Quiet(opened, devices, await _kept(store, self.users))

    async def violations(self, store: Store, max_per_user: int, *, is_calm: bool) -> list[str]:
        """Return what must not be; *is_calm* says that no answer was ever lost."""
        await self.until_settled()
        quiet = await self.look_around(store)
        history = CrowdHistory(self.deeds, max_per_user, is_calm=is_calm)
        return [*history.violations(), *wrong_when_quiet(quiet, history)]

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind had which status."""
        return Counter(f"{deed.kind} {deed.status}" for deed in self.deeds)


async def _kept(store: Store, users: Sequence[str]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {user: [] for user in users}
    page = await store.scan()
    while True:
        for id, record in page.found.items():
            if isinstance(record, Record) and record.user in kept:
                kept[record.user].append(token.public_id(id))
        if page.after is None:
            return kept
        page = await store.scan(page.after)
