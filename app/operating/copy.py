"""`sessions copy`: brings all live sessions to another store."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from app.missing_keys import MEND, is_sealed
from app.operating.copying import Copier, Tally
from app.operating.operation import Operation, Request, Work
from app.operating.shown import MOST_NAMED, counted
from app.operating.sites import Site
from app.operating.terminal import out, say
from app.operating.walk import walk
from app.option_sources import OptionError
from app.sessions import token
from app.sessions.manager import SessionManager
from stores import MovingStore, Store, open_store


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    if len(sites) > 1:
        names = ", ".join(manager.cookie.name for site in sites for manager in site.managers)
        raise OptionError(f"the application has several stores: write --cookie, one of {names}")
    (site,) = sites
    source, target = _ends(site.store, request.words)
    for store in (source, target):
        if not store.shared:
            say(f"{store.name} keeps sessions in one process, where no command can see them")
            return 2
    managers = SessionManager(source), SessionManager(target)
    has_sealed = False
    copier = Copier(*managers, site.is_alive)
    try:
        for manager in managers:
            await manager.open()
        work.so_far = "the copy has begun; the same command copies the rest"
        async for page in walk(managers[0].records):
            if page.anew:
                say(f"{source.name}: the server was restarted, and the sessions come again")
            has_sealed = has_sealed or any(map(is_sealed, page.found.values()))
            await copier.copy(page.found)
            done = counted(copier.tally.copied, "session")
            work.so_far = f"{done} copied; the same command copies the rest"
    finally:
        for manager in managers:
            await manager.close()
    if has_sealed and source is site.store:
        say(f"{source.name} has sealed values, and they were copied as they are: {MEND}")
    _tell(copier.tally, source, target)
    return 1 if copier.tally.refused else 0


def _tell(tally: Tally, source: Store, target: Store) -> None:
    for id, why in list(tally.refused.items())[:MOST_NAMED]:
        say(f"the record {token.public_id(id)} was not copied: {why}")
    parts = [
        f"{counted(tally.copied, 'session')} and {counted(tally.lists, 'list')} of users' sessions "
        f"copied from {source.name} to {target.name}",
        f"{tally.there} were there already",
        f"{tally.expired} had expired",
        f"{tally.ended} had ended",
        f"{len(tally.refused)} could not be copied",
    ]
    out(["; ".join(parts)])


def _ends(store: Store, words: Sequence[str]) -> tuple[Store, Store]:
    """Return where to copy from and where to. Raises `OptionError`."""
    store = _as_kept(store)
    if isinstance(store, MovingStore):
        if words and _as_kept(open_store(words[0])).name != _as_kept(store.new).name:
            raise OptionError(
                f"the service moves its sessions to {_as_kept(store.new).name}: write its URL"
            )
        return store.old, store.new
    if not words:
        raise OptionError("write sessions copy URL")
    return store, open_store(words[0])


def _as_kept(store: Store) -> Store:
    """Return what keeps the records of *store*: there, sealed values are copied as they are."""
    sealing = sys.modules.get("stores.encrypted")  # imported by who seals
    if sealing is not None and isinstance(store, sealing.EncryptedStore):
        inner: Store = store.inner
        return inner
    return store


COPY = Operation(
    "Copies every live session to the store at URL. To move there while the service serves, see "
    "docs/operation.md; with MovingStore in configure.py, URL is that of the new store, and may be "
    "left out. It never overwrites what is there, nor brings back what has ended. Run again, it "
    "copies what is missing. Sealed values stay sealed.",
    _run,
    words="[URL]",
    most=1,
    opens=False,
)
