"""`sessions end`: sessions by their ids, a user's, or all; asks first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from app.operating.chosen import USER, Choice
from app.operating.operation import YES, Flag, Operation, Request, Work
from app.operating.shown import counted, entries_of, live_sessions, record_in
from app.operating.sites import Site
from app.operating.terminal import confirmed, out, say
from app.operating.walk import walk
from app.option_sources import OptionError
from app.sessions import token, user_record
from app.sessions.events import EventKind
from stores.contract import NO_SESSION, Change, Page, Record, Update


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    choice = Choice(request)
    if [bool(choice.ids), choice.user is not None, request.has("all")].count(True) != 1:
        raise OptionError("write sessions end and one of: ids of sessions, --user=USER, --all")
    found: list[str] = []
    meant: list[tuple[Site, set[str]]] = []
    if request.has("all"):
        for site in sites:
            _check_whole(site)
        number = sum([(await site.records.count()).number for site in sites])
        what = f"all sessions in {' and in '.join(site.store.name for site in sites)}"
        what += f", about {number} records"
    else:
        for site in sites:
            async for sessions in choice.sessions(site):
                ids = [session.id for session in sessions]
                found += ids
                meant.append((site, set(ids)))
        if choice.user is not None and choice.tell_unopened():
            return 2  # what does not open names sessions that would go on
        missing = choice.tell_missing(found)
        if missing and not found:
            return 1
        what = counted(len(found), "session")
        if choice.user is not None:
            what += f" of the user {choice.user!r}, and any that signs in meanwhile"
    if not request.has("yes"):
        answer = confirmed("End", what)
        if answer is None:
            return 2
        if not answer:
            say("nothing was ended")
            return 1
    ended = 0
    if request.has("all"):
        for site in sites:
            ended = await _end_all(site, ended, work)
    elif choice.user is not None:
        for manager in (manager for site in sites for manager in site.managers):
            ended += await manager.sign_out_everywhere(choice.user)
    else:
        for site, names in meant:
            ended += await _end_each(
                site, [id for id in choice.ids if token.public_id(id) in names]
            )
    out([f"{counted(ended, 'session')} ended"])
    return 1 if len(found) < len(choice.ids) else 0


def _check_whole(site: Site) -> None:
    if site.neighbours:
        raise OptionError(
            f"{site.store.name} has the sessions of the cookies {', '.join(site.neighbours)} as "
            "well, and a session does not say whose it is: end all of them, without --cookie"
        )


async def _end_each(site: Site, ids: Sequence[bytes]) -> int:
    """End those of these sessions that still live; return how many there were."""
    found = live_sessions(site, (await site.records.load(ids)).values(), time.time())
    for record in found:
        public, user = token.public_id(record.id), record.user
        if user is None or not any([await m.sign_out(user, public) for m in site.managers]):
            cookies = await _cookies_of(site, [record])
            await site.records.remove([record.id])
            _tell(site, [record], cookies)
    return len(found)


async def _end_all(site: Site, ended: int, work: Work) -> int:
    """End what is there; return *ended* and how many there were."""
    async for page in walk(site.records):
        ended += await _end_page(site, page)
        work.so_far = f"{counted(ended, 'session')} ended; the same command ends the rest"
    return ended


async def _end_page(site: Site, page: Page) -> int:
    now = time.time()
    cookies = {manager.cookie.name for manager in site.managers}
    unlisted: list[Change] = []
    listed: list[bytes] = []
    mine: dict[bytes, Record] = {}
    for id, record in zip(page.found, map(record_in, page.found.values()), strict=True):
        if record is None:
            continue
        if record.secret_hash not in NO_SESSION:
            mine[id] = record
            continue
        entries = user_record.read(record, None).entries.values()
        own = [entry.id for entry in entries if entry.text("cookie") in cookies]
        if own:
            listed += own
            unlisted.append(Update(id, unset=[*map(token.public_id, own)]))
    # First what the lists name, then its place there: else some would live that nobody lists.
    beyond = await site.records.load([id for id in listed if id not in mine])
    others = filter(None, map(record_in, beyond.values()))
    mine |= {record.id: record for record in others if record.secret_hash not in NO_SESSION}
    alive = live_sessions(site, mine.values(), now)
    cookies_of = await _cookies_of(site, alive)
    await site.records.remove(mine)
    _tell(site, alive, cookies_of)
    await site.records.write(unlisted)
    return len(alive)


async def _cookies_of(site: Site, records: Sequence[Record]) -> dict[bytes, str | None]:
    """Return whose sessions the users' lists say that they are; a lone manager's need no look."""
    if len(site.managers) == 1:
        return {}
    listing = await entries_of(site, records)
    return {id: entry.text("cookie") for id, entry in listing.items()}


def _tell(site: Site, ended: Iterable[Record], cookies: Mapping[bytes, str | None]) -> None:
    """Tell their manager of sessions that ended, or all managers where no list says whose."""
    for record in ended:
        cookie = cookies.get(record.id)
        for manager in site.managers:
            if cookie in (None, manager.cookie.name):
                manager.events.tell(EventKind.REVOKED, record.id, record.user)


END = Operation(
    "Ends the sessions with these ids, those of a user, or all. It says how many and asks, and "
    "without a terminal it refuses, unless --yes is given. Who signs in while --user is at work is "
    "signed out, too; --all leaves sessions that begin meanwhile, and unreadable records.",
    _run,
    [USER, Flag("all", "all sessions that the store has"), YES],
    words="[ID...]",
    most=100_000,
)
