"""`sessions reseal`: seals with the present key what another one sealed, or none."""

from __future__ import annotations

from collections.abc import Sequence

from app.operating.operation import Operation, Request, Work
from app.operating.shown import MOST_NAMED, counted
from app.operating.sites import Site
from app.operating.terminal import out, say
from app.operating.walk import steps
from app.sessions import token
from app.sessions.records import RESEALED
from stores.contract import Resealing


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    status = 0
    for site in sites:
        if not isinstance(site.store, Resealing):
            say(f"{site.label}: its values are not sealed; give keys by SESSION_KEYS_FILE")
            status = 2
        elif await _reseal(site, work):
            status = status or 1
    return status


async def _reseal(site: Site, work: Work) -> int:
    """Reseal all; return how many records are left."""
    total = changed = left = key = 0
    records = site.records
    async for step in steps(records, records.reseal, RESEALED, lambda step: step.records):
        if step.anew:
            total = left = 0
        total, changed, key = total + step.records, changed + step.changed, step.key
        work.so_far = f"{counted(changed, 'record')} sealed anew; the same command does the rest"
        for id, reason in step.left.items():
            left += 1
            if left <= MOST_NAMED:
                out([f"the record {token.public_id(id)} is left as it is: {reason}"])
    done = f"{changed} of {counted(total, 'record')} sealed anew with key {key}, {site.label}"
    out([f"{done}; {left} left as they are" if left else done])
    return left


RESEAL = Operation(
    "Seals with the present key all values that another key sealed, while the service serves. With "
    "--session-accept-plain, it seals plain values, too. When nothing is left (exit status 0), "
    "other keys are needed no more, but for backups.",
    _run,
)
