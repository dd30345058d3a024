"""`sessions list`: the sessions of a user or of all; what `sessions end` would end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from app.operating.chosen import USER, Choice
from app.operating.operation import Flag, Operation, Request, Work
from app.operating.shown import HEAD, row
from app.operating.sites import Site
from app.operating.terminal import out, say


async def _run(request: Request, sites: Sequence[Site], work: Work) -> int:
    work.so_far = "the list is not complete"
    choice = Choice(request)
    found: list[str] = []
    number = 0
    for site in sites:
        more = {"manager": site.label} if len(sites) > 1 else {}
        if more and not request.has("json"):
            say(f"{site.label}:")
        # A bar would be written between the lines.
        async for sessions in choice.sessions(site, shown=not sys.stdout.isatty()):
            if request.has("json"):
                out(session.as_json(**more) for session in sessions)
            else:
                head = [] if number or not sessions else [row(*HEAD)]
                out([*head, *(session.as_row() for session in sessions)])
            number += len(sessions)
            if choice.ids:
                found += [session.id for session in sessions]
    if choice.tell_unopened() + choice.tell_missing(found):
        return 1
    if not number:
        say("there are no live sessions")
    return 0


LIST = Operation(
    "Prints the live sessions: of a user, those with these ids, or all, in the order in which the "
    "store gives them. `sessions end` with the same ids or user ends what is listed.",
    _run,
    [USER, Flag("json", "one JSON object a line, with the whole user agent")],
    words="[ID...]",
    most=100_000,
)
