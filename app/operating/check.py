"""`sessions check`: what would keep the service from serving, or sessions from being kept well."""

from __future__ import annotations

from collections.abc import Sequence

from app.missing_keys import MEND, is_sealed
from app.operating.check_service import flaws_of_cookies, flaws_of_options
from app.operating.check_store import flaws_of_operations, open_site
from app.operating.operation import YES, Flag, Operation, Request, Work
from app.operating.shown import MOST_NAMED, counted
from app.operating.sites import Site
from app.operating.terminal import confirmed, out
from app.operating.walk import walk
from app.option_sources import OptionError
from app.sessions import token
from app.sessions.errors import SessionUnavailable
from stores.contract import Unopened, Unreadable


class _Check:
    """Prints each finding, and counts them."""

    def __init__(self, request: Request, work: Work) -> None:
        self._request = request
        self._work = work
        self.found = 0
        self.read = 0
        """Records that were looked at."""
        self.is_partial = False
        """Whether a part could not be checked."""

    def tell(self, finding: str) -> None:
        self.found += 1
        out([finding])

    async def site(self, site: Site) -> None:
        for finding in flaws_of_cookies(site):
            self.tell(finding)
        if not site.store.shared:
            return  # its sessions are in the process that serves
        is_open, findings = await open_site(site)
        if is_open:
            findings += await flaws_of_operations(site)
        for finding in findings:
            self.tell(finding)
        if not is_open:
            self.is_partial = True
        elif not self._request.has("quick"):
            try:
                await self._records(site)
            except SessionUnavailable as error:
                self.tell(f"{error.what} (to go through all records)")
                self.is_partial = True

    async def _records(self, site: Site) -> None:
        total = unreadable = unopened = sealed = 0
        async for page in walk(site.records):
            if page.anew:
                total = unreadable = unopened = sealed = 0
            total += len(page.found)
            sealed += sum(map(is_sealed, page.found.values()))
            for id, found in page.found.items():
                if isinstance(found, Unreadable):
                    unreadable += 1
                    if unreadable <= MOST_NAMED:
                        name = token.public_id(id)
                        self.tell(f"the record {name} cannot be read: {found.reason}")
                elif isinstance(found, Unopened):
                    unopened += 1
                    if unopened <= MOST_NAMED:
                        name = token.public_id(id)
                        self.tell(f"the values of record {name} do not open: {found}")
        self.read += total
        for number, what in ((unreadable, "cannot be read"), (unopened, "do not open")):
            if number > MOST_NAMED:
                self.tell(f"{number} of {total} records {what}, {site.label}")
        if sealed:
            self.tell(f"{sealed} of {total} records have sealed values: {MEND}, {site.label}")
        if unreadable and self._request.has("remove-unreadable"):
            await self._remove(site, unreadable)

    async def _remove(self, site: Site, number: int) -> None:
        what = f"{counted(number, 'unreadable record')}, {site.label}"
        if not self._request.has("yes") and not confirmed("Remove", what):
            return
        removed = 0
        async for page in walk(site.records):
            ids = [id for id, record in page.found.items() if isinstance(record, Unreadable)]
            await site.records.remove(ids)
            removed += len(ids)
            done = counted(removed, "unreadable record")
            self._work.so_far = f"{done} removed; the same command removes the rest"
        out([f"{counted(removed, 'unreadable record')} removed, {site.label}"])


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    work.so_far = "not all was checked"
    check = _Check(request, work)
    for refuse in request.refusals:
        try:
            refuse(request.origins)
        except OptionError as error:
            check.tell(str(error))
    for finding in flaws_of_options(request.origins, sites):
        check.tell(finding)
    for site in sites:
        await check.site(site)
    if not check.found:
        where = "; ".join(site.label for site in sites)
        read = "" if request.has("quick") else f"; {counted(check.read, 'record')} read"
        out([f"all is well: {where}{read}"])
    return 2 if check.is_partial else 1 if check.found else 0


CHECK = Operation(
    "Says what would keep the service from serving: the store's reach, rights, shape, index, "
    "eviction, clock, TLS; unreadable records; cookies behind TLS; processes. It opens the store "
    "as the service does, and writes and removes a record of its own. One finding a line, or one "
    "line that all is well.",
    _run,
    [
        Flag("quick", "do not go through all records"),
        Flag("remove-unreadable", "remove the records that cannot be read; asks first"),
        YES,
    ],
    opens=False,
)
