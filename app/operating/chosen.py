"""Which sessions are meant: by id, a user's, or all; for the list and for the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence

from app.missing_keys import MEND, is_sealed
from app.operating.operation import Flag, Request
from app.operating.shown import Listed, listed, live_sessions
from app.operating.sites import Site
from app.operating.terminal import say
from app.operating.walk import walk
from app.option_sources import OptionError
from app.sessions import token, user_record
from app.sessions.records import Found
from app.sessions.users import Device

USER = Flag("user", "the sessions of this user, the last seen first", "USER")


class Choice:
    """What a command line asks for. Raises `OptionError`."""

    def __init__(self, request: Request) -> None:
        self.unopened: set[bytes] = set()
        """Ids of users' lists that were met and whose values do not open."""
        self._has_sealed = False
        self.user = request.flags.get("user")
        self.ids = [_id(word) for word in dict.fromkeys(request.words)]
        if self.user is not None:
            if self.ids:
                raise OptionError("give ids of sessions or --user, not both")
            try:
                user_record.check_user(self.user, "--user")
            except (TypeError, ValueError) as error:
                raise OptionError(str(error)) from None

    async def sessions(self, site: Site, *, shown: bool = True) -> AsyncIterator[list[Listed]]:
        """Yield the sessions in steps; of all of them, show how far it is if *shown*.

        Raises `SessionUnavailable`.
        """
        if self.user is not None:
            id = user_record.id_of(self.user)
            if is_sealed((await site.records.load([id])).get(id)):
                self.unopened.add(id)
            for manager in site.managers:
                yield [_of_device(d, self.user) for d in await manager.devices(self.user)]
        elif self.ids:
            found = await site.records.load(self.ids)
            self._note_sealed(found)
            yield await listed(
                site, live_sessions(site, found.values(), time.time()), self.unopened
            )
        else:
            async for page in walk(site.records, shown=shown):
                if page.anew:
                    say(f"{site.label}: the server was restarted, and the sessions come again")
                yield await listed(
                    site, live_sessions(site, page.found.values(), time.time()), self.unopened
                )

    def _note_sealed(self, found: Mapping[bytes, Found]) -> None:
        self._has_sealed = self._has_sealed or any(map(is_sealed, found.values()))

    def tell_unopened(self) -> int:
        """Tell of users' lists that do not open, once; return how many there are."""
        number = len(self.unopened)
        if number:
            lists = "a user's list" if number == 1 else f"{number} users' lists"
            say(
                f"the values of {lists} of sessions do not open, so that agents, addresses and "
                f"labels are not shown: {MEND}"
            )
        elif self._has_sealed:
            say(f"there are sealed values: {MEND}")
            return 1
        return number

    def tell_missing(self, found: Sequence[str]) -> int:
        """Name the ids that were not found; return how many there are."""
        missing = [id for id in map(token.public_id, self.ids) if id not in found]
        for id in missing:
            say(f"there is no live session {id}")
        return len(missing)


def _id(word: str) -> bytes:
    id = token.record_id(word)
    if id is None:
        raise OptionError(f"{word[:40]} is no id of a session: 22 characters, as the list has them")
    return id


def _of_device(device: Device, user: str) -> Listed:
    return Listed(
        device.id,
        user,
        device.signed_in.timestamp(),
        device.last_seen.timestamp(),
        device.expires.timestamp(),
        device.agent,
        device.address,
        device.label,
    )
